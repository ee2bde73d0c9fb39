/* Reads of the embedded store. */
#include "objects/embedded_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sa_object *get(struct sa_embedded *store, const struct sa_kind *kind,
                                   const char *namespace_, const char *name, struct sa_error *err)
{
    struct sa_table_of_kind *table = sa_embedded_table(store, kind, err);
    if (!table)
        return NULL;
    struct sa_arena *arena = sa_arena_new_sized(256);
    const char *key = sa_object_key_of(kind, namespace_, name, arena);
    const struct sa_object *object = sa_shelf_get(table, key);
    if (!object)
        sa_error_set(err, SA_ENOTFOUND, "there is no %s \"%s\"", kind->name, key);
    sa_arena_free(arena);
    return object;
}

struct sa_objects_call *sa_embedded_get(struct sa_objects *objects, const struct sa_kind *kind,
                                        const char *namespace_, const char *name,
                                        sa_objects_cb done, void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_GET, user);
    struct sa_error err;
    call->done = done;
    const struct sa_object *object = get(store, kind, namespace_, name, &err);
    if (!object)
        return sa_call_fail(call, &err);
    call->object = sa_object_ref(object);
    return sa_call_queue(call);
}

/* ---- lists ---- */

/* `continue` is VERSION.KEY: the version of the whole listing, and the last key that was given. */
static int read_continue(const struct sa_embedded *store, const char *text, uint64_t *version,
                         const char **after, struct sa_error *err)
{
    char *dot = NULL;
    if (text[0] >= '0' && text[0] <= '9')
        *version = strtoull(text, &dot, 10);
    if (!dot || *dot != '.' || !dot[1])
        return sa_error_at(err, SA_EINVALID, "continue",
                           "continue: expected what the page before said, got \"%.60s\"", text);
    if (*version > store->committed || *version < store->history.forgotten)
        return sa_error_at(err, SA_EEXPIRED, "continue",
                           "continue: how it was at version %llu is not known any more; list anew",
                           (unsigned long long)*version);
    *after = dot + 1;
    return 0;
}

static bool has_changed(const struct sa_history *history, const struct sa_kind *kind,
                        uint64_t version)
{
    for (size_t i = sa_history_after(history, version); i < history->count; i++)
        if (sa_history_at(history, i)->kind == kind)
            return true;
    return false;
}

/* The table as it was: what has changed since is undone in a copy. */
static void go_back(const struct sa_history *history, const struct sa_table_of_kind *table,
                    uint64_t version, struct sa_table_of_kind *past)
{
    sa_shelf_copy(table, past);
    size_t first = sa_history_after(history, version);
    for (size_t i = history->count; i-- > first;) {
        const struct sa_change *change = sa_history_at(history, i);
        if (change->kind == table->kind)
            sa_shelf_set(past, sa_object_key(change->before ? change->before : change->after),
                         change->before);
    }
}

/* Where those of the namespace begin and end: keys begin with it. */
static void range(const struct sa_table_of_kind *table, const char *namespace_, size_t *begin,
                  size_t *end)
{
    char edge[SA_OBJECT_NAME_MAX + 2];
    bool found;
    *begin = 0;
    *end = table->count;
    if (!namespace_ || !table->kind->namespaced || strlen(namespace_) > SA_OBJECT_NAME_MAX)
        return;
    snprintf(edge, sizeof edge, "%s/", namespace_);
    *begin = sa_shelf_search(table, edge, &found);
    edge[strlen(edge) - 1] = '/' + 1;
    *end = sa_shelf_search(table, edge, &found);
}

static void add(struct sa_objects_call *call, size_t *capacity, const struct sa_object *object)
{
    if (call->page.count == *capacity) {
        *capacity = *capacity ? 2 * *capacity : 16;
        call->page.items =
            sa_realloc((void *)call->page.items, *capacity * sizeof *call->page.items);
    }
    call->page.items[call->page.count++] = sa_object_ref(object);
}

static void fill_page(struct sa_objects_call *call, const struct sa_table_of_kind *table,
                      const struct sa_selection *selection, size_t limit, const char *after)
{
    size_t begin, end, i, capacity = 0;
    bool found = false, exact = !selection->labels.count && !selection->field_count;
    range(table, selection->namespace_, &begin, &end);
    if (after) {
        i = sa_shelf_search(table, after, &found);
        begin = i + found > begin ? i + found : begin;
    }
    for (i = begin; i < end; i++) {
        if (!sa_selection_matches(selection, table->items[i]))
            continue;
        if (limit && call->page.count == limit)
            break;
        add(call, &capacity, table->items[i]);
    }
    if (i < end) {
        call->page.remaining = exact ? (int64_t)(end - i) : -1;
        call->page.continue_ = sa_printf("%llu.%s", (unsigned long long)call->barrier,
                                         sa_object_key(call->page.items[call->page.count - 1]));
    }
}

static int list(struct sa_objects_call *call, const struct sa_table_of_kind *table,
                const struct sa_objects_select *select, size_t limit, const char *continue_,
                struct sa_error *err)
{
    const struct sa_embedded *store = call->store;
    struct sa_selection selection;
    struct sa_table_of_kind past = {.kind = NULL};
    const char *after = NULL;
    if (continue_ && read_continue(store, continue_, &call->barrier, &after, err) < 0)
        return -1;
    if (sa_selection_init(&selection, table->kind, select, err) < 0)
        return -1;
    if (continue_ && has_changed(&store->history, table->kind, call->barrier)) {
        go_back(&store->history, table, call->barrier, &past);
        table = &past;
    }
    fill_page(call, table, &selection, limit, after);
    sa_selection_deinit(&selection);
    sa_shelf_clear(&past);
    return 0;
}

struct sa_objects_call *sa_embedded_list(struct sa_objects *objects, const struct sa_kind *kind,
                                         const struct sa_objects_select *select, size_t limit,
                                         const char *continue_, sa_objects_list_cb done, void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_LIST, user);
    struct sa_error err;
    call->listed = done;
    const struct sa_table_of_kind *table = sa_embedded_table(store, kind, &err);
    if (!table || list(call, table, select, limit, continue_, &err) < 0)
        return sa_call_fail(call, &err);
    return sa_call_queue(call);
}
