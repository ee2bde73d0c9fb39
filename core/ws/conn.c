/* The life of a WebSocket connection: accepting, what comes in, closing. */
#include "ws/internal.h"

#include "base/cleanup.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- ends ---- */

static void free_if_over(struct sa_ws_conn *c)
{
    if (c->wsi || c->tunnel)
        return;
    if (!c->told) {
        c->told = true;
        c->events->closed(c, c->code, c->user);
    }
    sa_buf_deinit(&c->message);
    sa_ws_drop_queue(c);
    free(c->protocol);
    sa_ws_gone(c);
    free(c);
}

void sa_ws_cut(struct sa_ws_conn *c, int code)
{
    if (c->open || c->closing) /* what was agreed before stays */
        c->code = code;
    c->open = false;
    sa_ws_drop_queue(c);
    if (c->tunnel)
        sa_http_tunnel_cut(c->tunnel);
}

/* A client's close frame, for libwebsockets to answer: it sends back what is in it, and is done.
 * Our own closes are made so, too: asked to begin one, Debian's libwebsockets 4.1.6 (a debug build)
 * on libuv closes twice and never sends it. */
void sa_ws_insert_close(struct sa_ws_conn *c)
{
    sa_autobuf rest = SA_BUF_INIT;
    unsigned char frame[6 + SA_WS_CONTROL_MAX] = {0x88, 0x80};
    size_t length = 0;
    c->close_due = false;
    c->close_sent = true;
    if (!c->tunnel)
        return;
    sa_ws_guard_stop(&c->guard, &rest);
    if (rest.length)
        sa_http_tunnel_insert(c->tunnel, rest.data, rest.length);
    if (c->code != SA_WS_NO_CODE) {
        frame[6] = (unsigned char)(c->code >> 8);
        frame[7] = (unsigned char)c->code;
        length = 2 + strlen(c->reason);
        memcpy(frame + 8, c->reason, length - 2);
    }
    frame[1] |= (unsigned char)length;
    sa_http_tunnel_insert(c->tunnel, frame, 6 + length);
}

static void set_reason(struct sa_ws_conn *c, const char *reason)
{
    size_t length = strlen(reason);
    length = length < sizeof c->reason - 1 ? length : sizeof c->reason - 1;
    while (length && (reason[length] & 0xc0) == 0x80) /* not within a character */
        length--;
    memcpy(c->reason, reason, length);
    c->reason[length] = '\0';
}

void sa_ws_close(struct sa_ws_conn *c, int code, const char *reason)
{
    if (c->closing || c->close_due || c->close_sent || c->told)
        return;
    c->open = false;
    c->closing = true;
    c->code = code;
    set_reason(c, reason);
    sa_buf_deinit(&c->message);
    if (c->paused)
        lws_rx_flow_control(c->wsi, 1); /* for the answer */
    if (c->was_opened)
        lws_callback_on_writable(c->wsi);
}

/* ---- from the client ---- */

static void on_ping(void *user, const void *payload, size_t length)
{
    struct sa_ws_conn *c = user;
    sa_ws_pong(c, payload, length);
}

/* The answer has its turn behind the messages that are on their way to libwebsockets: a pong, of
 * which it tells us, marks the place. */
static void on_guard_closed(void *user, int code, const char *reason)
{
    static const unsigned char mark[] = {0x8a, 0x81, 0, 0, 0, 0, '.'};
    struct sa_ws_conn *c = user;
    c->end_code = code;
    snprintf(c->end_reason, sizeof c->end_reason, "%s", reason);
    sa_http_tunnel_insert(c->tunnel, mark, sizeof mark);
}

/* The mark: all that the client sent before its end was delivered. If libwebsockets held a rest of
 * a frame, it would cut instead of answering. */
static void client_ended(struct sa_ws_conn *c)
{
    if (c->close_sent)
        return;
    c->open = false;
    if (!c->closing) {
        c->code = c->end_code;
        set_reason(c, c->end_reason);
        sa_ws_drop_queue(c);
    }
    c->close_due = true;
    if (lws_partial_buffered(c->wsi))
        lws_callback_on_writable(c->wsi);
    else
        sa_ws_insert_close(c);
}

static const struct sa_ws_guard_events guard_events = {on_ping, on_guard_closed};

static void on_bytes(void *user, const char *data, size_t length, struct sa_buf *out)
{
    struct sa_ws_conn *c = user;
    c->heard_ms = uv_now(c->ws->loop);
    c->pinged_ms = 0;
    c->pongs = 0;
    sa_ws_guard_feed(&c->guard, data, length, out);
}

static void on_tunnel_gone(void *user)
{
    struct sa_ws_conn *c = user;
    c->tunnel = NULL;
    if (c->wsi) { /* it may not be reading */
        lws_rx_flow_control(c->wsi, 1);
        lws_callback_on_writable(c->wsi);
    }
    free_if_over(c);
}

static const struct sa_http_tunnel_events tunnel_events = {on_bytes, on_tunnel_gone};

static void deliver(struct sa_ws_conn *c, enum sa_ws_kind kind, struct sa_buf *message)
{
    sa_buf_reserve(message, 0);
    c->events->message(c, kind, message->data, message->length, c->user);
}

static void received(struct sa_ws_conn *c, const void *data, size_t length)
{
    struct sa_ws *ws = c->ws;
    enum sa_ws_kind kind = lws_frame_is_binary(c->wsi) ? SA_WS_BINARY : SA_WS_TEXT;
    bool last = lws_is_final_fragment(c->wsi);
    if (!c->open)
        return;
    if (!last || c->message.length)
        sa_buf_add(&c->message, data, length);
    if (!last || c->delivered == c->guard.messages)
        return;
    c->delivered++;
    if (c->message.length) {
        struct sa_buf message = c->message;
        c->message = (struct sa_buf)SA_BUF_INIT;
        deliver(c, kind, &message);
        sa_buf_deinit(&message);
        return;
    }
    ws->single.length = 0;
    sa_buf_add(&ws->single, data, length);
    deliver(c, kind, &ws->single); /* at most RX_BYTES */
}

/* ---- libwebsockets ---- */

static void established(struct sa_ws_conn *c)
{
    c->was_opened = true;
    free(sa_steal(&c->protocol));
    if (c->closing || c->pong_due)
        lws_callback_on_writable(c->wsi);
    if (c->closing)
        return;
    c->open = true;
    c->events->opened(c, c->user);
}

static int add_headers(struct sa_ws_conn *c, struct lws_process_html_args *args)
{
    if (!c->protocol)
        return 0;
    int n = snprintf(args->p, (size_t)args->max_len, "Sec-WebSocket-Protocol: %s\r\n", c->protocol);
    if (n >= args->max_len)
        return -1;
    args->p += n;
    return 0;
}

/* -1: libwebsockets closes. */
static int writeable(struct sa_ws_conn *c)
{
    if (!c->tunnel || sa_ws_flush(c) < 0)
        return -1;
    if (c->stopped && c->open && sa_ws_queued_bytes(c) <= c->ws->options.queue_high / 2) {
        c->stopped = false;
        c->events->writable(c, c->user);
    }
    if (c->closing && !c->close_sent && !sa_ws_queued_bytes(c))
        sa_ws_insert_close(c);
    return 0;
}

static void wsi_gone(struct sa_ws_conn *c)
{
    c->wsi = NULL;
    c->open = false;
    if (c->tunnel)
        sa_http_tunnel_forget(c->tunnel);
    c->tunnel = NULL;
    if (!c->told) {
        c->told = true;
        c->events->closed(c, c->code, c->user);
    }
    free_if_over(c);
}

int sa_ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t length)
{
    struct sa_ws_conn *c = lws_get_opaque_user_data(wsi);
    (void)user;
    if (!c)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_WSI_CREATE:
        break;
    case LWS_CALLBACK_ADD_HEADERS:
        return add_headers(c, in);
    case LWS_CALLBACK_ESTABLISHED:
        established(c);
        break;
    case LWS_CALLBACK_RECEIVE:
        received(c, in, length);
        break;
    case LWS_CALLBACK_RECEIVE_PONG:
        client_ended(c);
        break;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return writeable(c);
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        wsi_gone(c);
        break;
    default:
        break;
    }
    return 0;
}

/* ---- accepting ---- */

static void insert_handshake(struct sa_ws_conn *c, const char *key)
{
    sa_autobuf head = SA_BUF_INIT;
    sa_buf_printf(&head,
                  "GET / HTTP/1.1\r\nHost: sandbox\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
                  key);
    sa_http_tunnel_insert(c->tunnel, head.data, head.length);
}

int sa_ws_accept(struct sa_ws *ws, struct sa_http_request *request, const char *protocol,
                 const struct sa_ws_events *events, void *user, struct sa_error *err)
{
    assert(sa_http_request_is_websocket(request));
    sa_autofree char *key = sa_strdup(sa_http_request_header(request, "sec-websocket-key"));
    if (ws->stopping)
        return sa_error_set(err, SA_EUNAVAILABLE, "the server is stopping");
    struct sa_ws_conn *c = sa_alloc(sizeof *c);
    int fd = sa_http_take_tunnel(request, &tunnel_events, c, &c->tunnel, err);
    if (fd < 0) {
        free(c);
        return -1;
    }
    c->ws = ws;
    c->protocol = protocol ? sa_strdup(protocol) : NULL;
    c->events = events;
    c->user = user;
    c->code = SA_WS_BROKEN;
    c->guard = (struct sa_ws_guard){
        .message_max = ws->options.message_max, .events = &guard_events, .user = c};
    sa_ws_came(c);
    insert_handshake(c, key);
    lws_adopt_desc_t adopt = {
        .vh = ws->vhost, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, .fd.sockfd = fd, .opaque = c};
    if (fd >= FDS_MAX) { /* more than its tables hold: the tunnel ends */
        close(fd);
        return 0;
    }
    c->wsi = lws_adopt_descriptor_vhost_via_info(&adopt);
    if (!c->wsi)
        abort(); /* out of memory */
    return 0;
}

void sa_ws_pause(struct sa_ws_conn *c)
{
    if (c->paused || !c->open)
        return;
    c->paused = true;
    lws_rx_flow_control(c->wsi, 0);
}

void sa_ws_resume(struct sa_ws_conn *c)
{
    if (!c->paused || !c->wsi)
        return;
    c->paused = false;
    c->heard_ms = uv_now(c->ws->loop);
    lws_rx_flow_control(c->wsi, 1);
}
