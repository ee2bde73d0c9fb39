/*
 * Memory of sandboxes where no control group counts it (an unprivileged node without a delegated
 * group): one pass over /proc adds up anonymous and shared memory of every process in the pid
 * namespaces asked about, what their tmpfs holds, and open memfds. It looks every so often, so
 * it is weaker than a limit: between two looks a sandbox may have more.
 */
#ifndef SA_NATIVE_WATCHDOG_H
#define SA_NATIVE_WATCHDOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    SA_WATCHDOG_MS = 100,
    SA_WATCHDOG_SHARED_MAX = 1024 * 1024 * 1024, /* a look at each page: 10 ms or so */
};

struct sa_watched {
    pid_t pid;          /* of PID 1, on the host */
    uint64_t namespace; /* from sa_watchdog_namespace() */
    void *owner;        /* for the caller */
    /* results */
    int64_t memory_bytes, processes;
};

/* The pid namespace of a process, as a number; 0 when it is gone. */
uint64_t sa_watchdog_namespace(pid_t pid);
/* Fill the results of all. What processes share since a fork counts for each: it is at most so
 * much. */
void sa_watchdog_measure(struct sa_watched *list, size_t count);
/* Of one that has been measured, again: what is shared counts once. That costs time for each page,
 * so above SA_WATCHDOG_SHARED_MAX bytes the first result stays. */
void sa_watchdog_measure_shared(struct sa_watched *one);

#endif
