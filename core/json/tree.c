/* Walking a document: its values are cJSON's nodes. */
#include "json/tree.h"

#include "json/internal.h"
#include "json/write.h"

#include <string.h>

static const cJSON *node_of(const struct sa_json_value *value)
{
    return (const void *)value;
}

static const struct sa_json_value *value_of(const cJSON *node)
{
    return (const void *)node;
}

const struct sa_json_value *sa_json_top(const struct sa_json_doc *doc)
{
    return value_of(doc->root);
}

enum sa_json_type sa_json_value_type(const struct sa_json_value *value)
{
    switch (node_of(value)->type & 0xff) {
    case cJSON_False:
    case cJSON_True:
        return SA_JSON_BOOL;
    case cJSON_Number:
        return SA_JSON_NUMBER;
    case cJSON_String:
        return SA_JSON_STRING;
    case cJSON_Array:
        return SA_JSON_ARRAY;
    case cJSON_Object:
        return SA_JSON_OBJECT;
    default:
        return SA_JSON_NULL;
    }
}

const struct sa_json_value *sa_json_first(const struct sa_json_value *value)
{
    return value_of(node_of(value)->child);
}

const struct sa_json_value *sa_json_next(const struct sa_json_value *value)
{
    return value_of(node_of(value)->next);
}

const char *sa_json_value_key(const struct sa_json_value *value)
{
    return node_of(value)->string;
}

const char *sa_json_value_text(const struct sa_json_value *value)
{
    return node_of(value)->valuestring;
}

double sa_json_value_number(const struct sa_json_value *value)
{
    return node_of(value)->valuedouble;
}

bool sa_json_value_bool(const struct sa_json_value *value)
{
    return cJSON_IsTrue(node_of(value));
}

/* Recursion is as deep as the document, which the parser bounds. */
void sa_json_w_value(struct sa_json_w *w, const struct sa_json_value *value,
                     bool (*leave_out)(const struct sa_json_value *member))
{
    const enum sa_json_type type = sa_json_value_type(value);
    const bool object = type == SA_JSON_OBJECT;
    if (type == SA_JSON_BOOL)
        sa_json_w_bool(w, sa_json_value_bool(value));
    else if (type == SA_JSON_NUMBER)
        sa_json_w_double(w, sa_json_value_number(value));
    else if (type == SA_JSON_STRING)
        sa_json_w_string(w, sa_json_value_text(value));
    else if (type == SA_JSON_NULL)
        sa_json_w_null(w);
    if (!object && type != SA_JSON_ARRAY)
        return;
    object ? sa_json_w_begin_object(w) : sa_json_w_begin_array(w);
    for (const struct sa_json_value *v = sa_json_first(value); v; v = sa_json_next(v)) {
        if (object && leave_out && leave_out(v))
            continue;
        if (object)
            sa_json_w_key(w, sa_json_value_key(v));
        sa_json_w_value(w, v, leave_out);
    }
    object ? sa_json_w_end_object(w) : sa_json_w_end_array(w);
}

/* Written without the writer's
 * checks: its depth is less than a document's may be. */
static void render(const cJSON *node, struct sa_buf *out)
{
    if (cJSON_IsObject(node) || cJSON_IsArray(node)) {
        bool object = cJSON_IsObject(node);
        sa_buf_addc(out, object ? '{' : '[');
        for (const cJSON *c = node->child; c; c = c->next) {
            if (c != node->child)
                sa_buf_addc(out, ',');
            if (object) {
                sa_json_quote(out, c->string, strlen(c->string));
                sa_buf_addc(out, ':');
            }
            render(c, out);
        }
        sa_buf_addc(out, object ? '}' : ']');
        return;
    }
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_value(&w, value_of(node), NULL);
}

void sa_json_value_print(const struct sa_json_value *value, struct sa_buf *out)
{
    render(node_of(value), out);
}
