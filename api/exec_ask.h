/* Requests about executions of a sandbox: finding both, in memory or in the store. For the
 * handlers.
 */
#ifndef SA_API_EXEC_ASK_H
#define SA_API_EXEC_ASK_H

#include "api/app.h"
#include "api/exec_reply.h"

struct sa_ask { /* lives as long as the request */
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    const char *sandbox_id, *id;
    struct sa_store_read *read;
    void (*proceed)(struct sa_ask *ask); /* the sandbox is, or was, one that the principal sees */
    /* list */
    const char *status;
    int64_t limit;
    /* output */
    enum sa_reply_form form;
    int64_t offset;
    bool follow;
    /* stdin */
    struct sa_execution *execution; /* while it is waited for */
    struct sa_buf data;
    size_t at;
    bool eof;
    const char *body; /* of the other actions */
    size_t body_length;
};

/* Then sa_ask_sandbox() calls `proceed` once it is known that the principal may see the sandbox,
 * also one that has ended; or answers. */
struct sa_ask *sa_ask_new(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal,
                          void (*proceed)(struct sa_ask *ask));
void sa_ask_sandbox(struct sa_ask *ask);
/* The execution in memory, or NULL. */
struct sa_execution *sa_ask_find(struct sa_ask *ask);
/* Look in the store; `done` gets the ask as its user, and begins with sa_ask_read() or
 * sa_ask_failed(). */
void sa_ask_record(struct sa_ask *ask, sa_store_execution_done done);
/* A read was started, or refused with `error`; it has come. */
void sa_ask_reading(struct sa_ask *ask, struct sa_store_read *read, const struct sa_error *error);
void sa_ask_read(struct sa_ask *ask);
/* It has come; true: it is an error (NULL: none), and answered. */
bool sa_ask_failed(struct sa_ask *ask, const struct sa_error *err);
void sa_ask_respond_none(struct sa_ask *ask);
void sa_ask_respond_execution(struct sa_ask *ask, struct sa_execution *execution);
/* For sa_ask_record(): answers with the record. */
void sa_ask_on_record(void *user, const struct sa_error *err,
                      const struct sa_store_execution *record);

#endif
