/* Idempotency keys, and the outputs that are kept for them: both for a day. */
#include "store/internal.h"

enum { PRUNE_ROWS = 100 /* with each write, so that they never pile up */ };

static enum sa_applied prune(struct sa_store *store, enum sa_statement which, int64_t before_ms,
                             struct sa_error *err)
{
    sqlite3_stmt *stmt = sa_write_statement(store, which, err);
    if (!stmt)
        return SA_BROKEN;
    sqlite3_bind_int64(stmt, 1, before_ms);
    sqlite3_bind_int64(stmt, 2, PRUNE_ROWS);
    return sa_write_step(store, stmt, err) == SA_APPLIED ? SA_APPLIED : SA_BROKEN;
}

static enum sa_applied put_and_prune(struct sa_store *store, struct sa_write *write,
                                     enum sa_statement old, int64_t created_ms,
                                     struct sa_error *err)
{
    sqlite3_stmt *stmt = sa_write_statement(store, write->statement, err);
    if (!stmt)
        return SA_BROKEN;
    sa_table_bind(write->table, write->record, stmt);
    enum sa_applied applied = sa_write_step(store, stmt, err);
    if (applied != SA_APPLIED)
        return applied;
    return prune(store, old, created_ms - SA_STORE_IDEMPOTENCY_HOURS * INT64_C(3600000), err);
}

enum sa_applied sa_apply_output(struct sa_store *store, struct sa_write *write,
                                struct sa_error *err)
{
    const struct sa_store_output *output = (const void *)write->record;
    return put_and_prune(store, write, SA_PRUNE_OUTPUTS, output->created_ms, err);
}

enum sa_applied sa_apply_idempotency(struct sa_store *store, struct sa_write *write,
                                     struct sa_error *err)
{
    const struct sa_store_idempotency *record = (const void *)write->record;
    return put_and_prune(store, write, SA_PRUNE_IDEMPOTENCY, record->created_ms, err);
}

enum sa_applied sa_apply_drop_idempotency(struct sa_store *store, struct sa_write *write,
                                          struct sa_error *err)
{
    const struct sa_store_idempotency *record = (const void *)write->record;
    sqlite3_stmt *stmt = sa_write_statement(store, write->statement, err);
    if (!stmt)
        return SA_BROKEN;
    sqlite3_bind_text(stmt, 1, record->hash, -1, SQLITE_STATIC);
    return sa_write_step(store, stmt, err);
}

int sa_store_put_output(struct sa_store *store, const struct sa_store_output *output,
                        sa_store_done done, void *user, struct sa_error *err)
{
    struct sa_write *write = sa_write_record(SA_PUT_OUTPUT, output, err);
    return write ? sa_write_push_for(store, write, done, user, err) : -1;
}

int sa_store_put_idempotency(struct sa_store *store, const struct sa_store_idempotency *record,
                             sa_store_done done, void *user, struct sa_error *err)
{
    struct sa_write *write = sa_write_record(SA_PUT_IDEMPOTENCY, record, err);
    return write ? sa_write_push_for(store, write, done, user, err) : -1;
}

int sa_store_drop_idempotency(struct sa_store *store, const char *hash, struct sa_error *err)
{
    struct sa_store_idempotency record = {.hash = hash, .body = "-"};
    struct sa_write *write = sa_write_record(SA_DROP_IDEMPOTENCY, &record, err);
    return write ? sa_write_push_for(store, write, NULL, NULL, err) : -1;
}

/* ---- reading ---- */

static void finish_output(struct sa_store *store, struct sa_op *op)
{
    struct sa_store_read *read = sa_container_of(op, struct sa_store_read, op);
    (void)store;
    if (!read->canceled)
        read->done.output(read->user, op->err, op->err ? NULL : read->items);
}

static void finish_idempotency(struct sa_store *store, struct sa_op *op)
{
    struct sa_store_read *read = sa_container_of(op, struct sa_store_read, op);
    (void)store;
    if (!read->canceled)
        read->done.idempotency(read->user, op->err, op->err ? NULL : read->items);
}

static struct sa_store_read *read_by(const struct sa_table *table, const char *key, void *user)
{
    struct sa_store_read *read = sa_read_new(table, user);
    read->run = sa_query_one;
    read->id = sa_arena_strdup(read->arena, key);
    return read;
}

struct sa_store_read *sa_store_get_output(struct sa_store *store, const char *execution,
                                          sa_store_output_done done, void *user,
                                          struct sa_error *err)
{
    struct sa_store_read *read = read_by(&sa_table_outputs, execution, user);
    read->done.output = done;
    read->op.finish = finish_output;
    return sa_read_push(store, read, err);
}

struct sa_store_read *sa_store_get_idempotency(struct sa_store *store, const char *hash,
                                               sa_store_idempotency_done done, void *user,
                                               struct sa_error *err)
{
    struct sa_store_read *read = read_by(&sa_table_idempotency, hash, user);
    read->done.idempotency = done;
    read->op.finish = finish_idempotency;
    return sa_read_push(store, read, err);
}
