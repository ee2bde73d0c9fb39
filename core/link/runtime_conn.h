/*
 * The control plane's end of a link: carries the engine of link/link.h over a stream socket on
 * the loop. Streams opened here always end: with the runtime's END, or with an error when the
 * connection is lost. One loop thread.
 */
#ifndef SA_LINK_RUNTIME_CONN_H
#define SA_LINK_RUNTIME_CONN_H

#include "link/link.h"
#include "link/methods.h"

#include <uv.h>

struct sa_runtime_conn;
struct sa_call; /* one stream */

struct sa_runtime_conn_events {
    void (*ready)(void *owner);
    /* The link is lost (`error` says how); all calls have ended. Free the connection now or
     * later. Not called for sa_runtime_conn_free(). */
    void (*lost)(void *owner, const struct sa_error *error);
};

struct sa_call_events {
    void (*data)(void *user, enum sa_link_channel channel, const void *data, size_t length);
    void (*note)(void *user, struct sa_fields *fields);
    void (*eof)(void *user, enum sa_link_channel channel);
    void (*writable)(void *user);
    /* Exactly once, last, never from within sa_call_open(). error is NULL on success, then
     * `fields` is the result. After it the call is gone. */
    void (*ended)(void *user, const struct sa_error *error, struct sa_fields *fields);
};

/* Takes `fd`. */
struct sa_runtime_conn *sa_runtime_conn_new(uv_loop_t *loop, int fd,
                                            const struct sa_runtime_conn_events *events,
                                            void *owner);
/* Open calls end with SA_EUNAVAILABLE and `why` first. NULL is allowed. */
void sa_runtime_conn_free(struct sa_runtime_conn *conn, const char *why);
/* Open calls are canceled and end with SA_EUNAVAILABLE and `why`; the connection stays. */
void sa_runtime_conn_end_calls(struct sa_runtime_conn *conn, const char *why);

/* NULL and SA_EUNAVAILABLE when the link is not ready, lost, or full. */
struct sa_call *sa_call_open(struct sa_runtime_conn *conn, enum sa_link_method method,
                             const struct sa_buf *body, const struct sa_call_events *events,
                             void *user, struct sa_error *err);
size_t sa_call_write(struct sa_call *call, const void *data, size_t length);
/* To the program's control socket (SA_EXEC_CONTROL). */
size_t sa_call_write_control(struct sa_call *call, const void *data, size_t length);
void sa_call_eof(struct sa_call *call);
int sa_call_note(struct sa_call *call, const struct sa_buf *body);
/* Return credit for received data. */
void sa_call_consume(struct sa_call *call, size_t length);
/* Within `note`: keep its credit, and give it back with sa_call_consume(): so many bytes. */
size_t sa_call_keep_note(struct sa_call *call);
/* Ask for the end; `ended` still comes. */
void sa_call_cancel(struct sa_call *call);
/* As cancel, but no event of this call is delivered any more. */
void sa_call_abandon(struct sa_call *call);

#endif
