#include "api/plane.h"

#include "kinds/resources.h"
#include "objects/embedded.h"
#include "objects/lease.h"
#include "objects/recorder.h"

int sa_plane_open(struct sa_app *app, const char *data_dir, struct sa_error *err)
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
    app->objects = sa_embedded_open(
        &(struct sa_embedded_options){.loop = app->loop, .data_dir = data_dir, .kinds = kinds},
        err);
    if (!app->objects)
        return -1;
    sa_caches_start(&app->caches, app->loop, app->objects);
    return 0;
}

void sa_plane_close(struct sa_app *app, void (*closed)(void *user), void *user)
{
    struct sa_objects *objects = app->objects;
    app->objects = NULL;
    if (!objects) {
        closed(user);
        return;
    }
    sa_caches_stop(&app->caches);
    sa_embedded_close(objects, closed, user);
}

void sa_plane_start(struct sa_app *app, const struct sa_app_options *options)
{
    app->node = sa_node_client_new(app->loop, options->node_socket, NULL, NULL);
    app->security = sa_security_new(app->loop, app->policy, app->node);
    app->claims = sa_claims_new(app->loop, app->objects, &app->caches, app->metrics);
    app->agent = sa_agent_start(&(struct sa_agent_options){.loop = app->loop,
                                                           .objects = app->objects,
                                                           .caches = &app->caches,
                                                           .node = app->node,
                                                           .security = app->security,
                                                           .metrics = app->metrics,
                                                           .name = SA_AGENT_NODE});
}

void sa_plane_stop(struct sa_app *app)
{
    sa_claims_free(app->claims);
    sa_agent_stop(app->agent);
    sa_security_free(app->security);
    sa_node_client_free(app->node);
    app->claims = NULL;
    app->agent = NULL;
    app->security = NULL;
    app->node = NULL;
}
