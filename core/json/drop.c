#include "json/drop.h"

#include "json/tree.h"
#include "json/write.h"

static bool is_empty(const struct sa_json_value *value)
{
    enum sa_json_type type = sa_json_value_type(value);
    const struct sa_json_value *v = sa_json_first(value);
    if (type == SA_JSON_OBJECT)
        while (v && is_empty(v))
            v = sa_json_next(v);
    return (type == SA_JSON_OBJECT || type == SA_JSON_ARRAY) && !v;
}

static void write_value(struct sa_json_w *w, const struct sa_json_value *value);

static void write_members(struct sa_json_w *w, const struct sa_json_value *object)
{
    sa_json_w_begin_object(w);
    for (const struct sa_json_value *v = sa_json_first(object); v; v = sa_json_next(v)) {
        if (is_empty(v))
            continue;
        sa_json_w_key(w, sa_json_value_key(v));
        write_value(w, v);
    }
    sa_json_w_end_object(w);
}

static void write_value(struct sa_json_w *w, const struct sa_json_value *value)
{
    switch (sa_json_value_type(value)) {
    case SA_JSON_BOOL:
        sa_json_w_bool(w, sa_json_value_bool(value));
        break;
    case SA_JSON_NUMBER:
        sa_json_w_double(w, sa_json_value_number(value));
        break;
    case SA_JSON_STRING:
        sa_json_w_string(w, sa_json_value_text(value));
        break;
    case SA_JSON_OBJECT:
        write_members(w, value);
        break;
    case SA_JSON_ARRAY:
        sa_json_w_begin_array(w);
        for (const struct sa_json_value *v = sa_json_first(value); v; v = sa_json_next(v))
            write_value(w, v);
        sa_json_w_end_array(w);
        break;
    default:
        sa_json_w_null(w);
    }
}

int sa_json_drop_empty(const char *object, size_t length, struct sa_buf *out, struct sa_error *err)
{
    struct sa_json_doc *doc = sa_json_parse(object, length, NULL, err);
    if (!doc)
        return -1;
    struct sa_json_w w = sa_json_w_start(out);
    int rc = 0;
    if (sa_json_value_type(sa_json_top(doc)) == SA_JSON_OBJECT)
        write_members(&w, sa_json_top(doc));
    else
        rc = sa_error_set(err, SA_EINVALID, "expected a JSON object");
    sa_json_free(doc);
    return rc;
}
