/* Steps about who the sandbox is and what it may: ids, capabilities, limits of processes. */
#include "base/cleanup.h"
#include "native/native.h"
#include "native/steps.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Become user 1000 with every capability of the new user namespace kept: the one that came is
 * not the namespace's root, so the kernel takes none away. Where only one id is mapped the
 * kernel has shut setgroups(2), and the groups of the caller stay (said in SA_NODE_WEAKER). */
int sa_step_ids(struct sa_child *child)
{
    if (child->host->ranges && syscall(SYS_setgroups, 0, NULL) < 0)
        return -1;
    if (syscall(SYS_setresgid, SA_NATIVE_UID, SA_NATIVE_UID, SA_NATIVE_UID) < 0)
        return -1;
    return (int)syscall(SYS_setresuid, SA_NATIVE_UID, SA_NATIVE_UID, SA_NATIVE_UID);
}

/* Every set is emptied and the ways back are locked (capabilities(7)). */
int sa_step_capabilities(struct sa_child *child)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}}, now[2];
    (void)child;
    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL && cap > 0)
                break; /* beyond the last one of this kernel */
            return -1;
        }
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -1;
    if (prctl(PR_SET_SECUREBITS,
              SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
              0, 0, 0) < 0)
        return -1;
    if (syscall(SYS_capset, &header, none) < 0 || syscall(SYS_capget, &header, now) < 0)
        return -1;
    if (now[0].permitted | now[1].permitted | now[0].effective | now[1].effective) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

int sa_step_no_new_privs(struct sa_child *child)
{
    (void)child;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* At most `most`, and at most what the node itself may have. */
static int lower(int resource, rlim_t soft, rlim_t most)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return -1;
    if (most < limit.rlim_max)
        limit.rlim_max = most;
    limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &limit);
}

int sa_step_rlimits(struct sa_child *child)
{
    const rlim_t mib = 1 << 20;
    const struct sa_context *context = &child->order.context;
    const rlim_t files = context->open_files, file = context->file_bytes;
    /* 1, not 0: only 1 keeps the kernel from starting the host's core-dump helper, if the pattern
     * names one (fs/coredump.c). The guard filter refuses to lower it (seccomp.c). */
    if (lower(RLIMIT_CORE, 1, 1) < 0 ||
        lower(RLIMIT_NOFILE, files < 1024 ? files : 1024, files) < 0 ||
        lower(RLIMIT_MEMLOCK, 8 * mib, 8 * mib) < 0 || lower(RLIMIT_MSGQUEUE, mib, mib) < 0 ||
        lower(RLIMIT_SIGPENDING, 4096, 4096) < 0 || lower(RLIMIT_NICE, 0, 0) < 0 ||
        lower(RLIMIT_RTPRIO, 0, 0) < 0 || lower(RLIMIT_STACK, 8 * mib, RLIM_INFINITY) < 0)
        return -1;
    /* PID 1 is not killed for it (SIGXFSZ from within its own namespace). */
    if (file && lower(RLIMIT_FSIZE, file, file) < 0)
        return -1;
    /* Counted by user and user namespace: in ours there is nobody else. */
    return context->pids ? lower(RLIMIT_NPROC, context->pids, context->pids) : 0;
}

/* Changing ids clears it (PR_SET_PDEATHSIG(2const)), so it is set at the start and again before the
 * order. A node that died in between shows as a closed setup socket. */
int sa_step_parent_death(struct sa_child *child)
{
    (void)child;
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}
