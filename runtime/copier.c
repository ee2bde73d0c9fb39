#include "copier.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "entries.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

enum { SLICE_ENTRIES = 64, SLICE_BYTES = 1024 * 1024 };

/* A folder that is being copied. */
struct sa_copier_level {
    int from, to;
    struct stat st;
    size_t path_length; /* of copier->path, for this folder */
    struct sa_entries entries;
};

static int failed(const struct sa_copier *c, struct sa_error *err)
{
    if (errno == EINVAL || errno == ENXIO) /* it is of another type than it was a moment ago */
        return sa_error_at(err, SA_ECONFLICT, "path", "%.300s: changed while it was copied",
                           c->path);
    return sa_path_error(err, errno, c->path);
}

static int set_attributes(int fd, const struct stat *st)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};
    return fchmod(fd, st->st_mode & 0777) < 0 ? -1 : futimens(fd, times);
}

/* ---- a file ---- */

static int close_file(struct sa_copier *c)
{
    int rc = ftruncate(c->out, c->offset) < 0 ? -1 : set_attributes(c->out, &c->st);
    int error = errno;
    close(c->in);
    close(c->out);
    c->in = c->out = -1;
    errno = error;
    return rc;
}

/* The next piece, leaping over holes. 1: the file is whole, 0: there is more, -1 with errno. */
static int copy_piece(struct sa_copier *c)
{
    off_t data = lseek(c->in, c->offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) { /* nothing but a hole is left */
        c->offset = c->st.st_size > c->offset ? c->st.st_size : c->offset;
        return close_file(c) < 0 ? -1 : 1;
    }
    if (data >= 0)
        c->offset = data;
    if (lseek(c->in, c->offset, SEEK_SET) < 0 || lseek(c->out, c->offset, SEEK_SET) < 0)
        return -1;
    ssize_t n = sendfile(c->out, c->in, NULL, SLICE_BYTES); /* between any two file systems */
    if (n < 0)
        return errno == EINTR ? 0 : -1;
    c->offset += n;
    if (n == 0 || c->offset >= c->st.st_size) /* what grows meanwhile is not run after */
        return close_file(c) < 0 ? -1 : 1;
    return 0;
}

/* Takes over `in`. */
static int begin_file(struct sa_copier *c, int in, const struct stat *st, int folder,
                      const char *name)
{
    c->in = in;
    c->st = *st;
    c->offset = 0;
    c->out = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return c->out < 0 ? -1 : 0;
}

/* ---- folders ---- */

/* Takes over `from`. */
static int push(struct sa_copier *c, int from, const struct stat *st, int folder, const char *name)
{
    sa_autoclose int in = from;
    if (c->depth == SA_COPIER_DEPTH) {
        errno = ELOOP;
        return -1;
    }
    if (mkdirat(folder, name, 0700) < 0)
        return -1;
    int to = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0)
        return -1;
    struct sa_copier_level *level = sa_alloc(sizeof *level);
    level->from = sa_steal_fd(&in);
    level->to = to;
    level->st = *st;
    level->path_length = strlen(c->path);
    c->levels[c->depth++] = level;
    return 0;
}

static void pop(struct sa_copier *c)
{
    struct sa_copier_level *level = c->levels[--c->depth];
    close(level->from);
    close(level->to);
    free(level);
}

static int copy_link(int from, const char *from_name, int folder, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from, from_name, target, sizeof target - 1);
    if (n < 0)
        return -1;
    target[n] = '\0';
    return symlinkat(target, folder, name);
}

/* Begin with what is at from/from_name (from itself when it is ""), of which st was seen. Nothing
 * but files and folders is opened, whatever takes their place meanwhile. */
static int begin_entry(struct sa_copier *c, int from, const char *from_name, const struct stat *st,
                       int folder, const char *name, struct sa_error *err)
{
    struct stat now;
    char self[32];
    int fd;
    if (S_ISLNK(st->st_mode))
        return copy_link(from, from_name, folder, name) < 0 ? failed(c, err) : 0;
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return sa_error_at(err, SA_EINVALID, "path", "%.300s: is a %s, which cannot be copied",
                           c->path, sa_file_kind(st->st_mode));
    snprintf(self, sizeof self, "/proc/self/fd/%d", from);
    int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    fd = from_name[0] ? openat(from, from_name, flags | O_NOFOLLOW) : open(self, flags);
    if (fd < 0)
        return failed(c, err);
    if (fstat(fd, &now) < 0 || ((now.st_mode ^ st->st_mode) & S_IFMT)) {
        close(fd);
        return sa_error_at(err, SA_ECONFLICT, "path", "%.300s: changed while it was copied",
                           c->path);
    }
    int rc = S_ISDIR(now.st_mode) ? push(c, fd, &now, folder, name)
                                  : begin_file(c, fd, &now, folder, name);
    return rc < 0 ? failed(c, err) : 0;
}

/* The next entry of the innermost folder, or leave it. */
static int next_entry(struct sa_copier *c, struct sa_error *err)
{
    struct sa_copier_level *level = c->levels[c->depth - 1];
    struct stat st;
    const char *name = sa_entries_next(&level->entries, level->from);
    c->path[level->path_length] = '\0';
    if (!name) {
        int rc = level->entries.have < 0 ? -1 : set_attributes(level->to, &level->st);
        if (rc < 0)
            return failed(c, err);
        pop(c);
        return 0;
    }
    size_t room = sizeof c->path - level->path_length;
    int n = snprintf(c->path + level->path_length, room, "/%s", name);
    if (n < 0 || (size_t)n >= room) {
        errno = ENAMETOOLONG;
        return failed(c, err);
    }
    if (fstatat(level->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : failed(c, err); /* gone meanwhile */
    return begin_entry(c, level->from, name, &st, level->to, name, err);
}

/* ---- */

int sa_copier_begin(struct sa_copier *c, int from, const char *full, int to_folder,
                    const char *to_name, struct sa_error *err)
{
    struct stat st;
    *c = (struct sa_copier){.in = -1, .out = -1};
    snprintf(c->path, sizeof c->path, "%s", full);
    if (fstat(from, &st) < 0)
        return failed(c, err);
    if (begin_entry(c, from, "", &st, to_folder, to_name, err) < 0)
        return -1;
    return S_ISLNK(st.st_mode);
}

int sa_copier_step(struct sa_copier *c, struct sa_error *err)
{
    for (int i = 0; i < SLICE_ENTRIES; i++) {
        if (c->in >= 0) {
            int64_t before = c->offset;
            int result = copy_piece(c);
            if (result < 0)
                return failed(c, err);
            if (result == 0 && c->offset - before >= SLICE_BYTES)
                return 0;
        } else if (!c->depth) {
            return 1;
        } else if (next_entry(c, err) < 0) {
            return -1;
        }
    }
    return 0;
}

void sa_copier_deinit(struct sa_copier *c)
{
    while (c->depth)
        pop(c);
    if (c->in >= 0)
        close(c->in);
    if (c->out >= 0)
        close(c->out);
    c->in = c->out = -1;
}
