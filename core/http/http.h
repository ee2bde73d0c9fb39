/*
 * HTTP/1.1 (RFC 9110, RFC 9112) server: requests and responses. llhttp parses, libuv moves the
 * bytes, OpenSSL encrypts; everything on one loop and in its thread.
 *
 * HOW A HANDLER WORKS
 *
 * The server calls the handler once a request's head has been read and found sound. The handler
 * (now or later, from the same thread) takes the body if it wants it and answers exactly once,
 * in one of these ways:
 *
 *     sa_http_respond(), sa_http_respond_owned(), sa_http_respond_error()     whole answers
 *     sa_http_response_start(), sa_http_response_write() ..., sa_http_response_end()
 *     sa_http_response_abort()      cut the connection: what was sent must not look complete
 *     sa_http_take_socket(), sa_http_take_tunnel()   leave HTTP
 *
 * After that call the request is gone for the handler. If the client disconnects, or a limit or
 * timeout ends the exchange before the handler has answered in full, `closed` (see
 * sa_http_request_on_closed) is called instead, exactly once, and the request is gone when it
 * returns. The cleanup callback runs in either case, exactly once, last. None of the callbacks
 * is called from inside a function of this header, except that sa_http_request_body() and
 * _collect() may deliver bytes that have already arrived only after they returned, from the loop.
 *
 * A body nobody asked for is not read: there is no buffering behind the handler's back. Requests
 * that a client pipelined are answered in order, one at a time.
 *
 * A client that shuts down its sending side while its request is being worked on counts as gone.
 */
#ifndef SA_HTTP_HTTP_H
#define SA_HTTP_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sa_http_request;
struct sa_http_server;

/* Bytes that need not end in NUL (though all that this header hands out do). */
struct sa_http_text {
    const char *data;
    size_t length;
};

typedef void sa_http_handler(struct sa_http_request *request, void *user);

/* ---- the request ---- everything returned lives as long as the request */

const char *sa_http_request_id(const struct sa_http_request *request);     /* X-Request-Id */
const char *sa_http_request_method(const struct sa_http_request *request); /* "GET" */
/* The target as the client sent it, path and query: "/a%20b?x=1". */
const char *sa_http_request_target(const struct sa_http_request *request);
/* The target's path, not decoded. */
const char *sa_http_request_path(const struct sa_http_request *request);
/* Path segments: split on '/', then percent-decoded; "/a/b%2Fc/" has "a", "b/c" and "". No
 * segment is "." or ".." or holds NUL: such requests were refused. */
size_t sa_http_request_segment_count(const struct sa_http_request *request);
struct sa_http_text sa_http_request_segment(const struct sa_http_request *request, size_t index);
/* First value of the query parameter, decoded ('+' is a space); NULL when absent. */
const char *sa_http_request_query(const struct sa_http_request *request, const char *name);
/* All of them in order; false beyond the last. */
bool sa_http_request_query_at(const struct sa_http_request *request, size_t index,
                              const char **name, const char **value);
/* Value of a header, trimmed; NULL when absent. Names are compared without case. Of repeated
 * headers the first one; use _header_at() to see all. */
const char *sa_http_request_header(const struct sa_http_request *request, const char *name);
bool sa_http_request_header_at(const struct sa_http_request *request, size_t index,
                               const char **name, const char **value);
/* Declared size of the body; -1 when it comes in chunks, 0 when there is none. */
int64_t sa_http_request_content_length(const struct sa_http_request *request);
/* The media type of Content-Type without parameters equals `type` ("application/json"). */
bool sa_http_request_is_type(const struct sa_http_request *request, const char *type);
/* "127.0.0.1:4711" or "[::1]:4711". */
const char *sa_http_request_peer(const struct sa_http_request *request);
bool sa_http_request_is_tls(const struct sa_http_request *request);
/* Freed with the request. */
struct sa_arena *sa_http_request_arena(struct sa_http_request *request);
struct sa_http_server *sa_http_request_server(const struct sa_http_request *request);

/* Set by the router: the pattern (for metrics) and its parameters, decoded. */
const char *sa_http_request_route(const struct sa_http_request *request); /* "" when none */
const char *sa_http_request_param(const struct sa_http_request *request, const char *name);

void *sa_http_request_user(const struct sa_http_request *request);
void sa_http_request_set_user(struct sa_http_request *request, void *user);
/* Called once, last, whatever became of the request; it may no longer use the request. */
void sa_http_request_set_cleanup(struct sa_http_request *request, void (*cleanup)(void *user),
                                 void *user);
/* Called if the exchange ends before the handler answered in full. Replaces an earlier one;
 * NULL removes it. May not call the functions that answer. */
void sa_http_request_on_closed(struct sa_http_request *request,
                               void (*closed)(struct sa_http_request *request, void *user),
                               void *user);

/* ---- the request's body ---- */

/* Receives the body piece by piece (up to 256 KiB each) and returns how many of the bytes it
 * took. Taking fewer pauses the body: nothing more is read from the client until
 * sa_http_request_resume(), after which the rest is offered again. */
typedef size_t sa_http_data_cb(struct sa_http_request *request, const void *data, size_t length,
                               void *user);
typedef void sa_http_done_cb(struct sa_http_request *request, void *user);

/* Stream the body: `data` any number of times, then `done` once when it is complete. Sends "100
 * Continue" if the client waits for it. Exceeding options.body_bytes_max answers 413 and ends
 * the exchange (`closed` is called). If an answer was begun already, it is cut. */
void sa_http_request_body(struct sa_http_request *request, sa_http_data_cb *data,
                          sa_http_done_cb *done, void *user);
/* Stop and restart the delivery. resume() delivers later, from the loop. */
void sa_http_request_pause(struct sa_http_request *request);
void sa_http_request_resume(struct sa_http_request *request);
/* Collect the body and call `done` with it (NUL-terminated; lives as long as the request). More
 * than `cap_bytes` is answered with 413 (and `closed` is called). */
typedef void sa_http_collected_cb(struct sa_http_request *request, const char *body, size_t length,
                                  void *user);
void sa_http_request_collect(struct sa_http_request *request, size_t cap_bytes,
                             sa_http_collected_cb *done, void *user);

/* ---- the response ---- */

/* Add a header before the response starts. Date, Server, X-Request-Id, X-Content-Type-Options,
 * Cache-Control: no-store, Connection and the framing are added by the server (a Cache-Control or
 * Content-Length given here wins: Content-Length only matters for HEAD and 304). Copied. A name or
 * value that could split the response (CR, LF, NUL, no token) is a bug in the caller: it aborts
 * in debug builds and is dropped otherwise. */
void sa_http_response_header(struct sa_http_request *request, const char *name, const char *value);
void sa_http_response_headerf(struct sa_http_request *request, const char *name, const char *fmt,
                              ...) __attribute__((format(printf, 3, 4)));

/* A whole answer; body is copied. `type` may be NULL (no Content-Type). For HEAD the body is not
 * sent but its length is. */
void sa_http_respond(struct sa_http_request *request, int status, const char *type,
                     const void *body, size_t length);
/* As above, without copying: `release(body)` is called once it is no longer needed. */
void sa_http_respond_owned(struct sa_http_request *request, int status, const char *type,
                           void *body, size_t length, void (*release)(void *body));
/* {"error":{"code","message","details","requestId"}} with the status of sa_code_http_status().
 * `details` holds {"path": ...} when error->path is set. SA_ERATELIMITED and SA_EUNAVAILABLE
 * carry Retry-After: 1, or an hour for what the node has not, unless one was set. */
void sa_http_respond_error(struct sa_http_request *request, const struct sa_error *error);
/* As above with further members of the detail, each of which may be NULL; a status other than 0
 * replaces the table's (404 for a method: 405). */
struct sa_http_why {
    const char *reason, *rule;
    const char *decision;       /* id of the decision of a policy */
    const struct sa_error *all; /* where several are told at once: details of each, the first too */
    size_t count;
};
void sa_http_respond_error_full(struct sa_http_request *request, int status,
                                const struct sa_error *error, const struct sa_http_why *why);

/* Begin a streamed answer of `length` bytes (-1: unknown, sent in chunks, or until close for
 * HTTP/1.0). After it, error answers are no longer possible: use _abort(). */
void sa_http_response_start(struct sa_http_request *request, int status, const char *type,
                            int64_t length);
/* Queue bytes (copied). Small writes are gathered and go out together when the loop next polls.
 * Returns true while the queue is below options.write_high_bytes and other connections need not
 * have a turn; on false the caller should stop until `writable` (or `closed`, when the connection
 * turns out to be broken). Nothing is refused, but the queue is capped at options.write_max_bytes:
 * a caller that keeps going is cut off. More than `length` announced is dropped and logged as a
 * broken exchange (connection closed). */
bool sa_http_response_write(struct sa_http_request *request, const void *data, size_t length);
/* As above, without copying; `release(data)` is called when the bytes are out or dropped. */
bool sa_http_response_write_owned(struct sa_http_request *request, void *data, size_t length,
                                  void (*release)(void *data));
/* Zero-copy for producers that fill memory themselves: room for at least `length` bytes at the
 * end of the queue; commit what was used. Nothing else may be written in between. */
void *sa_http_response_reserve(struct sa_http_request *request, size_t length);
bool sa_http_response_commit(struct sa_http_request *request, size_t length);
/* Push out what is queued now instead of when the loop polls. Rarely needed. */
void sa_http_response_flush(struct sa_http_request *request);
/* Bytes queued and not yet taken by the kernel. */
size_t sa_http_response_queued_bytes(const struct sa_http_request *request);
/* Called, from the loop, after a write has returned false and the queue has fallen below half of
 * write_high_bytes. */
void sa_http_response_on_writable(struct sa_http_request *request, sa_http_done_cb *writable,
                                  void *user);
void sa_http_response_end(struct sa_http_request *request);
/* The answer cannot be completed: cut the connection so that the client notices. */
void sa_http_response_abort(struct sa_http_request *request);
bool sa_http_response_started(const struct sa_http_request *request);

/* ---- leaving HTTP ---- */

/* True for a sound WebSocket opening (RFC 6455, 4.2.1: GET, HTTP/1.1, Upgrade: websocket,
 * Connection: upgrade, key, version 13), which a handler may take over. */
bool sa_http_request_is_websocket(const struct sa_http_request *request);
/* Take the client's socket out of the server, before any answer: returns a descriptor that the
 * caller owns (non-blocking, close-on-exec) and what was read beyond the head (malloc; free()).
 * The request ends as if answered; copy what is needed from it first. -1: SA_ECONFLICT when the
 * answer has begun or the request has a body. Under TLS it is one end of a tunnel. */
int sa_http_take_socket(struct sa_http_request *request, char **unread, size_t *unread_length,
                        struct sa_error *err);

/*
 * A tunnel: the client's connection stays with the server, which carries bytes between it and a
 * socketpair whose other end the caller gets, encrypting and decrypting where there is TLS. It
 * holds at most 256 KiB that came and 128 KiB that go; each direction ends on its own; it counts
 * among the connections, and ends by a drain's deadline.
 */
struct sa_http_tunnel;
struct sa_http_tunnel_events {
    /* What came from the client: append to `out` what the caller's end is to read of it. */
    void (*filter)(void *user, const char *data, size_t length, struct sa_buf *out);
    /* The tunnel is gone. Once, last, from the loop. */
    void (*gone)(void *user);
};
/* Returns the caller's end (non-blocking, close-on-exec), at which everything arrives that came
 * after the head. Errors and the rest as sa_http_take_socket(). `events` may be NULL, `tunnel` too
 * then. Events come from the loop only. */
int sa_http_take_tunnel(struct sa_http_request *request, const struct sa_http_tunnel_events *events,
                        void *user, struct sa_http_tunnel **tunnel, struct sa_error *err);
/* Let the caller's end read these bytes now; not through the filter. */
void sa_http_tunnel_insert(struct sa_http_tunnel *tunnel, const void *data, size_t length);
/* Bytes sent that the client's kernel has acknowledged. */
uint64_t sa_http_tunnel_acked(const struct sa_http_tunnel *tunnel);
/* No events any more; what the client still sends is dropped. */
void sa_http_tunnel_forget(struct sa_http_tunnel *tunnel);
/* Cut the client's connection now; `gone` comes. */
void sa_http_tunnel_cut(struct sa_http_tunnel *tunnel);

#endif
