/* A store in memory, claimers with caches of their own, warm pods, and claims that are waited for.
 */
#ifndef CLAIM_FIXTURE_H
#define CLAIM_FIXTURE_H

#include "claim/claim_private.h"
#include "kinds/warm_pool.h"
#include "unsure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct claimer {
    struct sa_caches caches;
    struct sa_metrics *metrics;
    struct sa_claims *claims;
};
struct world {
    uv_loop_t *loop;
    struct sa_objects *store;
    struct unsure unsure;   /* over the store: what claims write through */
    struct claimer claimer; /* its caches are of the store itself */
    uv_timer_t tick;        /* so that waiting ends */
};
int world_setup(void **state);
int world_teardown(void **state);

/* Its claims go to `objects`, its caches watch `watched`. */
void claimer_start(struct world *w, struct claimer *claimer, struct sa_objects *objects,
                   struct sa_objects *watched);
void claimer_stop(struct claimer *claimer);
double counted(const struct claimer *claimer, const char *series); /* as it stands in the metrics */

/* Runs the loop until `true_` says so; fails after a minute. */
void wait_until(struct world *w, bool (*true_)(void *user), void *user, const char *what);
void turns(struct world *w, int count);

/* Ready, of pool "p", key "k" and the given tenant, and in the cache of w->claimer. */
void make_pod(struct world *w, const char *name, const char *last_tenant);
void make_pool(struct world *w, const char *name, const char *key, int size);
void set_status(struct world *w, const char *name, const char *status); /* JSON, with ' for " */
const struct sa_object *read_object(struct world *w, const struct sa_kind *kind, const char *name);
const struct sa_claim *claim_of(struct world *w, const char *pod); /* of the store */

struct outcome {
    bool done;
    struct sa_error err;
    char pod[64];     /* "": cold */
    char sandbox[64]; /* "": failed */
};
/* Defaults: tenant "t", key "k". */
struct sa_claim_call *start_claim(struct claimer *claimer, const char *name,
                                  const struct sa_claim_ask *how, struct outcome *outcome);
struct outcome claim(struct world *w, const char *name, const struct sa_claim_ask *how);
void settle(struct world *w, struct outcome *outcome);
const char *annotation(const struct sa_object *object, const char *key); /* NULL: it has none */

#endif
