/* FILE_WRITE: the bytes go to a file in the making (file_put.h), which at EOF takes the place of
 * the old one. */
#include "base/cleanup.h"
#include "call.h"
#include "file.h"
#include "file_put.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct file_write {
    struct sa_call call;
    struct sa_put put;
    struct sa_file_request request;
    char full[PATH_MAX];
    mode_t mode;
};

static void release(struct file_write *w)
{
    sa_put_close(&w->put);
    sa_file_request_deinit(&w->request);
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
        ssize_t n = write(w->put.fd, from, left);
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

/* 1: it is new, 0: it replaced one, -1. */
static int replace(struct file_write *w, struct stat *st, struct sa_error *err)
{
    const struct sa_file_conditions *conditions = &w->request.conditions;
    if (fchmod(w->put.fd, w->mode) < 0)
        return sa_path_error(err, errno, w->full);
    if (sa_file_conditions_check_at(conditions, w->put.folder, w->put.name, err) < 0)
        return -1;
    int created = sa_put_commit(&w->put, sa_file_conditions_want_none(conditions));
    if (created < 0 && errno == EEXIST) /* it came in this very moment: say so as the check does */
        sa_file_conditions_check_at(conditions, w->put.folder, w->put.name, err);
    else if (created < 0)
        sa_path_error(err, errno, w->full);
    if (created < 0)
        return -1;
    if (fstat(w->put.fd, st) < 0)
        return sa_path_error(err, errno, w->full);
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
    sa_error_set(&error, SA_ECONFLICT, "changed meanwhile");
    int created = replace(w, &st, &error);
    if (created < 0) {
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
    sa_put_abandon(&((struct file_write *)call)->put);
}

static const struct sa_method method = {
    .data = on_data, .eof = on_eof, .canceled = on_canceled, .abandon = on_abandon};

/* What is there now decides: a link is followed to where it points, even if nothing is there yet;
 * a file lends its permissions; anything else is refused. */
static int look_at_target(struct file_write *w, struct sa_place *place, struct sa_error *err)
{
    const struct sa_file_request *request = &w->request;
    const char *name;
    struct stat st;
    if (sa_place_parse(place, request->path, err) < 0 || sa_place_follow(place, err) < 0)
        return -1;
    sa_autoclose int folder = sa_place_parent(place, request->parents, &name, err);
    if (folder < 0)
        return -1;
    w->mode = request->mode < 0 ? 0644 : (mode_t)request->mode;
    snprintf(w->full, sizeof w->full, "%s", place->full);
    bool there = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && sa_file_check_regular(st.st_mode, place->full, err) < 0)
        return -1;
    if (there && request->mode < 0)
        w->mode = st.st_mode & 0777;
    if (sa_file_conditions_check(&request->conditions, there ? &st : NULL, err) < 0)
        return -1;
    if (sa_put_open(&w->put, sa_steal_fd(&folder), name) < 0)
        return sa_path_error(err, errno, place->full);
    return 0;
}

void sa_file_write_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct sa_place place;
    struct file_write *w = sa_call_new(sizeof *w, &method, stream);
    w->put.folder = w->put.fd = -1;
    if (sa_file_request_decode(&w->request, body, length, &error) < 0 ||
        look_at_target(w, &place, &error) < 0)
        fail(w, &error);
}
