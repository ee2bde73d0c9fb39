/* The way of a body: from the connection's input to the handler, or to nobody. */
#include "http/internal.h"

#include <assert.h>

static void body_complete(struct sa_conn *c)
{
    struct sa_http_request *r = &c->request;
    bool wanted = r->body == BODY_FLOWING;
    r->body = BODY_COMPLETE;
    if (wanted && r->done)
        r->done(r, r->body_user);
}

/* Offer the piece of body at the front of the input. */
static void deliver(struct sa_conn *c)
{
    struct sa_http_request *r = &c->request;
    struct sa_http_text input = sa_conn_input(c);
    size_t taken = c->body_left;
    assert(c->body_left <= input.length);
    if (r->body == BODY_FLOWING) {
        r->resumed = false;
        taken = r->data(r, input.data, c->body_left, r->body_user);
        assert(taken <= c->body_left);
        if (taken < c->body_left && r->body == BODY_FLOWING && !r->resumed)
            r->body = BODY_PAUSED;
    }
    c->body_left -= taken;
    sa_conn_consume(c, taken);
}

static void next_body_event(struct sa_conn *c)
{
    struct sa_http_request *r = &c->request;
    struct sa_http_text body, input = sa_conn_input(c);
    const char *data = input.data;
    size_t length = input.length;
    uint64_t max = c->server->options.body_bytes_max;
    switch (sa_http_parser_next(c->parser, &data, &length, &body)) {
    case SA_HTTP_BODY:
        sa_conn_consume(c, input.length - length - body.length); /* to where the piece begins */
        c->body_left = body.length;
        r->bytes_in += body.length;
        r->discarded += r->body == BODY_DISCARD ? body.length : 0;
        if (r->discarded > DISCARD_BYTES_MAX)
            r->keep_alive = false;
        else if (max && r->bytes_in > max)
            sa_conn_refuse_body(c);
        break;
    case SA_HTTP_END:
        sa_conn_consume(c, input.length - length);
        body_complete(c);
        break;
    case SA_HTTP_BAD:
        sa_conn_refuse_parse(c);
        break;
    case SA_HTTP_NEED_MORE:
    case SA_HTTP_HEAD:
        sa_conn_consume(c, input.length - length);
        break;
    }
}

bool sa_conn_take_body(struct sa_conn *c)
{
    struct sa_http_request *r = &c->request;
    if (r->too_large && r->handled && r->reply != REPLY_ENDED) {
        char why[96];
        snprintf(why, sizeof why, "the body is larger than the %zu bytes that this request takes",
                 r->collect_cap);
        sa_conn_refuse(c, 413, SA_ETOOLARGE, why);
        return true;
    }
    if (r->body_done_due && r->reply != REPLY_ENDED) {
        r->body_done_due = false;
        r->done(r, r->body_user);
        return true;
    }
    if (r->body != BODY_FLOWING && r->body != BODY_DISCARD)
        return false;
    if (c->body_left) {
        deliver(c);
        return true;
    }
    bool counted_out = sa_http_parser_body_left(c->parser) == 0; /* END needs no input */
    if (!sa_conn_input(c).length && !counted_out)
        return false;
    next_body_event(c);
    return true;
}
