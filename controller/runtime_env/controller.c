/*
 * Runtime environments are few and change rarely: each is looked at when it changes, and once a
 * minute, because programs come and go on a node without an event.
 */
#include "controller/runtime_env/runtime_env.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "controller/runtime_env/observe.h"
#include "controller/runtime_env/plan.h"
#include "kinds/resources.h"
#include "objects/recorder.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { WORKERS = 4, RETRY_MAX_MS = 30 * 1000, AGAIN_MS = 60 * 1000 };

struct job { /* a write under way */
    struct job *prev, *next;
    struct sa_runtime_controller *controller;
    struct sa_objects_call *call;
    char key[];
};
struct sa_runtime_controller {
    struct sa_controllers_options options;
    struct sa_informer_handler handler;
    struct sa_workqueue *queue;
    struct sa_recorder *recorder;
    struct job *jobs;
};

static void free_job(struct job *job)
{
    DL_DELETE(job->controller->jobs, job);
    free(job);
}

static void done(struct sa_runtime_controller *controller, const char *key, enum sa_work result)
{
    if (result == SA_WORK_OK)
        sa_workqueue_add_after(controller->queue, key, AGAIN_MS);
    sa_workqueue_done(controller->queue, key, result);
}

static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct job *job = user;
    (void)object;
    if (!err)
        sa_failpoint("runtime.written");
    done(job->controller, job->key, err && err->code != SA_EEXISTS ? SA_WORK_RETRY : SA_WORK_OK);
    free_job(job);
}

static struct job *job_new(struct sa_runtime_controller *controller, const char *key)
{
    const size_t length = strlen(key);
    struct job *job = sa_alloc(sizeof *job + length + 1);
    memcpy(job->key, key, length);
    job->controller = controller;
    DL_APPEND(controller->jobs, job); /* NOLINT: utlist */
    return job;
}

static void create(struct sa_runtime_controller *controller, const char *key,
                   enum sa_language language)
{
    struct job *job = job_new(controller, key);
    sa_autobuf json = SA_BUF_INIT;
    sa_builtin_manifest(language, &json);
    job->call = sa_objects_create(controller->options.objects, &sa_kind_runtime_environment,
                                  json.data, json.length, false, on_written, job);
}

static void write_status(struct sa_runtime_controller *controller, const char *key,
                         const struct sa_object *runtime, const struct sa_runtime_status *status)
{
    struct job *job = job_new(controller, key);
    sa_autobuf json = SA_BUF_INIT;
    sa_runtime_status_patch(status, &json);
    job->call = sa_objects_patch(
        controller->options.objects, &sa_kind_runtime_environment,
        &(struct sa_objects_patch){.name = sa_object_meta(runtime)->name,
                                   .subresource = SA_SUBRESOURCE_STATUS,
                                   .resource_version = sa_object_meta(runtime)->resource_version,
                                   .json = json.data,
                                   .length = json.length},
        on_written, job);
}

/* Whoever has it, or waits for it, finds the reason among its events. */
static void tell(struct sa_runtime_controller *controller, const struct sa_object *runtime,
                 const struct sa_runtime_status *now)
{
    const struct sa_runtime_status *before = sa_object_status(runtime);
    const struct sa_condition *was = sa_conditions_get(&before->conditions, SA_RUNTIME_AVAILABLE);
    const struct sa_condition *is = sa_conditions_get(&now->conditions, SA_RUNTIME_AVAILABLE);
    if (was && strcmp(was->reason, is->reason) == 0 && strcmp(was->message, is->message) == 0)
        return;
    if (is->status == SA_TRUE)
        sa_record(controller->recorder, runtime, SA_EVENT_NORMAL, is->reason, "The node has it: %s",
                  is->message);
    else
        sa_record(controller->recorder, runtime, SA_EVENT_WARNING, is->reason, "%s", is->message);
}

static void look_at(struct sa_runtime_controller *controller, const struct sa_object *runtime)
{
    const struct sa_runtime_spec *spec = sa_object_spec(runtime);
    const char *key = sa_object_key(runtime);
    struct sa_arena *arena = sa_arena_new();
    const char *program = sa_runtime_program(spec->language);
    struct sa_runtime_status status;
    sa_runtime_status_now(&(struct sa_runtime_world){.now_ms = sa_wall_ms(),
                                                     .runtime = runtime,
                                                     .node = SA_AGENT_NODE,
                                                     .architecture = sa_runtime_architecture(),
                                                     .program = program,
                                                     .version = sa_runtime_version(program, arena),
                                                     .lacking = sa_runtime_lacking(spec, arena)},
                          arena, &status);
    if (sa_object_meta(runtime)->deleted_ms ||
        sa_runtime_status_equal(&status, sa_object_status(runtime))) {
        done(controller, key, SA_WORK_OK);
    } else {
        tell(controller, runtime, &status);
        write_status(controller, key, runtime, &status);
    }
    sa_arena_free(arena);
}

static void work(void *owner, const char *key)
{
    struct sa_runtime_controller *controller = owner;
    const struct sa_object *runtime = sa_informer_get(controller->options.caches->runtimes, key);
    enum sa_language language;
    if (!sa_controllers_may_act(&controller->options))
        sa_workqueue_done(controller->queue, key, SA_WORK_RETRY);
    else if (runtime)
        look_at(controller, runtime);
    else if (sa_runtime_is_builtin(key, &language))
        create(controller, key, language);
    else
        sa_workqueue_done(controller->queue, key, SA_WORK_OK);
}

static void on_runtime(struct sa_informer_handler *handler, const struct sa_object *before,
                       const struct sa_object *now)
{
    struct sa_runtime_controller *controller =
        sa_container_of(handler, struct sa_runtime_controller, handler);
    sa_workqueue_add(controller->queue, sa_object_key(now ? now : before));
}

struct sa_runtime_controller *
sa_runtime_controller_start(const struct sa_controllers_options *options)
{
    struct sa_runtime_controller *controller = sa_alloc(sizeof *controller);
    controller->options = *options;
    controller->recorder = sa_recorder_new(options->objects, "runtime-controller", NULL);
    controller->queue =
        sa_workqueue_new(&(struct sa_workqueue_options){.loop = options->loop,
                                                        .metrics = options->queues,
                                                        .name = "runtime_env",
                                                        .workers = WORKERS,
                                                        .retry_max_ms = RETRY_MAX_MS,
                                                        .work = work,
                                                        .owner = controller});
    for (size_t i = 0; i < SA_BUILTIN_COUNT; i++)
        sa_workqueue_add(controller->queue, sa_builtin_runtimes[i]);
    controller->handler.changed = on_runtime;
    sa_informer_add_handler(options->caches->runtimes, &controller->handler);
    return controller;
}

void sa_runtime_controller_stop(struct sa_runtime_controller *controller)
{
    if (!controller)
        return;
    sa_informer_remove_handler(controller->options.caches->runtimes, &controller->handler);
    while (controller->jobs) {
        // free_job() takes it from the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        sa_objects_forget(controller->options.objects, controller->jobs->call);
        free_job(controller->jobs);
    }
    sa_recorder_free(controller->recorder);
    sa_workqueue_free(controller->queue);
    free(controller);
}
