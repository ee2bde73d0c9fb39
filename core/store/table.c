/* The records as columns: one description drives checks, copies, bytes, binding, reading
 * and SQL. */
#include "base/utf8.h"
#include "keyrow.h"
#include "store/internal.h"

#include <string.h>

#define COLUMN(record, member, type, flags, max)                                                   \
    {                                                                                              \
#member, offsetof(struct record, member), type, flags, max                                 \
    }
#define TEXT(record, member, flags, max) COLUMN(record, member, SA_COLUMN_TEXT, flags, max)
#define INT(record, member) COLUMN(record, member, SA_COLUMN_INT, 0, 0)
#define BOOL(record, member) COLUMN(record, member, SA_COLUMN_BOOL, 0, 0)
#define NAME SA_STORE_NAME_MAX
#define NEEDED SA_COLUMN_NEEDED
#define CUT SA_COLUMN_CUT

static const struct sa_column sandboxes[] = {
    TEXT(sa_store_sandbox, id, NEEDED, NAME),
    TEXT(sa_store_sandbox, owner, 0, NAME),
    TEXT(sa_store_sandbox, user, 0, NAME),
    TEXT(sa_store_sandbox, runtime, 0, NAME),
    TEXT(sa_store_sandbox, phase, NEEDED, NAME),
    TEXT(sa_store_sandbox, reason, 0, NAME),
    TEXT(sa_store_sandbox, message, CUT, SA_STORE_MESSAGE_MAX),
    TEXT(sa_store_sandbox, spec, 0, SA_STORE_SPEC_MAX),
    TEXT(sa_store_sandbox, labels, 0, SA_STORE_LABELS_MAX),
    INT(sa_store_sandbox, created_ms),
    INT(sa_store_sandbox, ended_ms),
    INT(sa_store_sandbox, expires_ms),
};

static const struct sa_column executions[] = {
    TEXT(sa_store_execution, id, NEEDED, NAME),
    TEXT(sa_store_execution, sandbox, NEEDED, NAME),
    TEXT(sa_store_execution, kind, 0, NAME),
    TEXT(sa_store_execution, context, 0, NAME),
    TEXT(sa_store_execution, status, NEEDED, NAME),
    TEXT(sa_store_execution, reason, 0, NAME),
    TEXT(sa_store_execution, command, CUT, SA_STORE_COMMAND_MAX),
    INT(sa_store_execution, exit_code),
    INT(sa_store_execution, signal),
    INT(sa_store_execution, started_ms),
    INT(sa_store_execution, duration_us),
    INT(sa_store_execution, cpu_us),
    INT(sa_store_execution, memory_peak_bytes),
    INT(sa_store_execution, out_total),
    INT(sa_store_execution, err_total),
    BOOL(sa_store_execution, out_truncated),
    BOOL(sa_store_execution, err_truncated),
    BOOL(sa_store_execution, command_truncated),
    BOOL(sa_store_execution, tty),
};

static const struct sa_column outputs[] = {
    TEXT(sa_store_output, execution, NEEDED, NAME),
    TEXT(sa_store_output, out, 0, SA_STORE_OUTPUT_MAX),
    TEXT(sa_store_output, err, 0, SA_STORE_OUTPUT_MAX),
    BOOL(sa_store_output, out_cut),
    BOOL(sa_store_output, err_cut),
    TEXT(sa_store_output, results, 0, SA_STORE_OUTPUT_MAX),
    INT(sa_store_output, main_result),
    TEXT(sa_store_output, error, 0, SA_STORE_OUTPUT_MAX),
    INT(sa_store_output, created_ms),
};

static const struct sa_column idempotency[] = {
    TEXT(sa_store_idempotency, hash, NEEDED, NAME),
    TEXT(sa_store_idempotency, body, NEEDED, NAME),
    TEXT(sa_store_idempotency, resource, 0, NAME),
    INT(sa_store_idempotency, created_ms),
};

static const struct sa_column events[] = {
    TEXT(sa_store_event, sandbox, NEEDED, NAME),
    INT(sa_store_event, seq),
    INT(sa_store_event, time_ms),
    TEXT(sa_store_event, type, NEEDED, NAME),
    TEXT(sa_store_event, reason, 0, NAME),
    TEXT(sa_store_event, message, CUT, SA_STORE_MESSAGE_MAX),
    INT(sa_store_event, count),
};

static const struct sa_column phases[] = {
    TEXT(sa_store_phase, id, NEEDED, NAME),
    TEXT(sa_store_phase, phase, NEEDED, NAME),
    TEXT(sa_store_phase, reason, 0, NAME),
    TEXT(sa_store_phase, message, CUT, SA_STORE_MESSAGE_MAX),
    INT(sa_store_phase, ended_ms),
    INT(sa_store_phase, expires_ms),
};

static const struct sa_column keys[] = {
    TEXT(sa_key_row, id, NEEDED, NAME),   TEXT(sa_key_row, name, NEEDED, NAME),
    TEXT(sa_key_row, role, NEEDED, NAME), TEXT(sa_key_row, prefix, NEEDED, NAME),
    TEXT(sa_key_row, hash, NEEDED, NAME), INT(sa_key_row, created_ms),
    INT(sa_key_row, expires_ms),          INT(sa_key_row, revoked_ms),
    INT(sa_key_row, last_used_ms),
};

#define TABLE(table, key, record)                                                                  \
    const struct sa_table sa_table_##table = {#table, key, sizeof(struct record), table,           \
                                              SA_COUNT(table)};                                    \
    _Static_assert(SA_COUNT(table) <= SA_COLUMNS_MAX, "raise SA_COLUMNS_MAX")
TABLE(sandboxes, "id", sa_store_sandbox);
TABLE(executions, "id", sa_store_execution);
TABLE(events, "sandbox,seq", sa_store_event);
TABLE(phases, "id", sa_store_phase);
TABLE(keys, "id", sa_key_row);
TABLE(outputs, "execution", sa_store_output);
TABLE(idempotency, "hash", sa_store_idempotency);

static const char *text_at(const struct sa_column *column, const void *record)
{
    const char *text;
    memcpy(&text, (const char *)record + column->offset, sizeof text);
    return text ? text : "";
}

static int64_t int_at(const struct sa_column *column, const void *record)
{
    const char *at = (const char *)record + column->offset;
    if (column->type == SA_COLUMN_BOOL) {
        bool value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    int64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void set_text(const struct sa_column *column, void *record, const char *text)
{
    memcpy((char *)record + column->offset, &text, sizeof text);
}

static void set_int(const struct sa_column *column, void *record, int64_t value)
{
    char *at = (char *)record + column->offset;
    const bool truth = value != 0;
    if (column->type == SA_COLUMN_BOOL)
        memcpy(at, &truth, sizeof truth);
    else
        memcpy(at, &value, sizeof value);
}

size_t sa_table_measure(const struct sa_table *table, const void *record,
                        size_t lengths[SA_COLUMNS_MAX], struct sa_error *err)
{
    size_t total = table->record_bytes;
    for (size_t i = 0; i < table->count; i++) {
        const struct sa_column *column = &table->columns[i];
        lengths[i] = 0;
        if (column->type != SA_COLUMN_TEXT)
            continue;
        const char *text = text_at(column, record);
        size_t length = strnlen(text, column->max + 1);
        if (length == 0 && column->flags & SA_COLUMN_NEEDED) {
            sa_error_at(err, SA_EINVALID, column->name, "%s: may not be empty", column->name);
            return 0;
        }
        if (length > column->max && !(column->flags & SA_COLUMN_CUT)) {
            sa_error_at(err, SA_ETOOLARGE, column->name, "%s: longer than %zu bytes", column->name,
                        column->max);
            return 0;
        }
        if (length > column->max)
            length = column->max - sa_utf8_partial_tail(text, column->max);
        lengths[i] = length;
        total += length + 1;
    }
    return total;
}

void sa_table_copy(const struct sa_table *table, const void *record,
                   const size_t lengths[SA_COLUMNS_MAX], void *out)
{
    char *to = (char *)out + table->record_bytes;
    memcpy(out, record, table->record_bytes);
    for (size_t i = 0; i < table->count; i++) {
        const struct sa_column *column = &table->columns[i];
        if (column->type != SA_COLUMN_TEXT)
            continue;
        memcpy(to, text_at(column, record), lengths[i]);
        to[lengths[i]] = '\0';
        set_text(column, out, to);
        to += lengths[i] + 1;
    }
}

/* ---- records as bytes: of a text its length in 4 bytes and itself, of a number 8 ---- */

size_t sa_table_encoded(const struct sa_table *table, const void *record)
{
    size_t total = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct sa_column *column = &table->columns[i];
        total += column->type == SA_COLUMN_TEXT ? sizeof(uint32_t) + strlen(text_at(column, record))
                                                : sizeof(int64_t);
    }
    return total;
}

void sa_table_encode(const struct sa_table *table, const void *record, void *out)
{
    char *to = out;
    for (size_t i = 0; i < table->count; i++) {
        const struct sa_column *column = &table->columns[i];
        if (column->type == SA_COLUMN_TEXT) {
            const char *text = text_at(column, record);
            const uint32_t length = (uint32_t)strlen(text);
            memcpy(to, &length, sizeof length);
            memcpy(to + sizeof length, text, length);
            to += sizeof length + length;
        } else {
            const int64_t value = int_at(column, record);
            memcpy(to, &value, sizeof value);
            to += sizeof value;
        }
    }
}

static int bad_bytes(const struct sa_column *column, struct sa_error *err)
{
    return sa_error_set(err, SA_EINVALID, "a record is damaged in its %s", column->name);
}

int sa_table_decode(const struct sa_table *table, const void *bytes, size_t length,
                    struct sa_arena *arena, void *out, struct sa_error *err)
{
    const char *at = bytes, *const end = at + length;
    for (size_t i = 0; i < table->count; i++) {
        const struct sa_column *column = &table->columns[i];
        const bool is_text = column->type == SA_COLUMN_TEXT;
        const size_t fixed = is_text ? sizeof(uint32_t) : sizeof(int64_t);
        uint32_t text_length = 0;
        int64_t value = 0;
        if ((size_t)(end - at) < fixed)
            return bad_bytes(column, err);
        memcpy(is_text ? (void *)&text_length : &value, at, fixed);
        at += fixed;
        if (text_length > (size_t)(end - at) || memchr(at, '\0', text_length))
            return bad_bytes(column, err);
        if (is_text)
            set_text(column, out, sa_arena_strndup(arena, at, text_length));
        else
            set_int(column, out, value);
        at += text_length;
    }
    return at == end ? 0 : sa_error_set(err, SA_EINVALID, "a record is longer than it should be");
}

void sa_table_bind(const struct sa_table *table, const void *record, sqlite3_stmt *stmt)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct sa_column *column = &table->columns[i];
        if (column->type == SA_COLUMN_TEXT)
            sqlite3_bind_text(stmt, (int)i + 1, text_at(column, record), -1, SQLITE_STATIC);
        else
            sqlite3_bind_int64(stmt, (int)i + 1, int_at(column, record));
    }
}

size_t sa_table_read(const struct sa_table *table, sqlite3_stmt *stmt, struct sa_arena *arena,
                     void *out)
{
    size_t total = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct sa_column *column = &table->columns[i];
        if (column->type == SA_COLUMN_TEXT) {
            const void *text = sqlite3_column_text(stmt, (int)i);
            size_t length = (size_t)sqlite3_column_bytes(stmt, (int)i);
            set_text(column, out, sa_arena_strndup(arena, text ? text : "", length));
            total += length;
        } else {
            set_int(column, out, sqlite3_column_int64(stmt, (int)i));
        }
    }
    return total;
}

void sa_table_column_names(const struct sa_table *table, const char *alias, struct sa_buf *out)
{
    for (size_t i = 0; i < table->count; i++)
        sa_buf_printf(out, "%s%s%s", i ? "," : "", alias, table->columns[i].name);
}

/* Not INSERT OR REPLACE: that deletes the row first, and with it what refers to it. */
void sa_table_upsert_sql(const struct sa_table *table, struct sa_buf *out)
{
    sa_buf_printf(out, "INSERT INTO %s(", table->name);
    sa_table_column_names(table, "", out);
    sa_buf_adds(out, ") VALUES(");
    for (size_t i = 0; i < table->count; i++)
        sa_buf_printf(out, "%s?%zu", i ? "," : "", i + 1);
    sa_buf_printf(out, ") ON CONFLICT(%s) DO UPDATE SET ", table->key);
    for (size_t i = 0; i < table->count; i++)
        sa_buf_printf(out, "%s%s=excluded.%s", i ? "," : "", table->columns[i].name,
                      table->columns[i].name);
}
