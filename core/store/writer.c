/*
 * The writing thread. It takes what is queued, applies it in one transaction and hands the
 * operations back. While it commits, the next group gathers by itself; when nobody waits for an
 * answer it also lingers a little, so that a trickle of records does not cost a commit each: most
 * of one are the pages that it changes, and those are the same for a few records and for many.
 * Until then they are in the journal as well, from where they are taken after kill -9; what finds
 * no room there is urgent.
 *
 * A group that fails is rolled back and its writes are made one by one, each in a transaction of
 * its own: a bad write fails alone. When the world is at fault (disk full, I/O error, lock) the
 * store is unhealthy until a write succeeds, and one is tried each second.
 */
#include "base/clock.h"
#include "base/failpoint.h"
#include "store/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { GROUP_MAX = 1024, LINGER_MS = 25, PROBE_MS = 1000, CLOSING_BUSY_MS = 100 };

void sa_queue_push(struct sa_queue *queue, struct sa_op *op)
{
    op->next = NULL;
    if (queue->last)
        queue->last->next = op;
    else
        queue->first = op;
    queue->last = op;
}

struct sa_op *sa_queue_pop(struct sa_queue *queue)
{
    struct sa_op *op = queue->first;
    if (op) {
        queue->first = op->next;
        if (!queue->first)
            queue->last = NULL;
        op->next = NULL;
    }
    return op;
}

void sa_op_free(struct sa_op *op)
{
    if (!op)
        return;
    free(op->err);
    if (op->release)
        op->release(op);
    else
        free(op);
}

void sa_op_fail(struct sa_op *op, const struct sa_error *err)
{
    if (!op->err)
        op->err = sa_alloc(sizeof *op->err);
    *op->err = *err;
    /* At run time a damaged file is nothing the request could have got wrong. */
    if (op->err->sys_errno && op->err->code == SA_EINVALID)
        op->err->code = SA_EUNAVAILABLE;
}

static struct sa_write *as_write(struct sa_op *op)
{
    return sa_container_of(op, struct sa_write, op);
}

/* ---- transactions (no lock held) ---- */

static void roll_back(struct sa_store *store)
{
    if (!sqlite3_get_autocommit(store->db.writer)) /* else SQLite did it already */
        sqlite3_exec(store->db.writer, "ROLLBACK", NULL, NULL, NULL);
}

struct group {
    struct sa_op *first;
    uint64_t seq; /* it settles all writes up to this one */
    bool kept;    /* the journal has some of them */
};

static int commit(struct sa_store *store, const struct group *group, struct sa_error *err)
{
    if (group->kept && sa_store_mark(store, group->seq, err) < 0)
        return -1;
    if (sa_database_commit(&store->db, err) < 0)
        return -1;
    if (group->kept)
        store->marked = group->seq;
    sa_failpoint("store.committed");
    return 0;
}

/* At most `max` writes of the group in one transaction. -1: nothing was written. Writes that were
 * refused alone carry their error, the others none. */
static int transact(struct sa_store *store, const struct group *group, size_t max,
                    struct sa_error *err)
{
    struct sa_op *op = group->first;
    if (sa_database_begin(&store->db, err) < 0)
        return -1;
    for (; op && max > 0; op = op->next, max--) {
        struct sa_write *write = as_write(op);
        struct sa_error why = {.code = SA_OK};
        free(op->err);
        op->err = NULL;
        write->again = false;
        struct sa_write *latest = write->newer ? write->newer : write;
        enum sa_applied applied = latest->apply(store, latest, &why);
        if (applied == SA_REFUSED)
            sa_op_fail(op, &why);
        if (applied == SA_BROKEN) {
            roll_back(store);
            if (err)
                *err = why;
            return -1;
        }
    }
    if (commit(store, group, err) == 0)
        return 0;
    roll_back(store);
    return -1;
}

/* Returns the number of transactions; the last error of the world's making goes to `trouble`. */
static size_t write_group(struct sa_store *store, const struct group *group,
                          struct sa_error *trouble)
{
    struct sa_error err = {.code = SA_OK};
    if (transact(store, group, GROUP_MAX, &err) == 0)
        return 1;
    size_t groups = 0;
    for (struct sa_op *op = group->first; op; op = op->next) {
        const struct group one = {.first = op, .seq = as_write(op)->seq, .kept = group->kept};
        /* A lock outlasted its timeout: do not wait for it again with each write. */
        bool again = group->first->next && err.sys_errno != EBUSY;
        if (again && transact(store, &one, 1, &err) == 0) {
            groups++;
            continue;
        }
        sa_op_fail(op, &err);
        as_write(op)->again = false;
        if (err.sys_errno)
            *trouble = err;
    }
    return groups;
}

static void probe(struct sa_store *store, struct sa_error *trouble)
{
    struct sa_error err = {.code = SA_OK};
    /* Setting the version to what it is writes page 1. */
    sa_autofree char *sql =
        sa_printf("BEGIN IMMEDIATE; PRAGMA user_version=%d; COMMIT", sa_store_layout.version);
    if (sa_database_exec(store->db.writer, sql, &err) == 0)
        return;
    roll_back(store);
    *trouble = err;
}

/* ---- the queue (lock held) ---- */

static void wait_ms(struct sa_store *store, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + ms * 1000000;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(&store->work, &store->lock, &until);
}

/* Wait for work; false when there is none left and the store closes. An empty queue and true:
 * it is time to probe. */
static bool wait_for_work(struct sa_store *store)
{
    if (!store->writes.first && !store->closing && store->unhealthy) {
        wait_ms(store, PROBE_MS);
        return true;
    }
    while (!store->writes.first && !store->closing)
        pthread_cond_wait(&store->work, &store->lock);
    int64_t linger_until = sa_monotonic_ms() + LINGER_MS;
    while (!store->urgent && !store->closing && store->write_queued < GROUP_MAX) {
        int64_t left = linger_until - sa_monotonic_ms();
        if (left <= 0)
            break;
        wait_ms(store, left);
    }
    return store->writes.first || !store->closing;
}

/* ---- rows that are written again before they were written (lock held) ---- */

static const char *row_id(const struct sa_write *write)
{
    const char *id;
    memcpy(&id, write->record + write->table->columns[0].offset, sizeof id);
    return id;
}

static void close_row(struct sa_store *store, struct sa_write *write)
{
    if (write->listed) // so the table is there: NOLINTNEXTLINE(clang-analyzer-core.NullDereference)
        HASH_DEL(store->open, write);
    write->listed = false;
}

static void release_row(struct sa_op *op)
{
    struct sa_write *write = as_write(op);
    free(write->newer);
    free(write);
}

/* True: what is queued for that row got its contents, and keeps its place, since what refers to the
 * row is behind it. A sandbox that lives for a few milliseconds is one row written once. */
static bool renew(struct sa_store *store, struct sa_write *write)
{
    const enum sa_statement which = write->statement;
    const bool row = which == SA_PUT_SANDBOX || which == SA_PUT_EXECUTION;
    struct sa_write *older;
    if (!write->table || (!row && which != SA_SET_PHASE))
        return false;
    HASH_FIND_STR(store->open, row_id(write), older);
    const bool last = row && !write->op.awaited && !write->sync;
    if (older && last && older->statement == which) {
        store->write_bytes += write->bytes;
        older->bytes += write->bytes;
        if (older->newer) {
            store->write_bytes -= older->newer->bytes;
            older->bytes -= older->newer->bytes;
        }
        free(older->newer);
        older->newer = write;
        return true;
    }
    if (older)
        close_row(store, older); /* this one is to be after it */
    if (last) {
        const char *id = row_id(write);
        HASH_ADD_KEYPTR(hh, store->open, id, strlen(id), write);
        write->listed = true;
        write->op.release = release_row;
    }
    return false;
}

static struct group take_group(struct sa_store *store)
{
    struct sa_queue group = {NULL, NULL};
    for (int n = 0; n < GROUP_MAX && store->writes.first; n++) {
        struct sa_op *op = sa_queue_pop(&store->writes);
        close_row(store, as_write(op));
        sa_queue_push(&group, op);
    }
    if (!store->writes.first)
        store->urgent = false;
    /* Where nothing is left behind, that includes what other writes of their rows took in. */
    const uint64_t seq = store->writes.first && group.last ? as_write(group.last)->seq : store->seq;
    return (struct group){.first = group.first,
                          .seq = seq,
                          .kept =
                              store->journal && sa_journal_last(store->journal) > store->marked};
}

static void settle_write(struct sa_store *store, struct sa_op *op)
{
    struct sa_write *write = as_write(op);
    store->settled++;
    if (write->committed && !op->err)
        write->committed(write);
    if (write->again && !store->closing) { /* behind what came meanwhile */
        store->made++;
        write->seq = ++store->seq;
        sa_queue_push(&store->writes, op);
        return;
    }
    if (write->again) {
        struct sa_error err = {.code = SA_OK};
        sa_store_refuse_closing(&err);
        sa_op_fail(op, &err);
    }
    if (op->err)
        store->stats.failed++;
    else
        store->stats.writes++;
    store->write_queued--;
    store->write_bytes -= write->bytes;
    if (write->sync)
        write->finished = true;
    else
        sa_store_settle(store, op);
}

static void note_health(struct sa_store *store, const struct sa_error *trouble)
{
    store->unhealthy = trouble->code != SA_OK;
    snprintf(store->complaint, sizeof store->complaint, "%s", trouble->message);
}

void *sa_writer_main(void *arg)
{
    struct sa_store *store = arg;
    pthread_mutex_lock(&store->lock);
    while (wait_for_work(store)) {
        const struct group group = take_group(store);
        if (!group.first && !store->unhealthy)
            continue;
        if (store->closing)
            sqlite3_busy_timeout(store->db.writer, CLOSING_BUSY_MS);
        pthread_mutex_unlock(&store->lock);
        struct sa_error trouble = {.code = SA_OK};
        size_t groups = 0;
        if (group.first)
            groups = write_group(store, &group, &trouble);
        else
            probe(store, &trouble);
        pthread_mutex_lock(&store->lock);
        store->stats.groups += groups;
        note_health(store, &trouble);
        for (struct sa_op *op = group.first, *next; op; op = next) {
            next = op->next;
            settle_write(store, op);
        }
        store->seq_settled = group.seq;
        pthread_cond_broadcast(&store->progress);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}

/* ---- calls (loop's thread) ---- */

static int enqueue(struct sa_store *store, struct sa_write *write, struct sa_error *err)
{
    if (store->closing)
        return sa_store_refuse_closing(err);
    if (store->write_queued >= store->options.write_queue ||
        store->write_bytes + write->bytes > store->options.write_bytes) {
        store->stats.refused++;
        return sa_error_set(err, SA_EUNAVAILABLE,
                            "too many records wait to be written (%zu); try again later",
                            store->write_queued);
    }
    write->seq = ++store->seq;
    bool urgent = write->op.awaited || write->sync || !sa_store_keep(store, write);
    bool first = !store->writes.first;
    if (!renew(store, write)) {
        store->write_queued++;
        store->write_bytes += write->bytes;
        store->made++;
        sa_queue_push(&store->writes, &write->op);
    }
    if (first || (urgent && !store->urgent) || store->write_queued == GROUP_MAX)
        pthread_cond_signal(&store->work);
    store->urgent |= urgent;
    return 0;
}

int sa_write_push(struct sa_store *store, struct sa_write *write, struct sa_error *err)
{
    bool awaited = write->op.awaited; /* once queued it may be gone at any time */
    pthread_mutex_lock(&store->lock);
    int result = enqueue(store, write, err);
    pthread_mutex_unlock(&store->lock);
    if (result < 0)
        sa_op_free(&write->op);
    else if (awaited)
        sa_store_await(store, true);
    return result;
}

int sa_write_sync(struct sa_store *store, struct sa_write *write, struct sa_error *err)
{
    write->sync = true;
    pthread_mutex_lock(&store->lock);
    int result = enqueue(store, write, err);
    while (result == 0 && !write->finished)
        pthread_cond_wait(&store->progress, &store->lock);
    pthread_mutex_unlock(&store->lock);
    if (result == 0 && write->op.err) {
        if (err)
            *err = *write->op.err;
        result = -1;
    }
    return result;
}
