/* The embedded store: opening, closing, commits, and the turn of the loop that answers. */
#include "objects/embedded_private.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_MS = 60 * 1000, HEAL_MS = 1000 };

struct sa_table_of_kind *sa_embedded_table(struct sa_embedded *store, const struct sa_kind *kind,
                                           struct sa_error *err)
{
    for (size_t i = 0; i < store->table_count; i++)
        if (store->tables[i].kind == kind)
            return &store->tables[i];
    sa_error_set(err, SA_ENOTFOUND, "this store has no objects of kind %s", kind->name);
    return NULL;
}

/* ---- the turn ---- */

static void on_turn(uv_idle_t *idle)
{
    struct sa_embedded *store = idle->data;
    uv_idle_stop(idle); /* whoever wants another turn wakes it again */
    sa_calls_answer(store);
    if (sa_collect_step(store))
        sa_embedded_wake(store);
    sa_watches_deliver(store);
    sa_history_trim(store);
    if (sa_calls_due(store))
        sa_embedded_wake(store);
}

void sa_embedded_wake(struct sa_embedded *store)
{
    if (!store->closing)
        uv_idle_start(&store->idle, on_turn);
}

static const struct sa_objects_ops operations = {.get = sa_embedded_get,
                                                 .list = sa_embedded_list,
                                                 .create = sa_embedded_create,
                                                 .make = sa_embedded_make,
                                                 .update = sa_embedded_update,
                                                 .patch = sa_embedded_patch,
                                                 .delete = sa_embedded_delete,
                                                 .forget = sa_embedded_forget,
                                                 .watch = sa_embedded_watch,
                                                 .unwatch = sa_embedded_unwatch};

/* ---- commits ---- */

static void on_healed(uv_timer_t *timer)
{
    sa_collect_all(timer->data);
}

static void on_committed(void *user, uint64_t version, const struct sa_error *err)
{
    struct sa_embedded *store = user;
    if (err) {
        sa_calls_take_back(store, err);
        sa_disk_next_epoch(store->disk);
        if (!store->closing)
            uv_timer_start(&store->heal, on_healed, HEAL_MS, 0);
    } else if (version > store->committed) {
        store->committed = version;
    }
    sa_embedded_wake(store);
}

/* ---- opening ---- */

static int on_found(void *user, const char *kind, const char *key, const char *json, size_t length,
                    struct sa_error *err)
{
    struct sa_embedded *store = user;
    for (size_t i = 0; i < store->table_count; i++) {
        struct sa_table_of_kind *table = &store->tables[i];
        if (strcmp(table->kind->name, kind) != 0)
            continue;
        struct sa_object *object = sa_object_restore(table->kind, json, length, err);
        if (!object)
            return sa_error_wrap(err, "stored %s \"%s\"", kind, key);
        sa_shelf_set(table, sa_object_key(object), object);
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
        sa_shelf_clear(&store->tables[i]);
    free(store);
    if (closed)
        closed(user);
}

static void start_handles(struct sa_embedded *store)
{
    uv_idle_init(store->loop, &store->idle);
    uv_timer_init(store->loop, &store->sweep);
    uv_timer_init(store->loop, &store->heal);
    store->idle.data = store->sweep.data = store->heal.data = store;
    store->handles = 3;
    uv_timer_start(&store->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    uv_unref((uv_handle_t *)&store->sweep);
}

static void close_handles(struct sa_embedded *store)
{
    uv_close((uv_handle_t *)&store->idle, on_handle_closed);
    uv_close((uv_handle_t *)&store->sweep, on_handle_closed);
    uv_close((uv_handle_t *)&store->heal, on_handle_closed);
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
    store->history.kept = options->history ? options->history : SA_HISTORY_DEFAULT;
    for (size_t i = 0; i < SA_KINDS_MAX && options->kinds[i]; i++)
        store->tables[store->table_count++] = (struct sa_table_of_kind){
            .kind = options->kinds[i], .empty_status = sa_object_empty_status(options->kinds[i])};
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
    sa_calls_answer(store);
    sa_calls_take_back(store, &gone);
    while (store->first)
        sa_calls_answer(store);
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
    uv_idle_stop(&store->idle); /* which would go on with what it was started for */
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
    stats->watches = store->watch_count;
    stats->groups = store->disk ? sa_disk_groups(store->disk) : store->stats.writes;
}
