/* The response's side of http.h. */
#include "http/internal.h"

#include "base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- headers ---- */

static bool is_token(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789!#$%&'*+-.^_`|~";
    size_t n = strlen(text);
    return n && strspn(text, allowed) == n;
}

static bool is_field_value(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

void sa_http_response_header(struct sa_http_request *r, const char *name, const char *value)
{
    struct sa_buf *extra = &r->conn->extra;
    bool sound = is_token(name) && is_field_value(value) && r->reply == REPLY_NONE;
    assert(sound);
    if (!sound)
        return;
    if (!strcasecmp(name, "content-length")) {
        char *end;
        errno = 0;
        long long length = strtoll(value, &end, 10);
        if (!errno && end != value && !*end && length >= 0)
            r->own_length = length;
        return;
    }
    r->own_cache_control |= !strcasecmp(name, "cache-control");
    r->own_retry_after |= !strcasecmp(name, "retry-after");
    sa_buf_adds(extra, name);
    sa_buf_adds(extra, ": ");
    sa_buf_adds(extra, value);
    sa_buf_adds(extra, "\r\n");
}

void sa_http_response_headerf(struct sa_http_request *r, const char *name, const char *fmt, ...)
{
    va_list ap;
    sa_autofree char *value = NULL;
    va_start(ap, fmt);
    int n = vasprintf(&value, fmt, ap);
    va_end(ap);
    if (n < 0)
        abort(); /* out of memory */
    sa_http_response_header(r, name, value);
}

/* ---- streaming ---- */

bool sa_http_response_started(const struct sa_http_request *r)
{
    return r->reply != REPLY_NONE;
}

/* A body that is still to come and will not be read makes this the last answer. */
static bool body_blocks_reuse(const struct sa_http_request *r)
{
    if (!r->head || r->body == BODY_COMPLETE || r->body == BODY_FLOWING || r->body == BODY_PAUSED)
        return false;
    return r->head->expect_continue ||
           sa_http_parser_body_left(r->conn->parser) > DISCARD_BYTES_MAX;
}

void sa_http_response_start(struct sa_http_request *r, int status, const char *type, int64_t length)
{
    assert(r->reply == REPLY_NONE && status >= 200 && status <= 599);
    if (r->reply != REPLY_NONE) { /* a bug of the handler must not split the response */
        sa_conn_fail(r->conn);
        return;
    }
    bool http_1_0 = r->head && r->head->http_1_0;
    r->reply = REPLY_STARTED;
    r->status = status;
    r->drop_body = (r->head && r->head->is_head) || status == 204 || status == 304;
    r->chunked = length < 0 && !http_1_0;
    r->length_left = r->drop_body ? -1 : length;
    if (r->conn->server->draining || body_blocks_reuse(r) ||
        (length < 0 && http_1_0 && !r->drop_body))
        r->keep_alive = false;
    sa_reply_head(r, status, type, length);
    if (r->drop_body)
        r->chunked = false;
    sa_conn_touch(r->conn);
}

/* May `length` more bytes be queued? What is not sent counts as taken. */
static bool accepts(struct sa_http_request *r, size_t length)
{
    assert(r->reply == REPLY_STARTED);
    if (r->drop_body || r->conn->failed || !length || r->reply != REPLY_STARTED)
        return false;
    if (r->length_left >= 0 && (uint64_t)r->length_left < length) {
        sa_conn_fail(r->conn); /* more than was announced */
        return false;
    }
    return true;
}

/* May the caller go on? On a broken connection not: `closed` is about to come. */
static bool go_on(const struct sa_http_request *r)
{
    return !r->above_high && !r->conn->failed;
}

static bool queued(struct sa_http_request *r, size_t length)
{
    struct sa_conn *c = r->conn;
    const struct sa_http_options *options = &c->server->options;
    r->bytes_out += length;
    r->burst += length;
    if (r->length_left >= 0)
        r->length_left -= (int64_t)length;
    if (sa_conn_queued(c) >= FLUSH_BYTES && !c->writing)
        sa_conn_flush(c);
    sa_conn_touch(c);
    size_t bytes = sa_conn_queued(c);
    if (bytes > options->write_max_bytes)
        sa_conn_fail(c);
    if (bytes >= options->write_high_bytes || r->burst >= BURST_BYTES)
        r->above_high = true;
    return go_on(r);
}

bool sa_http_response_write(struct sa_http_request *r, const void *data, size_t length)
{
    if (!accepts(r, length))
        return go_on(r);
    if (r->chunked)
        sa_out_chunk_add(&r->conn->out, data, length);
    else
        sa_out_add(&r->conn->out, data, length);
    return queued(r, length);
}

bool sa_http_response_write_owned(struct sa_http_request *r, void *data, size_t length,
                                  void (*release)(void *))
{
    if (!accepts(r, length)) {
        release(data);
        return go_on(r);
    }
    if (r->chunked)
        sa_out_chunk_add_owned(&r->conn->out, data, length, release);
    else
        sa_out_add_owned(&r->conn->out, data, length, release);
    return queued(r, length);
}

void *sa_http_response_reserve(struct sa_http_request *r, size_t length)
{
    assert(r->reply == REPLY_STARTED);
    struct sa_out *out = &r->conn->out;
    return r->chunked ? sa_out_chunk_reserve(out, length) : sa_out_reserve(out, length);
}

bool sa_http_response_commit(struct sa_http_request *r, size_t length)
{
    if (!accepts(r, length))
        return go_on(r);
    if (r->chunked)
        sa_out_chunk_commit(&r->conn->out, length);
    else
        sa_out_commit(&r->conn->out, length);
    return queued(r, length);
}

void sa_http_response_flush(struct sa_http_request *r)
{
    if (!r->conn->writing)
        sa_conn_flush(r->conn);
    sa_conn_touch(r->conn);
}

size_t sa_http_response_queued_bytes(const struct sa_http_request *r)
{
    return sa_conn_queued(r->conn);
}

void sa_http_response_on_writable(struct sa_http_request *r, sa_http_done_cb *writable, void *user)
{
    r->writable = writable;
    r->writable_user = user;
}

void sa_http_response_end(struct sa_http_request *r)
{
    assert(r->reply == REPLY_STARTED);
    if (r->reply != REPLY_STARTED)
        return;
    if (r->length_left > 0) { /* fewer bytes than announced: the client must notice */
        sa_http_response_abort(r);
        return;
    }
    r->reply = REPLY_ENDED;
    if (r->chunked) {
        sa_out_chunk_close(&r->conn->out);
        sa_out_add(&r->conn->out, "0\r\n\r\n", 5);
    }
    sa_conn_touch(r->conn);
}

void sa_http_response_abort(struct sa_http_request *r)
{
    r->reply = REPLY_ENDED;
    sa_conn_fail(r->conn);
}

/* ---- whole answers ---- */

/* Who answers in full wants no more of the body: what still comes decides whether the connection
 * can be kept, and the head must tell. How much a chunked one still is nobody knows. */
static void drop_body(struct sa_http_request *r)
{
    if (r->body != BODY_FLOWING && r->body != BODY_PAUSED)
        return;
    r->body = BODY_DISCARD;
    if (sa_http_parser_body_left(r->conn->parser) < 0)
        r->keep_alive = false;
}

void sa_http_respond(struct sa_http_request *r, int status, const char *type, const void *body,
                     size_t length)
{
    drop_body(r);
    sa_http_response_start(r, status, type, (int64_t)length);
    sa_http_response_write(r, body, length);
    sa_http_response_end(r);
}

void sa_http_respond_owned(struct sa_http_request *r, int status, const char *type, void *body,
                           size_t length, void (*release)(void *))
{
    drop_body(r);
    sa_http_response_start(r, status, type, (int64_t)length);
    sa_http_response_write_owned(r, body, length, release);
    sa_http_response_end(r);
}

void sa_http_respond_error_full(struct sa_http_request *r, int status, const struct sa_error *error,
                                const struct sa_http_why *why)
{
    sa_autobuf body = SA_BUF_INIT;
    if (!status)
        status = sa_code_http_status(error->code);
    if ((status == 429 || status == 503) && !r->own_retry_after)
        sa_http_response_header(r, "Retry-After", error->code == SA_ECONTROL ? "3600" : "1");
    sa_reply_error_json(&body, error, why, r->id);
    sa_http_respond(r, status, "application/json", body.data, body.length);
}

void sa_http_respond_error(struct sa_http_request *r, const struct sa_error *error)
{
    sa_http_respond_error_full(r, 0, error, NULL);
}
