/*
 * What comes in: splits the bytes into frames, checks each against the protocol, and calls the
 * application. DATA is handed on straight from the fed bytes, piece by piece; any other frame
 * that is split is put together first. Whatever breaks a rule ends the link.
 */
#include "base/arena.h"
#include "link/engine.h"
#include "link/fields.h"

#include <string.h>

/* What each type allows, so that the header alone can be judged. */
static const struct {
    const char *name;
    bool on_stream; /* belongs to a stream, not to the connection */
    uint32_t min, max;
} rules[] = {
    [SA_LINK_HELLO] = {"HELLO", false, 0, LINK_HELLO_MAX},
    [SA_LINK_OPEN] = {"OPEN", true, 0, SA_LINK_PAYLOAD_MAX},
    [SA_LINK_DATA] = {"DATA", true, 1, SA_LINK_PAYLOAD_MAX},
    [SA_LINK_CREDIT] = {"CREDIT", true, 4, 4},
    [SA_LINK_EOF] = {"EOF", true, 0, 0},
    [SA_LINK_NOTE] = {"NOTE", true, 0, SA_LINK_PAYLOAD_MAX},
    [SA_LINK_END] = {"END", true, 0, SA_LINK_PAYLOAD_MAX},
    [SA_LINK_CANCEL] = {"CANCEL", true, 0, 0},
    [SA_LINK_PING] = {"PING", false, 8, 8},
    [SA_LINK_PONG] = {"PONG", false, 8, 8},
    [SA_LINK_GOAWAY] = {"GOAWAY", false, 0, SA_LINK_PAYLOAD_MAX},
};

static int check_header(const struct sa_link *link, const struct frame *f, const uint8_t *header,
                        struct sa_error *err)
{
    if (f->type < SA_LINK_HELLO || f->type > SA_LINK_GOAWAY)
        return sa_error_set(err, SA_EPROTOCOL, "frame of unknown type %u", f->type);
    const char *name = rules[f->type].name;
    if (header[10] || header[11])
        return sa_error_set(err, SA_EPROTOCOL, "%s: reserved bytes are not zero", name);
    if (f->length < rules[f->type].min || f->length > rules[f->type].max)
        return sa_error_set(err, SA_EPROTOCOL, "%s: payload of %u bytes, allowed %u to %u", name,
                            f->length, rules[f->type].min, rules[f->type].max);
    if (rules[f->type].on_stream != (f->stream != 0))
        return sa_error_set(err, SA_EPROTOCOL, "%s on stream %u", name, f->stream);
    bool has_channel = f->type == SA_LINK_DATA || f->type == SA_LINK_EOF;
    if (f->channel >= (has_channel ? SA_CHANNELS : 1))
        return sa_error_set(err, SA_EPROTOCOL, "%s on channel %u", name, f->channel);
    if (!link->ready && f->type != SA_LINK_HELLO && f->type != SA_LINK_GOAWAY)
        return sa_error_set(err, SA_EPROTOCOL, "%s before HELLO", name);
    if (link->ready && f->type == SA_LINK_HELLO)
        return sa_error_set(err, SA_EPROTOCOL, "second HELLO");
    return 0;
}

/* Does an id belong to this side's numbering? */
static bool is_mine(const struct sa_link *link, uint32_t id)
{
    return (id & 1) == (link->options.role == SA_LINK_CONTROL);
}

static bool was_opened(const struct sa_link *link, uint32_t id)
{
    return is_mine(link, id) ? id < link->next_id : id <= link->peer_last_id;
}

/* The frame makes this side answer (PONG, END, CREDIT): not without end for a peer that does not
 * read. */
static int check_answers(const struct sa_link *link, struct sa_error *err)
{
    if (link->output.answers <= LINK_ANSWERS_MAX)
        return 0;
    return sa_error_set(err, SA_EPROTOCOL, "the peer asks but does not read the answers");
}

/* Costs credit: DATA and NOTE. */
static int charge(struct sa_stream *s, const struct frame *f, struct sa_error *err)
{
    if (check_answers(s->link, err) < 0)
        return -1;
    if (f->length > s->allowance)
        return sa_error_set(err, SA_EPROTOCOL, "%s of %u bytes on stream %u, credit for %zu",
                            rules[f->type].name, f->length, f->stream, s->allowance);
    s->allowance -= f->length;
    return 0;
}

/* Rules for a frame on an open stream that hold whatever its payload is. */
static int check_on_stream(struct sa_stream *s, const struct frame *f, struct sa_error *err)
{
    const char *name = rules[f->type].name;
    if (f->type == SA_LINK_END && !s->mine)
        return sa_error_set(err, SA_EPROTOCOL, "END from the opener of stream %u", f->stream);
    if (f->type == SA_LINK_CANCEL && s->mine)
        return sa_error_set(err, SA_EPROTOCOL, "CANCEL of stream %u by who did not open it",
                            f->stream);
    if (s->canceled && !s->mine && f->type != SA_LINK_CREDIT)
        return sa_error_set(err, SA_EPROTOCOL, "%s after CANCEL on stream %u", name, f->stream);
    bool has_channel = f->type == SA_LINK_DATA || f->type == SA_LINK_EOF;
    if (has_channel && (s->eof_received & 1u << f->channel))
        return sa_error_set(err, SA_EPROTOCOL, "%s after EOF on stream %u channel %u", name,
                            f->stream, f->channel);
    if (f->type == SA_LINK_DATA || f->type == SA_LINK_NOTE)
        return charge(s, f, err);
    return 0;
}

static int find_method(const uint8_t *body, size_t length, uint16_t *method, struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field field;
    int64_t value;
    sa_fields_init(&reader, body, length);
    int more = sa_fields_next(&reader, &field, err);
    if (more < 0)
        return -1;
    if (more == 0 || field.tag != OPEN_METHOD)
        return sa_error_set(err, SA_EPROTOCOL, "OPEN without a method");
    if (sa_field_int(&field, &value, err) < 0)
        return -1;
    if (value < 0 || value > UINT16_MAX)
        return sa_error_set(err, SA_EPROTOCOL, "OPEN: method %lld", (long long)value);
    *method = (uint16_t)value;
    return 0;
}

static int on_open(struct sa_link *link, const struct frame *f, const uint8_t *body,
                   struct sa_error *err)
{
    uint16_t method = 0;
    if (is_mine(link, f->stream) || f->stream <= link->peer_last_id)
        return sa_error_set(err, SA_EPROTOCOL, "OPEN of stream %u, last was %u", f->stream,
                            link->peer_last_id);
    if (link->peer_count >= SA_LINK_STREAMS_MAX)
        return sa_error_set(err, SA_EPROTOCOL, "more than %d streams", SA_LINK_STREAMS_MAX);
    if (check_answers(link, err) < 0 || find_method(body, f->length, &method, err) < 0)
        return -1;
    link->peer_last_id = f->stream;
    struct sa_stream *s = stream_new(link, f->stream, false);
    if (link->options.events->opened) {
        link->options.events->opened(link->options.owner, s, method, body, f->length);
    } else {
        struct sa_error refusal;
        sa_error_set(&refusal, SA_EINVALID, "this side answers no method");
        sa_stream_end_error(s, &refusal);
    }
    return 0;
}

static void on_data(struct sa_stream *s, enum sa_link_channel channel, const uint8_t *data,
                    size_t length)
{
    struct sa_link *link = s->link;
    if (s->canceled && s->mine) {
        stream_give_credit(s, length);
        return;
    }
    s->unconsumed += length;
    if (link->options.events->data)
        link->options.events->data(link->options.owner, s, channel, data, length);
    else
        sa_stream_consume(s, length);
}

static void on_note(struct sa_stream *s, const uint8_t *body, size_t length)
{
    struct sa_link *link = s->link;
    const uint32_t id = s->id;
    if ((s->canceled && s->mine) || !link->options.events->note) {
        stream_give_credit(s, length);
        return;
    }
    s->unconsumed += length;
    link->note_bytes = length;
    link->options.events->note(link->options.owner, s, body, length);
    length = link->note_bytes;
    link->note_bytes = 0;
    s = length ? stream_find(link, id) : NULL; /* it may be gone after the callback */
    if (s)
        sa_stream_consume(s, length);
}

static int on_credit(struct sa_stream *s, uint32_t more, struct sa_error *err)
{
    if (more == 0 || more > s->link->peer_window - s->credit)
        return sa_error_set(err, SA_EPROTOCOL,
                            "CREDIT of %u on stream %u, more than was sent there", more, s->id);
    s->credit += more;
    stream_credit_came(s);
    return 0;
}

static void on_eof(struct sa_stream *s, enum sa_link_channel channel)
{
    const struct sa_link_events *events = s->link->options.events;
    s->eof_received |= (uint8_t)(1u << channel);
    if (events->eof && !(s->canceled && s->mine))
        events->eof(s->link->options.owner, s, channel);
}

static void on_cancel(struct sa_stream *s)
{
    const struct sa_link_events *events = s->link->options.events;
    s->canceled = true;
    if (events->canceled)
        events->canceled(s->link->options.owner, s);
}

static void on_end(struct sa_stream *s, const uint8_t *body, size_t length)
{
    struct sa_link *link = s->link;
    uint32_t id = s->id;
    if (link->options.events->ended)
        link->options.events->ended(link->options.owner, s, body, length);
    s = stream_find(link, id);
    if (s)
        stream_free(s);
}

static int on_goaway(const uint8_t *body, size_t length, struct sa_error *err)
{
    struct sa_field whole = {0, body, length};
    struct sa_error reason;
    if (sa_field_error(&whole, &reason, NULL) < 0 || !reason.message[0])
        return sa_error_set(err, SA_EUNAVAILABLE, "the peer closed the link");
    *err = reason;
    sa_error_wrap(err, "the peer closed the link");
    return -1;
}

static int on_connection(struct sa_link *link, const struct frame *f, const uint8_t *body,
                         struct sa_error *err)
{
    switch ((enum sa_link_type)f->type) {
    case SA_LINK_HELLO:
        return link_accept_hello(link, body, f->length, err);
    case SA_LINK_PING:
        if (check_answers(link, err) < 0)
            return -1;
        link_send(link, SA_LINK_PONG, 0, body, f->length);
        return 0;
    case SA_LINK_PONG:
        link->last_pong = get_u32(body) | (uint64_t)get_u32(body + 4) << 32;
        return 0;
    default:
        return on_goaway(body, f->length, err);
    }
}

/* A whole frame that is not DATA. */
static int on_frame(struct sa_link *link, const uint8_t *body, struct sa_error *err)
{
    const struct frame *f = &link->frame;
    if (f->stream == 0)
        return on_connection(link, f, body, err);
    if (f->type == SA_LINK_OPEN)
        return on_open(link, f, body, err);
    struct sa_stream *s = stream_find(link, f->stream);
    if (!s)
        return 0; /* it has ended; the header was checked */
    switch ((enum sa_link_type)f->type) {
    case SA_LINK_CREDIT:
        return on_credit(s, get_u32(body), err);
    case SA_LINK_EOF:
        on_eof(s, (enum sa_link_channel)f->channel);
        return 0;
    case SA_LINK_NOTE:
        on_note(s, body, f->length);
        return 0;
    case SA_LINK_CANCEL:
        on_cancel(s);
        return 0;
    default:
        on_end(s, body, f->length);
        return 0;
    }
}

static int start_frame(struct sa_link *link, const uint8_t *header, struct sa_error *err)
{
    struct frame *f = &link->frame;
    *f = (struct frame){get_u32(header), get_u32(header + 4), header[8], header[9]};
    link->header_have = 0;
    if (check_header(link, f, header, err) < 0)
        return -1;
    if (f->stream && f->type != SA_LINK_OPEN) {
        if (!was_opened(link, f->stream))
            return sa_error_set(err, SA_EPROTOCOL, "%s on stream %u, which was never opened",
                                rules[f->type].name, f->stream);
        struct sa_stream *s = stream_find(link, f->stream);
        if (s && check_on_stream(s, f, err) < 0)
            return -1;
    }
    link->in_payload = true;
    link->payload_left = f->length;
    return 0;
}

/* Takes header bytes; returns how many, or -1. */
static ssize_t feed_header(struct sa_link *link, const uint8_t *data, size_t length,
                           struct sa_error *err)
{
    if (link->header_have == 0 && length >= SA_LINK_HEADER_BYTES)
        return start_frame(link, data, err) < 0 ? -1 : SA_LINK_HEADER_BYTES;
    size_t n = SA_LINK_HEADER_BYTES - link->header_have;
    if (n > length)
        n = length;
    memcpy(link->header + link->header_have, data, n);
    link->header_have += n;
    if (link->header_have == SA_LINK_HEADER_BYTES && start_frame(link, link->header, err) < 0)
        return -1;
    return (ssize_t)n;
}

/* Takes bytes of the payload; returns how many, or -1. */
static ssize_t feed_payload(struct sa_link *link, const uint8_t *data, size_t length,
                            struct sa_error *err)
{
    size_t n = length < link->payload_left ? length : link->payload_left;
    link->payload_left -= n;
    link->in_payload = link->payload_left > 0;
    if (link->frame.type == SA_LINK_DATA) {
        struct sa_stream *s = stream_find(link, link->frame.stream);
        if (s)
            on_data(s, (enum sa_link_channel)link->frame.channel, data, n);
        return (ssize_t)n;
    }
    const uint8_t *body = data;
    if (n < link->frame.length) {
        sa_buf_add(&link->payload, data, n);
        if (link->in_payload)
            return (ssize_t)n;
        body = (const uint8_t *)link->payload.data;
    }
    int result = on_frame(link, body, err);
    sa_buf_deinit(&link->payload);
    return result < 0 ? -1 : (ssize_t)n;
}

static int fail(struct sa_link *link, struct sa_error *err)
{
    if (link->failure.code == SA_EPROTOCOL && link->frame.type != SA_LINK_GOAWAY) {
        sa_autobuf body = SA_BUF_INIT, field = SA_BUF_INIT;
        sa_fields_add_error(&field, 1, &link->failure);
        sa_buf_add(&body, field.data + SA_FIELD_HEADER_BYTES, field.length - SA_FIELD_HEADER_BYTES);
        link_send(link, SA_LINK_GOAWAY, 0, body.data, body.length);
    }
    link->failed = true;
    if (err)
        *err = link->failure;
    return -1;
}

int sa_link_feed(struct sa_link *link, const void *data, size_t length, struct sa_error *err)
{
    const uint8_t *next = data;
    if (link->failed) {
        if (err)
            *err = link->failure;
        return -1;
    }
    while (length || (link->in_payload && link->payload_left == 0)) {
        ssize_t n = link->in_payload ? feed_payload(link, next, length, &link->failure)
                                     : feed_header(link, next, length, &link->failure);
        if (n < 0)
            return fail(link, err);
        next += n;
        length -= (size_t)n;
    }
    return 0;
}
