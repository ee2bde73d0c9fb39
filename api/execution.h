/*
 * One execution in a sandbox: started over the link, its output handed to a sink as it comes,
 * its end recorded. It always ends, exactly once: `finished` is called also when the sandbox
 * dies in the middle.
 */
#ifndef SA_API_EXECUTION_H
#define SA_API_EXECUTION_H

#include "api/sandbox.h"
#include "model/execute.h"

struct sa_execution;

struct sa_exec_result {
    const char *status; /* exited signaled timeout oom canceled failed */
    int exit_code;      /* -1: none */
    int signal;         /* 0: none */
    int64_t duration_us, cpu_us, memory_peak_bytes;
    int64_t totals[SA_CHANNELS]; /* bytes written, by channel */
    bool truncated[SA_CHANNELS];
    const struct sa_error *error; /* when it failed */
};

struct sa_exec_sink {
    void (*started)(void *user, int64_t pid);
    /* Bytes at `offset` of that channel; return the credit with sa_execution_consume(). */
    void (*output)(void *user, enum sa_link_channel channel, const void *data, size_t length,
                   int64_t offset);
    void (*finished)(void *user, const struct sa_exec_result *result);
};

/* Start it. At most `output_max` bytes of each output are forwarded; the rest is counted and
 * flagged. NULL when it cannot be started at all (`finished` is not called then). `execute` need
 * not outlive the call. */
struct sa_execution *sa_execution_start(struct sa_sandbox *sandbox,
                                        const struct sa_execute *execute, int64_t output_max,
                                        const struct sa_exec_sink *sink, void *user,
                                        struct sa_error *err);
const char *sa_execution_id(const struct sa_execution *execution);
void sa_execution_consume(struct sa_execution *execution, size_t length);
/* The client went away: kill it; the sink is not called any more, the end is still recorded. */
void sa_execution_abandon(struct sa_execution *execution);

#endif
