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
 * One that an earlier node left begins as RUNNING.
 *
 * PID 1 is the only thing to wait for: the kernel kills everything in a pid namespace before its
 * first process is reaped, and mounts, network and the rest go with the last process.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/fdio.h"
#include "native/driver.h"
#include "native/folder.h"
#include "native/startup.h"
#include "native/steps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- starting ---- */

void sa_sandbox_add(struct sandbox *sb)
{
    struct sa_native *native = sb->native;
    sb->number = ++native->last_number;
    HASH_ADD_STR(native->sandboxes, id, sb);
}

static void on_denied(void *owner, const struct sa_native_denial *denial)
{
    struct sandbox *sb = owner;
    sb->native->events->denied(sb->native->owner, sb->id, denial);
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
    sa_sandbox_close_setup(sb);
    if (sa_launch_verify(sb->child.pid, &why) < 0 ||
        check_required(sb->required, sb->in_force, &native->host, &why) < 0) {
        sa_sandbox_fail(sb, &why);
        return;
    }
    uv_timer_stop(&sb->timer);
    sa_memory_watch(sb);
    sb->state = RUNNING;
    sb->create_pending = false;
    int link = sa_steal_fd(&sb->link);
    struct sa_native_facts facts;
    sa_sandbox_facts(sb, &facts);
    sa_failpoint("node.create.created");
    native->events->created(native->owner, sb->id, sb->create_call, link, &facts);
    close(link);
    sa_sandbox_attach_over(sb, NULL);
    sa_spares_want(native);
}

static void take_report(struct sandbox *sb, const struct sa_report *report, int *listener)
{
    struct sa_error why = {0};
    if (report->step < sa_step_count() || *listener < 0) {
        sa_error_sys(&why, SA_ECONTROL, report->error, "the step %s failed",
                     sa_step_name(report->step));
        snprintf(why.path, sizeof why.path, "%s", sa_step_name(report->step));
        sa_sandbox_fail(sb, &why);
        return;
    }
    sb->reported = true;
    sb->in_force |= report->in_force;
    sb->notify = sa_notify_start(sb->native->loop, sa_steal_fd(listener), on_denied, sb);
}

/* Reads one message of the setup socket and heeds it; what recvmsg(2) returned. */
static ssize_t read_report(struct sandbox *sb)
{
    struct sa_report report = {0};
    int fds[SA_FDS_MAX];
    size_t count = 0;
    ssize_t n = sa_recv_fds(sb->child.setup, &report, sizeof report, fds, &count, MSG_DONTWAIT);
    sa_autoclose int listener = n > 0 && count > 0 ? fds[0] : -1;
    if (sb->state != STARTING || n != sizeof report)
        return n;
    if (!sb->reported || report.step < sa_step_count()) /* the latter: exec failed after all */
        take_report(sb, &report, &listener);
    return n;
}

static void on_setup(uv_poll_t *poll, int status, int events)
{
    struct sandbox *sb = poll->data;
    (void)events;
    ssize_t n = status < 0 ? 0 : read_report(sb);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    if (n == 0 && status >= 0 && sb->state == STARTING && sb->reported)
        started(sb);
    else
        uv_poll_stop(poll); /* it died; sa_sandbox_on_death says how */
}

void sa_sandbox_last_words(struct sandbox *sb)
{
    while (sb->child.setup >= 0 && sb->state == STARTING && read_report(sb) > 0)
        ;
}

static void watch(struct sandbox *sb)
{
    uv_loop_t *loop = sb->native->loop;
    uv_poll_init(loop, &sb->setup_poll, sb->child.setup);
    uv_poll_init(loop, &sb->death_poll, sb->child.pidfd);
    uv_timer_init(loop, &sb->timer);
    uv_timer_init(loop, &sb->freeze_timer);
    sb->setup_poll.data = sb->death_poll.data = sb->timer.data = sb->freeze_timer.data = sb;
    sb->handles = 4;
    uv_poll_start(&sb->setup_poll, UV_READABLE, on_setup);
    uv_poll_start(&sb->death_poll, UV_READABLE, sa_sandbox_on_death);
    uv_timer_start(&sb->timer, sa_sandbox_on_timer, START_TIMEOUT_MS, 0);
}

static sa_controls group_controls(const struct sa_native *native)
{
    const sa_controls mask = sa_control_bit(SA_C_CGROUP_MEMORY) | sa_control_bit(SA_C_CGROUP_PIDS) |
                             sa_control_bit(SA_C_CGROUP_CPU) | sa_control_bit(SA_C_CGROUP_FREEZER) |
                             sa_control_bit(SA_C_RLIMIT_NPROC) |
                             sa_control_bit(SA_C_RLIMIT_MEMORY) |
                             sa_control_bit(SA_C_WATCHDOG_MEMORY);
    return native->host.can & mask;
}

/* Groups, limits, door and order for a child that waits for them, its record, and its first link.
 */
static int confine(struct sandbox *sb, const struct sa_node_spec *asked,
                   const struct sa_known_profile *profile, struct sa_error *err)
{
    struct sa_native *native = sb->native;
    struct sa_node_spec limited = *asked;
    const struct sa_node_spec *spec = &limited;
    if (profile->context.pids && (int64_t)profile->context.pids < limited.pids)
        limited.pids = (int64_t)profile->context.pids;
    const struct sa_cgroup_limits limits = {.memory_bytes = spec->memory_bytes,
                                            .pids = spec->pids,
                                            .cpu_millicores = spec->cpu_millicores};
    struct sa_groups groups = {.birth = -1};
    int rc = 0;
    sa_autoclose int door = -1;
    if (!sb->child.group[0])
        rc = sa_child_groups(native, sb->id, &sb->child, &groups, err);
    else if (sa_cgroup_rename(native->groups, sb->child.group, sb->id))
        memcpy(sb->child.group, sb->id, sizeof sb->child.group);
    if (rc == 0)
        rc = sa_cgroup_limit(native->groups, sb->child.group, &limits, err);
    sa_failpoint("node.create.groups");
    sb->in_force |= group_controls(native);
    if (rc == 0 && (door = sa_door_make(native->host.folder, sb->id)) < 0)
        rc = sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot make the door of a sandbox");
    sa_failpoint("node.create.door");
    if (rc == 0)
        rc = sa_launch_order(&native->host, &sb->child, spec, profile,
                             sa_controls_has(native->host.can, SA_C_RLIMIT_NPROC),
                             sa_controls_has(native->host.can, SA_C_RLIMIT_MEMORY), &groups, door,
                             err);
    sa_groups_close(&groups);
    sa_failpoint("node.create.order");
    if (rc == 0)
        rc = sa_sandbox_record(sb, &limits, profile, err);
    sa_failpoint("node.create.record");
    if (rc == 0) /* and with it the sandbox is its own */
        rc = (sb->link = sa_door_hand_in(native->host.folder, sb->id, err)) < 0 ? -1 : 0;
    sa_failpoint("node.create.link");
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
    const struct sa_known_profile *profile;
    if (admit(native, spec, &required, err) < 0 ||
        !(profile = sa_profiles_find(native->profiles, spec->profile, err)) ||
        sa_child_take(native, spec->id, &child, err) < 0)
        return -1;
    struct sandbox *sb = sa_alloc(sizeof *sb);
    memcpy(sb->id, spec->id, sizeof sb->id);
    sb->native = native;
    sb->child = child;
    sb->create_call = call;
    sb->create_pending = true;
    sb->required = required;
    memcpy(sb->profile, spec->profile, sizeof sb->profile);
    sb->memory_bytes = spec->memory_bytes;
    sb->link = sb->oom_fd = -1;
    sa_sandbox_add(sb);
    watch(sb);
    if (confine(sb, spec, profile, &why) < 0)
        sa_sandbox_fail(sb, &why);
    else
        sa_memory_watch_group(sb);
    return 0;
}

int sa_native_profile(struct sa_native *native, const struct sa_profile *profile, uint32_t call,
                      struct sa_error *err)
{
    if (native->stopping)
        return sa_error_set(err, SA_EUNAVAILABLE, "the node is stopping");
    return sa_profiles_add(native->profiles, profile, call, err);
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
        sa_sandbox_fail(sb, &why);
    else
        sa_sandbox_kill(sb);
    return true;
}

/* ---- asking ---- */

struct sandbox *sa_sandbox_running(struct sa_native *native, const char *id, struct sa_error *err)
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
    struct sandbox *sb = sa_sandbox_running(native, id, err);
    if (!sb)
        return -1;
    sa_sandbox_count(sb, stats);
    return 0;
}

int sa_native_recount(struct sa_native *native, const char *id, struct sa_native_stats *stats,
                      struct sa_error *err)
{
    struct sandbox *sb = sa_sandbox_running(native, id, err);
    if (!sb)
        return -1;
    return sa_sandbox_count_anew(sb, stats, err);
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

/* The table keeps them in the order in which they were added. */
size_t sa_native_list(const struct sa_native *native, const char **ids, size_t most,
                      uint64_t *place)
{
    size_t count = 0;
    for (const struct sandbox *sb = native->sandboxes; sb && count < most; sb = sb->hh.next) {
        if (sb->number <= *place || sb->state >= ENDING)
            continue;
        ids[count++] = sb->id;
        *place = sb->number;
    }
    return count;
}

uid_t sa_native_user(const struct sa_native *native, uid_t user)
{
    const uid_t unmapped = 65534; /* user_namespaces(7) */
    if (native->host.ranges)
        return user;
    return user == native->host.own_uid ? SA_NATIVE_UID : unmapped;
}

/* ---- the whole ---- */

static void on_profiled(void *owner, uint32_t call, const struct sa_error *why)
{
    struct sa_native *native = owner;
    native->events->profiled(native->owner, call, why);
}

static void on_profiles_closed(void *owner)
{
    struct sa_native *native = owner;
    native->profiles = NULL;
    sa_native_maybe_stopped(native);
}

/* Not at the start: the node that they belong to may come back first. */
static void on_strays(uv_timer_t *timer)
{
    struct sa_native *native = timer->data;
    if (!sa_cgroups_strays(native->groups, true))
        uv_timer_stop(timer);
}

struct sa_native *sa_native_start(uv_loop_t *loop, const struct sa_native_options *options,
                                  const struct sa_native_events *events, void *owner,
                                  struct sa_error *err)
{
    struct sa_native *native = sa_alloc(sizeof *native);
    struct sa_found_list found = {0};
    native->groups = sa_startup(&native->host, options, &found, err);
    if (!native->groups) {
        sa_found_deinit(&found);
        sa_host_deinit(&native->host);
        free(native);
        return NULL;
    }
    native->loop = loop;
    native->events = events;
    native->owner = owner;
    native->profiles = sa_profiles_new(loop, &native->host, on_profiled, native);
    native->spare_goal = options->spares;
    native->spares = sa_alloc((options->spares + 1) * sizeof *native->spares);
    uv_timer_init(loop, &native->refill);
    uv_timer_init(loop, &native->watchdog);
    uv_timer_init(loop, &native->strays);
    native->refill.data = native->watchdog.data = native->strays.data = native;
    if (sa_cgroups_strays(native->groups, false))
        uv_timer_start(&native->strays, on_strays, options->strays_ms, options->strays_ms);
    sa_native_adopt(native, &found);
    sa_spares_want(native);
    return native;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct sa_native *native = handle->data;
    native->timers_closed++;
    sa_native_maybe_stopped(native);
}

void sa_native_destroy_all(struct sa_native *native)
{
    struct sandbox *sb, *next;
    HASH_ITER (hh, native->sandboxes, sb, next)
        sa_sandbox_kill(sb);
}

void sa_native_stop(struct sa_native *native)
{
    if (native->stopping)
        return;
    native->stopping = true;
    while (native->spare_count)
        sa_child_discard(native, &native->spares[--native->spare_count]);
    sa_native_destroy_all(native);
    uv_close((uv_handle_t *)&native->refill, on_timer_closed);
    uv_close((uv_handle_t *)&native->watchdog, on_timer_closed);
    uv_close((uv_handle_t *)&native->strays, on_timer_closed);
    sa_profiles_stop(native->profiles, on_profiles_closed);
}

void sa_native_free(struct sa_native *native)
{
    sa_cgroups_close(native->groups);
    sa_host_deinit(&native->host);
    free(native->spares);
    free(native);
}
