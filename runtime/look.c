#include "look.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    SLICE_BYTES = 256 * 1024,
    READ_BYTES = 128 * 1024,
    ATTRS_BYTES_MAX = 1024 * 1024, /* names and values of one entry */
    VALUE_BYTES_MAX = 64 * 1024,   /* XATTR_SIZE_MAX */
};

static int64_t nanoseconds(struct statx_timestamp t)
{
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int sa_look_stat(int folder, const char *name, struct sa_facts *facts)
{
    struct statx st;
    if (statx(folder, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] ? 0 : AT_EMPTY_PATH),
              STATX_BASIC_STATS, &st) < 0)
        return -1;
    *facts = (struct sa_facts){
        .mode = st.stx_mode,
        .uid = st.stx_uid,
        .gid = st.stx_gid,
        .links = st.stx_nlink,
        .dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
        .ino = st.stx_ino,
        .size = st.stx_size,
        .blocks = st.stx_blocks,
        .rdev = (uint64_t)st.stx_rdev_major << 32 | st.stx_rdev_minor,
        .atime_ns = nanoseconds(st.stx_atime),
        .mtime_ns = nanoseconds(st.stx_mtime),
        .ctime_ns = nanoseconds(st.stx_ctime),
    };
    return 0;
}

int sa_look_open(int folder, const char *name, struct sa_facts *f)
{
    const mode_t mode = f->mode & 07777;
    int flags = O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    errno = 0;
    if (!S_ISREG(f->mode) && !S_ISDIR(f->mode))
        return -1;
    if (S_ISDIR(f->mode))
        flags |= O_DIRECTORY;
    int fd = openat(folder, name, flags);
    if (fd >= 0 || errno != EACCES || fchmodat(folder, name, 0700, 0) < 0)
        return fd;
    fd = openat(folder, name, flags);
    int error = errno;
    if (fchmodat(folder, name, mode, 0) == 0 && sa_look_stat(folder, name, f) == 0 && fd >= 0)
        return fd;
    if (fd >= 0) {
        error = errno;
        close(fd);
    }
    errno = error;
    return -1;
}

/* --- extended attributes --- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct attrs {
    const char *path; /* for what cannot be opened; else fd */
    int fd;
    char *value;
    size_t bytes;
    struct sa_digest digest;
};

static int add_attr(struct attrs *a, const char *name)
{
    ssize_t n = a->fd >= 0 ? fgetxattr(a->fd, name, a->value, VALUE_BYTES_MAX)
                           : lgetxattr(a->path, name, a->value, VALUE_BYTES_MAX);
    if (n < 0)
        return -1;
    a->bytes += (size_t)n + strlen(name);
    if (a->bytes > ATTRS_BYTES_MAX) {
        errno = E2BIG;
        return -1;
    }
    uint64_t length = (uint64_t)n;
    sa_digest_add(&a->digest, name, strlen(name) + 1);
    sa_digest_add(&a->digest, &length, sizeof length);
    sa_digest_add(&a->digest, a->value, (size_t)n);
    return 0;
}

static int add_attrs(struct attrs *a, char *list, size_t length, uint8_t out[SA_DIGEST_BYTES])
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += list[i] == '\0';
    sa_autofree char **names = sa_alloc((count + 1) * sizeof *names);
    sa_autofree char *value = sa_alloc(VALUE_BYTES_MAX);
    char *p = list;
    for (size_t i = 0; i < count; i++, p += strlen(p) + 1)
        names[i] = p;
    qsort(names, count, sizeof *names, by_text);
    a->value = value;
    sa_digest_init(&a->digest);
    for (size_t i = 0; i < count; i++)
        if (add_attr(a, names[i]) < 0)
            return -1;
    sa_digest_end(&a->digest, out);
    return 0;
}

static int look_at_attrs(struct attrs *a, uint8_t out[SA_DIGEST_BYTES])
{
    char probe[1];
    /* Asked for nothing, the kernel tells how much there is: most often, nothing. */
    ssize_t n = a->fd >= 0 ? flistxattr(a->fd, probe, 0) : llistxattr(a->path, probe, 0);
    memset(out, 0, SA_DIGEST_BYTES);
    if (n < 0 && errno == ENOTSUP)
        return 0;
    if (n <= 0)
        return (int)n;
    sa_autofree char *list = sa_alloc((size_t)n + 1);
    n = a->fd >= 0 ? flistxattr(a->fd, list, (size_t)n) : llistxattr(a->path, list, (size_t)n);
    return n < 0 ? -1 : add_attrs(a, list, (size_t)n, out);
}

static int look_at_link(int folder, const char *name, struct sa_facts *f)
{
    char target[PATH_MAX];
    struct sa_digest digest;
    ssize_t n = readlinkat(folder, name, target, sizeof target);
    if (n < 0)
        return -1;
    sa_digest_init(&digest);
    sa_digest_add(&digest, target, (size_t)n);
    sa_digest_end(&digest, f->content);
    return 0;
}

int sa_look_closer(int fd, int folder, const char *name, struct sa_facts *f)
{
    char path[NAME_MAX + 40];
    struct attrs attrs = {.fd = fd, .path = path};
    int flags;
    f->flags = fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 ? (uint32_t)flags : 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    if (S_ISLNK(f->mode) && look_at_link(folder, name, f) < 0)
        return -1;
    return look_at_attrs(&attrs, f->attrs);
}

/* --- judging --- */

bool sa_look_is_fixed(const struct sa_facts *f)
{
    /* The group's bits bound those of an access control list, too. */
    return f->uid != geteuid() && !(f->mode & 022);
}

bool sa_look_is_closed(const struct sa_facts *f)
{
    return !(f->mode & 0222);
}

const char *sa_look_difference(const struct sa_facts *a, const struct sa_facts *b)
{
    if ((a->mode & S_IFMT) != (b->mode & S_IFMT) || a->rdev != b->rdev)
        return "its type";
    if (a->mode != b->mode)
        return "its permissions";
    if (a->uid != b->uid || a->gid != b->gid)
        return "its owner";
    if (a->links != b->links)
        return "the number of its hard links";
    if (a->size != b->size)
        return "its size";
    if (a->blocks != b->blocks)
        return "the space that it takes";
    if (a->flags != b->flags)
        return "its inode flags";
    if (a->mtime_ns != b->mtime_ns)
        return "its time of modification";
    if (memcmp(a->attrs, b->attrs, sizeof a->attrs) != 0)
        return "its extended attributes";
    if (memcmp(a->content, b->content, sizeof a->content) != 0)
        return "its contents";
    return NULL;
}

/* --- bytes --- */

void sa_reader_begin(struct sa_reader *r, int fd, int64_t size)
{
    *r = (struct sa_reader){.fd = fd, .size = size};
    sa_digest_init(&r->digest);
    sa_digest_add(&r->digest, &size, sizeof size);
}

void sa_reader_deinit(struct sa_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

/* The next stretch of data from `end`: 1, 0 when there is none, -1 with errno. */
static int next_data(struct sa_reader *r)
{
    int64_t place[2];
    place[0] = lseek(r->fd, r->end, SEEK_DATA);
    if (place[0] < 0)
        return errno == ENXIO ? 0 : -1;
    place[1] = lseek(r->fd, place[0], SEEK_HOLE);
    if (place[1] < 0)
        return -1;
    r->at = place[0];
    r->end = place[1];
    sa_digest_add(&r->digest, place, sizeof place);
    return 1;
}

int sa_reader_step(struct sa_reader *r, uint8_t out[SA_DIGEST_BYTES])
{
    static char buffer[READ_BYTES];
    for (int64_t left = SLICE_BYTES; left > 0;) {
        int more = r->at < r->end ? 1 : next_data(r);
        if (more < 0)
            return -1;
        if (!more) {
            sa_digest_end(&r->digest, out);
            sa_reader_deinit(r);
            return 1;
        }
        int64_t want = r->end - r->at < READ_BYTES ? r->end - r->at : READ_BYTES;
        ssize_t n = pread(r->fd, buffer, (size_t)want, r->at);
        if (n <= 0) {
            errno = n ? errno : EIO; /* it became shorter */
            return -1;
        }
        sa_digest_add(&r->digest, buffer, (size_t)n);
        r->at += n;
        r->bytes += n;
        left -= n;
    }
    return 0;
}
