/* From the caches, and from what this process knows beside them, to what the plans see. */
#include "controller/pool/private.h"

#include "base/clock.h"
#include "kinds/names.h"
#include "kinds/pod.h"

#include <stdio.h>
#include <string.h>

enum {
    START_MOST_MS = 120 * 1000,  /* from the order of a Pod until it is Ready */
    UNREADY_MOST_MS = 30 * 1000, /* of one that was */
    ORDERED_MOST_MS = 10 * 1000, /* until the cache must show what was ordered */
    TOLERATED_MS = 60 * 1000     /* after its use a pod may be more than wanted */
};

/* ---- a pool ---- */

static bool is_old(const struct sa_pool *pool, const struct sa_warm_pool_spec *spec,
                   const struct sa_object *object, int64_t wall_ms)
{
    const struct sa_warm_pod_status *status = sa_object_status(object);
    const char *template_ = sa_map_get(&sa_object_meta(object)->annotations, SA_POOL_TEMPLATE);
    if (!template_ || strcmp(template_, pool->make.template_) != 0)
        return true;
    if (status->phase != SA_WARM_POD_READY)
        return false;
    return (status->expires_ms && wall_ms >= status->expires_ms) ||
           (!status->uses && wall_ms >= status->ready_ms + spec->ttl_s * 1000);
}

static enum sa_pool_pod_state state_of(const struct sa_object *object,
                                       const struct sa_pool_record *record)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(object);
    const struct sa_warm_pod_status *status = sa_object_status(object);
    if (sa_object_meta(object)->deleted_ms)
        return SA_POOL_POD_TERMINATING;
    if (spec->claim.given)
        return status->phase == SA_WARM_POD_RECYCLING || (record && record->recycling)
                   ? SA_POOL_POD_RECYCLING
                   : SA_POOL_POD_ASSIGNED;
    switch (status->phase) {
    case SA_WARM_POD_PENDING:
        return SA_POOL_POD_PENDING;
    case SA_WARM_POD_READY:
        return SA_POOL_POD_READY;
    case SA_WARM_POD_TERMINATING:
        return SA_POOL_POD_FAILED;
    default:
        return SA_POOL_POD_TERMINATING; /* its own plan deletes it */
    }
}

static struct sa_pool_pod pod_of(struct sa_pool *pool, const struct sa_warm_pool_spec *spec,
                                 const struct sa_object *object, int64_t wall_ms)
{
    const struct sa_warm_pod_spec *own = sa_object_spec(object);
    const struct sa_warm_pod_status *status = sa_object_status(object);
    const struct sa_pool_record *record =
        sa_pool_record_get(pool->controller, sa_object_key(object), false);
    struct sa_pool_pod pod = {.state = state_of(object, record),
                              .reserved = status->last_tenant[0],
                              .created_ms = sa_object_meta(object)->created_ms};
    if (!spec || strcmp(own->pool_uid, pool->uid) != 0 ||
        (pool->make.known && strcmp(own->key, pool->make.key) != 0))
        pod.useless = true;
    else if (pool->make.known && is_old(pool, spec, object, wall_ms))
        pod.old = true;
    pod.tolerated = record && record->released_ms && spec && spec->recycle.enabled &&
                    sa_monotonic_ms() - record->released_ms < TOLERATED_MS;
    pod.returning = (pod.state == SA_POOL_POD_ASSIGNED || pod.state == SA_POOL_POD_RECYCLING) &&
                    !pod.useless && !pod.old && spec->recycle.enabled && pool->hold_ms &&
                    pool->hold_ms < pool->make_ms && wall_ms - own->claim.at_ms < pool->make_ms;
    return pod;
}

void sa_pool_observe(struct sa_pool *pool, const struct sa_object *object, struct sa_arena *arena,
                     struct sa_pool_observed *observed, const struct sa_object *const **pods)
{
    const struct sa_pool_controller *controller = pool->controller;
    const struct sa_warm_pool_spec *spec = object ? sa_object_spec(object) : NULL;
    const struct sa_informer_found found =
        sa_informer_find(controller->options.caches->warm_pods, SA_BY_POOL, pool->key);
    struct sa_pool_pod *list = sa_arena_alloc(arena, (found.count + 1) * sizeof *list);
    const int64_t wall_ms = sa_wall_ms();
    for (size_t i = 0; i < found.count; i++)
        list[i] = pod_of(pool, spec, found.items[i], wall_ms);
    *pods = found.items;
    *observed = (struct sa_pool_observed){
        .exists = object && !sa_object_meta(object)->deleted_ms,
        .able = pool->make.known,
        .wanted = pool->wanted,
        .max = spec ? spec->max_size : 0,
        .pods = list,
        .count = found.count,
        .creates_due = sa_expect_creates(controller->expectations, pool->key),
        .deletes_due = sa_expect_deletes(controller->expectations, pool->key),
        .failures = pool->failures,
        .retry_ms = pool->retry_ms,
        .claim_ms = pool->claim_ms,
        .now_ms = sa_monotonic_ms()};
}

/* ---- a pod ---- */

const struct sa_object *sa_pool_box(const struct sa_pool_record *record)
{
    return sa_informer_get(record->controller->options.caches->pods, record->key);
}

static const struct sa_condition *readiness(const struct sa_object *box)
{
    const struct sa_pod_status *status = sa_object_status(box);
    return sa_conditions_get(&status->conditions, "Ready");
}

static enum sa_pool_box box_of(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_object *box = sa_pool_box(record);
    const bool recent = sa_monotonic_ms() - record->box_ms < ORDERED_MOST_MS;
    if (!box)
        return record->box_ordered && recent ? SA_POOL_BOX_ORDERED : SA_POOL_BOX_NONE;
    record->box_ordered = false;
    record->had_box = true;
    const struct sa_pod_status *status = sa_object_status(box);
    if (sa_object_meta(box)->deleted_ms || (record->box_ended && recent) ||
        !sa_object_is_owned_by(box, sa_object_meta(pod)->uid))
        return SA_POOL_BOX_ENDING;
    if (status->phase == SA_POD_FAILED || status->phase == SA_POD_SUCCEEDED)
        return SA_POOL_BOX_FAILED;
    const struct sa_condition *ready = readiness(box);
    return status->phase == SA_POD_RUNNING && ready && ready->status == SA_TRUE
               ? SA_POOL_BOX_READY
               : SA_POOL_BOX_STARTING;
}

static bool is_quiet(const struct sa_pool_record *record, enum sa_warm_pod_phase phase)
{
    const struct sa_object *box = sa_pool_box(record);
    const int64_t now_ms = sa_wall_ms();
    if (!box)
        return false;
    const struct sa_condition *ready = readiness(box);
    if (phase == SA_WARM_POD_PENDING)
        return now_ms - sa_object_meta(box)->created_ms > START_MOST_MS;
    return ready && ready->status != SA_TRUE && now_ms - ready->transition_ms > UNREADY_MOST_MS;
}

/* What is known of another claim, or of none, is of no use. */
static void follow_claim(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    char claim[SA_POOL_CLAIM_BYTES] = "";
    if (spec->claim.given) {
        record->claim_ms = spec->claim.at_ms;
        snprintf(claim, sizeof claim, "%s %lld", spec->claim.sandbox, (long long)spec->claim.at_ms);
    }
    if (strcmp(claim, record->claim) == 0)
        return;
    memcpy(record->claim, claim, sizeof claim);
    record->seen = record->gone = record->recycling = record->kept = record->reused = false;
    sa_pool_job_free(record->job);
    record->work = SA_POOL_WORK_NONE;
}

bool sa_pool_is_tenant(const struct sa_object *sandbox, const struct sa_object *pod)
{
    const struct sa_claim *claim = &((const struct sa_warm_pod_spec *)sa_object_spec(pod))->claim;
    const struct sa_object_meta *meta = sa_object_meta(sandbox);
    const char *warm_pod = sa_map_get(&meta->annotations, SA_SANDBOX_WARM_POD);
    if (claim->uid[0])
        return strcmp(claim->uid, meta->uid) == 0;
    return warm_pod && strcmp(warm_pod, sa_object_meta(pod)->name) == 0;
}

const struct sa_object *sa_pool_tenant(const struct sa_pool_record *record,
                                       const struct sa_object *pod)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    char key[2 * SA_OBJECT_NAME_MAX];
    snprintf(key, sizeof key, "%s/%s", sa_object_meta(pod)->namespace_, spec->claim.sandbox);
    const struct sa_object *sandbox =
        sa_informer_get(record->controller->options.caches->sandboxes, key);
    return sandbox && sa_pool_is_tenant(sandbox, pod) ? sandbox : NULL;
}

static enum sa_pool_tenant tenant_of(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_object *sandbox = sa_pool_tenant(record, pod);
    if (!sandbox)
        return record->gone ? SA_POOL_TENANT_GONE : SA_POOL_TENANT_UNSEEN;
    const struct sa_sandbox_status *status = sa_object_status(sandbox);
    record->seen = true;
    return sa_object_meta(sandbox)->deleted_ms || status->phase == SA_PHASE_FAILED ||
                   status->phase == SA_PHASE_TERMINATED
               ? SA_POOL_TENANT_ENDED
               : SA_POOL_TENANT_LIVES;
}

/* Why it is not even tried to clean it, or NULL. */
static const char *refusal(const struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_warm_pod_status *status = sa_object_status(pod);
    const struct sa_warm_pod_spec *own = sa_object_spec(pod);
    const struct sa_object *object = sa_pool_of_pod(record->controller, pod);
    struct sa_pool *pool = sa_pool_state_of_pod(record->controller, pod);
    if (!object || !pool || sa_object_meta(object)->deleted_ms)
        return "PoolDeleted";
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    if (!spec->recycle.enabled)
        return "Disabled";
    if (spec->recycle.max_uses && status->uses + 1 >= spec->recycle.max_uses)
        return "MaxUses";
    if (!pool->make.known || strcmp(own->key, pool->make.key) != 0 ||
        is_old(pool, spec, pod, sa_wall_ms()))
        return "Outdated";
    if (!record->controller->options.agent || !record->watched)
        return "NotWatched"; /* what happened in it is not known */
    if (!status->fingerprint[0])
        return "NotSealed";
    return pool->free_total < spec->max_size ? NULL : "NotNeeded";
}

void sa_pool_observe_pod(struct sa_pool_record *record, const struct sa_object *pod,
                         struct sa_pool_pod_observed *observed)
{
    const struct sa_object_meta *meta = sa_object_meta(pod);
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    const struct sa_warm_pod_status *status = sa_object_status(pod);
    follow_claim(record, pod);
    *observed = (struct sa_pool_pod_observed){
        .phase = status->phase,
        .claimed = spec->claim.given,
        .deleting = meta->deleted_ms != 0,
        .held = sa_object_has_finalizer(pod, SA_FINALIZER_WARM_POD),
        .box = box_of(record, pod),
        .tenant = spec->claim.given ? tenant_of(record, pod) : SA_POOL_TENANT_UNSEEN,
        .work = record->work,
        .quiet = is_quiet(record, status->phase),
        .reused = record->reused,
        .claim_ms = spec->claim.at_ms,
        .clean_ms = record->clean_ms,
        .now_ms = sa_wall_ms()};
    observed->had_box = record->had_box || status->pod[0];
    observed->uid_known = spec->claim.uid[0] || record->seen;
    observed->refused = spec->claim.given ? refusal(record, pod) : NULL;
}
