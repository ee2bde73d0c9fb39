/*
 * Control groups: for each sandbox a group of its id below `secureagent-<state>`, which lies
 * below the node's own group, in each hierarchy that has one of our controllers. Version 1 has a
 * hierarchy for each (sets of) controller(s), version 2 one for all, and a host may mix them
 * (Linux: Documentation/admin-guide/cgroup-v1, cgroup-v2.rst).
 *
 * Groups are reached by descriptors that are opened before the node leaves the host's mounts.
 */
#ifndef SA_NATIVE_CGROUP_H
#define SA_NATIVE_CGROUP_H

#include "base/error.h"
#include "native/host.h"
#include "native/native.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum sa_controller {
    SA_CG_MEMORY,
    SA_CG_PIDS,
    SA_CG_CPU,
    SA_CG_CPUACCT,
    SA_CG_FREEZER,
    SA_CG_COUNT
};

struct sa_cgroups;

struct sa_cgroup_limits {
    int64_t memory_bytes, pids, cpu_millicores;
};

/* Make the node's group where it may, remove what an earlier node of that name left, but groups
 * that are to be kept, and note in `host` which cgroup controls can be had. NULL only when the
 * earlier remains cannot be removed. */
typedef bool sa_cgroup_keep(const char *id, const void *context);
struct sa_cgroups *sa_cgroups_open(struct sa_host *host, const char *state, sa_cgroup_keep *keep,
                                   const void *context, struct sa_error *err);
/* Remove what is empty of the groups that nodes of other names left, which do not run any more.
 * `thaw`: also let go on what is frozen there, so that it notices that nobody has it, and ends.
 * True: some of it is left. */
bool sa_cgroups_strays(struct sa_cgroups *groups, bool thaw);
/* Is there a group called `id` wherever there must be one? */
bool sa_cgroup_exists(struct sa_cgroups *groups, const char *id);
/* Removes the node's groups when they are empty. NULL is allowed. */
void sa_cgroups_close(struct sa_cgroups *groups);

/*
 * How a process gets into its groups. Writing a pid to cgroup.procs makes the kernel stop every
 * fork and exit on the machine, behind an RCU grace period (milliseconds). So in version 2 the
 * child is born in its group (CLONE_INTO_CGROUP), and in version 1 it writes "0" to `tasks`
 * itself, which needs no lock as a single thread that moves itself cannot change meanwhile.
 */

/* True when children must be born in their group: then a spare has groups before it has an id. */
bool sa_cgroups_birth(const struct sa_cgroups *groups);
/* Make the groups called `id`. On failure what was made is removed. */
int sa_cgroup_make(struct sa_cgroups *groups, const char *id, struct sa_error *err);
/* On failure path names the control. */
int sa_cgroup_limit(struct sa_cgroups *groups, const char *id,
                    const struct sa_cgroup_limits *limits, struct sa_error *err);
/* The folder of version 2 for CLONE_INTO_CGROUP, or -1. */
int sa_cgroup_birth_fd(struct sa_cgroups *groups, const char *id);
/* The `tasks` files of version 1, open for writing; their number, or -1. */
enum { SA_CG_JOIN_MAX = SA_CG_COUNT };
int sa_cgroup_join_fds(struct sa_cgroups *groups, const char *id, int fds[SA_CG_JOIN_MAX],
                       struct sa_error *err);
/* Give a spare's groups the sandbox's name, where that can be done (version 1 alone): false, and
 * nothing is changed, elsewhere. */
bool sa_cgroup_rename(struct sa_cgroups *groups, const char *from, const char *to);
/* One try; true when nothing is left. False (EBUSY) for some milliseconds after the last process
 * has ended. */
bool sa_cgroup_remove(struct sa_cgroups *groups, const char *id);
/* SIGKILL to every process in it, and thaw. */
void sa_cgroup_kill(struct sa_cgroups *groups, const char *id);
/* Asks for it; processes stop, one by one, a little later. */
int sa_cgroup_freeze(struct sa_cgroups *groups, const char *id, bool frozen, struct sa_error *err);
bool sa_cgroup_is_frozen(struct sa_cgroups *groups, const char *id);
void sa_cgroup_stats(struct sa_cgroups *groups, const char *id, struct sa_native_stats *stats);

/* Have the kernel forget how much memory it had at most; false where it cannot. */
bool sa_cgroup_forget_peak(struct sa_cgroups *groups, const char *id);

/* A descriptor that becomes readable (v1, an eventfd) or has priority data (v2) when the group
 * is out of memory; -1 where that cannot be had. */
int sa_cgroup_oom_watch(struct sa_cgroups *groups, const char *id, bool *priority);
/* How many of its processes the kernel killed for memory, or -1. */
int64_t sa_cgroup_oom_kills(struct sa_cgroups *groups, const char *id);

/* Where a controller is, from the texts of /proc/self/mountinfo and /proc/self/cgroup: the
 * folder of this process's own group. Pure. False when it is nowhere; for version 2 the caller
 * checks cgroup.controllers. */
bool sa_cgroup_locate(const char *mountinfo, const char *cgroup, enum sa_controller controller,
                      char *path, size_t size, bool *version2);

#endif
