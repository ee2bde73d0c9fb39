/*
 * Who leads, and what runs while we do. The steps are: elected, waiting for the caches, acting;
 * losing the lease leads back to the beginning from any of them.
 */
#include "controller/controllers.h"

#include "base/arena.h"
#include "base/clock.h"
#include "controller/pool/pool.h"
#include "controller/runtime_env/runtime_env.h"
#include "controller/sandbox/sandbox.h"
#include "log/log.h"

#include <stdlib.h>

enum { SYNC_MS = 10 }; /* how often to look whether the caches are in, until they are */

struct sa_controllers {
    struct sa_controllers_options options;
    struct sa_election *election;
    struct sa_workqueue_metrics queues;
    uv_timer_t sync;
    bool acting;
    unsigned pending; /* of what ends before `done`: the election and the timer */
    struct sa_sandbox_controller *sandboxes;
    struct sa_pool_controller *pools;
    struct sa_runtime_controller *runtimes;
    void (*stopped)(void *user);
    void *stopped_user;
};

bool sa_controllers_may_act(const struct sa_controllers_options *options)
{
    return !options->election || sa_election_leads(options->election);
}

/* ---- acting ---- */

static void act(struct sa_controllers *controllers)
{
    controllers->acting = true;
    controllers->sandboxes = sa_sandbox_controller_start(&controllers->options);
    controllers->pools = sa_pool_controller_start(&controllers->options);
    controllers->runtimes = sa_runtime_controller_start(&controllers->options);
}

static void cease(struct sa_controllers *controllers)
{
    uv_timer_stop(&controllers->sync);
    if (!controllers->acting)
        return;
    controllers->acting = false;
    sa_sandbox_controller_stop(controllers->sandboxes);
    sa_pool_controller_stop(controllers->pools);
    sa_runtime_controller_stop(controllers->runtimes);
    controllers->sandboxes = NULL;
    controllers->pools = NULL;
    controllers->runtimes = NULL;
}

static void on_sync(uv_timer_t *timer)
{
    struct sa_controllers *controllers = timer->data;
    if (!sa_caches_synced(controllers->options.caches))
        return;
    uv_timer_stop(timer);
    act(controllers);
}

static void on_leading(void *owner)
{
    struct sa_controllers *controllers = owner;
    sa_log_info("controllers lead", SA_LOG_S("identity", controllers->options.identity));
    uv_timer_start(&controllers->sync, on_sync, 0, SYNC_MS);
}

static void on_lost(void *owner)
{
    struct sa_controllers *controllers = owner;
    sa_log_warn("controllers lead no more", SA_LOG_S("identity", controllers->options.identity));
    cease(controllers);
}

/* ---- beginning and end ---- */

struct sa_controllers *sa_controllers_start(const struct sa_controllers_options *options)
{
    struct sa_controllers *controllers = sa_alloc(sizeof *controllers);
    struct sa_controllers_options *o = &controllers->options;
    *o = *options;
    o->identity = sa_strdup(options->identity);
    o->namespace_ = sa_strdup(options->namespace_ ? options->namespace_ : SA_NAMESPACE_DEFAULT);
    o->profile_digest = options->profile_digest ? sa_strdup(options->profile_digest) : NULL;
    o->process = options->process ? sa_strdup(options->process) : NULL;
    o->started_ms = sa_wall_ms();
    if (o->metrics) {
        sa_workqueue_metrics_init(&controllers->queues, o->metrics);
        o->queues = &controllers->queues;
    }
    uv_timer_init(o->loop, &controllers->sync);
    controllers->sync.data = controllers;
    controllers->pending = 2;
    controllers->election =
        sa_election_start(&(struct sa_election_options){.loop = o->loop,
                                                        .objects = o->objects,
                                                        .namespace_ = o->namespace_,
                                                        .name = "sandbox-controller",
                                                        .identity = o->identity,
                                                        .duration_ms = o->lease_ms,
                                                        .renew_ms = o->lease_ms * 2 / 3,
                                                        .retry_ms = o->lease_ms * 2 / 15,
                                                        .leading = on_leading,
                                                        .lost = on_lost,
                                                        .owner = controllers});
    o->election = controllers->election;
    return controllers;
}

bool sa_controllers_lead(const struct sa_controllers *controllers)
{
    return controllers->election && sa_election_leads(controllers->election);
}

static void one_ended(struct sa_controllers *controllers)
{
    if (--controllers->pending)
        return;
    void (*stopped)(void *) = controllers->stopped;
    void *user = controllers->stopped_user;
    free((char *)(uintptr_t)controllers->options.identity);
    free((char *)(uintptr_t)controllers->options.namespace_);
    free((char *)(uintptr_t)controllers->options.profile_digest);
    free((char *)(uintptr_t)controllers->options.process);
    free(controllers);
    if (stopped)
        stopped(user);
}

static void on_timer_closed(uv_handle_t *handle)
{
    one_ended(handle->data);
}

static void on_resigned(void *user)
{
    one_ended(user);
}

void sa_controllers_stop(struct sa_controllers *controllers, void (*done)(void *user), void *user)
{
    cease(controllers);
    controllers->stopped = done;
    controllers->stopped_user = user;
    uv_close((uv_handle_t *)&controllers->sync, on_timer_closed);
    sa_election_stop(controllers->election, on_resigned, controllers);
    controllers->election = NULL;
}
