/*
 * The named sets of system calls that the filters are composed of. A set lists names; a name
 * that the architecture does not have is skipped. A call that is in no set is refused.
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

/* Calls that no honest program makes in here: refused by the node, which hears of each. */
struct sa_name_list sa_set_telling(void);

/* The filters for programs ("default", "python", "node", "bash", "go"): name and sets. */
struct sa_language {
    const char *name;
    unsigned sets; /* bit 1 << enum sa_set */
};
const struct sa_language *sa_language(size_t index);

#endif
