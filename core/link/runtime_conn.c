/* A link over a socket on the loop. Output is gathered and written once per loop turn. */
#include "link/runtime_conn.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

enum { READ_BYTES = 256 * 1024, READS_PER_WAKE = 4, VECTORS = 32 };

struct sa_call {
    struct sa_call *prev, *next;
    struct sa_runtime_conn *conn;
    struct sa_stream *stream;
    const struct sa_call_events *events; /* NULL once abandoned */
    void *user;
};

struct sa_runtime_conn {
    uv_poll_t poll;
    uv_idle_t flusher; /* writes what a loop turn queued */
    int fd;
    int open_handles;
    int polled; /* events asked for */
    struct sa_link *link;
    const struct sa_runtime_conn_events *events;
    void *owner;
    struct sa_call *calls;
    bool freed, flush_wanted;
};

/* All reads happen on one thread and are used up at once, so they can share a buffer. */
static _Thread_local char read_buffer[READ_BYTES];

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_handle_closed(uv_handle_t *handle)
{
    struct sa_runtime_conn *c = handle->data;
    if (--c->open_handles > 0 || !c->freed)
        return;
    sa_link_free(c->link);
    free(c);
}

static void finish_call(struct sa_call *call, const struct sa_error *error,
                        struct sa_fields *fields)
{
    struct sa_call gone = *call;
    DL_DELETE(call->conn->calls, call);
    free(call);
    if (gone.events)
        gone.events->ended(gone.user, error, fields);
}

static void disconnect(struct sa_runtime_conn *c, const struct sa_error *error)
{
    if (c->fd < 0)
        return;
    int fd = c->fd;
    c->fd = -1;
    uv_poll_stop(&c->poll);
    uv_idle_stop(&c->flusher);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    uv_close((uv_handle_t *)&c->flusher, on_handle_closed);
    close(fd);
    struct sa_fields none;
    sa_fields_init(&none, "", 0);
    while (c->calls)
        finish_call(c->calls, error, &none); /* NOLINT: it takes the call off the list */
}

static void lose(struct sa_runtime_conn *c, const struct sa_error *error)
{
    if (c->fd < 0)
        return;
    disconnect(c, error);
    if (!c->freed && c->events->lost)
        c->events->lost(c->owner, error);
}

static void set_poll(struct sa_runtime_conn *c, int events)
{
    if (c->fd < 0 || c->polled == events)
        return;
    c->polled = events;
    uv_poll_start(&c->poll, events, on_poll);
}

static void flush(struct sa_runtime_conn *c)
{
    struct iovec vectors[VECTORS];
    size_t count;
    c->flush_wanted = false;
    while (c->fd >= 0 && (count = sa_link_output(c->link, vectors, VECTORS)) > 0) {
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            set_poll(c, UV_READABLE | UV_WRITABLE);
            return;
        }
        if (n < 0) {
            struct sa_error error;
            sa_error_sys(&error, SA_EUNAVAILABLE, errno, "the sandbox's link broke");
            lose(c, &error);
            return;
        }
        sa_link_consumed_output(c->link, (size_t)n);
    }
    set_poll(c, UV_READABLE);
}

/* An idle handle, not a prepare one: output may be wanted during the prepare phase (an HTTP answer
 * went out and made room), and an active idle handle keeps the loop from sleeping before it. */
static void on_flush(uv_idle_t *idle)
{
    struct sa_runtime_conn *c = idle->data;
    uv_idle_stop(idle);
    if (c->flush_wanted)
        flush(c);
}

static void on_wants_output(void *owner)
{
    struct sa_runtime_conn *c = owner;
    if (c->flush_wanted || c->fd < 0)
        return;
    c->flush_wanted = true;
    uv_idle_start(&c->flusher, on_flush);
}

static void read_some(struct sa_runtime_conn *c)
{
    struct sa_error error;
    for (int i = 0; i < READS_PER_WAKE && c->fd >= 0; i++) {
        ssize_t n = recv(c->fd, read_buffer, sizeof read_buffer, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            if (n == 0)
                sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox ended");
            else
                sa_error_sys(&error, SA_EUNAVAILABLE, errno, "the sandbox's link broke");
            lose(c, &error);
            return;
        }
        if (sa_link_feed(c->link, read_buffer, (size_t)n, &error) < 0) {
            flush(c); /* tells the runtime why */
            lose(c, &error);
            return;
        }
        if ((size_t)n < sizeof read_buffer)
            return;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sa_runtime_conn *c = poll->data;
    (void)status; /* an error shows in the read */
    if (events & UV_WRITABLE)
        flush(c);
    if (c->fd >= 0 && (status < 0 || events & UV_READABLE))
        read_some(c);
}

static void on_ready(void *owner, const char *peer_name)
{
    struct sa_runtime_conn *c = owner;
    (void)peer_name;
    if (c->events->ready)
        c->events->ready(c->owner);
}

/* The rest of a chunk is still dispatched after a callback closed the connection: its calls are
 * gone by then. */
static struct sa_call *live_call(const struct sa_runtime_conn *c, struct sa_stream *stream)
{
    return c->fd < 0 ? NULL : sa_stream_user(stream);
}

static void on_data(void *owner, struct sa_stream *stream, enum sa_link_channel channel,
                    const void *data, size_t length)
{
    struct sa_call *call = live_call(owner, stream);
    if (!call)
        return;
    if (call->events && call->events->data)
        call->events->data(call->user, channel, data, length);
    else
        sa_stream_consume(stream, length);
}

static void on_note(void *owner, struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_call *call = live_call(owner, stream);
    struct sa_fields fields;
    sa_fields_init(&fields, body, length);
    if (call && call->events && call->events->note)
        call->events->note(call->user, &fields);
}

static void on_eof(void *owner, struct sa_stream *stream, enum sa_link_channel channel)
{
    struct sa_call *call = live_call(owner, stream);
    if (call && call->events && call->events->eof)
        call->events->eof(call->user, channel);
}

static void on_writable(void *owner, struct sa_stream *stream)
{
    struct sa_call *call = live_call(owner, stream);
    if (call && call->events && call->events->writable)
        call->events->writable(call->user);
}

static void on_ended(void *owner, struct sa_stream *stream, const void *body, size_t length)
{
    struct sa_call *call = live_call(owner, stream);
    struct sa_fields fields, scan;
    struct sa_field f;
    struct sa_error error;
    if (!call)
        return;
    sa_fields_init(&fields, body, length);
    scan = fields;
    while (sa_fields_next(&scan, &f, NULL) > 0) {
        if (f.tag != SA_LINK_END_ERROR)
            continue;
        if (sa_field_error(&f, &error, NULL) < 0)
            sa_error_set(&error, SA_EPROTOCOL, "the sandbox sent a malformed error");
        finish_call(call, &error, &fields);
        return;
    }
    finish_call(call, NULL, &fields);
}

static const struct sa_link_events link_events = {
    .ready = on_ready,
    .data = on_data,
    .note = on_note,
    .eof = on_eof,
    .writable = on_writable,
    .ended = on_ended,
    .wants_output = on_wants_output,
};

struct sa_runtime_conn *sa_runtime_conn_new(uv_loop_t *loop, int fd,
                                            const struct sa_runtime_conn_events *events,
                                            void *owner)
{
    struct sa_runtime_conn *c = sa_alloc(sizeof *c);
    c->fd = fd;
    c->events = events;
    c->owner = owner;
    c->poll.data = c->flusher.data = c;
    uv_poll_init(loop, &c->poll, fd);
    uv_idle_init(loop, &c->flusher);
    c->open_handles = 2;
    set_poll(c, UV_READABLE);
    c->link = sa_link_new(&(struct sa_link_options){.role = SA_LINK_CONTROL,
                                                    .name = "agent-api/" SA_VERSION,
                                                    .events = &link_events,
                                                    .owner = c});
    on_wants_output(c);
    return c;
}

void sa_runtime_conn_free(struct sa_runtime_conn *conn, const char *why)
{
    struct sa_error error;
    if (!conn)
        return;
    conn->freed = true;
    if (conn->fd >= 0) {
        sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox ended: %s", why);
        disconnect(conn, &error);
    } else if (conn->open_handles == 0) {
        sa_link_free(conn->link);
        free(conn);
    }
}

static struct sa_call *first_wanted(struct sa_runtime_conn *conn)
{
    struct sa_call *call = conn->calls;
    while (call && !call->events)
        call = call->next;
    return call;
}

void sa_runtime_conn_end_calls(struct sa_runtime_conn *conn, const char *why)
{
    struct sa_error error;
    struct sa_fields none;
    struct sa_call *call;
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox ended: %s", why);
    sa_fields_init(&none, "", 0);
    while ((call = first_wanted(conn))) {
        const struct sa_call_events *events = call->events;
        void *user = call->user;
        sa_call_abandon(call); /* what still comes of it is nobody's */
        events->ended(user, &error, &none);
    }
}

struct sa_call *sa_call_open(struct sa_runtime_conn *conn, enum sa_link_method method,
                             const struct sa_buf *body, const struct sa_call_events *events,
                             void *user, struct sa_error *err)
{
    if (conn->fd < 0) {
        sa_error_set(err, SA_EUNAVAILABLE, "the sandbox ended");
        return NULL;
    }
    struct sa_call *call = sa_alloc(sizeof *call);
    *call = (struct sa_call){.conn = conn, .events = events, .user = user};
    call->stream = sa_link_open(conn->link, (uint16_t)method, body->data, body->length, call, err);
    if (!call->stream) {
        free(call);
        return NULL;
    }
    DL_APPEND(conn->calls, call);
    return call;
}

size_t sa_call_write(struct sa_call *call, const void *data, size_t length)
{
    return sa_stream_write(call->stream, SA_CHANNEL_IN, data, length);
}

size_t sa_call_write_control(struct sa_call *call, const void *data, size_t length)
{
    return sa_stream_write(call->stream, SA_CHANNEL_CONTROL, data, length);
}

void sa_call_eof(struct sa_call *call)
{
    sa_stream_eof(call->stream, SA_CHANNEL_IN);
}

int sa_call_note(struct sa_call *call, const struct sa_buf *body)
{
    return sa_stream_note(call->stream, body->data, body->length);
}

void sa_call_consume(struct sa_call *call, size_t length)
{
    sa_stream_consume(call->stream, length);
}

size_t sa_call_keep_note(struct sa_call *call)
{
    return sa_stream_keep_note(call->stream);
}

void sa_call_cancel(struct sa_call *call)
{
    sa_stream_cancel(call->stream);
}

void sa_call_abandon(struct sa_call *call)
{
    call->events = NULL;
    sa_stream_cancel(call->stream);
}
