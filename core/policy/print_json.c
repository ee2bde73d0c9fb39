/* The tables as JSON, for tools that check or generate. */
#include "policy/tables.h"

#include "json/write.h"

static void put_texts(struct sa_json_w *w, const char *key, const char *const *texts)
{
    sa_json_put_array(w, key);
    for (; *texts; texts++)
        sa_json_w_string(w, *texts);
    sa_json_w_end_array(w);
}

static void put_fields(struct sa_json_w *w, const char *key, const struct sa_policy_field *fields)
{
    sa_json_put_object(w, key);
    for (; fields->name; fields++) {
        sa_json_put_object(w, fields->name);
        sa_json_put_string(w, "type", sa_field_type_name(fields->type));
        sa_json_put_string(w, "doc", fields->doc);
        if (fields->low || fields->high)
            sa_json_put_int(w, "low", fields->low);
        if (fields->high && fields->high != INT64_MAX)
            sa_json_put_int(w, "high", fields->high);
        if (fields->values)
            put_texts(w, "values", fields->values);
        if (fields->flags & SA_FIELD_REQUIRED)
            sa_json_put_bool(w, "required", true);
        if (fields->fields)
            put_fields(w, "fields", fields->fields);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_object(w);
}

void sa_policy_print_json(struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "points");
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        const struct sa_policy_point *p = &sa_policy_points[i];
        sa_json_w_begin_object(&w);
        sa_json_put_string(&w, "name", p->name);
        sa_json_put_string(&w, "doc", p->doc);
        put_texts(&w, "verdicts", p->verdicts);
        put_texts(&w, "final", p->final);
        sa_json_put_string(&w, "combine", sa_combine_name(p->combine));
        sa_json_put_string(&w, "fallback", p->fallback);
        put_fields(&w, "input", p->input);
        if (p->target)
            sa_json_put_string(&w, "target", p->target);
        if (p->changes)
            put_fields(&w, "changes", p->changes);
        put_fields(&w, "returns", p->returns);
        sa_json_w_end_object(&w);
    }
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
}
