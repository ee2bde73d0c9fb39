/* The process of a policy-worker: started with one socket and nothing else. */
#ifndef SA_LUA_PROCESS_H
#define SA_LUA_PROCESS_H

#include "base/error.h"

#include <sys/types.h>

struct sa_process {
    pid_t pid; /* -1: none */
    int pidfd;
};

/* `*socket` is the parent's end, non-blocking; the child has the other one as descriptor 3,
 * /dev/null as 0 to 2, an empty environment, a session of its own, and all signals at their
 * defaults. The caller closes pidfd. */
int sa_process_start(const char *program, struct sa_process *process, int *socket,
                     struct sa_error *err);
void sa_process_kill(const struct sa_process *process);
/* Once its pidfd is readable: what it died of, for a message. */
void sa_process_reap(const struct sa_process *process, struct sa_error *why);

#endif
