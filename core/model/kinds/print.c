/* Printing by tables, and what an update may change. */
#include "kinds/schema.h"

#include "base/cleanup.h"
#include "objects/conditions.h"
#include "json/quantity.h"

#include <stdio.h>
#include <string.h>

typedef SA_LIST_OF(int64_t) ints;
typedef SA_LIST_OF(char) things;

/* Lists of any type. */
static things list_at(const void *at)
{
    things list;
    memcpy(&list, at, sizeof list);
    return list;
}

bool sa_member_has_default(const struct sa_member *m)
{
    if (m->flags & SA_MEMBER_QUIET)
        return false;
    return m->initial != 0 || m->initial_texts || m->initial_text ||
           (m->type == SA_MEMBER_ENUM && m->names[0][0] && !(m->flags & SA_MEMBER_REQUIRED));
}

static void print_quantity(const struct sa_member *m, int64_t value, struct sa_json_w *w)
{
    char text[SA_QUANTITY_BYTES];
    if (m->type == SA_MEMBER_CPU)
        sa_quantity_cpu_print(value, text);
    else
        sa_quantity_bytes_print(value, text);
    sa_json_put_string(w, m->name, text);
}

static void print_ints(const struct sa_member *m, const void *at, struct sa_json_w *w)
{
    ints list;
    memcpy(&list, at, sizeof list);
    sa_json_put_array(w, m->name);
    for (size_t i = 0; i < list.count; i++)
        sa_json_w_int(w, list.items[i]);
    sa_json_w_end_array(w);
}

static void print_map(const struct sa_member *m, const struct sa_json_map *map, struct sa_json_w *w)
{
    sa_json_put_object(w, m->name);
    for (size_t i = 0; i < map->count; i++)
        sa_json_put_string(w, map->items[i].key, map->items[i].value);
    sa_json_w_end_object(w);
}

/* Nothing is written of an object of which there is nothing to say. */
static void print_inner(const struct sa_member *m, const char *at, struct sa_json_w *w)
{
    struct sa_json_w before = *w;
    size_t length = w->out->length;
    if ((m->flags & SA_MEMBER_GIVEN) && !*(const bool *)at)
        return;
    sa_json_put_object(w, m->name);
    size_t opened = w->out->length;
    sa_schema_print(m->schema, at, w);
    if (w->out->length == opened && !(m->flags & SA_MEMBER_GIVEN)) {
        *w = before;
        w->out->length = length;
        w->out->data[length] = '\0';
        return;
    }
    sa_json_w_end_object(w);
}

static void print_list(const struct sa_member *m, const things list, struct sa_json_w *w)
{
    sa_json_put_array(w, m->name);
    for (size_t i = 0; i < list.count; i++) {
        sa_json_w_begin_object(w);
        sa_schema_print(m->schema, list.items + i * m->schema->size, w);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_array(w);
}

static void print_conditions(const struct sa_member *m, const struct sa_conditions *conditions,
                             struct sa_json_w *w)
{
    if (!conditions->count)
        return;
    sa_json_w_key(w, m->name);
    sa_conditions_print(conditions, w);
}

/* Is it what an absent member means, and nothing? */
static bool is_nothing(const struct sa_member *m, const void *at)
{
    if (sa_member_has_default(m) || (m->flags & SA_MEMBER_REQUIRED))
        return false;
    switch (m->type) {
    case SA_MEMBER_BOOL:
        return !*(const bool *)at;
    case SA_MEMBER_INT:
    case SA_MEMBER_CPU:
    case SA_MEMBER_BYTES:
    case SA_MEMBER_TIME:
        return *(const int64_t *)at == ((m->flags & SA_MEMBER_QUIET) ? m->initial : 0);
    case SA_MEMBER_NUMBER:
        return !(*(const double *)at > 0 || *(const double *)at < 0);
    case SA_MEMBER_ENUM:
        return *(const int *)at == 0;
    case SA_MEMBER_TEXT:
    case SA_MEMBER_JSON:
        return !(*(const char *const *)at)[0];
    case SA_MEMBER_TEXTS:
        return ((const struct sa_json_strings *)at)->count == 0;
    case SA_MEMBER_MAP:
        return ((const struct sa_json_map *)at)->count == 0;
    case SA_MEMBER_INTS:
    case SA_MEMBER_LIST:
        return list_at(at).count == 0;
    default:
        return false;
    }
}

static void print_member(const struct sa_member *m, const char *at, struct sa_json_w *w)
{
    const void *p = at;
    switch (is_nothing(m, at) ? SA_MEMBER_CONDITIONS + 1 : (int)m->type) {
    case SA_MEMBER_BOOL:
        sa_json_put_bool(w, m->name, *(const bool *)p);
        break;
    case SA_MEMBER_INT:
        sa_json_put_int(w, m->name, *(const int64_t *)p);
        break;
    case SA_MEMBER_NUMBER:
        sa_json_put_double(w, m->name, *(const double *)p);
        break;
    case SA_MEMBER_TEXT:
        sa_json_put_string(w, m->name, *(const char *const *)p);
        break;
    case SA_MEMBER_ENUM:
        sa_json_put_string(w, m->name, m->names[*(const int *)p]);
        break;
    case SA_MEMBER_CPU:
    case SA_MEMBER_BYTES:
        print_quantity(m, *(const int64_t *)p, w);
        break;
    case SA_MEMBER_TIME:
        sa_json_put_time(w, m->name, *(const int64_t *)p);
        break;
    case SA_MEMBER_TEXTS:
        sa_json_put_strings(w, m->name, ((const struct sa_json_strings *)p)->items,
                            ((const struct sa_json_strings *)p)->count);
        break;
    case SA_MEMBER_INTS:
        print_ints(m, p, w);
        break;
    case SA_MEMBER_MAP:
        print_map(m, p, w);
        break;
    case SA_MEMBER_OBJECT:
        print_inner(m, at, w);
        break;
    case SA_MEMBER_LIST:
        print_list(m, list_at(p), w);
        break;
    case SA_MEMBER_JSON:
        sa_json_put_raw(w, m->name, *(const char *const *)p, strlen(*(const char *const *)p));
        break;
    case SA_MEMBER_CONDITIONS:
        print_conditions(m, p, w);
        break;
    default:
        break;
    }
}

void sa_schema_print(const struct sa_schema *schema, const void *value, struct sa_json_w *w)
{
    for (const struct sa_member *m = schema->members; m->name; m++)
        print_member(m, (const char *)value + m->offset, w);
}

/* ---- updates ---- */

static void print_alone(const struct sa_member *m, const void *value, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    print_member(m, (const char *)value + m->offset, &w);
    sa_json_w_end_object(&w);
}

int sa_schema_check_update(const struct sa_schema *schema, const void *before, const void *next,
                           struct sa_error *err)
{
    for (const struct sa_member *m = schema->members; m->name; m++) {
        char path[64];
        sa_autobuf was = SA_BUF_INIT, is = SA_BUF_INIT;
        if (!(m->flags & (SA_MEMBER_FIXED | SA_MEMBER_ONCE)))
            continue;
        print_alone(m, before, &was);
        print_alone(m, next, &is);
        bool same = was.length == is.length && memcmp(was.data, is.data, is.length) == 0;
        if (same || ((m->flags & SA_MEMBER_ONCE) && was.length == 2)) /* "{}" */
            continue;
        snprintf(path, sizeof path, "spec.%s", m->name);
        return sa_error_at(err, SA_EINVALID, path,
                           "%s: cannot be changed; delete the object and make another", path);
    }
    return 0;
}
