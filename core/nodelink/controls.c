/* Names of the controls. */
#include "nodelink/controls.h"

#include <stdio.h>
#include <string.h>

static const char *const names[SA_CONTROL_COUNT] = {
    [SA_C_USERNS] = "userns",
    [SA_C_USERNS_RANGE] = "userns.range",
    [SA_C_USERNS_LIMITS] = "userns.limits",
    [SA_C_MOUNTNS] = "mountns",
    [SA_C_PIDNS] = "pidns",
    [SA_C_NETNS] = "netns",
    [SA_C_IPCNS] = "ipcns",
    [SA_C_UTSNS] = "utsns",
    [SA_C_CGROUPNS] = "cgroupns",
    [SA_C_ROOTFS_READONLY] = "rootfs.readonly",
    [SA_C_ROOTFS_PRIVATE] = "rootfs.private",
    [SA_C_PROC_MASKED] = "proc.masked",
    [SA_C_TMPFS_SIZE] = "tmpfs.size",
    [SA_C_TMPFS_INODES] = "tmpfs.inodes",
    [SA_C_CAPABILITIES] = "capabilities",
    [SA_C_NO_NEW_PRIVS] = "no_new_privs",
    [SA_C_SECCOMP] = "seccomp",
    [SA_C_SECCOMP_NOTIFY] = "seccomp.notify",
    [SA_C_LANDLOCK] = "landlock",
    [SA_C_LANDLOCK_SCOPE] = "landlock.scope",
    [SA_C_CGROUP_MEMORY] = "cgroup.memory",
    [SA_C_CGROUP_PIDS] = "cgroup.pids",
    [SA_C_CGROUP_CPU] = "cgroup.cpu",
    [SA_C_CGROUP_FREEZER] = "cgroup.freezer",
    [SA_C_RLIMIT_NPROC] = "rlimit.nproc",
    [SA_C_RLIMIT_MEMORY] = "rlimit.memory",
    [SA_C_WATCHDOG_MEMORY] = "watchdog.memory",
};

const char *sa_control_name(enum sa_control control)
{
    return control < SA_CONTROL_COUNT ? names[control] : "?";
}

int sa_control_find(const char *name)
{
    for (int i = 0; i < SA_CONTROL_COUNT; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

void sa_control_list(char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < SA_CONTROL_COUNT && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", names[i]);
}
