/* How sandboxes end; native.c has the table of states. */
#include "native/driver.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "native/folder.h"
#include "native/sys.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { REMOVE_FIRST_MS = 1, REMOVE_MOST_MS = 100 };

void sa_native_maybe_stopped(struct sa_native *native)
{
    if (native->stopping && !native->stopped && !native->sandboxes && native->closing == 0 &&
        native->timers_closed == 3 && !native->profiles) {
        native->stopped = true;
        native->events->stopped(native->owner);
    }
}

void sa_sandbox_on_closed(uv_handle_t *handle)
{
    struct sandbox *sb = handle->data;
    if (--sb->handles)
        return;
    struct sa_native *native = sb->native;
    free(sb->why);
    free(sb);
    native->closing--;
    sa_native_maybe_stopped(native);
}

static void describe_end(const struct sandbox *sb, char *text, size_t size)
{
    const int status = sb->wait_status;
    if (sb->adopted) /* whose child it is now was told */
        snprintf(text, size, sb->oom_kills > sb->oom_known ? "out of memory" : "ended");
    else if (sa_sandbox_oom_counted(sb) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        snprintf(text, size, "out of memory");
    else if (WIFSIGNALED(status))
        snprintf(text, size, "killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, size, "exited %d", WEXITSTATUS(status));
}

/* Nothing of it is left: say so, to whom it concerns. */
static void tell_end(struct sandbox *sb)
{
    struct sa_native *native = sb->native;
    char reason[64];
    describe_end(sb, reason, sizeof reason);
    if (sb->create_pending) {
        struct sa_error ended = {0};
        sa_error_set(&ended, SA_EUNAVAILABLE, "the sandbox ended while it started: %s", reason);
        native->events->failed(native->owner, sb->id, sb->create_call, sb->why ? sb->why : &ended);
        sa_sandbox_attach_over(sb, sb->why ? sb->why : &ended);
    } else if (sb->destroy_count == 0 && !native->stopping) {
        native->events->exited(native->owner, sb->id, reason);
    }
    for (size_t i = 0; i < sb->destroy_count; i++)
        native->events->destroyed(native->owner, sb->id, sb->destroy_calls[i]);
}

static void gone(struct sandbox *sb)
{
    struct sa_native *native = sb->native;
    sa_failpoint("node.destroy.groups");
    sa_folder_remove(native->host.folder, sb->id);
    HASH_DEL(native->sandboxes, sb);
    native->slots[sb->child.slot] = 0;
    native->closing++;
    tell_end(sb);
    uv_close((uv_handle_t *)&sb->timer, sa_sandbox_on_closed);
    uv_close((uv_handle_t *)&sb->freeze_timer, sa_sandbox_on_closed);
    sa_native_maybe_stopped(native);
}

static void try_remove(struct sandbox *sb)
{
    if (sa_cgroup_remove(sb->native->groups, sb->child.group)) {
        gone(sb);
        return;
    }
    /* Its last processes are still on their way out. */
    sa_cgroup_kill(sb->native->groups, sb->child.group);
    uv_timer_start(&sb->timer, sa_sandbox_on_timer, sb->retry_ms, 0);
    sb->retry_ms = sb->retry_ms * 2 < REMOVE_MOST_MS ? sb->retry_ms * 2 : REMOVE_MOST_MS;
}

void sa_sandbox_close_setup(struct sandbox *sb)
{
    if (sb->child.setup < 0)
        return;
    uv_close((uv_handle_t *)&sb->setup_poll, sa_sandbox_on_closed);
    close(sb->child.setup);
    sb->child.setup = -1;
}

static void close_oom(struct sandbox *sb)
{
    if (sb->oom_fd < 0)
        return;
    if (sb->oom_polling)
        uv_close((uv_handle_t *)&sb->oom_poll, sa_sandbox_on_closed);
    close(sb->oom_fd);
    sb->oom_fd = -1;
}

/* PID 1 is dead: reap it, close what watched it, remove its groups. */
static void reap(struct sandbox *sb)
{
    siginfo_t info = {0};
    if (!sb->adopted &&
        (waitid(P_PIDFD, (id_t)sb->child.pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0))
        return;
    sa_failpoint("node.destroy.reaped");
    sb->wait_status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : info.si_status;
    int64_t kills = sa_cgroup_oom_kills(sb->native->groups, sb->child.group);
    if (kills > sb->oom_kills)
        sb->oom_kills = kills;
    sb->state = REMOVING;
    sa_sandbox_freeze_over(sb);
    sa_notify_stop(sb->notify);
    sb->notify = NULL;
    sa_sandbox_close_setup(sb);
    close_oom(sb);
    uv_close((uv_handle_t *)&sb->death_poll, sa_sandbox_on_closed);
    close(sb->child.pidfd);
    sb->child.pidfd = -1;
    if (sb->link >= 0)
        close(sb->link);
    sb->link = -1;
    uv_timer_stop(&sb->timer);
    sb->retry_ms = REMOVE_FIRST_MS;
    try_remove(sb);
}

void sa_sandbox_kill(struct sandbox *sb)
{
    if (sb->state >= ENDING)
        return;
    sb->state = ENDING;
    sa_sandbox_freeze_over(sb);
    sa_pidfd_kill(sb->child.pidfd);
    /* A frozen process of version 1 does not die before it thaws. */
    sa_cgroup_freeze(sb->native->groups, sb->child.group, false, NULL);
    sa_failpoint("node.destroy.killed");
}

void sa_sandbox_fail(struct sandbox *sb, const struct sa_error *why)
{
    if (!sb->why) {
        sb->why = sa_alloc(sizeof *sb->why);
        *sb->why = *why;
    }
    sa_sandbox_kill(sb);
}

void sa_sandbox_on_death(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    sa_sandbox_last_words(poll->data);
    reap(poll->data);
}

void sa_sandbox_on_timer(uv_timer_t *timer)
{
    struct sandbox *sb = timer->data;
    struct sa_error why = {0};
    if (sb->state == REMOVING) {
        try_remove(sb);
    } else if (sb->state == STARTING) {
        sa_error_set(&why, SA_ETIMEOUT, "the sandbox did not start within %d ms", START_TIMEOUT_MS);
        sa_sandbox_fail(sb, &why);
    } else if (sb->state == RUNNING) {
        sa_memory_look_again(sb);
    }
}
