/* What the application asks for on a stream, and the accounts of credit. */
#include "base/arena.h"
#include "link/engine.h"
#include "link/fields.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

/* A reserve() uses the rest of the last chunk when that is at least so much. */
enum { WORTHWHILE_BYTES = 16 * 1024 };

struct sa_stream *stream_new(struct sa_link *link, uint32_t id, bool mine)
{
    struct sa_stream *s = sa_alloc(sizeof *s);
    s->link = link;
    s->id = id;
    s->mine = mine;
    s->credit = link->peer_window;
    s->allowance = link->options.window_bytes;
    HASH_ADD(hh, link->streams, id, sizeof s->id, s);
    *(mine ? &link->mine_count : &link->peer_count) += 1;
    return s;
}

struct sa_stream *stream_find(struct sa_link *link, uint32_t id)
{
    struct sa_stream *s;
    HASH_FIND(hh, link->streams, &id, sizeof id, s);
    return s;
}

static void stop_waiting(struct sa_stream *s)
{
    if (s->wait == WAIT_ROOM)
        DL_DELETE2(s->link->waiting, s, wait_prev, wait_next);
    s->wait = WAIT_NONE;
}

static void start_waiting(struct sa_stream *s, enum stream_wait what)
{
    if (s->wait == what)
        return; /* keeps its place in the line */
    stop_waiting(s);
    s->wait = what;
    if (what == WAIT_ROOM)
        DL_APPEND2(s->link->waiting, s, wait_prev, wait_next);
}

void stream_free(struct sa_stream *s)
{
    struct sa_link *link = s->link;
    stop_waiting(s);
    if (link->reserved == s)
        link->reserved = NULL;
    HASH_DEL(link->streams, s);
    *(s->mine ? &link->mine_count : &link->peer_count) -= 1;
    free(s);
    if (!link->streams && link->output.bytes == 0)
        sa_queue_trim(&link->output);
}

void stream_wake(struct sa_stream *s)
{
    const struct sa_link_events *events = s->link->options.events;
    stop_waiting(s);
    if (events->writable && !(s->mine && s->canceled))
        events->writable(s->link->options.owner, s);
}

void stream_credit_came(struct sa_stream *s)
{
    if (s->wait != WAIT_CREDIT)
        return;
    if (s->link->output.bytes < s->link->options.output_high_bytes)
        stream_wake(s);
    else
        start_waiting(s, WAIT_ROOM);
}

struct sa_stream *sa_link_open(struct sa_link *link, uint16_t method, const void *body,
                               size_t length, void *user, struct sa_error *err)
{
    if (!sa_link_is_ready(link)) {
        sa_error_set(err, SA_EUNAVAILABLE, "the link is not up");
        return NULL;
    }
    if (link->mine_count >= link->peer_streams_max || link->next_id > UINT32_MAX - 2) {
        sa_error_set(err, SA_EUNAVAILABLE, "the link has no stream left (%zu are open)",
                     link->mine_count);
        return NULL;
    }
    if (length > SA_LINK_PAYLOAD_MAX - SA_FIELD_HEADER_BYTES - 8) {
        sa_error_set(err, SA_ETOOLARGE, "a request of %zu bytes, at most %d fit in a frame", length,
                     SA_LINK_PAYLOAD_MAX - SA_FIELD_HEADER_BYTES - 8);
        return NULL;
    }
    sa_autobuf payload = SA_BUF_INIT;
    sa_buf_reserve(&payload, SA_FIELD_HEADER_BYTES + 8 + length);
    sa_fields_add_int(&payload, OPEN_METHOD, method);
    sa_buf_add(&payload, body, length);
    struct sa_stream *s = stream_new(link, link->next_id, true);
    link->next_id += 2;
    s->user = user;
    link_send(link, SA_LINK_OPEN, s->id, payload.data, payload.length);
    return s;
}

uint32_t sa_stream_id(const struct sa_stream *s)
{
    return s->id;
}

struct sa_link *sa_stream_link(const struct sa_stream *s)
{
    return s->link;
}

void *sa_stream_user(const struct sa_stream *s)
{
    return s->user;
}

void sa_stream_set_user(struct sa_stream *s, void *user)
{
    s->user = user;
}

/* May this side still send DATA, NOTE and EOF here? */
static bool may_send(const struct sa_stream *s)
{
    return !s->link->failed && !(s->mine && s->canceled);
}

size_t sa_stream_writable_bytes(const struct sa_stream *s)
{
    size_t high = s->link->options.output_high_bytes, queued = s->link->output.bytes;
    if (!may_send(s) || queued >= high)
        return 0;
    return high - queued < s->credit ? high - queued : s->credit;
}

static void wait_for_more(struct sa_stream *s)
{
    if (may_send(s))
        start_waiting(s, s->credit ? WAIT_ROOM : WAIT_CREDIT);
}

/* Room for one frame of at most `want` bytes, which credit and room allow; says how much. */
static void *reserve(struct sa_stream *s, enum sa_link_channel channel, size_t want, size_t *got)
{
    struct sa_link *link = s->link;
    assert(!link->reserved && !(s->eof_sent & 1u << channel));
    if (want > SA_LINK_PAYLOAD_MAX)
        want = SA_LINK_PAYLOAD_MAX;
    size_t tail = sa_queue_tail_room(&link->output);
    if (tail < SA_LINK_HEADER_BYTES + want && tail >= SA_LINK_HEADER_BYTES + WORTHWHILE_BYTES)
        want = tail - SA_LINK_HEADER_BYTES;
    *got = want;
    link->reserved = s;
    link->reserved_channel = channel;
    return sa_queue_reserve(&link->output, SA_LINK_HEADER_BYTES + want) + SA_LINK_HEADER_BYTES;
}

void *sa_stream_reserve(struct sa_stream *s, enum sa_link_channel channel, size_t *length)
{
    size_t room = sa_stream_writable_bytes(s), want = *length < room ? *length : room;
    if (want)
        return reserve(s, channel, want, length);
    if (*length)
        wait_for_more(s);
    *length = 0;
    return NULL;
}

void sa_stream_commit(struct sa_stream *s, size_t length)
{
    struct sa_link *link = s->link;
    assert(link->reserved == s && length <= s->credit);
    link->reserved = NULL;
    if (!length) {
        sa_queue_commit(&link->output, 0);
        return;
    }
    uint8_t *out = sa_queue_reserve(&link->output, 0); /* where the reservation began */
    link_put_header(out, SA_LINK_DATA, link->reserved_channel, s->id, length);
    s->credit -= length;
    link_commit(link, SA_LINK_HEADER_BYTES + length);
}

size_t sa_stream_write(struct sa_stream *s, enum sa_link_channel channel, const void *data,
                       size_t length)
{
    size_t room = sa_stream_writable_bytes(s), take = length < room ? length : room, n;
    for (size_t done = 0; done < take; done += n) {
        void *to = reserve(s, channel, take - done, &n);
        memcpy(to, (const char *)data + done, n);
        sa_stream_commit(s, n);
    }
    if (take < length)
        wait_for_more(s);
    return take;
}

void sa_stream_eof(struct sa_stream *s, enum sa_link_channel channel)
{
    struct sa_link *link = s->link;
    if (!may_send(s) || (s->eof_sent & 1u << channel))
        return;
    s->eof_sent |= (uint8_t)(1u << channel);
    uint8_t *out = sa_queue_reserve(&link->output, SA_LINK_HEADER_BYTES);
    link_put_header(out, SA_LINK_EOF, channel, s->id, 0);
    link_commit(link, SA_LINK_HEADER_BYTES);
}

int sa_stream_note(struct sa_stream *s, const void *body, size_t length)
{
    assert(length <= SA_LINK_PAYLOAD_MAX);
    if (!may_send(s))
        return -1;
    if (length > s->credit || s->link->output.bytes >= s->link->options.output_high_bytes) {
        start_waiting(s, length > s->credit ? WAIT_CREDIT : WAIT_ROOM);
        return -1;
    }
    s->credit -= length;
    link_send(s->link, SA_LINK_NOTE, s->id, body, length);
    return 0;
}

void stream_give_credit(struct sa_stream *s, size_t length)
{
    s->owed += length;
    if (s->owed < s->link->options.window_bytes / 4)
        return;
    uint8_t payload[4];
    put_u32(payload, (uint32_t)s->owed);
    s->allowance += s->owed;
    s->owed = 0;
    link_send(s->link, SA_LINK_CREDIT, s->id, payload, sizeof payload);
}

void sa_stream_consume(struct sa_stream *s, size_t length)
{
    if (s->mine && s->canceled)
        return;
    assert(length <= s->unconsumed);
    s->unconsumed -= length;
    stream_give_credit(s, length);
}

size_t sa_stream_keep_note(struct sa_stream *s)
{
    size_t kept = s->link->note_bytes;
    s->link->note_bytes = 0;
    return kept;
}

void sa_stream_end(struct sa_stream *s, const void *body, size_t length)
{
    assert(!s->mine);
    if (length > SA_LINK_PAYLOAD_MAX) {
        struct sa_error error;
        sa_error_set(&error, SA_ETOOLARGE, "a result of %zu bytes, at most %d fit in a frame",
                     length, SA_LINK_PAYLOAD_MAX);
        sa_stream_end_error(s, &error);
        return;
    }
    link_send(s->link, SA_LINK_END, s->id, body, length);
    stream_free(s);
}

void sa_stream_end_error(struct sa_stream *s, const struct sa_error *error)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_error(&body, SA_LINK_END_ERROR, error);
    sa_stream_end(s, body.data, body.length);
}

void sa_stream_cancel(struct sa_stream *s)
{
    assert(s->mine);
    if (s->canceled)
        return;
    s->canceled = true;
    stop_waiting(s);
    link_send(s->link, SA_LINK_CANCEL, s->id, NULL, 0);
    size_t left = s->unconsumed;
    s->unconsumed = 0;
    stream_give_credit(s, left);
}
