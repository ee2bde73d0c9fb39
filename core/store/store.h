/*
 * The store: what must outlive a request, in SQLite: API keys (store/keys.h), sandboxes, their
 * executions and their events. What lives now is in the API's memory; this is the record.
 *
 * Threads. Everything here is called on the loop's thread and never waits for the disk (but for
 * open, close and the _sync functions, which do). Writes go through a bounded queue to one
 * writer thread that commits many of them in one transaction; reads go to one reader thread.
 * Callbacks run on the loop's thread, exactly once for each call that returned success, never
 * from inside that call. `user` must stay valid until then. Callbacks may call the store.
 *
 * Order. Writes apply in the order they were made; a read sees every write made before it.
 *
 * Durability. SQLite in WAL mode with synchronous=NORMAL: a transaction survives a crash of the
 * process (kill -9) as soon as its callback ran; a power cut may lose the last moments before
 * it, never the consistency of the file. Fire-and-forget writes (NULL callback) may wait some
 * milliseconds for company before they are committed; they survive a crash of the process as soon
 * as the call returned, because the next sa_store_open() finds them in the journal
 * (store/journal.h: a file of at most 64 MiB in /dev/shm, usually half of one, that an orderly end
 * removes). Where there is no memory for that, they do not wait for company, and a crash may lose
 * those on their way.
 *
 * Strings. In records handed in, strings are the caller's and are copied before the call
 * returns; NULL counts as "". In records handed to a callback they are the store's, never NULL,
 * and valid until the callback returns. Text is UTF-8; the store does not look inside it, but
 * for labels.
 *
 * Errors of writes and reads: SA_EINVALID (a field is missing or malformed; `path` names it),
 * SA_ETOOLARGE (a text beyond its cap), SA_ENOTFOUND, SA_EUNAVAILABLE (queue full, closing, disk
 * full, I/O error, locked; sys_errno says which), SA_EINTERNAL.
 */
#ifndef SA_STORE_STORE_H
#define SA_STORE_STORE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct sa_store;
struct sa_store_read; /* a read on its way */

/* The reason of an execution of which only this is known: that it was running. */
#define SA_STORE_STOPPED "ControlPlaneRestarted"

struct sa_store_options {     /* zeroes: the defaults */
    size_t write_queue;       /* writes on their way at most; 8192 */
    size_t write_bytes;       /* their memory at most; 32 MiB */
    size_t read_queue;        /* reads on their way at most; 1024 */
    int busy_timeout_ms;      /* how long to wait for a lock that another program holds; 2000 */
    int64_t (*wall_ms)(void); /* the clock, for tests; sa_wall_ms */
};

/*
 * Open or create DATA_DIR/secureagent.db (0600; DATA_DIR is made, 0700, where its parent exists),
 * migrate it, write what a crash left uncommitted, and close what it left open: executions that had
 * not ended become "failed", with the reason SA_STORE_STOPPED, and their sandboxes get an event.
 * Whether those live is the caller's to find out. Blocks. Errors, where path names the file, and
 * the message what to do:
 *
 *   SA_ECONFLICT    EWOULDBLOCK another process has the data directory open (its pid is named)
 *                   ENOTSUP     the file's schema is newer than this program
 *   SA_EINVALID     EISDIR, ENOTDIR, ENOENT, ELOOP   the path is not what it should be
 *                   EBADMSG     the file is damaged, or not a database, or another program's
 *   SA_EUNAVAILABLE EACCES, EROFS not writable; ENOSPC, EDQUOT, EFBIG disk full; EBUSY locked by
 *                   another program; else EIO
 */
struct sa_store *sa_store_open(const char *data_dir, uv_loop_t *loop,
                               const struct sa_store_options *options, struct sa_error *err);

/* Write what is queued, stop the threads, checkpoint. Blocks for that; writes that cannot be
 * made fail. Then, from the loop: the callbacks still due (reads: SA_ECANCELED), then `closed`
 * (may be NULL), and the store is freed. Nothing may be called after it. */
void sa_store_close(struct sa_store *store, void (*closed)(void *user), void *user);

/* False while writes fail for a reason of the world (disk full, I/O error, lock); `message` (may
 * be NULL) then says which. The writer tries again each second, so this heals by itself. */
bool sa_store_healthy(struct sa_store *store, char *message, size_t bytes);

struct sa_store_stats {
    uint64_t writes, groups; /* written; transactions it took */
    uint64_t failed;         /* writes that failed */
    uint64_t refused;        /* calls turned away because a queue was full */
    uint64_t reads;
    size_t write_queued, read_queued; /* now */
};
void sa_store_stats(struct sa_store *store, struct sa_store_stats *out);

/* ---- records ---- */

enum {
    SA_STORE_SPEC_MAX = 256 * 1024, /* bytes; more is SA_ETOOLARGE */
    SA_STORE_LABELS_MAX = 32 * 1024,
    SA_STORE_NAME_MAX = 255,          /* ids, names, phases, reasons */
    SA_STORE_MESSAGE_MAX = 2048,      /* longer messages are cut at a character */
    SA_STORE_COMMAND_MAX = 4096,      /* longer commands are cut, and flagged */
    SA_STORE_EVENTS_MAX = 1000,       /* newest events kept for each sandbox */
    SA_STORE_PAGE_MAX = 500,          /* records in a page */
    SA_STORE_OUTPUT_MAX = 256 * 1024, /* each text of an output */
    SA_STORE_IDEMPOTENCY_HOURS = 24,  /* then keys are forgotten, and the outputs with them */
};

struct sa_store_sandbox {
    const char *id;
    const char *owner; /* id of the key that made it */
    const char *user;  /* name of that key */
    const char *runtime;
    const char *phase; /* Terminated and Failed have ended; any other has not */
    const char *reason, *message;
    const char *spec;                         /* JSON text, as given */
    const char *labels;                       /* JSON object of strings, or "" */
    int64_t created_ms, ended_ms, expires_ms; /* wall time; 0: not yet, never */
};

struct sa_store_execution {
    const char *id, *sandbox;
    const char *kind;    /* "python", "node", "bash" ..., or "command" */
    const char *context; /* id, or "" */
    const char *status;  /* exited signaled timeout oom canceled failed; any other: not ended */
    const char *reason;  /* why it failed, or "" */
    const char *command; /* what ran, cut to SA_STORE_COMMAND_MAX */
    int64_t exit_code, signal;
    int64_t started_ms; /* wall time */
    int64_t duration_us, cpu_us, memory_peak_bytes;
    int64_t out_total, err_total; /* bytes written by it, kept or not */
    bool out_truncated, err_truncated;
    bool command_truncated; /* set by the store, too */
    bool tty;
};

/* The end of an execution's output, kept for who asks again with the same idempotency key. */
struct sa_store_output {
    const char *execution; /* its id */
    const char *out, *err; /* base64 */
    bool out_cut, err_cut; /* the beginning is missing */
    const char *results;   /* JSON values with commas between */
    int64_t main_result;   /* index, or -1 */
    const char *error;     /* JSON object, or "" */
    int64_t created_ms;
};

/* What a request with an idempotency key made. */
struct sa_store_idempotency {
    const char *hash;     /* of principal, route and key */
    const char *body;     /* hash of the body */
    const char *resource; /* id; "": it had not been made when this was written */
    int64_t created_ms;
};

struct sa_store_event {
    const char *sandbox;
    int64_t seq; /* 1, 2, ... within the sandbox; chosen by the caller */
    int64_t time_ms;
    const char *type; /* "Normal", "Warning", "Security" */
    const char *reason, *message;
    int64_t count; /* how many times; put again with the same seq to raise it */
};

/* What changes in a sandbox while it lives. */
struct sa_store_phase {
    const char *id, *phase, *reason, *message;
    int64_t ended_ms, expires_ms;
};

/* ---- writes: 0 queued, -1 refused at once (no callback) ---- */

/* `err` is NULL when the write is committed; valid until the callback returns. */
typedef void (*sa_store_done)(void *user, const struct sa_error *err);

/* Insert, or replace the whole record of the same id. Executions and events of a sandbox that
 * is not stored fail with SA_ENOTFOUND; labels that are no object of strings with SA_EINVALID. */
int sa_store_put_sandbox(struct sa_store *store, const struct sa_store_sandbox *sandbox,
                         sa_store_done done, void *user, struct sa_error *err);
int sa_store_put_execution(struct sa_store *store, const struct sa_store_execution *execution,
                           sa_store_done done, void *user, struct sa_error *err);
int sa_store_put_event(struct sa_store *store, const struct sa_store_event *event,
                       sa_store_done done, void *user, struct sa_error *err);
int sa_store_put_output(struct sa_store *store, const struct sa_store_output *output,
                        sa_store_done done, void *user, struct sa_error *err);
int sa_store_put_idempotency(struct sa_store *store, const struct sa_store_idempotency *record,
                             sa_store_done done, void *user, struct sa_error *err);
int sa_store_drop_idempotency(struct sa_store *store, const char *hash, struct sa_error *err);
/* Update these fields of a stored sandbox; SA_ENOTFOUND where there is none. */
int sa_store_set_phase(struct sa_store *store, const struct sa_store_phase *phase,
                       sa_store_done done, void *user, struct sa_error *err);

/* Delete what ended before `before_ms`: sandboxes with all that is theirs, and old executions
 * and events of sandboxes that live on. Works in small batches between other writes; the
 * callback gets the number of rows deleted. Also forgets keys revoked or expired before then. */
typedef void (*sa_store_pruned)(void *user, const struct sa_error *err, uint64_t rows);
int sa_store_prune(struct sa_store *store, int64_t before_ms, sa_store_pruned done, void *user,
                   struct sa_error *err);

/* ---- reads: NULL when refused at once (no callback) ---- */

/* A read may be cancelled until its callback ran; the callback will then not run. */
void sa_store_cancel(struct sa_store_read *read);

/* One record: `err` is NULL and the record valid until the callback returns, or SA_ENOTFOUND. */
typedef void (*sa_store_sandbox_done)(void *user, const struct sa_error *err,
                                      const struct sa_store_sandbox *sandbox);
typedef void (*sa_store_execution_done)(void *user, const struct sa_error *err,
                                        const struct sa_store_execution *execution);
struct sa_store_read *sa_store_get_sandbox(struct sa_store *store, const char *id,
                                           sa_store_sandbox_done done, void *user,
                                           struct sa_error *err);
/* SA_ENOTFOUND also when it belongs to another sandbox than `sandbox`. */
struct sa_store_read *sa_store_get_execution(struct sa_store *store, const char *sandbox,
                                             const char *id, sa_store_execution_done done,
                                             void *user, struct sa_error *err);

typedef void (*sa_store_output_done)(void *user, const struct sa_error *err,
                                     const struct sa_store_output *output);
struct sa_store_read *sa_store_get_output(struct sa_store *store, const char *execution,
                                          sa_store_output_done done, void *user,
                                          struct sa_error *err);
typedef void (*sa_store_idempotency_done)(void *user, const struct sa_error *err,
                                          const struct sa_store_idempotency *record);
struct sa_store_read *sa_store_get_idempotency(struct sa_store *store, const char *hash,
                                               sa_store_idempotency_done done, void *user,
                                               struct sa_error *err);

/* Pages. Newest first; `cursor` is opaque: NULL or "" for the first page, else what the page
 * before gave. Records made meanwhile do not shift pages. A bad cursor is SA_EINVALID at path
 * "cursor". `next` is NULL on the last page. */
struct sa_store_label { /* there is, or is not, one of that key with one of the values */
    const char *key;
    bool absent;
    const char *const *values; /* none: any value */
    size_t count;
};
enum { SA_STORE_QUERY_LABELS_MAX = 16, SA_STORE_QUERY_VALUES_MAX = 64 /* of all */ };
struct sa_store_sandbox_query {
    const char *owner, *phase;           /* NULL: any */
    const struct sa_store_label *labels; /* all of them must hold */
    size_t label_count;
    const char *cursor;
    size_t limit; /* 0: 50; at most SA_STORE_PAGE_MAX, else SA_EINVALID at "limit" */
};
struct sa_store_sandbox_page {
    const struct sa_store_sandbox *items;
    size_t count;
    const char *next;
};
typedef void (*sa_store_sandboxes_done)(void *user, const struct sa_error *err,
                                        const struct sa_store_sandbox_page *page);
struct sa_store_read *sa_store_list_sandboxes(struct sa_store *store,
                                              const struct sa_store_sandbox_query *query,
                                              sa_store_sandboxes_done done, void *user,
                                              struct sa_error *err);

struct sa_store_execution_page {
    const struct sa_store_execution *items;
    size_t count;
    const char *next;
};
typedef void (*sa_store_executions_done)(void *user, const struct sa_error *err,
                                         const struct sa_store_execution_page *page);
/* `status`: NULL for any. */
struct sa_store_read *sa_store_list_executions(struct sa_store *store, const char *sandbox,
                                               const char *status, const char *cursor, size_t limit,
                                               sa_store_executions_done done, void *user,
                                               struct sa_error *err);

/* Events with seq > after_seq, oldest first; `more` says that the page was full. */
struct sa_store_event_page {
    const struct sa_store_event *items;
    size_t count;
    bool more;
};
typedef void (*sa_store_events_done)(void *user, const struct sa_error *err,
                                     const struct sa_store_event_page *page);
struct sa_store_read *sa_store_list_events(struct sa_store *store, const char *sandbox,
                                           int64_t after_seq, size_t limit,
                                           sa_store_events_done done, void *user,
                                           struct sa_error *err);

#endif
