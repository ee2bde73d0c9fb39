/* Getters of arrays, lists of strings, maps of strings, and values that are passed on. */
#include "json/internal.h"
#include "json/notes.h"
#include "json/tree.h"
#include "json/write.h"

#include <stdlib.h>

static int to_arr(const struct sa_json_at *at, const cJSON *node, struct sa_arena *arena,
                  size_t max_count, struct sa_json_arr *out, struct sa_error *err)
{
    if (!cJSON_IsArray(node))
        return sa_json_expected(at, node, err, "an array");
    size_t count = 0;
    for (const cJSON *c = node->child; c; c = c->next)
        count++;
    if (count > max_count)
        return sa_json_fail_at(at, err, "expected at most %zu elements, got %zu", max_count, count);
    *out = (struct sa_json_arr){
        .at = *at, .node = node, .arena = arena, .reached = node->child, .count = count};
    return 0;
}

int sa_json_root_arr(struct sa_json_doc *doc, struct sa_arena *arena, size_t max_count,
                     struct sa_json_arr *out, struct sa_error *err)
{
    const struct sa_json_at top = {NULL, NULL, 0};
    return to_arr(&top, doc->root, arena, max_count, out, err);
}

int sa_json_get_arr(struct sa_json_obj *obj, const char *key, size_t max_count,
                    struct sa_json_arr *out, struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? to_arr(SA_JSON_MEMBER(obj, key), n, obj->arena, max_count, out, err) : -1;
}

int sa_json_opt_arr(struct sa_json_obj *obj, const char *key, size_t max_count,
                    struct sa_json_arr *out, bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    struct sa_json_notes *notes = obj->notes;
    if (!n)
        return 0;
    if (to_arr(SA_JSON_MEMBER(obj, key), n, obj->arena, max_count, out, err) < 0)
        return -1;
    out->notes = notes;
    return 0;
}

static const cJSON *element(struct sa_json_arr *arr, size_t index)
{
    if (index >= arr->count)
        abort();
    if (index < arr->reached_index) {
        arr->reached = ((const cJSON *)arr->node)->child;
        arr->reached_index = 0;
    }
    const cJSON *c = arr->reached;
    for (; arr->reached_index < index; arr->reached_index++)
        c = c->next;
    arr->reached = c;
    return c;
}

int sa_json_arr_string(struct sa_json_arr *arr, size_t index, size_t max_bytes, const char **out,
                       struct sa_error *err)
{
    const struct sa_json_at at = {&arr->at, NULL, index};
    return sa_json_to_string(&at, element(arr, index), arr->arena, max_bytes, out, err);
}

int sa_json_arr_int(struct sa_json_arr *arr, size_t index, int64_t low, int64_t high, int64_t *out,
                    struct sa_error *err)
{
    const struct sa_json_at at = {&arr->at, NULL, index};
    return sa_json_to_int(&at, element(arr, index), low, high, out, err);
}

int sa_json_arr_obj(struct sa_json_arr *arr, size_t index, struct sa_json_obj *out,
                    struct sa_error *err)
{
    const struct sa_json_at at = {&arr->at, NULL, index};
    if (sa_json_to_obj(&at, element(arr, index), arr->arena, out, err) < 0)
        return -1;
    out->notes = arr->notes;
    return 0;
}

/* The items of `obj`'s member `key`, which is `node`. */
static int to_strings(struct sa_json_obj *obj, const char *key, const cJSON *node, size_t max_count,
                      size_t max_bytes, struct sa_json_strings *out, struct sa_error *err)
{
    struct sa_json_arr arr = {0};
    bool failed = false;
    if (to_arr(SA_JSON_MEMBER(obj, key), node, obj->arena, max_count, &arr, err) < 0)
        return -1;
    struct sa_json_strings list = {.count = arr.count};
    list.items = sa_arena_alloc(obj->arena, (arr.count + 1) * sizeof *list.items); /* NULL behind */
    for (size_t i = 0; i < arr.count; i++)
        if (!sa_json_go_on(obj->notes, sa_json_arr_string(&arr, i, max_bytes, &list.items[i], err),
                           err, &failed))
            return -1;
    if (failed)
        return -1;
    *out = list;
    return 0;
}

int sa_json_get_strings(struct sa_json_obj *obj, const char *key, size_t max_count,
                        size_t max_bytes, struct sa_json_strings *out, struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    return n ? to_strings(obj, key, n, max_count, max_bytes, out, err) : -1;
}

int sa_json_opt_strings(struct sa_json_obj *obj, const char *key, size_t max_count,
                        size_t max_bytes, struct sa_json_strings *out, bool *present,
                        struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_strings(obj, key, n, max_count, max_bytes, out, err) : 0;
}

struct sa_json_strings sa_json_strings_copy(const struct sa_json_strings *from,
                                            struct sa_arena *arena)
{
    struct sa_json_strings to = {.count = from->count};
    if (from->count)
        to.items = sa_arena_alloc(arena, from->count * sizeof *to.items);
    for (size_t i = 0; i < from->count; i++)
        to.items[i] = sa_arena_strdup(arena, from->items[i]);
    return to;
}

static int to_pair(const struct sa_json_at *map, const cJSON *node, struct sa_arena *arena,
                   size_t max_bytes, bool nulls, struct sa_json_pair *pair, struct sa_error *err)
{
    const struct sa_json_at here = {map, node->string, 0};
    size_t length = strlen(node->string);
    if (length == 0 || length > max_bytes)
        return sa_json_fail_at(&here, err, "expected a name of 1 to %zu bytes", max_bytes);
    *pair = (struct sa_json_pair){.key = sa_arena_strndup(arena, node->string, length)};
    if (nulls && cJSON_IsNull(node))
        return 0;
    return sa_json_to_string(&here, node, arena, max_bytes, &pair->value, err);
}

static int to_map(struct sa_json_obj *obj, const char *key, const cJSON *node, size_t max_count,
                  size_t max_bytes, bool nulls, struct sa_json_map *out, struct sa_error *err)
{
    const struct sa_json_at at = {&obj->at, key, 0};
    struct sa_json_map map = {0};
    bool failed = false;
    if (!cJSON_IsObject(node))
        return sa_json_expected(&at, node, err, "an object of strings");
    for (const cJSON *c = node->child; c; c = c->next)
        map.count++;
    if (map.count > max_count)
        return sa_json_fail_at(&at, err, "expected at most %zu fields, got %zu", max_count,
                               map.count);
    map.items = sa_arena_alloc(obj->arena, map.count * sizeof *map.items);
    struct sa_json_pair *pair = map.items;
    for (const cJSON *c = node->child; c; c = c->next, pair++)
        if (!sa_json_go_on(obj->notes, to_pair(&at, c, obj->arena, max_bytes, nulls, pair, err),
                           err, &failed))
            return -1;
    if (failed)
        return -1;
    *out = map;
    return 0;
}

int sa_json_opt_map(struct sa_json_obj *obj, const char *key, size_t max_count, size_t max_bytes,
                    struct sa_json_map *out, bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_map(obj, key, n, max_count, max_bytes, false, out, err) : 0;
}

int sa_json_opt_patch(struct sa_json_obj *obj, const char *key, size_t max_count, size_t max_bytes,
                      struct sa_json_map *out, bool *present, struct sa_error *err)
{
    const cJSON *n = sa_json_optional(obj, key, present);
    return n ? to_map(obj, key, n, max_count, max_bytes, true, out, err) : 0;
}

struct sa_json_map sa_json_map_copy(const struct sa_json_map *from, struct sa_arena *arena)
{
    struct sa_json_map to = {.count = from->count};
    if (from->count)
        to.items = sa_arena_alloc(arena, from->count * sizeof *to.items);
    for (size_t i = 0; i < from->count; i++)
        to.items[i] = (struct sa_json_pair){sa_arena_strdup(arena, from->items[i].key),
                                            sa_arena_strdup(arena, from->items[i].value)};
    return to;
}

static void to_raw(const cJSON *node, struct sa_arena *arena, const char **out, size_t *length)
{
    sa_autobuf text = SA_BUF_INIT;
    sa_json_value_print((const void *)node, &text);
    *out = sa_arena_strndup(arena, text.data, text.length);
    *length = text.length;
}

int sa_json_get_raw(struct sa_json_obj *obj, const char *key, const char **out, size_t *length,
                    struct sa_error *err)
{
    const cJSON *n = sa_json_required(obj, key, err);
    if (!n)
        return -1;
    to_raw(n, obj->arena, out, length);
    return 0;
}

void sa_json_arr_raw(struct sa_json_arr *arr, size_t index, const char **out, size_t *length)
{
    to_raw(element(arr, index), arr->arena, out, length);
}

int sa_json_opt_raw(struct sa_json_obj *obj, const char *key, const char **out, size_t *length,
                    bool *present, struct sa_error *err)
{
    (void)err; /* nothing can be wrong with it */
    const cJSON *n = sa_json_optional(obj, key, present);
    if (n)
        to_raw(n, obj->arena, out, length);
    return 0;
}
