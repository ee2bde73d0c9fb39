#include "path.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINKS_MAX = 40, RACES_MAX = 16 };

static const struct {
    int error;
    enum sa_code code;
    const char *text;
} path_errors[] = {
    {ENOENT, SA_ENOTFOUND, "there is no such file or folder"},
    {ENOTDIR, SA_ENOTFOUND, "a part of the path is not a folder"},
    {EISDIR, SA_EINVALID, "is a folder"},
    {EEXIST, SA_ECONFLICT, "exists already"},
    {ENOTEMPTY, SA_ECONFLICT, "the folder is not empty"},
    {EBUSY, SA_ECONFLICT, "is in use"},
    {ETXTBSY, SA_ECONFLICT, "is in use"},
    {EXDEV, SA_EFORBIDDEN, "leads out of the folders of the sandbox"},
    {ELOOP, SA_EFORBIDDEN, "goes through a link that may not be followed"},
    {EACCES, SA_EFORBIDDEN, "permission denied"},
    {EPERM, SA_EFORBIDDEN, "not permitted"},
    {EROFS, SA_EFORBIDDEN, "is read-only"},
    {ENOSPC, SA_EQUOTA, "no space is left"},
    {EDQUOT, SA_EQUOTA, "no space is left"},
    {EFBIG, SA_EQUOTA, "the file would be too large"},
    {ENAMETOOLONG, SA_EINVALID, "a name is too long"},
    {EINVAL, SA_EINVALID, "is not possible"},
    {EMFILE, SA_EUNAVAILABLE, "no descriptor is left"},
    {ENFILE, SA_EUNAVAILABLE, "no descriptor is left"},
    {ENOMEM, SA_EQUOTA, "no memory is left"},
};

int sa_path_error(struct sa_error *err, int error, const char *path)
{
    for (size_t i = 0; i < SA_COUNT(path_errors); i++) {
        if (path_errors[i].error != error)
            continue;
        sa_error_at(err, path_errors[i].code, "path", "%.300s: %s", path, path_errors[i].text);
        if (err)
            err->sys_errno = error;
        return -1;
    }
    return sa_error_sys(err, SA_EINTERNAL, error, "%.300s", path);
}

/* --- text --- */

/* The longest root that holds the absolute, normal path in place->full. */
static int find_root(struct sa_place *place, struct sa_error *err)
{
    size_t length = strlen(place->full);
    place->root = NULL;
    for (size_t i = 0; i < sa_boot.root_count; i++) {
        const struct sa_root *r = &sa_boot.roots[i];
        size_t prefix = r->length == 1 ? 0 : r->length; /* "/" holds everything */
        if (length < prefix || memcmp(place->full, r->path, prefix) != 0 ||
            (place->full[prefix] != '/' && place->full[prefix] != '\0'))
            continue;
        if (place->root && place->root->length >= r->length)
            continue;
        place->root = r;
        place->rest =
            place->full[prefix] && place->full[prefix + 1] ? place->full + prefix + 1 : ".";
    }
    if (!place->root)
        return sa_error_at(err, SA_EFORBIDDEN, "path",
                           "%.300s: is outside the folders that hold files, such as /workspace",
                           place->full);
    return 0;
}

static bool is_dots(const char *name, size_t length)
{
    return length == 2 && name[0] == '.' && name[1] == '.';
}

/* Append the components of `path` to the normal path `full`; ".." takes one away. */
static int append_normal(char full[PATH_MAX], const char *path, struct sa_error *err)
{
    size_t used = strlen(full);
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (is_dots(p, n)) {
            while (used && full[--used] != '/')
                ;
        } else if (n && !(n == 1 && *p == '.')) {
            if (used + n + 2 > PATH_MAX)
                return sa_error_at(err, SA_EINVALID, "path", "the path is too long");
            full[used++] = '/';
            memcpy(full + used, p, n);
            used += n;
        }
        full[used] = '\0';
        p += n + (p[n] == '/');
    }
    return 0;
}

static int set_full(struct sa_place *place, const char *full, struct sa_error *err)
{
    snprintf(place->full, sizeof place->full, "%s", full[0] ? full : "/");
    return find_root(place, err);
}

int sa_place_parse(struct sa_place *place, const char *path, struct sa_error *err)
{
    char full[PATH_MAX] = "";
    if (!path || !path[0])
        return sa_error_at(err, SA_EINVALID, "path", "the path is empty");
    for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
        if (is_dots(p, strcspn(p, "/")))
            return sa_error_at(err, SA_EINVALID, "path", "%.300s: \"..\" is not allowed", path);
    if (path[0] != '/' && append_normal(full, sa_boot.roots[0].path, err) < 0)
        return -1;
    if (append_normal(full, path, err) < 0)
        return -1;
    return set_full(place, full, err);
}

bool sa_place_is_root(const struct sa_place *place)
{
    return !strcmp(place->rest, ".");
}

/* --- opening --- */

static int open_beneath(const struct sa_root *root, const char *rest, int flags)
{
    struct open_how how = {.flags = (__u64)(unsigned)(flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    if (flags & O_PATH)
        how.flags &= ~(__u64)(O_NOCTTY | O_NONBLOCK); /* openat2 insists on it */
    for (int i = 0;; i++) {
        long fd = syscall(SYS_openat2, root->fd, rest, &how, sizeof how);
        /* EAGAIN: something on the way was renamed, and the kernel cannot be sure (openat2(2)). */
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || i == RACES_MAX)
            return (int)fd;
    }
}

/* If the component that ends at place->full[end] is a link, replace it by its target. 1 when it
 * was one, 0 when not (or nothing is there), -1 on failure. */
static int expand_link(struct sa_place *place, size_t end, struct sa_error *err)
{
    char full[PATH_MAX], target[PATH_MAX], after[PATH_MAX];
    char saved = place->full[end];
    place->full[end] = '\0';
    sa_autoclose int fd = open_beneath(place->root, place->rest, O_PATH | O_NOFOLLOW);
    int error = errno;
    ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof target - 1);
    place->full[end] = saved;
    if (fd < 0 && error != ENOENT)
        return sa_path_error(err, error, place->full);
    if (n < 0)
        return 0;
    target[n] = '\0';
    snprintf(after, sizeof after, "%s", place->full + end);
    full[0] = '\0';
    if (target[0] != '/') {
        memcpy(full, place->full, end);
        full[end] = '\0';
        *strrchr(full, '/') = '\0';
    }
    if (append_normal(full, target, err) < 0 || append_normal(full, after, err) < 0)
        return -1;
    return set_full(place, full, err) < 0 ? -1 : 1;
}

/* Replace every link on the way by its target, the last component only with `last`. */
static int expand_links(struct sa_place *place, bool last, struct sa_error *err)
{
    for (int links = 0; links < LINKS_MAX; links++) {
        size_t at =
            sa_place_is_root(place) ? strlen(place->full) : (size_t)(place->rest - place->full);
        int found = 0;
        while (place->full[at] && !found) {
            at += strcspn(place->full + at, "/");
            if (!place->full[at] && !last)
                break;
            found = expand_link(place, at, err);
            if (!found && place->full[at])
                at++;
        }
        if (found <= 0)
            return found;
    }
    return sa_path_error(err, ELOOP, place->full);
}

int sa_place_follow(struct sa_place *place, struct sa_error *err)
{
    return expand_links(place, true, err);
}

static int check_writable(const struct sa_place *place, struct sa_error *err)
{
    if (place->root->writable)
        return 0;
    return sa_error_at(err, SA_EFORBIDDEN, "path", "%.300s: may be read but not written",
                       place->full);
}

/* Relative links were followed by the kernel: find out where that led, for the reports. */
static void find_canonical(struct sa_place *place, int fd)
{
    char link[32], path[PATH_MAX];
    struct sa_place found;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || path[0] != '/')
        return; /* no /proc: the path as it was asked for must do */
    path[n] = '\0';
    if (strcmp(path, place->full) != 0 && set_full(&found, path, NULL) == 0)
        set_full(place, path, NULL);
}

int sa_place_open(struct sa_place *place, int flags, bool write, struct sa_error *err)
{
    if (write && check_writable(place, err) < 0)
        return -1;
    int fd = open_beneath(place->root, place->rest, flags);
    if (fd < 0 && errno == EXDEV) {
        if (expand_links(place, !(flags & O_NOFOLLOW), err) < 0 ||
            (write && check_writable(place, err) < 0))
            return -1;
        fd = open_beneath(place->root, place->rest, flags);
    }
    if (fd < 0)
        return sa_path_error(err, errno, place->full);
    find_canonical(place, fd);
    return fd;
}

/* --- folders --- */

/* Make what is missing of place->full up to `end`. */
static int make_until(struct sa_place *place, size_t end, unsigned mode, struct sa_error *err)
{
    size_t at = (size_t)(place->rest - place->full);
    sa_autoclose int above = open_beneath(place->root, ".", O_PATH | O_DIRECTORY);
    while (at < end) {
        const char *name = place->full + at;
        at += strcspn(name, "/");
        char saved = place->full[at];
        place->full[at] = '\0';
        int fd = open_beneath(place->root, place->rest, O_PATH | O_DIRECTORY);
        if (fd < 0 && errno == ENOENT && (mkdirat(above, name, mode) == 0 || errno == EEXIST))
            fd = open_beneath(place->root, place->rest, O_PATH | O_DIRECTORY);
        int error = errno;
        place->full[at] = saved;
        if (fd < 0)
            return sa_path_error(err, error, place->full);
        close(above);
        above = fd;
        at += at < end;
    }
    return sa_steal_fd(&above);
}

int sa_place_parent(struct sa_place *place, bool parents, const char **name, struct sa_error *err)
{
    *name = "";
    if (expand_links(place, false, err) < 0 || check_writable(place, err) < 0)
        return -1;
    if (sa_place_is_root(place))
        return sa_error_at(err, SA_EFORBIDDEN, "path", "%.300s: is a root of the sandbox",
                           place->full);
    char *slash = strrchr(place->full, '/');
    *name = slash + 1;
    if (strlen(*name) > NAME_MAX)
        return sa_path_error(err, ENAMETOOLONG, place->full);
    bool in_root = slash < place->rest;
    if (parents && !in_root)
        return make_until(place, (size_t)(slash - place->full), 0755, err);
    *slash = '\0';
    int fd = open_beneath(place->root, in_root ? "." : place->rest, O_PATH | O_DIRECTORY);
    int error = errno;
    *slash = '/';
    return fd >= 0 ? fd : sa_path_error(err, error, place->full);
}

int sa_place_mkdir(struct sa_place *place, unsigned mode, bool parents, struct sa_error *err)
{
    const char *name;
    if (expand_links(place, true, err) < 0)
        return -1;
    if (sa_place_is_root(place))
        return 0;
    sa_autoclose int above = sa_place_parent(place, parents, &name, err);
    if (above < 0)
        return -1;
    if (mkdirat(above, name, mode) == 0)
        return 1;
    struct stat st;
    if (errno != EEXIST || fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return sa_path_error(err, errno, place->full);
    if (S_ISDIR(st.st_mode))
        return 0;
    return sa_error_at(err, SA_ECONFLICT, "path", "%.300s: exists and is not a folder",
                       place->full);
}
