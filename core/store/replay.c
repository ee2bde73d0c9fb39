/*
 * The journal and the database. The database has the journal's name and the number of the last
 * write that is committed, which changes in the same transaction: what a crash left is applied
 * once, in order, on top of exactly that.
 */
#include "base/failpoint.h"
#include "log/log.h"
#include "store/internal.h"

#include <string.h>

enum { TRIES = 2 };

/* ---- what the database knows ---- */

static int read_row(struct sa_store *store, char name[SA_ID_BYTES], struct sa_error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (!sa_database_prepare(store->db.writer, &stmt, "SELECT name, seq FROM journal", err))
        return -1;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        snprintf(name, SA_ID_BYTES, "%s", text ? text : "");
        store->marked = store->seq = (uint64_t)sqlite3_column_int64(stmt, 1);
    } else {
        sa_database_error(store->db.writer, rc, "cannot read", err);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : -1;
}

static int write_name(struct sa_store *store, const char *name, struct sa_error *err)
{
    sa_autofree char *sql = sa_printf("UPDATE journal SET name='%s'", name);
    return sa_database_exec(store->db.writer, sql, err);
}

int sa_store_mark(struct sa_store *store, uint64_t seq, struct sa_error *err)
{
    sqlite3_stmt *stmt = sa_write_statement(store, SA_MARK_JOURNAL, err);
    if (!stmt)
        return -1;
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)seq);
    return sa_write_step(store, stmt, err) == SA_APPLIED ? 0 : -1;
}

/* ---- what a crash left ---- */

struct replay {
    struct sa_store *store;
    struct sa_error trouble; /* of the world's making: the journal is not to blame */
    uint64_t applied, refused;
};

static struct sa_write *decode(const struct sa_journal_entry *entry, struct sa_error *err)
{
    const unsigned schema = entry->tag >> 16, statement = entry->tag & 0xffff;
    if (schema != (unsigned)sa_store_layout.version) {
        sa_error_set(err, SA_EINVALID, "an entry of schema %u, where this program has %d", schema,
                     sa_store_layout.version);
        return NULL;
    }
    const struct sa_table *table =
        statement < SA_STATEMENT_COUNT ? sa_write_table((enum sa_statement)statement) : NULL;
    if (!table || statement == SA_ADD_KEY) {
        sa_error_set(err, SA_EINVALID, "an entry of an unknown kind (%u)", statement);
        return NULL;
    }
    struct sa_arena *arena = sa_arena_new();
    void *record = sa_arena_alloc(arena, table->record_bytes);
    struct sa_write *write = NULL;
    if (sa_table_decode(table, entry->bytes, entry->length, arena, record, err) == 0)
        write = sa_write_record((enum sa_statement)statement, record, err);
    sa_arena_free(arena);
    return write;
}

static int apply(struct replay *r, struct sa_write *write)
{
    struct sa_store *store = r->store;
    struct sa_error why = {.code = SA_OK};
    if (sa_database_exec(store->db.writer, "SAVEPOINT entry", &r->trouble) < 0)
        return -1;
    enum sa_applied applied = write->apply(store, write, &why);
    if (applied == SA_BROKEN && why.sys_errno) {
        r->trouble = why;
        return -1;
    }
    r->applied += applied == SA_APPLIED;
    r->refused += applied != SA_APPLIED;
    return sa_database_exec(
        store->db.writer,
        applied == SA_BROKEN ? "ROLLBACK TO entry; RELEASE entry" : "RELEASE entry", &r->trouble);
}

static int on_entry(void *user, const struct sa_journal_entry *entry, struct sa_error *err)
{
    struct replay *r = user;
    if (entry->seq <= r->store->marked)
        return 0;
    struct sa_write *write = decode(entry, err);
    if (!write)
        return -1;
    int result = apply(r, write);
    sa_op_free(&write->op);
    if (result == 0)
        r->store->seq = entry->seq;
    else if (err)
        *err = r->trouble;
    return result;
}

static void report(const struct replay *r, const struct sa_error *damage)
{
    if (damage->code)
        sa_log_error("the journal is damaged; records behind that are lost", SA_LOG_ERR(damage));
    if (r->applied + r->refused)
        sa_log_info("records that were not committed when the last run ended",
                    SA_LOG_U("written", r->applied), SA_LOG_U("refused", r->refused));
}

static int replay(struct sa_store *store, struct sa_error *err)
{
    struct replay r = {.store = store};
    struct sa_error damage = {.code = SA_OK};
    if (sa_database_begin(&store->db, err) < 0)
        return -1;
    sa_journal_read(store->journal, on_entry, &r, &damage);
    if (r.trouble.code == SA_OK && sa_store_mark(store, store->seq, &r.trouble) == 0 &&
        sa_database_commit(&store->db, &r.trouble) == 0) {
        store->marked = store->seq_settled = store->seq;
        sa_failpoint("store.replayed");
        report(&r, &damage);
        return 0;
    }
    if (!sqlite3_get_autocommit(store->db.writer))
        sqlite3_exec(store->db.writer, "ROLLBACK", NULL, NULL, NULL);
    if (err)
        *err = r.trouble;
    return sa_error_wrap(err, "writing what the last run left");
}

/* ---- the journal ---- */

/* Under the name that the database knows; a new one, where there is none, or it is somebody else's.
 */
static int open_journal(struct sa_store *store, struct sa_error *why, struct sa_error *err)
{
    char name[SA_ID_BYTES];
    if (read_row(store, name, err) < 0)
        return -1;
    for (int i = 0; i < TRIES && !store->journal; i++) {
        if (i > 0 || !sa_journal_name_valid(name)) {
            sa_journal_name_new(name);
            if (write_name(store, name, err) < 0)
                return -1;
        }
        store->journal = sa_journal_open(name, why);
    }
    return 0;
}

int sa_store_replay(struct sa_store *store, struct sa_error *err)
{
    struct sa_error why;
    if (open_journal(store, &why, err) < 0 || (store->journal && replay(store, err) < 0))
        return -1;
    store->replayed = true;
    if (store->journal && sa_journal_start(store->journal, &why) == 0)
        return 0;
    sa_log_warn(
        "no journal: every record is committed at once, and the last ones are lost when this "
        "process is killed",
        SA_LOG_ERR(&why));
    sa_journal_close(store->journal, true);
    store->journal = NULL;
    return 0;
}

bool sa_store_keep(struct sa_store *store, const struct sa_write *write)
{
    if (!write->table)
        return true; /* nothing but work */
    if (!store->journal)
        return false;
    const size_t length = sa_table_encoded(write->table, write->record);
    void *bytes = sa_journal_reserve(store->journal, length, store->seq_settled);
    if (!bytes)
        return false;
    sa_table_encode(write->table, write->record, bytes);
    sa_journal_put(store->journal, write->seq,
                   (uint32_t)sa_store_layout.version << 16 | write->statement, length);
    sa_failpoint("store.kept");
    return true;
}
