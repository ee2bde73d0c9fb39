/*
 * Tunnels, see http.h: bytes between a client that has left HTTP and the end of a socketpair that
 * somebody else holds. What goes out takes the connection's own way (queue, TLS, timeouts); what
 * comes in is filtered and written to our end. The client is not read while our end is full, and
 * our end is not read while the client is.
 */
#include "http/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    OUT_BYTES = 64 * 1024, /* one read of our end */
    OUT_QUEUE = 64 * 1024, /* it is not read while more waits for the client */
};

struct sa_http_tunnel {
    struct sa_conn *conn;
    uv_pipe_t pipe; /* our end */
    const struct sa_http_tunnel_events *events;
    void *user;
    struct sa_buf inward;  /* to be read at the other end */
    struct sa_buf writing; /* of that, what libuv has */
    uv_write_t write;
    bool begun, reading;
    bool dropping;  /* nobody wants what the client sends */
    bool inner_eof; /* the other end sends no more */
    bool in_shut, out_shut;
    void (*closed)(struct sa_conn *conn);
};

static bool full(const struct sa_http_tunnel *t)
{
    return t->inward.length || t->writing.length;
}

static int pipe_fd(const struct sa_http_tunnel *t)
{
    uv_os_fd_t fd = -1;
    uv_fileno((const uv_handle_t *)&t->pipe, &fd);
    return fd;
}

/* ---- from the client ---- */

static void push(struct sa_http_tunnel *t);

static void drop_input(struct sa_http_tunnel *t)
{
    t->dropping = true;
    sa_buf_deinit(&t->inward);
}

static void on_pushed(uv_write_t *write, int status)
{
    struct sa_http_tunnel *t = write->data;
    sa_buf_deinit(&t->writing);
    if (t->closed)
        return;
    if (status < 0)
        drop_input(t);
    push(t);
    sa_conn_step(t->conn);
}

static void push(struct sa_http_tunnel *t)
{
    if (!t->inward.length || t->writing.length || !t->begun)
        return;
    uv_buf_t all = uv_buf_init(t->inward.data, (unsigned)t->inward.length);
    int n = uv_try_write((uv_stream_t *)&t->pipe, &all, 1);
    if (n < 0 && n != UV_EAGAIN) {
        drop_input(t);
        return;
    }
    if (n > 0 && (size_t)n == t->inward.length) {
        sa_buf_deinit(&t->inward);
        return;
    }
    t->writing = t->inward;
    t->inward = (struct sa_buf)SA_BUF_INIT;
    all.base += n > 0 ? n : 0;
    all.len -= n > 0 ? (size_t)n : 0;
    t->write.data = t;
    if (uv_write(&t->write, (uv_stream_t *)&t->pipe, &all, 1, on_pushed) != 0) {
        sa_buf_deinit(&t->writing);
        drop_input(t);
    }
}

void sa_tunnel_take_input(struct sa_conn *c)
{
    struct sa_http_tunnel *t = c->tunnel;
    struct sa_http_text input = sa_conn_input(c);
    if (!t->dropping && t->events && t->events->filter)
        t->events->filter(t->user, input.data, input.length, &t->inward);
    else if (!t->dropping)
        sa_buf_add(&t->inward, input.data, input.length);
    sa_conn_consume(c, input.length);
    push(t);
}

size_t sa_tunnel_allowance(const struct sa_conn *c)
{
    return full(c->tunnel) ? 0 : READ_BYTES;
}

/* ---- to the client ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct sa_http_tunnel *t = handle->data;
    (void)suggested;
    buffer->base = t->conn->server->read_buffer;
    buffer->len = OUT_BYTES;
}

/* Without TLS and with nothing before them, bytes need not be copied. */
static void send_out(struct sa_conn *c, char *data, size_t length)
{
    int sent = 0;
    if (!c->tls && !c->writing && !sa_conn_queued(c)) {
        uv_buf_t all = uv_buf_init(data, (unsigned)length);
        sent = uv_try_write((uv_stream_t *)&c->tcp, &all, 1);
        if (sent < 0 && sent != UV_EAGAIN)
            sa_conn_fail(c);
        c->last_output = uv_now(c->server->loop);
    }
    if (sent < 0)
        sent = 0;
    sa_out_add(&c->out, data + sent, length - (size_t)sent);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct sa_http_tunnel *t = stream->data;
    if (n == 0 || t->closed)
        return;
    if (n > 0)
        send_out(t->conn, buffer->base, (size_t)n);
    else
        t->inner_eof = true; /* or broken, which is the same to the client */
    sa_conn_step(t->conn);
}

static void update_reading(struct sa_http_tunnel *t)
{
    bool want = !t->inner_eof && sa_conn_queued(t->conn) < OUT_QUEUE;
    if (want == t->reading)
        return;
    t->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)&t->pipe);
    else if (uv_read_start((uv_stream_t *)&t->pipe, on_alloc, on_read) != 0)
        sa_conn_fail(t->conn);
}

/* ---- ends ---- */

/* The other end is closed, not only done with sending. */
static bool inner_gone(const struct sa_http_tunnel *t)
{
    struct pollfd p = {.fd = pipe_fd(t)};
    return t->dropping || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)));
}

static void shut_out(struct sa_conn *c, bool last)
{
    uv_os_fd_t fd;
    c->tunnel->out_shut = true;
    if (c->tls) {
        sa_tls_close_notify(c->tls);
        sa_conn_flush(c);
    }
    if (last)
        return;
    if (!c->tls && uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        shutdown(fd, SHUT_WR);
}

void sa_tunnel_settle(struct sa_conn *c)
{
    struct sa_http_tunnel *t = c->tunnel;
    if (c->eof && !full(t) && !t->in_shut) {
        t->in_shut = true;
        shutdown(pipe_fd(t), SHUT_WR);
    }
    update_reading(t);
    if (!t->inner_eof || sa_conn_queued(c))
        return;
    bool over = c->eof || inner_gone(t);
    if (!t->out_shut)
        shut_out(c, over);
    if (!over)
        return;
    drop_input(t);
    if (c->eof)
        sa_conn_fail(c);
    else
        sa_conn_linger(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct sa_http_tunnel *t = handle->data;
    struct sa_conn *c = t->conn;
    void (*closed)(struct sa_conn *) = t->closed;
    if (t->events && t->events->gone)
        t->events->gone(t->user);
    sa_buf_deinit(&t->inward);
    sa_buf_deinit(&t->writing);
    free(t);
    c->tunnel = NULL;
    closed(c);
}

void sa_tunnel_close(struct sa_conn *c, void (*closed)(struct sa_conn *conn))
{
    c->tunnel->closed = closed;
    uv_close((uv_handle_t *)&c->tunnel->pipe, on_closed);
}

/* ---- the outside ---- */

void sa_tunnel_begin(struct sa_conn *c)
{
    c->tunnel->begun = true;
    push(c->tunnel);
}

int sa_http_take_tunnel(struct sa_http_request *r, const struct sa_http_tunnel_events *events,
                        void *user, struct sa_http_tunnel **tunnel, struct sa_error *err)
{
    struct sa_conn *c = r->conn;
    int ends[2];
    if (sa_request_check_taking(r, err) < 0)
        return -1;
    if (c->tunnel)
        return sa_error_set(err, SA_ECONFLICT, "the connection was handed over already");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot hand over the connection");
    struct sa_http_tunnel *t = sa_alloc(sizeof *t);
    t->conn = c;
    t->events = events;
    t->user = user;
    t->pipe.data = t;
    uv_pipe_init(c->server->loop, &t->pipe, 0);
    int status = uv_pipe_open(&t->pipe, ends[0]);
    if (status != 0)
        abort(); /* a fresh socketpair */
    c->tunnel = t;
    if (tunnel)
        *tunnel = t;
    sa_request_taken(r);
    return ends[1];
}

void sa_http_tunnel_insert(struct sa_http_tunnel *t, const void *data, size_t length)
{
    if (t->dropping || t->closed)
        return;
    sa_buf_add(&t->inward, data, length);
    push(t);
    sa_conn_touch(t->conn);
}

/* linux/tcp.h, struct tcp_info: the C library's stops before these. */
struct longer_tcp_info {
    struct tcp_info info;
    uint64_t pacing_rate, max_pacing_rate, bytes_acked;
};
_Static_assert(sizeof(struct tcp_info) == 104, "its tail is declared above");

uint64_t sa_http_tunnel_acked(const struct sa_http_tunnel *t)
{
    struct longer_tcp_info info = {0};
    socklen_t length = sizeof info;
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&t->conn->tcp, &fd) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
        return 0;
    return info.bytes_acked;
}

void sa_http_tunnel_forget(struct sa_http_tunnel *t)
{
    t->events = NULL;
    drop_input(t);
    sa_conn_touch(t->conn);
}

void sa_http_tunnel_cut(struct sa_http_tunnel *t)
{
    sa_conn_fail(t->conn);
}
