/* A store in memory, the caches, the pool controller, and a node of a few lines: Pods become ready,
 * or fail, when the test says so, and go when they are deleted. */
#ifndef SA_TEST_POOL_WORLD_H
#define SA_TEST_POOL_WORLD_H

#include "controller/pool/pool.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/runtime_environment.h"
#include "kinds/sandbox.h"
#include "kinds/sandbox_profile.h"
#include "kinds/warm_pod.h"
#include "kinds/warm_pool.h"
#include "loop/loop.h"
#include "objects/embedded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    uv_loop_t *loop;
    struct sa_objects *objects;
    struct sa_caches caches;
    struct sa_metrics *metrics;
    struct sa_pool_controller *controller;
    struct sa_informer_handler node; /* on Pods */
    uv_timer_t wakeup;
    bool pods_fail; /* what is made from now on */
    int pods_made, most_free;
    struct sa_error error; /* of the last write */
    bool done;
};
struct world *world_new(void);
void world_free(struct world *w);
void world_start_controller(struct world *w);
void world_stop_controller(struct world *w);

/* Each waits for its answer; w->error.code tells of a failure. */
void world_create(struct world *w, const struct sa_kind *kind, const char *json);
void world_patch(struct world *w, const struct sa_kind *kind, const char *name, const char *json,
                 bool status);
void world_delete(struct world *w, const struct sa_kind *kind, const char *name);
/* Turn the loop until it is so; fails the test after a minute. */
#define world_until(W, CONDITION)                                                                  \
    do {                                                                                           \
        int64_t until_ms_ = sa_monotonic_ms() + 60000;                                             \
        while (!(CONDITION)) {                                                                     \
            if (sa_monotonic_ms() > until_ms_)                                                     \
                fail_msg("never: %s", #CONDITION);                                                 \
            uv_run((W)->loop, UV_RUN_ONCE);                                                        \
        }                                                                                          \
    } while (0)

const struct sa_warm_pool_status *world_pool(const struct world *w, const char *name);
bool world_condition(const struct world *w, const char *pool, const char *type, const char *reason);
/* WarmPods of the cache in that phase (and not being deleted). */
size_t world_count(const struct world *w, enum sa_warm_pod_phase phase);
const struct sa_object *world_any(const struct world *w, enum sa_warm_pod_phase phase);
/* As core/claim does it: the claim first, then the Sandbox. Its WarmPod's name is in `pod`. */
void world_claim(struct world *w, const char *sandbox, char pod[64], bool with_sandbox);
/* One that found no pod, and counts for that pool. */
void world_miss(struct world *w, const char *sandbox, const char *pool);

#endif
