/* What the files of execution*.c share: execution.c is the registry and the source's side,
 * execution_read.c the readers and what is told from the loop, execution_ask.c what is asked of a
 * source, execution_record.c what is printed and stored. */
#ifndef SA_API_EXECUTION_PRIVATE_H
#define SA_API_EXECUTION_PRIVATE_H

#include "api/answer.h"
#include "api/execution.h"

#include <uthash.h>
#include <utlist.h>

struct input_wait {
    struct input_wait *prev, *next;
    void (*ready)(void *user);
    void *user;
};

/* A record on its way to the store, which may outlast the execution. */
struct recording {
    struct sa_execution *execution; /* NULL: gone */
};

/* The executions of one sandbox. */
struct exec_box {
    UT_hash_handle hh;
    char sandbox_id[SA_ID_BYTES];
    size_t running;
    size_t ended_count;
    struct sa_execution *ended; /* oldest first */
    bool gone;                  /* the sandbox */
};

struct sa_execution {
    UT_hash_handle hh;                        /* while it is known */
    struct sa_execution *box_prev, *box_next; /* once ended: in its box, */
    struct sa_execution *prev, *next;         /* and among those whose output could go */
    struct sa_execution *due_prev, *due_next, **due_list;
    struct sa_executions *all;
    struct sa_sandbox *sandbox; /* held while it runs */
    struct exec_box *box;       /* while it is known */
    char id[SA_ID_BYTES], sandbox_id[SA_ID_BYTES];
    char *kind, *summary, *context;
    bool tty, input_open;
    const struct sa_source_ops *ops;
    void *source;           /* NULL once ended */
    struct sa_spool *spool; /* NULL: lost, when all together were too much */
    int64_t lost_to;        /* then: where it ended */
    struct sa_reader *readers;
    struct input_wait *input_waits;
    struct sa_answer *answer; /* for the store */
    int64_t pid, started_ms, started_us;
    bool is_started, ended, known;
    struct recording *recording;   /* under way: nothing is read before its end */
    struct sa_error *not_recorded; /* NULL: no such trouble */
    bool expendable;               /* on the list of those */
    int pins;                      /* not to be freed now */
    bool held;                     /* the source was told to wait */
    bool input_due;                /* tell that stdin takes more */
    struct sa_exec_result result;
    struct sa_error error;
};

struct sa_reader {
    struct sa_reader *prev, *next;
    struct sa_reader *due_prev, *due_next, **due_list;
    struct sa_execution *execution;
    const struct sa_reader_events *events;
    void *user;
    struct sa_spool_reader *spool;
    int64_t offset;
    bool waits; /* `ready` is to be called */
};

struct sa_executions {
    uv_loop_t *loop;
    struct sa_store *store;
    struct sa_metric *executions_total;
    struct sa_series *execution_seconds, *spool_file_bytes, *spool_memory_bytes;
    struct sa_spools *spools;
    struct sa_contexts *contexts;
    struct sa_execution *by_id, *expendable; /* oldest first */
    struct exec_box *boxes;
    /* What is told from the loop: right after what caused it (check), without sleeping (idle). */
    uv_check_t check;
    uv_idle_t idle;
    struct sa_execution *due;
    struct sa_reader *due_readers;
};

/* execution.c */
/* Is it of no use to anybody any more? Then free it. */
void execution_release(struct sa_execution *e);

/* execution_read.c */
void execution_due_init(struct sa_executions *all);
void execution_make_due(struct sa_execution *e);
void execution_wake_readers(struct sa_execution *e);
/* Is nobody so near that the source should go on? */
bool execution_is_ahead(const struct sa_execution *e, int64_t most);
void execution_undue(struct sa_execution *e);

/* execution_record.c */
void execution_record(const struct sa_execution *e);
void execution_store_answer(struct sa_execution *e);

#endif
