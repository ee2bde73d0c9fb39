/* The life of a link: HELLO, output, failure. See link.h for the protocol. */
#include "link/link.h"

#include "base/arena.h"
#include "link/engine.h"
#include "link/fields.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

static void send_hello(struct sa_link *link)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, HELLO_MAGIC, SA_LINK_MAGIC);
    sa_fields_add_int(&body, HELLO_LOWEST, SA_LINK_VERSION);
    sa_fields_add_int(&body, HELLO_HIGHEST, SA_LINK_VERSION);
    sa_fields_add_int(&body, HELLO_WINDOW, (int64_t)link->options.window_bytes);
    sa_fields_add_int(&body, HELLO_STREAMS, SA_LINK_STREAMS_MAX);
    sa_fields_add_text(&body, HELLO_NAME, link->name);
    link_send(link, SA_LINK_HELLO, 0, body.data, body.length);
}

struct sa_link *sa_link_new(const struct sa_link_options *options)
{
    static const struct sa_link_events none;
    struct sa_link *link = sa_alloc(sizeof *link);
    link->options = *options;
    if (!link->options.window_bytes)
        link->options.window_bytes = SA_LINK_WINDOW_BYTES;
    if (!link->options.output_high_bytes)
        link->options.output_high_bytes = 1024 * 1024;
    assert(link->options.window_bytes >= SA_LINK_WINDOW_MIN &&
           link->options.window_bytes <= SA_LINK_WINDOW_MAX);
    snprintf(link->name, sizeof link->name, "%s", options->name ? options->name : "");
    link->next_id = options->role == SA_LINK_CONTROL ? 1 : 2;
    link->options.events = &none; /* the caller has no pointer to the link yet */
    send_hello(link);
    if (options->events)
        link->options.events = options->events;
    return link;
}

void sa_link_free(struct sa_link *link)
{
    if (!link)
        return;
    struct sa_stream *s, *next;
    HASH_ITER (hh, link->streams, s, next) {
        stream_free(s);
    }
    sa_queue_deinit(&link->output);
    sa_buf_deinit(&link->payload);
    free(link);
}

/* The values of a HELLO, checked one by one so that the message can say what is wrong. */
struct hello {
    char magic[32], name[LINK_NAME_BYTES];
    int64_t lowest, highest, window, streams;
};

static int decode_hello(const uint8_t *body, size_t length, struct hello *hello,
                        struct sa_error *err)
{
    struct sa_fields reader;
    struct sa_field f;
    int more, bad = 0;
    *hello = (struct hello){0};
    sa_fields_init(&reader, body, length);
    while (!bad && (more = sa_fields_next(&reader, &f, err)) != 0) {
        if (more < 0)
            return -1;
        switch (f.tag) {
        case HELLO_MAGIC:
            bad = sa_field_text_into(&f, hello->magic, sizeof hello->magic, err);
            break;
        case HELLO_LOWEST:
            bad = sa_field_int(&f, &hello->lowest, err);
            break;
        case HELLO_HIGHEST:
            bad = sa_field_int(&f, &hello->highest, err);
            break;
        case HELLO_WINDOW:
            bad = sa_field_int(&f, &hello->window, err);
            break;
        case HELLO_STREAMS:
            bad = sa_field_int(&f, &hello->streams, err);
            break;
        case HELLO_NAME:
            bad = sa_field_text_into(&f, hello->name, sizeof hello->name, err);
            break;
        default:
            if (f.tag & SA_FIELD_CRITICAL)
                bad = sa_error_set(err, SA_EPROTOCOL, "HELLO: unknown critical field %u", f.tag);
        }
    }
    return bad;
}

int link_accept_hello(struct sa_link *link, const uint8_t *body, size_t length,
                      struct sa_error *err)
{
    struct hello h;
    if (decode_hello(body, length, &h, err) < 0)
        return -1;
    if (strcmp(h.magic, SA_LINK_MAGIC) != 0)
        return sa_error_set(err, SA_EPROTOCOL, "HELLO: this is not a link peer");
    if (h.lowest > h.highest || h.lowest > SA_LINK_VERSION || h.highest < SA_LINK_VERSION)
        return sa_error_set(err, SA_EPROTOCOL,
                            "HELLO: the peer speaks link versions %lld to %lld, this side %d",
                            (long long)h.lowest, (long long)h.highest, SA_LINK_VERSION);
    if (h.window < SA_LINK_WINDOW_MIN || h.window > SA_LINK_WINDOW_MAX)
        return sa_error_set(err, SA_EPROTOCOL, "HELLO: window of %lld bytes, allowed %d to %d",
                            (long long)h.window, SA_LINK_WINDOW_MIN, SA_LINK_WINDOW_MAX);
    if (h.streams < 1)
        return sa_error_set(err, SA_EPROTOCOL, "HELLO: the peer accepts no stream");
    link->peer_window = (size_t)h.window;
    link->peer_streams_max =
        h.streams < SA_LINK_STREAMS_MAX ? (size_t)h.streams : SA_LINK_STREAMS_MAX;
    link->ready = true;
    if (link->options.events->ready)
        link->options.events->ready(link->options.owner, h.name);
    return 0;
}

void link_put_header(uint8_t *out, enum sa_link_type type, enum sa_link_channel channel,
                     uint32_t stream, size_t length)
{
    put_u32(out, (uint32_t)length);
    put_u32(out + 4, stream);
    out[8] = (uint8_t)type;
    out[9] = (uint8_t)channel;
    out[10] = out[11] = 0;
}

void link_commit(struct sa_link *link, size_t length)
{
    bool was_empty = link->output.bytes == 0;
    sa_queue_commit(&link->output, length);
    if (was_empty && length && link->options.events->wants_output)
        link->options.events->wants_output(link->options.owner);
}

void link_send(struct sa_link *link, enum sa_link_type type, uint32_t stream, const void *payload,
               size_t length)
{
    assert(length <= SA_LINK_PAYLOAD_MAX && !link->reserved);
    if (link->failed)
        return;
    uint8_t *out = sa_queue_reserve(&link->output, SA_LINK_HEADER_BYTES + length);
    link_put_header(out, type, SA_CHANNEL_IN, stream, length);
    if (length)
        memcpy(out + SA_LINK_HEADER_BYTES, payload, length);
    if (type == SA_LINK_PONG || type == SA_LINK_END || type == SA_LINK_CREDIT)
        sa_queue_mark_answer(&link->output, SA_LINK_HEADER_BYTES + length);
    link_commit(link, SA_LINK_HEADER_BYTES + length);
}

void sa_link_drop(struct sa_link *link)
{
    if (!link->failed)
        sa_error_set(&link->failure, SA_EUNAVAILABLE, "the connection is lost");
    link->failed = true;
    sa_queue_deinit(&link->output);
}

size_t sa_link_output(struct sa_link *link, struct iovec *vectors, size_t max)
{
    return sa_queue_vectors(&link->output, vectors, max);
}

/* Streams that wait for room get it in turn; one that fills it up goes to the end of the line. */
static void wake_waiting(struct sa_link *link)
{
    while (link->waiting && link->output.bytes < link->options.output_high_bytes)
        stream_wake(link->waiting);
}

void sa_link_consumed_output(struct sa_link *link, size_t length)
{
    assert(!link->reserved);
    sa_queue_consume(&link->output, length);
    if (!link->failed && link->output.bytes <= link->options.output_high_bytes / 2)
        wake_waiting(link);
    if (link->output.bytes == 0 && !link->streams)
        sa_queue_trim(&link->output);
}

size_t sa_link_output_bytes(const struct sa_link *link)
{
    return link->output.bytes;
}

bool sa_link_is_ready(const struct sa_link *link)
{
    return link->ready && !link->failed;
}

size_t sa_link_stream_count(const struct sa_link *link)
{
    return link->mine_count + link->peer_count;
}

const struct sa_error *sa_link_failure(const struct sa_link *link)
{
    return link->failed ? &link->failure : NULL;
}

void sa_link_ping(struct sa_link *link, uint64_t value)
{
    uint8_t payload[8];
    put_u32(payload, (uint32_t)value);
    put_u32(payload + 4, (uint32_t)(value >> 32));
    link_send(link, SA_LINK_PING, 0, payload, sizeof payload);
}

uint64_t sa_link_last_pong(const struct sa_link *link)
{
    return link->last_pong;
}
