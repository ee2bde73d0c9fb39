/*
 * What the files of the link engine share: link.c (life, HELLO, output), receive.c (what comes
 * in), stream.c (what the application asks for). Not for others.
 */
#ifndef SA_LINK_ENGINE_H
#define SA_LINK_ENGINE_H

#include "link/link.h"
#include "link/queue.h"

#include <uthash.h>

enum {
    LINK_HELLO_MAX = 1024,
    LINK_NAME_BYTES = 64,
    /* Answers that may wait to be written before a peer that only asks is given up on. */
    LINK_ANSWERS_MAX = 1024 * 1024,
};

enum link_hello_tag {
    HELLO_MAGIC = 1,
    HELLO_LOWEST,
    HELLO_HIGHEST,
    HELLO_WINDOW,
    HELLO_STREAMS,
    HELLO_NAME,
};
enum { OPEN_METHOD = 1 };

/* What a stream that could not send everything is waiting for. */
enum stream_wait { WAIT_NONE, WAIT_CREDIT, WAIT_ROOM };

struct sa_stream {
    struct sa_link *link;
    void *user;
    uint32_t id;
    bool mine;                      /* this side opened it */
    bool canceled;                  /* by the opener, whoever that is */
    uint8_t eof_sent, eof_received; /* bit per channel */
    enum stream_wait wait;
    struct sa_stream *wait_prev, *wait_next; /* link->waiting, while WAIT_ROOM */
    size_t credit;                           /* we may send so many more bytes */
    size_t allowance;                        /* the peer may send so many more bytes */
    size_t unconsumed;                       /* delivered to the application, not given back yet */
    size_t owed; /* given back by the application, not yet sent as CREDIT */
    UT_hash_handle hh;
};

struct frame {
    uint32_t length, stream;
    uint8_t type, channel;
};

struct sa_link {
    struct sa_link_options options;
    char name[LINK_NAME_BYTES];
    bool ready, failed;
    struct sa_error failure;
    size_t peer_window, peer_streams_max;
    size_t note_bytes; /* of the NOTE that is being delivered, unless its credit is kept */
    uint32_t next_id, peer_last_id;
    size_t mine_count, peer_count; /* open streams by who opened them */
    uint64_t last_pong;
    struct sa_stream *streams; /* uthash, by id */
    struct sa_stream *waiting; /* for room, oldest first (utlist) */
    struct sa_queue output;
    struct sa_stream *reserved; /* between reserve and commit */
    enum sa_link_channel reserved_channel;
    /* The frame that is being received. */
    uint8_t header[SA_LINK_HEADER_BYTES];
    size_t header_have;
    bool in_payload;
    struct frame frame;
    size_t payload_left;   /* of DATA, delivered piece by piece */
    struct sa_buf payload; /* of anything else that came in pieces */
};

static inline uint32_t get_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* Queue a frame. On a failed link nothing is queued. */
void link_send(struct sa_link *link, enum sa_link_type type, uint32_t stream, const void *payload,
               size_t length);
/* Header into 12 bytes. */
void link_put_header(uint8_t *out, enum sa_link_type type, enum sa_link_channel channel,
                     uint32_t stream, size_t length);
/* Commit bytes that were written behind sa_queue_reserve(). */
void link_commit(struct sa_link *link, size_t length);

struct sa_stream *stream_new(struct sa_link *link, uint32_t id, bool mine);
struct sa_stream *stream_find(struct sa_link *link, uint32_t id);
void stream_free(struct sa_stream *stream);
void stream_give_credit(struct sa_stream *stream, size_t length);
/* Credit came, or room: let it write again. */
void stream_wake(struct sa_stream *stream);
void stream_credit_came(struct sa_stream *stream);

/* link.c: the peer's HELLO. */
int link_accept_hello(struct sa_link *link, const uint8_t *body, size_t length,
                      struct sa_error *err);

#endif
