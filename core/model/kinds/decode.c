/* Decoding by tables. */
#include "kinds/schema.h"

#include "base/clock.h"
#include "objects/conditions.h"
#include "json/notes.h"

#include <string.h>

enum { EXCERPT = 60 };
static const struct sa_json_strings no_texts;

struct decode {
    struct sa_arena *arena;
    bool lenient;
    struct sa_error *err;
};

int64_t sa_member_high(const struct sa_member *m)
{
    return m->low == 0 && m->high == 0 ? (INT64_C(1) << 53) - 1 : m->high;
}

/* ---- defaults ---- */

static void set_default(const struct sa_member *m, char *at)
{
    switch (m->type) {
    case SA_MEMBER_BOOL:
        *(bool *)at = m->initial != 0;
        break;
    case SA_MEMBER_INT:
    case SA_MEMBER_CPU:
    case SA_MEMBER_BYTES:
        *(int64_t *)(void *)at = m->initial;
        break;
    case SA_MEMBER_ENUM:
        *(int *)(void *)at = (int)m->initial;
        break;
    case SA_MEMBER_TEXT:
        *(const char **)(void *)at = m->initial_text ? m->initial_text : "";
        break;
    case SA_MEMBER_JSON:
        *(const char **)(void *)at = "";
        break;
    case SA_MEMBER_TEXTS:
        *(struct sa_json_strings *)(void *)at = m->initial_texts ? *m->initial_texts : no_texts;
        break;
    default: /* zero, or of the members of the object */
        break;
    }
}

/* Also where nothing is given: defaults are then those of the members. */
static void set_defaults(const struct sa_schema *schema, char *value)
{
    memset(value, 0, schema->size);
    for (const struct sa_member *m = schema->members; m->name; m++) {
        if (m->type == SA_MEMBER_OBJECT)
            set_defaults(m->schema, value + m->offset);
        else
            set_default(m, value + m->offset);
    }
}

/* ---- one member ---- */

static int decode_object(const struct decode *d, const struct sa_schema *schema,
                         struct sa_json_obj *json, char *value);

static int check_format(const struct sa_member *m, const struct sa_json_at *at, const char *text,
                        struct sa_error *err)
{
    const struct sa_json_obj here = {.at = *at};
    if (!m->format || m->format->valid(text))
        return 0;
    return sa_json_fail(&here, NULL, err, "expected %s, got \"%.*s\"", m->format->expected, EXCERPT,
                        text);
}

static int decode_text(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                       const char **text)
{
    const struct sa_json_at at = {&json->at, m->name, 0};
    const char *found = *text;
    bool given = false;
    if (sa_json_opt_string(json, m->name, m->max_bytes, &found, &given, d->err) < 0)
        return -1;
    if (given && (found[0] || (m->flags & SA_MEMBER_REQUIRED))) { /* empty is absent */
        if (!found[0] && !m->format)
            return sa_json_fail(json, m->name, d->err, "must not be empty");
        if (check_format(m, &at, found, d->err) < 0)
            return -1;
    }
    *text = found;
    return 0;
}

static int decode_enum(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                       int *value)
{
    int skip = !m->names[0][0];
    bool given = false;
    int found = *value;
    if (sa_json_opt_enum(json, m->name, m->names + skip, &found, &given, d->err) < 0)
        return -1;
    if (given)
        *value = found + skip;
    return 0;
}

static int decode_time(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                       int64_t *value)
{
    const char *text = NULL;
    if (sa_json_opt_string(json, m->name, 40, &text, NULL, d->err) < 0)
        return -1;
    if (text && sa_rfc3339_parse(text, value) < 0)
        return sa_json_fail(json, m->name, d->err,
                            "expected a time (RFC 3339) such as \"2026-01-31T09:05:00Z\", got "
                            "\"%.40s\"",
                            text);
    return 0;
}

static int decode_texts(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                        struct sa_json_strings *list)
{
    const struct sa_json_at at = {&json->at, m->name, 0};
    struct sa_json_strings found = *list;
    bool given = false, failed = false;
    if (sa_json_opt_strings(json, m->name, m->max_count, m->max_bytes, &found, &given, d->err) < 0)
        return -1;
    for (size_t i = 0; given && i < found.count; i++) {
        const struct sa_json_at here = {&at, NULL, i};
        if (!sa_json_go_on(json->notes, check_format(m, &here, found.items[i], d->err), d->err,
                           &failed))
            return -1;
    }
    if (failed)
        return -1;
    *list = found;
    return 0;
}

static int decode_ints(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                       void *at)
{
    struct sa_json_arr array = {.count = 0};
    bool given = false, failed = false;
    SA_LIST_OF(int64_t) list = {NULL, 0};
    if (sa_json_opt_arr(json, m->name, m->max_count, &array, &given, d->err) < 0)
        return -1;
    if (!given)
        return 0;
    list.items = sa_arena_alloc(d->arena, (array.count + 1) * sizeof *list.items);
    for (; list.count < array.count; list.count++)
        if (!sa_json_go_on(json->notes,
                           sa_json_arr_int(&array, list.count, m->low, m->high,
                                           &list.items[list.count], d->err),
                           d->err, &failed))
            return -1;
    if (failed)
        return -1;
    memcpy(at, &list, sizeof list);
    return 0;
}

static int decode_map(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                      struct sa_json_map *map)
{
    const struct sa_json_at at = {&json->at, m->name, 0};
    struct sa_json_map found = *map;
    bool failed = false;
    if (sa_json_opt_map(json, m->name, m->max_count, m->max_bytes, &found, NULL, d->err) < 0)
        return -1;
    for (size_t i = 0; i < found.count; i++) {
        const char *key = found.items[i].key;
        const struct sa_json_at here = {&at, key, 0};
        if (!sa_json_go_on(json->notes, check_format(m, &here, key, d->err), d->err, &failed))
            return -1;
    }
    if (failed)
        return -1;
    *map = found;
    return 0;
}

static int decode_item(const struct decode *d, const struct sa_schema *schema,
                       struct sa_json_arr *array, size_t index, char *at)
{
    struct sa_json_obj item;
    if (sa_json_arr_obj(array, index, &item, d->err) < 0)
        return -1;
    item.arena = d->arena;
    return decode_object(d, schema, &item, at);
}

static int decode_list(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                       void *at)
{
    struct sa_json_arr array = {.count = 0};
    bool given = false, failed = false;
    SA_LIST_OF(char) list = {NULL, 0};
    if (sa_json_opt_arr(json, m->name, m->max_count, &array, &given, d->err) < 0)
        return -1;
    if (!given)
        return 0;
    list.items = sa_arena_alloc(d->arena, (array.count + 1) * m->schema->size);
    for (; list.count < array.count; list.count++)
        if (!sa_json_go_on(json->notes,
                           decode_item(d, m->schema, &array, list.count,
                                       list.items + list.count * m->schema->size),
                           d->err, &failed))
            return -1;
    if (failed) /* none rather than half of one */
        return -1;
    memcpy(at, &list, sizeof list);
    return 0;
}

static int decode_json(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                       const char **text)
{
    const char *found = *text;
    size_t length = 0;
    bool given = false;
    if (sa_json_opt_raw(json, m->name, &found, &length, &given, d->err) < 0)
        return -1;
    if (given && found[0] != '{')
        return sa_json_fail(json, m->name, d->err, "expected an object");
    if (given && length > m->max_bytes)
        return sa_json_fail(json, m->name, d->err, "expected at most %zu bytes, got %zu",
                            m->max_bytes, length);
    *text = given && length == 2 ? "" : found; /* an empty object says no more than none */
    return 0;
}

/* Its defaults are there already. */
static int decode_inner(const struct decode *d, const struct sa_member *m, struct sa_json_obj *json,
                        char *at)
{
    struct sa_json_obj inner;
    bool given = false;
    if (sa_json_opt_obj(json, m->name, &inner, &given, d->err) < 0)
        return -1;
    if (!given)
        return m->schema->check && !(m->flags & SA_MEMBER_GIVEN)
                   ? m->schema->check(at, json, d->err)
                   : 0;
    inner.arena = d->arena;
    if (decode_object(d, m->schema, &inner, at) < 0)
        return -1;
    if (m->flags & SA_MEMBER_GIVEN)
        *(bool *)at = true;
    return 0;
}

static int decode_member(const struct decode *d, const struct sa_member *m,
                         struct sa_json_obj *json, char *at)
{
    int64_t high = sa_member_high(m);
    void *p = at;
    switch (m->type) {
    case SA_MEMBER_BOOL:
        return sa_json_opt_bool(json, m->name, p, NULL, d->err);
    case SA_MEMBER_INT:
        return sa_json_opt_int(json, m->name, m->low, high, p, NULL, d->err);
    case SA_MEMBER_NUMBER:
        return sa_json_opt_double(json, m->name, (double)m->low, (double)high, p, NULL, d->err);
    case SA_MEMBER_TEXT:
        return decode_text(d, m, json, p);
    case SA_MEMBER_ENUM:
        return decode_enum(d, m, json, p);
    case SA_MEMBER_CPU:
        return sa_json_opt_cpu(json, m->name, m->low, high, p, NULL, d->err);
    case SA_MEMBER_BYTES:
        return sa_json_opt_bytes(json, m->name, m->low, high, p, NULL, d->err);
    case SA_MEMBER_TIME:
        return decode_time(d, m, json, p);
    case SA_MEMBER_TEXTS:
        return decode_texts(d, m, json, p);
    case SA_MEMBER_INTS:
        return decode_ints(d, m, json, p);
    case SA_MEMBER_MAP:
        return decode_map(d, m, json, p);
    case SA_MEMBER_OBJECT:
        return decode_inner(d, m, json, at);
    case SA_MEMBER_LIST:
        return decode_list(d, m, json, p);
    case SA_MEMBER_JSON:
        return decode_json(d, m, json, p);
    case SA_MEMBER_CONDITIONS:
        return sa_conditions_decode(json, m->name, p, d->err);
    }
    return -1;
}

static int require(const struct sa_member *m, struct sa_json_obj *json, struct sa_error *err)
{
    const char *text;
    size_t length;
    enum sa_json_type type = sa_json_type(json, m->name);
    if (type != SA_JSON_MISSING && type != SA_JSON_NULL)
        return 0;
    return sa_json_get_raw(json, m->name, &text, &length, err); /* fails, and says it best */
}

static int decode_required(const struct decode *d, const struct sa_member *m,
                           struct sa_json_obj *json, char *at)
{
    if ((m->flags & SA_MEMBER_REQUIRED) && require(m, json, d->err) < 0)
        return -1;
    return decode_member(d, m, json, at);
}

static int finish(const struct decode *d, struct sa_json_obj *json)
{
    if (!d->lenient)
        return sa_json_finish(json, d->err);
    sa_json_drop_unknown(json);
    return 0;
}

static int decode_object(const struct decode *d, const struct sa_schema *schema,
                         struct sa_json_obj *json, char *value)
{
    struct sa_json_notes *notes = json->notes;
    bool failed = false;
    set_defaults(schema, value);
    for (const struct sa_member *m = schema->members; m->name; m++)
        if (!sa_json_go_on(notes, decode_required(d, m, json, value + m->offset), d->err, &failed))
            return -1;
    if (!sa_json_go_on(notes, finish(d, json), d->err, &failed))
        return -1;
    if (schema->check && !sa_json_go_on(notes, schema->check(value, json, d->err), d->err, &failed))
        return -1;
    return failed ? -1 : 0;
}

int sa_schema_decode(const struct sa_schema *schema, struct sa_json_obj *json, bool lenient,
                     struct sa_arena *arena, const void **value, struct sa_error *err)
{
    const struct decode d = {arena, lenient, err};
    char *made = sa_arena_alloc(arena, schema->size);
    json->arena = arena;
    const int rc = decode_object(&d, schema, json, made);
    if (rc == 0 || json->notes)
        *value = made;
    return rc;
}
