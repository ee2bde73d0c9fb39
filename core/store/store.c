/* The store's life: open, close, and bringing results back to the loop. */
#include "base/clock.h"
#include "store/internal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

int sa_store_refuse_closing(struct sa_error *err)
{
    return sa_error_set(err, SA_EUNAVAILABLE, "the store is shutting down");
}

/* ---- deliveries ---- */

void sa_store_settle(struct sa_store *store, struct sa_op *op)
{
    if (!op->awaited) {
        sa_op_free(op);
        return;
    }
    bool first = !store->done.first; /* the loop takes them all at once */
    sa_queue_push(&store->done, op);
    if (first)
        uv_async_send(&store->async);
}

void sa_store_await(struct sa_store *store, bool more)
{
    size_t before = store->awaited;
    store->awaited += more ? 1 : (size_t)-1;
    if (before == 0)
        uv_ref((uv_handle_t *)&store->async);
    else if (store->awaited == 0)
        uv_unref((uv_handle_t *)&store->async);
}

static void deliver(struct sa_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct sa_queue done = store->done;
    store->done = (struct sa_queue){NULL, NULL};
    pthread_mutex_unlock(&store->lock);
    for (struct sa_op *op; (op = sa_queue_pop(&done));) {
        op->finish(store, op);
        sa_op_free(op);
        sa_store_await(store, false);
    }
}

static void on_async(uv_async_t *async)
{
    deliver(async->data);
}

/* ---- after a crash ---- */

/* Whoever opens the store runs nothing yet: executions that seem to run are what a crash left. The
 * sandboxes themselves may live on. */
static int close_leftovers(struct sa_store *store, struct sa_error *err)
{
    sa_autofree char *sql = sa_printf(
        "BEGIN IMMEDIATE;"
        "INSERT INTO events(sandbox, seq, time_ms, type, reason, message, count)"
        " SELECT id, 1 + coalesce((SELECT max(seq) FROM events WHERE sandbox=sandboxes.id), 0),"
        " %lld, 'Warning', '" SA_STORE_STOPPED "',"
        " 'the control plane stopped while the sandbox was running; its executions and contexts "
        "have ended', 1"
        " FROM sandboxes WHERE phase NOT IN ('Terminated','Failed');"
        "UPDATE executions SET status='failed', reason='" SA_STORE_STOPPED "'"
        " WHERE status NOT IN ('exited','signaled','timeout','oom','canceled','failed');"
        "COMMIT",
        (long long)store->options.wall_ms());
    if (sa_database_exec(store->db.writer, sql, err) == 0)
        return 0;
    if (!sqlite3_get_autocommit(store->db.writer))
        sqlite3_exec(store->db.writer, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

/* ---- open ---- */

static void set_options(struct sa_store *store, const struct sa_store_options *options)
{
    struct sa_store_options *o = &store->options;
    if (options)
        *o = *options;
    if (!o->write_queue)
        o->write_queue = 8192;
    if (!o->write_bytes)
        o->write_bytes = 32 * 1024 * 1024;
    if (!o->read_queue)
        o->read_queue = 1024;
    if (!o->busy_timeout_ms)
        o->busy_timeout_ms = 2000;
    if (!o->wall_ms)
        o->wall_ms = sa_wall_ms;
}

static void init_locks(struct sa_store *store)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->work, &monotonic);
    pthread_cond_init(&store->read_work, &monotonic);
    pthread_cond_init(&store->progress, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void store_free(struct sa_store *store)
{
    sa_keyring_free(store->keyring);
    for (int i = 0; i < SA_STATEMENT_COUNT; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_finalize(store->get_sandbox);
    sqlite3_finalize(store->page_events);
    sqlite3_finalize(store->get_execution);
    sqlite3_finalize(store->get_output);
    sqlite3_finalize(store->get_idempotency);
    /* What could not be written is tried again by the next store. */
    sa_journal_close(store->journal, store->replayed && !store->unhealthy);
    sa_database_close(&store->db);
    pthread_cond_destroy(&store->work);
    pthread_cond_destroy(&store->read_work);
    pthread_cond_destroy(&store->progress);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static void announce_closing(struct sa_store *store)
{
    pthread_mutex_lock(&store->lock);
    store->closing = true;
    pthread_cond_broadcast(&store->work);
    pthread_cond_broadcast(&store->read_work);
    pthread_cond_broadcast(&store->progress);
    pthread_mutex_unlock(&store->lock);
}

/* Signals are for the loop's thread: a file that outgrows its limit (SIGXFSZ) then is an error
 * of the write, too. */
static int start_thread(pthread_t *thread, void *(*body)(void *), struct sa_store *store)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(thread, NULL, body, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* The threads touch the loop's handle only for work, and there is none yet: so the handle can
 * come last, and failing half-way leaves nothing on the loop. */
static int start(struct sa_store *store, uv_loop_t *loop, struct sa_error *err)
{
    int rc = start_thread(&store->writer, sa_writer_main, store);
    if (rc)
        return sa_error_sys(err, SA_EUNAVAILABLE, rc, "cannot start the store's writer");
    rc = start_thread(&store->reader, sa_reader_main, store);
    if (rc) {
        announce_closing(store);
        pthread_join(store->writer, NULL);
        return sa_error_sys(err, SA_EUNAVAILABLE, rc, "cannot start the store's reader");
    }
    rc = uv_async_init(loop, &store->async, on_async);
    if (rc) {
        announce_closing(store);
        pthread_join(store->writer, NULL);
        pthread_join(store->reader, NULL);
        return sa_error_set(err, SA_EUNAVAILABLE, "cannot add the store to the loop: %s",
                            uv_strerror(rc));
    }
    store->async.data = store;
    uv_unref((uv_handle_t *)&store->async);
    return 0;
}

struct sa_store *sa_store_open(const char *data_dir, uv_loop_t *loop,
                               const struct sa_store_options *options, struct sa_error *err)
{
    struct sa_store *store = sa_alloc(sizeof *store);
    set_options(store, options);
    init_locks(store);
    if (sa_database_open(&store->db, data_dir, &sa_store_layout, store->options.busy_timeout_ms,
                         err) == 0 &&
        sa_store_replay(store, err) == 0 && close_leftovers(store, err) == 0 &&
        (store->keyring = sa_keyring_load(store, err)) && start(store, loop, err) == 0)
        return store;
    store_free(store);
    return NULL;
}

/* ---- close ---- */

static void on_closed(uv_handle_t *handle)
{
    struct sa_store *store = handle->data;
    deliver(store); /* what the threads finished meanwhile */
    void (*closed)(void *user) = store->closed;
    void *user = store->closed_user;
    store_free(store);
    if (closed)
        closed(user);
}

void sa_store_close(struct sa_store *store, void (*closed)(void *user), void *user)
{
    store->closed = closed;
    store->closed_user = user;
    announce_closing(store);
    pthread_join(store->writer, NULL);
    pthread_join(store->reader, NULL);
    uv_close((uv_handle_t *)&store->async, on_closed);
}

/* ---- what it says about itself ---- */

bool sa_store_healthy(struct sa_store *store, char *message, size_t bytes)
{
    pthread_mutex_lock(&store->lock);
    bool healthy = !store->unhealthy;
    if (message && bytes > 0)
        snprintf(message, bytes, "%s", healthy ? "" : store->complaint);
    pthread_mutex_unlock(&store->lock);
    return healthy;
}

void sa_store_stats(struct sa_store *store, struct sa_store_stats *out)
{
    pthread_mutex_lock(&store->lock);
    *out = store->stats;
    out->write_queued = store->write_queued;
    out->read_queued = store->read_queued;
    pthread_mutex_unlock(&store->lock);
}
