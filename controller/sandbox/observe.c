#include "controller/sandbox/observe.h"

static void take(struct sa_seen *seen, const struct sa_informer *informer, const char *key)
{
    const struct sa_object *object = sa_informer_get(informer, key);
    seen->object = object ? sa_object_ref(object) : NULL;
}

static void take_facts(struct sa_agent *agent, const struct sa_object *pod, struct sa_arena *arena,
                       struct sa_json_strings *weaker)
{
    const struct sa_agent_facts *facts = sa_agent_facts(agent, sa_object_meta(pod)->name);
    if (!facts)
        return;
    weaker->items = sa_arena_alloc(arena, (facts->weaker_count + 1) * sizeof *weaker->items);
    for (; weaker->count < facts->weaker_count; weaker->count++)
        weaker->items[weaker->count] = sa_arena_strdup(arena, facts->weaker[weaker->count]);
}

void sa_sandbox_observe(const struct sa_caches *caches, struct sa_agent *agent, const char *key,
                        struct sa_arena *arena, struct sa_sandbox_world *world)
{
    take(&world->sandbox, caches->sandboxes, key);
    if (!world->sandbox.object)
        return;
    const struct sa_sandbox_wanted *spec = sa_object_spec(world->sandbox.object);
    const char *claimed = sa_sandbox_claimed(world->sandbox.object), *pod = key;
    if (claimed) {
        pod = sa_arena_printf(arena, "%s/%s", sa_object_meta(world->sandbox.object)->namespace_,
                              claimed);
        take(&world->warm_pod, caches->warm_pods, pod);
    }
    take(&world->pod, caches->pods, pod);
    if (agent && world->pod.object)
        take_facts(agent, world->pod.object, arena, &world->weaker);
    take(&world->runtime, caches->runtimes, spec->runtime);
    if (spec->profile[0])
        take(&world->profile, caches->profiles, spec->profile);
}

void sa_seen_set(struct sa_seen *seen, const struct sa_object *object)
{
    const struct sa_object *before = seen->object;
    seen->object = object ? sa_object_ref(object) : NULL;
    seen->fresh = true;
    sa_object_unref(before);
}

void sa_sandbox_world_deinit(struct sa_sandbox_world *world)
{
    struct sa_seen *all[] = {&world->sandbox, &world->warm_pod, &world->pod, &world->runtime,
                             &world->profile};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        sa_object_unref(all[i]->object);
}
