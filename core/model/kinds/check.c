/* What decoding checks, of a struct that was filled in by code: nothing gets into the store that
 * could not be read from there again. */
#include "kinds/schema.h"

#include "base/utf8.h"
#include "objects/conditions.h"

#include <string.h>

enum { EXCERPT = 60 };

struct check {
    const struct sa_json_at *at; /* where the object is */
    struct sa_error *err;
};

static int check_members(const struct sa_schema *schema, const char *value, const struct check *c);

static int fail(const struct check *c, const struct sa_json_at *at, const char *expected)
{
    const struct sa_json_obj here = {.at = *at};
    return sa_json_fail(&here, NULL, c->err, "expected %s", expected);
}

static int check_text(const struct check *c, const struct sa_json_at *at, const struct sa_member *m,
                      const char *text)
{
    const struct sa_json_obj here = {.at = *at};
    const size_t length = strnlen(text, m->max_bytes + 1);
    if (length > m->max_bytes)
        return sa_json_fail(&here, NULL, c->err, "expected at most %zu bytes", m->max_bytes);
    if (!sa_utf8_valid(text, length))
        return fail(c, at, "UTF-8");
    if (m->format && !m->format->valid(text))
        return sa_json_fail(&here, NULL, c->err, "expected %s, got \"%.*s\"", m->format->expected,
                            EXCERPT, text);
    return 0;
}

static int check_texts(const struct check *c, const struct sa_json_at *at,
                       const struct sa_member *m, const struct sa_json_strings *list)
{
    if (list->count > m->max_count)
        return fail(c, at, "fewer items");
    for (size_t i = 0; i < list->count; i++)
        if (check_text(c, &(struct sa_json_at){at, NULL, i}, m, list->items[i]) < 0)
            return -1;
    return 0;
}

static int check_map(const struct check *c, const struct sa_json_at *at, const struct sa_member *m,
                     const struct sa_json_map *map)
{
    if (map->count > m->max_count)
        return fail(c, at, "fewer members");
    for (size_t i = 0; i < map->count; i++) {
        const struct sa_json_at here = {at, map->items[i].key, 0};
        const char *value = map->items[i].value;
        if (!sa_utf8_valid(value, strlen(value)) || strlen(value) > m->max_bytes)
            return fail(c, &here, "a text that is shorter, in UTF-8");
        if (m->format && !m->format->valid(map->items[i].key))
            return fail(c, &here, m->format->expected);
    }
    return 0;
}

static int check_ints(const struct check *c, const struct sa_json_at *at, const struct sa_member *m,
                      const void *p)
{
    SA_LIST_OF(const int64_t) list;
    memcpy(&list, p, sizeof list);
    if (list.count > m->max_count)
        return fail(c, at, "fewer items");
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i] < m->low || list.items[i] > m->high)
            return fail(c, &(struct sa_json_at){at, NULL, i}, "a number in its range");
    return 0;
}

static int check_list(const struct check *c, const struct sa_json_at *at, const struct sa_member *m,
                      const void *p)
{
    SA_LIST_OF(const char) list;
    memcpy(&list, p, sizeof list);
    if (list.count > m->max_count)
        return fail(c, at, "fewer items");
    for (size_t i = 0; i < list.count; i++) {
        const struct sa_json_at here = {at, NULL, i};
        if (check_members(m->schema, list.items + i * m->schema->size,
                          &(struct check){&here, c->err}) < 0)
            return -1;
    }
    return 0;
}

static int check_number(const struct check *c, const struct sa_json_at *at,
                        const struct sa_member *m, double value)
{
    return value >= (double)m->low && value <= (double)sa_member_high(m)
               ? 0
               : fail(c, at, "a number in its range");
}

static int check_int(const struct check *c, const struct sa_json_at *at, const struct sa_member *m,
                     int64_t value)
{
    const bool quiet = (m->flags & SA_MEMBER_QUIET) && value == m->initial;
    return quiet || (value >= m->low && value <= sa_member_high(m))
               ? 0
               : fail(c, at, "a number in its range");
}

static int check_enum(const struct check *c, const struct sa_json_at *at, const struct sa_member *m,
                      int value)
{
    int count = 0;
    while (m->names[count])
        count++;
    return value >= 0 && value < count ? 0 : fail(c, at, "one of its names");
}

static int check_time(const struct check *c, const struct sa_json_at *at, int64_t value)
{
    static const int64_t last_ms = INT64_C(253402300799999); /* of the year 9999 */
    return value >= 0 && value <= last_ms ? 0 : fail(c, at, "a time (RFC 3339)");
}

static int check_member(const struct check *c, const struct sa_member *m, const char *at)
{
    const struct sa_json_at here = {c->at, m->name, 0};
    const void *p = at;
    switch (m->type) {
    case SA_MEMBER_BOOL:
        return 0;
    case SA_MEMBER_INT:
    case SA_MEMBER_CPU:
    case SA_MEMBER_BYTES:
        return check_int(c, &here, m, *(const int64_t *)p);
    case SA_MEMBER_NUMBER:
        return check_number(c, &here, m, *(const double *)p);
    case SA_MEMBER_TEXT:
    case SA_MEMBER_JSON: {
        const char *text = *(const char *const *)p;
        if (text[0] || (m->flags & SA_MEMBER_REQUIRED))
            return text[0] ? check_text(c, &here, m, text) : fail(c, &here, "a text");
        return 0;
    }
    case SA_MEMBER_ENUM:
        return check_enum(c, &here, m, *(const int *)p);
    case SA_MEMBER_TIME:
        return check_time(c, &here, *(const int64_t *)p);
    case SA_MEMBER_TEXTS:
        return check_texts(c, &here, m, p);
    case SA_MEMBER_INTS:
        return check_ints(c, &here, m, p);
    case SA_MEMBER_MAP:
        return check_map(c, &here, m, p);
    case SA_MEMBER_OBJECT:
        return (m->flags & SA_MEMBER_GIVEN) && !*(const bool *)p
                   ? 0
                   : check_members(m->schema, at, &(struct check){&here, c->err});
    case SA_MEMBER_LIST:
        return check_list(c, &here, m, p);
    case SA_MEMBER_CONDITIONS:
        return sa_conditions_check(p, &here, c->err);
    }
    return -1;
}

static int check_members(const struct sa_schema *schema, const char *value, const struct check *c)
{
    for (const struct sa_member *m = schema->members; m->name; m++)
        if (check_member(c, m, value + m->offset) < 0)
            return -1;
    return 0;
}

int sa_schema_check(const struct sa_schema *schema, const char *root, const void *value,
                    struct sa_error *err)
{
    const struct sa_json_at top = {NULL, NULL, 0}, at = {&top, root, 0};
    return check_members(schema, value, &(struct check){&at, err});
}
