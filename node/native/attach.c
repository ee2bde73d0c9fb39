/* From one control plane to the next, and from one node to the next. */
#include "native/driver.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "native/folder.h"
#include "native/steps.h"
#include "native/sys.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- links ---- */

void sa_sandbox_facts(const struct sandbox *sb, struct sa_native_facts *facts)
{
    *facts =
        (struct sa_native_facts){.in_force = sb->in_force,
                                 .adopted = sb->adopted,
                                 .frozen = sa_cgroup_is_frozen(sb->native->groups, sb->child.group),
                                 .profile = sb->profile,
                                 .oom_kills = sa_sandbox_oom_counted(sb)};
}

int sa_native_facts(struct sa_native *native, const char *id, struct sa_native_facts *facts,
                    struct sa_error *err)
{
    struct sandbox *sb = sa_sandbox_running(native, id, err);
    if (!sb)
        return -1;
    sa_sandbox_facts(sb, facts);
    return 0;
}

static int attach(struct sandbox *sb, int *link, struct sa_native_facts *facts,
                  struct sa_error *err)
{
    *link = sa_door_hand_in(sb->native->host.folder, sb->id, err);
    if (*link < 0)
        return -1;
    sa_failpoint("node.attach");
    sa_memory_look(sb);
    sa_sandbox_facts(sb, facts);
    return 0;
}

void sa_sandbox_attach_over(struct sandbox *sb, const struct sa_error *why)
{
    struct sa_native *native = sb->native;
    struct sa_native_facts facts;
    struct sa_error own = {0};
    int link = -1;
    const uint32_t call = sb->attach_call;
    sb->attach_call = 0;
    if (!call)
        return;
    if (!why && attach(sb, &link, &facts, &own) == 0) {
        native->events->created(native->owner, sb->id, call, link, &facts);
        close(link);
    } else {
        native->events->failed(native->owner, sb->id, call, why ? why : &own);
    }
}

int sa_native_attach(struct sa_native *native, const char *id, uint32_t call, int *link,
                     struct sa_native_facts *facts, struct sa_error *err)
{
    struct sandbox *sb;
    struct sa_error another = {0};
    HASH_FIND_STR(native->sandboxes, id, sb);
    if (sb && sb->state == RUNNING)
        return attach(sb, link, facts, err);
    if (!sb || sb->state != STARTING)
        return sa_error_set(err, SA_ENOTFOUND, "no sandbox %s is running", id);
    sa_error_set(&another, SA_ECANCELED, "it was asked for again");
    sa_sandbox_attach_over(sb, &another);
    sb->attach_call = call;
    return 1;
}

/* ---- records ---- */

int sa_sandbox_record(struct sandbox *sb, const struct sa_cgroup_limits *limits,
                      const struct sa_known_profile *profile, struct sa_error *err)
{
    const struct sa_host *host = &sb->native->host;
    struct sa_record *record = &sb->record;
    *record =
        (struct sa_record){.pid = sb->child.pid,
                           .start = sa_process_start(sb->child.pid),
                           .uid_base = host->ranges ? host->uid_base : 0,
                           .slot = sb->child.slot,
                           .limits = *limits,
                           .in_force = sb->in_force | sa_steps_provide(host, &profile->context)};
    snprintf(record->id, sizeof record->id, "%s", sb->id);
    snprintf(record->group, sizeof record->group, "%s", sb->child.group);
    snprintf(record->profile, sizeof record->profile, "%s", sb->profile);
    snprintf(record->boot, sizeof record->boot, "%s", host->boot);
    return sa_folder_save(host->folder, record, err);
}

/* ---- adoption ---- */

/* Names of groups that are in use must not be given to spares. */
static void count_spare(struct sa_native *native, const char *group)
{
    static const char prefix[] = "spare-";
    if (strncmp(group, prefix, sizeof prefix - 1) != 0)
        return;
    const unsigned long number = strtoul(group + sizeof prefix - 1, NULL, 10);
    if (number >= native->spare_number && number < UINT_MAX)
        native->spare_number = (unsigned)number + 1;
}

static void watch(struct sandbox *sb)
{
    uv_loop_t *loop = sb->native->loop;
    uv_poll_init(loop, &sb->death_poll, sb->child.pidfd);
    uv_timer_init(loop, &sb->timer);
    uv_timer_init(loop, &sb->freeze_timer);
    sb->death_poll.data = sb->timer.data = sb->freeze_timer.data = sb;
    sb->handles = 3;
    uv_poll_start(&sb->death_poll, UV_READABLE, sa_sandbox_on_death);
}

static void adopt(struct sa_native *native, struct sa_found *found)
{
    const struct sa_record *r = &found->record;
    struct sandbox *sb = sa_alloc(sizeof *sb);
    sb->record = *r;
    memcpy(sb->id, r->id, sizeof sb->id);
    memcpy(sb->profile, r->profile, sizeof sb->profile);
    sb->native = native;
    sb->state = RUNNING;
    sb->adopted = sb->reported = true;
    sb->child = (struct sa_child_handle){.pid = (pid_t)r->pid,
                                         .pidfd = sa_steal_fd(&found->pidfd),
                                         .setup = -1,
                                         .slot = (int)r->slot};
    memcpy(sb->child.group, r->group, sizeof sb->child.group);
    sb->in_force = r->in_force & ~sa_control_bit(SA_C_SECCOMP_NOTIFY);
    sb->memory_bytes = r->limits.memory_bytes;
    sb->link = sb->oom_fd = -1;
    native->slots[r->slot] = 1;
    count_spare(native, r->group);
    sa_sandbox_add(sb);
    watch(sb);
    const int64_t kills = sa_cgroup_oom_kills(native->groups, sb->child.group);
    sb->oom_kills = sb->oom_known = kills > 0 ? kills : 0;
    sa_memory_watch(sb);
    sa_memory_watch_group(sb);
}

void sa_native_adopt(struct sa_native *native, struct sa_found_list *found)
{
    sa_failpoint("node.adopt.found");
    for (size_t i = 0; i < found->count; i++) {
        adopt(native, &found->items[i]);
        sa_failpoint("node.adopt.one");
    }
    sa_found_deinit(found);
    sa_failpoint("node.adopt.done");
}
