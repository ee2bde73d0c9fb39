/*
 * WebSocket (RFC 6455): requests that the HTTP server parsed and a handler authenticated are
 * handed to libwebsockets on the same loop. No extensions, so no compression. One loop thread.
 *
 * HOW. libwebsockets gets one end of a tunnel (sa_http_take_tunnel) and a plain opening handshake
 * in front of the client's bytes; it answers the handshake, takes frames apart and puts them
 * together, and does the closing handshake. TLS stays with core/http. What the client sends goes
 * through a guard (guard.h) first, because libwebsockets 4.1.6 lets too much pass.
 *
 * Kept by this layer: whole messages only, up to `message_max` (1009); text is valid UTF-8, and
 * closed at the first byte that is not (1007); other breaches of the protocol are 1002; pings are
 * answered, at most 16 for each read and then the newest; ping every `ping_ms` of silence, cut
 * after `pong_ms` in which nothing came and nothing that was sent was acknowledged; at most
 * `queue_max` bytes wait for a slow client: who writes on after sa_ws_send() said stop is cut.
 */
#ifndef SA_WS_WS_H
#define SA_WS_WS_H

#include "http/http.h"

#include <uv.h>

struct sa_ws;      /* the WebSocket side of a server */
struct sa_ws_conn; /* valid until `closed` returns */

enum sa_ws_kind { SA_WS_TEXT, SA_WS_BINARY };

struct sa_ws_events { /* none is called from within a function of this header */
    void (*opened)(struct sa_ws_conn *conn, void *user);
    /* A whole message; NUL-terminated beyond `length`. */
    void (*message)(struct sa_ws_conn *conn, enum sa_ws_kind kind, const char *data, size_t length,
                    void *user);
    /* After sa_ws_send() returned false. */
    void (*writable)(struct sa_ws_conn *conn, void *user);
    /* Exactly once, last; code as sent or received (1005: the client gave none), 1006 when it
     * broke. */
    void (*closed)(struct sa_ws_conn *conn, int code, void *user);
};

struct sa_ws_options {  /* zeroes: the defaults */
    size_t message_max; /* 1 MiB */
    size_t queue_high;  /* 128 KiB: sa_ws_send() says stop */
    size_t queue_max;   /* 1 MiB; a single message may be larger when nothing else waits */
    unsigned ping_ms;   /* 30000 */
    unsigned pong_ms;   /* 20000 */
};

struct sa_ws *sa_ws_new(uv_loop_t *loop, const struct sa_ws_options *options, struct sa_error *err);
/* Close all with 1001; cut what is left after deadline_ms; then `done`, from the loop; free then.
 * A second call only shortens the deadline. */
void sa_ws_stop(struct sa_ws *ws, unsigned deadline_ms, void (*done)(void *user), void *user);
void sa_ws_free(struct sa_ws *ws); /* NULL is allowed */
unsigned sa_ws_connections(const struct sa_ws *ws);

/* Take the request over (sa_http_request_is_websocket() must hold, else 426 is what to answer).
 * `protocol`: the subprotocol to confirm, or NULL. On -1 the request is still there to be
 * answered. After 0 the request is gone and `opened`, or only `closed`, follows, from the loop. */
int sa_ws_accept(struct sa_ws *ws, struct sa_http_request *request, const char *protocol,
                 const struct sa_ws_events *events, void *user, struct sa_error *err);
/* Queue a message (copied); what can be sent at once is. False: above queue_high (or closing),
 * stop until `writable`. */
bool sa_ws_send(struct sa_ws_conn *conn, enum sa_ws_kind kind, const void *data, size_t length);
/* The same without a copy: append the message to what sa_ws_begin() returns and take nothing
 * away; no other function of this header in between. */
struct sa_buf *sa_ws_begin(struct sa_ws_conn *conn);
bool sa_ws_end(struct sa_ws_conn *conn, enum sa_ws_kind kind);
/* Stop and restart reading messages from the client. Those already in the last read of the socket
 * wait, too. Pings are not answered for long while it is paused, and it is not cut for silence. */
void sa_ws_pause(struct sa_ws_conn *conn);
void sa_ws_resume(struct sa_ws_conn *conn);
/* Start the closing handshake after what is queued; `closed` comes. Messages are not delivered
 * any more. The reason is cut to 123 bytes; the code is 1000-1011 or 3000-4999. A second call
 * changes nothing. */
void sa_ws_close(struct sa_ws_conn *conn, int code, const char *reason);
/* Bytes of messages that wait and that the kernel has not taken. */
size_t sa_ws_queued_bytes(const struct sa_ws_conn *conn);

#endif
