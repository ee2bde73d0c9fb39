/*
 * Bytes both ways between a client's socket and a server inside. Each direction holds at most what
 * the other side has not taken: 64 KiB from the client, the link's window to it.
 */
#include "api/port.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

struct tunnel {
    struct sa_app *app;
    char sandbox[SA_ID_BYTES]; /* which is held */
    uv_poll_t poll;
    int fd;
    struct sa_port_conn *conn;
    struct sa_buf to_client, to_server;
    size_t unconsumed; /* credit of what is in to_client */
    bool client_ended, server_ended;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_closed(uv_handle_t *handle)
{
    struct tunnel *t = handle->data;
    close(t->fd);
    sa_buf_deinit(&t->to_client);
    sa_buf_deinit(&t->to_server);
    free(t);
}

static void end(struct tunnel *t)
{
    struct sa_sandbox *sandbox = sa_sandbox_find(t->app->sandboxes, t->sandbox);
    if (uv_is_closing((uv_handle_t *)&t->poll))
        return;
    if (t->conn)
        sa_port_conn_drop(t->conn);
    t->conn = NULL;
    if (sandbox)
        sa_sandbox_release(sandbox);
    uv_close((uv_handle_t *)&t->poll, on_closed);
}

/* Listen for what can be used now. */
static void update(struct tunnel *t)
{
    bool read = !t->client_ended && !t->to_server.length;
    int events = (t->to_client.length ? UV_WRITABLE : 0) | (read ? UV_READABLE | UV_DISCONNECT : 0);
    if (uv_is_closing((uv_handle_t *)&t->poll))
        return;
    if (t->client_ended && t->server_ended && !t->to_client.length && !t->to_server.length)
        end(t);
    else if (events)
        uv_poll_start(&t->poll, events, on_poll);
    else
        uv_poll_stop(&t->poll);
}

/* False: the tunnel has ended. */
static bool flush_client(struct tunnel *t)
{
    while (t->to_client.length) {
        ssize_t n =
            send(t->fd, t->to_client.data, t->to_client.length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n < 0) {
            end(t);
            return false;
        }
        sa_buf_consume(&t->to_client, (size_t)n);
    }
    if (t->conn && t->unconsumed)
        sa_port_conn_consume(t->conn, t->unconsumed);
    t->unconsumed = 0;
    if (t->server_ended)
        shutdown(t->fd, SHUT_WR);
    return true;
}

static void flush_server(struct tunnel *t)
{
    if (!t->conn)
        return;
    size_t n = sa_port_conn_write(t->conn, t->to_server.data, t->to_server.length);
    sa_buf_consume(&t->to_server, n);
    if (t->client_ended && !t->to_server.length)
        sa_port_conn_eof(t->conn);
}

static bool read_client(struct tunnel *t)
{
    static _Thread_local char bytes[READ_BYTES];
    ssize_t n = recv(t->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n < 0) {
        end(t);
        return false;
    }
    t->client_ended = n == 0;
    sa_buf_add(&t->to_server, bytes, (size_t)n);
    flush_server(t);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct tunnel *t = poll->data;
    if (status < 0) {
        end(t);
        return;
    }
    if (events & UV_WRITABLE && !flush_client(t))
        return;
    if (events & (UV_READABLE | UV_DISCONNECT) && !t->client_ended && !t->to_server.length &&
        !read_client(t))
        return;
    update(t);
}

static void on_data(void *user, const char *data, size_t length)
{
    struct tunnel *t = user;
    t->unconsumed += length;
    sa_buf_add(&t->to_client, data, length);
    if (flush_client(t))
        update(t);
}

static void on_writable(void *user)
{
    struct tunnel *t = user;
    flush_server(t);
    update(t);
}

static void on_eof(void *user)
{
    struct tunnel *t = user;
    t->server_ended = true;
    if (flush_client(t))
        update(t);
}

static void on_conn_closed(void *user, bool connected, const struct sa_error *error)
{
    struct tunnel *t = user;
    (void)connected;
    t->conn = NULL;
    if (error) {
        end(t);
        return;
    }
    t->server_ended = t->client_ended = true;
    sa_buf_consume(&t->to_server, t->to_server.length);
    if (flush_client(t))
        update(t);
}

static const struct sa_port_conn_events conn_events = {
    .data = on_data, .writable = on_writable, .eof = on_eof, .closed = on_conn_closed};

void sa_port_tunnel(struct sa_app *app, struct sa_sandbox *sandbox, int fd,
                    struct sa_port_conn *conn, struct sa_buf *to_client, struct sa_buf *to_server)
{
    struct tunnel *t = sa_alloc(sizeof *t);
    *t = (struct tunnel){
        .app = app, .fd = fd, .conn = conn, .to_client = *to_client, .to_server = *to_server};
    *to_client = *to_server = (struct sa_buf)SA_BUF_INIT;
    strncpy(t->sandbox, sa_sandbox_id(sandbox), sizeof t->sandbox - 1);
    sa_sandbox_hold(sandbox);
    t->poll.data = t;
    uv_poll_init(app->loop, &t->poll, fd);
    sa_port_conn_hand_over(conn, &conn_events, t);
    flush_server(t);
    if (flush_client(t))
        update(t);
}
