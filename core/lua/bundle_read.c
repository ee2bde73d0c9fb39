/*
 * Reading the folders of rules.
 *
 * Somebody may be writing while we read: a ConfigMap's `..data` may move on between two files, and
 * half of the one and half of the other would be rules that nobody wrote. So all is read until two
 * readings in a row are the same.
 */
#include "lua/bundle_build.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "lua/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READINGS_MAX = 6 };

static int read_text(int fd, const char *origin, struct sa_buf *out, struct sa_error *err)
{
    while (out->length <= SA_WIRE_FILE_MAX) { /* one byte more tells that it is too long */
        size_t room = SA_WIRE_FILE_MAX + 1 - out->length;
        ssize_t n = read(fd, sa_buf_reserve(out, room), room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sa_error_sys(err, SA_EINVALID, errno, "cannot read %s", origin);
        if (n == 0)
            break;
        out->length += (size_t)n;
    }
    return 0;
}

/* The API has a user of its own, so that what the operator reads may be closed to it. */
static int cannot_open(const char *what, const char *origin, struct sa_error *err)
{
    if (errno == EACCES)
        return sa_error_at(
            err, SA_EINVALID, origin,
            "cannot open %s: permission denied; the server reads as a user of its "
            "own: make it readable by others, as in `chmod -R o+rX`, and the folders "
            "above it o+x",
            what);
    return sa_error_sys(err, SA_EINVALID, errno, "cannot open %s", what);
}

/* A folder that is named like a file is none of ours; a pipe or a device must not be read. */
static int read_one(struct sa_bundle *bundle, int dirfd, const char *entry, const char *name,
                    const char *origin, struct sa_error *err)
{
    sa_autobuf text = SA_BUF_INIT;
    struct stat st;
    sa_autoclose int fd = openat(dirfd, entry, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return cannot_open(origin, origin, err);
    if (S_ISDIR(st.st_mode))
        return 0;
    if (!S_ISREG(st.st_mode))
        return sa_error_at(err, SA_EINVALID, origin, "%s is not a file", origin);
    if (!sa_bundle_name_valid(name))
        return sa_error_at(err, SA_EINVALID, origin,
                           "%s: a file of rules is named with letters, digits, '-', '_' and '.', "
                           "at most %d of them",
                           origin, SA_BUNDLE_NAME_MAX);
    if (read_text(fd, origin, &text, err) < 0)
        return -1;
    return sa_bundle_add(bundle, name, origin, text.data, text.length, err);
}

static bool is_rule(const char *entry)
{
    size_t length = strlen(entry);
    return entry[0] != '.' && length > 4 && strcmp(entry + length - 4, ".lua") == 0;
}

/* `folder` of `dir`: 1 when it is there. */
static int read_folder(struct sa_bundle *bundle, int dirfd, const char *dir, const char *folder,
                       struct sa_error *err)
{
    int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 1;
    if (fd < 0 && errno == ENOENT)
        return 0;
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list) {
        rc = sa_error_sys(err, SA_EINVALID, errno, "cannot read the folder %s/%s", dir, folder);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    for (struct dirent *entry; rc == 1 && (entry = readdir(list));) {
        if (!is_rule(entry->d_name))
            continue;
        sa_autofree char *name = sa_printf("%s/%s", folder, entry->d_name);
        sa_autofree char *origin = sa_printf("%s/%s", dir, name);
        if (read_one(bundle, fd, entry->d_name, name, origin, err) < 0)
            rc = -1;
    }
    closedir(list);
    return rc;
}

static int read_params(struct sa_bundle *bundle, int dirfd, const char *dir, struct sa_error *err)
{
    sa_autofree char *origin = sa_printf("%s/params.lua", dir);
    if (faccessat(dirfd, "params.lua", F_OK, 0) < 0 && errno == ENOENT)
        return 0;
    return read_one(bundle, dirfd, "params.lua", "params.lua", origin, err) < 0 ? -1 : 1;
}

/* Rules that vanish with their folder would open what they closed, so a folder that is missing, or
 * is not one of rules, is an error; a generation in force then stays. */
static int read_dir(struct sa_bundle *bundle, const char *dir, struct sa_error *err)
{
    sa_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        sa_autofree char *what = sa_printf("the folder of rules %s", dir);
        return cannot_open(what, dir, err);
    }
    int policies = read_folder(bundle, fd, dir, "policies", err);
    int scaling = policies < 0 ? -1 : read_folder(bundle, fd, dir, "scaling", err);
    int params = scaling < 0 ? -1 : read_params(bundle, fd, dir, err);
    if (params < 0)
        return -1;
    if (policies + scaling + params == 0)
        return sa_error_at(err, SA_EINVALID, dir,
                           "%s holds no rules: there is neither policies/ nor scaling/ nor "
                           "params.lua in it",
                           dir);
    return 0;
}

static struct sa_bundle *read_once(const char *const *dirs, size_t count, struct sa_error *err)
{
    struct sa_bundle *bundle = sa_bundle_new();
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = read_dir(bundle, dirs[i], err);
    if (rc == 0 && sa_bundle_seal(bundle, err) == 0)
        return bundle;
    sa_bundle_unref(bundle);
    return NULL;
}

struct sa_bundle *sa_bundle_read(const char *const *dirs, size_t count, struct sa_error *err)
{
    struct sa_bundle *last = NULL;
    for (int i = 0; i < READINGS_MAX; i++) {
        struct sa_bundle *bundle = read_once(dirs, count, err);
        bool same = bundle && last && strcmp(sa_bundle_digest(bundle), sa_bundle_digest(last)) == 0;
        sa_bundle_unref(last);
        if (!bundle || same)
            return bundle;
        last = bundle;
    }
    sa_bundle_unref(last);
    sa_error_set(err, SA_EUNAVAILABLE,
                 "the files of rules change faster than they can be read; try again");
    return NULL;
}
