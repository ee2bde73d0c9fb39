/*
 * The life of a connection. sa_conn_step() is the only place that moves it: flush what is
 * queued, settle a request that is answered, take input, until nothing more happens. It runs
 * from libuv's callbacks and, for connections that a handler touched, before the loop polls.
 */
#include "http/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TCP_KEEPALIVE_S = 60 };

static uint64_t now(const struct sa_conn *c)
{
    return uv_now(c->server->loop);
}

static void enter(struct sa_conn *c, enum conn_phase phase)
{
    c->phase = phase;
    c->phase_since = now(c);
}

void sa_conn_touch(struct sa_conn *c)
{
    if (c->dirty || c->stepping || c->phase == CONN_CLOSING)
        return;
    c->dirty = true;
    DL_APPEND2(c->server->dirty, c, dirty_prev, dirty_next);
}

void sa_conn_fail(struct sa_conn *c)
{
    c->failed = true;
    sa_conn_touch(c);
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct sa_conn *c = handle->data;
    struct sa_http_server *server = c->server;
    sa_out_deinit(&c->out);
    sa_out_deinit(&c->cipher);
    sa_buf_deinit(&c->pending);
    sa_buf_deinit(&c->extra);
    sa_http_parser_free(c->parser);
    sa_tls_free(c->tls);
    sa_server_conn_gone(c);
    free(c);
    sa_server_check_drained(server);
}

static void close_tcp(struct sa_conn *c)
{
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void close_conn(struct sa_conn *c)
{
    if (c->phase == CONN_CLOSING)
        return;
    bool active = c->phase == CONN_ACTIVE;
    if (c->dirty)
        DL_DELETE2(c->server->dirty, c, dirty_prev, dirty_next);
    c->dirty = false;
    c->phase = CONN_CLOSING; /* whatever the callbacks do now changes nothing */
    if (active)
        sa_request_finish(&c->request, c->taken || c->tunnel);
    if (c->tunnel)
        sa_tunnel_close(c, close_tcp);
    else
        close_tcp(c);
}

/* The client may not have read the last answer, and closing with input unread would make the
 * kernel reset the connection under it: say that nothing more comes, and wait a little. */
void sa_conn_linger(struct sa_conn *c)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        shutdown(fd, SHUT_WR);
    enter(c, CONN_LINGER);
}

/* ---- output ---- */

/* True when a handler was called. A handler that fills the queue as fast as the client empties
 * it gets one call to a step, so that it does not keep the loop to itself. */
static bool flush(struct sa_conn *c)
{
    struct sa_http_request *r = &c->request;
    if (c->tls || c->out.bytes)
        sa_conn_flush(c);
    if (c->phase != CONN_ACTIVE || !r->above_high || r->reply != REPLY_STARTED || c->failed ||
        sa_conn_queued(c) > c->server->options.write_high_bytes / 2)
        return false;
    if (c->yielded)
        return false;
    c->yielded = true;
    r->above_high = false;
    r->burst = 0;
    if (r->writable)
        r->writable(r, r->writable_user);
    return true;
}

/* ---- requests ---- */

void sa_conn_refuse(struct sa_conn *c, int status, enum sa_code code, const char *why)
{
    struct sa_http_request *r = &c->request;
    struct sa_error error;
    if (c->phase != CONN_ACTIVE) {
        enter(c, CONN_ACTIVE);
        c->last_output = now(c);
        sa_request_begin(r, NULL);
    }
    sa_request_detach(r);
    if (r->reply != REPLY_NONE) {
        c->failed = true;
        return;
    }
    sa_error_set(&error, code, "%s", why);
    r->body = BODY_COMPLETE; /* of what follows nothing is believed */
    r->keep_alive = false;
    c->linger = true;
    c->extra.length = 0;
    r->own_cache_control = r->own_retry_after = false;
    sa_http_respond_error_full(r, status, &error, NULL);
}

void sa_conn_refuse_body(struct sa_conn *c)
{
    sa_conn_refuse(c, 413, SA_ETOOLARGE, "the body is larger than this server takes");
}

static void begin_request(struct sa_conn *c)
{
    struct sa_http_request *r = &c->request;
    const struct sa_http_options *options = &c->server->options;
    enter(c, CONN_ACTIVE);
    c->last_input = c->last_output = now(c);
    sa_request_begin(r, sa_http_parser_head(c->parser));
    if (options->body_bytes_max && r->head->content_length > 0 &&
        (uint64_t)r->head->content_length > options->body_bytes_max) {
        sa_conn_refuse_body(c);
        return;
    }
    r->handled = true;
    options->handler(r, options->user);
}

void sa_conn_refuse_parse(struct sa_conn *c)
{
    const char *why;
    int status = sa_http_parser_refusal(c->parser, &why);
    sa_conn_refuse(c, status, SA_EINVALID, why);
}

/* An answered and flushed request: is it over? True when the connection moved on. */
static bool settle(struct sa_conn *c)
{
    struct sa_http_request *r = &c->request;
    if (c->phase != CONN_ACTIVE || r->reply != REPLY_ENDED || c->failed || c->taken)
        return false;
    if (c->tunnel) {
        sa_request_finish(r, true);
        enter(c, CONN_TUNNEL);
        sa_tunnel_begin(c);
        return true;
    }
    if (r->body != BODY_COMPLETE && r->body != BODY_DISCARD) {
        if (r->head->expect_continue && r->body == BODY_UNCLAIMED)
            r->keep_alive = false; /* nobody knows whether the body will come */
        r->body = BODY_DISCARD;
        c->last_input = now(c);
    }
    if (sa_conn_queued(c))
        return false;
    if (r->body == BODY_DISCARD && r->keep_alive && !c->eof &&
        sa_http_parser_body_left(c->parser) <= DISCARD_BYTES_MAX)
        return false; /* sa_conn_take_body() goes on */
    bool linger = !c->eof && (c->linger || r->body != BODY_COMPLETE ||
                              (r->head && r->head->keep_alive)); /* it may have sent more */
    bool again = r->keep_alive && r->body == BODY_COMPLETE && !c->eof && !c->server->draining;
    sa_request_finish(r, true);
    enter(c, CONN_IDLE);
    if (again)
        return true;
    if (c->tls) {
        sa_tls_close_notify(c->tls);
        sa_conn_flush(c);
    }
    if (linger && !c->failed)
        sa_conn_linger(c);
    else
        c->failed = true;
    return true;
}

/* ---- input ---- */

struct sa_http_text sa_conn_input(const struct sa_conn *c)
{
    size_t kept = c->pending.length - c->pending_used;
    if (kept)
        return (struct sa_http_text){c->pending.data + c->pending_used, kept};
    return (struct sa_http_text){c->slice, c->slice_length};
}

void sa_conn_consume(struct sa_conn *c, size_t length)
{
    if (c->pending.length == c->pending_used) {
        assert(length <= c->slice_length);
        c->slice += length;
        c->slice_length -= length;
        return;
    }
    c->pending_used += length;
    assert(c->pending_used <= c->pending.length);
    if (c->pending_used == c->pending.length) {
        sa_buf_deinit(&c->pending);
        c->pending_used = 0;
    }
}

static void add_pending(struct sa_conn *c, const char *data, size_t length)
{
    if (c->pending_used) {
        sa_buf_consume(&c->pending, c->pending_used);
        c->pending_used = 0;
    }
    sa_buf_add(&c->pending, data, length);
}

/* With TLS: decrypt more once everything before it was used. */
static void refill(struct sa_conn *c)
{
    if (!c->tls || c->slice_length || c->pending.length != c->pending_used || c->failed)
        return;
    ssize_t n = sa_tls_read(c->tls, c->server->plain_buffer, READ_BYTES);
    if (n > 0) {
        c->slice = c->server->plain_buffer;
        c->slice_length = (size_t)n;
        return;
    }
    sa_conn_flush(c); /* the handshake goes on, or an alert says why not */
    c->eof |= n == -2;
    c->failed |= n == -1;
}

static bool take_head(struct sa_conn *c)
{
    struct sa_http_text body, input = sa_conn_input(c);
    if (!input.length)
        return false;
    if (c->phase == CONN_IDLE) {
        enter(c, CONN_HEAD);
        c->request.started_us = (int64_t)(uv_hrtime() / 1000);
    }
    const char *data = input.data;
    size_t length = input.length;
    enum sa_http_event event = sa_http_parser_next(c->parser, &data, &length, &body);
    if (event == SA_HTTP_BAD) {
        sa_conn_refuse_parse(c);
        return true;
    }
    sa_conn_consume(c, input.length - length);
    if (event == SA_HTTP_HEAD)
        begin_request(c);
    return true;
}

/* True when something happened. */
static bool take_input(struct sa_conn *c)
{
    if (c->failed || c->taken)
        return false;
    switch (c->phase) {
    case CONN_HANDSHAKE:
        refill(c);
        if (!sa_tls_established(c->tls))
            return false;
        enter(c, CONN_IDLE);
        return true;
    case CONN_IDLE:
    case CONN_HEAD:
        refill(c);
        return !c->failed && take_head(c);
    case CONN_ACTIVE:
        if (c->request.reply == REPLY_ENDED && c->request.body == BODY_FLOWING)
            return false; /* settle() first */
        if (c->request.body == BODY_FLOWING || c->request.body == BODY_DISCARD)
            refill(c);
        return !c->failed && sa_conn_take_body(c);
    case CONN_TUNNEL:
        if (!sa_tunnel_allowance(c))
            return false;
        refill(c);
        if (c->failed || !sa_conn_input(c).length)
            return false;
        sa_tunnel_take_input(c);
        return true;
    case CONN_LINGER:
        sa_conn_consume(c, sa_conn_input(c).length);
        return false;
    case CONN_CLOSING:
        break;
    }
    return false;
}

/* ---- reading ---- */

static size_t buffered(const struct sa_conn *c)
{
    return sa_conn_input(c).length + (c->tls ? sa_tls_unread_bytes(c->tls) : 0);
}

/* While a request is worked on, a client is read ahead of only so far: far enough to notice in
 * most cases that it has gone. */
static size_t read_allowance(const struct sa_conn *c)
{
    if (c->phase == CONN_TUNNEL)
        return sa_tunnel_allowance(c);
    if (c->phase != CONN_ACTIVE)
        return READ_BYTES;
    size_t have = buffered(c), max = c->server->options.pipeline_bytes_max;
    if (have >= max)
        return 0;
    if (c->request.body == BODY_FLOWING || c->request.body == BODY_DISCARD)
        return READ_BYTES;
    return max - have < READ_BYTES ? max - have : READ_BYTES;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct sa_conn *c = handle->data;
    (void)suggested;
    buffer->base = c->server->read_buffer;
    buffer->len = read_allowance(c);
}

static void ended(struct sa_conn *c)
{
    bool answered = c->phase == CONN_ACTIVE && c->request.reply == REPLY_ENDED;
    c->eof = true;
    if (!answered && c->phase != CONN_TUNNEL)
        c->failed = true; /* gone, or done with us */
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct sa_conn *c = stream->data;
    if (n == 0 || c->phase == CONN_CLOSING)
        return;
    c->last_input = now(c);
    if (n == UV_EOF) {
        ended(c);
    } else if (n < 0) {
        c->failed = true;
    } else if (c->tls) {
        sa_tls_feed(c->tls, buffer->base, (size_t)n);
    } else if (c->pending.length != c->pending_used) {
        add_pending(c, buffer->base, (size_t)n);
    } else {
        c->slice = buffer->base;
        c->slice_length = (size_t)n;
    }
    sa_conn_step(c);
}

static void update_reading(struct sa_conn *c)
{
    bool want = !c->eof && read_allowance(c) > 0;
    if (want == c->reading)
        return;
    c->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0)
        c->failed = true;
}

/* ---- the step ---- */

void sa_conn_step(struct sa_conn *c)
{
    bool again;
    if (c->stepping || c->phase == CONN_CLOSING)
        return;
    c->stepping = true;
    do {
        again = flush(c);
        again |= settle(c);
        again |= take_input(c);
        if (c->tls && c->eof) /* close_notify */
            ended(c);
    } while (again && !c->failed && !c->taken);
    if (c->phase == CONN_TUNNEL && !c->failed)
        sa_tunnel_settle(c);
    if (c->slice_length)
        add_pending(c, c->slice, c->slice_length);
    c->slice_length = 0;
    if (!c->failed && !c->taken)
        update_reading(c);
    c->stepping = false;
    if (c->failed || c->taken)
        close_conn(c);
    else if (c->yielded && c->request.above_high && !c->writing)
        sa_conn_touch(c);
    c->yielded = false;
}

/* ---- timeouts ---- */

static void check_writing(struct sa_conn *c, uint64_t time)
{
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (c->writing && left != c->write_mark) { /* the kernel took some of it */
        c->write_mark = left;
        c->last_output = time;
    }
    if (c->writing && time - c->last_output >= c->server->options.write_timeout_ms)
        c->failed = true;
}

static void check_active(struct sa_conn *c, uint64_t time)
{
    const struct sa_http_options *o = &c->server->options;
    struct sa_http_request *r = &c->request;
    check_writing(c, time);
    bool reading = r->body == BODY_FLOWING || r->body == BODY_DISCARD;
    if (c->failed || !reading || time - c->last_input < o->body_timeout_ms)
        return;
    if (r->reply == REPLY_NONE)
        sa_conn_refuse(c, 408, SA_ETIMEOUT, "the body did not arrive in time");
    else
        c->failed = true;
}

void sa_conn_check_timeouts(struct sa_conn *c, uint64_t time)
{
    const struct sa_http_options *o = &c->server->options;
    uint64_t since = time - c->phase_since;
    c->stepping = true; /* what happens here is finished by the step below */
    switch (c->phase) {
    case CONN_HANDSHAKE:
        c->failed |= since >= o->handshake_timeout_ms;
        break;
    case CONN_IDLE:
        c->failed |= since >= o->keepalive_timeout_ms;
        break;
    case CONN_HEAD:
        if (since >= o->header_timeout_ms)
            sa_conn_refuse(c, 408, SA_ETIMEOUT, "the request's head did not arrive in time");
        break;
    case CONN_ACTIVE:
        check_active(c, time);
        break;
    case CONN_TUNNEL:
        check_writing(c, time);
        break;
    case CONN_LINGER:
        c->failed |= since >= LINGER_MS;
        break;
    case CONN_CLOSING:
        break;
    }
    c->stepping = false;
    sa_conn_step(c);
}

/* ---- accepting ---- */

static void on_dropped(uv_handle_t *handle)
{
    struct sa_conn *c = handle->data;
    struct sa_http_server *server = c->server;
    free(c);
    server->handles--;
    sa_server_check_drained(server);
}

void sa_conn_accept(struct sa_http_server *server, uv_stream_t *listener)
{
    const struct sa_http_options *o = &server->options;
    struct sa_conn *c = sa_alloc(sizeof *c);
    c->server = server;
    c->tcp.data = c;
    c->out.pool = c->cipher.pool = &server->pool;
    if (uv_tcp_init(server->loop, &c->tcp) != 0) {
        free(c);
        return;
    }
    bool full = server->conn_count >= o->connections_max;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 ||
        (full && (server->tls || server->conn_count >= o->connections_max + REFUSED_MAX))) {
        server->refused_count += full;
        server->handles++; /* counted here while it is no connection */
        uv_close((uv_handle_t *)&c->tcp, on_dropped);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    uv_tcp_keepalive(&c->tcp, 1,
                     TCP_KEEPALIVE_S); /* finds who vanished, upgraded connections too */
    sa_server_conn_came(c);
    c->request.conn = c;
    c->parser = sa_http_parser_new(&(struct sa_http_parser_limits){
        o->headers_max, o->header_bytes_max, o->target_bytes_max, o->query_max});
    if (server->tls)
        c->tls = sa_tls_new(server->tls);
    enter(c, c->tls ? CONN_HANDSHAKE : CONN_IDLE);
    c->last_input = c->last_output = now(c);
    if (full) {
        server->refused_count++;
        c->request.started_us = (int64_t)(uv_hrtime() / 1000);
        c->stepping = true;
        sa_conn_refuse(c, 503, SA_EUNAVAILABLE, "there are too many connections");
        c->stepping = false;
    }
    sa_conn_step(c);
}
