/*
 * What the files of core/http share: the connection, its one current request, the server.
 *
 *   server.c    listening, timeouts, drain
 *   conn.c      the life of a connection: one step() that flushes, settles, takes input
 *   write.c     its output: encryption, writing
 *   body.c      its input, while that is a body
 *   request.c   the request's side of http.h: accessors and the body
 *   response.c  the response's side of http.h
 *   reply.c     response heads and error bodies as text
 *   tunnel.c    connections that have left HTTP but stay here
 *   parser.c target.c output.c tls.c   see their headers
 *
 * A connection works on one request at a time and parses the next one when the answer is in
 * the kernel, so that the request can live inside the connection. Functions that handlers call
 * only change state and touch() the connection; its step then runs from the loop.
 */
#ifndef SA_HTTP_INTERNAL_H
#define SA_HTTP_INTERNAL_H

#include "base/buf.h"
#include "base/id.h"
#include "http/http.h"
#include "http/output.h"
#include "http/parser.h"
#include "http/server.h"
#include "http/tls.h"

#include <sys/socket.h>
#include <uv.h>

enum {
    READ_BYTES = 256 * 1024,        /* one read of the socket */
    FLUSH_BYTES = 128 * 1024,       /* a write does not wait for the loop beyond this */
    DISCARD_BYTES_MAX = 256 * 1024, /* unwanted body that is read to keep the connection */
    BURST_BYTES = 1024 * 1024,      /* an answer may write before others have a turn */
    LINGER_MS = 2000,               /* for the client to read a refusal before the reset */
    REFUSED_MAX = 64,               /* connections beyond connections_max that get a 503 */
    REQUEST_ID_MAX = 64,
    PARAMS_MAX = 8,
    ADDRESS_BYTES = 64,
    DATE_BYTES = 32,
};

enum conn_phase {
    CONN_HANDSHAKE, /* TLS */
    CONN_IDLE,      /* between requests */
    CONN_HEAD,      /* a head has begun */
    CONN_ACTIVE,    /* a request is there: being handled, read, answered, flushed */
    CONN_TUNNEL,    /* it has left HTTP: bytes go through, see tunnel.c */
    CONN_LINGER,    /* answered for the last time; input is dropped until the client closes */
    CONN_CLOSING,
};

enum body_state {
    BODY_COMPLETE, /* or none */
    BODY_UNCLAIMED,
    BODY_FLOWING,
    BODY_PAUSED,
    BODY_DISCARD,
};

enum reply_state { REPLY_NONE, REPLY_STARTED, REPLY_ENDED };

struct sa_conn;

struct sa_http_request {
    struct sa_conn *conn;
    const struct sa_http_head *head; /* NULL: refused before there was one */
    char id[REQUEST_ID_MAX + 1];
    bool handled; /* the handler was called: it is told when this ends early */
    struct sa_arena *arena;
    int64_t started_us;

    const char *route;
    struct sa_http_pair params[PARAMS_MAX];
    size_t param_count;

    void *user;
    void (*cleanup)(void *);
    void *cleanup_user;
    void (*closed)(struct sa_http_request *, void *);
    void *closed_user;

    enum body_state body;
    bool body_done_due; /* `done` is to be called though nothing is left to read */
    bool resumed;       /* during the data callback */
    bool too_large;     /* collect(): known before anything was read */
    sa_http_data_cb *data;
    sa_http_done_cb *done;
    void *body_user;
    struct sa_buf collected;
    size_t collect_cap;
    sa_http_collected_cb *collected_cb;
    void *collected_user;
    uint64_t bytes_in, discarded;

    enum reply_state reply;
    int status;
    bool keep_alive;
    bool chunked;
    bool drop_body;     /* HEAD, 204, 304 */
    int64_t own_length; /* Content-Length the handler set; -1 */
    bool own_cache_control, own_retry_after;
    int64_t length_left; /* -1: not counted */
    size_t burst;        /* written since the loop last called */
    bool above_high;
    sa_http_done_cb *writable;
    void *writable_user;
    uint64_t bytes_out;
};

struct sa_conn {
    uv_tcp_t tcp;
    struct sa_http_server *server;
    struct sa_conn *prev, *next;             /* all connections */
    struct sa_conn *dirty_prev, *dirty_next; /* those to step before the loop polls */
    enum conn_phase phase;
    bool dirty, stepping, reading;
    bool failed;                   /* to be closed at the end of the step */
    bool taken;                    /* sa_http_take_socket() */
    struct sa_http_tunnel *tunnel; /* sa_http_take_tunnel() */
    bool eof;
    bool yielded; /* `writable` waits for the loop's next round */
    bool linger;  /* after the answer: the client may still be sending */
    uint64_t phase_since, last_input, last_output; /* loop time, ms */
    unsigned request_count;

    struct sa_http_parser *parser;
    struct sa_tls *tls;
    const char *slice; /* input within the shared read buffer, valid during a step */
    size_t slice_length;
    struct sa_buf pending; /* input kept from earlier reads: goes before `slice` */
    size_t pending_used;
    size_t body_left; /* of the input, parsed already: contents of the body */

    struct sa_out out;    /* plain text */
    struct sa_out cipher; /* with TLS */
    uv_write_t write;
    size_t writing; /* bytes in flight */
    size_t write_mark;
    struct sa_buf extra; /* headers the handler added */
    char peer[ADDRESS_BYTES];
    struct sa_http_request request;
};

struct listener {
    uv_tcp_t tcp;
    struct sa_http_server *server;
    struct listener *next;
};

struct sa_http_server {
    uv_loop_t *loop;
    struct sa_http_options options;
    struct sa_tls_context *tls;
    struct sa_out_pool pool;
    char *read_buffer, *plain_buffer;

    uv_prepare_t prepare; /* steps the dirty connections */
    uv_idle_t idle;       /* keeps the loop from waiting while some are dirty again */
    uv_timer_t sweep;     /* timeouts; runs while there are connections */
    uv_timer_t deadline;  /* of the drain */
    bool started;         /* those four are open */
    unsigned handles;     /* open handles other than connections */
    struct listener *listeners;
    char address[ADDRESS_BYTES], url[ADDRESS_BYTES + 8];

    struct sa_conn *conns, *dirty;
    unsigned conn_count, active_count;
    uint64_t refused_count;
    bool draining, finished;
    void (*drained)(void *);
    void *drained_user;

    char date[DATE_BYTES];
    int64_t date_second;
};

/* conn.c */
void sa_conn_accept(struct sa_http_server *server, uv_stream_t *listener);
void sa_conn_touch(struct sa_conn *conn); /* step later, from the loop */
void sa_conn_step(struct sa_conn *conn);  /* only from the loop */
void sa_conn_fail(struct sa_conn *conn);  /* close at the next step */
/* Nothing more goes out: let the client read what is under way, then close. */
void sa_conn_linger(struct sa_conn *conn);
void sa_conn_check_timeouts(struct sa_conn *conn, uint64_t now);
/* Unparsed input; consume drops from its front. */
struct sa_http_text sa_conn_input(const struct sa_conn *conn);
void sa_conn_consume(struct sa_conn *conn, size_t length);
/* Let go of the handler if it has not answered in full, then answer in its stead (or cut, when
 * the answer has begun) and close. */
void sa_conn_refuse(struct sa_conn *conn, int status, enum sa_code code, const char *why);

void sa_conn_refuse_parse(struct sa_conn *conn); /* what the parser did not like */
void sa_conn_refuse_body(struct sa_conn *conn);  /* larger than options.body_bytes_max */

/* write.c */
void sa_conn_flush(struct sa_conn *conn); /* calls nobody back; may fail the connection */
size_t sa_conn_queued(const struct sa_conn *conn);

/* tunnel.c: parts of the step, once sa_http_take_tunnel() was called. */
void sa_tunnel_begin(struct sa_conn *conn);
void sa_tunnel_take_input(struct sa_conn *conn);
void sa_tunnel_settle(struct sa_conn *conn);
size_t sa_tunnel_allowance(const struct sa_conn *conn); /* how much to read from the client */
void sa_tunnel_close(struct sa_conn *conn, void (*closed)(struct sa_conn *conn));

/* body.c */
bool sa_conn_take_body(struct sa_conn *conn); /* part of the step; true: something happened */

/* request.c */
void sa_request_begin(struct sa_http_request *request, const struct sa_http_head *head);
/* The handler no longer has it: calls `closed` if it has not answered in full. */
void sa_request_detach(struct sa_http_request *request);
void sa_request_finish(struct sa_http_request *request, bool complete);
int sa_request_check_taking(const struct sa_http_request *request, struct sa_error *err);
void sa_request_taken(struct sa_http_request *request); /* it ends as if answered */

/* reply.c */
void sa_reply_head(struct sa_http_request *request, int status, const char *type, int64_t length);
/* The body of an error answer. */
void sa_reply_error_json(struct sa_buf *out, const struct sa_error *error,
                         const struct sa_http_why *why, const char *request_id);

/* server.c */
void sa_server_conn_came(struct sa_conn *conn);
void sa_server_conn_gone(struct sa_conn *conn);
void sa_server_check_drained(struct sa_http_server *server);
const char *sa_server_date(struct sa_http_server *server);
void sa_format_address(const struct sockaddr_storage *address, char out[ADDRESS_BYTES]);

#endif
