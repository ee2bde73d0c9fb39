#include "world.h"

#include "base/clock.h"
#include "objects/recorder.h"

#include <stdio.h>

static const struct sa_kind *const kinds[] = {&sa_kind_sandbox,
                                              &sa_kind_warm_pool,
                                              &sa_kind_warm_pod,
                                              &sa_kind_pod,
                                              &sa_kind_runtime_environment,
                                              &sa_kind_sandbox_profile,
                                              &sa_kind_event,
                                              NULL};

static void on_object(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct world *w = user;
    (void)object;
    w->done = true;
    w->error = err ? *err : (struct sa_error){.code = SA_OK};
}

static void wait_for_answer(struct world *w)
{
    world_until(w, w->done);
}

void world_create(struct world *w, const struct sa_kind *kind, const char *json)
{
    w->done = false;
    sa_objects_create(w->objects, kind, json, strlen(json), false, on_object, w);
    wait_for_answer(w);
}

static void ignore(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)user;
    (void)err;
    (void)object;
}

static void start_patch(const struct world *w, const struct sa_kind *kind, const char *name,
                        const char *version, const char *json, bool status, sa_objects_cb done)
{
    sa_objects_patch(w->objects, kind,
                     &(struct sa_objects_patch){.name = name,
                                                .subresource = status ? SA_SUBRESOURCE_STATUS
                                                                      : SA_SUBRESOURCE_NONE,
                                                .resource_version = version,
                                                .json = json,
                                                .length = strlen(json)},
                     done, (void *)(uintptr_t)w);
}

void world_patch(struct world *w, const struct sa_kind *kind, const char *name, const char *json,
                 bool status)
{
    w->done = false;
    start_patch(w, kind, name, NULL, json, status, on_object);
    wait_for_answer(w);
}

void world_delete(struct world *w, const struct sa_kind *kind, const char *name)
{
    w->done = false;
    sa_objects_delete(w->objects, kind, &(struct sa_objects_delete){.name = name}, on_object, w);
    wait_for_answer(w);
}

/* ---- the node ---- */

static void node_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                         const struct sa_object *now)
{
    struct world *w = (struct world *)((char *)handler - offsetof(struct world, node));
    if (!now)
        return;
    const struct sa_object_meta *meta = sa_object_meta(now);
    const struct sa_pod_status *status = sa_object_status(now);
    if (meta->deleted_ms) {
        start_patch(w, &sa_kind_pod, meta->name, NULL, "{\"metadata\":{\"finalizers\":[]}}", false,
                    ignore);
    } else if (!before && status->phase == SA_POD_PENDING) {
        w->pods_made++;
        start_patch(w, &sa_kind_pod, meta->name, NULL,
                    w->pods_fail
                        ? "{\"status\":{\"phase\":\"Failed\",\"reason\":\"CreateFailed\","
                          "\"message\":\"as the test says\"}}"
                        : "{\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\","
                          "\"status\":\"True\"}]}}",
                    true, ignore);
    }
}

/* ---- the whole ---- */

static void on_wakeup(uv_timer_t *timer)
{
    (void)timer; /* so that world_until() looks again */
}

struct world *world_new(void)
{
    struct world *w = sa_alloc(sizeof *w);
    w->loop = sa_loop_new(NULL);
    w->objects =
        sa_embedded_open(&(struct sa_embedded_options){.loop = w->loop, .kinds = kinds}, NULL);
    assert_non_null(w->objects);
    w->metrics = sa_metrics_new();
    uv_timer_init(w->loop, &w->wakeup);
    uv_timer_start(&w->wakeup, on_wakeup, 5, 5);
    sa_caches_start(&w->caches, w->loop, w->objects);
    w->node.changed = node_changed;
    sa_informer_add_handler(w->caches.pods, &w->node);
    world_create(w, &sa_kind_runtime_environment,
                 "{\"apiVersion\":\"secureagent.dev/v1\",\"kind\":\"RuntimeEnvironment\","
                 "\"metadata\":{\"name\":\"python\"},\"spec\":{\"language\":\"python\"}}");
    assert_int_equal(SA_OK, w->error.code);
    world_until(w, sa_caches_synced(&w->caches));
    world_start_controller(w);
    return w;
}

void world_start_controller(struct world *w)
{
    w->controller =
        sa_pool_controller_start(&(struct sa_controllers_options){.loop = w->loop,
                                                                  .objects = w->objects,
                                                                  .caches = &w->caches,
                                                                  .metrics = w->metrics,
                                                                  .profile_digest = "digest"});
}

void world_stop_controller(struct world *w)
{
    sa_pool_controller_stop(w->controller);
    w->controller = NULL;
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

void world_free(struct world *w)
{
    bool closed = false;
    world_stop_controller(w);
    sa_informer_remove_handler(w->caches.pods, &w->node);
    sa_caches_stop(&w->caches);
    uv_close((uv_handle_t *)&w->wakeup, NULL);
    sa_embedded_close(w->objects, on_closed, &closed);
    while (!closed)
        uv_run(w->loop, UV_RUN_ONCE);
    sa_loop_free(w->loop);
    sa_metrics_free(w->metrics);
    free(w);
}

/* ---- looking ---- */

const struct sa_warm_pool_status *world_pool(const struct world *w, const char *name)
{
    char key[128];
    snprintf(key, sizeof key, "default/%s", name);
    const struct sa_object *object = sa_informer_get(w->caches.warm_pools, key);
    return object ? sa_object_status(object) : NULL;
}

bool world_condition(const struct world *w, const char *pool, const char *type, const char *reason)
{
    const struct sa_warm_pool_status *status = world_pool(w, pool);
    const struct sa_condition *condition =
        status ? sa_conditions_get(&status->conditions, type) : NULL;
    return condition && strcmp(condition->reason, reason) == 0;
}

static bool is_in(const struct sa_object *pod, enum sa_warm_pod_phase phase)
{
    const struct sa_warm_pod_status *status = sa_object_status(pod);
    return status->phase == phase && !sa_object_meta(pod)->deleted_ms;
}

size_t world_count(const struct world *w, enum sa_warm_pod_phase phase)
{
    size_t count = 0;
    for (const struct sa_object *pod = NULL; (pod = sa_informer_next(w->caches.warm_pods, pod));)
        count += is_in(pod, phase);
    return count;
}

const struct sa_object *world_any(const struct world *w, enum sa_warm_pod_phase phase)
{
    for (const struct sa_object *pod = NULL; (pod = sa_informer_next(w->caches.warm_pods, pod));)
        if (is_in(pod, phase) &&
            !((const struct sa_warm_pod_spec *)sa_object_spec(pod))->claim.given)
            return pod;
    return NULL;
}

static void create_sandbox(struct world *w, const char *name, const char *pod, const char *pool)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w j = sa_json_w_start(&json);
    sa_json_w_begin_object(&j);
    sa_json_put_string(&j, "apiVersion", SA_GROUP_VERSION);
    sa_json_put_string(&j, "kind", "Sandbox");
    sa_json_put_object(&j, "metadata");
    sa_json_put_string(&j, "name", name);
    sa_json_put_object(&j, "annotations");
    if (pod)
        sa_json_put_string(&j, SA_SANDBOX_WARM_POD, pod);
    sa_json_put_string(&j, SA_SANDBOX_POOL, pool);
    sa_json_w_end_object(&j);
    sa_json_put_array(&j, "finalizers");
    sa_json_w_string(&j, "example.com/test");
    sa_json_w_end_array(&j);
    sa_json_w_end_object(&j);
    sa_json_put_object(&j, "spec");
    sa_json_put_string(&j, "runtime", "python");
    sa_json_w_end_object(&j);
    sa_json_w_end_object(&j);
    world_create(w, &sa_kind_sandbox, json.data);
    assert_int_equal(SA_OK, w->error.code);
}

void world_miss(struct world *w, const char *sandbox, const char *pool)
{
    create_sandbox(w, sandbox, NULL, pool);
}

void world_claim(struct world *w, const char *sandbox, char pod[64], bool with_sandbox)
{
    const struct sa_object *warm = world_any(w, SA_WARM_POD_READY);
    char json[512], at[SA_RFC3339_BYTES];
    pod[0] = '\0';
    if (warm) {
        snprintf(pod, 64, "%s", sa_object_meta(warm)->name);
        sa_rfc3339(sa_wall_ms() - (with_sandbox ? 0 : 60000), at);
        snprintf(json, sizeof json,
                 "{\"spec\":{\"claim\":{\"sandbox\":\"%s\",\"tenant\":\"t\",\"at\":\"%s\"}}}",
                 sandbox, at);
        world_patch(w, &sa_kind_warm_pod, pod, json, false);
        assert_int_equal(SA_OK, w->error.code);
    }
    if (with_sandbox)
        create_sandbox(w, sandbox, pod[0] ? pod : NULL, "p");
}
