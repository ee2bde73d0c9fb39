#include "controller/pool/manifest.h"

#include "base/clock.h"
#include "kinds/names.h"
#include "kinds/pod.h"

#include <string.h>

static void put_metadata(const struct sa_pool *pool, const struct sa_object *object,
                         const char *name, struct sa_json_w *w)
{
    sa_json_put_object(w, "metadata");
    sa_json_put_string(w, "namespace", sa_object_meta(object)->namespace_);
    sa_json_put_string(w, "name", name);
    if (strlen(pool->name) <= 63) { /* as long as a label's value may be */
        sa_json_put_object(w, "labels");
        sa_json_put_string(w, SA_POD_POOL, pool->name);
        sa_json_w_end_object(w);
    }
    sa_json_put_object(w, "annotations");
    sa_json_put_string(w, SA_POOL_TEMPLATE, pool->make.template_);
    sa_json_w_end_object(w);
    sa_json_put_array(w, "finalizers");
    sa_json_w_string(w, SA_FINALIZER_WARM_POD);
    sa_json_w_end_array(w);
    sa_json_w_end_object(w);
}

/* The pool does not own it: when the pool is deleted, those in use stay for their sandboxes. */
void sa_pool_print_pod(const struct sa_pool *pool, const struct sa_object *object, const char *name,
                       struct sa_buf *out)
{
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const struct sa_warm_pod_spec own = {.pool = pool->name,
                                         .pool_uid = pool->uid,
                                         .key = pool->make.key,
                                         .runtime = spec->runtime,
                                         .profile = spec->profile,
                                         .level = spec->level,
                                         .resources = spec->resources};
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "apiVersion", sa_kind_warm_pod.api_version);
    sa_json_put_string(&w, "kind", sa_kind_warm_pod.name);
    put_metadata(pool, object, name, &w);
    sa_json_put_object(&w, "spec");
    sa_kind_warm_pod.print_spec(&own, &w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

/* ---- status ---- */

void sa_pool_complete_pod_status(const struct sa_object *pod, struct sa_arena *arena,
                                 struct sa_warm_pod_status *status)
{
    static const char *const waits = "its pod is being made and prepared";
    const struct sa_warm_pod_status *before = sa_object_status(pod);
    const bool ready = status->phase == SA_WARM_POD_READY;
    const struct sa_condition condition = {
        .type = "Ready",
        .status = ready ? SA_TRUE : SA_FALSE,
        .reason = status->reason[0] ? status->reason : sa_warm_pod_phase_name(status->phase),
        .message = status->message[0]                     ? status->message
                   : status->phase == SA_WARM_POD_PENDING ? waits
                                                          : "",
        .observed_generation = sa_object_meta(pod)->generation};
    status->conditions = before->conditions;
    sa_conditions_set(&status->conditions, &condition, sa_wall_ms(), arena);
    status->observed_generation = sa_object_meta(pod)->generation;
}

/* ---- the Pod ---- */

int sa_pool_print_box(const struct sa_pool *pool, const struct sa_object *object,
                      const struct sa_object *pod, struct sa_buf *out, struct sa_error *err)
{
    const struct sa_warm_pool_spec *spec = sa_object_spec(object);
    const struct sa_runtime_spec *runtime = NULL;
    struct sa_arena *arena = sa_arena_new();
    struct sa_posture posture = {.security_context = "", .runtime_class = ""};
    int rc = sa_pool_posture(pool, spec, arena, &posture, &runtime, err);
    if (rc == 0) {
        posture.required_controls =
            sa_controls_join(&posture.required_controls, pool->make.required, arena);
        sa_pod_of(&(struct sa_pod_wanted){.owner = pod,
                                          .pool = pool->name,
                                          .node = SA_AGENT_NODE,
                                          .runtime = spec->runtime,
                                          .language = runtime->language,
                                          .image = runtime->image,
                                          .digest = pool->make.digest,
                                          .posture = &posture,
                                          .resources = &spec->resources},
                  out);
    }
    sa_arena_free(arena);
    return rc;
}
