/*
 * What a WebSocket client may send (RFC 6455), checked byte by byte before libwebsockets sees it.
 * libwebsockets 4.1.6 takes unmasked frames, answers several violations with a cut instead of a
 * code, overlooks a character that an empty last fragment leaves incomplete, has no limit for
 * messages, and drops pings that come together. So bytes go through here: sound data frames come
 * out as they are; pings are told apart and answered by our own pongs; pongs are swallowed; a
 * close, or the first violation with its code, is told once, and nothing comes out after it.
 *
 * No I/O, no allocation but the output. Internal to core/ws; also what the fuzz target feeds.
 */
#ifndef SA_WS_GUARD_H
#define SA_WS_GUARD_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SA_WS_CONTROL_MAX = 125,
    SA_WS_FRAGMENTS_MAX = 32768, /* of one message */
};

enum sa_ws_code {
    SA_WS_NORMAL = 1000,
    SA_WS_GOING_AWAY = 1001,
    SA_WS_PROTOCOL = 1002,
    SA_WS_NO_CODE = 1005, /* never sent: a close without one */
    SA_WS_BROKEN = 1006,  /* never sent: no close at all */
    SA_WS_BAD_TEXT = 1007,
    SA_WS_TOO_BIG = 1009,
};

struct sa_ws_guard_events {
    void (*ping)(void *user, const void *payload, size_t length);
    /* `code` and `reason` are what to answer with; SA_WS_NO_CODE: with neither. */
    void (*closed)(void *user, int code, const char *reason);
};

struct sa_ws_guard { /* zeroes but for the first three to begin with */
    size_t message_max;
    const struct sa_ws_guard_events *events;
    void *user;

    unsigned char head[14];
    unsigned head_length;
    bool in_payload, done;
    unsigned opcode;
    bool fin;
    uint64_t left; /* of this frame's payload */
    unsigned char mask[4];
    unsigned mask_at;

    bool in_message, text;
    uint64_t message_bytes;
    uint64_t messages; /* sound and complete: a bad one may come out, too, but is not counted */
    unsigned fragments;
    unsigned char utf8_need, utf8_low, utf8_high; /* of the character that is under way */

    unsigned char control[SA_WS_CONTROL_MAX];
    unsigned control_length;
};

/* Use up all of `data`; what may go on is appended to `out`. */
void sa_ws_guard_feed(struct sa_ws_guard *guard, const char *data, size_t length,
                      struct sa_buf *out);
/* Take nothing any more; `out` gets what is missing of a frame that has begun to come out. */
void sa_ws_guard_stop(struct sa_ws_guard *guard, struct sa_buf *out);

#endif
