/*
 * A value into a struct, by its table, strictly: what rules return comes from a process that may
 * be wrong or hostile, and what is not as the table says is an error, never a default.
 */
#include "policy/tables.h"

#include <stdio.h>
#include <string.h>

enum { ITEMS_MAX = 4096, SHOWN_BYTES = 48 };

struct decoder {
    struct sa_arena *arena;
    bool input; /* nothing is required */
    struct sa_error *err;
};
/* Where a value is, for messages. */
struct place {
    const struct place *parent;
    const char *name; /* NULL: element `index` of a list, from 1 on, as Lua counts */
    size_t index;
};

static int decode_map(const struct decoder *d, const struct sa_policy_field *fields,
                      const struct sa_value *map, const struct place *place, void *into);

static void print_place(const struct place *place, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    if (place->parent) {
        print_place(place->parent, text, size);
        used = strlen(text);
    }
    if (place->name)
        snprintf(text + used, size - used, "%s%s", used ? "." : "", place->name);
    else
        snprintf(text + used, size - used, "[%zu]", place->index);
}

static int fail(const struct decoder *d, const struct place *place, const char *message)
{
    char path[sizeof d->err->path];
    print_place(place, path, sizeof path);
    return sa_error_at(d->err, SA_EINVALID, path, "%s: %s", path, message);
}

static int wrong_type(const struct decoder *d, const struct place *place, const char *expected,
                      const struct sa_value *value)
{
    char text[96];
    snprintf(text, sizeof text, "expected %s, got %s", expected, sa_value_type_name(value->type));
    return fail(d, place, text);
}

/* ---- scalars ---- */

/* 2^53: from there on a double does not hold every integer. */
static const double exact = 9007199254740992.0;

static int decode_int(const struct decoder *d, const struct sa_policy_field *field,
                      const struct sa_value *value, const struct place *place, int64_t *into)
{
    int64_t number = value->integer;
    char text[96];
    if (value->type == SA_VALUE_NUMBER && value->number > -exact && value->number < exact &&
        value->number - (double)(int64_t)value->number == 0.0)
        number = (int64_t)value->number;
    else if (value->type != SA_VALUE_INT)
        return wrong_type(d, place, "integer", value);
    if ((field->low || field->high) && (number < field->low || number > field->high)) {
        snprintf(text, sizeof text, "%lld is not in %lld to %lld", (long long)number,
                 (long long)field->low, (long long)field->high);
        return fail(d, place, text);
    }
    *into = number;
    return 0;
}

static int decode_number(const struct decoder *d, const struct sa_policy_field *field,
                         const struct sa_value *value, const struct place *place, double *into)
{
    char text[96];
    if (value->type != SA_VALUE_NUMBER && value->type != SA_VALUE_INT)
        return wrong_type(d, place, "number", value);
    if ((field->low || field->high) &&
        !(value->number >= (double)field->low && value->number <= (double)field->high)) {
        snprintf(text, sizeof text, "%g is not in %lld to %lld", value->number,
                 (long long)field->low, (long long)field->high);
        return fail(d, place, text);
    }
    *into = value->number;
    return 0;
}

/* C's strings end at a NUL: one inside would be read as something else than was checked. */
static int decode_text(const struct decoder *d, const struct sa_policy_field *field,
                       const struct sa_value *value, const struct place *place, const char **into)
{
    char text[SHOWN_BYTES + 64];
    if (value->type != SA_VALUE_STRING)
        return wrong_type(d, place, "string", value);
    if (memchr(value->data, '\0', value->length))
        return fail(d, place, "a NUL byte in a string");
    char *copy = sa_arena_strndup(d->arena, value->data, value->length);
    if (field->values && !sa_policy_listed(field->values, copy)) {
        snprintf(text, sizeof text, "\"%.*s\" is none of what there is", SHOWN_BYTES, copy);
        return fail(d, place, text);
    }
    *into = copy;
    return 0;
}

/* ---- collections ---- */

static bool empty(const struct sa_value *value)
{
    struct sa_value a, b;
    struct sa_value_reader reader = sa_value_enter(value);
    return value->type == SA_VALUE_MAP ? !sa_value_next_member(&reader, &a, &b)
                                       : !sa_value_next(&reader, &a);
}

/* Lua has one empty table. */
static bool is_collection(const struct sa_value *value, enum sa_value_type type)
{
    return value->type == type ||
           ((value->type == SA_VALUE_LIST || value->type == SA_VALUE_MAP) && empty(value));
}

static int count_items(const struct decoder *d, const struct sa_value *list,
                       const struct place *place, size_t *count)
{
    struct sa_value item;
    if (!is_collection(list, SA_VALUE_LIST))
        return wrong_type(d, place, "list", list);
    if (list->type != SA_VALUE_LIST)
        return 0;
    struct sa_value_reader reader = sa_value_enter(list);
    while (sa_value_next(&reader, &item))
        if (++*count > ITEMS_MAX)
            return fail(d, place, "more than 4096 elements");
    return 0;
}

static int decode_texts(const struct decoder *d, const struct sa_policy_field *field,
                        const struct sa_value *list, const struct place *place,
                        struct sa_json_strings *into)
{
    size_t count = 0;
    struct sa_value item;
    if (count_items(d, list, place, &count) < 0)
        return -1;
    const char **items = sa_arena_alloc(d->arena, (count + 1) * sizeof *items);
    struct sa_value_reader reader = sa_value_enter(list);
    for (size_t i = 0; i < count && sa_value_next(&reader, &item); i++) {
        const struct place here = {place, NULL, i + 1};
        if (decode_text(d, field, &item, &here, &items[i]) < 0)
            return -1;
    }
    *into = (struct sa_json_strings){.items = items, .count = count};
    return 0;
}

static int decode_objects(const struct decoder *d, const struct sa_policy_field *field,
                          const struct sa_value *list, const struct place *place,
                          struct sa_policy_list *into)
{
    size_t count = 0;
    struct sa_value item;
    if (count_items(d, list, place, &count) < 0)
        return -1;
    char *items = sa_arena_alloc(d->arena, (count + 1) * field->size);
    struct sa_value_reader reader = sa_value_enter(list);
    for (size_t i = 0; i < count && sa_value_next(&reader, &item); i++) {
        const struct place here = {place, NULL, i + 1};
        if (decode_map(d, field->fields, &item, &here, items + i * field->size) < 0)
            return -1;
    }
    *into = (struct sa_policy_list){.items = items, .count = count};
    return 0;
}

static size_t count_members(const struct sa_value *map)
{
    struct sa_value key, value;
    size_t count = 0;
    struct sa_value_reader reader = sa_value_enter(map);
    while (map->type == SA_VALUE_MAP && sa_value_next_member(&reader, &key, &value))
        count++;
    return count;
}

static int decode_pairs(const struct decoder *d, const struct sa_value *map,
                        const struct place *place, struct sa_json_map *into)
{
    static const struct sa_policy_field any_text = {.type = SA_FIELD_TEXT};
    struct sa_value key, value;
    if (!is_collection(map, SA_VALUE_MAP))
        return wrong_type(d, place, "map", map);
    const size_t count = count_members(map);
    struct sa_json_pair *items = sa_arena_alloc(d->arena, (count + 1) * sizeof *items);
    struct sa_value_reader reader = sa_value_enter(map);
    for (size_t i = 0; i < count && sa_value_next_member(&reader, &key, &value); i++) {
        if (memchr(key.data, '\0', key.length))
            return fail(d, place, "a NUL byte in a key");
        items[i].key = sa_arena_strndup(d->arena, key.data, key.length);
        const struct place here = {place, items[i].key, 0};
        if (decode_text(d, &any_text, &value, &here, &items[i].value) < 0)
            return -1;
    }
    *into = (struct sa_json_map){.items = items, .count = count};
    return 0;
}

static int decode_any(const struct decoder *d, const struct sa_value *value, const char **into)
{
    sa_autobuf json = SA_BUF_INIT;
    sa_value_to_json(value, &json);
    *into = sa_arena_strndup(d->arena, json.data, json.length);
    return 0;
}

/* ---- members ---- */

static int decode_member(const struct decoder *d, const struct sa_policy_field *field,
                         const struct sa_value *value, const struct place *place, void *into)
{
    switch (field->type) {
    case SA_FIELD_BOOL:
        if (value->type != SA_VALUE_TRUE && value->type != SA_VALUE_FALSE)
            return wrong_type(d, place, "boolean", value);
        *(bool *)into = value->type == SA_VALUE_TRUE;
        return 0;
    case SA_FIELD_INT:
        return decode_int(d, field, value, place, into);
    case SA_FIELD_NUMBER:
        return decode_number(d, field, value, place, into);
    case SA_FIELD_TEXT:
        return decode_text(d, field, value, place, into);
    case SA_FIELD_TEXTS:
        return decode_texts(d, field, value, place, into);
    case SA_FIELD_MAP:
        return decode_pairs(d, value, place, into);
    case SA_FIELD_OBJECT:
        return decode_map(d, field->fields, value, place, into);
    case SA_FIELD_OBJECTS:
        return decode_objects(d, field, value, place, into);
    case SA_FIELD_ANY:
        return decode_any(d, value, into);
    }
    return fail(d, place, "no such type");
}

static int decode_known(const struct decoder *d, const struct sa_policy_field *fields,
                        const struct sa_value *map, const struct place *place, void *into)
{
    for (; fields->name; fields++) {
        const struct place here = {place, fields->name, 0};
        const struct sa_value value = sa_value_get(map, fields->name);
        if (value.type == SA_VALUE_NIL && !(fields->flags & SA_FIELD_REQUIRED && !d->input))
            continue;
        if (value.type == SA_VALUE_NIL)
            return fail(d, &here, "missing");
        if (decode_member(d, fields, &value, &here, (char *)into + fields->offset) < 0)
            return -1;
    }
    return 0;
}

static int refuse_unknown(const struct decoder *d, const struct sa_policy_field *fields,
                          const struct sa_value *map, const struct place *place)
{
    struct sa_value key, value;
    char name[SHOWN_BYTES];
    struct sa_value_reader reader = sa_value_enter(map);
    while (map->type == SA_VALUE_MAP && sa_value_next_member(&reader, &key, &value)) {
        const struct sa_policy_field *field = fields;
        while (field->name && !sa_value_is(&key, field->name))
            field++;
        if (field->name)
            continue;
        snprintf(name, sizeof name, "%.*s",
                 (int)(key.length < SHOWN_BYTES ? key.length : SHOWN_BYTES), key.data);
        return fail(d, &(struct place){place, name, 0}, "there is no such member");
    }
    return 0;
}

static int decode_map(const struct decoder *d, const struct sa_policy_field *fields,
                      const struct sa_value *map, const struct place *place, void *into)
{
    if (!is_collection(map, SA_VALUE_MAP))
        return wrong_type(d, place, "map", map);
    if (refuse_unknown(d, fields, map, place) < 0)
        return -1;
    return decode_known(d, fields, map, place, into);
}

/* Zero all that the table knows. */
static void clear(const struct sa_policy_field *fields, void *into)
{
    static const size_t sizes[] = {[SA_FIELD_BOOL] = sizeof(bool),
                                   [SA_FIELD_INT] = sizeof(int64_t),
                                   [SA_FIELD_NUMBER] = sizeof(double),
                                   [SA_FIELD_TEXT] = sizeof(const char *),
                                   [SA_FIELD_TEXTS] = sizeof(struct sa_json_strings),
                                   [SA_FIELD_MAP] = sizeof(struct sa_json_map),
                                   [SA_FIELD_OBJECT] = 0,
                                   [SA_FIELD_OBJECTS] = sizeof(struct sa_policy_list),
                                   [SA_FIELD_ANY] = sizeof(const char *)};
    for (; fields->name; fields++) {
        void *at = (char *)into + fields->offset;
        if (fields->type == SA_FIELD_OBJECT)
            clear(fields->fields, at);
        else
            memset(at, 0, sizes[fields->type]);
    }
}

int sa_policy_decode(const struct sa_policy_field *fields, const struct sa_value *map,
                     const char *path, struct sa_arena *arena, void *into, struct sa_error *err)
{
    const struct decoder d = {.arena = arena, .err = err};
    clear(fields, into);
    return decode_map(&d, fields, map, &(struct place){.name = path}, into);
}

int sa_policy_decode_input(const struct sa_policy_field *fields, const struct sa_value *map,
                           const char *path, struct sa_arena *arena, void *into,
                           struct sa_error *err)
{
    const struct decoder d = {.arena = arena, .input = true, .err = err};
    clear(fields, into);
    return decode_map(&d, fields, map, &(struct place){.name = path}, into);
}

int sa_policy_decode_returns(const struct sa_policy_field *fields, const struct sa_value *verdict,
                             struct sa_arena *arena, void *into, struct sa_error *err)
{
    const struct decoder d = {.arena = arena, .err = err};
    clear(fields, into);
    return decode_known(&d, fields, verdict, &(struct place){.name = "verdict"}, into);
}
