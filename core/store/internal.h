/*
 * Inside the store. Read in this order: this file, table.c (records as columns), schema.c
 * (migrations of the file that core/database opens), writer.c (the writing thread: groups,
 * retries, health), journal.h (what is not committed yet), replay.c (what a crash left of that),
 * reader.c (the reading thread), store.c (life and deliveries), then the calls: write.c, prune.c,
 * read.c, keyed.c, keys.c.
 *
 * An operation is allocated on the loop's thread, belongs to the queue and its thread while on
 * its way, and is handed back through `done` when it is awaited, else freed by the thread.
 */
#ifndef SA_STORE_INTERNAL_H
#define SA_STORE_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "database/database.h"
#include "store/journal.h"
#include "store/keys.h"
#include "store/store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdalign.h>

#define uthash_malloc(bytes) sa_alloc(bytes)
#include <uthash.h>

/* ---- records as columns (table.c) ---- */

enum sa_column_type { SA_COLUMN_TEXT, SA_COLUMN_INT, SA_COLUMN_BOOL };
enum sa_column_flags {
    SA_COLUMN_NEEDED = 1, /* may not be empty */
    SA_COLUMN_CUT = 2,    /* cut to its cap, not refused */
};
struct sa_column {
    const char *name;
    size_t offset; /* of the member: const char *, int64_t or bool */
    enum sa_column_type type;
    unsigned flags;
    size_t max; /* bytes of a text */
};
struct sa_table {
    const char *name;
    const char *key; /* the columns of its primary key */
    size_t record_bytes;
    const struct sa_column *columns;
    size_t count;
};
enum { SA_COLUMNS_MAX = 20 };

extern const struct sa_table sa_table_sandboxes, sa_table_executions, sa_table_events,
    sa_table_phases, sa_table_keys, sa_table_outputs, sa_table_idempotency;

/* How many bytes a copy of the record takes; checks the texts. 0 on failure. */
size_t sa_table_measure(const struct sa_table *table, const void *record,
                        size_t lengths[SA_COLUMNS_MAX], struct sa_error *err);
void sa_table_copy(const struct sa_table *table, const void *record,
                   const size_t lengths[SA_COLUMNS_MAX], void *out);
/* The record as bytes, which outlive this process: how many, and into `out`. */
size_t sa_table_encoded(const struct sa_table *table, const void *record);
void sa_table_encode(const struct sa_table *table, const void *record, void *out);
/* And back, with texts in `arena`. SA_EINVALID: they are none. Caps are not checked. */
int sa_table_decode(const struct sa_table *table, const void *bytes, size_t length,
                    struct sa_arena *arena, void *out, struct sa_error *err);
/* Bind the record to ?1, ?2 ... in the order of the columns. Texts must outlive the step. */
void sa_table_bind(const struct sa_table *table, const void *record, sqlite3_stmt *stmt);
/* The current row, selected in the order of the columns, with texts in `arena`. Returns the
 * bytes of its texts. */
size_t sa_table_read(const struct sa_table *table, sqlite3_stmt *stmt, struct sa_arena *arena,
                     void *out);
void sa_table_upsert_sql(const struct sa_table *table, struct sa_buf *out);
void sa_table_column_names(const struct sa_table *table, const char *alias, struct sa_buf *out);

/* ---- the file (schema.c; core/database) ---- */

extern const struct sa_database_layout sa_store_layout;

/* ---- operations ---- */

struct sa_op {
    struct sa_op *next;
    void (*finish)(struct sa_store *store, struct sa_op *op); /* call back; loop's thread */
    void (*release)(struct sa_op *op);                        /* free it; NULL: free() */
    struct sa_error *err;                                     /* malloc'd; NULL: it went well */
    bool awaited;
};
struct sa_queue {
    struct sa_op *first, *last;
};
void sa_queue_push(struct sa_queue *queue, struct sa_op *op);
struct sa_op *sa_queue_pop(struct sa_queue *queue);
void sa_op_free(struct sa_op *op);
void sa_op_fail(struct sa_op *op, const struct sa_error *err);

enum sa_applied {
    SA_APPLIED,
    SA_REFUSED, /* failed and changed nothing: the others of its group go on */
    SA_BROKEN,  /* failed half-way: roll back */
};
/* The writer's prepared statements. The numbers are in the journal: new ones at the end. */
enum sa_statement {
    SA_PUT_SANDBOX,
    SA_PUT_EXECUTION,
    SA_PUT_EVENT,
    SA_SET_PHASE,
    SA_DROP_LABELS,
    SA_ADD_LABELS,
    SA_TRIM_EVENTS,
    SA_PRUNE_EXECUTIONS,
    SA_PRUNE_EVENTS,
    SA_PRUNE_SANDBOXES,
    SA_ADD_KEY,
    SA_REVOKE_KEY,
    SA_TOUCH_KEY,
    SA_DROP_KEY,
    SA_PUT_OUTPUT,
    SA_PUT_IDEMPOTENCY,
    SA_DROP_IDEMPOTENCY,
    SA_PRUNE_IDEMPOTENCY,
    SA_PRUNE_OUTPUTS,
    SA_MARK_JOURNAL,
    SA_STATEMENT_COUNT
};

struct sa_write;
/* Inside a transaction, maybe more than once (a rolled-back group is tried again singly). */
typedef enum sa_applied sa_apply(struct sa_store *store, struct sa_write *write,
                                 struct sa_error *err);
sa_apply sa_apply_output, sa_apply_idempotency, sa_apply_drop_idempotency; /* keyed.c */

struct sa_write {
    struct sa_op op;
    sa_apply *apply;
    void (*committed)(struct sa_write *write); /* may be NULL; writer's thread, lock held */
    sa_store_done done;
    void *user;
    size_t bytes;
    uint64_t seq;  /* in the order in which they were made */
    bool sync;     /* somebody waits in sa_write_sync() */
    bool again;    /* set by apply: queue it again for its next batch */
    bool finished; /* for `sync`; under the lock */
    const struct sa_table *table;
    enum sa_statement statement;
    UT_hash_handle hh;      /* in `open`, by the row's id */
    bool listed;            /* is it there? */
    struct sa_write *newer; /* of the same row: it is written instead */
    alignas(max_align_t) char record[];
};

/* A copy of the record, to be applied by `statement`. */
struct sa_write *sa_write_record(enum sa_statement statement, const void *record,
                                 struct sa_error *err);
/* Of which records it is; NULL: of none. */
const struct sa_table *sa_write_table(enum sa_statement statement);
/* Queue it (it is the store's from here on, also on failure). */
int sa_write_push(struct sa_store *store, struct sa_write *write, struct sa_error *err);
/* Queue it, wait, and hand it back for the caller to look at and free. */
int sa_write_sync(struct sa_store *store, struct sa_write *write, struct sa_error *err);
/* Step a bound statement: SA_BROKEN unless only this statement is void. */
enum sa_applied sa_write_step(struct sa_store *store, sqlite3_stmt *stmt, struct sa_error *err);
sqlite3_stmt *sa_write_statement(struct sa_store *store, enum sa_statement which,
                                 struct sa_error *err);

struct sa_store_read {
    struct sa_op op;
    int (*run)(struct sa_store *store, struct sa_store_read *read, struct sa_error *err);
    uint64_t after;         /* runs when so many writes are settled */
    bool canceled;          /* loop's thread only */
    struct sa_arena *arena; /* parameters and results */
    const struct sa_table *table;
    /* parameters */
    const char *id, *sandbox, *owner, *phase;
    struct sa_store_label *labels;
    size_t label_count, limit;
    int64_t before_ms; /* the cursor: rows before (before_ms, before_id); events: after_seq */
    const char *before_id;
    /* results */
    void *items;
    size_t count;
    const char *next; /* cursor */
    bool more;
    union {
        sa_store_sandbox_done sandbox;
        sa_store_execution_done execution;
        sa_store_sandboxes_done sandboxes;
        sa_store_executions_done executions;
        sa_store_events_done events;
        sa_store_output_done output;
        sa_store_idempotency_done idempotency;
    } done;
    void *user;
};
struct sa_store_read *sa_read_push(struct sa_store *store, struct sa_store_read *read,
                                   struct sa_error *err);
/* Executed on the reader's thread (query.c). */
int sa_query_one(struct sa_store *store, struct sa_store_read *read, struct sa_error *err);
int sa_query_page(struct sa_store *store, struct sa_store_read *read, struct sa_error *err);

/* ---- the store ---- */

struct sa_keyring;

struct sa_store {
    struct sa_database db;
    struct sa_store_options options; /* with the defaults filled in */
    struct sa_journal *journal;      /* NULL: there is none, and every write is urgent */
    bool replayed;                   /* nothing of the run before is in it */
    uv_async_t async;
    pthread_t writer, reader;
    sqlite3_stmt *statements[SA_STATEMENT_COUNT]; /* writer's thread */
    uint64_t marked; /* that, too: in the database, what is committed */
    /* reader's thread */
    sqlite3_stmt *get_sandbox, *get_execution, *get_output, *get_idempotency, *page_events;

    pthread_mutex_t lock; /* everything from here to the next line */
    pthread_cond_t work, read_work, progress;
    struct sa_queue writes, reads, done;
    struct sa_write *open; /* queued rows whose contents nobody waits for: newer ones may come */
    size_t write_queued, write_bytes, read_queued; /* not yet settled */
    uint64_t made, settled;                        /* writes so far; reads wait for `settled` */
    uint64_t seq, seq_settled;                     /* of the last write; all up to it are settled */
    bool urgent;                                   /* somebody waits: do not linger for company */
    bool closing;
    bool unhealthy;
    char complaint[512];
    struct sa_store_stats stats;

    /* loop's thread */
    size_t awaited; /* callbacks due; the loop stays alive for them */
    struct sa_keyring *keyring;
    void (*closed)(void *user);
    void *closed_user;
};

/* What the calls of several files share. */
struct sa_store_read *sa_read_new(const struct sa_table *table, void *user); /* read.c */
void sa_read_release(struct sa_op *op);
/* Queue a write that `done` (may be NULL) is told of (write.c). */
int sa_write_push_for(struct sa_store *store, struct sa_write *write, sa_store_done done,
                      void *user, struct sa_error *err);

/* Open the journal and write what is in it to the database (replay.c). */
int sa_store_replay(struct sa_store *store, struct sa_error *err);
/* Inside a transaction: all up to `seq` is committed by it. */
int sa_store_mark(struct sa_store *store, uint64_t seq, struct sa_error *err);
/* Copy a write that nobody waits for to the journal. False: it must be committed at once. */
bool sa_store_keep(struct sa_store *store, const struct sa_write *write);

void *sa_writer_main(void *store);
void *sa_reader_main(void *store);
/* Give a settled operation back: to the loop when awaited, else free it. Lock held. */
void sa_store_settle(struct sa_store *store, struct sa_op *op);
/* Loop's thread: one more or one fewer callback is due. */
void sa_store_await(struct sa_store *store, bool more);
int sa_store_refuse_closing(struct sa_error *err);

struct sa_keyring *sa_keyring_load(struct sa_store *store, struct sa_error *err);
void sa_keyring_free(struct sa_keyring *keyring);
/* Forget keys that were revoked or expired before; loop's thread. */
void sa_keyring_prune(struct sa_store *store, int64_t before_ms);

#endif
