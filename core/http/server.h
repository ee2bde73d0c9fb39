/*
 * The HTTP server: listening, limits, drain. See http.h for handlers and router.h for routes.
 * One loop, one thread; nothing here blocks.
 */
#ifndef SA_HTTP_SERVER_H
#define SA_HTTP_SERVER_H

#include "http/http.h"

#include <uv.h>

/* What is known about an exchange when it is over. */
struct sa_http_completion {
    const char *route;  /* pattern of the route, "" when none matched or the head was refused */
    const char *method; /* "" when the head was refused */
    const char *target; /* as sent; "" when the head was refused */
    const char *peer;
    const char *request_id;
    int status;          /* of the answer; 499: the client went away before it; 0: none */
    bool complete;       /* the answer was handed to the kernel in full */
    int64_t duration_us; /* from the first byte of the head to the end of the answer */
    uint64_t bytes_in;   /* of the body */
    uint64_t bytes_out;  /* of the body */
    void *request_user;  /* of sa_http_request_set_user(); its arena is still there */
};

/* Zero means the default in brackets. */
struct sa_http_options {
    sa_http_handler *handler; /* required; sa_router_dispatch fits, with a router as user */
    void *user;
    /* Called at the end of every exchange, refused ones included. Optional. */
    void (*completed)(const struct sa_http_completion *completion, void *user);
    void *completed_user;

    /* Limits. What answers is in brackets behind the default. */
    unsigned connections_max;  /* [4096] (503 and close) */
    unsigned headers_max;      /* [100] (431) */
    size_t header_bytes_max;   /* [32 KiB] whole head without the target (431) */
    size_t target_bytes_max;   /* [8 KiB] (414) */
    unsigned query_max;        /* [100] query parameters (400) */
    uint64_t body_bytes_max;   /* [unlimited] (413) */
    size_t pipeline_bytes_max; /* [64 KiB] read ahead while a request is being answered; beyond
                                  it the client is no longer read */
    unsigned requests_max;     /* [unlimited] on one connection, then Connection: close */
    size_t write_high_bytes;   /* [256 KiB] when sa_http_response_write() says stop */
    size_t write_max_bytes;    /* [64 MiB] queue of one connection (cut) */

    /* Timeouts. */
    unsigned handshake_timeout_ms; /* [10000] TLS (close) */
    unsigned header_timeout_ms;    /* [15000] first to last byte of a head (408) */
    unsigned body_timeout_ms;      /* [30000] between two pieces of a body that is wanted (408) */
    unsigned keepalive_timeout_ms; /* [75000] idle between requests, and before the first
                                      (close) */
    unsigned write_timeout_ms;     /* [60000] without progress of a write (cut) */

    /* TLS 1.2 and 1.3, when both are given: PEM files. */
    const char *tls_cert_file; /* chain, leaf first */
    const char *tls_key_file;
};

/* Nothing listens yet. NULL: SA_EINVALID with the path of the TLS file that is bad. Options are
 * copied; `handler` and its user must outlive the server. */
struct sa_http_server *sa_http_server_new(uv_loop_t *loop, const struct sa_http_options *options,
                                          struct sa_error *err);
/* Listen on "HOST:PORT": a numeric IPv4 address, an IPv6 address in brackets, or "localhost";
 * port 0 takes a free one. May be called several times. SA_EINVALID for a bad address,
 * SA_ECONFLICT when the address is in use; the message names it. */
int sa_http_server_listen(struct sa_http_server *server, const char *address, struct sa_error *err);
/* The same with a socket that listens already: it is the server's from here on. */
int sa_http_server_listen_on(struct sa_http_server *server, int fd, struct sa_error *err);
/* The socket of the last listen, for who wants to keep it beyond this process; -1: there is none.
 */
int sa_http_server_listener(const struct sa_http_server *server);
/* The bound address of the last listen: "127.0.0.1:41234". */
const char *sa_http_server_address(const struct sa_http_server *server);
/* "http://127.0.0.1:41234"; https with TLS. */
const char *sa_http_server_url(const struct sa_http_server *server);

/* Stop listening, close idle connections, let requests in flight finish (with Connection:
 * close), cut what is left after `deadline_ms`; then call `done`, from the loop. A second call
 * only shortens the deadline (0 cuts at once) and replaces `done`; after `done` it does nothing.
 * After `done` nothing of the server is open in the loop; free it then. */
void sa_http_server_drain(struct sa_http_server *server, unsigned deadline_ms,
                          void (*done)(void *user), void *user);
/* Only after `done` (asserted), or if nothing was ever listened on. NULL is allowed. */
void sa_http_server_free(struct sa_http_server *server);

/* For /metrics and /readyz. */
unsigned sa_http_server_connections(const struct sa_http_server *server);
unsigned sa_http_server_active_requests(const struct sa_http_server *server);
uint64_t sa_http_server_refused_connections(const struct sa_http_server *server);
bool sa_http_server_draining(const struct sa_http_server *server);

#endif
