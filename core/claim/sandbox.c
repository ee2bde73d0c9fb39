/* The Sandbox that a claim creates. */
#include "claim/claim_private.h"

#include "kinds/names.h"

#include <string.h>

int sa_claim_check(struct sa_claim_call *call, const char *manifest, size_t length,
                   struct sa_error *err)
{
    call->wanted = sa_object_decode(&sa_kind_sandbox, manifest, length, false, err);
    return call->wanted ? 0 : -1;
}

/* NULL: without it. There is room for one more. */
static void set(struct sa_json_map *map, const char *key, const char *value)
{
    size_t i = 0;
    while (i < map->count && strcmp(map->items[i].key, key) != 0)
        i++;
    if (value)
        map->items[i] = (struct sa_json_pair){key, value};
    else if (i < map->count)
        map->items[i] = map->items[--map->count];
    if (value && i == map->count)
        map->count++;
}

static struct sa_json_map annotations(const struct sa_claim_call *call, struct sa_arena *arena)
{
    enum { MORE = 3 };
    const struct sa_json_map *from = &sa_object_meta(call->wanted)->annotations;
    struct sa_json_map map = {.items =
                                  sa_arena_alloc(arena, (from->count + MORE) * sizeof *map.items),
                              .count = from->count};
    if (from->count)
        memcpy(map.items, from->items, from->count * sizeof *map.items);
    set(&map, SA_SANDBOX_CLAIM, call->mark);
    if (call->warm != SA_WARM_NEVER)
        set(&map, SA_SANDBOX_POOL, sa_claim_pool(call->claims, call));
    set(&map, SA_SANDBOX_WARM_POD, call->pod ? sa_object_meta(call->pod)->name : NULL);
    return map;
}

static struct sa_json_strings finalizers(const struct sa_claim_call *call, struct sa_arena *arena)
{
    const struct sa_json_strings *from = &sa_object_meta(call->wanted)->finalizers;
    struct sa_json_strings list = {
        .items = sa_arena_alloc(arena, (from->count + 1) * sizeof *list.items)};
    for (; list.count < from->count; list.count++)
        list.items[list.count] = from->items[list.count];
    if (!sa_object_has_finalizer(call->wanted, SA_FINALIZER_SANDBOX))
        list.items[list.count++] = SA_FINALIZER_SANDBOX;
    return list;
}

struct sa_objects_make sa_claim_sandbox(const struct sa_claim_call *call, struct sa_arena *arena)
{
    return (struct sa_objects_make){.like = call->wanted,
                                    .namespace_ = call->namespace_,
                                    .name = call->name,
                                    .annotations = annotations(call, arena),
                                    .finalizers = finalizers(call, arena)};
}

bool sa_claim_made(const struct sa_claim_call *call, const struct sa_object *sandbox)
{
    const struct sa_json_map *annotations = &sa_object_meta(sandbox)->annotations;
    for (size_t i = 0; i < annotations->count; i++)
        if (strcmp(annotations->items[i].key, SA_SANDBOX_CLAIM) == 0)
            return strcmp(annotations->items[i].value, call->mark) == 0;
    return false;
}
