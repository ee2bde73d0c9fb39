/* What a pool says of itself: its status, written when it has changed and at most ten times a
 * second, and its metrics. */
#include "controller/pool/private.h"

#include "base/clock.h"
#include "base/failpoint.h"

#include <stdio.h>
#include <string.h>

enum { WRITE_EACH_MS = 100, DEGRADED_MS = 60 * 1000, SERIES_MOST = 8192 };

/* ---- metrics ---- */

/* The leader may change within one process: the metrics stay. */
void sa_pool_metrics_init(struct sa_pool_metrics *metrics, struct sa_metrics *registry)
{
    if (!registry)
        return;
    if ((metrics->pods = sa_metrics_find(registry, "secureagent_warm_pool_pods"))) {
        metrics->size = sa_metrics_find(registry, "secureagent_warm_pool_size");
        metrics->hits = sa_metrics_find(registry, "secureagent_warm_pool_hits_total");
        metrics->misses = sa_metrics_find(registry, "secureagent_warm_pool_misses_total");
        metrics->refill = sa_metrics_find(registry, "secureagent_warm_pool_refill_seconds");
        metrics->recycled = sa_metrics_find(registry, "secureagent_warm_pods_recycled_total");
        return;
    }
    metrics->pods = sa_metrics_gauge(registry, "secureagent_warm_pool_pods",
                                     "Pods of a warm pool, by state.", SA_LABELS("pool", "state"));
    metrics->size = sa_metrics_gauge(registry, "secureagent_warm_pool_size",
                                     "Free pods that a warm pool wants.", SA_LABELS("pool"));
    metrics->hits = sa_metrics_counter(registry, "secureagent_warm_pool_hits_total",
                                       "Claims that found a warm pod.", SA_LABELS("pool"));
    metrics->misses = sa_metrics_counter(registry, "secureagent_warm_pool_misses_total",
                                         "Claims that found none.", SA_LABELS("pool"));
    metrics->refill = sa_metrics_histogram(registry, "secureagent_warm_pool_refill_seconds",
                                           "From wanting a warm pod to its being ready.",
                                           SA_LABELS("pool"), NULL, 0);
    metrics->recycled =
        sa_metrics_counter(registry, "secureagent_warm_pods_recycled_total",
                           "Used pods, by what came of them: reused, or replaced and why.",
                           SA_LABELS("result", "reason"));
    sa_metric_limit(metrics->pods, SERIES_MOST);
    sa_metric_limit(metrics->size, SERIES_MOST);
}

static const char *label_of(const struct sa_pool *pool)
{
    static const char own[] = SA_NAMESPACE_DEFAULT "/";
    return strncmp(pool->key, own, sizeof own - 1) == 0 ? pool->name : pool->key;
}

void sa_pool_series_init(struct sa_pool *pool)
{
    static const char *const states[SA_POOL_POD_STATES] = {"pending",   "available", "assigned",
                                                           "recycling", "failed",    "terminating"};
    const struct sa_pool_metrics *metrics = &pool->controller->metrics;
    const char *label = label_of(pool);
    if (!metrics->pods || pool->size)
        return;
    for (size_t i = 0; i < SA_POOL_POD_STATES; i++)
        pool->pods[i] = sa_metric_series(metrics->pods, SA_VALUES(label, states[i]));
    pool->size = sa_metric_series(metrics->size, SA_VALUES(label));
    pool->hit_series = sa_metric_series(metrics->hits, SA_VALUES(label));
    pool->miss_series = sa_metric_series(metrics->misses, SA_VALUES(label));
    pool->refill = sa_metric_series(metrics->refill, SA_VALUES(label));
}

void sa_pool_series_drop(struct sa_pool *pool)
{
    if (!pool->size)
        return;
    for (size_t i = 0; i < SA_POOL_POD_STATES; i++)
        sa_series_remove(pool->pods[i]);
    sa_series_remove(pool->size);
    pool->size = NULL;
}

static void set_gauges(const struct sa_pool *pool)
{
    if (!pool->size)
        return;
    for (size_t i = 0; i < SA_POOL_POD_STATES; i++)
        sa_gauge_set(pool->pods[i], (double)pool->counts.of[i]);
    sa_gauge_set(pool->size, (double)pool->wanted);
}

/* ---- conditions ---- */

struct setting { /* of the conditions of a pool */
    const struct sa_object *object;
    struct sa_arena *arena;
    struct sa_conditions *conditions;
};

static bool set(const struct setting *to, const char *type, bool truth, const char *reason,
                const char *message)
{
    const struct sa_condition condition = {.type = type,
                                           .status = truth ? SA_TRUE : SA_FALSE,
                                           .reason = reason,
                                           .message = message,
                                           .observed_generation =
                                               sa_object_meta(to->object)->generation};
    return sa_conditions_set(to->conditions, &condition, sa_wall_ms(), to->arena);
}

static bool set_degraded(const struct sa_pool *pool, const struct setting *to)
{
    if (!pool->make.known && pool->make.reason[0])
        return set(to, "Degraded", true, pool->make.reason, pool->make.message);
    if (pool->failed_ms && (pool->failures || sa_monotonic_ms() - pool->failed_ms < DEGRADED_MS))
        return set(to, "Degraded", true, pool->reason, pool->message);
    return set(to, "Degraded", false, "AsExpected", "");
}

static const char *progress(const struct sa_pool *pool, const char **message)
{
    *message = "";
    if (pool->progressing)
        return "MakingPods";
    if (pool->counts.of[SA_POOL_POD_READY] >= pool->wanted)
        return "Complete";
    *message = "no pod is made before what Degraded tells is mended";
    return "CannotMake";
}

static bool set_conditions(const struct sa_pool *pool, const struct setting *to)
{
    bool changed, ready = pool->counts.of[SA_POOL_POD_READY] > 0 || pool->wanted == 0;
    changed = set(to, "Ready", ready, ready ? "PodsReady" : "NoPodReady",
                  ready ? "" : "the next claim is a cold start");
    const char *message, *reason = progress(pool, &message);
    changed |= set(to, "Progressing", pool->progressing, reason, message);
    changed |= set_degraded(pool, to);
    changed |= set(to, "ScalingActive", !pool->held[0],
                   pool->held[0] ? "RuleFailed" : "RuleDecides", pool->held);
    return changed;
}

/* ---- the status ---- */

static int64_t measured(const struct sa_pool *pool, int percent, int64_t before)
{
    return pool->demand.refill_count ? sa_demand_refill_ms(&pool->demand, percent) : before;
}

static void fill(const struct sa_pool *pool, const struct sa_warm_pool_status *before,
                 struct sa_warm_pool_status *status)
{
    const int64_t *of = pool->counts.of, claims = pool->hits + pool->misses;
    *status = (struct sa_warm_pool_status){
        .size = pool->wanted,
        .available = of[SA_POOL_POD_READY],
        .assigned = of[SA_POOL_POD_ASSIGNED],
        .pending = of[SA_POOL_POD_PENDING],
        .recycling = of[SA_POOL_POD_RECYCLING],
        .terminating = of[SA_POOL_POD_TERMINATING] + of[SA_POOL_POD_FAILED],
        .hits = pool->hits,
        .misses = pool->misses,
        .hit_ratio = claims ? (double)pool->hits / (double)claims : 0,
        .counted_ms = claims ? pool->counted_ms : before->counted_ms,
        .refill_p50_ms = measured(pool, 50, before->refill_p50_ms),
        .refill_p95_ms = measured(pool, 95, before->refill_p95_ms),
        .last_scale = pool->scale,
        .key = pool->make.key,
        .conditions = before->conditions};
}

static bool differs(const struct sa_warm_pool_status *a, const struct sa_warm_pool_status *b)
{
    return a->size != b->size || a->available != b->available || a->assigned != b->assigned ||
           a->pending != b->pending || a->recycling != b->recycling ||
           a->terminating != b->terminating || a->hits != b->hits || a->misses != b->misses ||
           a->counted_ms != b->counted_ms || a->refill_p50_ms != b->refill_p50_ms ||
           a->refill_p95_ms != b->refill_p95_ms || a->last_scale.at_ms != b->last_scale.at_ms ||
           strcmp(a->key, b->key) != 0;
}

static void on_written(void *owner, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_pool *pool = owner;
    (void)object;
    sa_failpoint("pool.status_written");
    pool->writing = false;
    if (err) {
        pool->written[0] = '\0';
        sa_workqueue_add_after(pool->controller->pool_queue, pool->key, WRITE_EACH_MS);
    }
}

static void write_status(struct sa_pool *pool, const struct sa_object *object,
                         struct sa_arena *arena)
{
    const struct sa_warm_pool_status *before = sa_object_status(object);
    const struct sa_object_meta *meta = sa_object_meta(object);
    struct sa_warm_pool_status status;
    fill(pool, before, &status);
    bool changed = set_conditions(pool, &(struct setting){object, arena, &status.conditions});
    if (!changed && !differs(before, &status) && before->observed_generation == meta->generation)
        return;
    status.observed_generation = meta->generation;
    pool->writing = true;
    pool->written_ms = sa_monotonic_ms();
    snprintf(pool->written, sizeof pool->written, "%s", meta->resource_version);
    sa_pool_order_status(sa_pool_order(pool->controller, pool, on_written), object, &status);
}

/* Its own last write is seen first. */
void sa_pool_write_status(struct sa_pool *pool, const struct sa_object *object)
{
    const int64_t wait_ms = pool->written_ms + WRITE_EACH_MS - sa_monotonic_ms();
    set_gauges(pool);
    if (pool->writing || strcmp(pool->written, sa_object_meta(object)->resource_version) == 0)
        return;
    if (pool->written_ms && wait_ms > 0) { /* whether there is something to write is seen then */
        sa_workqueue_add_after(pool->controller->pool_queue, pool->key, wait_ms);
        return;
    }
    struct sa_arena *arena = sa_arena_new_sized(1024);
    write_status(pool, object, arena);
    sa_arena_free(arena);
}
