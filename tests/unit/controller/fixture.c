#include "fixture.h"

#include "objects/embedded.h"
#include "objects/recorder.h"

static struct sa_objects *open_store(void *user, uv_loop_t *loop,
                                     const struct sa_kind *const *ignored)
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
    (void)user;
    (void)ignored;
    return sa_embedded_open(&(struct sa_embedded_options){.loop = loop, .kinds = kinds}, NULL);
}

static void close_store(void *user, struct sa_objects *objects, void (*closed)(void *),
                        void *closed_user)
{
    (void)user;
    sa_embedded_close(objects, closed, closed_user);
}

int controllers_setup(void **state)
{
    static const struct sa_conformance_target target = {
        .name = "controllers", .open = open_store, .close = close_store};
    *state = (void *)(uintptr_t)&target;
    return world_setup(state);
}

struct sa_controllers_options options_for(struct world *w, const struct sa_caches *caches,
                                          const char *identity)
{
    return (struct sa_controllers_options){.loop = w->loop,
                                           .objects = w->objects,
                                           .caches = caches,
                                           .identity = identity,
                                           .profile_digest = "0123456789abcdef"};
}

void wait_synced(struct world *w, const struct sa_caches *caches)
{
    while (!sa_caches_synced(caches))
        turns(w, 1);
}

static void on_stopped(void *user)
{
    *(bool *)user = true;
}

void stop_controllers(struct world *w, struct sa_controllers *controllers)
{
    bool stopped = false;
    sa_controllers_stop(controllers, on_stopped, &stopped);
    wait_for(w, &stopped, "the controllers to stop");
}
