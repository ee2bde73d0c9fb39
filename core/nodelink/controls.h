/*
 * The controls that a sandbox can be under, as a set, and their names on the wire
 * (SA_NODE_CONTROL, SA_NODE_WEAKER, SA_NODE_REQUIRE). A control is listed for a sandbox only
 * when the step that provides it has succeeded; what can be looked up afterwards (capabilities,
 * no_new_privs, seccomp) is looked up in /proc.
 */
#ifndef SA_NODELINK_CONTROLS_H
#define SA_NODELINK_CONTROLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sa_control {
    SA_C_USERNS,
    SA_C_USERNS_RANGE,  /* 65536 host ids of its own */
    SA_C_USERNS_LIMITS, /* no further namespaces: /proc/sys/user/max_*_namespaces is 0 */
    SA_C_MOUNTNS,
    SA_C_PIDNS,
    SA_C_NETNS,
    SA_C_IPCNS,
    SA_C_UTSNS,
    SA_C_CGROUPNS,
    SA_C_ROOTFS_READONLY,
    SA_C_ROOTFS_PRIVATE, /* nobody else's watches and locks reach its files */
    SA_C_PROC_MASKED,
    SA_C_TMPFS_SIZE,
    SA_C_TMPFS_INODES,
    SA_C_CAPABILITIES, /* every set empty, the bounding set too */
    SA_C_NO_NEW_PRIVS,
    SA_C_SECCOMP,
    SA_C_SECCOMP_NOTIFY,
    SA_C_LANDLOCK,
    SA_C_LANDLOCK_SCOPE, /* no abstract Unix sockets of outside */
    SA_C_CGROUP_MEMORY,
    SA_C_CGROUP_PIDS,
    SA_C_CGROUP_CPU,
    SA_C_CGROUP_FREEZER,
    SA_C_RLIMIT_NPROC,
    SA_C_RLIMIT_MEMORY,
    SA_C_WATCHDOG_MEMORY,
    SA_CONTROL_COUNT
};

typedef uint32_t sa_controls; /* bit 1 << enum sa_control */

static inline sa_controls sa_control_bit(enum sa_control control)
{
    return (sa_controls)1 << control;
}
static inline bool sa_controls_has(sa_controls set, enum sa_control control)
{
    return set & sa_control_bit(control);
}

/* "cgroup.memory" and so on; static. */
const char *sa_control_name(enum sa_control control);
/* The control of that name, or -1. */
int sa_control_find(const char *name);
/* All of them, separated by ", "; at most `size` bytes. */
void sa_control_list(char *text, size_t size);

#endif
