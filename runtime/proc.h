/*
 * Which processes belong to an execution, and how many resources all of them use; from /proc.
 *
 * A process belongs to an execution when it carries its mark, is in its session, or descends from
 * one that does. The mark is the hard limit RLIMIT_RTTIME (time on a real-time scheduler, which
 * no program here can get): it is inherited by fork, exec and setsid, an unprivileged process
 * cannot raise it, and it is read with prlimit(2). A process that lowers its own mark, leaves the
 * session and orphans itself is lost to its execution, but not to the sandbox: it is counted, its
 * resources are the sandbox's, and it dies with it.
 */
#ifndef SA_RUNTIME_PROC_H
#define SA_RUNTIME_PROC_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sa_proc_group {
    pid_t session; /* 0: unknown or no longer to be trusted */
    uint64_t mark; /* 0: none */
};

/* Open /proc; without it groups are found by their session's process group only. */
void sa_proc_init(void);

/* 0 where marks cannot be had, as the limit is lower already. */
uint64_t sa_proc_new_mark(void);
/* Put the mark on a process, 0 for the caller itself; without a mark (0) nothing. -1 with errno. */
int sa_proc_mark(pid_t pid, uint64_t mark);

/* Number of living members, quickly: by the mark alone where there is one. */
size_t sa_proc_count_group(const struct sa_proc_group *group);
/* Number of living members; each gets `signal` unless that is 0. */
size_t sa_proc_signal_group(const struct sa_proc_group *group, int signal);
/* SIGKILL to all members, also while they multiply: they are stopped first, as who is stopped does
 * not fork. Returns how many were met; call again (after a pause) until it returns 0. */
size_t sa_proc_kill_group(const struct sa_proc_group *group);

/* Call `visit` for each process but this one; false when there is no /proc. */
bool sa_proc_each(void (*visit)(pid_t pid, void *arg), void *arg);
/* Up to size-1 bytes of /proc/PID/NAME, terminated; false when it is gone. */
bool sa_proc_read(pid_t pid, const char *name, char *out, size_t size);
/* Its open descriptors, or NULL; closedir() it. */
DIR *sa_proc_descriptors(pid_t pid);

struct sa_proc_usage {
    size_t processes;
    int64_t cpu_us;       /* of all that ever lived here */
    int64_t memory_bytes; /* resident, anonymous and shared */
};
void sa_proc_usage(struct sa_proc_usage *usage);
/* All processes are gone: marks and usage begin anew. */
void sa_proc_forget(void);

#endif
