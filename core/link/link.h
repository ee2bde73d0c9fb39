/*
 * The link: the protocol between the control plane and the execution-runtime, and the engine
 * that both sides use. The engine does no I/O: bytes go in with sa_link_feed(), bytes come out
 * with sa_link_output(). One thread.
 *
 * PROTOCOL (version 1)
 *
 * Transport: any reliable, ordered byte stream. Integers are little-endian. Both sides send
 * frames:
 *
 *     u32 length    bytes of payload, at most 131072 (SA_LINK_PAYLOAD_MAX)
 *     u32 stream    0 for the connection itself
 *     u8  type      below
 *     u8  channel   DATA and EOF: 0 stdin or file contents, 1 stdout, 2 stderr, 3 control (both
 *                   directions, bytes of the application's own protocol); otherwise 0
 *     u16 zero
 *     payload
 *
 *     type       stream  payload
 *     1 HELLO    0       fields: 1 magic "secureagent-link", 2 lowest version, 3 highest version,
 *                        4 window (bytes the sender accepts on each new stream, 262144 to
 *                        16777216), 5 most concurrent streams the sender lets the other side
 *                        open (1 or more), 6 name of the implementation (at most 63 bytes).
 *                        At most 1024 bytes. First frame of each side, exactly once; the version
 *                        in use is the highest that both know.
 *     2 OPEN     new     fields: 1 method (enum sa_link_method, the first field), then the
 *                        method's own. Control plane opens odd ids, the runtime even ids,
 *                        ascending (gaps are allowed), never reused. Only after the HELLO of the
 *                        other side came.
 *     3 DATA     open    bytes; costs its length in credit; not empty
 *     4 CREDIT   open    u32, not 0: that many more bytes may be sent to the sender of this frame;
 *                        never more than were sent to it
 *     5 EOF      open    empty: no more DATA on this channel in this direction; once
 *     6 NOTE     open    fields: something typed in mid-stream; costs its length in credit
 *     7 END      open    fields: the outcome: either SA_LINK_END_ERROR (an error body) or the
 *                        method's result. The stream is closed for both sides. Sent by the side
 *                        that did not open the stream; costs no credit; nothing follows it.
 *     8 CANCEL   open    empty: the opener wants it over, and sends nothing but CREDIT on the
 *                        stream from then on. The other side still answers END; what arrives
 *                        until then may be dropped by the opener.
 *     9 PING     0       u64, any; answered at once by
 *    10 PONG     0       the same u64
 *    11 GOAWAY   0       an error body: the sender closes the connection after this frame
 *
 * Credit: for each stream and direction a sender starts with the window of the receiver's HELLO
 * and must never send more DATA + NOTE bytes than it has credit for. A receiver returns credit
 * as its application consumes, in steps of its choice, but must not hold back half its window or
 * more of what was consumed (a window holds two of the largest payloads, so nothing can starve).
 * So a reader that stops reads stalls its own stream only, and a connection holds at most
 * streams x window bytes.
 *
 * Frames for streams that have ended (the ids at or below the highest opened) are ignored, as
 * they may have crossed an END. Anything else that is not as above is a protocol error: the
 * side that notices sends GOAWAY and closes. So is asking for answers (PING, OPEN) without reading
 * them: a side may give up when more than 1 MiB of answers wait to be written. Nothing is
 * ever negotiated after HELLO.
 */
#ifndef SA_LINK_LINK_H
#define SA_LINK_LINK_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    SA_LINK_VERSION = 1,
    SA_LINK_HEADER_BYTES = 12,
    SA_LINK_PAYLOAD_MAX = 128 * 1024,
    SA_LINK_WINDOW_BYTES = 512 * 1024,
    SA_LINK_WINDOW_MIN = 2 * SA_LINK_PAYLOAD_MAX,
    SA_LINK_WINDOW_MAX = 16 * 1024 * 1024,
    SA_LINK_STREAMS_MAX = 256,
    SA_LINK_END_ERROR = 1, /* field of END */
};
#define SA_LINK_MAGIC "secureagent-link"

enum sa_link_type {
    SA_LINK_HELLO = 1,
    SA_LINK_OPEN,
    SA_LINK_DATA,
    SA_LINK_CREDIT,
    SA_LINK_EOF,
    SA_LINK_NOTE,
    SA_LINK_END,
    SA_LINK_CANCEL,
    SA_LINK_PING,
    SA_LINK_PONG,
    SA_LINK_GOAWAY,
};

enum sa_link_channel {
    SA_CHANNEL_IN = 0,
    SA_CHANNEL_OUT = 1,
    SA_CHANNEL_ERR = 2,
    SA_CHANNEL_CONTROL = 3,
    SA_CHANNELS = 4
};

enum sa_link_role { SA_LINK_CONTROL, SA_LINK_RUNTIME };

struct sa_link;
struct sa_stream; /* one open stream; valid from open until its `ended` callback returns */

/* Called from within sa_link_feed(); `writable` also from sa_link_consumed_output(), `wants_output`
 * from whatever queues a frame. Pointers into the frame are valid during the call only. A callback
 * may call any function of this header except sa_link_free() and sa_link_feed(). */
struct sa_link_events {
    /* The peer's HELLO was accepted; streams may be opened. */
    void (*ready)(void *owner, const char *peer_name);
    /* The peer opened a stream. `method` is field 1; body holds all fields. */
    void (*opened)(void *owner, struct sa_stream *stream, uint16_t method, const void *body,
                   size_t length);
    /* DATA, or a piece of it: a frame that was split by the transport arrives in pieces. The
     * receiver must later return the bytes with sa_stream_consume(). */
    void (*data)(void *owner, struct sa_stream *stream, enum sa_link_channel channel,
                 const void *data, size_t length);
    void (*eof)(void *owner, struct sa_stream *stream, enum sa_link_channel channel);
    /* NOTE; its credit is returned by the engine when this returns, but see
     * sa_stream_keep_note(). */
    void (*note)(void *owner, struct sa_stream *stream, const void *body, size_t length);
    /* Credit or room has come for a stream whose last sa_stream_write() was partial, or whose
     * sa_stream_reserve() or sa_stream_note() was refused. Streams take turns. */
    void (*writable)(void *owner, struct sa_stream *stream);
    /* The opener asked to cancel (only on the side that answers). */
    void (*canceled)(void *owner, struct sa_stream *stream);
    /* END arrived (only on the side that opened). The stream is gone after this returns. */
    void (*ended)(void *owner, struct sa_stream *stream, const void *body, size_t length);
    /* There are bytes to write and there were none before: schedule a write. Not called for the
     * HELLO that sa_link_new() queues. */
    void (*wants_output)(void *owner);
};

struct sa_link_options {
    enum sa_link_role role;
    const char *name;                    /* for HELLO, e.g. "execution-runtime/0.1.0" */
    size_t window_bytes;                 /* 0: SA_LINK_WINDOW_BYTES */
    size_t output_high_bytes;            /* sa_stream_write() stops above this; 0: 1 MiB */
    const struct sa_link_events *events; /* must outlive the link; members may be NULL */
    void *owner;                         /* first argument of each event */
};

/* HELLO is queued at once. Options are copied, but `events`. */
struct sa_link *sa_link_new(const struct sa_link_options *options);
/* Frees every stream without further events. */
void sa_link_free(struct sa_link *link);

/* Bytes arrived. -1: the link is over and stays so; flush what is queued and close. SA_EPROTOCOL:
 * the peer broke the protocol (a GOAWAY was queued). Otherwise the error is the peer's GOAWAY. */
int sa_link_feed(struct sa_link *link, const void *data, size_t length, struct sa_error *err);

/* The transport is gone: nothing is queued any more, and nothing may be fed. Streams stay until
 * they are ended. Not from within a callback. */
void sa_link_drop(struct sa_link *link);

/* What is to be written, oldest first: fills up to `max` vectors and returns how many. The
 * memory stays valid until it is consumed. */
size_t sa_link_output(struct sa_link *link, struct iovec *vectors, size_t max);
/* That many bytes were written. May call `writable`, streams taking turns. */
void sa_link_consumed_output(struct sa_link *link, size_t length);
size_t sa_link_output_bytes(const struct sa_link *link);

bool sa_link_is_ready(const struct sa_link *link);
size_t sa_link_stream_count(const struct sa_link *link);
/* Why sa_link_feed() failed, or NULL while the link is good. */
const struct sa_error *sa_link_failure(const struct sa_link *link);
void sa_link_ping(struct sa_link *link, uint64_t value);
/* Value of the last PONG, 0 before the first. */
uint64_t sa_link_last_pong(const struct sa_link *link);

/* Open a stream. `body` are the fields after the method (the engine puts field 1 in front).
 * NULL: SA_EUNAVAILABLE before `ready`, after a failure or with too many streams open;
 * SA_ETOOLARGE when the body does not fit in a frame. */
struct sa_stream *sa_link_open(struct sa_link *link, uint16_t method, const void *body,
                               size_t length, void *user, struct sa_error *err);

uint32_t sa_stream_id(const struct sa_stream *stream);
struct sa_link *sa_stream_link(const struct sa_stream *stream);
void *sa_stream_user(const struct sa_stream *stream);
void sa_stream_set_user(struct sa_stream *stream, void *user);

/* Queue DATA; returns how many of the bytes were taken (0 to length). When fewer, `writable`
 * comes later. */
size_t sa_stream_write(struct sa_stream *stream, enum sa_link_channel channel, const void *data,
                       size_t length);
/* Bytes that sa_stream_write() would take now. */
size_t sa_stream_writable_bytes(const struct sa_stream *stream);
/* Zero-copy form: returns room for up to *length bytes (at most SA_LINK_PAYLOAD_MAX; *length is
 * lowered to what credit and room allow; NULL and 0 when none, then `writable` comes later). Fill
 * it, then commit what was used (0 to drop it). Nothing else may be queued on the link in
 * between. */
void *sa_stream_reserve(struct sa_stream *stream, enum sa_link_channel channel, size_t *length);
void sa_stream_commit(struct sa_stream *stream, size_t length);
/* No more data on the channel; a second call is ignored. */
void sa_stream_eof(struct sa_stream *stream, enum sa_link_channel channel);
/* 0, or -1 when credit or room is missing (then `writable` comes later). */
int sa_stream_note(struct sa_stream *stream, const void *body, size_t length);
/* Return credit to the peer: so many received bytes were used up. Ignored once canceled. */
void sa_stream_consume(struct sa_stream *stream, size_t length);
/* Within `note`: keep the credit of this NOTE, because what came of it waits for somebody slow.
 * Returns how much is to be given back with sa_stream_consume() later. */
size_t sa_stream_keep_note(struct sa_stream *stream);
/* Answering side: finish the stream; it is gone after this call. A body that does not fit in a
 * frame becomes an SA_ETOOLARGE error. */
void sa_stream_end(struct sa_stream *stream, const void *body, size_t length);
void sa_stream_end_error(struct sa_stream *stream, const struct sa_error *error);
/* Opening side: ask for the end; `ended` still comes. From now on `data` and `note` are no
 * longer delivered and their credit is returned by the engine. */
void sa_stream_cancel(struct sa_stream *stream);

#endif
