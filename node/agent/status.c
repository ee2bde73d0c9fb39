/*
 * What is written of a pod: status, the annotation of controls, and in the end its finalizer. What
 * is to be said follows from the state; a write that fails is repeated, and a state that changes
 * meanwhile is written after it. Writers take their turn when the loop has nothing else to do, so
 * that users are served first.
 */
#include "agent/private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "claim/pod_manifest.h"
#include "kinds/names.h"
#include "kinds/pod.h"

#include <string.h>

enum { PODS_A_TURN = 16, REPAIR_MS = 50 };

static enum sa_agent_word word_for(const struct sa_agent_pod *pod)
{
    switch (pod->state) {
    case SA_AGENT_READY:
        return SA_AGENT_SAYS_READY;
    case SA_AGENT_NEW:
    case SA_AGENT_CONNECTING:
    case SA_AGENT_ATTACHING: /* not while the node may still say that it has ended */
        return pod->ran && pod->severed ? SA_AGENT_SAYS_UNREADY : pod->said;
    case SA_AGENT_FAILED:
        return SA_AGENT_SAYS_FAILED;
    default:
        return pod->said;
    }
}

/* ---- what is said ---- */

static void put_condition(const struct sa_agent_pod *pod, enum sa_agent_word word,
                          const struct sa_object_meta *meta, struct sa_arena *arena,
                          struct sa_pod_status *status)
{
    struct sa_condition c = {.type = "Ready",
                             .status = word == SA_AGENT_SAYS_READY ? SA_TRUE : SA_FALSE,
                             .reason = "RuntimeReady",
                             .message = "",
                             .observed_generation = meta->generation};
    if (word == SA_AGENT_SAYS_UNREADY) {
        c.reason = "LinkLost";
        c.message = "the link to its runtime is being made anew";
    } else if (word == SA_AGENT_SAYS_FAILED) {
        c.reason = pod->failure->reason;
        c.message = pod->failure->error.message;
    }
    sa_conditions_set(&status->conditions, &c, sa_wall_ms(), arena);
}

static void put_container(const struct sa_agent_pod *pod, enum sa_agent_word word,
                          const struct sa_pod_container_status *before,
                          struct sa_pod_container_status *now)
{
    const int64_t started_ms =
        before && before->state.running.given ? before->state.running.started_ms : pod->ready_ms;
    *now = (struct sa_pod_container_status){.name = "sandbox",
                                            .image = "",
                                            .image_id = "",
                                            .container_id = pod->name,
                                            .ready = word == SA_AGENT_SAYS_READY,
                                            .started = pod->ran};
    if (word != SA_AGENT_SAYS_FAILED) {
        now->state.running = (struct sa_pod_running){true, started_ms};
    } else if (pod->ran) {
        now->state.terminated = (struct sa_pod_terminated){.given = true,
                                                           .exit_code = 137,
                                                           .reason = "Error",
                                                           .message = "",
                                                           .started_ms = started_ms,
                                                           .finished_ms = sa_wall_ms()};
    } else {
        now->state.waiting = (struct sa_pod_waiting){true, pod->failure->reason, ""};
    }
}

static void print_status(const struct sa_agent_pod *pod, enum sa_agent_word word,
                         const struct sa_object *object, struct sa_buf *out)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    struct sa_pod_status status = *(const struct sa_pod_status *)sa_object_status(object);
    struct sa_pod_container_status container;
    struct sa_arena *arena = sa_arena_new_sized(256);
    struct sa_json_w w = sa_json_w_start(out);
    status.phase = word == SA_AGENT_SAYS_FAILED ? SA_POD_FAILED : SA_POD_RUNNING;
    if (word == SA_AGENT_SAYS_FAILED) {
        status.reason = pod->failure->reason;
        status.message = pod->failure->error.message;
    }
    if (!status.start_ms)
        status.start_ms = sa_wall_ms() - (sa_monotonic_us() - pod->seen_us) / 1000;
    put_condition(pod, word, meta, arena, &status);
    put_container(pod, word, status.containers.count ? status.containers.items : NULL, &container);
    status.containers.items = &container;
    status.containers.count = 1;
    status.observed_generation = meta->generation;
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "status");
    sa_kind_pod.print_status(&status, &w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    sa_arena_free(arena);
}

/* ---- writing ---- */

static void add_dirty(struct sa_agent_pod *pod)
{
    if (!pod->dirty)
        DL_APPEND2(pod->agent->dirty, pod, prev_dirty, next_dirty);
    pod->dirty = true;
}

static bool has_new_controls(const struct sa_agent_pod *pod, const struct sa_object *object)
{
    if (pod->state != SA_AGENT_READY || !pod->fact || pod->annotation || pod->annotated || !object)
        return false;
    const char *there = sa_map_get(&sa_object_meta(object)->annotations, SA_POD_CONTROLS);
    return !there || strcmp(there, pod->fact->controls) != 0;
}

void sa_agent_write_soon(struct sa_agent_pod *pod)
{
    const bool news = word_for(pod) != pod->said && !pod->status;
    if (!news && pod->state != SA_AGENT_GONE && !has_new_controls(pod, sa_agent_cached(pod)))
        return;
    add_dirty(pod);
    uv_idle_start(&pod->agent->writer, sa_agent_on_writer);
}

/* Somebody else was faster, or the store cannot be had: again, in a moment. */
static void repair(struct sa_agent_pod *pod)
{
    struct sa_agent *agent = pod->agent;
    add_dirty(pod);
    if (!uv_is_active((uv_handle_t *)&agent->repair))
        uv_timer_start(&agent->repair, sa_agent_on_repair, REPAIR_MS, 0);
}

static bool is_final(const struct sa_error *err)
{
    return !err || err->code == SA_ENOTFOUND;
}

static void on_status(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_agent_pod *pod = user;
    (void)object;
    pod->status = NULL;
    if (!is_final(err)) {
        repair(pod);
        return;
    }
    pod->said = pod->saying;
    sa_agent_write_soon(pod);
}

static void on_annotation(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_agent_pod *pod = user;
    (void)object;
    pod->annotation = NULL;
    pod->annotated = is_final(err);
    if (!pod->annotated)
        repair(pod);
}

static void on_finalizer(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_agent_pod *pod = user;
    (void)object;
    pod->finalizer = NULL;
    if (!is_final(err))
        repair(pod);
}

static struct sa_objects_call *patch(struct sa_agent_pod *pod, const struct sa_object *object,
                                     enum sa_subresource part, const char *version,
                                     const struct sa_buf *json, sa_objects_cb done)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    const struct sa_objects_patch what = {.namespace_ = meta->namespace_,
                                          .name = meta->name,
                                          .subresource = part,
                                          .resource_version = version,
                                          .json = json->data,
                                          .length = json->length};
    return sa_objects_patch(pod->agent->options.objects, &sa_kind_pod, &what, done, pod);
}

static void write_annotation(struct sa_agent_pod *pod, const struct sa_object *object)
{
    sa_autobuf json = SA_BUF_INIT;
    if (!has_new_controls(pod, object))
        return;
    sa_failpoint("agent.controls");
    struct sa_json_w w = sa_json_w_start(&json);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    sa_json_put_object(&w, "annotations");
    sa_json_put_string(&w, SA_POD_CONTROLS, pod->fact->controls);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    pod->annotation = patch(pod, object, SA_SUBRESOURCE_NONE, NULL, &json, on_annotation);
}

static void write_status(struct sa_agent_pod *pod, const struct sa_object *object)
{
    sa_autobuf json = SA_BUF_INIT;
    const enum sa_agent_word word = word_for(pod);
    if (word == pod->said || pod->status)
        return;
    sa_failpoint("agent.status");
    print_status(pod, word, object, &json);
    pod->saying = word;
    pod->heard = false;
    pod->status = patch(pod, object, SA_SUBRESOURCE_STATUS, NULL, &json, on_status);
}

/* The others stay: compared and swapped, as somebody else may take his at this moment. */
static struct sa_objects_call *release(struct sa_agent_pod *pod, const struct sa_object *object,
                                       struct sa_agent *agent, sa_objects_cb done)
{
    sa_autobuf json = SA_BUF_INIT;
    const struct sa_object_meta *meta = sa_object_meta(object);
    struct sa_json_w w = sa_json_w_start(&json);
    if (!meta->deleted_ms || !sa_object_has_finalizer(object, SA_FINALIZER_NODE))
        return NULL;
    sa_failpoint("agent.release");
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    sa_json_put_array(&w, "finalizers");
    for (size_t i = 0; i < meta->finalizers.count; i++)
        if (strcmp(meta->finalizers.items[i], SA_FINALIZER_NODE) != 0)
            sa_json_w_string(&w, meta->finalizers.items[i]);
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    const struct sa_objects_patch what = {.namespace_ = meta->namespace_,
                                          .name = meta->name,
                                          .resource_version = meta->resource_version,
                                          .json = json.data,
                                          .length = json.length};
    return sa_objects_patch(agent->options.objects, &sa_kind_pod, &what, done, pod);
}

static void write_one(struct sa_agent_pod *pod)
{
    const struct sa_object *object = sa_agent_cached(pod);
    if (!object)
        return;
    if (pod->state == SA_AGENT_GONE) {
        if (!pod->finalizer)
            pod->finalizer = release(pod, object, pod->agent, on_finalizer);
        return;
    }
    write_annotation(pod, object);
    write_status(pod, object);
}

void sa_agent_on_writer(uv_idle_t *idle)
{
    struct sa_agent *agent = idle->data;
    struct sa_agent_pod *pod;
    for (int i = 0; i < PODS_A_TURN && (pod = agent->dirty); i++) {
        DL_DELETE2(agent->dirty, pod, prev_dirty, next_dirty);
        pod->dirty = false;
        write_one(pod);
    }
    if (!agent->dirty)
        uv_idle_stop(idle);
}

void sa_agent_on_repair(uv_timer_t *timer)
{
    struct sa_agent *agent = timer->data;
    uv_idle_start(&agent->writer, sa_agent_on_writer);
}

/* Somebody has written over it: it is said again. Before the cache has shown it once, what it shows
 * may be older. */
void sa_agent_check_status(struct sa_agent_pod *pod, const struct sa_object *object)
{
    const struct sa_pod_status *status = sa_object_status(object);
    const bool ready = sa_conditions_is(&status->conditions, "Ready", SA_TRUE);
    enum sa_agent_word shown = SA_AGENT_SILENT;
    if (status->phase == SA_POD_FAILED)
        shown = SA_AGENT_SAYS_FAILED;
    else if (status->phase == SA_POD_RUNNING)
        shown = ready ? SA_AGENT_SAYS_READY : SA_AGENT_SAYS_UNREADY;
    if (shown == pod->said) {
        pod->heard = true;
    } else if (pod->heard && !pod->status) {
        pod->said = shown;
        sa_agent_write_soon(pod);
    }
}

void sa_agent_forget_writes(struct sa_agent_pod *pod)
{
    struct sa_agent *agent = pod->agent;
    struct sa_objects_call *const calls[] = {pod->status, pod->annotation, pod->finalizer};
    for (size_t i = 0; i < SA_COUNT(calls); i++)
        if (calls[i])
            sa_objects_forget(agent->options.objects, calls[i]);
    pod->status = pod->annotation = pod->finalizer = NULL;
    if (pod->dirty)
        DL_DELETE2(agent->dirty, pod, prev_dirty, next_dirty);
    pod->dirty = false;
}

static void on_twin(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)user; /* it comes again with the next change of the Pod */
    (void)err;
    (void)object;
}

void sa_agent_refuse_twin(struct sa_agent *agent, const struct sa_object *object)
{
    static const char refusal[] =
        "{\"status\":{\"phase\":\"Failed\",\"reason\":\"CreateFailed\",\"message\":\"a pod of "
        "another namespace has this name at the node\"}}";
    const struct sa_object_meta *meta = sa_object_meta(object);
    const struct sa_pod_status *status = sa_object_status(object);
    if (meta->deleted_ms) {
        release(NULL, object, agent, on_twin);
    } else if (status->phase != SA_POD_FAILED) {
        const struct sa_objects_patch what = {.namespace_ = meta->namespace_,
                                              .name = meta->name,
                                              .subresource = SA_SUBRESOURCE_STATUS,
                                              .json = refusal,
                                              .length = sizeof refusal - 1};
        sa_objects_patch(agent->options.objects, &sa_kind_pod, &what, on_twin, NULL);
    }
}
