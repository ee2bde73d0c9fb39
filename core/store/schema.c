/*
 * The schema, as numbered migrations. Never change one that was released: add another. Each runs
 * in a transaction of its own together with the change of PRAGMA user_version.
 */
#include "store/internal.h"

static const char keys[] =
    "CREATE TABLE keys("
    " id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,"
    " prefix TEXT NOT NULL UNIQUE, hash TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL, revoked_ms INTEGER NOT NULL, last_used_ms INTEGER NOT NULL"
    ") STRICT;";

/* Partial indexes (…_live) hold the few rows that have not ended: the work of a start after a
 * crash. Their WHERE must read exactly as the queries' (store.c). */
static const char sandboxes[] =
    "CREATE TABLE sandboxes("
    " id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, user TEXT NOT NULL,"
    " runtime TEXT NOT NULL, phase TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,"
    " spec TEXT NOT NULL, labels TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX sandboxes_created ON sandboxes(created_ms, id);"
    "CREATE INDEX sandboxes_owner ON sandboxes(owner, created_ms, id);"
    "CREATE INDEX sandboxes_ended ON sandboxes(ended_ms) WHERE ended_ms > 0;"
    "CREATE INDEX sandboxes_live ON sandboxes(created_ms, id)"
    " WHERE phase NOT IN ('Terminated','Failed');"
    /* created_ms is repeated here so that one index gives a label's sandboxes in their order. */
    "CREATE TABLE sandbox_labels("
    " sandbox TEXT NOT NULL REFERENCES sandboxes(id) ON DELETE CASCADE,"
    " key TEXT NOT NULL, value TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " PRIMARY KEY(sandbox, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX sandbox_labels_value ON sandbox_labels(key, value, created_ms, sandbox);";

static const char executions[] =
    "CREATE TABLE executions("
    " id TEXT NOT NULL PRIMARY KEY,"
    " sandbox TEXT NOT NULL REFERENCES sandboxes(id) ON DELETE CASCADE,"
    " kind TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, command TEXT NOT NULL,"
    " exit_code INTEGER NOT NULL, signal INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
    " duration_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL,"
    " memory_peak_bytes INTEGER NOT NULL, out_total INTEGER NOT NULL,"
    " err_total INTEGER NOT NULL, out_truncated INTEGER NOT NULL,"
    " err_truncated INTEGER NOT NULL, command_truncated INTEGER NOT NULL) STRICT;"
    "CREATE INDEX executions_sandbox ON executions(sandbox, started_ms, id);"
    "CREATE INDEX executions_started ON executions(started_ms);"
    "CREATE INDEX executions_live ON executions(id) WHERE status NOT IN"
    " ('exited','signaled','timeout','oom','canceled','failed');"
    "CREATE TABLE events("
    " sandbox TEXT NOT NULL REFERENCES sandboxes(id) ON DELETE CASCADE,"
    " seq INTEGER NOT NULL, time_ms INTEGER NOT NULL, type TEXT NOT NULL, reason TEXT NOT NULL,"
    " message TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(sandbox, seq)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX events_time ON events(time_ms);";

/* Executions as resources: what is asked of them again. */
static const char idempotency[] =
    "ALTER TABLE executions ADD COLUMN context TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE executions ADD COLUMN tty INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE outputs("
    " execution TEXT NOT NULL PRIMARY KEY REFERENCES executions(id) ON DELETE CASCADE,"
    " out TEXT NOT NULL, err TEXT NOT NULL, out_cut INTEGER NOT NULL, err_cut INTEGER NOT NULL,"
    " results TEXT NOT NULL, main_result INTEGER NOT NULL, error TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX outputs_created ON outputs(created_ms);"
    "CREATE TABLE idempotency("
    " hash TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL, resource TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX idempotency_created ON idempotency(created_ms);";

/* The name of the file with what is not committed yet (journal.h), and up to where it is. */
static const char journal[] =
    "CREATE TABLE journal(name TEXT NOT NULL, seq INTEGER NOT NULL) STRICT;"
    "INSERT INTO journal VALUES('', 0);";

static const char *const migrations[] = {keys, sandboxes, executions, idempotency, journal};

const struct sa_database_layout sa_store_layout = {
    .name = "secureagent",
    .application_id = 0x5341474e, /* "SAGN" */
    .migrations = migrations,
    .version = (int)SA_COUNT(migrations),
    .reader = true,
};
