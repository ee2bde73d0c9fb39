/*
 * A server in a thread of its own, with handlers for every way to use core/http, and a blocking
 * client. Stopping asserts that the loop closed and that every request was cleaned up.
 *
 *   GET  /hello              "hello"
 *   *    /info/{id}/{path...} method, parameters and query, as text
 *   GET  /info/me/{path...}  "hello"; /info/{who}/self as /later
 *   GET  /later              "later", 20 ms later
 *   GET  /wait               nothing, ever
 *   PUT  /sink               reads the body; answers its size and sum: "SIZE SUM"
 *   PUT  /slow               as /sink, but takes at most 64 KiB each millisecond
 *   POST /collect            the body back, if it has at most 1000 bytes
 *   POST /ignore             "ignored", without reading the body
 *   GET  /down?n=N           N bytes of a pattern; &chunked=1; &owned=1; &reserve=1
 *   GET  /short, /over       announce 10 bytes and send 5, 15
 *   GET  /cut                begins an answer and aborts
 *   GET  /error?code=N       that sa_error, with a path that needs escaping
 *   GET  /take               sa_http_take_socket(); see fixture_taken()
 *   GET  /tunnel             sa_http_take_tunnel(), through which bytes are shouted
 */
#ifndef TEST_HTTP_FIXTURE_H
#define TEST_HTTP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/router.h"
#include "http/server.h"

struct fixture;

struct counters {
    atomic_int handled, closed, cleaned, completed, incomplete, last_status, tunnels_gone;
    atomic_ullong taken_bytes; /* by /slow */
    atomic_ullong queued_max;  /* seen by /down */
    atomic_ullong burst_max;   /* bytes /down wrote in one go */
};

/* `options` may be NULL; its handler is set here. Address NULL: 127.0.0.1:0. */
struct fixture *fixture_start(const struct sa_http_options *options, const char *address);
const char *fixture_address(const struct fixture *f);
struct counters *fixture_counters(struct fixture *f);
/* Begin a drain and return; fixture_stop() waits for it. */
void fixture_drain(struct fixture *f, unsigned deadline_ms);
void fixture_stop(struct fixture *f);
int fixture_end(void **state); /* of a test or a group that has one for its state */
/* What /take took, once: descriptor and unread bytes (free()). */
int fixture_taken(struct fixture *f, char **unread, size_t *length);
/* Wait for it; it blocks. */
int fixture_wait_taken(struct fixture *f);

struct client {
    int fd;
    struct sa_buf in;
};

struct reply {
    int status; /* 0: the connection ended before a whole head */
    char *head; /* NUL-terminated, in `memory` */
    struct sa_buf memory, body;
    bool complete; /* the body ended as announced */
};

struct client client_open(const struct fixture *f);
void client_close(struct client *c);
void client_send(struct client *c, const char *text);
void client_send_bytes(struct client *c, const void *data, size_t length);
/* Send what the server still takes; true when all of it went out. */
bool client_try_send(struct client *c, const void *data, size_t length);
/* Read one answer. `head_request`: it has no body whatever it announces. */
struct reply client_read(struct client *c, bool head_request);
/* Value of a header of the reply, or NULL; in static memory. */
const char *reply_header(const struct reply *r, const char *name);
void reply_deinit(struct reply *r);
/* The server has closed (orderly): nothing but end of file comes. */
void client_assert_closed(struct client *c);
/* One exchange on an open connection: asserts status and, if not NULL, body. */
void client_expect(struct client *c, const char *request, int status, const char *body);
/* On a fresh connection: send, expect the status, then the close. */
void expect_refused(const struct fixture *f, const char *request, size_t length, int status);

/* The counter reaches `value` within two seconds. */
void wait_for(atomic_int *counter, int value);
int open_descriptors(void);
uint32_t pattern_sum(uint32_t sum, const void *data, size_t length);

#endif
