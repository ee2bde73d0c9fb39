/*
 * Outside bytes as what a client sends about a pool: to make one, in place of one, or as a patch of
 * one (the first byte says which). What is taken can be stored, holds no status and of the server's
 * names those that were there; what rules see of it, put back, changes nothing that counts.
 */
#include "api/resources.h"
#include "json/notes.h"

#include "base/cleanup.h"
#include "kinds/names.h"
#include "kinds/warm_pool.h"
#include "json/merge.h"

#include <stdlib.h>
#include <string.h>

static struct sa_json_notes notes;

/* All mistakes, or the first. */
static struct sa_json_notes *gather(bool all)
{
    if (!notes.arena)
        notes.arena = sa_arena_new();
    notes.mistake_count = notes.dropped_count = 0;
    return all ? &notes : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sa_resource_ask ask = {.kind = &sa_kind_warm_pool};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static const struct sa_object *old_pool(void)
{
    static const char json[] =
        "{\"metadata\":{\"namespace\":\"default\",\"name\":\"p\",\"uid\":\"u\",\"resourceVersion\":"
        "\"7\",\"annotations\":{\"secureagent.dev/x\":\"1\"},\"finalizers\":[\"secureagent.dev/"
        "x\"]},"
        "\"spec\":{\"runtime\":\"python\",\"imports\":[\"json\"]},\"status\":{\"size\":3}}";
    static const struct sa_object *pool;
    struct sa_error err;
    if (!pool)
        pool = sa_object_decode(&sa_kind_warm_pool, json, sizeof json - 1, false, &err);
    require(pool != NULL);
    return pool;
}

static void check_names(const struct sa_object_meta *meta, bool is_new)
{
    for (size_t i = 0; i < meta->labels.count; i++)
        require(strncmp(meta->labels.items[i].key, SA_RESERVED_PREFIX, 16) != 0);
    size_t found = 0;
    for (size_t i = 0; i < meta->annotations.count; i++)
        if (strncmp(meta->annotations.items[i].key, SA_RESERVED_PREFIX, 16) == 0)
            found += strcmp(meta->annotations.items[i].value, "1") == 0 ? 1 : 2;
    require(found == !is_new);
    require(is_new || strcmp(meta->name, "p") == 0);
}

/* As rules see it, and as it comes back from rules that changed nothing. */
static void check_review(const struct sa_buf *taken, const struct sa_object *object)
{
    sa_autobuf review = SA_BUF_INIT, back = SA_BUF_INIT;
    struct sa_error err;
    size_t a, b;
    require(sa_resource_review(taken->data, taken->length, &review, &err) == 0);
    require(sa_resource_reviewed(taken->data, taken->length, &review, &back, &err) == 0);
    sa_autounref const struct sa_object *again =
        sa_object_decode(&sa_kind_warm_pool, back.data, back.length, false, &err);
    require(again != NULL);
    const struct sa_warm_pool_spec *before = sa_object_spec(object);
    if (before->scaling.params[0] || before->recycle.criteria[0])
        return; /* what is free in form loses what is empty in it */
    const char *x = sa_object_spec_json(object, &a), *y = sa_object_spec_json(again, &b);
    require(a == b && memcmp(x, y, a) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sa_autobuf old = SA_BUF_INIT, merged = SA_BUF_INIT, taken = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&old);
    struct sa_error err;
    if (size < 1)
        return 0;
    int mode = data[0] % 3; /* create, replace, patch */
    const char *json = (const char *)data + 1;
    struct sa_resource_body body = {.name = mode ? "p" : NULL, .whole = mode != 2};
    struct sa_arena *arena = sa_arena_new();
    int rc = sa_resource_body_read(json, size - 1, arena, &body, &err);
    sa_arena_free(arena);
    if (rc < 0)
        return 0;
    sa_object_print(old_pool(), &w);
    if (mode == 2 &&
        sa_json_merge_patch(old.data, old.length, json, size - 1, NULL, &merged, &err) < 0)
        return 0;
    if (sa_resource_body_check(&ask, mode == 2 ? merged.data : json,
                               mode == 2 ? merged.length : size - 1, mode ? old_pool() : NULL,
                               mode != 2, false, gather(data[0] / 3 % 2), &taken, &err) < 0)
        return 0;
    require(notes.mistake_count == 0);
    sa_autounref const struct sa_object *object =
        sa_object_decode(&sa_kind_warm_pool, taken.data, taken.length, false, &err);
    require(object != NULL || err.code == SA_ETOOLARGE);
    if (!object)
        return 0;
    size_t length;
    sa_object_spec_json(object, &length);
    require(sa_object_bytes(object) == length + strlen("{}")); /* no status */
    check_names(sa_object_meta(object), mode == 0);
    check_review(&taken, object);
    return 0;
}
