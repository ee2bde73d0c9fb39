/*
 * The template: a process with a language's interpreter loaded, from which programs are forked
 * (kernels/template.py, which tells the protocol; the node puts it into every sandbox). Sooner
 * than it is asked for it forks a spare, which waits for one request: a program, or a context where
 * it was told to import what contexts need. Template and spare are
 * processes of the sandbox like any other and may be stopped or killed by programs in it: nothing
 * here blocks for them, and what they do not serve soon is started in the ordinary way.
 */
#ifndef SA_RUNTIME_TEMPLATE_H
#define SA_RUNTIME_TEMPLATE_H

#include "spawn.h"

enum { SA_TEMPLATE_IMPORTS_MAX = 64 };

/* What a program asks for: ARGV is INTERPRETER -c PROGRAM, `imports` ends with NULL or is NULL.
 * Without imports a template that was wanted with some serves, too. */
void sa_template_want(char **argv, char **imports, const struct sa_filter *filter);
/* Have a spare for what was wanted last: start, replace or ask the template as needed. */
void sa_template_prepare(void);
/* The environment is another one: the template that waits, if any, is replaced. */
void sa_template_renew(void);
/* End it, and forget what was wanted. */
void sa_template_drop(void);
bool sa_template_is_there(void);
/* Is a spare for what was wanted last on its way, and worth a moment's wait? */
bool sa_template_is_coming(void);
/* Can its spares become contexts (kernels/python.py) of this interpreter and filter? */
bool sa_template_has_kernel(const char *interpreter, const struct sa_filter *filter);
/* `ready` is called when a spare has come (not from within a function of this header). */
void sa_template_on_ready(void (*ready)(void));
/* Hand the program to the spare: its pid, and in *result_fd a descriptor for
 * sa_template_result(); 0 when there is none that fits. */
pid_t sa_template_take(const struct sa_spawn *spawn, int *result_fd);

enum sa_template_answer {
    SA_TEMPLATE_UNKNOWN, /* nothing yet */
    SA_TEMPLATE_RUNS,
    SA_TEMPLATE_FAILED, /* it could not be started, `err` says why */
    SA_TEMPLATE_LOST,   /* the spare ended, or is about to, and has run nothing */
};
enum sa_template_answer sa_template_result(const struct sa_spawn *spawn, int result_fd,
                                           struct sa_error *err);
/* wait(2) told of a process that is no execution's. */
void sa_template_reaped(pid_t pid);

#endif
