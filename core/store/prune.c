/*
 * Retention. A prune is one write that queues itself again after each batch, so that other
 * writes and the disk get their turn between: executions first, then events, then sandboxes,
 * whose own rows are few by then (the rest goes by ON DELETE CASCADE).
 */
#include "store/internal.h"

enum { BATCH_ROWS = 500 };

struct prune {
    enum sa_statement step;
    int64_t before_ms;
    uint64_t rows;       /* of batches that are committed */
    uint64_t batch_rows; /* of the one just made */
    sa_store_pruned done;
    void *user;
};

static struct prune *as_prune(struct sa_write *write)
{
    return (void *)write->record;
}

/* Counts and advances nothing itself: when a group is rolled back, this is done again. */
static enum sa_applied apply_prune(struct sa_store *store, struct sa_write *write,
                                   struct sa_error *err)
{
    struct prune *prune = as_prune(write);
    sqlite3_stmt *stmt = sa_write_statement(store, prune->step, err);
    if (!stmt)
        return SA_BROKEN;
    sqlite3_bind_int64(stmt, 1, prune->before_ms);
    sqlite3_bind_int64(stmt, 2, BATCH_ROWS);
    enum sa_applied applied = sa_write_step(store, stmt, err);
    if (applied != SA_APPLIED)
        return applied;
    prune->batch_rows = (uint64_t)sqlite3_changes(store->db.writer);
    write->again = prune->batch_rows == BATCH_ROWS || prune->step != SA_PRUNE_SANDBOXES;
    return SA_APPLIED;
}

static void finish(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_write *write = sa_container_of(op, struct sa_write, op);
    struct prune *prune = as_prune(write);
    prune->done(prune->user, op->err, prune->rows);
}

/* The batch is on disk. */
static void next_batch(struct sa_write *write)
{
    struct prune *prune = as_prune(write);
    prune->rows += prune->batch_rows;
    if (prune->batch_rows < BATCH_ROWS && prune->step != SA_PRUNE_SANDBOXES)
        prune->step++;
    prune->batch_rows = 0;
}

int sa_store_prune(struct sa_store *store, int64_t before_ms, sa_store_pruned done, void *user,
                   struct sa_error *err)
{
    struct sa_write *write = sa_alloc(sizeof *write + sizeof(struct prune));
    struct prune *prune = as_prune(write);
    *prune = (struct prune){
        .step = SA_PRUNE_EXECUTIONS, .before_ms = before_ms, .done = done, .user = user};
    write->apply = apply_prune;
    write->committed = next_batch;
    write->bytes = sizeof *write + sizeof *prune;
    write->op.awaited = done != NULL;
    write->op.finish = finish;
    if (sa_write_push(store, write, err) < 0)
        return -1;
    sa_keyring_prune(store, before_ms);
    return 0;
}
