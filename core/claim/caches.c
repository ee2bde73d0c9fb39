#include "claim/caches.h"

#include "base/arena.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/resources.h"
#include "kinds/warm_pod.h"
#include "kinds/warm_pool.h"

#include <string.h>

static const char *named(const struct sa_object *object, struct sa_arena *arena, const char *name)
{
    return sa_arena_printf(arena, "%s/%s", sa_object_meta(object)->namespace_, name);
}

static size_t by_key(const struct sa_object *object, struct sa_arena *arena, const char *values[8])
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(object);
    const struct sa_warm_pod_status *status = sa_object_status(object);
    (void)arena;
    if (status->phase != SA_WARM_POD_READY || spec->claim.given ||
        sa_object_meta(object)->deleted_ms)
        return 0;
    values[0] = spec->key;
    return 1;
}

static size_t by_pool(const struct sa_object *object, struct sa_arena *arena, const char *values[8])
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(object);
    values[0] = named(object, arena, spec->pool);
    return 1;
}

static size_t by_sandbox(const struct sa_object *object, struct sa_arena *arena,
                         const char *values[8])
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(object);
    if (!spec->claim.given)
        return 0;
    values[0] = named(object, arena, spec->claim.sandbox);
    return 1;
}

static size_t by_node(const struct sa_object *object, struct sa_arena *arena, const char *values[8])
{
    const struct sa_pod_spec *spec = sa_object_spec(object);
    (void)arena;
    values[0] = spec->node;
    return spec->node[0] ? 1 : 0;
}

static size_t by_pool_key(const struct sa_object *object, struct sa_arena *arena,
                          const char *values[8])
{
    const struct sa_warm_pool_status *status = sa_object_status(object);
    if (!status->key[0] || sa_object_meta(object)->deleted_ms)
        return 0;
    values[0] = named(object, arena, status->key);
    return 1;
}

static const struct sa_informer_index of_warm_pods[] = {
    {SA_BY_KEY, by_key}, {SA_BY_POOL, by_pool}, {SA_BY_SANDBOX, by_sandbox}, {NULL, NULL}};
static const struct sa_informer_index of_pods[] = {{SA_BY_NODE, by_node}, {NULL, NULL}};
static const struct sa_informer_index of_warm_pools[] = {{SA_BY_POOL_KEY, by_pool_key},
                                                         {NULL, NULL}};

static struct sa_informer *start(uv_loop_t *loop, struct sa_objects *objects,
                                 const struct sa_kind *kind,
                                 const struct sa_informer_index *indexes)
{
    return sa_informer_start(&(struct sa_informer_options){
        .loop = loop, .objects = objects, .kind = kind, .indexes = indexes});
}

void sa_caches_start(struct sa_caches *caches, uv_loop_t *loop, struct sa_objects *objects)
{
    caches->sandboxes = start(loop, objects, sa_resource_sandbox.kind, NULL);
    caches->warm_pools = start(loop, objects, sa_resource_warm_pool.kind, of_warm_pools);
    caches->warm_pods = start(loop, objects, sa_resource_warm_pod.kind, of_warm_pods);
    caches->pods = start(loop, objects, sa_resource_pod.kind, of_pods);
    caches->runtimes = start(loop, objects, sa_resource_runtime_environment.kind, NULL);
    caches->profiles = start(loop, objects, sa_resource_sandbox_profile.kind, NULL);
}

void sa_caches_stop(struct sa_caches *caches)
{
    struct sa_informer *all[] = {caches->sandboxes, caches->warm_pools, caches->warm_pods,
                                 caches->pods,      caches->runtimes,   caches->profiles};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            sa_informer_stop(all[i]);
    memset(caches, 0, sizeof *caches);
}

bool sa_caches_synced(const struct sa_caches *caches)
{
    return sa_informer_synced(caches->sandboxes) && sa_informer_synced(caches->warm_pools) &&
           sa_informer_synced(caches->warm_pods) && sa_informer_synced(caches->pods) &&
           sa_informer_synced(caches->runtimes) && sa_informer_synced(caches->profiles);
}
