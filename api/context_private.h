/* What the files of context*.c share: context.c is the registry, context_kernel.c the life of the
 * kernel, context_run.c the executions. */
#ifndef SA_API_CONTEXT_PRIVATE_H
#define SA_API_CONTEXT_PRIVATE_H

#include "api/context.h"
#include "api/context_protocol.h"

#include <uthash.h>
#include <utlist.h>

enum context_state { CONTEXT_STARTING, CONTEXT_IDLE, CONTEXT_BUSY, CONTEXT_RESTARTING };

struct language {
    const char *name;
    enum sa_kernel_codec codec;
    bool interrupt_frame; /* a signal alone may get lost */
    const char *argv[8];
};

enum run_stop { RUN_GOES_ON, RUN_TIMED_OUT, RUN_CANCELED };

/* One execution. */
struct run {
    struct run *prev, *next;
    struct sa_context *context;
    struct sa_execution *execution;
    struct sa_arena *arena; /* code, env */
    struct sa_kernel_request request;
    int64_t timeout_ms, output_max, started_us;
    size_t bytes; /* that it takes while it waits */
    struct sa_buf input;
    size_t input_at;
    bool input_open;    /* more may come */
    bool input_wanted;  /* the kernel waits for it */
    bool input_told;    /* the kernel knows that it is over */
    bool input_refused; /* some, for lack of room */
    enum run_stop stop;
    bool muted; /* what it puts out is dropped: nobody reads it, and its end must come through */
    struct sa_exec_result result;
};

/* The contexts of one sandbox. */
struct context_box {
    UT_hash_handle hh;
    char sandbox_id[SA_ID_BYTES];
    struct sa_contexts *all;
    struct sa_sandbox *sandbox;
    struct sa_sandbox_watch watch;
    struct sa_context *list; /* oldest first */
    size_t count;
};

struct sa_contexts {
    struct context_box *boxes;
};

struct sa_context {
    struct sa_context *prev, *next;
    struct context_box *box;
    char id[SA_ID_BYTES];
    const struct language *language;
    struct sa_arena *arena;
    struct sa_context_spec spec;
    enum context_state state;
    int64_t created_ms, execution_count, last_run_id, pid, oom_kills;
    char message[256]; /* why it restarts */
    sa_context_done done;
    void *done_user;

    struct sa_call *call; /* the kernel; NULL while there is none */
    struct sa_kernel_reader reader;
    bool ready;  /* the kernel */
    bool leaves; /* it was told to */
    bool broke_protocol;
    bool interrupt_due; /* there was no room for it on the link */
    unsigned deaths;    /* one after the other */
    struct sa_buf out;  /* to the kernel */
    size_t out_at;
    struct sa_error start_error; /* what the kernel said when it could not start */
    struct sa_sandbox_timer deadline, again;

    struct run *current, *queue;
    size_t queued, queued_bytes;
    bool blocked; /* the reader of the execution is slow */
    size_t held;  /* credit kept back meanwhile */
};

/* context.c */
void context_free(struct sa_context *context);
/* Tell who created it. `err`: it could not be; the context is freed. */
void context_created(struct sa_context *context, const struct sa_error *err);

/* context_kernel.c */
/* 0, or -1 when there can be no kernel now. */
int kernel_start(struct sa_context *context, struct sa_error *err);
void kernel_kill(struct sa_context *context);
/* Write what is in context->out. */
void kernel_write(struct sa_context *context);
int kernel_signal(struct sa_context *context, int number, struct sa_error *err);
/* As Ctrl-C for what runs. */
void kernel_interrupt(struct sa_context *context);
/* Return the credit that was kept back. */
void kernel_unblock(struct sa_context *context);

/* context_run.c */
/* Run the next, when there is one and the kernel is free. */
void run_next(struct sa_context *context);
/* Frames of what runs. */
void run_output(struct run *run, enum sa_link_channel channel, const void *data, size_t length);
void run_item(struct run *run, enum sa_item_kind kind, const void *json, size_t length);
void run_wants_input(struct run *run, const struct sa_kernel_frame *frame);
void run_done(struct run *run, const struct sa_kernel_frame *frame);
/* Its end comes from elsewhere; it is freed. */
void run_finish(struct run *run, const char *status, const struct sa_error *error);
/* The kernel died under it. `status`, `how`: for the record and for a person. */
void run_died(struct run *run, const char *status, const char *name, const char *how);
void run_cancel_all(struct sa_context *context, const struct sa_error *error);
/* More of its stdin, as the kernel wants it. */
void run_send_input(struct run *run);

#endif
