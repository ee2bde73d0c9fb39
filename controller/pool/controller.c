/* What wakes the pool controller, what it remembers of pools and pods, and its two queues. */
#include "controller/pool/private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "kinds/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 1000,
    EXPECT_MS = 10 * 1000,
    SEEN_MOST_MS = 5 * 1000,  /* until the cache must show what was written */
    LOOK_AGAIN_MS = 5 * 1000, /* at a pod of which something is awaited */
    NOT_NOW_MS = 100,
    LOOK_EACH_MS = 5,  /* at a pool, whatever happens in it */
    PODS_PER_MS = 100, /* larger pools are looked at less often */
    FAILURES_MOST = 16
};

/* ---- pools ---- */

struct sa_pool *sa_pool_get(struct sa_pool_controller *controller, const char *key, bool make)
{
    struct sa_pool *pool;
    HASH_FIND_STR(controller->pools, key, pool);
    if (pool || !make)
        return pool;
    pool = sa_alloc(sizeof *pool);
    pool->controller = controller;
    pool->key = sa_strdup(key);
    const char *slash = strchr(pool->key, '/');
    pool->name = slash ? slash + 1 : pool->key;
    pool->scale.rule = pool->scale_rule;
    pool->scale.reason = pool->scale_reason;
    HASH_ADD_KEYPTR(hh, controller->pools, pool->key, strlen(pool->key), pool);
    return pool;
}

static void pool_free(struct sa_pool *pool)
{
    struct sa_pool_controller *controller = pool->controller;
    sa_pool_scale_forget(pool);
    sa_pool_make_forget(pool);
    sa_pool_forget_orders(controller, pool);
    sa_pool_series_drop(pool);
    sa_expect_forget(controller->expectations, pool->key);
    // The table is left before the memory. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
    HASH_DEL(controller->pools, pool);
    free(pool->key);
    free(pool);
}

const struct sa_object *sa_pool_object(const struct sa_pool *pool)
{
    return sa_informer_get(pool->controller->options.caches->warm_pools, pool->key);
}

void sa_pool_wake(const struct sa_pool *pool)
{
    sa_workqueue_add(pool->controller->pool_queue, pool->key);
}

static char *pool_key_of(const struct sa_object *pod)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    return sa_printf("%s/%s", sa_object_meta(pod)->namespace_, spec->pool);
}

const struct sa_object *sa_pool_of_pod(const struct sa_pool_controller *controller,
                                       const struct sa_object *pod)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    sa_autofree char *key = pool_key_of(pod);
    const struct sa_object *object = sa_informer_get(controller->options.caches->warm_pools, key);
    return object && strcmp(sa_object_meta(object)->uid, spec->pool_uid) == 0 ? object : NULL;
}

struct sa_pool *sa_pool_state_of_pod(struct sa_pool_controller *controller,
                                     const struct sa_object *pod)
{
    sa_autofree char *key = pool_key_of(pod);
    return sa_pool_get(controller, key, false);
}

/* Failures that come together count once. */
void sa_pool_failed(struct sa_pool *pool, const char *reason, const char *message)
{
    const struct sa_object *object = sa_pool_object(pool);
    const int64_t now_ms = sa_monotonic_ms();
    snprintf(pool->reason, sizeof pool->reason, "%s", reason);
    snprintf(pool->message, sizeof pool->message, "%s", message);
    pool->failed_ms = now_ms;
    if (now_ms >= pool->retry_ms) {
        pool->failures += pool->failures < FAILURES_MOST;
        pool->retry_ms = now_ms + sa_pool_pause_ms(pool->failures);
    }
    if (object)
        sa_record(pool->controller->recorder, object, SA_EVENT_WARNING, "PodFailed", "%s%s%s",
                  reason, message[0] ? ": " : "", message);
    sa_pool_wake(pool);
}

static void load(struct sa_pool *pool, const struct sa_object *object)
{
    if (strcmp(pool->uid, sa_object_meta(object)->uid) == 0)
        return;
    sa_pool_load(pool, object);
    sa_pool_series_init(pool);
}

/* ---- pods ---- */

struct sa_pool_record *sa_pool_record_get(struct sa_pool_controller *controller, const char *key,
                                          bool make)
{
    struct sa_pool_record *record;
    HASH_FIND_STR(controller->records, key, record);
    if (record || !make)
        return record;
    record = sa_alloc(sizeof *record);
    record->controller = controller;
    record->key = sa_strdup(key);
    const char *slash = strchr(record->key, '/');
    record->name = slash ? slash + 1 : record->key;
    HASH_ADD_KEYPTR(hh, controller->records, record->key, strlen(record->key), record);
    return record;
}

void sa_pool_record_free(struct sa_pool_record *record)
{
    struct sa_pool_controller *controller = record->controller;
    sa_pool_job_free(record->job);
    sa_pool_forget_orders(controller, record);
    if (record->used)
        sa_agent_unuse(controller->options.agent, &record->user);
    // The table is left before the memory. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
    HASH_DEL(controller->records, record);
    free(record->key);
    free(record->pool);
    free(record);
}

void sa_pool_wake_pod(const struct sa_pool_record *record)
{
    sa_workqueue_add(record->controller->pod_queue, record->key);
}

/* ---- what the agent tells of a pod ---- */

/* Of an earlier node: what is denied in it is told to nobody. */
static bool is_unheard(const struct sa_pool_record *record)
{
    static const char control[] = "seccomp.notify:";
    const struct sa_agent_facts *facts =
        sa_agent_facts(record->controller->options.agent, record->name);
    for (size_t i = 0; facts && i < facts->weaker_count; i++)
        if (strncmp(facts->weaker[i], control, sizeof control - 1) == 0)
            return true;
    return false;
}

static void on_ready(void *owner)
{
    struct sa_pool_record *record = owner;
    if (is_unheard(record))
        record->watched = false;
    sa_pool_wake_pod(record);
}

static void on_lost(void *owner, const char *reason, const struct sa_error *why)
{
    struct sa_pool_record *record = owner;
    (void)reason;
    (void)why;
    record->used = record->watched = false;
    sa_pool_wake_pod(record);
}

static void on_oom(void *owner, int64_t kills)
{
    struct sa_pool_record *record = owner;
    record->oom_kills = kills; /* so far */
}

static void on_denied(void *owner, const char *syscall, const char *program, int64_t count)
{
    struct sa_pool_record *record = owner;
    (void)syscall;
    (void)program;
    record->denials += count;
}

/* What happened until another node had it was told to nobody. */
static void on_changed(void *owner)
{
    struct sa_pool_record *record = owner;
    record->watched = false;
}

static const struct sa_agent_user_events agent_events = {
    .ready = on_ready, .lost = on_lost, .oom = on_oom, .denied = on_denied, .changed = on_changed};

/* From before anybody has it, so that nothing that happens in it is missed. */
static void watch(struct sa_pool_record *record, const struct sa_object *pod)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    struct sa_agent *agent = record->controller->options.agent;
    if (record->used || record->watched || !agent || record->uid[0])
        return;
    record->used = true;
    record->watched = !spec->claim.given;
    record->user = (struct sa_agent_user){.events = &agent_events, .owner = record};
    sa_agent_use(agent, record->name, &record->user);
}

/* ---- informers ---- */

static void pool_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                         const struct sa_object *now)
{
    struct sa_pool_controller *controller =
        sa_container_of(handler, struct sa_pool_controller, on_pool);
    if (now)
        load(sa_pool_get(controller, sa_object_key(now), true), now);
    sa_workqueue_add(controller->pool_queue, sa_object_key(now ? now : before));
}

static void pod_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                        const struct sa_object *now)
{
    struct sa_pool_controller *controller =
        sa_container_of(handler, struct sa_pool_controller, on_pod);
    const struct sa_object *object = now ? now : before;
    const struct sa_object_meta *meta = sa_object_meta(object);
    struct sa_pool_record *record =
        sa_pool_record_get(controller, sa_object_key(object), now != NULL);
    sa_autofree char *pool = pool_key_of(object);
    sa_expect_seen_create(controller->expectations, pool, meta->name);
    if (!now || meta->deleted_ms)
        sa_expect_seen_delete(controller->expectations, pool, meta->uid);
    if (now) {
        watch(record, now);
        if (!record->pool)
            record->pool = sa_strdup(pool);
        snprintf(record->uid, sizeof record->uid, "%s", meta->uid);
    }
    sa_workqueue_add(controller->pod_queue, sa_object_key(object));
    sa_workqueue_add(controller->pool_queue, pool);
}

static void box_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                        const struct sa_object *now)
{
    struct sa_pool_controller *controller =
        sa_container_of(handler, struct sa_pool_controller, on_box);
    const struct sa_pool_record *record =
        sa_pool_record_get(controller, sa_object_key(now ? now : before), false);
    if (record)
        sa_pool_wake_pod(record);
}

static void sandbox_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                            const struct sa_object *now)
{
    struct sa_pool_controller *controller =
        sa_container_of(handler, struct sa_pool_controller, on_sandbox);
    const struct sa_object_meta *meta = sa_object_meta(now ? now : before);
    const char *warm_pod = sa_map_get(&meta->annotations, SA_SANDBOX_WARM_POD);
    if (!before)
        sa_pool_claimed(controller, now);
    if (!warm_pod)
        return;
    sa_autofree char *key = sa_printf("%s/%s", meta->namespace_, warm_pod);
    sa_workqueue_add(controller->pod_queue, key);
}

static void wake_all(const struct sa_pool_controller *controller)
{
    const struct sa_pool *pool, *next;
    HASH_ITER (hh, controller->pools, pool, next)
        sa_pool_wake(pool);
}

static void profile_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                            const struct sa_object *now)
{
    (void)before;
    (void)now;
    wake_all(sa_container_of(handler, struct sa_pool_controller, on_profile));
}

static void runtime_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                            const struct sa_object *now)
{
    (void)before;
    (void)now;
    wake_all(sa_container_of(handler, struct sa_pool_controller, on_runtime));
}

/* ---- the queue of pools ---- */

/* True: not yet. Looking at a pool costs as much as it has pods. */
static bool too_soon(const struct sa_pool *pool, int64_t now_ms)
{
    const struct sa_informer_found found =
        sa_informer_find(pool->controller->options.caches->warm_pods, SA_BY_POOL, pool->key);
    int64_t wait_ms =
        pool->observed_ms + LOOK_EACH_MS + (int64_t)(found.count / PODS_PER_MS) - now_ms;
    if (!pool->observed_ms || wait_ms <= 0)
        return false;
    sa_workqueue_add_after(pool->controller->pool_queue, pool->key, wait_ms);
    return true;
}

static void reconcile_pool(struct sa_pool *pool, const struct sa_object *object)
{
    struct sa_pool_controller *controller = pool->controller;
    struct sa_arena *arena = sa_arena_new();
    const struct sa_object *const *pods;
    struct sa_pool_observed observed;
    struct sa_pool_plan plan;
    const bool was_able = pool->make.known;
    if (object) {
        sa_pool_make_update(pool, object);
        sa_pool_scale(pool, object);
    }
    sa_pool_observe(pool, object, arena, &observed, &pods);
    sa_pool_plan(&observed, &plan);
    sa_pool_count(&observed, &pool->counts);
    const int64_t *of = pool->counts.of;
    pool->observed_ms = observed.now_ms;
    pool->free_total = of[SA_POOL_POD_READY] + of[SA_POOL_POD_PENDING] + of[SA_POOL_POD_RECYCLING] +
                       (int64_t)observed.creates_due;
    pool->progressing =
        plan.creates || observed.creates_due || of[SA_POOL_POD_PENDING] ||
        (of[SA_POOL_POD_READY] < pool->wanted && (pool->make.known || !pool->make.reason[0]));
    if (pool->make.known && !was_able) /* pods may have waited for it */
        for (size_t i = 0; i < observed.count; i++)
            sa_workqueue_add(controller->pod_queue, sa_object_key(pods[i]));
    sa_pool_apply(pool, object, pods, &plan);
    if (object)
        sa_pool_write_status(pool, object);
    if (plan.again_ms)
        sa_workqueue_add_after(controller->pool_queue, pool->key, plan.again_ms - observed.now_ms);
    if (pool->counts.returning) /* those that did not come back are missed then */
        sa_workqueue_add_after(controller->pool_queue, pool->key, pool->make_ms);
    if (!object && !observed.count && !observed.creates_due)
        pool_free(pool);
    sa_arena_free(arena);
}

static void work_pool(void *owner, const char *key)
{
    struct sa_pool_controller *controller = owner;
    const struct sa_object *object = sa_informer_get(controller->options.caches->warm_pools, key);
    if (!sa_controllers_may_act(&controller->options)) {
        sa_workqueue_add_after(controller->pool_queue, key, NOT_NOW_MS);
    } else {
        struct sa_pool *pool = sa_pool_get(controller, key, true);
        if (object)
            load(pool, object);
        if (!too_soon(pool, sa_monotonic_ms()))
            reconcile_pool(pool, object);
    }
    sa_workqueue_done(controller->pool_queue, key, SA_WORK_OK);
}

/* ---- the queue of pods ---- */

/* True: what was written last has not been seen. */
static bool awaits(struct sa_pool_record *record, const struct sa_object *pod)
{
    const char *version = sa_object_meta(pod)->resource_version;
    int64_t wait_ms = record->acted_ms + SEEN_MOST_MS - sa_monotonic_ms();
    if (!record->acted[0] || strcmp(record->acted, version) != 0 || wait_ms <= 0)
        return false;
    sa_workqueue_add_after(record->controller->pod_queue, record->key, wait_ms);
    return true;
}

static void reconcile_pod(struct sa_pool_record *record, const struct sa_object *pod)
{
    struct sa_pool_pod_observed observed;
    if (record->busy || awaits(record, pod))
        return;
    sa_pool_observe_pod(record, pod, &observed);
    const struct sa_pool_pod_plan plan = sa_pool_pod_plan(&observed);
    int64_t again_ms = plan.again_ms ? plan.again_ms - observed.now_ms : 0;
    if (!again_ms && plan.step == SA_POOL_STEP_NONE &&
        (observed.box == SA_POOL_BOX_ORDERED || observed.box == SA_POOL_BOX_STARTING ||
         observed.deleting))
        again_ms = LOOK_AGAIN_MS;
    if (again_ms)
        sa_workqueue_add_after(record->controller->pod_queue, record->key, again_ms);
    sa_pool_apply_step(record, pod, &plan);
}

static void work_pod(void *owner, const char *key)
{
    struct sa_pool_controller *controller = owner;
    const struct sa_object *pod = sa_informer_get(controller->options.caches->warm_pods, key);
    struct sa_pool_record *record = sa_pool_record_get(controller, key, false);
    if (record && !sa_controllers_may_act(&controller->options))
        sa_workqueue_add_after(controller->pod_queue, key, NOT_NOW_MS);
    else if (record && pod)
        reconcile_pod(record, pod);
    else if (record && !record->making)
        sa_pool_record_free(record);
    sa_workqueue_done(controller->pod_queue, key, SA_WORK_OK);
}

/* ---- beginning and end ---- */

static void on_tick(uv_timer_t *timer)
{
    struct sa_pool_controller *controller = timer->data;
    sa_pool_jobs_check(controller, sa_monotonic_ms());
    wake_all(controller);
}

static struct sa_workqueue *queue_new(struct sa_pool_controller *controller,
                                      void (*work)(void *owner, const char *key))
{
    return sa_workqueue_new(&(struct sa_workqueue_options){
        .loop = controller->options.loop, .work = work, .owner = controller});
}

static void load_all(struct sa_pool_controller *controller)
{
    const struct sa_informer *pools = controller->options.caches->warm_pools;
    for (const struct sa_object *object = NULL; (object = sa_informer_next(pools, object));)
        load(sa_pool_get(controller, sa_object_key(object), true), object);
}

struct sa_pool_controller *sa_pool_controller_start(const struct sa_controllers_options *options)
{
    struct sa_pool_controller *controller = sa_alloc(sizeof *controller);
    const struct sa_caches *caches = options->caches;
    controller->options = *options;
    controller->pool_queue = queue_new(controller, work_pool);
    controller->pod_queue = queue_new(controller, work_pod);
    controller->expectations = sa_expectations_new(EXPECT_MS, NULL);
    controller->recorder = sa_recorder_new(options->objects, "pool-controller", NULL);
    sa_pool_metrics_init(&controller->metrics, options->metrics);
    load_all(controller);
    controller->on_pool.changed = pool_changed;
    controller->on_pod.changed = pod_changed;
    controller->on_box.changed = box_changed;
    controller->on_sandbox.changed = sandbox_changed;
    controller->on_profile.changed = profile_changed;
    controller->on_runtime.changed = runtime_changed;
    sa_informer_add_handler(caches->warm_pools, &controller->on_pool);
    sa_informer_add_handler(caches->warm_pods, &controller->on_pod);
    sa_informer_add_handler(caches->pods, &controller->on_box);
    sa_informer_add_handler(caches->sandboxes, &controller->on_sandbox);
    sa_informer_add_handler(caches->profiles, &controller->on_profile);
    sa_informer_add_handler(caches->runtimes, &controller->on_runtime);
    uv_timer_init(options->loop, &controller->tick);
    controller->tick.data = controller;
    uv_timer_start(&controller->tick, on_tick, TICK_MS, TICK_MS);
    return controller;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sa_pool_controller_stop(struct sa_pool_controller *controller)
{
    struct sa_pool_record *record, *next_record;
    struct sa_pool *pool, *next_pool;
    if (!controller)
        return;
    const struct sa_caches *caches = controller->options.caches;
    sa_informer_remove_handler(caches->warm_pools, &controller->on_pool);
    sa_informer_remove_handler(caches->warm_pods, &controller->on_pod);
    sa_informer_remove_handler(caches->pods, &controller->on_box);
    sa_informer_remove_handler(caches->sandboxes, &controller->on_sandbox);
    sa_informer_remove_handler(caches->profiles, &controller->on_profile);
    sa_informer_remove_handler(caches->runtimes, &controller->on_runtime);
    HASH_ITER (hh, controller->records, record, next_record)
        sa_pool_record_free(record);
    HASH_ITER (hh, controller->pools, pool, next_pool)
        pool_free(pool);
    sa_pool_forget_orders(controller, NULL);
    sa_workqueue_free(controller->pool_queue);
    sa_workqueue_free(controller->pod_queue);
    sa_recorder_free(controller->recorder);
    sa_expectations_free(controller->expectations);
    uv_close((uv_handle_t *)&controller->tick, on_closed);
}
