/* An object as it is, its conditions and what happened to it. */
#include "describe.h"

#include "rows.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "json/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

struct list {
    const char *title, *heading[6];
    const char *paths[6]; /* of the cells; one that ends with "imestamp" or "Time" is an age */
};
static const struct list conditions = {
    .title = "conditions",
    .heading = {"TYPE", "STATUS", "REASON", "AGE", "MESSAGE"},
    .paths = {".type", ".status", ".reason", ".lastTransitionTime", ".message"}};
static const struct list events = {
    .title = "events",
    .heading = {"AGE", "TYPE", "REASON", "COUNT", "FROM", "MESSAGE"},
    .paths = {".lastTimestamp", ".type", ".reason", ".count", ".source.component", ".message"}};

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void add_cell(struct sa_table *table, const struct sa_json_value *item, const char *path)
{
    char span[SA_SPAN_BYTES];
    const struct sa_json_value *value = sa_value_at(item, path);
    sa_autobuf text = SA_BUF_INIT;
    if (value && sa_json_value_type(value) != SA_JSON_STRING) {
        sa_json_value_print(value, &text);
    } else if (value && (ends_with(path, "imestamp") || ends_with(path, "Time"))) {
        sa_span(sa_wall_ms() - sa_time_parse(sa_json_value_text(value)), span);
        sa_buf_adds(&text, span);
    } else if (value) {
        sa_buf_adds(&text, sa_json_value_text(value));
    }
    sa_table_add(table, text.data ? text.data : "");
}

static void print_list(const struct list *list, const struct sa_json_value *const *items,
                       size_t count)
{
    struct sa_table table = {.columns = 0};
    if (!count)
        return;
    while (table.columns < SA_COUNT(list->heading) && list->heading[table.columns])
        sa_table_add(&table, list->heading[table.columns++]);
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < table.columns; c++)
            add_cell(&table, items[i], list->paths[c]);
    printf("\n%s:\n", list->title);
    sa_table_print(&table);
    sa_table_deinit(&table);
}

/* ---- conditions and events ---- */

/* The items of an array; malloc'd. */
static const struct sa_json_value **items_of(const struct sa_json_value *array, size_t *count)
{
    size_t most = 0;
    *count = 0;
    if (!array || sa_json_value_type(array) != SA_JSON_ARRAY)
        return NULL;
    for (const struct sa_json_value *i = sa_json_first(array); i; i = sa_json_next(i))
        most++;
    const struct sa_json_value **items = sa_alloc((most + 1) * sizeof *items);
    for (const struct sa_json_value *i = sa_json_first(array); i; i = sa_json_next(i))
        items[(*count)++] = i;
    return items;
}

static void print_conditions(const struct sa_json_value *object)
{
    size_t count;
    const struct sa_json_value **items =
        items_of(sa_value_at(object, ".status.conditions"), &count);
    print_list(&conditions, items, count);
    free(items);
}

static const char *text_at(const struct sa_json_value *value, const char *path)
{
    value = sa_value_at(value, path);
    return value && sa_json_value_type(value) == SA_JSON_STRING ? sa_json_value_text(value) : "";
}

/* As text, which is as moments: all are written alike. */
static int by_time(const void *a, const void *b)
{
    const struct sa_json_value *const *one = a, *const *two = b;
    return strcmp(text_at(*one, ".lastTimestamp"), text_at(*two, ".lastTimestamp"));
}

/* The latest last. Those about an earlier object of that name are not about this one. */
static void print_events(const struct sa_json_value *object, const struct sa_json_value *list)
{
    size_t count, own = 0;
    const char *uid = text_at(object, ".metadata.uid");
    const struct sa_json_value **items = items_of(sa_value_at(list, ".items"), &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(text_at(items[i], ".involvedObject.uid"), uid) == 0)
            items[own++] = items[i];
    if (own)
        qsort(items, own, sizeof *items, by_time);
    print_list(&events, items, own);
    free(items);
}

/* ---- the object ---- */

/* The members of an object but the one named; NULL: all. */
static void print_members(const struct sa_json_value *object, const char *but, struct sa_buf *out)
{
    sa_buf_addc(out, '{');
    for (const struct sa_json_value *m = sa_json_first(object); m; m = sa_json_next(m)) {
        if (strcmp(sa_json_value_key(m), but) == 0)
            continue;
        if (out->data[out->length - 1] != '{')
            sa_buf_addc(out, ',');
        sa_json_quote(out, sa_json_value_key(m), strlen(sa_json_value_key(m)));
        sa_buf_addc(out, ':');
        sa_json_value_print(m, out);
    }
    sa_buf_addc(out, '}');
}

/* Conditions are a table of their own. */
static int print_object(const struct sa_json_value *object, struct sa_error *err)
{
    sa_autobuf text = SA_BUF_INIT;
    const struct sa_json_value *status = sa_value_at(object, ".status");
    print_members(object, "status", &text);
    if (status) {
        text.length--;
        sa_buf_adds(&text, ",\"status\":");
        print_members(status, "conditions", &text);
        sa_buf_addc(&text, '}');
    }
    if (sa_output_print(SA_OUTPUT_YAML, text.data, text.length, err) < 0)
        return -1;
    print_conditions(object);
    return 0;
}

static int show(const struct sa_buf *object, const struct sa_buf *list, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_doc *one = sa_client_json(object, arena, &root, err);
    struct sa_json_doc *all = one ? sa_client_json(list, arena, &root, err) : NULL;
    int rc = all ? print_object(sa_json_top(one), err) : -1;
    if (rc == 0)
        print_events(sa_json_top(one), sa_json_top(all));
    sa_json_free(one);
    sa_json_free(all);
    sa_arena_free(arena);
    return rc;
}

int sa_describe_object(struct sa_client *client, const struct sa_resource *resource,
                       const char *name, enum sa_output output, struct sa_error *err)
{
    sa_autobuf object = SA_BUF_INIT;
    sa_autobuf list = SA_BUF_INIT;
    sa_autobuf both = SA_BUF_INIT;
    sa_autofree char *url = sa_resource_url(client, resource, name, err);
    sa_autofree char *of_it = url ? sa_printf("%s/events?limit=500", url) : NULL;
    if (!url || sa_resource_send(client, "GET", url, NULL, &object, err) < 0 ||
        sa_resource_send(client, "GET", of_it, NULL, &list, err) < 0)
        return -1;
    if (output == SA_OUTPUT_TABLE)
        return show(&object, &list, err);
    sa_buf_printf(&both, "{\"%s\":%s,\"events\":%s}", resource->singular, object.data, list.data);
    return sa_output_print(output, both.data, both.length, err);
}
