/*
 * Idempotency keys: a request that was sent twice is done once. For a day the same key of the same
 * principal on the same route leads to what the first request made; also while that one is being
 * worked on, and after a restart. A key is written down before anything is started, so that a
 * crash in between is noticed, not repeated. One loop thread.
 *
 *     claim = sa_idempotency_begin(all, &what, done, user, &error)
 *     done(NEW)     start it, then sa_once_settle(claim, id) or, if it was refused,
 *                   sa_once_abandon(claim); until then the others wait
 *     done(KNOWN)   answer with that resource
 *     done(BEGUN)   the server stopped meanwhile: look whether that resource was made
 *
 * What came to nothing, so that asking again may help, is begun anew with the same key: ask once
 * more with `over`, the resource that the key leads to.
 */
#ifndef SA_API_IDEMPOTENCY_H
#define SA_API_IDEMPOTENCY_H

#include "http/http.h"
#include "store/store.h"

struct sa_idempotency; /* app->idempotency */
struct sa_once;

struct sa_idempotency *sa_idempotency_new(struct sa_store *store);
/* Claims that wait are dropped without a word. */
void sa_idempotency_free(struct sa_idempotency *all);

enum { SA_IDEMPOTENCY_KEY_MAX = 255 };
/* The request's Idempotency-Key; NULL when it has none. -1: it is malformed (SA_EINVALID). */
int sa_idempotency_key(const struct sa_http_request *request, const char **key,
                       struct sa_error *err);

struct sa_idempotency_what {
    const char *principal; /* key id */
    const char *route;     /* with its ids: "execute/sb-..." */
    const char *key;
    const void *body;
    size_t length;
    const char *reserved; /* id for what will be made; NULL: that is not known before */
    const char *over;     /* id of what this key led to and came to nothing; NULL: none */
};
enum sa_once_outcome { SA_ONCE_NEW, SA_ONCE_BEGUN, SA_ONCE_KNOWN, SA_ONCE_FAILED };
/* Once. NEW: make it, with the id `resource` where ids are reserved. KNOWN: `resource` is what the
 * first one settled; BEGUN: what it had reserved, before a crash. FAILED: SA_ECONFLICT when the
 * body is another, or a crash came between and nothing was reserved; SA_EUNAVAILABLE when the key
 * cannot be written down. After all but NEW the claim is gone. */
typedef void (*sa_once_done)(void *user, enum sa_once_outcome outcome, const char *resource,
                             const struct sa_error *err);
/* NULL: refused at once, as FAILED; `done` is not called. It is never called from within, but may
 * be from within sa_once_settle() and _abandon() of another. */
struct sa_once *sa_idempotency_begin(struct sa_idempotency *all,
                                     const struct sa_idempotency_what *what, sa_once_done done,
                                     void *user, struct sa_error *err);
void sa_once_settle(struct sa_once *claim, const char *resource);
void sa_once_abandon(struct sa_once *claim);
/* Before `done`: the client has gone. */
void sa_once_cancel(struct sa_once *claim);

#endif
