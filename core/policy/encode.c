/* A struct as a value, by its table. */
#include "policy/tables.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void encode_texts(const struct sa_json_strings *texts, struct sa_buf *out)
{
    sa_value_list(out);
    for (size_t i = 0; i < texts->count; i++)
        sa_value_text(out, texts->items[i]);
    sa_value_end(out);
}

static void encode_map(const struct sa_json_map *map, struct sa_buf *out)
{
    sa_value_map(out);
    for (size_t i = 0; i < map->count; i++)
        if (map->items[i].value)
            sa_value_put_text(out, map->items[i].key, map->items[i].value);
    sa_value_end(out);
}

static int encode_objects(const struct sa_policy_field *field, const struct sa_policy_list *objects,
                          struct sa_buf *out, struct sa_error *err)
{
    const char *item = objects->items;
    sa_value_list(out);
    for (size_t i = 0; i < objects->count; i++, item += field->size)
        if (sa_policy_encode(field->fields, item, out, err) < 0)
            return -1;
    sa_value_end(out);
    return 0;
}

static int encode_any(const struct sa_policy_field *field, const char *json, struct sa_buf *out,
                      struct sa_error *err)
{
    if (sa_value_from_json(json, strlen(json), out, err) == 0)
        return 0;
    if (err)
        snprintf(err->path, sizeof err->path, "%s", field->name);
    return sa_error_wrap(err, "%s", field->name);
}

static int encode_number(const struct sa_policy_field *field, double number, struct sa_buf *out,
                         struct sa_error *err)
{
    if (!isfinite(number))
        return sa_error_at(err, SA_EINVALID, field->name, "%s: not a finite number", field->name);
    sa_value_number(out, number);
    return 0;
}

static bool all_zero(const struct sa_policy_field *fields, const void *from);

/* Nothing to tell: NULL always, what is zero or empty where the table says so. */
static bool left_out(const struct sa_policy_field *field, const void *at)
{
    const bool omit = field->flags & SA_FIELD_OMIT_ZERO;
    switch (field->type) {
    case SA_FIELD_TEXT:
    case SA_FIELD_ANY:
        return *(const char *const *)at == NULL || (omit && !**(const char *const *)at);
    case SA_FIELD_BOOL:
        return omit && !*(const bool *)at;
    case SA_FIELD_INT:
        return omit && *(const int64_t *)at == 0;
    case SA_FIELD_NUMBER:
        return omit && fpclassify(*(const double *)at) == FP_ZERO;
    case SA_FIELD_TEXTS:
        return omit && ((const struct sa_json_strings *)at)->count == 0;
    case SA_FIELD_MAP:
        return omit && ((const struct sa_json_map *)at)->count == 0;
    case SA_FIELD_OBJECTS:
        return omit && ((const struct sa_policy_list *)at)->count == 0;
    case SA_FIELD_OBJECT:
        return omit && all_zero(field->fields, at);
    }
    return false;
}

static bool all_zero(const struct sa_policy_field *fields, const void *from)
{
    for (; fields->name; fields++)
        if (!left_out(fields, (const char *)from + fields->offset))
            return false;
    return true;
}

static int encode_member(const struct sa_policy_field *field, const void *at, struct sa_buf *out,
                         struct sa_error *err)
{
    switch (field->type) {
    case SA_FIELD_BOOL:
        sa_value_bool(out, *(const bool *)at);
        return 0;
    case SA_FIELD_INT:
        sa_value_int(out, *(const int64_t *)at);
        return 0;
    case SA_FIELD_NUMBER:
        return encode_number(field, *(const double *)at, out, err);
    case SA_FIELD_TEXT:
        sa_value_text(out, *(const char *const *)at);
        return 0;
    case SA_FIELD_TEXTS:
        encode_texts(at, out);
        return 0;
    case SA_FIELD_MAP:
        encode_map(at, out);
        return 0;
    case SA_FIELD_OBJECT:
        return sa_policy_encode(field->fields, at, out, err);
    case SA_FIELD_OBJECTS:
        return encode_objects(field, at, out, err);
    case SA_FIELD_ANY:
        return encode_any(field, *(const char *const *)at, out, err);
    }
    return sa_error_at(err, SA_EINTERNAL, field->name, "%s: no such type", field->name);
}

int sa_policy_encode(const struct sa_policy_field *fields, const void *from, struct sa_buf *out,
                     struct sa_error *err)
{
    sa_value_map(out);
    for (; fields->name; fields++) {
        const void *at = (const char *)from + fields->offset;
        if (left_out(fields, at))
            continue;
        sa_value_key(out, fields->name);
        if (encode_member(fields, at, out, err) < 0)
            return -1;
    }
    sa_value_end(out);
    return 0;
}
