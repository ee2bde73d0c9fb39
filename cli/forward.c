/* `secureagent forward`: a port of a sandbox on this machine. Each connection is carried over a
 * WebSocket of its own, so that any protocol passes. */
#include "sandboxes.h"
#include "socket.h"

#include "base/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static const char EOF_TEXT[] = "{\"type\":\"eof\"}";

enum { PIECE = 32 * 1024, BACKLOG = 64, PORT_MAX = 65535, WRITE_HIGH = 1 << 20 };

/* clang-format off */
static const struct sa_option options[] = {
    {.name = "address", .kind = SA_OPTION_STRING, .fallback = "127.0.0.1", .value = "ADDR",
     .help = "address to listen on here"},
    SA_CLIENT_OPTIONS,
};
/* clang-format on */

static const struct sa_usage usage = {
    .command = "forward",
    .usage = "secureagent forward SANDBOX [LOCAL:]PORT...",
    .about =
        "Listens on this machine and carries each connection to PORT inside the sandbox, until "
        "Ctrl-C.\nPrints the addresses. LOCAL is PORT by default, 0 takes a free one.",
    .examples = "  secureagent forward web 8000\n"
                "  secureagent forward db 15432:5432\n",
};

struct forward {
    uv_loop_t loop;
    struct sa_sockets *sockets;
    char sandbox[SA_ID_BYTES];
    uv_signal_t signals[2];
    struct tunnel *tunnels;
};

struct listener {
    uv_tcp_t tcp;
    struct forward *forward;
    int port; /* inside */
};

/* One connection: the local one, and its WebSocket (the server's `/tunnel`). */
struct tunnel {
    struct tunnel *prev, *next;
    struct forward *forward;
    uv_tcp_t tcp;
    struct sa_socket *socket; /* NULL once it has closed */
    bool local_ended;         /* no more bytes come from here */
    char piece[PIECE];
};

/* ---- the end ---- */

static void on_tcp_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop(struct tunnel *t)
{
    if (uv_is_closing((uv_handle_t *)&t->tcp))
        return;
    DL_DELETE(t->forward->tunnels, t);
    sa_socket_free(t->socket);
    t->socket = NULL;
    uv_close((uv_handle_t *)&t->tcp, on_tcp_closed);
}

/* ---- from here ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *into)
{
    struct tunnel *t = handle->data;
    (void)suggested;
    *into = uv_buf_init(t->piece, PIECE);
}

static void on_local(uv_stream_t *stream, ssize_t n, const uv_buf_t *from)
{
    struct tunnel *t = stream->data;
    if (n == UV_EOF) {
        t->local_ended = true;
        uv_read_stop(stream);
        sa_socket_send(t->socket, false, EOF_TEXT, sizeof EOF_TEXT - 1);
    } else if (n < 0) {
        drop(t);
    } else if (n > 0 && !sa_socket_send(t->socket, true, from->base, (size_t)n)) {
        uv_read_stop(stream); /* on_ready() goes on */
    }
}

static void on_ready(void *user)
{
    struct tunnel *t = user;
    if (!t->local_ended)
        uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_local);
}

/* ---- from inside ---- */

struct write {
    uv_write_t request;
    struct tunnel *tunnel;
    char bytes[];
};

static void on_written(uv_write_t *request, int status)
{
    struct write *w = sa_container_of(request, struct write, request);
    struct tunnel *t = w->tunnel;
    if (status == 0 && t->socket &&
        uv_stream_get_write_queue_size((uv_stream_t *)&t->tcp) < WRITE_HIGH / 2)
        sa_socket_pause(t->socket, false);
    free(w);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct tunnel *t = request->handle->data;
    free(request);
    if (status != UV_ECANCELED && !t->socket)
        drop(t);
}

/* After what is queued. */
static void end_writing(struct tunnel *t)
{
    uv_shutdown_t *request = sa_alloc(sizeof *request);
    if (uv_shutdown(request, (uv_stream_t *)&t->tcp, on_shutdown) == 0)
        return;
    free(request); /* it was shut down before */
    if (!t->socket)
        drop(t);
}

/* Bytes, or as a text their end. */
static void on_message(void *user, bool binary, const char *data, size_t length)
{
    struct tunnel *t = user;
    if (!binary) {
        end_writing(t);
        return;
    }
    struct write *w = sa_alloc(sizeof *w + length);
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)length);
    w->tunnel = t;
    memcpy(w->bytes, data, length);
    if (uv_write(&w->request, (uv_stream_t *)&t->tcp, &buf, 1, on_written) < 0)
        free(w);
    else if (uv_stream_get_write_queue_size((uv_stream_t *)&t->tcp) > WRITE_HIGH)
        sa_socket_pause(t->socket, true);
}

/* What came last still goes out here. */
static void on_closed(void *user, const struct sa_error *error)
{
    struct tunnel *t = user;
    if (error)
        fprintf(stderr, "secureagent forward: %s\n", error->message);
    sa_socket_free(t->socket);
    t->socket = NULL;
    t->local_ended = true;
    uv_read_stop((uv_stream_t *)&t->tcp);
    end_writing(t);
}

static const struct sa_socket_events socket_events = {
    .opened = on_ready, .message = on_message, .drained = on_ready, .closed = on_closed};

/* ---- listening ---- */

static void on_connection(uv_stream_t *server, int status)
{
    struct listener *l = server->data;
    struct sa_error error;
    if (status < 0)
        return;
    struct tunnel *t = sa_alloc(sizeof *t);
    *t = (struct tunnel){.forward = l->forward};
    uv_tcp_init(server->loop, &t->tcp);
    t->tcp.data = t;
    DL_APPEND(l->forward->tunnels, t);
    if (uv_accept(server, (uv_stream_t *)&t->tcp) < 0) {
        drop(t);
        return;
    }
    sa_autofree char *path =
        sa_printf("/api/v1/sandboxes/%s/tunnel?port=%d", l->forward->sandbox, l->port);
    uv_tcp_nodelay(&t->tcp, 1);
    t->socket = sa_socket_open(l->forward->sockets, path, &socket_events, t, &error);
    if (!t->socket) {
        fprintf(stderr, "secureagent forward: %s\n", error.message);
        drop(t);
    }
}

static int read_port(const char *text, size_t length, int low, int *port, struct sa_error *err)
{
    sa_autofree char *copy = sa_strndup(text, length);
    char *rest;
    long n = strtol(copy, &rest, 10);
    if (rest == copy || *rest || n < low || n > PORT_MAX)
        return sa_error_set(err, SA_EINVALID, "\"%.32s\": expected [LOCAL:]PORT, in 1-65535", text);
    *port = (int)n;
    return 0;
}

static int listen_on(struct forward *f, struct listener *l, const char *address, const char *text,
                     struct sa_error *err)
{
    const char *colon = strchr(text, ':');
    struct sockaddr_storage where;
    int local, length = sizeof where;
    if (read_port(colon ? colon + 1 : text, strlen(colon ? colon + 1 : text), 1, &l->port, err) < 0)
        return -1;
    local = l->port;
    if (colon && read_port(text, (size_t)(colon - text), 0, &local, err) < 0)
        return -1;
    if (uv_ip4_addr(address, local, (struct sockaddr_in *)&where) < 0 &&
        uv_ip6_addr(address, local, (struct sockaddr_in6 *)&where) < 0)
        return sa_error_set(err, SA_EINVALID, "--address: \"%.64s\" is no address", address);
    l->forward = f;
    uv_tcp_init(&f->loop, &l->tcp);
    l->tcp.data = l;
    int rc = uv_tcp_bind(&l->tcp, (struct sockaddr *)&where, 0);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    if (rc < 0)
        return sa_error_set(err, SA_ECONFLICT, "%s:%d: %s", address, local, uv_strerror(rc));
    uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&where, &length);
    local = ntohs(where.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&where)->sin6_port
                                              : ((struct sockaddr_in *)&where)->sin_port);
    printf("%s%s%s:%d -> %d\n", strchr(address, ':') ? "[" : "", address,
           strchr(address, ':') ? "]" : "", local, l->port);
    return fflush(stdout) == 0 ? 0 : sa_error_set(err, SA_EUNAVAILABLE, "standard output");
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static int serve(struct forward *f, struct sa_invocation *in, struct listener *listeners,
                 struct sa_error *err)
{
    f->sockets = sa_sockets_new(&f->loop, in->client, err);
    if (!f->sockets)
        return -1;
    for (size_t i = 0; i + 1 < in->arg_count; i++)
        if (listen_on(f, &listeners[i], sa_config_string(in->config, "address"), in->args[1 + i],
                      err) < 0)
            return -1;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    return 0;
}

static void start_signals(struct forward *f)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SA_COUNT(numbers); i++) {
        uv_signal_init(&f->loop, &f->signals[i]);
        uv_signal_start(&f->signals[i], on_signal, numbers[i]);
    }
}

static void stop(struct forward *f, struct listener *listeners, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (listeners[i].forward)
            uv_close((uv_handle_t *)&listeners[i].tcp, NULL);
    for (size_t i = 0; i < SA_COUNT(f->signals); i++)
        uv_close((uv_handle_t *)&f->signals[i], NULL);
    while (f->tunnels)
        drop(f->tunnels);
    sa_sockets_free(f->sockets);
    while (uv_loop_close(&f->loop) == UV_EBUSY)
        uv_run(&f->loop, UV_RUN_NOWAIT);
}

static int forward(struct sa_invocation *in, struct sa_error *err)
{
    struct forward f = {.tunnels = NULL};
    size_t count = in->arg_count - 1;
    if (sa_sandbox_resolve(in->client, in->args[0], f.sandbox, err) < 0)
        return -1;
    sa_autofree char *stream = sa_printf("/api/v1/sandboxes/%s/stream", f.sandbox);
    if (sa_socket_check(in->client, stream, err) < 0)
        return -1;
    sa_autofree struct listener *listeners = sa_alloc(count * sizeof *listeners);
    uv_loop_init(&f.loop);
    start_signals(&f);
    int rc = serve(&f, in, listeners, err);
    stop(&f, listeners, count);
    return rc;
}

const struct sa_command sa_command_forward = {.name = "forward",
                                              .summary = "reach a port of a sandbox from here",
                                              .usage = &usage,
                                              .least = 2,
                                              .most = 33,
                                              .body = forward,
                                              .options = options,
                                              .option_count = SA_COUNT(options),
                                              .takes_sandbox = true};
