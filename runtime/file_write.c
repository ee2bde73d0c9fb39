/*
 * FILE_WRITE: the bytes go to a file without a name (O_TMPFILE), which at EOF takes the place of
 * the old one in one step; until then, and if it never comes to that, nothing is visible. Where
 * the file system has no O_TMPFILE a hidden name is used, and removed on every way out.
 */
#include "base/cleanup.h"
#include "base/id.h"
#include "call.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_TRIES = 8 };

struct file_write {
    struct sa_call call;
    int folder, fd;
    char name[NAME_MAX + 1], full[PATH_MAX];
    char temp[SA_ID_BYTES]; /* "" while the file has no name */
    mode_t mode;
};

static void release(struct file_write *w)
{
    if (w->temp[0])
        unlinkat(w->folder, w->temp, 0);
    close(w->fd);
    close(w->folder);
}

static void fail(struct file_write *w, const struct sa_error *error)
{
    release(w);
    sa_call_fail(&w->call, error);
}

static void on_data(struct sa_call *call, enum sa_link_channel channel, const void *data,
                    size_t length)
{
    struct file_write *w = (struct file_write *)call;
    const char *from = data;
    struct sa_error error;
    size_t left = channel == SA_CHANNEL_IN ? length : 0;
    while (left) {
        ssize_t n = write(w->fd, from, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            sa_path_error(&error, n < 0 ? errno : ENOSPC, w->full);
            fail(w, &error);
            return;
        }
        from += n;
        left -= (size_t)n;
    }
    sa_stream_consume(call->stream, length);
}

/* Give the nameless file a name. As linkat(2) tells, that needs a detour for who has no privilege
 * (before Linux 6.10). */
static int link_as(const struct file_write *w, const char *name)
{
    char path[32];
    if (linkat(w->fd, "", w->folder, name, AT_EMPTY_PATH) == 0 || errno == EEXIST)
        return errno == EEXIST ? -1 : 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", w->fd);
    return linkat(AT_FDCWD, path, w->folder, name, AT_SYMLINK_FOLLOW);
}

static void new_temp_name(struct file_write *w)
{
    sa_id_new(".sa-", w->temp);
}

/* 1: it is new, 0: it replaced one, -1 with errno. */
static int put_in_place(struct file_write *w)
{
    struct stat old;
    int created = fstatat(w->folder, w->name, &old, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    if (!created && S_ISDIR(old.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    if (!w->temp[0]) {
        if (created && link_as(w, w->name) == 0)
            return 1;
        new_temp_name(w);
        if (link_as(w, w->temp) < 0) {
            w->temp[0] = '\0';
            return -1;
        }
    }
    if (renameat(w->folder, w->temp, w->folder, w->name) < 0)
        return -1;
    w->temp[0] = '\0';
    return created;
}

static void on_eof(struct sa_call *call, enum sa_link_channel channel)
{
    struct file_write *w = (struct file_write *)call;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error error;
    struct stat st;
    if (channel != SA_CHANNEL_IN)
        return;
    int created = fchmod(w->fd, w->mode) < 0 ? -1 : put_in_place(w);
    if (created < 0 || fstat(w->fd, &st) < 0) {
        sa_path_error(&error, errno, w->full);
        fail(w, &error);
        return;
    }
    sa_file_add_entry(&out, w->full, &st, NULL);
    sa_fields_add_int(&out, SA_FILE_CREATED, created);
    release(w);
    sa_call_end(call, &out);
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_write *)call, &error);
}

static void on_abandon(struct sa_call *call)
{
    struct file_write *w = (struct file_write *)call;
    if (w->temp[0])
        unlinkat(w->folder, w->temp, 0);
}

static const struct sa_method method = {
    .data = on_data, .eof = on_eof, .canceled = on_canceled, .abandon = on_abandon};

static int open_temp(struct file_write *w)
{
    w->fd = openat(w->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    for (int i = 0; w->fd < 0 && i < NAME_TRIES; i++) {
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != EEXIST)
            break;
        new_temp_name(w);
        w->fd = openat(w->folder, w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (w->fd < 0)
            w->temp[0] = '\0';
    }
    return w->fd < 0 ? -1 : 0;
}

/* What is there now decides: a link is followed to where it points, even if nothing is there yet;
 * a file lends its permissions; anything else is refused. */
static int look_at_target(struct file_write *w, const struct sa_file_request *request,
                          struct sa_place *place, struct sa_error *err)
{
    const char *name;
    struct stat st;
    if (sa_place_parse(place, request->path, err) < 0 || sa_place_follow(place, err) < 0)
        return -1;
    w->folder = sa_place_parent(place, request->parents, &name, err);
    if (w->folder < 0)
        return -1;
    w->mode = request->mode < 0 ? 0644 : (mode_t)request->mode;
    snprintf(w->name, sizeof w->name, "%s", name);
    snprintf(w->full, sizeof w->full, "%s", place->full);
    if (fstatat(w->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (sa_file_check_regular(st.st_mode, place->full, err) < 0)
            return -1;
        if (request->mode < 0)
            w->mode = st.st_mode & 0777;
    }
    if (open_temp(w) < 0)
        return sa_path_error(err, errno, place->full);
    return 0;
}

void sa_file_write_open(struct sa_stream *stream, const void *body, size_t length)
{
    sa_auto_file_request request;
    struct sa_error error;
    struct sa_place place;
    struct file_write *w = sa_call_new(sizeof *w, &method, stream);
    w->folder = w->fd = -1;
    if (sa_file_request_decode(&request, body, length, &error) < 0 ||
        look_at_target(w, &request, &place, &error) < 0) {
        if (w->folder >= 0)
            close(w->folder);
        sa_call_fail(&w->call, &error);
    }
}
