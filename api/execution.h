/*
 * Executions as resources: each has an id, a record, and a bounded spool of what it put out
 * (api/spool.h), which any number of readers follow at their own pace, from any offset. It does
 * not care who reads: it outlives the connection that started it. It always ends, exactly once.
 * One loop thread.
 *
 * OFFSETS. An execution's output is one sequence: stdout and stderr bytes in the order in which
 * they came, and results, errors and requests for input between them. A byte of output counts 1,
 * any of the others counts 1. So the offset after an item is its offset + its bytes, or + 1, and a
 * client that was cut off resumes with the offset after the last item it has.
 *
 * WHO PRODUCES. A source: a program of its own over the link (api/exec_source.c), or a context's
 * kernel (api/context.c). It appends, is told to wait when nobody keeps up, and finishes.
 *
 * HOW LONG. Ended executions are kept with their output until their sandbox ends, the newest 256
 * of each; when all of them together take too much, the oldest lose their output. What is not
 * here any more has its record in the store.
 */
#ifndef SA_API_EXECUTION_H
#define SA_API_EXECUTION_H

#include "api/sandbox.h"
#include "api/spool.h"
#include "model/execute.h"

struct sa_executions; /* all of a server: app->executions */
struct sa_contexts;
struct sa_execution;
struct sa_reader;

enum {
    SA_EXECUTIONS_RUNNING_MAX = 128,          /* in one sandbox at once; more are SA_EQUOTA */
    SA_EXECUTIONS_KEPT_MAX = 256,             /* ended ones of one sandbox */
    SA_EXECUTION_AHEAD_MAX = 512 * 1024,      /* output ahead of the first reader: then it waits */
    SA_EXECUTION_WHOLE_MAX = 4 * 1024 * 1024, /* output_max of whole answers */
    SA_EXECUTION_STREAM_MAX = 1024 * 1024 * 1024, /* and of all others */
};

struct sa_executions_options {
    uv_loop_t *loop;
    struct sa_store *store;
    struct sa_metrics *metrics;
    const char *spool_folder;
    size_t spool_bytes, spool_total_bytes; /* 0: the defaults of api/spool.h */
};
struct sa_executions *sa_executions_new(const struct sa_executions_options *options,
                                        struct sa_error *err);
/* All have finished, and no reader is left. */
void sa_executions_free(struct sa_executions *all);
/* Who runs code in contexts (api/context.h). */
void sa_executions_set_contexts(struct sa_executions *all, struct sa_contexts *contexts);
struct sa_contexts *sa_executions_contexts(const struct sa_executions *all);
/* The sandbox has ended: what it left is forgotten once nobody reads it. */
void sa_executions_forget(struct sa_executions *all, const char *sandbox_id);

/* ---- the source's side ---- */

/* What can be asked of a source; members may be NULL: then the caller gets SA_ECONFLICT. */
struct sa_source_ops {
    void (*resume)(void *source); /* after append said to wait */
    void (*cancel)(void *source); /* finish still comes */
    int (*signal)(void *source, int number, struct sa_error *err);
    /* Returns how many bytes were taken (the rest later, after sa_execution_input_writable()). */
    size_t (*input)(void *source, const void *data, size_t length);
    void (*input_end)(void *source);
    int (*resize)(void *source, int rows, int cols, struct sa_error *err);
};

struct sa_execution_meta { /* copied */
    const char *kind;      /* "python", ..., "command" */
    const char *summary;   /* the command or code, cut for the record */
    const char *context;   /* id, or NULL */
    bool tty;
    bool input_open; /* stdin stays open for sa_execution_input() */
};

/* May one more run in this sandbox? -1: SA_EQUOTA. */
int sa_executions_check(struct sa_executions *all, struct sa_sandbox *sandbox,
                        struct sa_error *err);
/* NULL: SA_EQUOTA. */
struct sa_execution *sa_execution_new(struct sa_executions *all, struct sa_sandbox *sandbox,
                                      const struct sa_execution_meta *meta,
                                      const struct sa_source_ops *ops, void *source,
                                      struct sa_error *err);
/* It runs now, as `pid` (0: none of its own). */
void sa_execution_started(struct sa_execution *execution, int64_t pid);
/* STDOUT, STDERR: bytes. RESULT, ERROR, INPUT: one JSON object on one line, which the caller
 * vouches for: {"data":{mime: value},"main":bool}; {"name","value","traceback"}; {"prompt"}; at
 * most SA_SPOOL_ITEM_MAX bytes (what is larger is replaced by a note that says so). False: every
 * reader is far behind, or the disk is; produce no more until `resume`. What was given is kept in
 * any case. */
bool sa_execution_append(struct sa_execution *execution, enum sa_item_kind kind, const void *data,
                         size_t length);
void sa_execution_input_writable(struct sa_execution *execution);

struct sa_exec_result {
    const char *status; /* exited signaled timeout oom canceled failed */
    int exit_code;      /* -1: none */
    int signal;         /* 0: none */
    int64_t duration_us, cpu_us, memory_peak_bytes;
    int64_t totals[SA_CHANNELS]; /* bytes written, by channel, forwarded or not */
    bool truncated[SA_CHANNELS];
    const struct sa_error *error; /* when it failed: the reason */
};
/* The source is done and is not called any more. `status` is one of the literals; the rest is
 * copied. */
void sa_execution_finish(struct sa_execution *execution, const struct sa_exec_result *result);

/* ---- everybody else's ---- */

/* Decide by `execute` who produces it, and start. `output_max`: most bytes forwarded of each of
 * stdout and stderr. NULL when it cannot be started at all. */
struct sa_execution *sa_execution_start(struct sa_executions *all, struct sa_sandbox *sandbox,
                                        const struct sa_execute *execute, int64_t output_max,
                                        struct sa_error *err);
/* How many run in the sandbox. */
int64_t sa_executions_running(struct sa_executions *all, const char *sandbox_id);
/* By id, of one sandbox; also ended ones that are still kept. NULL: look in the store. */
struct sa_execution *sa_execution_find(struct sa_executions *all, const char *sandbox_id,
                                       const char *id);
const char *sa_execution_id(const struct sa_execution *execution);
const char *sa_execution_sandbox_id(const struct sa_execution *execution);
bool sa_execution_ended(const struct sa_execution *execution);
/* NULL while it runs. */
const struct sa_exec_result *sa_execution_result(const struct sa_execution *execution);
/* pid as given to sa_execution_started(); 0 before. */
int64_t sa_execution_pid(const struct sa_execution *execution);
/* And may its id be told? */
bool sa_execution_is_started(const struct sa_execution *execution);
int64_t sa_execution_output_from(const struct sa_execution *execution);
int64_t sa_execution_output_to(const struct sa_execution *execution);
/* Keep the end of the output for the store: for who asks again after a restart. Right after the
 * start. */
void sa_execution_keep_answer(struct sa_execution *execution);
/* Its id is to be told while it runs: readers see nothing of it, and it counts as not started,
 * until its record is written, and what was written to the store before. */
void sa_execution_record_first(struct sa_execution *execution);
bool sa_execution_is_recording(const struct sa_execution *execution);
/* Why the record could not be written; NULL: it was, or is on its way. */
const struct sa_error *sa_execution_unrecorded(const struct sa_execution *execution);
void sa_execution_cancel(struct sa_execution *execution);
int sa_execution_signal(struct sa_execution *execution, int number, struct sa_error *err);
/* stdin: how many of the bytes were taken; SA_ECONFLICT (and -1) when it is not open. Less than
 * length: sa_execution_await_input(), or `input_writable` of a reader's events, tells of room. */
ssize_t sa_execution_input(struct sa_execution *execution, const void *data, size_t length,
                           struct sa_error *err);
int sa_execution_input_end(struct sa_execution *execution, struct sa_error *err);
/* `ready` comes once, from the loop, when stdin may take more, or the execution has ended. */
void sa_execution_await_input(struct sa_execution *execution, void (*ready)(void *user),
                              void *user);
void sa_execution_forget_input(struct sa_execution *execution, void *user);
int sa_execution_resize(struct sa_execution *execution, int rows, int cols, struct sa_error *err);
/* The Execution resource as a JSON object (without output). */
void sa_execution_print(const struct sa_execution *execution, struct sa_json_w *w);

/* ---- reading ---- */

enum sa_read_state {
    SA_READ_PIECE,
    SA_READ_WAIT,
    SA_READ_END, /* piece->dropped: what was missing at the end */
};

struct sa_reader_events {
    /* After SA_READ_WAIT: there is more, or it started, or it ended. From the loop, never from
     * within a call of this header. */
    void (*ready)(void *user);
    void (*input_writable)(void *user); /* may be NULL */
};

/* Read from `offset` (0: all that is kept). The execution is kept while a reader is on it. The
 * reader that is furthest ahead holds the source back when it stops reading; others do not. */
struct sa_reader *sa_reader_new(struct sa_execution *execution, int64_t offset,
                                const struct sa_reader_events *events, void *user);
/* At most `most` bytes of one kind, or an item; UTF-8 is never split within what is text, but at
 * the end. */
enum sa_read_state sa_reader_next(struct sa_reader *reader, size_t most, struct sa_piece *piece);
struct sa_execution *sa_reader_execution(struct sa_reader *reader);
void sa_reader_free(struct sa_reader *reader); /* NULL is allowed */

#endif
