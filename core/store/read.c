/* The calls that read: checks, parameters, and handing over the results. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_LIMIT = 50 };

static struct sa_store_read *as_read(struct sa_op *op)
{
    return sa_container_of(op, struct sa_store_read, op);
}

void sa_read_release(struct sa_op *op)
{
    struct sa_store_read *read = as_read(op);
    sa_arena_free(read->arena);
    free(read);
}

struct sa_store_read *sa_read_new(const struct sa_table *table, void *user)
{
    struct sa_store_read *read = sa_alloc(sizeof *read);
    read->op.release = sa_read_release;
    read->op.awaited = true;
    read->arena = sa_arena_new();
    read->table = table;
    read->user = user;
    return read;
}

struct sa_store_read *sa_read_push(struct sa_store *store, struct sa_store_read *read,
                                   struct sa_error *err)
{
    int result = 0;
    pthread_mutex_lock(&store->lock);
    if (store->closing) {
        result = sa_store_refuse_closing(err);
    } else if (store->read_queued >= store->options.read_queue) {
        store->stats.refused++;
        result = sa_error_set(err, SA_EUNAVAILABLE,
                              "too many records wait to be read (%zu); try again later",
                              store->read_queued);
    } else {
        read->after = store->made;
        store->read_queued++;
        sa_queue_push(&store->reads, &read->op);
        pthread_cond_signal(&store->read_work);
    }
    pthread_mutex_unlock(&store->lock);
    if (result < 0) {
        sa_read_release(&read->op);
        return NULL;
    }
    sa_store_await(store, true);
    return read;
}

void sa_store_cancel(struct sa_store_read *read)
{
    read->canceled = true;
}

static const char *keep(struct sa_store_read *read, const char *text)
{
    return text ? sa_arena_strdup(read->arena, text) : NULL;
}

static int check_name(const char *path, const char *text, struct sa_error *err)
{
    if (text && strnlen(text, SA_STORE_NAME_MAX + 1) > SA_STORE_NAME_MAX)
        return sa_error_at(err, SA_ETOOLARGE, path, "%s: longer than %d bytes", path,
                           SA_STORE_NAME_MAX);
    return 0;
}

static int check_id(const char *path, const char *text, struct sa_error *err)
{
    if (!text || !text[0])
        return sa_error_at(err, SA_EINVALID, path, "%s: may not be empty", path);
    return check_name(path, text, err);
}

static int set_limit(struct sa_store_read *read, size_t limit, struct sa_error *err)
{
    if (limit > SA_STORE_PAGE_MAX)
        return sa_error_at(err, SA_EINVALID, "limit", "limit: at most %d", SA_STORE_PAGE_MAX);
    read->limit = limit ? limit : DEFAULT_LIMIT;
    return 0;
}

/* Cursors come back through clients: take apart strictly what make_cursor() (query.c) put
 * together. A forged one does no more than start the page elsewhere. */
static int set_cursor(struct sa_store_read *read, const char *cursor, struct sa_error *err)
{
    if (!cursor || !cursor[0])
        return 0;
    uint64_t time_ms = 0;
    size_t digits = strspn(cursor, "0123456789abcdef");
    const char *id = cursor + digits + 1;
    if (digits == 0 || digits > 16 || cursor[digits] != '.' || !id[0] ||
        strnlen(id, SA_STORE_NAME_MAX + 1) > SA_STORE_NAME_MAX)
        return sa_error_at(err, SA_EINVALID, "cursor",
                           "cursor: not one that a page before gave; start without it");
    time_ms = strtoull(cursor, NULL, 16);
    read->before_ms = (int64_t)time_ms;
    read->before_id = keep(read, id);
    return 0;
}

/* ---- one record ---- */

static void finish_sandbox(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_store_read *read = as_read(op);
    if (!read->canceled)
        read->done.sandbox(read->user, op->err, op->err ? NULL : read->items);
}

struct sa_store_read *sa_store_get_sandbox(struct sa_store *store, const char *id,
                                           sa_store_sandbox_done done, void *user,
                                           struct sa_error *err)
{
    if (check_id("id", id, err) < 0)
        return NULL;
    struct sa_store_read *read = sa_read_new(&sa_table_sandboxes, user);
    read->run = sa_query_one;
    read->id = keep(read, id);
    read->done.sandbox = done;
    read->op.finish = finish_sandbox;
    return sa_read_push(store, read, err);
}

static void finish_execution(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_store_read *read = as_read(op);
    if (!read->canceled)
        read->done.execution(read->user, op->err, op->err ? NULL : read->items);
}

struct sa_store_read *sa_store_get_execution(struct sa_store *store, const char *sandbox,
                                             const char *id, sa_store_execution_done done,
                                             void *user, struct sa_error *err)
{
    if (check_id("id", id, err) < 0 || check_id("sandbox", sandbox, err) < 0)
        return NULL;
    struct sa_store_read *read = sa_read_new(&sa_table_executions, user);
    read->run = sa_query_one;
    read->id = keep(read, id);
    read->sandbox = keep(read, sandbox);
    read->done.execution = done;
    read->op.finish = finish_execution;
    return sa_read_push(store, read, err);
}

/* ---- pages ---- */

static void finish_sandboxes(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_store_read *read = as_read(op);
    struct sa_store_sandbox_page page = {read->items, read->count, read->next};
    if (!read->canceled)
        read->done.sandboxes(read->user, op->err, op->err ? NULL : &page);
}

static int check_query(const struct sa_store_sandbox_query *query, struct sa_error *err)
{
    if (query->label_count > SA_STORE_QUERY_LABELS_MAX)
        return sa_error_at(err, SA_EINVALID, "labels", "labels: at most %d in a query",
                           SA_STORE_QUERY_LABELS_MAX);
    size_t values = 0;
    for (size_t i = 0; i < query->label_count; i++) {
        const struct sa_store_label *label = &query->labels[i];
        if (check_id("labels", label->key, err) < 0)
            return -1;
        for (size_t v = 0; v < label->count; v++)
            if (check_name("labels", label->values[v], err) < 0)
                return -1;
        values += label->count;
    }
    if (values > SA_STORE_QUERY_VALUES_MAX)
        return sa_error_at(err, SA_EINVALID, "labels", "labels: at most %d values in a query",
                           SA_STORE_QUERY_VALUES_MAX);
    if (check_name("owner", query->owner, err) < 0 || check_name("phase", query->phase, err) < 0)
        return -1;
    return 0;
}

static void keep_labels(struct sa_store_read *read, const struct sa_store_sandbox_query *query)
{
    read->labels = sa_arena_alloc(read->arena, (query->label_count + 1) * sizeof *read->labels);
    read->label_count = query->label_count;
    for (size_t i = 0; i < query->label_count; i++) {
        const struct sa_store_label *label = &query->labels[i];
        const char **values = sa_arena_alloc(read->arena, (label->count + 1) * sizeof *values);
        for (size_t v = 0; v < label->count; v++)
            values[v] = keep(read, label->values[v]);
        read->labels[i] = *label;
        read->labels[i].key = keep(read, label->key);
        read->labels[i].values = values;
    }
}

struct sa_store_read *sa_store_list_sandboxes(struct sa_store *store,
                                              const struct sa_store_sandbox_query *query,
                                              sa_store_sandboxes_done done, void *user,
                                              struct sa_error *err)
{
    if (check_query(query, err) < 0)
        return NULL;
    struct sa_store_read *read = sa_read_new(&sa_table_sandboxes, user);
    if (set_limit(read, query->limit, err) < 0 || set_cursor(read, query->cursor, err) < 0) {
        sa_read_release(&read->op);
        return NULL;
    }
    read->run = sa_query_page;
    read->owner = keep(read, query->owner);
    read->phase = keep(read, query->phase);
    keep_labels(read, query);
    read->done.sandboxes = done;
    read->op.finish = finish_sandboxes;
    return sa_read_push(store, read, err);
}

static void finish_executions(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_store_read *read = as_read(op);
    struct sa_store_execution_page page = {read->items, read->count, read->next};
    if (!read->canceled)
        read->done.executions(read->user, op->err, op->err ? NULL : &page);
}

struct sa_store_read *sa_store_list_executions(struct sa_store *store, const char *sandbox,
                                               const char *status, const char *cursor, size_t limit,
                                               sa_store_executions_done done, void *user,
                                               struct sa_error *err)
{
    if (check_id("sandbox", sandbox, err) < 0 || check_name("status", status, err) < 0)
        return NULL;
    struct sa_store_read *read = sa_read_new(&sa_table_executions, user);
    if (set_limit(read, limit, err) < 0 || set_cursor(read, cursor, err) < 0) {
        sa_read_release(&read->op);
        return NULL;
    }
    read->run = sa_query_page;
    read->sandbox = keep(read, sandbox);
    read->phase = keep(read, status);
    read->done.executions = done;
    read->op.finish = finish_executions;
    return sa_read_push(store, read, err);
}

static void finish_events(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_store_read *read = as_read(op);
    struct sa_store_event_page page = {read->items, read->count, read->more};
    if (!read->canceled)
        read->done.events(read->user, op->err, op->err ? NULL : &page);
}

struct sa_store_read *sa_store_list_events(struct sa_store *store, const char *sandbox,
                                           int64_t after_seq, size_t limit,
                                           sa_store_events_done done, void *user,
                                           struct sa_error *err)
{
    if (check_id("sandbox", sandbox, err) < 0)
        return NULL;
    struct sa_store_read *read = sa_read_new(&sa_table_events, user);
    if (set_limit(read, limit, err) < 0) {
        sa_read_release(&read->op);
        return NULL;
    }
    read->run = sa_query_page;
    read->sandbox = keep(read, sandbox);
    read->before_ms = after_seq;
    read->done.events = done;
    read->op.finish = finish_events;
    return sa_read_push(store, read, err);
}
