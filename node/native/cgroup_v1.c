/* Version 1 of control groups (Documentation/admin-guide/cgroup-v1/{memory,pids,freezer}). */
#include "base/cleanup.h"
#include "native/cgroup_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

static int limit_memory(int fd, const char *id, int64_t bytes, struct sa_error *err)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, bytes);
    if (sa_cgroup_write(fd, id, "memory.limit_in_bytes", text, err) < 0)
        return -1;
    /* No swap: cap memory and swap together, or where that is not counted, do not swap out. */
    if (sa_cgroup_write(fd, id, "memory.memsw.limit_in_bytes", text, NULL) < 0)
        sa_cgroup_write(fd, id, "memory.swappiness", "0", NULL);
    /* Buffers of TCP and UDP count against no limit here until they have one of their own: over its
     * loopback a sandbox could hold all that the host has for sockets. */
    snprintf(text, sizeof text, "%" PRId64, bytes / 4);
    struct sa_error missing = {0};
    if (sa_cgroup_write(fd, id, "memory.kmem.tcp.limit_in_bytes", text, &missing) == 0 ||
        missing.code == SA_ENOTFOUND)
        return 0;
    if (err)
        *err = missing;
    return -1;
}

static int limit_cpu(int fd, const char *id, int64_t millicores, struct sa_error *err)
{
    int64_t quota_us, period_us;
    char text[32];
    sa_cgroup_cpu_quota(millicores, &quota_us, &period_us);
    if (period_us != 100000) { /* what a new group has */
        snprintf(text, sizeof text, "%" PRId64, period_us);
        if (sa_cgroup_write(fd, id, "cpu.cfs_period_us", text, err) < 0)
            return -1;
    }
    snprintf(text, sizeof text, "%" PRId64, quota_us);
    return sa_cgroup_write(fd, id, "cpu.cfs_quota_us", text, err);
}

static int limit(int fd, const char *id, enum sa_controller controller,
                 const struct sa_cgroup_limits *limits, struct sa_error *err)
{
    char text[32];
    switch (controller) {
    case SA_CG_MEMORY:
        return limit_memory(fd, id, limits->memory_bytes, err);
    case SA_CG_CPU:
        return limit_cpu(fd, id, limits->cpu_millicores, err);
    case SA_CG_PIDS:
        snprintf(text, sizeof text, "%" PRId64, limits->pids);
        return sa_cgroup_write(fd, id, "pids.max", text, err);
    default:
        return 0;
    }
}

static void stats(int fd, const char *id, enum sa_controller controller, struct sa_native_stats *s)
{
    int64_t n;
    switch (controller) {
    case SA_CG_MEMORY:
        s->memory_used = sa_cgroup_number(fd, id, "memory.usage_in_bytes");
        s->memory_peak = sa_cgroup_number(fd, id, "memory.max_usage_in_bytes");
        s->memory_limit = sa_cgroup_number(fd, id, "memory.limit_in_bytes");
        break;
    case SA_CG_PIDS:
        s->processes = sa_cgroup_number(fd, id, "pids.current");
        s->pids_limit = sa_cgroup_number(fd, id, "pids.max");
        break;
    case SA_CG_CPU:
        n = sa_cgroup_keyed(fd, id, "cpu.stat", "throttled_time"); /* nanoseconds */
        s->throttled_us = n < 0 ? -1 : n / 1000;
        break;
    case SA_CG_CPUACCT:
        n = sa_cgroup_number(fd, id, "cpuacct.usage"); /* nanoseconds */
        s->cpu_us = n < 0 ? -1 : n / 1000;
        break;
    default:
        break;
    }
}

/* memory.rst, section 5.4: it starts from what is used now. */
static bool forget_peak(int fd, const char *id)
{
    return sa_cgroup_write(fd, id, "memory.max_usage_in_bytes", "0", NULL) == 0;
}

static int freeze(int fd, const char *id, bool frozen, struct sa_error *err)
{
    return sa_cgroup_write(fd, id, "freezer.state", frozen ? "FROZEN" : "THAWED", err);
}

/* FREEZING until the last one is. */
static bool is_frozen(int fd, const char *id)
{
    char state[16];
    return sa_cgroup_text(fd, id, "freezer.state", state, sizeof state) &&
           strcmp(state, "FROZEN\n") == 0;
}

/* memory.rst, section 10: an eventfd that is registered with the group. */
static int oom_watch(int fd, const char *id, bool *priority)
{
    char path[96], text[32];
    snprintf(path, sizeof path, "%s/memory.oom_control", id);
    sa_autoclose int control = openat(fd, path, O_RDONLY | O_CLOEXEC);
    sa_autoclose int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(text, sizeof text, "%d %d", event, control);
    if (control < 0 || event < 0 || sa_cgroup_write(fd, id, "cgroup.event_control", text, NULL) < 0)
        return -1;
    *priority = false;
    return sa_steal_fd(&event);
}

static int64_t oom_kills(int fd, const char *id)
{
    return sa_cgroup_keyed(fd, id, "memory.oom_control", "oom_kill");
}

const struct sa_cgroup_version sa_cgroup_v1 = {limit,     stats,     forget_peak, freeze,
                                               is_frozen, oom_watch, oom_kills};
