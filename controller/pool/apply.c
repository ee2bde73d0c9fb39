/*
 * Doing what the plans say. Fail points lie between any two writes that belong together: what is
 * left when this process ends there is what the next one finds in the caches, and goes on from.
 */
#include "controller/pool/manifest.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/id.h"
#include "kinds/names.h"
#include "kinds/pod.h"

#include <stdio.h>
#include <string.h>

enum {
    JITTER_PERCENT = 10,  /* of a pod's time, so that those made together end apart */
    NEVER_MS = 60 * 1000, /* it did not come back */
    MADE_AT_ONCE = 8      /* in one look at a pool: others want the loop, too */
};

/* ---- a pool: making and deleting pods ---- */

/* An outcome that is not known stays expected until the cache tells, or the expectation lapses. */
static void on_made(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    struct sa_pool_controller *controller = record->controller;
    struct sa_pool *pool = sa_pool_get(controller, record->pool, false);
    (void)object;
    sa_failpoint("pool.warm_pod_created");
    record->making = false;
    if (!err)
        return;
    if (err->code != SA_EUNAVAILABLE)
        sa_expect_seen_create(controller->expectations, record->pool, record->name);
    if (pool)
        sa_pool_failed(pool, sa_code_condition(err->code), err->message);
    if (!sa_informer_get(controller->options.caches->warm_pods, record->key))
        sa_pool_record_free(record);
}

static void make_one(struct sa_pool *pool, const struct sa_object *object)
{
    struct sa_pool_controller *controller = pool->controller;
    sa_autobuf json = SA_BUF_INIT;
    char name[SA_ID_BYTES], key[SA_OBJECT_NAME_MAX + SA_ID_BYTES];
    sa_id_new("wp-", name);
    snprintf(key, sizeof key, "%s/%s", sa_object_meta(object)->namespace_, name);
    struct sa_pool_record *record = sa_pool_record_get(controller, key, true);
    record->pool = sa_strdup(pool->key);
    record->ordered_ms = sa_monotonic_ms();
    record->making = true;
    sa_expect_create(controller->expectations, pool->key, name);
    sa_pool_print_pod(pool, object, name, &json);
    sa_pool_order_create(sa_pool_order(controller, record, on_made), &sa_kind_warm_pod, &json);
    pool->free_total++;
}

/* It was claimed meanwhile, or is gone: the cache will tell. */
static void on_removed(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    struct sa_pool_controller *controller = record->controller;
    (void)object;
    sa_failpoint("pool.warm_pod_deleted");
    if (!err)
        return;
    sa_expect_seen_delete(controller->expectations, record->pool, record->uid);
    sa_workqueue_add_after(controller->pool_queue, record->pool, 10);
}

static void remove_one(struct sa_pool *pool, const struct sa_object *pod)
{
    struct sa_pool_controller *controller = pool->controller;
    struct sa_pool_record *record = sa_pool_record_get(controller, sa_object_key(pod), false);
    if (!record)
        return;
    sa_expect_delete(controller->expectations, pool->key, record->uid);
    sa_pool_order_delete(sa_pool_order(controller, record, on_removed), pod);
}

void sa_pool_apply(struct sa_pool *pool, const struct sa_object *object,
                   const struct sa_object *const *pods, const struct sa_pool_plan *plan)
{
    for (size_t i = 0; i < plan->delete_count; i++)
        remove_one(pool, pods[plan->deletes[i].pod]);
    for (size_t i = 0; i < plan->creates && i < MADE_AT_ONCE; i++)
        make_one(pool, object);
    if (plan->creates > MADE_AT_ONCE)
        sa_pool_wake(pool);
}

/* ---- a pod: one write at a time ---- */

static void begin(struct sa_pool_record *record, const struct sa_object *pod)
{
    record->busy = true;
    record->acted_ms = sa_monotonic_ms();
    snprintf(record->acted, sizeof record->acted, "%s", sa_object_meta(pod)->resource_version);
}

/* After an error the same version may be acted on again, a little later. */
static void finish(struct sa_pool_record *record, const struct sa_error *err)
{
    struct sa_workqueue *queue = record->controller->pod_queue;
    record->busy = false;
    if (err) {
        record->acted[0] = '\0';
        sa_workqueue_add_after(queue, record->key, err->code == SA_ECONFLICT ? 5 : 100);
    } else {
        sa_workqueue_add(queue, record->key);
    }
}

static void on_written(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    (void)object;
    sa_failpoint("pool.warm_pod_written");
    finish(owner, err);
}

static void write_status(struct sa_pool_record *record, const struct sa_object *pod,
                         const struct sa_warm_pod_status *status, sa_pool_done *done)
{
    struct sa_arena *arena = sa_arena_new_sized(256);
    struct sa_warm_pod_status all = *status;
    sa_pool_complete_pod_status(pod, arena, &all);
    begin(record, pod);
    sa_pool_order_status(sa_pool_order(record->controller, record, done), pod, &all);
    sa_arena_free(arena);
}

static void write_phase(struct sa_pool_record *record, const struct sa_object *pod,
                        enum sa_warm_pod_phase phase, const char *reason, const char *message)
{
    struct sa_warm_pod_status status = *(const struct sa_warm_pod_status *)sa_object_status(pod);
    status.phase = phase;
    status.reason = reason;
    status.message = message;
    write_status(record, pod, &status, on_written);
}

/* ---- its Pod ---- */

static void on_box_made(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    (void)object;
    sa_failpoint("pool.pod_created");
    if (err && err->code != SA_EEXISTS && err->code != SA_EUNAVAILABLE)
        record->box_ordered = false;
    finish(record, err && err->code != SA_EEXISTS ? err : NULL);
    record->acted[0] = '\0'; /* the WarmPod's version does not change with this */
}

static void make_box(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_object *object = sa_pool_of_pod(record->controller, pod);
    struct sa_pool *pool = sa_pool_state_of_pod(record->controller, pod);
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    sa_autobuf json = SA_BUF_INIT;
    struct sa_error error;
    if (!object || !pool || !pool->make.known || strcmp(pool->make.key, spec->key) != 0)
        return; /* the pool deletes it, or is not observed yet and wakes it then */
    if (sa_pool_print_box(pool, object, pod, &json, &error) < 0) {
        write_phase(record, pod, SA_WARM_POD_TERMINATING, "NotFound", error.message);
        return;
    }
    begin(record, pod);
    record->box_ordered = true;
    record->box_ms = sa_monotonic_ms();
    sa_pool_order_create(sa_pool_order(record->controller, record, on_box_made), &sa_kind_pod,
                         &json);
}

static void on_box_ended(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    (void)object;
    sa_failpoint("pool.pod_deleted");
    record->box_ended = !err || err->code == SA_ENOTFOUND;
    finish(record, err && err->code != SA_ENOTFOUND ? err : NULL);
    record->acted[0] = '\0';
}

static void end_box(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_object *box = sa_pool_box(record);
    sa_pool_job_free(record->job);
    begin(record, pod);
    record->box_ms = sa_monotonic_ms();
    sa_pool_order_delete(sa_pool_order(record->controller, record, on_box_ended), box);
}

/* ---- steps ---- */

static int64_t expiry(const struct sa_object *object, int64_t now_ms)
{
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    uint32_t random;
    sa_random(&random, sizeof random);
    return now_ms + spec->ttl_s * 1000 * (100 - random % (JITTER_PERCENT + 1)) / 100;
}

static void on_ready(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    struct sa_pool *pool = object ? sa_pool_state_of_pod(record->controller, object) : NULL;
    sa_failpoint("pool.warm_pod_ready");
    if (pool) {
        pool->failures -= pool->failures > 0;
        if (record->ordered_ms && !record->released_ms) {
            int64_t ms = sa_monotonic_ms() - record->ordered_ms;
            sa_pool_made(pool, ms);
            if (pool->refill)
                sa_histogram_observe(pool->refill, (double)ms / 1000);
        }
    }
    finish(record, err);
}

static void write_ready(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_object *object = sa_pool_of_pod(record->controller, pod);
    const struct sa_object *box = sa_pool_box(record);
    if (!object)
        return; /* it is about to be deleted */
    const struct sa_pod_spec *box_spec = sa_object_spec(box);
    const struct sa_pod_status *box_status = sa_object_status(box);
    const struct sa_warm_pod_status *before = sa_object_status(pod);
    const int64_t now_ms = sa_wall_ms();
    const struct sa_warm_pod_status status = {.phase = SA_WARM_POD_READY,
                                              .reason = "",
                                              .message = "",
                                              .pod = sa_object_meta(box)->name,
                                              .pod_uid = sa_object_meta(box)->uid,
                                              .pod_ip = box_status->pod_ip,
                                              .node = box_spec->node,
                                              .fingerprint = record->fingerprint,
                                              .last_tenant = before->last_tenant,
                                              .uses = before->uses,
                                              .ready_ms =
                                                  before->ready_ms ? before->ready_ms : now_ms,
                                              .expires_ms = expiry(object, now_ms)};
    write_status(record, pod, &status, on_ready);
}

static void on_reused(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    (void)object;
    sa_failpoint("pool.warm_pod_reused");
    record->reused = !err;
    finish(record, err);
}

/* The claim is still given: nobody can take it yet. */
static void write_reuse(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_object *object = sa_pool_of_pod(record->controller, pod);
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    struct sa_warm_pod_status status = *(const struct sa_warm_pod_status *)sa_object_status(pod);
    status.phase = record->template_ ? SA_WARM_POD_PENDING : SA_WARM_POD_READY;
    status.reason = status.message = "";
    status.uses++;
    status.last_tenant = record->kept ? spec->claim.tenant : "";
    if (object)
        status.expires_ms = expiry(object, sa_wall_ms());
    write_status(record, pod, &status, on_reused);
}

static void on_released(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    struct sa_pool *pool = object ? sa_pool_state_of_pod(record->controller, object) : NULL;
    sa_failpoint("pool.claim_released");
    if (pool)
        sa_pool_held(pool, sa_wall_ms() - record->claim_ms);
    if (object) {
        record->released_ms = sa_monotonic_ms();
        sa_pool_recycled(record->controller, object, NULL, NULL);
    }
    finish(record, err);
}

static void release(struct sa_pool_record *record, const struct sa_object *pod)
{
    struct sa_warm_pod_spec spec = *(const struct sa_warm_pod_spec *)sa_object_spec(pod);
    spec.claim = (struct sa_claim){.sandbox = "", .uid = "", .tenant = ""};
    begin(record, pod);
    sa_pool_order_spec(sa_pool_order(record->controller, record, on_released), pod, &spec);
}

static void on_looked(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    const struct sa_object *pod =
        sa_informer_get(record->controller->options.caches->warm_pods, record->key);
    record->busy = false;
    record->acted[0] = '\0';
    if (pod)
        record->gone = err ? err->code == SA_ENOTFOUND : !sa_pool_is_tenant(object, pod);
    sa_workqueue_add_after(record->controller->pod_queue, record->key, record->gone ? 0 : 1000);
}

static void look(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    begin(record, pod);
    sa_pool_order_get(sa_pool_order(record->controller, record, on_looked), &sa_kind_sandbox,
                      sa_object_meta(pod)->namespace_, spec->claim.sandbox);
}

static void fail(struct sa_pool_record *record, const struct sa_object *pod, const char *reason)
{
    struct sa_pool *pool = sa_pool_state_of_pod(record->controller, pod);
    const struct sa_object *box = sa_pool_box(record);
    const struct sa_pod_status *status = box ? sa_object_status(box) : NULL;
    const char *message = "";
    if (!reason && record->work == SA_POOL_WORK_FAILED) {
        reason = record->reason;
        message = record->message;
    } else if (!reason && status) {
        reason = status->reason;
        message = status->message;
    }
    if (!reason || !reason[0])
        reason = "Failed";
    if (pool)
        sa_pool_failed(pool, reason, message);
    sa_pool_job_free(record->job);
    write_phase(record, pod, SA_WARM_POD_TERMINATING, reason, message);
}

static void on_deleted(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool_record *record = owner;
    struct sa_pool *pool = object ? sa_pool_state_of_pod(record->controller, object) : NULL;
    sa_failpoint("pool.used_pod_deleted");
    if (object && record->ended)
        sa_pool_recycled(record->controller, object, record->reason, record->message);
    if (pool && record->ended && strcmp(record->reason, "NotNeeded") != 0)
        sa_pool_held(pool, NEVER_MS);
    finish(record, err);
}

static void delete_pod(struct sa_pool_record *record, const struct sa_object *pod,
                       const char *reason)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    record->ended = spec->claim.given;
    if (reason) {
        snprintf(record->reason, sizeof record->reason, "%s", reason);
        record->message[0] = '\0';
    }
    begin(record, pod);
    sa_pool_order_delete(sa_pool_order(record->controller, record, on_deleted), pod);
}

/* One more that will be free: other pods may not be cleaned for that. */
static void clean(struct sa_pool_record *record, const struct sa_object *pod)
{
    struct sa_pool *pool = sa_pool_state_of_pod(record->controller, pod);
    if (pool && !record->recycling)
        pool->free_total++;
    record->recycling = true;
    record->clean_ms = sa_wall_ms();
    sa_pool_clean(record, pod);
}

static void let_go(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_json_strings *all = &sa_object_meta(pod)->finalizers;
    const char *items[SA_OBJECT_FINALIZERS_MAX];
    struct sa_json_strings left = {.items = items};
    for (size_t i = 0; i < all->count && i < SA_OBJECT_FINALIZERS_MAX; i++)
        if (strcmp(all->items[i], SA_FINALIZER_WARM_POD) != 0)
            items[left.count++] = all->items[i];
    begin(record, pod);
    sa_pool_order_finalizers(sa_pool_order(record->controller, record, on_written), pod, &left);
}

void sa_pool_apply_step(struct sa_pool_record *record, const struct sa_object *pod,
                        const struct sa_pool_pod_plan *plan)
{
    switch (plan->step) {
    case SA_POOL_STEP_NONE:
        return;
    case SA_POOL_STEP_MAKE:
        make_box(record, pod);
        return;
    case SA_POOL_STEP_PREPARE:
        sa_pool_prepare(record, pod);
        return;
    case SA_POOL_STEP_READY:
        write_ready(record, pod);
        return;
    case SA_POOL_STEP_ASSIGN:
        write_phase(record, pod, SA_WARM_POD_ASSIGNED, "", "");
        return;
    case SA_POOL_STEP_LOOK:
        look(record, pod);
        return;
    case SA_POOL_STEP_RECYCLE:
        write_phase(record, pod, SA_WARM_POD_RECYCLING, "", "");
        return;
    case SA_POOL_STEP_CLEAN:
        clean(record, pod);
        return;
    case SA_POOL_STEP_REUSE:
        write_reuse(record, pod);
        return;
    case SA_POOL_STEP_RELEASE:
        release(record, pod);
        return;
    case SA_POOL_STEP_FAIL:
        fail(record, pod, plan->reason);
        return;
    case SA_POOL_STEP_DELETE:
        delete_pod(record, pod, plan->reason);
        return;
    case SA_POOL_STEP_END:
        end_box(record, pod);
        return;
    case SA_POOL_STEP_LET_GO:
        let_go(record, pod);
        return;
    }
}
