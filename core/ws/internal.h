/*
 * What the files of core/ws share.
 *
 *   context.c   libwebsockets' context on our loop, keep-alive, stopping
 *   conn.c      the life of a connection: accepting, what comes in, closing
 *   send.c      what goes out
 *   guard.c     the client's frames, checked
 *
 * A connection consists of libwebsockets' side (`wsi`) and the tunnel; it is freed when both are
 * gone. Cutting always means cutting the tunnel: libwebsockets then sees its end close.
 */
#ifndef SA_WS_INTERNAL_H
#define SA_WS_INTERNAL_H

#include "ws/guard.h"
#include "ws/ws.h"

#include <libwebsockets.h>

enum {
    FDS_MAX = 32768,      /* libwebsockets' tables are that long */
    RX_BYTES = 4096,      /* of a frame, at a time; held by each connection */
    TX_BYTES = 1 << 20,   /* libwebsockets writes no more at once */
    PONGS_MAX = 16,       /* answered at once in one turn */
    SCRATCH_KEEP = 65536, /* shared buffers larger than this are freed after use */
};

struct sa_ws_conn {
    struct sa_ws *ws;
    struct sa_ws_conn *prev, *next;
    struct lws *wsi;               /* NULL: gone */
    struct sa_http_tunnel *tunnel; /* NULL: gone */
    char *protocol;                /* to confirm; NULL once open */
    const struct sa_ws_events *events;
    void *user;
    struct sa_ws_guard guard;
    struct sa_buf message; /* fragments of a message so far */
    uint64_t delivered;    /* messages; not more than the guard found sound */

    struct sa_buf queue; /* frames that wait, see send.c */
    size_t queue_used;
    size_t inflight; /* payload of the frame of which libwebsockets holds a rest */
    bool stopped;    /* the sender was told to wait */

    bool open; /* `opened` was called, and no end was begun */
    bool was_opened, told;
    bool paused;
    bool closing;    /* sa_ws_close() was called: the close frame follows the queue */
    bool close_due;  /* the client closed, or broke the protocol: to be answered when it can be */
    bool close_sent; /* libwebsockets was told, one way or the other */
    int end_code;    /* of the client's end, from the guard */
    char end_reason[64];
    int code; /* for `closed`, or of the close to come */
    char reason[SA_WS_CONTROL_MAX - 1];

    bool ping_due, pong_due;
    unsigned pongs; /* in this turn */
    unsigned pong_length;
    unsigned char pong[SA_WS_CONTROL_MAX];
    uint64_t heard_ms, pinged_ms, acked; /* pinged_ms 0: no answer is awaited */
};

struct sa_ws {
    uv_loop_t *loop;
    struct sa_ws_options options;
    struct lws_context *context; /* set to NULL by libwebsockets when it is gone */
    struct lws_vhost *vhost;
    uv_timer_t sweep, deadline;
    unsigned handles;
    struct sa_ws_conn *conns;
    unsigned conn_count;
    struct sa_buf frame;  /* the message between sa_ws_begin() and sa_ws_end() */
    struct sa_buf single; /* the message that is being delivered */
    bool stopping, destroying, context_found, stopped;
    void (*done)(void *user);
    void *done_user;
};

/* conn.c */
int sa_ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t length);
void sa_ws_cut(struct sa_ws_conn *conn, int code);
void sa_ws_insert_close(struct sa_ws_conn *conn);

/* send.c: -1: cut it. */
int sa_ws_flush(struct sa_ws_conn *conn);
void sa_ws_pong(struct sa_ws_conn *conn, const void *payload, size_t length);
void sa_ws_drop_queue(struct sa_ws_conn *conn);

/* context.c */
void sa_ws_came(struct sa_ws_conn *conn);
void sa_ws_gone(struct sa_ws_conn *conn);

#endif
