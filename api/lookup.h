/* Reads that may go to the store, as of sandboxes that have ended, and answers with sandboxes. For
 * the handlers. */
#ifndef SA_API_LOOKUP_H
#define SA_API_LOOKUP_H

#include "api/app.h"

struct sa_lookup { /* lives as long as the request */
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    struct sa_store_read *read;
    int64_t after, limit;
    const char *id; /* of the path */
    int stream;     /* enum of the handler */
};

struct sa_lookup *sa_lookup_new(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal);
/* The read was started, or refused with `error`. Its callback takes off on_closed. */
void sa_lookup_started(struct sa_lookup *l, struct sa_store_read *read,
                       const struct sa_error *error);

/* SA_EUNAVAILABLE while the server starts, and what lives is not known yet; else 0. */
int sa_check_recovered(const struct sa_app *app, struct sa_error *err);

void sa_print_record(const struct sa_store_sandbox *record, struct sa_json_w *w);
void sa_respond_sandbox(struct sa_http_request *request, int status,
                        const struct sa_sandbox *sandbox);

#endif
