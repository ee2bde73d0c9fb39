/*
 * Starting a program. fork(2), not vfork: whoever vforks sleeps until the child has executed, and
 * a program of the same user could stop the child just then (kill(-1, SIGSTOP)) and freeze the
 * runtime with it. Success or the failing step comes back through a close-on-exec pipe.
 */
#ifndef SA_RUNTIME_SPAWN_H
#define SA_RUNTIME_SPAWN_H

#include "base/error.h"
#include "boot.h"

#include <stdint.h>
#include <sys/types.h>

struct sa_spawn {
    char **argv;
    char **env; /* whole */
    const char *cwd;
    const struct sa_filter *filter; /* NULL: none */
    const struct sa_rlimits *boot_limits, *limits;
    uint64_t mark;
    int stdin_fd, stdout_fd, stderr_fd; /* of the child */
    int extra_fd;                       /* becomes 3; -1: none */
    bool tty;                           /* stdin is to be its controlling terminal */
};

/* What did not work in the child; also what a spare of the template answers (template.h). */
enum sa_spawn_step {
    SA_STEP_FD,
    SA_STEP_CWD,
    SA_STEP_LIMIT,
    SA_STEP_PROGRAM,
    SA_STEP_FILTER,
    SA_STEP_EXEC,
    SA_STEP_RUNS, /* everything worked */
};
struct sa_spawn_failure {
    int step, error, detail; /* detail: which rlimit */
};

/* Open what only a dumpable process may; then, once the boot block is read, the rest. */
void sa_spawn_open(void);
void sa_spawn_init(int oom_score);
/* Returns the pid and, in *result_fd, a non-blocking descriptor for sa_spawn_result(). -1 and
 * SA_EQUOTA when there can be no more processes. */
pid_t sa_spawn_start(const struct sa_spawn *spawn, int *result_fd, struct sa_error *err);
/* 1: it runs; 0: not known yet; -1: it could not be started, and the child is about to exit. */
int sa_spawn_result(const struct sa_spawn *spawn, int result_fd, struct sa_error *err);
/* Puts the failure into words; returns -1. */
int sa_spawn_describe(const struct sa_spawn *spawn, const struct sa_spawn_failure *failure,
                      struct sa_error *err);

#endif
