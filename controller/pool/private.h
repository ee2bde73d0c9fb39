/*
 * Inside the pool controller. Read in this order: this file, controller.c (what wakes it, and the
 * two queues), observe.c (from the caches to what the plans see), plan.c and pod_plan.c (pure),
 * apply.c (writes), then what takes longer than a write: key.c (what pods have to be), scale.c (how
 * many), prepare.c and recycle.c (what only the runtime of a pod can do), status.c.
 *
 * Two keys are reconciled: a pool, which makes and deletes pods, and each of its pods, which goes
 * its way by itself. Of a pod there is at most one write on its way, and none follows before the
 * cache shows what came of it.
 */
#ifndef SA_CONTROLLER_POOL_PRIVATE_H
#define SA_CONTROLLER_POOL_PRIVATE_H

#include "controller/pool/demand.h"
#include "controller/pool/plan.h"
#include "controller/pool/pod_plan.h"
#include "controller/pool/pool.h"

#include "claim/claim.h"
#include "claim/pod_manifest.h"
#include "kinds/warm_pool.h"
#include "objects/expectations.h"
#include "objects/recorder.h"
#include "objects/workqueue.h"

#include <uthash.h>

enum {
    SA_POOL_REASON_BYTES = 128,
    SA_POOL_MESSAGE_BYTES = 512,
    SA_POOL_CLAIM_BYTES = SA_OBJECT_NAME_MAX + 32,
    SA_POOL_TEMPLATE_BYTES = 33,
    SA_POOL_OF_BYTES = SA_UID_BYTES + 3 * SA_RESOURCE_VERSION_BYTES,
};
/* On a WarmPod: digest of how its pool makes pods, beyond what the key says. */
#define SA_POOL_TEMPLATE "secureagent.dev/pool-template"

struct sa_pool_metrics {
    struct sa_metric *pods, *size, *hits, *misses, *refill, *recycled;
};

/* What pods of a pool have to be (key.c). */
struct sa_pool_make {
    bool known;
    char reason[SA_POOL_REASON_BYTES], message[SA_POOL_MESSAGE_BYTES]; /* why it is not known */
    char digest[SA_PROFILE_ID_BYTES];                                  /* of the security context */
    char *required; /* controls that the rules demand, joined by commas */
    char key[SA_POOL_KEY_BYTES], template_[SA_POOL_TEMPLATE_BYTES];
    char of[SA_POOL_OF_BYTES]; /* versions of the objects that it follows from */
    int64_t checked_ms;
};

struct sa_pool { /* by key, while there is such a WarmPool or a pod of one */
    UT_hash_handle hh;
    struct sa_pool_controller *controller;
    char *key;
    const char *name; /* in it */
    char uid[SA_UID_BYTES];
    struct sa_pool_make make;
    struct sa_security_call *asking;
    int64_t asked_ms; /* monotonic, as all times here but where it says wall */

    int64_t wanted;
    struct sa_pool_scale scale; /* the last one; its texts are these: */
    char scale_rule[64], scale_reason[SA_POOL_MESSAGE_BYTES];
    struct sa_policy_call *scaling;
    int64_t scaled_ms;
    char held[SA_POOL_MESSAGE_BYTES]; /* why no rule decided; "": one did */
    struct sa_demand demand;
    bool keeps;               /* the last pod that was cleaned is for its last tenant only */
    int64_t make_ms, hold_ms; /* of late, to make a pod, and from a claim until it is taken back */
    int64_t hits, misses;
    int64_t counted_ms, loaded_ms; /* wall: claims up to then are in the two, now and at first */
    unsigned claims;               /* since the rule was asked */
    int64_t claim_ms;              /* the last one */

    unsigned failures;
    int64_t retry_ms, failed_ms;
    char reason[SA_POOL_REASON_BYTES], message[SA_POOL_MESSAGE_BYTES]; /* of the last failure */

    struct sa_pool_counts counts; /* as observed last */
    int64_t free_total;           /* those, with what was ordered since: never more than max */
    int64_t observed_ms;
    bool progressing;

    bool writing;
    int64_t written_ms;
    char written[SA_RESOURCE_VERSION_BYTES]; /* version whose status was written anew */
    struct sa_series *pods[SA_POOL_POD_STATES], *size, *hit_series, *miss_series, *refill;
};

struct sa_pool_job;
struct sa_pool_record { /* what this process knows of a WarmPod, by key */
    UT_hash_handle hh;
    struct sa_pool_controller *controller;
    char *key;
    const char *name; /* in it */
    char *pool;       /* key of the pool; NULL: not seen yet */
    char uid[SA_UID_BYTES];
    int64_t ordered_ms;                    /* when it was wanted; 0: by another process */
    bool making;                           /* the WarmPod itself is on its way */
    bool busy;                             /* a write is on its way */
    char acted[SA_RESOURCE_VERSION_BYTES]; /* version on which was acted; the next is awaited */
    int64_t acted_ms;
    bool box_ordered, box_ended, had_box;
    int64_t box_ms; /* of the last order about its Pod */
    struct sa_agent_user user;
    bool used;                  /* `user` is the agent's */
    bool watched;               /* since before its claim: the facts are all of them */
    int64_t oom_kills, denials; /* the facts */
    enum sa_pool_work work;
    struct sa_pool_job *job;         /* of PREPARING and CLEANING */
    char claim[SA_POOL_CLAIM_BYTES]; /* which one `work`, `seen` and `gone` are about */
    int64_t claim_ms;                /* wall: when it was given */
    bool seen, gone;                 /* its Sandbox was in the cache; is not in the store */
    bool recycling;                  /* it is being cleaned, or was */
    bool template_;                  /* a program waits in it, and must be started again */
    bool kept;                       /* cleaned, for its last tenant only */
    bool reused;                     /* and what it will be is written */
    int64_t clean_ms;                /* wall: when its cleaning began */
    bool ended;                      /* `reason` says why it was not used again */
    int64_t released_ms;             /* it was given back then; 0: never */
    char fingerprint[129];
    char reason[SA_POOL_REASON_BYTES], message[SA_POOL_MESSAGE_BYTES]; /* of the work */
};

struct sa_pool_order;
struct sa_pool_controller {
    struct sa_controllers_options options;
    struct sa_workqueue *pool_queue, *pod_queue;
    struct sa_expectations *expectations; /* by key of the pool: WarmPods */
    struct sa_recorder *recorder;
    struct sa_informer_handler on_pool, on_pod, on_box, on_sandbox, on_profile, on_runtime;
    struct sa_pool *pools;
    struct sa_pool_record *records;
    struct sa_pool_order *orders;
    struct sa_pool_job *jobs;
    struct sa_pool_metrics metrics;
    uv_timer_t tick;
    bool stopping;
};

/* ---- controller.c ---- */

struct sa_pool *sa_pool_get(struct sa_pool_controller *controller, const char *key, bool make);
struct sa_pool_record *sa_pool_record_get(struct sa_pool_controller *controller, const char *key,
                                          bool make);
/* With all that is under way for it. */
void sa_pool_record_free(struct sa_pool_record *record);
void sa_pool_wake(const struct sa_pool *pool);
void sa_pool_wake_pod(const struct sa_pool_record *record);
/* The pool that a WarmPod names, or NULL: it is gone, or another one of that name. */
const struct sa_object *sa_pool_of_pod(const struct sa_pool_controller *controller,
                                       const struct sa_object *pod);
struct sa_pool *sa_pool_state_of_pod(struct sa_pool_controller *controller,
                                     const struct sa_object *pod);
const struct sa_object *sa_pool_object(const struct sa_pool *pool);
/* A pod could not be made, or did not live: pause, and tell. */
void sa_pool_failed(struct sa_pool *pool, const char *reason, const char *message);

/* ---- key.c ---- */

/* See that pool->make is of now. Asks when it has to; wakes the pool when there is an answer. */
void sa_pool_make_update(struct sa_pool *pool, const struct sa_object *object);
void sa_pool_make_forget(struct sa_pool *pool);
/* Errors: those of sa_runtime_fit(), SA_ENOTFOUND (spec.profile), SA_ECONFLICT (both contradict
 * each other), SA_ECANCELED (a runtime that is about to be made). Texts are of the caches' objects
 * or the arena. */
int sa_pool_posture(const struct sa_pool *pool, const struct sa_warm_pool_spec *spec,
                    struct sa_arena *arena, struct sa_posture *posture,
                    const struct sa_runtime_spec **runtime, struct sa_error *err);

/* ---- observe.c ---- */

void sa_pool_observe(struct sa_pool *pool, const struct sa_object *object, struct sa_arena *arena,
                     struct sa_pool_observed *observed, const struct sa_object *const **pods);
void sa_pool_observe_pod(struct sa_pool_record *record, const struct sa_object *pod,
                         struct sa_pool_pod_observed *observed);
const struct sa_object *sa_pool_box(const struct sa_pool_record *record);
bool sa_pool_is_tenant(const struct sa_object *sandbox, const struct sa_object *pod);
const struct sa_object *sa_pool_tenant(const struct sa_pool_record *record,
                                       const struct sa_object *pod);

/* ---- apply.c ---- */

void sa_pool_apply(struct sa_pool *pool, const struct sa_object *object,
                   const struct sa_object *const *pods, const struct sa_pool_plan *plan);
void sa_pool_apply_step(struct sa_pool_record *record, const struct sa_object *pod,
                        const struct sa_pool_pod_plan *plan);
void sa_pool_forget_orders(struct sa_pool_controller *controller, const void *owner);

/* ---- write.c: a write, or an uncached read, that is on its way ---- */

typedef void sa_pool_done(void *owner, const struct sa_error *err, const struct sa_object *object);
struct sa_pool_order *sa_pool_order(struct sa_pool_controller *controller, void *owner,
                                    sa_pool_done *done);
void sa_pool_order_create(struct sa_pool_order *order, const struct sa_kind *kind,
                          const struct sa_buf *json);
/* What takes the place of what is there, of the version that was observed. */
void sa_pool_order_status(struct sa_pool_order *order, const struct sa_object *object,
                          const void *status);
void sa_pool_order_spec(struct sa_pool_order *order, const struct sa_object *object,
                        const void *spec);
void sa_pool_order_finalizers(struct sa_pool_order *order, const struct sa_object *object,
                              const struct sa_json_strings *finalizers);
void sa_pool_order_delete(struct sa_pool_order *order, const struct sa_object *object);
void sa_pool_order_get(struct sa_pool_order *order, const struct sa_kind *kind,
                       const char *namespace_, const char *name);

/* ---- scale.c ---- */

/* Ask the scaling rule, unless it was asked a moment ago. */
void sa_pool_scale(struct sa_pool *pool, const struct sa_object *object);
void sa_pool_scale_forget(struct sa_pool *pool);
/* What is kept in the status, of a pool that is new to this process. */
void sa_pool_load(struct sa_pool *pool, const struct sa_object *object);
/* A pod is ready so long after it was wanted; clean again so long after it was claimed. */
void sa_pool_made(struct sa_pool *pool, int64_t ms);
void sa_pool_held(struct sa_pool *pool, int64_t ms);
/* A Sandbox is new in the cache. */
void sa_pool_claimed(struct sa_pool_controller *controller, const struct sa_object *sandbox);

/* ---- prepare.c, recycle.c, job.c ---- */

/* Sets record->work, and wakes the pod when that changes. */
void sa_pool_prepare(struct sa_pool_record *record, const struct sa_object *pod);
void sa_pool_clean(struct sa_pool_record *record, const struct sa_object *pod);
void sa_pool_job_free(struct sa_pool_job *job); /* NULL is allowed */
void sa_pool_jobs_check(struct sa_pool_controller *controller, int64_t now_ms);
/* The end of a used pod, for metrics and people. `reason` NULL: it is used again. */
void sa_pool_recycled(struct sa_pool_controller *controller, const struct sa_object *pod,
                      const char *reason, const char *message);

/* ---- status.c ---- */

void sa_pool_metrics_init(struct sa_pool_metrics *metrics, struct sa_metrics *registry);
void sa_pool_series_init(struct sa_pool *pool);
void sa_pool_series_drop(struct sa_pool *pool);
void sa_pool_write_status(struct sa_pool *pool, const struct sa_object *object);

#endif
