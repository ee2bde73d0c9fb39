/* The calls that write records, and how they are applied on the writer's thread. */
#include "store/internal.h"

#include <string.h>

static const char set_phase[] = "UPDATE sandboxes SET phase=?2, reason=?3, message=?4, ended_ms=?5,"
                                " expires_ms=?6 WHERE id=?1";
static const char drop_labels[] = "DELETE FROM sandbox_labels WHERE sandbox=?1";
/* A value that is no text becomes NULL, which the column refuses; of a repeated key the last
 * counts, as in most JSON readers. */
static const char add_labels[] =
    "INSERT INTO sandbox_labels(sandbox, key, value, created_ms)"
    " SELECT ?1, key, CASE type WHEN 'text' THEN value END, ?3"
    " FROM json_each(CASE json_type(?2) WHEN 'object' THEN ?2 ELSE 'not an object' END)"
    " WHERE true ON CONFLICT(sandbox, key) DO UPDATE SET value=excluded.value";
static const char trim_events[] = "DELETE FROM events WHERE sandbox=?1 AND seq<=?2";
static const char prune_executions[] =
    "DELETE FROM executions WHERE rowid IN (SELECT rowid FROM executions WHERE started_ms<?1"
    " AND status IN ('exited','signaled','timeout','oom','canceled','failed') LIMIT ?2)";
static const char prune_events[] = "DELETE FROM events WHERE (sandbox, seq) IN"
                                   " (SELECT sandbox, seq FROM events WHERE time_ms<?1 LIMIT ?2)";
static const char prune_sandboxes[] =
    "DELETE FROM sandboxes WHERE rowid IN (SELECT rowid FROM sandboxes WHERE ended_ms>0"
    " AND ended_ms<?1 AND phase IN ('Terminated','Failed') LIMIT ?2)";
static const char add_key[] =
    "INSERT INTO keys(id, name, role, prefix, hash, created_ms, expires_ms, revoked_ms,"
    " last_used_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

static const char *const statements[SA_STATEMENT_COUNT] = {
    [SA_SET_PHASE] = set_phase,
    [SA_DROP_LABELS] = drop_labels,
    [SA_ADD_LABELS] = add_labels,
    [SA_TRIM_EVENTS] = trim_events,
    [SA_PRUNE_EXECUTIONS] = prune_executions,
    [SA_PRUNE_EVENTS] = prune_events,
    [SA_PRUNE_SANDBOXES] = prune_sandboxes,
    [SA_ADD_KEY] = add_key,
    [SA_REVOKE_KEY] = "UPDATE keys SET revoked_ms=?8 WHERE id=?1",
    [SA_TOUCH_KEY] = "UPDATE keys SET last_used_ms=max(last_used_ms, ?9) WHERE id=?1",
    [SA_DROP_KEY] = "DELETE FROM keys WHERE id=?1",
    [SA_DROP_IDEMPOTENCY] = "DELETE FROM idempotency WHERE hash=?1",
    [SA_PRUNE_IDEMPOTENCY] = ("DELETE FROM idempotency WHERE rowid IN"
                              " (SELECT rowid FROM idempotency WHERE created_ms<?1 LIMIT ?2)"),
    [SA_PRUNE_OUTPUTS] = ("DELETE FROM outputs WHERE rowid IN"
                          " (SELECT rowid FROM outputs WHERE created_ms<?1 LIMIT ?2)"),
    [SA_MARK_JOURNAL] = "UPDATE journal SET seq=?1",
};

static sa_apply apply_record, apply_sandbox, apply_event, apply_phase;

/* Those that write records; what has no SQL above is an upsert. */
static const struct {
    const struct sa_table *table;
    sa_apply *apply;
} kinds[SA_STATEMENT_COUNT] = {
    [SA_PUT_SANDBOX] = {&sa_table_sandboxes, apply_sandbox},
    [SA_PUT_EXECUTION] = {&sa_table_executions, apply_record},
    [SA_PUT_EVENT] = {&sa_table_events, apply_event},
    [SA_SET_PHASE] = {&sa_table_phases, apply_phase},
    [SA_ADD_KEY] = {&sa_table_keys, apply_record},
    [SA_REVOKE_KEY] = {&sa_table_keys, apply_record},
    [SA_TOUCH_KEY] = {&sa_table_keys, apply_record},
    [SA_DROP_KEY] = {&sa_table_keys, apply_record},
    [SA_PUT_OUTPUT] = {&sa_table_outputs, sa_apply_output},
    [SA_PUT_IDEMPOTENCY] = {&sa_table_idempotency, sa_apply_idempotency},
    [SA_DROP_IDEMPOTENCY] = {&sa_table_idempotency, sa_apply_drop_idempotency},
};

const struct sa_table *sa_write_table(enum sa_statement statement)
{
    return kinds[statement].table;
}

sqlite3_stmt *sa_write_statement(struct sa_store *store, enum sa_statement which,
                                 struct sa_error *err)
{
    sqlite3_stmt **slot = &store->statements[which];
    sa_autobuf sql = SA_BUF_INIT;
    if (!*slot && !statements[which])
        sa_table_upsert_sql(kinds[which].table, &sql);
    return sa_database_prepare(store->db.writer, slot, sql.data ? sql.data : statements[which],
                               err);
}

enum sa_applied sa_write_step(struct sa_store *store, sqlite3_stmt *stmt, struct sa_error *err)
{
    int rc = sqlite3_step(stmt);
    if (rc != SQLITE_DONE)
        sa_database_error(store->db.writer, rc, "cannot write", err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt); /* they point into the write, which goes */
    if (rc == SQLITE_DONE)
        return SA_APPLIED;
    return (rc & 0xff) == SQLITE_CONSTRAINT ? SA_REFUSED : SA_BROKEN;
}

/* ---- applying (writer's thread) ---- */

static enum sa_applied apply_record(struct sa_store *store, struct sa_write *write,
                                    struct sa_error *err)
{
    sqlite3_stmt *stmt = sa_write_statement(store, write->statement, err);
    if (!stmt)
        return SA_BROKEN;
    sa_table_bind(write->table, write->record, stmt);
    return sa_write_step(store, stmt, err);
}

static enum sa_applied apply_phase(struct sa_store *store, struct sa_write *write,
                                   struct sa_error *err)
{
    enum sa_applied applied = apply_record(store, write, err);
    if (applied != SA_APPLIED || sqlite3_changes(store->db.writer) > 0)
        return applied;
    const struct sa_store_phase *phase = (const void *)write->record;
    sa_error_at(err, SA_ENOTFOUND, "id", "no sandbox %.64s in the store", phase->id);
    return SA_REFUSED;
}

static enum sa_applied apply_labels(struct sa_store *store, const struct sa_store_sandbox *sandbox,
                                    struct sa_error *err)
{
    sqlite3_stmt *drop = sa_write_statement(store, SA_DROP_LABELS, err);
    sqlite3_stmt *add = drop ? sa_write_statement(store, SA_ADD_LABELS, err) : NULL;
    if (!add)
        return SA_BROKEN;
    sqlite3_bind_text(drop, 1, sandbox->id, -1, SQLITE_STATIC);
    if (sa_write_step(store, drop, err) != SA_APPLIED)
        return SA_BROKEN;
    if (!sandbox->labels[0])
        return SA_APPLIED;
    sqlite3_bind_text(add, 1, sandbox->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(add, 2, sandbox->labels, -1, SQLITE_STATIC);
    sqlite3_bind_int64(add, 3, sandbox->created_ms);
    struct sa_error why = {.code = SA_OK};
    if (sa_write_step(store, add, &why) == SA_APPLIED)
        return SA_APPLIED;
    if (why.sys_errno == 0) /* not the disk: the text */
        sa_error_at(err, SA_EINVALID, "labels", "labels: not a JSON object of strings");
    else if (err)
        *err = why;
    return SA_BROKEN; /* the sandbox itself is written by now */
}

static enum sa_applied apply_sandbox(struct sa_store *store, struct sa_write *write,
                                     struct sa_error *err)
{
    enum sa_applied applied = apply_record(store, write, err);
    return applied == SA_APPLIED ? apply_labels(store, (const void *)write->record, err) : applied;
}

static enum sa_applied apply_event(struct sa_store *store, struct sa_write *write,
                                   struct sa_error *err)
{
    const struct sa_store_event *event = (const void *)write->record;
    enum sa_applied applied = apply_record(store, write, err);
    if (applied != SA_APPLIED || event->seq <= SA_STORE_EVENTS_MAX)
        return applied;
    sqlite3_stmt *trim = sa_write_statement(store, SA_TRIM_EVENTS, err);
    if (!trim)
        return SA_BROKEN;
    sqlite3_bind_text(trim, 1, event->sandbox, -1, SQLITE_STATIC);
    sqlite3_bind_int64(trim, 2, event->seq - SA_STORE_EVENTS_MAX);
    return sa_write_step(store, trim, err) == SA_APPLIED ? SA_APPLIED : SA_BROKEN;
}

/* ---- calls (loop's thread) ---- */

struct sa_write *sa_write_record(enum sa_statement statement, const void *record,
                                 struct sa_error *err)
{
    const struct sa_table *table = kinds[statement].table;
    size_t lengths[SA_COLUMNS_MAX];
    size_t bytes = sa_table_measure(table, record, lengths, err);
    if (bytes == 0)
        return NULL;
    struct sa_write *write = sa_alloc(sizeof *write + bytes);
    sa_table_copy(table, record, lengths, write->record);
    write->apply = kinds[statement].apply;
    write->bytes = sizeof *write + bytes;
    write->table = table;
    write->statement = statement;
    return write;
}

static void finish(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_write *write = sa_container_of(op, struct sa_write, op);
    write->done(write->user, op->err);
}

int sa_write_push_for(struct sa_store *store, struct sa_write *write, sa_store_done done,
                      void *user, struct sa_error *err)
{
    write->op.awaited = done != NULL;
    write->op.finish = finish;
    write->done = done;
    write->user = user;
    return sa_write_push(store, write, err);
}

static bool has_ended(const char *phase)
{
    return phase && (strcmp(phase, "Terminated") == 0 || strcmp(phase, "Failed") == 0);
}

int sa_store_put_sandbox(struct sa_store *store, const struct sa_store_sandbox *sandbox,
                         sa_store_done done, void *user, struct sa_error *err)
{
    struct sa_store_sandbox record = *sandbox;
    if (has_ended(record.phase) && record.ended_ms == 0)
        record.ended_ms = store->options.wall_ms(); /* or it would never be pruned */
    struct sa_write *write = sa_write_record(SA_PUT_SANDBOX, &record, err);
    return write ? sa_write_push_for(store, write, done, user, err) : -1;
}

int sa_store_put_execution(struct sa_store *store, const struct sa_store_execution *execution,
                           sa_store_done done, void *user, struct sa_error *err)
{
    struct sa_store_execution record = *execution;
    if (record.command && strnlen(record.command, SA_STORE_COMMAND_MAX + 1) > SA_STORE_COMMAND_MAX)
        record.command_truncated = true;
    struct sa_write *write = sa_write_record(SA_PUT_EXECUTION, &record, err);
    return write ? sa_write_push_for(store, write, done, user, err) : -1;
}

int sa_store_put_event(struct sa_store *store, const struct sa_store_event *event,
                       sa_store_done done, void *user, struct sa_error *err)
{
    if (event->seq < 1)
        return sa_error_at(err, SA_EINVALID, "seq", "seq: must be at least 1");
    struct sa_write *write = sa_write_record(SA_PUT_EVENT, event, err);
    return write ? sa_write_push_for(store, write, done, user, err) : -1;
}

int sa_store_set_phase(struct sa_store *store, const struct sa_store_phase *phase,
                       sa_store_done done, void *user, struct sa_error *err)
{
    struct sa_store_phase record = *phase;
    if (has_ended(record.phase) && record.ended_ms == 0)
        record.ended_ms = store->options.wall_ms();
    struct sa_write *write = sa_write_record(SA_SET_PHASE, &record, err);
    return write ? sa_write_push_for(store, write, done, user, err) : -1;
}
