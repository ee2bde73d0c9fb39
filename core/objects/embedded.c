/* The embedded store: opening, closing, reading, and the turn of the loop that answers. */
#include "objects/embedded_private.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEP_MS = 60 * 1000 };

struct sa_table_of_kind *sa_embedded_table(struct sa_embedded *store, const struct sa_kind *kind)
{
    for (size_t i = 0; i < store->table_count; i++)
        if (store->tables[i].kind == kind)
            return &store->tables[i];
    return NULL;
}

/* ---- calls ---- */

struct sa_objects_call *sa_call_new(struct sa_embedded *store, enum sa_call_type type, void *user)
{
    struct sa_objects_call *call = sa_alloc(sizeof *call);
    *call = (struct sa_objects_call){
        .store = store, .type = type, .user = user, .barrier = store->version};
    return call;
}

struct sa_objects_call *sa_call_queue(struct sa_objects_call *call)
{
    struct sa_embedded *store = call->store;
    if (store->last)
        store->last->next = call;
    else
        store->first = call;
    store->last = call;
    sa_embedded_wake(store);
    return call;
}

struct sa_objects_call *sa_call_fail(struct sa_objects_call *call, const struct sa_error *err)
{
    call->failed = true;
    call->error = *err;
    return sa_call_queue(call);
}

static void free_call(struct sa_objects_call *call)
{
    for (size_t i = 0; i < call->page.count; i++)
        sa_object_unref(call->page.items[i]);
    free((void *)call->page.items);
    free(call->page.continue_);
    sa_object_unref(call->object);
    sa_object_unref(call->change.before);
    sa_object_unref(call->change.after);
    free(call);
}

static void answer_list(const struct sa_objects_call *call)
{
    char version[SA_RESOURCE_VERSION_BYTES];
    snprintf(version, sizeof version, "%llu", (unsigned long long)call->barrier);
    call->listed(call->user, NULL,
                 &(struct sa_objects_page){.items = call->page.items,
                                           .count = call->page.count,
                                           .resource_version = version,
                                           .continue_ = call->page.continue_,
                                           .remaining = (int64_t)call->page.remaining});
}

static void answer(const struct sa_objects_call *call)
{
    if (call->listed && call->failed)
        call->listed(call->user, &call->error, NULL);
    else if (call->listed)
        answer_list(call);
    else if (call->done && call->failed)
        call->done(call->user, &call->error, NULL);
    else if (call->done)
        call->done(call->user, NULL, call->object);
}

/* It is on disk now: tell the watches, and follow what was deleted. */
static void settle(struct sa_embedded *store, const struct sa_objects_call *call)
{
    store->uncommitted--;
    store->stats.writes++;
    sa_history_add(store, call);
    if (!call->change.after)
        sa_collect_after(store, sa_object_meta(call->change.before)->uid);
}

static void answer_due(struct sa_embedded *store)
{
    struct sa_objects_call *call, *end = store->last;
    while ((call = store->first) && (call->failed || call->barrier <= store->committed)) {
        store->first = call->next;
        if (!store->first)
            store->last = NULL;
        if (!call->failed && call->change.table)
            settle(store, call);
        answer(call);
        bool last = call == end; /* what was asked for meanwhile has its turn later */
        free_call(call);
        if (last)
            break;
    }
}

static bool has_due(const struct sa_embedded *store)
{
    return store->first && (store->first->failed || store->first->barrier <= store->committed);
}

static void on_turn(uv_idle_t *idle)
{
    struct sa_embedded *store = idle->data;
    uv_idle_stop(idle); /* whoever wants another turn wakes it again */
    answer_due(store);
    if (sa_collect_step(store))
        sa_embedded_wake(store);
    sa_watches_deliver(store);
    if (has_due(store))
        sa_embedded_wake(store);
}

void sa_embedded_wake(struct sa_embedded *store)
{
    if (!store->closing)
        uv_idle_start(&store->idle, on_turn);
}

void sa_embedded_forget(struct sa_objects_call *call)
{
    call->done = NULL;
    call->listed = NULL;
}

/* ---- reading ---- */

static struct sa_objects_call *embedded_get(struct sa_objects *objects, const struct sa_kind *kind,
                                            const char *namespace_, const char *name,
                                            sa_objects_cb done, void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_GET, user);
    struct sa_error err;
    call->done = done;
    sa_autofree char *key =
        kind->namespaced ? sa_printf("%s/%s", namespace_, name) : sa_strdup(name);
    const struct sa_object *object = sa_table_get(sa_embedded_table(store, kind), key);
    if (!object) {
        sa_error_set(&err, SA_ENOTFOUND, "there is no %s \"%s\"", kind->name, key);
        return sa_call_fail(call, &err);
    }
    call->object = sa_object_ref(object);
    return sa_call_queue(call);
}

/* `continue` is the last key that was listed. */
static void fill_page(struct sa_objects_call *call, const struct sa_table_of_kind *table,
                      const struct sa_selection *selection, size_t limit, const char *after)
{
    bool found = false;
    size_t i = after ? sa_table_search(table, after, &found) : 0;
    call->page.items = sa_alloc((table->count + 1) * sizeof *call->page.items);
    for (i += found; i < table->count; i++) {
        if (!sa_selection_matches(selection, table->items[i]))
            continue;
        if (limit && call->page.count == limit)
            call->page.remaining++;
        else
            call->page.items[call->page.count++] = sa_object_ref(table->items[i]);
    }
    if (call->page.remaining)
        call->page.continue_ = sa_strdup(sa_object_key(call->page.items[call->page.count - 1]));
}

static struct sa_objects_call *embedded_list(struct sa_objects *objects, const struct sa_kind *kind,
                                             const struct sa_objects_select *select, size_t limit,
                                             const char *continue_, sa_objects_list_cb done,
                                             void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    struct sa_objects_call *call = sa_call_new(store, SA_CALL_LIST, user);
    struct sa_selection selection;
    struct sa_error err;
    call->listed = done;
    if (sa_selection_init(&selection, kind, select, &err) < 0)
        return sa_call_fail(call, &err);
    fill_page(call, sa_embedded_table(store, kind), &selection, limit, continue_);
    sa_selection_deinit(&selection);
    return sa_call_queue(call);
}

static const struct sa_objects_ops operations = {.get = embedded_get,
                                                 .list = embedded_list,
                                                 .create = sa_embedded_create,
                                                 .update = sa_embedded_update,
                                                 .patch = sa_embedded_patch,
                                                 .delete = sa_embedded_delete,
                                                 .forget = sa_embedded_forget,
                                                 .watch = sa_embedded_watch,
                                                 .unwatch = sa_embedded_unwatch};

/* ---- commits ---- */

/* The newest first, so that each finds what it had before. */
static void take_back(struct sa_embedded *store, const struct sa_error *why)
{
    size_t count = 0;
    for (struct sa_objects_call *c = store->first; c; c = c->next)
        count++;
    struct sa_objects_call **calls = sa_alloc((count + 1) * sizeof *calls);
    count = 0;
    for (struct sa_objects_call *c = store->first; c; c = c->next)
        if (!c->failed && c->barrier > store->committed)
            calls[count++] = c;
    while (count-- > 0) {
        struct sa_objects_call *c = calls[count];
        c->failed = true;
        c->error = *why;
        if (!c->change.table)
            continue;
        const struct sa_object *known = c->change.after ? c->change.after : c->change.before;
        sa_table_set(c->change.table, sa_object_key(known), c->change.before);
        sa_owned_changed(store, c->change.table, c->change.after, c->change.before);
        store->object_count += (c->change.before != NULL) - (size_t)(c->change.after != NULL);
        store->uncommitted--;
    }
    free(calls);
}

static void on_committed(void *user, uint64_t version, const struct sa_error *err)
{
    struct sa_embedded *store = user;
    if (err) {
        take_back(store, err);
        sa_disk_next_epoch(store->disk);
    } else if (version > store->committed) {
        store->committed = version;
    }
    sa_embedded_wake(store);
}

/* ---- opening ---- */

static int on_found(void *user, const char *kind, const char *json, size_t length,
                    struct sa_error *err)
{
    struct sa_embedded *store = user;
    for (size_t i = 0; i < store->table_count; i++) {
        struct sa_table_of_kind *table = &store->tables[i];
        if (strcmp(table->kind->name, kind) != 0)
            continue;
        struct sa_object *object = sa_object_decode(table->kind, json, length, true, err);
        if (!object)
            return sa_error_wrap(err, "a stored %s", kind);
        sa_table_set(table, sa_object_key(object), object);
        sa_owned_changed(store, table, NULL, object);
        store->object_count++;
        sa_object_unref(object);
        return 0;
    }
    return 0; /* of a kind that is not known any more: left where it is */
}

static void on_sweep(uv_timer_t *timer)
{
    sa_sweep(timer->data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct sa_embedded *store = handle->data;
    if (--store->handles)
        return;
    void (*closed)(void *) = store->closed;
    void *user = store->closed_user;
    sa_history_deinit(store);
    sa_collect_deinit(store);
    for (size_t i = 0; i < store->table_count; i++)
        sa_table_clear(&store->tables[i]);
    free(store);
    if (closed)
        closed(user);
}

static void start_handles(struct sa_embedded *store)
{
    uv_idle_init(store->loop, &store->idle);
    uv_timer_init(store->loop, &store->sweep);
    store->idle.data = store->sweep.data = store;
    store->handles = 2;
    uv_timer_start(&store->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_unref((uv_handle_t *)&store->sweep);
}

static void close_handles(struct sa_embedded *store)
{
    uv_close((uv_handle_t *)&store->idle, on_handle_closed);
    uv_close((uv_handle_t *)&store->sweep, on_handle_closed);
}

static int open_disk(struct sa_embedded *store, const char *data_dir, struct sa_error *err)
{
    store->disk = sa_disk_open(data_dir, on_found, store, &store->version, err);
    if (!store->disk)
        return -1;
    store->committed = store->history.forgotten = store->version;
    if (sa_disk_start(store->disk, store->loop, on_committed, store, err) == 0)
        return 0;
    sa_disk_close(store->disk, NULL, NULL);
    return -1;
}

struct sa_objects *sa_embedded_open(const struct sa_embedded_options *options, struct sa_error *err)
{
    struct sa_embedded *store = sa_alloc(sizeof *store);
    store->base.ops = &operations;
    store->loop = options->loop;
    store->wall_ms = options->wall_ms ? options->wall_ms : sa_wall_ms;
    store->objects_max = options->objects_max ? options->objects_max : SA_OBJECTS_DEFAULT_MAX;
    store->history.size = options->history ? options->history : SA_HISTORY_DEFAULT;
    store->history.ring = sa_alloc(store->history.size * sizeof *store->history.ring);
    while (options->kinds[store->table_count] && store->table_count < SA_KINDS_MAX) {
        store->tables[store->table_count].kind = options->kinds[store->table_count];
        store->table_count++;
    }
    store->loading = true;
    start_handles(store);
    if (options->data_dir && open_disk(store, options->data_dir, err) < 0) {
        store->closing = true;
        close_handles(store);
        return NULL;
    }
    store->loading = false;
    sa_collect_all(store);
    return &store->base;
}

/* ---- closing ---- */

static void on_disk_closed(void *user)
{
    struct sa_embedded *store = user;
    struct sa_error gone;
    sa_error_set(&gone, SA_EUNAVAILABLE, "the object store is closing");
    answer_due(store);
    if (store->first)
        take_back(store, &gone);
    while (store->first)
        answer_due(store);
    sa_watches_end(store, &gone);
    close_handles(store);
}

static void on_last_turn(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    on_disk_closed(idle->data);
}

void sa_embedded_close(struct sa_objects *objects, void (*closed)(void *user), void *user)
{
    struct sa_embedded *store = sa_embedded_of(objects);
    store->closing = true;
    store->closed = closed;
    store->closed_user = user;
    if (store->disk)
        sa_disk_close(store->disk, on_disk_closed, store);
    else
        uv_idle_start(&store->idle, on_last_turn);
}

void sa_embedded_stats(const struct sa_objects *objects, struct sa_embedded_stats *stats)
{
    const struct sa_embedded *store = (const struct sa_embedded *)objects;
    *stats = store->stats;
    stats->objects = store->object_count;
    stats->uncommitted = store->uncommitted;
    stats->groups = store->disk ? sa_disk_groups(store->disk) : store->stats.writes;
}
