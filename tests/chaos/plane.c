#include "plane.h"

#include "kinds/resources.h"
#include "objects/embedded.h"
#include "objects/recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Noreturn void plane_die(const char *what, const struct sa_error *err)
{
    fprintf(stderr, "plane: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
    exit(1);
}

static void open_store(struct plane *plane, const char *data_dir)
{
    const struct sa_kind *kinds[] = {sa_resource_sandbox.kind,
                                     sa_resource_sandbox_profile.kind,
                                     sa_resource_warm_pool.kind,
                                     sa_resource_warm_pod.kind,
                                     sa_resource_runtime_environment.kind,
                                     sa_resource_pod.kind,
                                     &sa_kind_event,
                                     &sa_kind_lease,
                                     NULL};
    struct sa_error err;
    if (data_dir)
        mkdir(data_dir, 0700);
    plane->store = sa_embedded_open(
        &(struct sa_embedded_options){.loop = plane->loop, .data_dir = data_dir, .kinds = kinds},
        &err);
    if (!plane->store)
        plane_die("object store", &err);
}

static void start_claimer(struct plane *plane, unsigned i, unsigned seed)
{
    struct plane_claimer *c = &plane->claimers[i];
    faulty_init(&c->faulty, plane->store, plane->loop, seed + i);
    c->faulty.kind = !seed;
    sa_caches_start(&c->caches, plane->loop, &c->faulty.base);
    c->metrics = i == 0 ? plane->metrics : sa_metrics_new();
    c->claims = sa_claims_new(plane->loop, plane->store, &c->caches, c->metrics);
}

static void start_controllers(struct plane *plane, int64_t lease_ms)
{
    struct plane_claimer *first = &plane->claimers[0];
    plane->agent = sa_agent_start(&(struct sa_agent_options){.loop = plane->loop,
                                                             .objects = &first->faulty.base,
                                                             .caches = &first->caches,
                                                             .node = plane->node,
                                                             .security = plane->security,
                                                             .metrics = plane->metrics,
                                                             .name = SA_AGENT_NODE});
    plane->controllers =
        sa_controllers_start(&(struct sa_controllers_options){.loop = plane->loop,
                                                              .objects = &first->faulty.base,
                                                              .caches = &first->caches,
                                                              .agent = plane->agent,
                                                              .policy = plane->policy,
                                                              .security = plane->security,
                                                              .metrics = plane->metrics,
                                                              .identity = "plane",
                                                              .process = plane->instance,
                                                              .lease_ms = lease_ms});
}

static void on_rules(void *owner, const struct sa_error *err)
{
    struct plane *plane = owner;
    if (err)
        plane_die("rules", err);
    plane->started(plane);
}

void plane_start(struct plane *plane, uv_loop_t *loop, const struct plane_options *options,
                 void (*started)(struct plane *plane))
{
    struct sa_error err;
    plane->loop = loop;
    plane->started = started;
    plane->metrics = sa_metrics_new();
    sa_id_new("api-", plane->instance);
    plane->claimer_count = options->claimers;
    open_store(plane, options->data_dir);
    for (unsigned i = 0; i < plane->claimer_count; i++)
        start_claimer(plane, i, options->seed);
    plane->policy = sa_policy_start(
        &(struct sa_policy_options){.loop = loop, .metrics = plane->metrics, .owner = plane},
        on_rules, &err);
    if (!plane->policy)
        plane_die("rules", &err);
    plane->node = sa_node_client_new(loop, options->node_socket, NULL, NULL);
    plane->security = sa_security_new(loop, plane->policy, plane->node);
    start_controllers(plane, options->lease_ms);
    plane_sessions_start(plane);
}

bool plane_ready(const struct plane *plane)
{
    for (unsigned i = 0; i < plane->claimer_count; i++)
        if (!sa_caches_synced(&plane->claimers[i].caches))
            return false;
    return sa_controllers_lead(plane->controllers) && sa_agent_ready(plane->agent);
}

static void on_over(void *user)
{
    *(bool *)user = true;
}

static void wait_over(struct plane *plane, const bool *over)
{
    while (!*over)
        uv_run(plane->loop, UV_RUN_ONCE);
}

void plane_stop(struct plane *plane)
{
    bool resigned = false, closed = false;
    plane_sessions_stop(plane);
    sa_controllers_stop(plane->controllers, on_over, &resigned);
    wait_over(plane, &resigned);
    sa_agent_stop(plane->agent);
    for (unsigned i = 0; i < plane->claimer_count; i++) {
        struct plane_claimer *c = &plane->claimers[i];
        sa_claims_free(c->claims);
        sa_caches_stop(&c->caches);
        if (i > 0)
            sa_metrics_free(c->metrics);
    }
    sa_security_free(plane->security);
    sa_node_client_free(plane->node);
    sa_policy_stop(plane->policy);
    sa_embedded_close(plane->store, on_over, &closed);
    wait_over(plane, &closed);
    sa_metrics_free(plane->metrics);
}
