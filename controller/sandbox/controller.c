/*
 * Which sandboxes are to be looked at: those that changed, whose pods changed, or whose WarmPods
 * did. What is remembered here is a queue of keys; everything else is in the store, so that the
 * next controller takes up where this one ended.
 */
#include "controller/sandbox/sandbox.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "controller/sandbox/apply.h"
#include "kinds/warm_pod.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 64, RETRY_MAX_MS = 5000, EVENTS_BURST = 50, EVENTS_EVERY_MS = 200 };

struct sa_sandbox_controller {
    struct sa_controllers_options options;
    struct sa_informer_handler sandboxes, pods, warm_pods;
    struct sa_workqueue *queue;
    struct sa_sandbox_jobs jobs;
};

/* ---- what happened ---- */

static void add(struct sa_sandbox_controller *controller, const struct sa_object *near,
                const char *name)
{
    sa_autofree char *key = sa_printf("%s/%s", sa_object_meta(near)->namespace_, name);
    sa_workqueue_add(controller->queue, key);
}

static void on_sandbox(struct sa_informer_handler *handler, const struct sa_object *before,
                       const struct sa_object *now)
{
    struct sa_sandbox_controller *controller =
        sa_container_of(handler, struct sa_sandbox_controller, sandboxes);
    (void)before;
    if (now)
        sa_workqueue_add(controller->queue, sa_object_key(now));
}

static void add_claimer(struct sa_sandbox_controller *controller, const struct sa_object *warm_pod)
{
    if (!warm_pod)
        return;
    const struct sa_warm_pod_spec *spec = sa_object_spec(warm_pod);
    if (spec->claim.given)
        add(controller, warm_pod, spec->claim.sandbox);
}

static void on_warm_pod(struct sa_informer_handler *handler, const struct sa_object *before,
                        const struct sa_object *now)
{
    struct sa_sandbox_controller *controller =
        sa_container_of(handler, struct sa_sandbox_controller, warm_pods);
    add_claimer(controller, now);
    if (!now || (before && !((const struct sa_warm_pod_spec *)sa_object_spec(now))->claim.given))
        add_claimer(controller, before);
}

static void on_pod(struct sa_informer_handler *handler, const struct sa_object *before,
                   const struct sa_object *now)
{
    struct sa_sandbox_controller *controller =
        sa_container_of(handler, struct sa_sandbox_controller, pods);
    const struct sa_object *pod = now ? now : before;
    const struct sa_owner_reference *owner = sa_object_controller(pod);
    if (owner && strcmp(owner->kind, "Sandbox") == 0)
        add(controller, pod, owner->name);
    else if (owner && strcmp(owner->kind, "WarmPod") == 0) /* of the same name */
        add_claimer(controller,
                    sa_informer_get(controller->options.caches->warm_pods, sa_object_key(pod)));
}

/* ---- what is done ---- */

static void work(void *owner, const char *key)
{
    struct sa_sandbox_controller *controller = owner;
    sa_sandbox_reconcile(&controller->jobs, key);
}

static void on_done(void *owner, const char *key, enum sa_reconciled result, int64_t again_ms)
{
    struct sa_sandbox_controller *controller = owner;
    if (result == SA_RECONCILED && again_ms)
        sa_workqueue_add_after(controller->queue, key, again_ms);
    sa_workqueue_done(controller->queue, key, result == SA_RECONCILED ? SA_WORK_OK : SA_WORK_RETRY);
}

/* ---- beginning and end ---- */

struct sa_sandbox_controller *
sa_sandbox_controller_start(const struct sa_controllers_options *options)
{
    struct sa_sandbox_controller *controller = sa_alloc(sizeof *controller);
    controller->options = *options;
    controller->jobs = (struct sa_sandbox_jobs){
        .options = &controller->options,
        .recorder = sa_recorder_new(options->objects, "sandbox-controller", NULL),
        .events = {.every_ms = EVENTS_EVERY_MS, .burst = EVENTS_BURST},
        .done = on_done,
        .owner = controller};
    controller->queue =
        sa_workqueue_new(&(struct sa_workqueue_options){.loop = options->loop,
                                                        .metrics = options->queues,
                                                        .name = "sandbox",
                                                        .workers = WORKERS,
                                                        .retry_max_ms = RETRY_MAX_MS,
                                                        .work = work,
                                                        .owner = controller});
    controller->sandboxes.changed = on_sandbox;
    controller->warm_pods.changed = on_warm_pod;
    controller->pods.changed = on_pod;
    sa_informer_add_handler(options->caches->sandboxes, &controller->sandboxes);
    sa_informer_add_handler(options->caches->warm_pods, &controller->warm_pods);
    sa_informer_add_handler(options->caches->pods, &controller->pods);
    return controller;
}

bool sa_sandbox_controller_idle(const struct sa_sandbox_controller *controller)
{
    return sa_workqueue_idle(controller->queue, 0);
}

void sa_sandbox_controller_stop(struct sa_sandbox_controller *controller)
{
    if (!controller)
        return;
    sa_informer_remove_handler(controller->options.caches->sandboxes, &controller->sandboxes);
    sa_informer_remove_handler(controller->options.caches->warm_pods, &controller->warm_pods);
    sa_informer_remove_handler(controller->options.caches->pods, &controller->pods);
    sa_sandbox_jobs_drop(&controller->jobs);
    sa_workqueue_free(controller->queue);
    sa_recorder_free(controller->jobs.recorder);
    free(controller);
}
