#include "api/objects.h"

#include "kinds/resources.h"
#include "objects/embedded.h"
#include "objects/lease.h"
#include "objects/recorder.h"

int sa_app_objects_open(struct sa_app *app, const char *data_dir, struct sa_error *err)
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

void sa_app_objects_close(struct sa_app *app, void (*closed)(void *user), void *user)
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
