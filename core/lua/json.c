/* Values as JSON and back. */
#include "lua/value.h"
#include "json/tree.h"
#include "json/write.h"

#include <math.h>
#include <stdlib.h>

#define SAFE_INTEGER 9007199254740992.0 /* 2^53 */

static void write_value(struct sa_json_w *w, const struct sa_value *value);

static void write_members(struct sa_json_w *w, const struct sa_value *map)
{
    struct sa_value_reader reader = sa_value_enter(map);
    struct sa_value key, value;
    sa_autobuf name = SA_BUF_INIT;
    sa_json_w_begin_object(w);
    while (sa_value_next_member(&reader, &key, &value)) {
        name.length = 0;
        sa_buf_add(&name, key.data, key.length);
        sa_json_w_key(w, name.data);
        write_value(w, &value);
    }
    sa_json_w_end_object(w);
}

static void write_elements(struct sa_json_w *w, const struct sa_value *list)
{
    struct sa_value_reader reader = sa_value_enter(list);
    struct sa_value value;
    sa_json_w_begin_array(w);
    while (sa_value_next(&reader, &value))
        write_value(w, &value);
    sa_json_w_end_array(w);
}

static void write_value(struct sa_json_w *w, const struct sa_value *value)
{
    switch (value->type) {
    case SA_VALUE_FALSE:
    case SA_VALUE_TRUE:
        sa_json_w_bool(w, value->type == SA_VALUE_TRUE);
        break;
    case SA_VALUE_INT:
        sa_json_w_int(w, value->integer);
        break;
    case SA_VALUE_NUMBER:
        sa_json_w_double(w, value->number);
        break;
    case SA_VALUE_STRING:
        sa_json_w_stringn(w, value->data, value->length);
        break;
    case SA_VALUE_LIST:
        write_elements(w, value);
        break;
    case SA_VALUE_MAP:
        write_members(w, value);
        break;
    default:
        sa_json_w_null(w);
    }
}

void sa_value_to_json(const struct sa_value *value, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    write_value(&w, value);
}

/* ---- the other way ---- */

static void read_number(double number, struct sa_buf *out)
{
    if (fabs(number) <= SAFE_INTEGER && floor(number) == number)
        sa_value_int(out, (int64_t)number);
    else
        sa_value_number(out, number);
}

static void read_value(const struct sa_json_value *from, struct sa_buf *out);

static void read_members(const struct sa_json_value *object, struct sa_buf *out)
{
    sa_value_map(out);
    for (const struct sa_json_value *v = sa_json_first(object); v; v = sa_json_next(v)) {
        if (sa_json_value_type(v) == SA_JSON_NULL)
            continue;
        sa_value_key(out, sa_json_value_key(v));
        read_value(v, out);
    }
    sa_value_end(out);
}

static void read_elements(const struct sa_json_value *array, struct sa_buf *out)
{
    sa_value_list(out);
    for (const struct sa_json_value *v = sa_json_first(array); v; v = sa_json_next(v))
        read_value(v, out);
    sa_value_end(out);
}

static void read_value(const struct sa_json_value *from, struct sa_buf *out)
{
    switch (sa_json_value_type(from)) {
    case SA_JSON_BOOL:
        sa_value_bool(out, sa_json_value_bool(from));
        break;
    case SA_JSON_NUMBER:
        read_number(sa_json_value_number(from), out);
        break;
    case SA_JSON_STRING:
        sa_value_text(out, sa_json_value_text(from));
        break;
    case SA_JSON_ARRAY:
        read_elements(from, out);
        break;
    case SA_JSON_OBJECT:
        read_members(from, out);
        break;
    default:
        sa_value_nil(out);
    }
}

int sa_value_from_json(const char *json, size_t length, struct sa_buf *out, struct sa_error *err)
{
    const struct sa_json_limits limits = {.max_depth = SA_VALUE_DEPTH};
    struct sa_json_doc *doc = sa_json_parse(json, length, &limits, err);
    if (!doc)
        return -1;
    sa_autobuf value = SA_BUF_INIT;
    read_value(sa_json_top(doc), &value);
    sa_json_free(doc);
    if (value.length > SA_VALUE_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "the value takes %zu bytes: at most %d are taken",
                            value.length, SA_VALUE_MAX);
    sa_buf_add(out, value.data, value.length);
    return 0;
}
