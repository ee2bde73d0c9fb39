/*
 * What goes out. A message is built in a buffer that all connections share and written at once
 * when nothing is in its way; only what has to wait is copied to the connection's queue:
 * [struct waiting][LWS_PRE bytes for the frame's head][payload] ...
 */
#include "ws/internal.h"

#include <stdlib.h>
#include <string.h>

struct waiting {
    uint32_t length;
    uint32_t kind;
};

static size_t queue_length(const struct sa_ws_conn *c)
{
    return c->queue.length - c->queue_used;
}

size_t sa_ws_queued_bytes(const struct sa_ws_conn *c)
{
    return queue_length(c) + c->inflight;
}

void sa_ws_drop_queue(struct sa_ws_conn *c)
{
    sa_buf_deinit(&c->queue);
    c->queue_used = 0;
}

/* Of what was given to libwebsockets it may keep a rest; then nothing may follow. */
static bool clear_to_write(struct sa_ws_conn *c)
{
    if (lws_partial_buffered(c->wsi))
        return false;
    c->inflight = 0;
    return true;
}

static int write_frame(struct sa_ws_conn *c, void *payload, size_t length,
                       enum lws_write_protocol kind)
{
    if (lws_write(c->wsi, payload, length, kind) < 0)
        return -1;
    if (lws_partial_buffered(c->wsi))
        c->inflight = length;
    return 0;
}

static int write_control(struct sa_ws_conn *c, enum lws_write_protocol kind, const void *payload,
                         size_t length)
{
    unsigned char frame[LWS_PRE + SA_WS_CONTROL_MAX];
    memcpy(frame + LWS_PRE, payload, length);
    return write_frame(c, frame + LWS_PRE, length, kind);
}

static enum lws_write_protocol wire_kind(uint32_t kind)
{
    return kind == SA_WS_TEXT ? LWS_WRITE_TEXT : LWS_WRITE_BINARY;
}

static int write_controls(struct sa_ws_conn *c)
{
    if (c->pong_due && clear_to_write(c)) {
        c->pong_due = false;
        if (write_control(c, LWS_WRITE_PONG, c->pong, c->pong_length) < 0)
            return -1;
    }
    if (c->ping_due && clear_to_write(c)) {
        c->ping_due = false;
        return write_control(c, LWS_WRITE_PING, "", 0);
    }
    return 0;
}

static int write_queue(struct sa_ws_conn *c)
{
    struct waiting head;
    while (queue_length(c) && clear_to_write(c)) {
        char *at = c->queue.data + c->queue_used;
        memcpy(&head, at, sizeof head);
        c->queue_used += sizeof head + LWS_PRE + head.length;
        if (write_frame(c, at + sizeof head + LWS_PRE, head.length, wire_kind(head.kind)) < 0)
            return -1;
    }
    if (!queue_length(c))
        sa_ws_drop_queue(c);
    return 0;
}

int sa_ws_flush(struct sa_ws_conn *c)
{
    if (!c->was_opened || c->close_sent || !clear_to_write(c))
        return 0;
    if (c->close_due) {
        sa_ws_insert_close(c);
        return 0;
    }
    if (write_controls(c) < 0 || write_queue(c) < 0)
        return -1;
    if (queue_length(c) || c->inflight)
        lws_callback_on_writable(c->wsi);
    return 0;
}

void sa_ws_pong(struct sa_ws_conn *c, const void *payload, size_t length)
{
    memcpy(c->pong, payload, length);
    c->pong_length = (unsigned)length;
    c->pong_due = true;
    if (!c->open && !c->closing)
        return;
    if (c->pongs++ >= PONGS_MAX)
        lws_callback_on_writable(c->wsi);
    else if (sa_ws_flush(c) < 0)
        sa_ws_cut(c, SA_WS_BROKEN);
}

/* ---- messages ---- */

struct sa_buf *sa_ws_begin(struct sa_ws_conn *c)
{
    struct sa_buf *frame = &c->ws->frame;
    frame->length = 0;
    sa_buf_reserve(frame, sizeof(struct waiting) + LWS_PRE);
    frame->length = sizeof(struct waiting) + LWS_PRE;
    return frame;
}

static void enqueue(struct sa_ws_conn *c, enum sa_ws_kind kind, size_t length)
{
    struct sa_buf *frame = &c->ws->frame;
    struct waiting head = {.length = (uint32_t)length, .kind = kind};
    memcpy(frame->data, &head, sizeof head);
    if (c->queue_used > c->queue.length / 2) {
        sa_buf_consume(&c->queue, c->queue_used);
        c->queue_used = 0;
    }
    sa_buf_add(&c->queue, frame->data, frame->length);
    lws_callback_on_writable(c->wsi);
}

static bool put(struct sa_ws_conn *c, enum sa_ws_kind kind)
{
    struct sa_buf *frame = &c->ws->frame;
    size_t head = sizeof(struct waiting) + LWS_PRE, length = frame->length - head;
    if (!c->open)
        return false;
    if (!queue_length(c) && clear_to_write(c)) {
        if (write_frame(c, frame->data + head, length, wire_kind(kind)) < 0) {
            sa_ws_cut(c, SA_WS_BROKEN);
            return false;
        }
    } else if (sa_ws_queued_bytes(c) + length > c->ws->options.queue_max) {
        sa_ws_cut(c, SA_WS_BROKEN);
        return false;
    } else {
        enqueue(c, kind, length);
    }
    if (sa_ws_queued_bytes(c) >= c->ws->options.queue_high)
        c->stopped = true;
    return !c->stopped;
}

bool sa_ws_end(struct sa_ws_conn *c, enum sa_ws_kind kind)
{
    bool go_on = put(c, kind);
    if (c->ws->frame.capacity > SCRATCH_KEEP)
        sa_buf_deinit(&c->ws->frame);
    return go_on;
}

bool sa_ws_send(struct sa_ws_conn *c, enum sa_ws_kind kind, const void *data, size_t length)
{
    sa_buf_add(sa_ws_begin(c), data, length);
    return sa_ws_end(c, kind);
}
