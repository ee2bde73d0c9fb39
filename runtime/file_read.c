/* FILE_READ: slices of a file, read straight into frames. */
#include "base/cleanup.h"
#include "call.h"
#include "file.h"
#include "poller.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { SLICE_BYTES = SA_LINK_PAYLOAD_MAX };

struct file_read {
    struct sa_call call;
    struct sa_task task;
    int fd;
    bool note_due;
    struct sa_buf entry;
    int64_t offset, left;
};

static void release(struct file_read *r)
{
    sa_task_stop(&r->task);
    close(r->fd);
    sa_buf_deinit(&r->entry);
}

static void fail(struct file_read *r, const struct sa_error *error)
{
    release(r);
    sa_call_fail(&r->call, error);
}

static void finish(struct file_read *r)
{
    sa_autobuf nothing = SA_BUF_INIT;
    sa_stream_eof(r->call.stream, SA_CHANNEL_IN);
    release(r);
    sa_call_end(&r->call, &nothing);
}

static void step(struct sa_task *task)
{
    struct file_read *r = sa_container_of(task, struct file_read, task);
    struct sa_error error;
    if (r->note_due && sa_stream_note(r->call.stream, r->entry.data, r->entry.length) < 0) {
        sa_task_stop(task);
        return;
    }
    r->note_due = false;
    size_t room = r->left > SLICE_BYTES ? SLICE_BYTES : (size_t)r->left;
    if (room == 0) {
        finish(r);
        return;
    }
    void *to = sa_stream_reserve(r->call.stream, SA_CHANNEL_IN, &room);
    if (!to) {
        sa_task_stop(task); /* until `writable` */
        return;
    }
    ssize_t n = pread(r->fd, to, room, r->offset);
    int failure = errno;
    sa_stream_commit(r->call.stream, n > 0 ? (size_t)n : 0);
    if (n < 0 && failure == EINTR)
        return;
    if (n < 0) {
        sa_error_sys(&error, SA_EINTERNAL, failure, "reading at %lld", (long long)r->offset);
        fail(r, &error);
    } else if (n == 0) {
        sa_error_set(&error, SA_ECONFLICT, "the file was cut short while it was read, at %lld",
                     (long long)r->offset);
        fail(r, &error);
    } else {
        r->offset += n;
        r->left -= n;
    }
}

static void on_writable(struct sa_call *call)
{
    sa_task_start(&((struct file_read *)call)->task);
}

static void on_canceled(struct sa_call *call)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECANCELED, "canceled");
    fail((struct file_read *)call, &error);
}

static const struct sa_method method = {.writable = on_writable, .canceled = on_canceled};

/* A regular file, without ever opening anything else: a FIFO or device would notice. */
static int open_file(const char *path, struct sa_place *place, struct stat *st,
                     struct sa_error *err)
{
    struct stat seen;
    if (sa_place_parse(place, path, err) < 0)
        return -1;
    sa_autoclose int there = sa_place_open(place, O_PATH, false, err);
    if (there < 0)
        return -1;
    if (fstat(there, &seen) < 0)
        return sa_path_error(err, errno, place->full);
    if (sa_file_check_regular(seen.st_mode, place->full, err) < 0)
        return -1;
    sa_autoclose int fd = sa_place_open(place, O_RDONLY, false, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, st) < 0)
        return sa_path_error(err, errno, place->full);
    if (sa_file_check_regular(st->st_mode, place->full, err) < 0) /* swapped meanwhile */
        return -1;
    return sa_steal_fd(&fd);
}

/* What is to be read: never more than the size now, as the entry announced it. */
static void set_range(struct file_read *r, const struct sa_file_request *request, int64_t size)
{
    int64_t offset = request->offset;
    if (request->suffix >= 0)
        offset = size > request->suffix ? size - request->suffix : 0;
    int64_t there = size > offset ? size - offset : 0;
    r->offset = offset;
    r->left = request->length >= 0 && request->length < there ? request->length : there;
}

void sa_file_read_open(struct sa_stream *stream, const void *body, size_t length)
{
    sa_auto_file_request request;
    struct sa_error error;
    struct sa_place place;
    struct stat st = {0};
    int fd = -1;
    if (sa_file_request_decode(&request, body, length, &error) == 0)
        fd = open_file(request.path, &place, &st, &error);
    if (fd < 0) {
        sa_stream_end_error(stream, &error);
        return;
    }
    struct file_read *r = sa_call_new(sizeof *r, &method, stream);
    r->fd = fd;
    r->task.step = step;
    r->note_due = true;
    set_range(r, &request, st.st_size);
    sa_file_add_entry(&r->entry, place.full, &st, NULL);
    sa_task_start(&r->task);
}
