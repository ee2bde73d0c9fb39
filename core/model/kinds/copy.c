/* Copies by tables: what an object keeps, without what decoding it took. */
#include "kinds/schema.h"

#include "objects/conditions.h"

#include <string.h>

typedef SA_LIST_OF(int64_t) ints;
typedef SA_LIST_OF(char) things;

static const char *copy_text(const char *text, const char *initial, struct sa_arena *arena)
{
    if (!text[0])
        return "";
    return text == initial ? initial : sa_arena_strdup(arena, text);
}

static void copy_texts(const struct sa_member *m, struct sa_json_strings *list,
                       struct sa_arena *arena)
{
    if (m->initial_texts && list->items == m->initial_texts->items)
        return;
    *list = sa_json_strings_copy(list, arena);
}

static void copy_ints(void *at, struct sa_arena *arena)
{
    ints list;
    memcpy(&list, at, sizeof list);
    const int64_t *from = list.items;
    list.items = list.count ? sa_arena_alloc(arena, list.count * sizeof *list.items) : NULL;
    if (list.count)
        memcpy(list.items, from, list.count * sizeof *list.items);
    memcpy(at, &list, sizeof list);
}

static void copy_members(const struct sa_schema *schema, char *value, struct sa_arena *arena);

static void copy_list(const struct sa_schema *schema, void *at, struct sa_arena *arena)
{
    things list;
    memcpy(&list, at, sizeof list);
    const char *from = list.items;
    list.items = list.count ? sa_arena_alloc(arena, list.count * schema->size) : NULL;
    if (list.count)
        memcpy(list.items, from, list.count * schema->size);
    for (size_t i = 0; i < list.count; i++)
        copy_members(schema, list.items + i * schema->size, arena);
    memcpy(at, &list, sizeof list);
}

static void copy_conditions(struct sa_conditions *conditions, struct sa_arena *arena)
{
    const struct sa_conditions from = *conditions;
    sa_conditions_copy(&from, arena, conditions);
}

/* The struct itself is there; what it points to is somebody else's. */
static void copy_members(const struct sa_schema *schema, char *value, struct sa_arena *arena)
{
    for (const struct sa_member *m = schema->members; m->name; m++) {
        void *at = value + m->offset;
        switch (m->type) {
        case SA_MEMBER_TEXT:
        case SA_MEMBER_JSON:
            *(const char **)at = copy_text(*(const char **)at, m->initial_text, arena);
            break;
        case SA_MEMBER_TEXTS:
            copy_texts(m, at, arena);
            break;
        case SA_MEMBER_INTS:
            copy_ints(at, arena);
            break;
        case SA_MEMBER_MAP:
            *(struct sa_json_map *)at = sa_json_map_copy(at, arena);
            break;
        case SA_MEMBER_OBJECT:
            copy_members(m->schema, at, arena);
            break;
        case SA_MEMBER_LIST:
            copy_list(m->schema, at, arena);
            break;
        case SA_MEMBER_CONDITIONS:
            copy_conditions(at, arena);
            break;
        default: /* what holds no pointers */
            break;
        }
    }
}

const void *sa_schema_copy(const struct sa_schema *schema, const void *value,
                           struct sa_arena *arena)
{
    char *copy = sa_arena_alloc(arena, schema->size);
    memcpy(copy, value, schema->size);
    copy_members(schema, copy, arena);
    return copy;
}
