/*
 * FILE_EXPORT: a tree as one stream of NOTEs and DATA, in slices. Folders come before what is in
 * them, links as links; nothing outside is reached, whatever is swapped for a link meanwhile.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "call.h"
#include "entries.h"
#include "file.h"
#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, SLICE_ENTRIES = 64, READ_BYTES = SA_LINK_PAYLOAD_MAX };

struct level {
    int fd;
    size_t path_length; /* of `path`, for this folder */
    struct sa_entries entries;
};

struct file_export {
    struct sa_call call;
    struct sa_task task;
    size_t depth;
    struct level *levels[DEPTH_MAX];
    char path[PATH_MAX]; /* below what was asked for */
    int file;            /* -1: none is being sent */
    int64_t offset, size;
    bool note_due;
    struct sa_buf note;
    int64_t count;
};

static void pop(struct file_export *e)
{
    struct level *level = e->levels[--e->depth];
    close(level->fd);
    free(level);
}

static void release(struct file_export *e)
{
    sa_task_stop(&e->task);
    while (e->depth)
        pop(e);
    if (e->file >= 0)
        close(e->file);
    sa_buf_deinit(&e->note);
}

static void fail(struct file_export *e, const struct sa_error *error)
{
    release(e);
    sa_call_fail(&e->call, error);
}

/* Takes over `fd`. 0, or -1: too deep. */
static int push(struct file_export *e, int fd)
{
    if (e->depth == DEPTH_MAX) {
        close(fd);
        return -1;
    }
    struct level *level = sa_alloc(sizeof *level);
    level->fd = fd;
    level->path_length = strlen(e->path);
    e->levels[e->depth++] = level;
    return 0;
}

static void describe(struct file_export *e, const struct stat *st, const char *target)
{
    e->note.length = 0;
    sa_fields_add_bytes(&e->note, SA_FILE_NAME, e->path, strlen(e->path));
    sa_fields_add_text(&e->note, SA_FILE_TYPE, sa_file_kind(st->st_mode));
    sa_fields_add_int(&e->note, SA_FILE_SIZE, S_ISREG(st->st_mode) ? st->st_size : 0);
    sa_fields_add_int(&e->note, SA_FILE_MODIFIED_MS, st->st_mtim.tv_sec * 1000);
    sa_fields_add_int(&e->note, SA_FILE_MODE, st->st_mode & 0777);
    if (target)
        sa_fields_add_bytes(&e->note, SA_FILE_TARGET, target, strlen(target));
    e->note_due = true;
    e->count++;
}

/* Takes over `fd`, which is a file or a folder. 0, or -1. */
static int begin(struct file_export *e, int fd, struct sa_error *err)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        e->file = fd;
        e->offset = 0;
        e->size = st.st_size;
        describe(e, &st, NULL);
        return 0;
    }
    if (S_ISDIR(st.st_mode)) {
        describe(e, &st, NULL);
        return push(e, fd) < 0 ? sa_error_at(err, SA_ETOOLARGE, "path",
                                             "%.300s: is too deep (%d folders)", e->path, DEPTH_MAX)
                               : 0;
    }
    close(fd); /* swapped meanwhile */
    return 0;
}

/* The next entry of the innermost folder. What is gone or closed to us is left out. */
static int next_entry(struct file_export *e, struct sa_error *err)
{
    struct level *level = e->levels[e->depth - 1];
    char target[PATH_MAX];
    struct stat st;
    const char *name = sa_entries_next(&level->entries, level->fd);
    if (!name) {
        pop(e);
        return 0;
    }
    size_t room = sizeof e->path - level->path_length;
    int n =
        snprintf(e->path + level->path_length, room, "%s%s", level->path_length ? "/" : "", name);
    if (n < 0 || (size_t)n >= room)
        return sa_error_at(err, SA_ETOOLARGE, "path", "%.300s: the path is too long", e->path);
    if (fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISLNK(st.st_mode)) {
        ssize_t length = readlinkat(level->fd, name, target, sizeof target - 1);
        if (length < 0)
            return 0;
        target[length] = '\0';
        describe(e, &st, target);
        return 0;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0;
    int fd = openat(level->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 ? 0 : begin(e, fd, err);
}

static void finish(struct file_export *e)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_fields_add_int(&out, SA_FILE_COUNT, e->count);
    sa_stream_eof(e->call.stream, SA_CHANNEL_IN);
    release(e);
    sa_call_end(&e->call, &out);
}

/* 1: go on, 0: no room, -1. */
static int send_bytes(struct file_export *e, struct sa_error *err)
{
    int64_t left = e->size - e->offset;
    size_t room = left > READ_BYTES ? READ_BYTES : (size_t)left;
    if (room == 0) {
        close(e->file);
        e->file = -1;
        return 1;
    }
    void *to = sa_stream_reserve(e->call.stream, SA_CHANNEL_IN, &room);
    if (!to)
        return 0;
    ssize_t n = pread(e->file, to, room, e->offset);
    int error = errno;
    sa_stream_commit(e->call.stream, n > 0 ? (size_t)n : 0);
    if (n == 0)
        return sa_error_at(err, SA_ECONFLICT, "path", "%.300s: was cut short while it was read",
                           e->path);
    if (n < 0)
        return error == EINTR ? 1 : sa_path_error(err, error, e->path);
    e->offset += n;
    return 1;
}

static void step(struct sa_task *task)
{
    struct file_export *e = sa_container_of(task, struct file_export, task);
    struct sa_error error;
    for (int i = 0; i < SLICE_ENTRIES; i++) {
        int result = 1;
        bool bytes = false;
        if (e->note_due) {
            result = sa_stream_note(e->call.stream, e->note.data, e->note.length) == 0;
            e->note_due = !result;
        } else if (e->file >= 0) {
            result = send_bytes(e, &error);
            bytes = result > 0 && e->file >= 0;
        } else if (e->depth) {
            result = next_entry(e, &error) < 0 ? -1 : 1;
        } else {
            finish(e);
            return;
        }
        if (result < 0)
            fail(e, &error);
        else if (result == 0)
            sa_task_stop(task); /* until `writable` */
        if (result <= 0 || bytes)
            return;
    }
}

static void on_writable(struct sa_call *call)
{
    sa_task_start(&((struct file_export *)call)->task);
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_export *)call, &error);
}

static const struct sa_method method = {.writable = on_writable, .canceled = on_canceled};

/* What was asked for is opened without opening a FIFO or device on the way. */
static int start(struct file_export *e, const void *body, size_t length, struct sa_error *err)
{
    sa_auto_file_request request;
    struct sa_place place;
    struct stat st;
    if (sa_file_request_decode(&request, body, length, err) < 0 ||
        sa_place_parse(&place, request.path, err) < 0)
        return -1;
    sa_autoclose int there = sa_place_open(&place, O_PATH, false, err);
    if (there < 0)
        return -1;
    if (fstat(there, &st) < 0)
        return sa_path_error(err, errno, place.full);
    if (!S_ISDIR(st.st_mode) && sa_file_check_regular(st.st_mode, place.full, err) < 0)
        return -1;
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", there);
    sa_autoclose int fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return sa_path_error(err, errno, place.full);
    if (S_ISREG(st.st_mode))
        snprintf(e->path, sizeof e->path, "%s", strrchr(place.full, '/') + 1);
    return S_ISREG(st.st_mode) ? begin(e, sa_steal_fd(&fd), err) : push(e, sa_steal_fd(&fd));
}

void sa_file_export_open(struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_error error;
    struct file_export *e = sa_call_new(sizeof *e, &method, stream);
    e->task.step = step;
    e->file = -1;
    if (start(e, body, length, &error) < 0)
        fail(e, &error);
    else
        sa_task_start(&e->task);
}
