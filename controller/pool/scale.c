/*
 * How many pods a pool wants: the scaling rule is asked every second, a little sooner when claims
 * come, and seldom where nothing happens. While no rule can say, the size stays as it is. Claims
 * are counted when their Sandbox appears, which names the pool; up to which one is kept in the
 * status, so that the next process counts none of them again.
 */
#include "controller/pool/private.h"

#include "base/clock.h"
#include "kinds/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EACH_MS = 1000, BURST_MS = 200, IDLE_MS = 10 * 1000 };

static int64_t clamp(int64_t value, const struct sa_warm_pool_spec *spec)
{
    return value < spec->min_size   ? spec->min_size
           : value > spec->max_size ? spec->max_size
                                    : value;
}

/* ---- counting ---- */

void sa_pool_load(struct sa_pool *pool, const struct sa_object *object)
{
    const struct sa_warm_pool_status *status = sa_object_status(object);
    const struct sa_object_meta *meta = sa_object_meta(object);
    snprintf(pool->uid, sizeof pool->uid, "%s", meta->uid);
    pool->wanted = clamp(status->size, sa_object_spec(object));
    pool->hits = status->hits;
    pool->misses = status->misses;
    pool->counted_ms = pool->loaded_ms =
        status->counted_ms > meta->created_ms ? status->counted_ms : meta->created_ms;
    snprintf(pool->scale_rule, sizeof pool->scale_rule, "%s", status->last_scale.rule);
    snprintf(pool->scale_reason, sizeof pool->scale_reason, "%s", status->last_scale.reason);
    pool->scale = status->last_scale;
    pool->scale.rule = pool->scale_rule;
    pool->scale.reason = pool->scale_reason;
    memset(&pool->demand, 0, sizeof pool->demand);
    if (!pool->make.key[0])
        snprintf(pool->make.key, sizeof pool->make.key, "%s", status->key);
}

void sa_pool_claimed(struct sa_pool_controller *controller, const struct sa_object *sandbox)
{
    const struct sa_object_meta *meta = sa_object_meta(sandbox);
    const char *warm_pod = sa_map_get(&meta->annotations, SA_SANDBOX_WARM_POD);
    const char *name = sa_map_get(&meta->annotations, SA_SANDBOX_POOL);
    char path[2 * SA_OBJECT_NAME_MAX];
    if (!name)
        return; /* it wanted none, or there was none for it */
    snprintf(path, sizeof path, "%s/%s", meta->namespace_, name);
    struct sa_pool *pool = sa_pool_get(controller, path, false);
    if (!pool || meta->created_ms <= pool->loaded_ms)
        return;
    pool->claims++;
    pool->claim_ms = sa_monotonic_ms();
    *(warm_pod ? &pool->hits : &pool->misses) += 1;
    if (pool->hit_series)
        sa_counter_add(warm_pod ? pool->hit_series : pool->miss_series, 1);
    if (meta->created_ms > pool->counted_ms)
        pool->counted_ms = meta->created_ms;
    sa_demand_claim(&pool->demand, sa_monotonic_ms() / 1000, warm_pod);
    sa_pool_wake(pool);
}

/* ---- how long a pod is wanting ---- */

static void follow(int64_t *mean, int64_t ms)
{
    *mean = *mean ? (3 * *mean + ms) / 4 : ms;
    if (*mean < 1)
        *mean = 1;
}

void sa_pool_made(struct sa_pool *pool, int64_t ms)
{
    follow(&pool->make_ms, ms);
    sa_demand_refill(&pool->demand, ms);
}

/* What is back before another could be made is what fills the pool again. */
void sa_pool_held(struct sa_pool *pool, int64_t ms)
{
    follow(&pool->hold_ms, ms);
    if (ms < pool->make_ms)
        sa_demand_refill(&pool->demand, ms);
}

/* ---- asking ---- */

static void change_size(struct sa_pool *pool, const struct sa_object *object, int64_t size,
                        const char *rule, const char *reason)
{
    snprintf(pool->scale_rule, sizeof pool->scale_rule, "%s", rule);
    snprintf(pool->scale_reason, sizeof pool->scale_reason, "%s", reason);
    pool->scale = (struct sa_pool_scale){.at_ms = sa_wall_ms(),
                                         .from = pool->wanted,
                                         .to = size,
                                         .rule = pool->scale_rule,
                                         .reason = pool->scale_reason};
    sa_record(pool->controller->recorder, object, SA_EVENT_NORMAL, "Scaled",
              "The size went from %lld to %lld: %s", (long long)pool->wanted, (long long)size,
              reason);
    pool->wanted = size;
}

static void on_size(void *user, const struct sa_policy_verdict *verdict,
                    const struct sa_policy_scaling_output *result)
{
    struct sa_pool *pool = user;
    const struct sa_object *object = sa_pool_object(pool);
    pool->scaling = NULL;
    snprintf(pool->held, sizeof pool->held, "%s", verdict->defaulted ? verdict->reason : "");
    if (object && result && !verdict->defaulted) {
        int64_t size = clamp(result->size, sa_object_spec(object));
        if (size != pool->wanted)
            change_size(pool, object, size, verdict->rule,
                        result->reason ? result->reason : verdict->reason);
    }
    sa_pool_wake(pool);
}

static void ask(struct sa_pool *pool, const struct sa_object *object, int64_t now_ms)
{
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const struct sa_pool_counts *counts = &pool->counts;
    struct sa_policy_sample history[SA_DEMAND_SAMPLES];
    struct sa_policy_scaling_input input = {
        .who.scope = {.namespace_ = sa_object_meta(object)->namespace_, .pool = pool->name},
        .rule = spec->scaling.rule,
        .params = spec->scaling.params[0] ? spec->scaling.params : NULL,
        .pool = {.name = pool->name,
                 .runtime = spec->runtime,
                 .min = spec->min_size,
                 .max = spec->max_size,
                 .size = pool->wanted},
        .pods = {.available = counts->of[SA_POOL_POD_READY],
                 .assigned = counts->of[SA_POOL_POD_ASSIGNED],
                 .pending = counts->of[SA_POOL_POD_PENDING],
                 .recycling = counts->of[SA_POOL_POD_RECYCLING]},
        .refill_p50_ms = sa_demand_refill_ms(&pool->demand, 50),
        .refill_p95_ms = sa_demand_refill_ms(&pool->demand, 95),
        .last_scale_at = (double)pool->scale.at_ms / 1000,
        .last_scale_from = pool->scale.from,
        .last_scale_to = pool->scale.to,
        .capacity = -1};
    sa_demand_rates(&pool->demand, now_ms / 1000, &input.demand);
    input.history.items = history;
    input.history.count = sa_demand_history(&pool->demand, history);
    pool->claims = 0;
    pool->scaled_ms = now_ms;
    pool->scaling = sa_policy_scaling(pool->controller->options.policy, &input, on_size, pool);
}

/* Nothing happened for ten minutes, and it is as small as it may be. */
static bool is_idle(const struct sa_pool *pool, const struct sa_warm_pool_spec *spec)
{
    struct sa_policy_sample history[SA_DEMAND_SAMPLES];
    size_t count = sa_demand_history(&pool->demand, history);
    if (pool->claims || pool->wanted != spec->min_size || pool->counts.of[SA_POOL_POD_ASSIGNED])
        return false;
    for (size_t i = 0; i < count; i++)
        if (history[i].claims)
            return false;
    return count > 0;
}

void sa_pool_scale(struct sa_pool *pool, const struct sa_object *object)
{
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const int64_t now_ms = sa_monotonic_ms();
    pool->wanted = clamp(pool->wanted, spec);
    sa_demand_sample(&pool->demand, now_ms / 1000, (double)sa_wall_ms() / 1000,
                     pool->counts.of[SA_POOL_POD_READY], pool->counts.of[SA_POOL_POD_ASSIGNED],
                     pool->wanted);
    if (pool->scaling || !pool->controller->options.policy)
        return;
    int64_t due = pool->scaled_ms + (pool->claims          ? BURST_MS
                                     : is_idle(pool, spec) ? IDLE_MS
                                                           : EACH_MS);
    if (!pool->scaled_ms || now_ms >= due)
        ask(pool, object, now_ms);
    else if (pool->claims)
        sa_workqueue_add_after(pool->controller->pool_queue, pool->key, due - now_ms);
}

void sa_pool_scale_forget(struct sa_pool *pool)
{
    sa_policy_forget(pool->scaling);
    pool->scaling = NULL;
}
