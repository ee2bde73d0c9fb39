/*
 * The named sets of system calls that filters are composed of ("@io", "@files" ...), and with them
 * what can be allowed at all: a call that is in no set is refused whatever a policy says. A set
 * lists names; a name that the architecture does not have is skipped. `sandbox-node --calls` prints
 * all of this.
 */
#ifndef SA_NATIVE_SECCOMP_SETS_H
#define SA_NATIVE_SECCOMP_SETS_H

#include <stddef.h>

enum sa_set {
    SA_SET_IO,    /* descriptors that are open */
    SA_SET_FILES, /* paths */
    SA_SET_XATTR,
    SA_SET_MEMORY,
    SA_SET_NUMA,
    SA_SET_PKEYS,
    SA_SET_PROCESS, /* start, wait, exec, own attributes */
    SA_SET_IDS,     /* change user or group (among the mapped ones, without privilege: nothing) */
    SA_SET_SIGNALS,
    SA_SET_TIME,
    SA_SET_TIMERS, /* POSIX timers */
    SA_SET_SYNC,
    SA_SET_SCHED,
    SA_SET_POLL,
    SA_SET_NET,
    SA_SET_INOTIFY,
    SA_SET_AIO,
    SA_SET_SYSV, /* System V IPC */
    SA_SET_MQUEUE,
    SA_SET_SELF, /* restrict oneself further: seccomp, Landlock */
    SA_SET_COUNT
};

struct sa_name_list {
    const char *const *names;
    size_t count;
};

struct sa_name_list sa_set_names(enum sa_set set);
const char *sa_set_name(enum sa_set set); /* "io" */
/* The set of that name (without the "@"), or -1. */
int sa_set_find(const char *name);

/* Calls that no honest program makes in here: never allowed, and the node hears of each. */
struct sa_name_list sa_set_telling(void);

/* What PID 1 itself needs of `base`: bits 1 << enum sa_set, and single calls. */
unsigned sa_set_runtime(void);
struct sa_name_list sa_set_runtime_calls(void);

#endif
