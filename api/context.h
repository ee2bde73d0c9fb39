/*
 * Contexts: live interpreters in a sandbox, each a kernel (runtime/kernels/) that is driven over
 * the control channel of its execution. What code leaves (variables, functions, the working
 * directory) is there for the next piece. One loop thread.
 *
 * A context runs one execution at a time, in the order in which they came. Its kernel may die: that
 * ends the execution that ran, with an error item that says how, and a new kernel takes its place,
 * sooner or later depending on how often that happened. At its timeout an execution is interrupted,
 * and when that does not end it, its kernel is killed; so it is when it is canceled.
 *
 *     starting    its first kernel is on the way
 *     idle, busy  it waits for code; it runs some
 *     restarting  its kernel died or was told to go, and another is on the way
 *
 * A context ends with its sandbox.
 */
#ifndef SA_API_CONTEXT_H
#define SA_API_CONTEXT_H

#include "api/execution.h"

struct sa_contexts; /* all of a server: app->contexts */
struct sa_context;

enum {
    SA_CONTEXTS_MAX = 32,                      /* of a sandbox */
    SA_CONTEXT_QUEUE_MAX = 64,                 /* executions that wait */
    SA_CONTEXT_QUEUE_BYTES = 16 * 1024 * 1024, /* of their code and input */
    SA_CONTEXT_IMPORTS_MAX = 32,
};

struct sa_context_spec {  /* copied */
    const char *language; /* "python", "node", "bash" */
    const char *cwd;      /* NULL: the default */
    struct sa_json_map env;
    struct sa_json_strings imports;  /* modules to be there from the start */
    struct sa_execute_limits limits; /* of its process */
};
/* NULL at the end. */
const char *sa_context_language(size_t index);

struct sa_contexts *sa_contexts_new(void);
/* Every sandbox has ended, or ends without a word to its contexts. NULL is allowed. */
void sa_contexts_free(struct sa_contexts *all);

/* The kernel is ready, or could not be started (`err`; the context is gone then). Once, never from
 * within sa_context_create(). */
typedef void (*sa_context_done)(void *user, struct sa_context *context, const struct sa_error *err);
/* NULL: SA_EQUOTA with too many, or what sa_sandbox_conn() says. */
struct sa_context *sa_context_create(struct sa_contexts *all, struct sa_sandbox *sandbox,
                                     const struct sa_context_spec *spec, sa_context_done done,
                                     void *user, struct sa_error *err);
/* Who created it does not want to hear of it any more. */
void sa_context_forget(struct sa_context *context);

struct sa_context *sa_context_find(struct sa_contexts *all, const struct sa_sandbox *sandbox,
                                   const char *id);
/* Oldest first; NULL at the end. */
struct sa_context *sa_context_first(struct sa_contexts *all, const struct sa_sandbox *sandbox);
struct sa_context *sa_context_next(struct sa_context *context);
/* Its name, static. */
const char *sa_context_language_of(const struct sa_context *context);
void sa_context_print(const struct sa_context *context, struct sa_json_w *w);

/* End it, and what runs and waits in it as canceled. */
void sa_context_delete(struct sa_context *context);
/* Drop its state: what runs ends as canceled, what waits goes on in the new kernel. */
void sa_context_restart(struct sa_context *context);
/* As Ctrl-C: what runs gets its language's interrupt; nothing happens when nothing runs. */
void sa_context_interrupt(struct sa_context *context);

/* Run code in the context that `execute` names. NULL: SA_ENOTFOUND, SA_EINVALID when the language
 * is another, SA_EQUOTA when too much waits. */
struct sa_execution *sa_context_execute(struct sa_contexts *all, struct sa_executions *executions,
                                        struct sa_sandbox *sandbox,
                                        const struct sa_execute *execute, int64_t output_max,
                                        struct sa_error *err);

#endif
