#include "restore.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { LIST_BYTES_MAX = 64 * 1024 }; /* XATTR_LIST_MAX */

int sa_restore_mode(int fd, uint32_t mode)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return chmod(path, mode & 07777);
}

/* Where there were none, there shall be none; others are compared, and stay. */
static int remove_attrs(int fd, const char *path)
{
    char probe[1];
    ssize_t n = fd >= 0 ? flistxattr(fd, probe, 0) : llistxattr(path, probe, 0);
    if (n < 0 && errno == ENOTSUP)
        return 0;
    if (n <= 0)
        return (int)n;
    sa_autofree char *list = sa_alloc(LIST_BYTES_MAX);
    n = fd >= 0 ? flistxattr(fd, list, LIST_BYTES_MAX) : llistxattr(path, list, LIST_BYTES_MAX);
    for (char *name = list; name < list + n; name += strlen(name) + 1)
        if ((fd >= 0 ? fremovexattr(fd, name) : lremovexattr(path, name)) < 0)
            return -1;
    return n < 0 ? -1 : 0;
}

static int set_flags(int fd, uint32_t sealed)
{
    int flags;
    if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 || (uint32_t)flags == sealed)
        return 0;
    flags = (int)sealed;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static struct timespec spec(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    if (t.tv_nsec < 0) {
        t.tv_sec--;
        t.tv_nsec += 1000000000;
    }
    return t;
}

int sa_restore(int fd, int folder, const char *name, const struct sa_facts *sealed,
               const struct sa_facts *now)
{
    static const uint8_t none[SA_DIGEST_BYTES];
    const struct timespec times[2] = {spec(sealed->atime_ns), spec(sealed->mtime_ns)};
    char path[NAME_MAX + 40];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    if (memcmp(sealed->attrs, none, sizeof none) == 0 && remove_attrs(fd, path) < 0)
        return -1;
    if (set_flags(fd, sealed->flags) < 0)
        return -1;
    if (now->mode != sealed->mode && fchmodat(folder, name, sealed->mode & 07777, 0) < 0)
        return -1;
    /* Reading sets no time of access, but its owner can make it any that says something. */
    if ((now->mtime_ns != sealed->mtime_ns || now->atime_ns != sealed->atime_ns) &&
        utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    return 0;
}
