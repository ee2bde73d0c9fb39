/*
 * The sandboxes of this node and their lives:
 *
 *     state      event                          next
 *     STARTING   report, then end of file       RUNNING    `created`
 *                a failure, or destroy          ENDING     killed
 *                PID 1 ended                    REMOVING
 *     RUNNING    destroy                        ENDING     killed
 *                PID 1 ended                    REMOVING
 *     ENDING     PID 1 ended                    REMOVING
 *     REMOVING   control groups gone            gone       `failed`, `destroyed` or `exited`
 *
 * PID 1 is the only thing to wait for: the kernel kills everything in a pid namespace before its
 * first process is reaped, and mounts, network and the rest go with the last process.
 */
#include "native/native.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/cgroup.h"
#include "native/host.h"
#include "native/launch.h"
#include "native/notify.h"
#include "native/seccomp.h"
#include "native/startup.h"
#include "native/sys.h"
#include "native/watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <uthash.h>

enum { START_TIMEOUT_MS = 10000, REMOVE_FIRST_MS = 1, REMOVE_MOST_MS = 100, CALLS_MAX = 64,
       REFILL_AFTER_MS = 2 /* after a start */, OOM_LOOKS = 20, OOM_LOOK_MS = 10 };

enum state { STARTING, RUNNING, ENDING, REMOVING };

struct sandbox {
    UT_hash_handle hh;
    char id[SA_ID_BYTES];
    struct sa_native *native;
    enum state state;
    struct sa_child_handle child;
    uint32_t create_call;
    bool create_pending, reported, oom_polling;
    sa_controls in_force, required;
    int64_t memory_bytes, oom_kills;
    uint64_t pid_namespace; /* for the watchdog; 0 without one */
    int64_t watched_bytes, watched_peak, watched_processes;
    int link;            /* the control plane's end, until `created` */
    struct sa_error *why; /* the first failure of a start */
    uint32_t destroy_calls[CALLS_MAX];
    size_t destroy_count;
    int wait_status;
    unsigned retry_ms, oom_looks;
    int oom_fd;
    struct sa_notify *notify;
    uv_poll_t setup_poll, death_poll, oom_poll;
    uv_timer_t timer; /* STARTING: the time limit; RUNNING: look for OOM; REMOVING: next try */
    int handles;      /* not yet closed */
};

struct sa_native {
    uv_loop_t *loop;
    struct sa_host host;
    struct sa_cgroups *groups;
    const struct sa_native_events *events;
    void *owner;
    struct sandbox *sandboxes;
    uint8_t slots[SA_NATIVE_SANDBOXES_MAX]; /* 1: ids in use */
    unsigned next_slot;
    struct sa_child_handle *spares;
    unsigned spare_count, spare_goal;
    unsigned spare_number; /* counts up, for the names of their groups */
    uv_timer_t watchdog; /* active while there are sandboxes that need it */
    uv_timer_t refill; /* makes spares when the loop has nothing better to do */
    size_t closing;    /* sandboxes that are gone but have handles to close */
    unsigned timers_closed;
    bool stopping, stopped;
};

static void on_setup(uv_poll_t *poll, int status, int events);
static void on_death(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);
static void look_again(struct sandbox *sb);

/* ---- slots and spares ---- */

/* Slots go round, so that an id range rests as long as possible before it is used again. */
static int take_slot(struct sa_native *native)
{
    for (unsigned i = 0; i < SA_NATIVE_SANDBOXES_MAX; i++) {
        unsigned slot = (native->next_slot + i) % SA_NATIVE_SANDBOXES_MAX;
        if (native->slots[slot])
            continue;
        native->slots[slot] = 1;
        native->next_slot = slot + 1;
        return (int)slot;
    }
    return -1;
}

static void close_child(struct sa_child_handle *child)
{
    if (child->setup >= 0)
        close(child->setup);
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->setup = child->pidfd = -1;
}

/* A launched child that nobody wants, or whose launch failed half-way. It has done nothing yet,
 * so it is gone at once. */
static void discard_child(struct sa_native *native, struct sa_child_handle *child)
{
    siginfo_t info;
    if (child->pidfd >= 0) {
        sa_pidfd_kill(child->pidfd);
        waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED);
    }
    close_child(child);
    if (child->group[0])
        sa_cgroup_remove(native->groups, child->group);
    if (child->slot >= 0)
        native->slots[child->slot] = 0;
}

static void close_groups(struct sa_groups *groups)
{
    if (groups->birth >= 0)
        close(groups->birth);
    while (groups->join_count)
        close(groups->join[--groups->join_count]);
}

/* Make the child's control groups and open the ways into them. */
static int make_groups(struct sa_native *native, const char *name, struct sa_child_handle *child,
                       struct sa_groups *groups, struct sa_error *err)
{
    if (sa_cgroup_make(native->groups, name, err) < 0)
        return -1;
    snprintf(child->group, sizeof child->group, "%s", name);
    groups->birth = sa_cgroup_birth_fd(native->groups, name);
    int count = sa_cgroup_join_fds(native->groups, name, groups->join, err);
    if (count < 0)
        return -1;
    groups->join_count = (size_t)count;
    return 0;
}

/* A spare gets groups of a name of its own. For a sandbox whose id is known (`id`) they can be
 * made while the child is at work already, unless it must be born in them. */
static int spawn(struct sa_native *native, const char *id, struct sa_child_handle *child,
                 struct sa_error *err)
{
    struct sa_groups groups = {.birth = -1};
    char name[32];
    *child = (struct sa_child_handle){.pid = -1, .pidfd = -1, .setup = -1};
    child->slot = take_slot(native);
    if (child->slot < 0)
        return sa_error_set(err, SA_EQUOTA, "this node runs %d sandboxes, its most",
                            SA_NATIVE_SANDBOXES_MAX);
    snprintf(name, sizeof name, "spare-%u", id ? 0 : native->spare_number++);
    int rc = 0;
    if (!id || sa_cgroups_birth(native->groups))
        rc = make_groups(native, id ? id : name, child, &groups, err);
    if (rc == 0)
        rc = sa_launch(&native->host, &groups, child, err);
    close_groups(&groups);
    if (rc < 0)
        discard_child(native, child);
    return rc;
}

static void on_refill(uv_timer_t *timer)
{
    struct sa_native *native = timer->data;
    if (native->stopping || native->spare_count >= native->spare_goal ||
        spawn(native, NULL, &native->spares[native->spare_count], NULL) < 0) {
        uv_timer_stop(timer);
        return;
    }
    native->spare_count++;
}

/* After a start, as making one holds the loop for the better part of a millisecond. */
static void want_spares(struct sa_native *native)
{
    if (native->spare_goal && !native->stopping)
        uv_timer_start(&native->refill, on_refill, REFILL_AFTER_MS, REFILL_AFTER_MS);
}

/* A spare whose process died meanwhile is noticed when the order cannot be sent. */
static int take_child(struct sa_native *native, const char *id, struct sa_child_handle *child,
                      struct sa_error *err)
{
    if (native->spare_count == 0)
        return spawn(native, id, child, err);
    *child = native->spares[0];
    native->spare_count--;
    memmove(native->spares, native->spares + 1, native->spare_count * sizeof *native->spares);
    return 0;
}

/* ---- ending ---- */

static void maybe_stopped(struct sa_native *native)
{
    if (native->stopping && !native->stopped && !native->sandboxes && native->closing == 0 &&
        native->timers_closed == 2) {
        native->stopped = true;
        native->events->stopped(native->owner);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct sandbox *sb = handle->data;
    if (--sb->handles)
        return;
    struct sa_native *native = sb->native;
    free(sb->why);
    free(sb);
    native->closing--;
    maybe_stopped(native);
}

static void describe_end(const struct sandbox *sb, char *text, size_t size)
{
    const int status = sb->wait_status;
    if (sb->oom_kills > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
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
    } else if (sb->destroy_count == 0 && !native->stopping) {
        native->events->exited(native->owner, sb->id, reason);
    }
    for (size_t i = 0; i < sb->destroy_count; i++)
        native->events->destroyed(native->owner, sb->id, sb->destroy_calls[i]);
}

static void gone(struct sandbox *sb)
{
    struct sa_native *native = sb->native;
    HASH_DEL(native->sandboxes, sb);
    native->slots[sb->child.slot] = 0;
    native->closing++;
    tell_end(sb);
    uv_close((uv_handle_t *)&sb->timer, on_closed);
    maybe_stopped(native);
}

static void try_remove(struct sandbox *sb)
{
    if (sa_cgroup_remove(sb->native->groups, sb->child.group)) {
        gone(sb);
        return;
    }
    /* Its last processes are still on their way out. */
    sa_cgroup_kill(sb->native->groups, sb->child.group);
    uv_timer_start(&sb->timer, on_timer, sb->retry_ms, 0);
    sb->retry_ms = sb->retry_ms * 2 < REMOVE_MOST_MS ? sb->retry_ms * 2 : REMOVE_MOST_MS;
}

static void close_setup(struct sandbox *sb)
{
    if (sb->child.setup < 0)
        return;
    uv_close((uv_handle_t *)&sb->setup_poll, on_closed);
    close(sb->child.setup);
    sb->child.setup = -1;
}

static void close_oom(struct sandbox *sb)
{
    if (sb->oom_fd < 0)
        return;
    if (sb->oom_polling)
        uv_close((uv_handle_t *)&sb->oom_poll, on_closed);
    close(sb->oom_fd);
    sb->oom_fd = -1;
}

/* PID 1 is dead: reap it, close what watched it, remove its groups. */
static void reap(struct sandbox *sb)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)sb->child.pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
        return;
    sb->wait_status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : info.si_status;
    int64_t kills = sa_cgroup_oom_kills(sb->native->groups, sb->child.group);
    if (kills > sb->oom_kills)
        sb->oom_kills = kills;
    sb->state = REMOVING;
    sa_notify_stop(sb->notify);
    sb->notify = NULL;
    close_setup(sb);
    close_oom(sb);
    uv_close((uv_handle_t *)&sb->death_poll, on_closed);
    close(sb->child.pidfd);
    sb->child.pidfd = -1;
    if (sb->link >= 0)
        close(sb->link);
    sb->link = -1;
    uv_timer_stop(&sb->timer);
    sb->retry_ms = REMOVE_FIRST_MS;
    try_remove(sb);
}

static void kill_sandbox(struct sandbox *sb)
{
    if (sb->state >= ENDING)
        return;
    sb->state = ENDING;
    sa_pidfd_kill(sb->child.pidfd);
    /* A frozen process of version 1 does not die before it thaws. */
    sa_cgroup_freeze(sb->native->groups, sb->child.group, false, NULL);
}

static void fail(struct sandbox *sb, const struct sa_error *why)
{
    if (!sb->why) {
        sb->why = sa_alloc(sizeof *sb->why);
        *sb->why = *why;
    }
    kill_sandbox(sb);
}

static void on_death(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    reap(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct sandbox *sb = timer->data;
    struct sa_error why = {0};
    if (sb->state == REMOVING) {
        try_remove(sb);
    } else if (sb->state == STARTING) {
        sa_error_set(&why, SA_ETIMEOUT, "the sandbox did not start within %d ms",
                     START_TIMEOUT_MS);
        fail(sb, &why);
    } else if (sb->state == RUNNING) {
        look_again(sb);
    }
}

/* ---- memory ---- */

/* Has the kernel killed for memory since it was last looked at? Then tell. */
static bool look_for_oom(struct sandbox *sb)
{
    int64_t kills = sa_cgroup_oom_kills(sb->native->groups, sb->child.group);
    if (kills <= sb->oom_kills)
        return false;
    sb->oom_kills = kills;
    sb->native->events->oom(sb->native->owner, sb->id, kills);
    return true;
}

/* Version 1 signals before it counts: look again soon, some times. */
static void look_again(struct sandbox *sb)
{
    if (sb->state != RUNNING || look_for_oom(sb) || sb->oom_looks == 0)
        return;
    sb->oom_looks--;
    uv_timer_start(&sb->timer, on_timer, OOM_LOOK_MS, 0);
}

/* Too much: the whole sandbox goes, as nobody could say which of its processes is to blame. */
static void over_limit(struct sandbox *sb)
{
    sb->oom_kills++;
    sb->native->events->oom(sb->native->owner, sb->id, sb->oom_kills);
    kill_sandbox(sb);
}

static void on_watchdog(uv_timer_t *timer)
{
    struct sa_native *native = timer->data;
    struct sandbox *sb, *next;
    size_t count = 0;
    sa_autofree struct sa_watched *list =
        sa_alloc((HASH_COUNT(native->sandboxes) + 1) * sizeof *list);
    HASH_ITER(hh, native->sandboxes, sb, next)
        if (sb->state == RUNNING && sb->pid_namespace)
            list[count++] = (struct sa_watched){
                .pid = sb->child.pid, .namespace = sb->pid_namespace, .owner = sb};
    if (count == 0)
        uv_timer_stop(timer);
    else
        sa_watchdog_measure(list, count);
    for (size_t i = 0; i < count; i++) {
        sb = list[i].owner;
        sb->watched_bytes = list[i].memory_bytes;
        sb->watched_processes = list[i].processes;
        if (sb->watched_bytes > sb->watched_peak)
            sb->watched_peak = sb->watched_bytes;
        if (sb->watched_bytes > sb->memory_bytes)
            over_limit(sb);
    }
}

static void watch_memory(struct sandbox *sb)
{
    struct sa_native *native = sb->native;
    if (!sa_controls_has(native->host.can, SA_C_WATCHDOG_MEMORY))
        return;
    sb->pid_namespace = sa_watchdog_namespace(sb->child.pid);
    if (!uv_is_active((uv_handle_t *)&native->watchdog))
        uv_timer_start(&native->watchdog, on_watchdog, SA_WATCHDOG_MS, SA_WATCHDOG_MS);
}

/* ---- starting ---- */

static void on_denied(void *owner, const struct sa_native_denial *denial)
{
    struct sandbox *sb = owner;
    sb->native->events->denied(sb->native->owner, sb->id, denial);
}

static void on_oom(uv_poll_t *poll, int status, int events)
{
    struct sandbox *sb = poll->data;
    uint64_t event;
    char text[512];
    (void)events;
    /* An eventfd wants its counter read; memory.events wants to be read again from the start. */
    if (status < 0 || (read(sb->oom_fd, &event, sizeof event) < 0 && errno == EINVAL &&
                       pread(sb->oom_fd, text, sizeof text, 0) < 0)) {
        uv_poll_stop(poll);
        return;
    }
    sb->oom_looks = OOM_LOOKS;
    look_again(sb);
}

static void watch_oom(struct sandbox *sb)
{
    bool priority;
    sb->oom_fd = sa_cgroup_oom_watch(sb->native->groups, sb->child.group, &priority);
    if (sb->oom_fd < 0 || uv_poll_init(sb->native->loop, &sb->oom_poll, sb->oom_fd) < 0)
        return;
    sb->oom_polling = true;
    sb->oom_poll.data = sb;
    sb->handles++;
    uv_poll_start(&sb->oom_poll, priority ? UV_PRIORITIZED : UV_READABLE, on_oom);
}

/* A control that is asked for by name must be there in the end, too. */
static int check_required(sa_controls required, sa_controls in_force, const struct sa_host *host,
                          struct sa_error *err)
{
    for (int i = 0; i < SA_CONTROL_COUNT; i++) {
        enum sa_control control = (enum sa_control)i;
        if (!sa_controls_has(required, control) || sa_controls_has(in_force, control))
            continue;
        return sa_error_at(err, SA_ECONTROL, sa_control_name(control), "%s cannot be had here%s%s",
                           sa_control_name(control), host->weaker[i] ? ": " : "",
                           host->weaker[i] ? host->weaker[i] : "");
    }
    return 0;
}

/* End of file on the setup socket after a good report: the runtime has the process. */
static void started(struct sandbox *sb)
{
    struct sa_native *native = sb->native;
    struct sa_error why = {0};
    close_setup(sb);
    if (sa_launch_verify(sb->child.pid, &why) < 0 ||
        check_required(sb->required, sb->in_force, &native->host, &why) < 0) {
        fail(sb, &why);
        return;
    }
    uv_timer_stop(&sb->timer);
    watch_memory(sb);
    sb->state = RUNNING;
    sb->create_pending = false;
    int link = sa_steal_fd(&sb->link);
    native->events->created(native->owner, sb->id, sb->create_call, link, sb->in_force);
    close(link);
    want_spares(native);
}

static void take_report(struct sandbox *sb, const struct sa_report *report, int *listener)
{
    struct sa_error why = {0};
    if (report->step < sa_step_count() || *listener < 0) {
        sa_error_sys(&why, SA_ECONTROL, report->error, "the step %s failed",
                     sa_step_name(report->step));
        snprintf(why.path, sizeof why.path, "%s", sa_step_name(report->step));
        fail(sb, &why);
        return;
    }
    sb->reported = true;
    sb->in_force |= report->in_force;
    sb->notify = sa_notify_start(sb->native->loop, sa_steal_fd(listener), on_denied, sb);
}

static void on_setup(uv_poll_t *poll, int status, int events)
{
    struct sandbox *sb = poll->data;
    struct sa_report report = {0};
    int fds[SA_FDS_MAX];
    size_t count = 0;
    (void)events;
    ssize_t n = status < 0 ? 0
                           : sa_recv_fds(sb->child.setup, &report, sizeof report, fds, &count,
                                         MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    sa_autoclose int listener = count > 0 ? fds[0] : -1;
    if (sb->state == STARTING && n == sizeof report && !sb->reported)
        take_report(sb, &report, &listener);
    else if (sb->state == STARTING && n == sizeof report && report.step < sa_step_count())
        take_report(sb, &report, &listener); /* exec failed after all */
    else if (sb->state == STARTING && n == 0 && sb->reported)
        started(sb);
    else if (n <= 0)
        uv_poll_stop(poll); /* it died; on_death says how */
}

static void watch(struct sandbox *sb)
{
    uv_loop_t *loop = sb->native->loop;
    uv_poll_init(loop, &sb->setup_poll, sb->child.setup);
    uv_poll_init(loop, &sb->death_poll, sb->child.pidfd);
    uv_timer_init(loop, &sb->timer);
    sb->setup_poll.data = sb->death_poll.data = sb->timer.data = sb;
    sb->handles = 3;
    uv_poll_start(&sb->setup_poll, UV_READABLE, on_setup);
    uv_poll_start(&sb->death_poll, UV_READABLE, on_death);
    uv_timer_start(&sb->timer, on_timer, START_TIMEOUT_MS, 0);
}

static sa_controls group_controls(const struct sa_native *native)
{
    const sa_controls mask =
        sa_control_bit(SA_C_CGROUP_MEMORY) | sa_control_bit(SA_C_CGROUP_PIDS) |
        sa_control_bit(SA_C_CGROUP_CPU) | sa_control_bit(SA_C_CGROUP_FREEZER) |
        sa_control_bit(SA_C_RLIMIT_NPROC) | sa_control_bit(SA_C_RLIMIT_MEMORY) |
        sa_control_bit(SA_C_WATCHDOG_MEMORY);
    return native->host.can & mask;
}

/* Groups, limits, link and order for a child that waits for them. */
static int confine(struct sandbox *sb, const struct sa_node_spec *spec, struct sa_error *err)
{
    struct sa_native *native = sb->native;
    const struct sa_cgroup_limits limits = {.memory_bytes = spec->memory_bytes,
                                            .pids = spec->pids,
                                            .cpu_millicores = spec->cpu_millicores};
    struct sa_groups groups = {.birth = -1};
    int rc = 0;
    if (!sb->child.group[0])
        rc = make_groups(native, sb->id, &sb->child, &groups, err);
    else if (sa_cgroup_rename(native->groups, sb->child.group, sb->id))
        memcpy(sb->child.group, sb->id, sizeof sb->child.group);
    if (rc == 0)
        rc = sa_cgroup_limit(native->groups, sb->child.group, &limits, err);
    if (rc == 0)
        rc = sa_launch_order(&native->host, &sb->child, spec,
                             sa_controls_has(native->host.can, SA_C_RLIMIT_NPROC),
                             sa_controls_has(native->host.can, SA_C_RLIMIT_MEMORY), &groups,
                             &sb->link, err);
    close_groups(&groups);
    sb->in_force |= group_controls(native);
    return rc;
}

static int admit(struct sa_native *native, const struct sa_node_spec *spec, sa_controls *required,
                 struct sa_error *err)
{
    struct sandbox *twin;
    if (native->stopping)
        return sa_error_set(err, SA_EUNAVAILABLE, "the node is stopping");
    HASH_FIND_STR(native->sandboxes, spec->id, twin);
    if (twin)
        return sa_error_set(err, SA_ECONFLICT, "a sandbox %s exists", spec->id);
    *required = 0;
    for (size_t i = 0; i < spec->require_count; i++) {
        int control = sa_control_find(spec->require[i]);
        if (control < 0)
            return sa_error_at(err, SA_ECONTROL, spec->require[i], "no control is called %s",
                               spec->require[i]);
        *required |= sa_control_bit((enum sa_control)control);
    }
    /* Fail closed: with the privilege to have them, these are not optional. */
    if (native->host.root)
        *required |= sa_control_bit(SA_C_CGROUP_MEMORY) | sa_control_bit(SA_C_CGROUP_PIDS) |
                     sa_control_bit(SA_C_CGROUP_CPU);
    return check_required(*required, native->host.can, &native->host, err);
}

int sa_native_create(struct sa_native *native, const struct sa_node_spec *spec, uint32_t call,
                     struct sa_error *err)
{
    struct sa_child_handle child;
    sa_controls required = 0;
    struct sa_error why = {0};
    if (admit(native, spec, &required, err) < 0 || take_child(native, spec->id, &child, err) < 0)
        return -1;
    struct sandbox *sb = sa_alloc(sizeof *sb);
    memcpy(sb->id, spec->id, sizeof sb->id);
    sb->native = native;
    sb->child = child;
    sb->create_call = call;
    sb->create_pending = true;
    sb->required = required;
    sb->memory_bytes = spec->memory_bytes;
    sb->link = sb->oom_fd = -1;
    HASH_ADD_STR(native->sandboxes, id, sb);
    watch(sb);
    if (confine(sb, spec, &why) < 0)
        fail(sb, &why);
    else
        watch_oom(sb);
    return 0;
}

bool sa_native_destroy(struct sa_native *native, const char *id, uint32_t call)
{
    struct sandbox *sb;
    struct sa_error why = {0};
    HASH_FIND_STR(native->sandboxes, id, sb);
    if (!sb)
        return false;
    if (sb->destroy_count < CALLS_MAX)
        sb->destroy_calls[sb->destroy_count++] = call;
    sa_error_set(&why, SA_ECANCELED, "the sandbox was destroyed while it started");
    if (sb->create_pending)
        fail(sb, &why);
    else
        kill_sandbox(sb);
    return true;
}

/* ---- asking ---- */

static struct sandbox *running(struct sa_native *native, const char *id, struct sa_error *err)
{
    struct sandbox *sb;
    HASH_FIND_STR(native->sandboxes, id, sb);
    if (sb && sb->state == RUNNING)
        return sb;
    sa_error_set(err, SA_ENOTFOUND, "no sandbox %s is running", id);
    return NULL;
}

int sa_native_stats(struct sa_native *native, const char *id, struct sa_native_stats *stats,
                    struct sa_error *err)
{
    struct sandbox *sb = running(native, id, err);
    if (!sb)
        return -1;
    *stats = (struct sa_native_stats){-1, -1, -1, -1, -1, -1, -1, -1};
    look_for_oom(sb);
    stats->oom_kills = sb->oom_kills;
    if (sb->pid_namespace) {
        stats->memory_used = sb->watched_bytes;
        stats->memory_peak = sb->watched_peak;
        stats->memory_limit = sb->memory_bytes;
        stats->processes = sb->watched_processes;
    }
    sa_cgroup_stats(native->groups, sb->child.group, stats);
    return 0;
}

int sa_native_freeze(struct sa_native *native, const char *id, bool frozen, struct sa_error *err)
{
    struct sandbox *sb = running(native, id, err);
    if (!sb)
        return -1;
    return sa_cgroup_freeze(native->groups, sb->child.group, frozen, err);
}

sa_controls sa_native_controls(const struct sa_native *native)
{
    return native->host.can;
}

const char *sa_native_weaker(const struct sa_native *native, enum sa_control control)
{
    return native->host.weaker[control];
}

size_t sa_native_count(const struct sa_native *native)
{
    return HASH_COUNT(native->sandboxes);
}

/* ---- the whole ---- */

struct sa_native *sa_native_start(uv_loop_t *loop, const struct sa_native_options *options,
                                  const struct sa_native_events *events, void *owner,
                                  struct sa_error *err)
{
    struct sa_native *native = sa_alloc(sizeof *native);
    native->groups = sa_startup(&native->host, options, err);
    if (!native->groups) {
        sa_host_deinit(&native->host);
        free(native);
        return NULL;
    }
    native->loop = loop;
    native->events = events;
    native->owner = owner;
    native->spare_goal = options->spares;
    native->spares = sa_alloc((options->spares + 1) * sizeof *native->spares);
    uv_timer_init(loop, &native->refill);
    uv_timer_init(loop, &native->watchdog);
    native->refill.data = native->watchdog.data = native;
    want_spares(native);
    return native;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct sa_native *native = handle->data;
    native->timers_closed++;
    maybe_stopped(native);
}

void sa_native_stop(struct sa_native *native)
{
    struct sandbox *sb, *next;
    if (native->stopping)
        return;
    native->stopping = true;
    while (native->spare_count)
        discard_child(native, &native->spares[--native->spare_count]);
    HASH_ITER(hh, native->sandboxes, sb, next)
        kill_sandbox(sb);
    uv_close((uv_handle_t *)&native->refill, on_timer_closed);
    uv_close((uv_handle_t *)&native->watchdog, on_timer_closed);
}

void sa_native_free(struct sa_native *native)
{
    sa_cgroups_close(native->groups);
    sa_host_deinit(&native->host);
    free(native->spares);
    free(native);
}
