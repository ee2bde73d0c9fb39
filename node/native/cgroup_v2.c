/* Version 2 of control groups (Documentation/admin-guide/cgroup-v2.rst). */
#include "base/cleanup.h"
#include "native/cgroup_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int limit(int fd, const char *id, enum sa_controller controller,
                 const struct sa_cgroup_limits *limits, struct sa_error *err)
{
    char text[64];
    int64_t quota_us, period_us;
    switch (controller) {
    case SA_CG_MEMORY:
        snprintf(text, sizeof text, "%" PRId64, limits->memory_bytes);
        if (sa_cgroup_write(fd, id, "memory.max", text, err) < 0)
            return -1;
        /* No such file on a host without swap accounting. The kernel kills single processes:
         * memory.oom.group stays 0, so that PID 1 lives to tell. */
        sa_cgroup_write(fd, id, "memory.swap.max", "0", NULL);
        return 0;
    case SA_CG_CPU:
        sa_cgroup_cpu_quota(limits->cpu_millicores, &quota_us, &period_us);
        snprintf(text, sizeof text, "%" PRId64 " %" PRId64, quota_us, period_us);
        return sa_cgroup_write(fd, id, "cpu.max", text, err);
    case SA_CG_PIDS:
        snprintf(text, sizeof text, "%" PRId64, limits->pids);
        return sa_cgroup_write(fd, id, "pids.max", text, err);
    default:
        return 0;
    }
}

static void stats(int fd, const char *id, enum sa_controller controller, struct sa_native_stats *s)
{
    switch (controller) {
    case SA_CG_MEMORY:
        s->memory_used = sa_cgroup_number(fd, id, "memory.current");
        s->memory_peak = sa_cgroup_number(fd, id, "memory.peak"); /* 5.19 */
        s->memory_limit = sa_cgroup_number(fd, id, "memory.max");
        break;
    case SA_CG_PIDS:
        s->processes = sa_cgroup_number(fd, id, "pids.current");
        s->pids_limit = sa_cgroup_number(fd, id, "pids.max");
        break;
    case SA_CG_CPU:
        s->throttled_us = sa_cgroup_keyed(fd, id, "cpu.stat", "throttled_usec");
        break;
    case SA_CG_CPUACCT: /* every group counts time, controller or not */
        s->cpu_us = sa_cgroup_keyed(fd, id, "cpu.stat", "usage_usec");
        break;
    default:
        break;
    }
}

/* A write to memory.peak (6.12) is forgotten with the descriptor that it was made on. */
static bool forget_peak(int fd, const char *id)
{
    (void)fd;
    (void)id;
    return false;
}

static int freeze(int fd, const char *id, bool frozen, struct sa_error *err)
{
    return sa_cgroup_write(fd, id, "cgroup.freeze", frozen ? "1" : "0", err);
}

static bool is_frozen(int fd, const char *id)
{
    return sa_cgroup_keyed(fd, id, "cgroup.events", "frozen") == 1;
}

/* memory.events raises a poll event (POLLPRI) when one of its numbers changes. */
static int oom_watch(int fd, const char *id, bool *priority)
{
    char path[96], text[512];
    snprintf(path, sizeof path, "%s/memory.events", id);
    sa_autoclose int events = openat(fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    /* The first read arms it (kernfs tells of changes since the last read). */
    if (events < 0 || read(events, text, sizeof text) < 0)
        return -1;
    *priority = true;
    return sa_steal_fd(&events);
}

static int64_t oom_kills(int fd, const char *id)
{
    return sa_cgroup_keyed(fd, id, "memory.events", "oom_kill");
}

const struct sa_cgroup_version sa_cgroup_v2 = {limit,     stats,     forget_peak, freeze,
                                               is_frozen, oom_watch, oom_kills};
