/* System calls that the C library of Debian 12 does not wrap, and constants newer than its
 * headers. Each wrapper returns -1 and sets errno on failure. */
#ifndef SA_NATIVE_SYS_H
#define SA_NATIVE_SYS_H

#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#define MOUNT_ATTR_NOSUID 2
#define MOUNT_ATTR_NODEV 4
#define MOUNT_ATTR_NOEXEC 8
#endif

static inline pid_t sa_clone3(struct clone_args *args)
{
    return (pid_t)syscall(SYS_clone3, args, sizeof *args);
}

static inline int sa_pidfd_kill(int pidfd)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static inline int sa_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

/* Kernel 5.12. Add flags to a mount (and those below it). */
static inline int sa_mount_restrict(const char *path, uint64_t attributes, int recursive)
{
    struct {
        uint64_t attr_set, attr_clr, propagation, userns_fd;
    } attr = {.attr_set = attributes};
    return (int)syscall(442 /* mount_setattr */, -100 /* AT_FDCWD */, path,
                        recursive ? 0x8000 /* AT_RECURSIVE */ : 0, &attr, sizeof attr);
}

#endif
