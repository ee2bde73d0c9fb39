/*
 * The seccomp filters (seccomp(2)), made with libseccomp once at the start of the node.
 *
 * A sandbox's PID 1, and so everything in it, runs under two: `guard`, which refuses by argument
 * (terminal ioctls that type for others, signals to PID 1), and `base`, the union of all sets,
 * whose listener tells the node of the telling calls. The runtime puts the filter of a language
 * on top for each program. The strictest answer wins, and an errno is stricter than a
 * notification: therefore a language's filter lets the telling calls pass to `base`.
 *
 * Calls of other architectures (i386, x32) and calls newer than libseccomp fail with ENOSYS, so
 * that programs fall back; calls known and refused fail with EPERM.
 */
#ifndef SA_NATIVE_SECCOMP_H
#define SA_NATIVE_SECCOMP_H

#include "native/host.h"

int sa_filters_compile(struct sa_filters *filters, struct sa_error *err);

/* In the sandbox. 0 or -1 with errno. */
int sa_filter_install(const struct sa_program *program);
/* Also returns the listener's descriptor. */
int sa_filter_install_listening(const struct sa_program *program);

/* Index of a system call among the telling ones and back; -1 when it is none. */
int sa_telling_index(int number);
const char *sa_telling_name(int index);
enum { SA_TELLING_MAX = 96 };

#endif
