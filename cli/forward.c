/* `secureagent forward`: a port of a sandbox on this machine. Each connection is carried over a
 * WebSocket of its own, so that any protocol passes. */
#include "sandboxes.h"
#include "socket.h"

#include "base/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    uv_signal_t interrupt, terminate;
    bool stopping;
};

struct listener {
    uv_tcp_t tcp;
    struct forward *forward;
    int port; /* inside */
};

struct tunnel {
    uv_tcp_t tcp;
    struct sa_socket *socket;
    bool open, local_closed, remote_closed;
    char piece[PIECE];
};

static void on_tunnel_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void end(struct tunnel *t)
{
    if (t->local_closed)
        return;
    t->local_closed = true;
    if (t->remote_closed) {
        uv_close((uv_handle_t *)&t->tcp, on_tunnel_closed);
        return;
    }
    sa_socket_close(t->socket);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *into)
{
    struct tunnel *t = handle->data;
    (void)suggested;
    *into = uv_buf_init(t->piece, PIECE);
}

static void on_local(uv_stream_t *stream, ssize_t n, const uv_buf_t *from)
{
    struct tunnel *t = stream->data;
    if (n < 0) {
        uv_read_stop(stream);
        end(t);
    } else if (n > 0 && !sa_socket_send(t->socket, true, from->base, (size_t)n)) {
        uv_read_stop(stream);
    }
}

static void on_opened(void *user)
{
    struct tunnel *t = user;
    t->open = true;
    uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_local);
}

static void on_drained(void *user)
{
    struct tunnel *t = user;
    if (!t->local_closed)
        uv_read_start((uv_stream_t *)&t->tcp, on_alloc, on_local);
}

struct write {
    uv_write_t request;
    struct tunnel *tunnel;
    char bytes[];
};

static void on_written(uv_write_t *request, int status)
{
    struct write *w = sa_container_of(request, struct write, request);
    struct tunnel *t = w->tunnel;
    (void)status;
    if (!t->remote_closed &&
        uv_stream_get_write_queue_size((uv_stream_t *)&t->tcp) < WRITE_HIGH / 2)
        sa_socket_pause(t->socket, false);
    free(w);
}

static void on_message(void *user, bool binary, const char *data, size_t length)
{
    struct tunnel *t = user;
    if (!binary || t->local_closed)
        return;
    struct write *w = sa_alloc(sizeof *w + length);
    uv_buf_t buf = uv_buf_init(w->bytes, (unsigned)length);
    w->tunnel = t;
    memcpy(w->bytes, data, length);
    if (uv_write(&w->request, (uv_stream_t *)&t->tcp, &buf, 1, on_written) < 0)
        free(w);
    else if (uv_stream_get_write_queue_size((uv_stream_t *)&t->tcp) > WRITE_HIGH)
        sa_socket_pause(t->socket, true);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct tunnel *t = request->handle->data;
    (void)status;
    free(request);
    if (!uv_is_closing((uv_handle_t *)&t->tcp))
        uv_close((uv_handle_t *)&t->tcp, on_tunnel_closed);
}

/* The other end is done: what it sent last still goes out here. */
static void on_closed(void *user, const struct sa_error *error)
{
    struct tunnel *t = user;
    uv_shutdown_t *request = sa_alloc(sizeof *request);
    t->remote_closed = true;
    if (error)
        fprintf(stderr, "secureagent forward: %s\n", error->message);
    sa_socket_free(t->socket);
    t->socket = NULL;
    uv_read_stop((uv_stream_t *)&t->tcp);
    t->local_closed = true;
    if (uv_shutdown(request, (uv_stream_t *)&t->tcp, on_shutdown) < 0) {
        free(request);
        uv_close((uv_handle_t *)&t->tcp, on_tunnel_closed);
    }
}

static const struct sa_socket_events socket_events = {
    .opened = on_opened, .message = on_message, .drained = on_drained, .closed = on_closed};

static void on_connection(uv_stream_t *server, int status)
{
    struct listener *l = server->data;
    struct tunnel *t = sa_alloc(sizeof *t);
    struct sa_error error;
    *t = (struct tunnel){.open = false};
    uv_tcp_init(server->loop, &t->tcp);
    t->tcp.data = t;
    if (status == 0 && uv_accept(server, (uv_stream_t *)&t->tcp) == 0) {
        sa_autofree char *path =
            sa_printf("/api/v1/sandboxes/%s/tunnel?port=%d", l->forward->sandbox, l->port);
        uv_tcp_nodelay(&t->tcp, 1);
        t->socket = sa_socket_open(l->forward->sockets, path, &socket_events, t, &error);
        if (t->socket)
            return;
        fprintf(stderr, "secureagent forward: %s\n", error.message);
    }
    uv_close((uv_handle_t *)&t->tcp, on_tunnel_closed);
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
    struct forward *f = handle->data;
    (void)number;
    f->stopping = true;
    uv_stop(&f->loop);
}

static void close_handle(uv_handle_t *handle, void *user)
{
    (void)user;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static int forward(struct sa_invocation *in, struct sa_error *err)
{
    struct forward f = {.stopping = false};
    size_t count = in->arg_count - 1;
    sa_autofree struct listener *listeners = sa_alloc(count * sizeof *listeners);
    int rc = sa_sandbox_resolve(in->client, in->args[0], f.sandbox, err);
    sa_autofree char *stream = sa_printf("/api/v1/sandboxes/%s/stream", f.sandbox);
    if (rc < 0 || sa_socket_check(in->client, stream, err) < 0)
        return -1;
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&f.loop);
    uv_signal_init(&f.loop, &f.interrupt);
    uv_signal_init(&f.loop, &f.terminate);
    f.interrupt.data = f.terminate.data = &f;
    uv_signal_start(&f.interrupt, on_signal, SIGINT);
    uv_signal_start(&f.terminate, on_signal, SIGTERM);
    f.sockets = sa_sockets_new(&f.loop, in->client, err);
    rc = f.sockets ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = listen_on(&f, &listeners[i], sa_config_string(in->config, "address"), in->args[1 + i],
                       err);
    if (rc == 0)
        uv_run(&f.loop, UV_RUN_DEFAULT);
    /* The process ends here: connections end with it, and their memory. */
    uv_walk(&f.loop, close_handle, NULL);
    return rc;
}

static int run(int argc, char **argv)
{
    return sa_command_invoke(&usage, options, SA_COUNT(options), 2, 33, SA_CONFIG_MIXED, argc, argv,
                             forward);
}

const struct sa_command sa_command_forward = {.name = "forward",
                                              .summary = "reach a port of a sandbox from here",
                                              .run = run,
                                              .options = options,
                                              .option_count = SA_COUNT(options),
                                              .takes_sandbox = true};
