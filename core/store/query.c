/* The questions the reading thread asks the database. */
#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A page stops at so much text, however few its records are: what one answer may cost. */
enum { PAGE_BYTES = 4 * 1024 * 1024, FIRST_RECORDS = 8 };

struct binds { /* texts and numbers, in the order of the question marks */
    struct {
        const char *text; /* NULL: the number */
        int64_t number;
    } values[SA_STORE_QUERY_LABELS_MAX + SA_STORE_QUERY_VALUES_MAX + 8];
    int count;
};

static void bind_text(struct binds *binds, const char *text)
{
    binds->values[binds->count++].text = text;
}

static void bind_number(struct binds *binds, int64_t number)
{
    binds->values[binds->count].text = NULL;
    binds->values[binds->count++].number = number;
}

static void bind_all(sqlite3_stmt *stmt, const struct binds *binds)
{
    for (int i = 0; i < binds->count; i++) {
        if (binds->values[i].text)
            sqlite3_bind_text(stmt, i + 1, binds->values[i].text, -1, SQLITE_STATIC);
        else
            sqlite3_bind_int64(stmt, i + 1, binds->values[i].number);
    }
}

/* One record by its key: the most frequent question, so its statement is kept. */
static sqlite3_stmt *prepare_one(struct sa_store *store, const struct sa_store_read *read,
                                 struct sa_error *err)
{
    sqlite3_stmt **slot = read->table == &sa_table_executions    ? &store->get_execution
                          : read->table == &sa_table_outputs     ? &store->get_output
                          : read->table == &sa_table_idempotency ? &store->get_idempotency
                                                                 : &store->get_sandbox;
    sa_autobuf sql = SA_BUF_INIT;
    if (!*slot) {
        sa_buf_adds(&sql, "SELECT ");
        sa_table_column_names(read->table, "", &sql);
        sa_buf_printf(&sql, " FROM %s WHERE %s=?%s", read->table->name, read->table->key,
                      read->sandbox ? " AND sandbox=?" : "");
    }
    return sa_database_prepare(store->db.reader, slot, sql.data, err);
}

int sa_query_one(struct sa_store *store, struct sa_store_read *read, struct sa_error *err)
{
    sqlite3_stmt *stmt = prepare_one(store, read, err);
    if (!stmt)
        return -1;
    struct binds binds = {.count = 0};
    bind_text(&binds, read->id);
    if (read->sandbox)
        bind_text(&binds, read->sandbox);
    bind_all(stmt, &binds);
    int rc = sqlite3_step(stmt), result = 0;
    if (rc == SQLITE_ROW) {
        read->items = sa_arena_alloc(read->arena, read->table->record_bytes);
        sa_table_read(read->table, stmt, read->arena, read->items);
        read->count = 1;
    } else if (rc == SQLITE_DONE) {
        result =
            sa_error_at(err, SA_ENOTFOUND, "id", "no such record in the store: %.64s", read->id);
    } else {
        result = sa_database_error(store->db.reader, rc, "cannot read", err);
    }
    sqlite3_reset(stmt); /* or it would hold its snapshot, and the log could not be emptied */
    sqlite3_clear_bindings(stmt);
    return result;
}

static void label_sql(const struct sa_store_label *label, struct sa_buf *sql, struct binds *binds)
{
    sa_buf_printf(sql,
                  " AND %sEXISTS(SELECT 1 FROM sandbox_labels m WHERE m.sandbox=s.id AND m.key=?",
                  label->absent ? "NOT " : "");
    bind_text(binds, label->key);
    for (size_t i = 0; i < label->count; i++) {
        sa_buf_adds(sql, i ? ",?" : " AND m.value IN (?");
        bind_text(binds, label->values[i]);
    }
    sa_buf_adds(sql, label->count ? "))" : ")");
}

/* A label that must have one value: its index gives the sandboxes in their order. */
static const struct sa_store_label *leading_label(const struct sa_store_read *read)
{
    for (size_t i = 0; i < read->label_count; i++)
        if (!read->labels[i].absent && read->labels[i].count == 1)
            return &read->labels[i];
    return NULL;
}

/* Newest first. One label may lead; the others are looked up for each. */
static void sandboxes_sql(const struct sa_store_read *read, struct sa_buf *sql, struct binds *binds)
{
    const struct sa_store_label *lead = leading_label(read);
    const char *time = lead ? "l.created_ms" : "s.created_ms";
    const char *id = lead ? "l.sandbox" : "s.id";
    sa_table_column_names(read->table, "s.", sql);
    if (lead) {
        sa_buf_adds(sql, " FROM sandbox_labels l CROSS JOIN sandboxes s ON s.id=l.sandbox"
                         " WHERE l.key=? AND l.value=?");
        bind_text(binds, lead->key);
        bind_text(binds, lead->values[0]);
    } else {
        sa_buf_adds(sql, " FROM sandboxes s WHERE true");
    }
    for (size_t i = 0; i < read->label_count; i++)
        if (&read->labels[i] != lead)
            label_sql(&read->labels[i], sql, binds);
    if (read->owner) {
        sa_buf_adds(sql, " AND s.owner=?");
        bind_text(binds, read->owner);
    }
    if (read->phase) {
        sa_buf_adds(sql, " AND s.phase=?");
        bind_text(binds, read->phase);
    }
    if (read->before_id) {
        sa_buf_printf(sql, " AND (%s, %s) < (?, ?)", time, id);
        bind_number(binds, read->before_ms);
        bind_text(binds, read->before_id);
    }
    sa_buf_printf(sql, " ORDER BY %s DESC, %s DESC", time, id);
}

static void executions_sql(const struct sa_store_read *read, struct sa_buf *sql,
                           struct binds *binds)
{
    sa_table_column_names(read->table, "", sql);
    sa_buf_adds(sql, " FROM executions WHERE sandbox=?");
    bind_text(binds, read->sandbox);
    if (read->phase) {
        sa_buf_adds(sql, " AND status=?");
        bind_text(binds, read->phase);
    }
    if (read->before_id) {
        sa_buf_adds(sql, " AND (started_ms, id) < (?, ?)");
        bind_number(binds, read->before_ms);
        bind_text(binds, read->before_id);
    }
    sa_buf_adds(sql, " ORDER BY started_ms DESC, id DESC");
}

static void events_sql(const struct sa_store_read *read, struct sa_buf *sql, struct binds *binds)
{
    sa_table_column_names(read->table, "", sql);
    sa_buf_adds(sql, " FROM events WHERE sandbox=? AND seq>? ORDER BY seq");
    bind_text(binds, read->sandbox);
    bind_number(binds, read->before_ms);
}

static void *item(const struct sa_store_read *read, size_t i)
{
    return (char *)read->items + i * read->table->record_bytes;
}

/* "<time, hexadecimal>.<id>": what read.c takes apart again. */
static void make_cursor(struct sa_store_read *read)
{
    int64_t time_ms = 0;
    const char *id = "";
    if (read->table == &sa_table_sandboxes) {
        const struct sa_store_sandbox *last = item(read, read->count - 1);
        time_ms = last->created_ms;
        id = last->id;
    } else if (read->table == &sa_table_executions) {
        const struct sa_store_execution *last = item(read, read->count - 1);
        time_ms = last->started_ms;
        id = last->id;
    }
    read->next = sa_arena_printf(read->arena, "%" PRIx64 ".%s", (uint64_t)time_ms, id);
}

/* Room for one more: most pages are nearly empty, however many records they may have. */
static void grow(struct sa_store_read *read, size_t *capacity)
{
    if (read->count < *capacity)
        return;
    const void *items = read->items;
    *capacity = *capacity ? 2 * *capacity : FIRST_RECORDS;
    read->items = sa_arena_alloc(read->arena, *capacity * read->table->record_bytes);
    if (read->count)
        memcpy(read->items, items, read->count * read->table->record_bytes);
}

/* One row more than the limit is asked for, to know whether the page is the last. */
static int collect(struct sa_store *store, struct sa_store_read *read, sqlite3_stmt *stmt,
                   struct sa_error *err)
{
    size_t bytes = 0, capacity = 0;
    int rc;
    grow(read, &capacity);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (read->count == read->limit || bytes > PAGE_BYTES) {
            read->more = true;
            break;
        }
        grow(read, &capacity);
        bytes += sa_table_read(read->table, stmt, read->arena, item(read, read->count));
        read->count++;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return sa_database_error(store->db.reader, rc, "cannot read", err);
    if (read->more)
        make_cursor(read);
    return 0;
}

int sa_query_page(struct sa_store *store, struct sa_store_read *read, struct sa_error *err)
{
    sa_autobuf sql = SA_BUF_INIT;
    struct binds binds = {.count = 0};
    sa_buf_adds(&sql, "SELECT ");
    if (read->table == &sa_table_sandboxes)
        sandboxes_sql(read, &sql, &binds);
    else if (read->table == &sa_table_executions)
        executions_sql(read, &sql, &binds);
    else
        events_sql(read, &sql, &binds);
    sa_buf_adds(&sql, " LIMIT ?");
    bind_number(&binds, (int64_t)read->limit + 1);
    /* That of events is always the same, and asked once for each sandbox after a start. */
    const bool kept = read->table == &sa_table_events;
    sqlite3_stmt *once = NULL;
    sqlite3_stmt *stmt =
        sa_database_prepare(store->db.reader, kept ? &store->page_events : &once, sql.data, err);
    if (!stmt)
        return -1;
    bind_all(stmt, &binds);
    int result = collect(store, read, stmt, err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    sqlite3_finalize(once);
    return result;
}
