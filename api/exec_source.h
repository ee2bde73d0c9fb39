/* A program of its own, run over the sandbox's link. */
#ifndef SA_API_EXEC_SOURCE_H
#define SA_API_EXEC_SOURCE_H

#include "api/execution.h"

/* As sa_execution_start(), which calls it for everything that has no context. */
struct sa_execution *sa_program_run(struct sa_executions *all, struct sa_sandbox *sandbox,
                                    const struct sa_execute *execute, int64_t output_max,
                                    struct sa_error *err);

/* Each becomes a limit of the process (setrlimit(2)). At the end of its processor time a program
 * is asked first (SIGXCPU) and killed a second later. */
void sa_encode_limits(const struct sa_execute_limits *limits, struct sa_buf *body);

#endif
