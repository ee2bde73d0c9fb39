#include "controller/sandbox/apply.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "claim/pod_manifest.h"
#include "controller/sandbox/observe.h"
#include "controller/sandbox/status.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/resources.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { STEPS_MAX = 24 }; /* of one reconcile; then others have their turn */

struct sa_sandbox_job {
    struct sa_sandbox_job *prev, *next;
    struct sa_sandbox_jobs *jobs;
    struct sa_arena *arena;
    struct sa_sandbox_world world;
    struct sa_sandbox_plan plan; /* the step under way */
    struct sa_objects_call *call;
    struct sa_security_call *asking;
    unsigned steps;
    char key[];
};

static void go_on(struct sa_sandbox_job *job);

/* ---- a job's end ---- */

static void free_job(struct sa_sandbox_job *job)
{
    DL_DELETE(job->jobs->first, job);
    sa_sandbox_world_deinit(&job->world);
    sa_arena_free(job->arena);
    free(job);
}

static void finish(struct sa_sandbox_job *job, enum sa_reconciled result, int64_t again_ms)
{
    struct sa_sandbox_jobs *jobs = job->jobs;
    jobs->done(jobs->owner, job->key, result, again_ms);
    free_job(job);
}

static void try_later(struct sa_sandbox_job *job, const struct sa_error *why)
{
    if (why)
        sa_log_debug("a sandbox could not be reconciled", SA_LOG_S("sandbox", job->key),
                     SA_LOG_ERR(why));
    finish(job, SA_RECONCILE_AGAIN, 0);
}

/* ---- events, for people ---- */

static void record(struct sa_sandbox_job *job, enum sa_event_type type, const char *reason,
                   const char *message)
{
    uint64_t skipped;
    if (sa_log_allow(&job->jobs->events, sa_monotonic_ms(), &skipped))
        sa_record(job->jobs->recorder, job->world.sandbox.object, type, reason, "%s", message);
}

static void record_status(struct sa_sandbox_job *job, enum sa_phase before)
{
    const struct sa_sandbox_status *status = &job->plan.status;
    if (status->phase == before)
        return;
    if (status->phase == SA_PHASE_FAILED)
        record(job, SA_EVENT_WARNING, status->reason, status->message);
    else if (status->phase == SA_PHASE_RUNNING && before != SA_PHASE_PAUSED)
        record(job, SA_EVENT_NORMAL, "Started",
               status->start == SA_START_WARM ? "from a warm pool" : "in a pod made for it");
    else if (status->phase == SA_PHASE_TERMINATING && strcmp(status->reason, "Deleted") != 0)
        record(job, SA_EVENT_WARNING, status->reason, status->message);
}

/* ---- reading anew ---- */

static struct sa_seen *seen_of(struct sa_sandbox_job *job)
{
    struct sa_sandbox_world *w = &job->world;
    switch (job->plan.step) {
    case SA_STEP_READ_POD:
    case SA_STEP_CREATE_POD:
    case SA_STEP_DELETE_POD:
        return &w->pod;
    case SA_STEP_READ_WARM_POD:
        return &w->warm_pod;
    case SA_STEP_READ_RUNTIME:
        return &w->runtime;
    case SA_STEP_READ_PROFILE:
        return &w->profile;
    default:
        return &w->sandbox;
    }
}

static void on_read(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_sandbox_job *job = user;
    struct sa_seen *seen = seen_of(job);
    job->call = NULL;
    if (err && err->code != SA_ENOTFOUND) {
        try_later(job, err);
        return;
    }
    if (seen == &job->world.sandbox &&
        (!object || strcmp(sa_object_meta(object)->uid, sa_object_meta(seen->object)->uid) != 0)) {
        finish(job, SA_RECONCILED, 0); /* the cache will say so, too */
        return;
    }
    sa_seen_set(seen, object);
    go_on(job);
}

static void read_anew(struct sa_sandbox_job *job, const struct sa_resource *resource,
                      const char *name)
{
    const char *namespace_ =
        resource->kind->namespaced ? sa_object_meta(job->world.sandbox.object)->namespace_ : NULL;
    job->call =
        sa_objects_get(job->jobs->options->objects, resource->kind, namespace_, name, on_read, job);
}

/* ---- the security context ---- */

static void take_answer(struct sa_sandbox_job *job, const struct sa_security_answer *answer)
{
    struct sa_sandbox_world *w = &job->world;
    const struct sa_json_strings *from = &answer->required;
    struct sa_json_strings *to = &w->security.required;
    w->security.state = SA_SECURITY_KNOWN;
    w->security.digest = sa_arena_strdup(job->arena, answer->profile);
    w->security.generation = (int64_t)answer->generation;
    to->items = sa_arena_alloc(job->arena, (from->count + 1) * sizeof *to->items);
    for (to->count = 0; to->count < from->count; to->count++)
        to->items[to->count] = sa_arena_strdup(job->arena, from->items[to->count]);
}

static void on_security(void *user, const struct sa_denial *denial,
                        const struct sa_security_answer *answer)
{
    struct sa_sandbox_job *job = user;
    job->asking = NULL;
    if (denial) {
        job->world.security.state =
            denial->error.code == SA_EUNAVAILABLE ? SA_SECURITY_UNAVAILABLE : SA_SECURITY_DENIED;
        job->world.security.error = denial->error;
    } else {
        take_answer(job, answer);
    }
    go_on(job);
}

/* True: it is known already. */
static bool ask_security(struct sa_sandbox_job *job)
{
    const struct sa_controllers_options *options = job->jobs->options;
    const struct sa_object *sandbox = job->world.sandbox.object;
    const struct sa_json_map *annotations = &sa_object_meta(sandbox)->annotations;
    const struct sa_sandbox_wanted *spec = sa_object_spec(sandbox);
    const struct sa_posture *posture = &job->plan.posture;
    if (options->profile_digest) {
        job->world.security.state = SA_SECURITY_KNOWN;
        job->world.security.digest = options->profile_digest;
        return true;
    }
    const struct sa_security_ask ask = {
        .level = sa_security_level_name(posture->level),
        .runtime = spec->runtime,
        .profile = spec->profile[0] ? spec->profile : NULL,
        .overrides = posture->security_context[0] ? posture->security_context : NULL,
        .namespace_ = sa_object_meta(sandbox)->namespace_,
        .tenant = sa_map_get(annotations, SA_SANDBOX_TENANT)};
    const struct sa_security_answer *known = sa_security_known(options->security, &ask);
    if (known)
        take_answer(job, known);
    else
        job->asking = sa_security_ask(options->security, &ask, on_security, job);
    return known;
}

/* ---- writing ---- */

/* Places where a process may die between two writes; each has its name. */
static void reach(enum sa_sandbox_step step)
{
    switch (step) {
    case SA_STEP_ADD_FINALIZER:
        sa_failpoint("sandbox.finalizer-added");
        break;
    case SA_STEP_CREATE_POD:
        sa_failpoint("sandbox.pod-created");
        break;
    case SA_STEP_WRITE_STATUS:
        sa_failpoint("sandbox.status-written");
        break;
    case SA_STEP_DELETE_POD:
        sa_failpoint("sandbox.pod-deleted");
        break;
    case SA_STEP_DELETE_SANDBOX:
        sa_failpoint("sandbox.deleted");
        break;
    case SA_STEP_REMOVE_FINALIZER:
        sa_failpoint("sandbox.finalizer-removed");
        break;
    default:
        break;
    }
}

/* The world is not as it was believed to be: look at what was written to. */
static void look_closer(struct sa_sandbox_job *job)
{
    const struct sa_seen *seen = seen_of(job);
    const bool pod = seen == &job->world.pod;
    const char *name = sa_object_meta(job->world.sandbox.object)->name;
    job->plan.step = pod ? SA_STEP_READ_POD : SA_STEP_READ_SANDBOX;
    read_anew(job, pod ? &sa_resource_pod : &sa_resource_sandbox, name);
}

static void on_refused(struct sa_sandbox_job *job, const struct sa_error *err)
{
    switch (err->code) {
    case SA_ECONFLICT:
    case SA_EEXISTS:
    case SA_ENOTFOUND:
        look_closer(job);
        break;
    case SA_EINVALID:
    case SA_ETOOLARGE:
    case SA_EFORBIDDEN:
        if (job->plan.step == SA_STEP_CREATE_POD) {
            job->world.pod_refused = *err;
            go_on(job);
            break;
        }
        /* fall through */
    default:
        try_later(job, err);
    }
}

static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_sandbox_job *job = user;
    const enum sa_sandbox_step step = job->plan.step;
    job->call = NULL;
    if (err) {
        on_refused(job, err);
        return;
    }
    reach(step);
    if (step == SA_STEP_REMOVE_FINALIZER) {
        finish(job, SA_RECONCILED, 0);
        return;
    }
    const struct sa_sandbox_status *before = sa_object_status(job->world.sandbox.object);
    const enum sa_phase phase = before->phase;
    sa_seen_set(seen_of(job), object);
    if (step == SA_STEP_WRITE_STATUS)
        record_status(job, phase);
    go_on(job);
}

/* As it was seen: what others have written of it meanwhile is looked at first. */
static void patch(struct sa_sandbox_job *job, struct sa_objects_patch what)
{
    const struct sa_object_meta *meta = sa_object_meta(job->world.sandbox.object);
    what.namespace_ = meta->namespace_;
    what.name = meta->name;
    what.resource_version = meta->resource_version;
    job->call = sa_objects_patch(job->jobs->options->objects, sa_resource_sandbox.kind, &what,
                                 on_written, job);
}

static void write_status(struct sa_sandbox_job *job)
{
    patch(job, (struct sa_objects_patch){.subresource = SA_SUBRESOURCE_STATUS,
                                         .value = &job->plan.status});
}

static void write_finalizers(struct sa_sandbox_job *job, bool held)
{
    const struct sa_json_strings *now = &sa_object_meta(job->world.sandbox.object)->finalizers;
    struct sa_json_strings next = {
        .items = sa_arena_alloc(job->arena, (now->count + 1) * sizeof *next.items)};
    for (size_t i = 0; i < now->count; i++)
        if (strcmp(now->items[i], SA_FINALIZER_SANDBOX) != 0)
            next.items[next.count++] = now->items[i];
    if (held)
        next.items[next.count++] = SA_FINALIZER_SANDBOX;
    patch(job, (struct sa_objects_patch){.finalizers = &next});
}

static void create_pod(struct sa_sandbox_job *job)
{
    const struct sa_object *sandbox = job->world.sandbox.object;
    const struct sa_sandbox_wanted *spec = sa_object_spec(sandbox);
    const struct sa_lifecycle *l = &spec->lifecycle;
    sa_autobuf json = SA_BUF_INIT;
    sa_pod_of(
        &(struct sa_pod_wanted){
            .owner = sandbox,
            .node = SA_AGENT_NODE,
            .runtime = spec->runtime,
            .language = job->plan.language,
            .image = "",
            .digest = job->plan.digest,
            .hostname = sa_map_get(&sa_object_meta(sandbox)->annotations, SA_SANDBOX_TITLE),
            .posture = &job->plan.posture,
            .resources = &spec->resources,
            .env = &spec->env,
            .pausable =
                l->on_timeout == SA_END_PAUSE || (l->idle_timeout_s && l->on_idle == SA_END_PAUSE)},
        &json);
    job->call = sa_objects_create(job->jobs->options->objects, sa_resource_pod.kind, json.data,
                                  json.length, false, on_written, job);
}

/* What was decided about is what goes: no other of that name, and a sandbox only as it was seen. */
static void delete_object(struct sa_sandbox_job *job, const struct sa_resource *resource,
                          const struct sa_object *object, bool as_seen)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    job->call = sa_objects_delete(
        job->jobs->options->objects, resource->kind,
        &(struct sa_objects_delete){.namespace_ = meta->namespace_,
                                    .name = meta->name,
                                    .uid = meta->uid,
                                    .resource_version = as_seen ? meta->resource_version : NULL},
        on_written, job);
}

static void do_write(struct sa_sandbox_job *job)
{
    switch (job->plan.step) {
    case SA_STEP_ADD_FINALIZER:
        write_finalizers(job, true);
        break;
    case SA_STEP_REMOVE_FINALIZER:
        write_finalizers(job, false);
        break;
    case SA_STEP_CREATE_POD:
        create_pod(job);
        break;
    case SA_STEP_WRITE_STATUS:
        write_status(job);
        break;
    case SA_STEP_DELETE_POD:
        delete_object(job, &sa_resource_pod, job->world.pod.object, false);
        break;
    default: /* DELETE_SANDBOX */
        delete_object(job, &sa_resource_sandbox, job->world.sandbox.object, true);
    }
}

/* ---- step by step ---- */

/* True: it is done already, and the next one can be planned. */
static bool do_step(struct sa_sandbox_job *job)
{
    const struct sa_object *sandbox = job->world.sandbox.object;
    const struct sa_sandbox_wanted *spec = sa_object_spec(sandbox);
    const char *claimed = sa_sandbox_claimed(sandbox), *name = sa_object_meta(sandbox)->name;
    switch (job->plan.step) {
    case SA_STEP_READ_SANDBOX:
        read_anew(job, &sa_resource_sandbox, name);
        break;
    case SA_STEP_READ_POD:
        read_anew(job, &sa_resource_pod, claimed ? claimed : name);
        break;
    case SA_STEP_READ_WARM_POD:
        read_anew(job, &sa_resource_warm_pod, claimed);
        break;
    case SA_STEP_READ_RUNTIME:
        read_anew(job, &sa_resource_runtime_environment, spec->runtime);
        break;
    case SA_STEP_READ_PROFILE:
        read_anew(job, &sa_resource_sandbox_profile, spec->profile);
        break;
    case SA_STEP_ASK_SECURITY:
        return ask_security(job);
    default:
        do_write(job);
    }
    return false;
}

static void go_on(struct sa_sandbox_job *job)
{
    do {
        job->world.now_ms = sa_wall_ms();
        sa_sandbox_plan(&job->world, job->arena, &job->plan);
        if (job->plan.step == SA_STEP_NOTHING) {
            finish(job, SA_RECONCILED, job->plan.again_ms);
            return;
        }
        if (++job->steps > STEPS_MAX || !sa_controllers_may_act(job->jobs->options)) {
            try_later(job, NULL);
            return;
        }
    } while (do_step(job));
}

void sa_sandbox_reconcile(struct sa_sandbox_jobs *jobs, const char *key)
{
    const size_t length = strlen(key);
    struct sa_sandbox_job *job = sa_alloc(sizeof *job + length + 1);
    memcpy(job->key, key, length);
    job->jobs = jobs;
    job->arena = sa_arena_new();
    job->world.process = jobs->options->process;
    job->world.started_ms = jobs->options->started_ms;
    DL_APPEND(jobs->first, job); /* NOLINT: utlist */
    sa_sandbox_observe(jobs->options->caches, jobs->options->agent, key, job->arena, &job->world);
    go_on(job);
}

void sa_sandbox_jobs_drop(struct sa_sandbox_jobs *jobs)
{
    while (jobs->first) {
        struct sa_sandbox_job *job = jobs->first;
        // free_job() takes it from the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        if (job->call)
            sa_objects_forget(jobs->options->objects, job->call);
        sa_security_forget(job->asking);
        free_job(job);
    }
}
