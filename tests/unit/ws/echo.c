/*
 * A WebSocket server for tests: prints its address, echoes messages, ends when its standard input
 * does, and aborts if anything is left open then.
 *
 *     ws_echo [KEY=VALUE ...]   cert key message_max queue_high queue_max ping_ms pong_ms deadline
 *
 * Texts that begin with "!" are orders:
 *     !close CODE REASON    !pause MS (reading)    !state (answers "CONNECTIONS QUEUED")
 *     !flood N BYTES (N messages, stopping when told to)    !overrun (not stopping)
 */
#include "base/cleanup.h"
#include "http/server.h"
#include "loop/loop.h"
#include "ws/ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uv_loop_t *loop;
static struct sa_http_server *server;
static struct sa_ws *ws;
static uv_pipe_t input;
static unsigned deadline_ms = 2000;
static int parts = 2;

struct client {
    struct sa_ws_conn *conn;
    uv_timer_t timer;
    long flood_left, flood_bytes;
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct client *client = timer->data;
    sa_ws_resume(client->conn);
}

static void flood(struct client *client)
{
    for (bool more = true; more && client->flood_left > 0; client->flood_left--) {
        struct sa_buf *frame = sa_ws_begin(client->conn);
        memset(sa_buf_reserve(frame, (size_t)client->flood_bytes), 'f',
               (size_t)client->flood_bytes);
        frame->length += (size_t)client->flood_bytes;
        more = sa_ws_end(client->conn, SA_WS_BINARY);
    }
}

static void order(struct client *client, const char *text)
{
    long a = 0, b = 0;
    int at = 0;
    if (sscanf(text, "close %ld %n", &a, &at) == 1) {
        sa_ws_close(client->conn, (int)a, text + at);
    } else if (sscanf(text, "pause %ld", &a) == 1) {
        sa_ws_pause(client->conn);
        uv_timer_start(&client->timer, on_pause_over, (uint64_t)a, 0);
    } else if (sscanf(text, "flood %ld %ld", &a, &b) == 2) {
        client->flood_left = a;
        client->flood_bytes = b;
        flood(client);
    } else if (!strcmp(text, "overrun")) {
        static char block[65536];
        for (int i = 0; i < 1000; i++)
            sa_ws_send(client->conn, SA_WS_BINARY, block, sizeof block);
    } else {
        char answer[64];
        int n = snprintf(answer, sizeof answer, "%u %zu", sa_ws_connections(ws),
                         sa_ws_queued_bytes(client->conn));
        sa_ws_send(client->conn, SA_WS_TEXT, answer, (size_t)n);
    }
}

static void on_opened(struct sa_ws_conn *conn, void *user)
{
    struct client *client = user;
    client->conn = conn;
}

static void on_message(struct sa_ws_conn *conn, enum sa_ws_kind kind, const char *data,
                       size_t length, void *user)
{
    if (kind == SA_WS_TEXT && length && data[0] == '!')
        order(user, data + 1);
    else
        sa_ws_send(conn, kind, data, length);
}

static void on_writable(struct sa_ws_conn *conn, void *user)
{
    (void)conn;
    flood(user);
}

static void on_closed(struct sa_ws_conn *conn, int code, void *user)
{
    struct client *client = user;
    (void)conn;
    fprintf(stderr, "closed %d\n", code);
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

static void handle(struct sa_http_request *request, void *user)
{
    static const struct sa_ws_events events = {on_opened, on_message, on_writable, on_closed};
    struct sa_error error;
    (void)user;
    if (!sa_http_request_is_websocket(request)) {
        sa_http_respond(request, 426, NULL, "", 0);
        return;
    }
    struct client *client = calloc(1, sizeof *client);
    client->timer.data = client;
    uv_timer_init(loop, &client->timer);
    if (sa_ws_accept(ws, request, sa_http_request_header(request, "sec-websocket-protocol"),
                     &events, client, &error) < 0) {
        uv_close((uv_handle_t *)&client->timer, on_timer_closed);
        sa_http_respond_error(request, &error);
    }
}

static void on_stopped(void *user)
{
    (void)user;
    if (--parts == 0)
        uv_close((uv_handle_t *)&input, NULL);
}

static void on_alloc(uv_handle_t *stream, size_t suggested, uv_buf_t *buffer)
{
    static char block[64];
    (void)stream, (void)suggested;
    *buffer = uv_buf_init(block, sizeof block);
}

static void on_input(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    (void)buffer;
    if (n >= 0)
        return;
    uv_read_stop(stream);
    sa_ws_stop(ws, deadline_ms, on_stopped, NULL);
    sa_http_server_drain(server, deadline_ms + 1000, on_stopped, NULL);
}

static void set(struct sa_http_options *http, struct sa_ws_options *o, const char *key, char *value)
{
    unsigned number = (unsigned)strtoul(value, NULL, 10);
    if (!strcmp(key, "cert"))
        http->tls_cert_file = value;
    else if (!strcmp(key, "key"))
        http->tls_key_file = value;
    else if (!strcmp(key, "message_max"))
        o->message_max = number;
    else if (!strcmp(key, "queue_high"))
        o->queue_high = number;
    else if (!strcmp(key, "queue_max"))
        o->queue_max = number;
    else if (!strcmp(key, "ping_ms"))
        o->ping_ms = number;
    else if (!strcmp(key, "pong_ms"))
        o->pong_ms = number;
    else if (!strcmp(key, "deadline"))
        deadline_ms = number;
    else
        abort();
}

int main(int argc, char **argv)
{
    struct sa_error error = {0};
    struct sa_http_options http = {.handler = handle};
    struct sa_ws_options o = {0};
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            abort();
        *value = '\0';
        set(&http, &o, argv[i], value + 1);
    }
    loop = sa_loop_new(&error);
    ws = loop ? sa_ws_new(loop, &o, &error) : NULL;
    server = ws ? sa_http_server_new(loop, &http, &error) : NULL;
    if (!server || sa_http_server_listen(server, "127.0.0.1:0", &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    printf("%s\n", sa_http_server_url(server));
    fflush(stdout);
    uv_pipe_init(loop, &input, 0);
    if (uv_pipe_open(&input, 0) != 0)
        abort();
    uv_read_start((uv_stream_t *)&input, on_alloc, on_input);
    uv_run(loop, UV_RUN_DEFAULT);
    sa_http_server_free(server);
    sa_ws_free(ws);
    sa_loop_free(loop);
    return 0;
}
