/* Out of memory: the kernel's word for it from the control group, or the node's own watchdog. */
#include "native/driver.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "native/watchdog.h"

#include <errno.h>
#include <unistd.h>

enum { OOM_LOOKS = 20, OOM_LOOK_MS = 10 };

/* Has the kernel killed for memory since it was last looked at? Then tell. */
bool sa_memory_look(struct sandbox *sb)
{
    int64_t kills = sa_cgroup_oom_kills(sb->native->groups, sb->child.group);
    if (kills <= sb->oom_kills)
        return false;
    sb->oom_kills = kills;
    sb->native->events->oom(sb->native->owner, sb->id, sa_sandbox_oom_counted(sb));
    return true;
}

/* Version 1 signals before it counts: look again soon, some times. */
void sa_memory_look_again(struct sandbox *sb)
{
    if (sb->state != RUNNING || sa_memory_look(sb) || sb->oom_looks == 0)
        return;
    sb->oom_looks--;
    uv_timer_start(&sb->timer, sa_sandbox_on_timer, OOM_LOOK_MS, 0);
}

/* Too much: the whole sandbox goes, as nobody could say which of its processes is to blame. */
static void over_limit(struct sandbox *sb)
{
    sb->oom_kills++;
    sb->native->events->oom(sb->native->owner, sb->id, sa_sandbox_oom_counted(sb));
    sa_sandbox_kill(sb);
}

static void on_tick(uv_timer_t *timer)
{
    struct sa_native *native = timer->data;
    struct sandbox *sb, *next;
    size_t count = 0;
    sa_autofree struct sa_watched *list =
        sa_alloc((HASH_COUNT(native->sandboxes) + 1) * sizeof *list);
    HASH_ITER (hh, native->sandboxes, sb, next)
        if (sb->state == RUNNING && sb->pid_namespace)
            list[count++] = (struct sa_watched){
                .pid = sb->child.pid, .namespace = sb->pid_namespace, .owner = sb};
    if (count == 0)
        uv_timer_stop(timer);
    else
        sa_watchdog_measure(list, count);
    for (size_t i = 0; i < count; i++) {
        sb = list[i].owner;
        if (list[i].memory_bytes > sb->memory_bytes)
            sa_watchdog_measure_shared(&list[i]);
        sb->watched_bytes = list[i].memory_bytes;
        sb->watched_processes = list[i].processes;
        if (sb->watched_bytes > sb->watched_peak)
            sb->watched_peak = sb->watched_bytes;
        if (sb->watched_bytes > sb->memory_bytes)
            over_limit(sb);
    }
}

void sa_memory_watch(struct sandbox *sb)
{
    struct sa_native *native = sb->native;
    if (!sa_controls_has(native->host.can, SA_C_WATCHDOG_MEMORY))
        return;
    sb->pid_namespace = sa_watchdog_namespace(sb->child.pid);
    if (!uv_is_active((uv_handle_t *)&native->watchdog))
        uv_timer_start(&native->watchdog, on_tick, SA_WATCHDOG_MS, SA_WATCHDOG_MS);
}

static void on_oom(uv_poll_t *poll, int status, int events)
{
    struct sandbox *sb = poll->data;
    uint64_t count;
    char text[512];
    (void)events;
    /* Version 1: an eventfd wants its counter read; version 2: the file, from its start. */
    ssize_t n = sb->oom_priority ? pread(sb->oom_fd, text, sizeof text, 0)
                                 : read(sb->oom_fd, &count, sizeof count);
    if (status < 0 || (n < 0 && errno != EAGAIN)) {
        uv_poll_stop(poll); /* the group is gone */
        return;
    }
    sb->oom_looks = OOM_LOOKS;
    sa_memory_look_again(sb);
}

void sa_memory_watch_group(struct sandbox *sb)
{
    sb->oom_fd = sa_cgroup_oom_watch(sb->native->groups, sb->child.group, &sb->oom_priority);
    if (sb->oom_fd < 0 || uv_poll_init(sb->native->loop, &sb->oom_poll, sb->oom_fd) < 0)
        return;
    sb->oom_polling = true;
    sb->oom_poll.data = sb;
    sb->handles++;
    uv_poll_start(&sb->oom_poll, sb->oom_priority ? UV_PRIORITIZED : UV_READABLE, on_oom);
}
