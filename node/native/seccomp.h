/*
 * The seccomp filters (seccomp(2)), made with libseccomp.
 *
 * A sandbox's PID 1, and so everything in it, runs under two: `guard`, which refuses by argument
 * (terminal ioctls that type for others, signals to PID 1) and is the same for all, and `base`,
 * whose listener tells the node of the telling calls. The runtime puts the filter of a language on
 * top for each program. The strictest answer wins, and an errno is stricter than a notification:
 * therefore a language's filter lets the telling calls pass to `base`.
 *
 * `base` and the languages come from a profile (nodelink/profile.h), above a floor: only calls of
 * the sets (seccomp_sets.h) can be allowed, the never-allowed ones are always telling, and some are
 * allowed with certain arguments only (clone, personality, prlimit64, setrlimit, socket). `base`
 * allows in addition what PID 1 needs.
 *
 * Calls of other architectures (i386, x32) and calls newer than libseccomp fail with ENOSYS, so
 * that programs fall back; calls known and refused fail with EPERM.
 */
#ifndef SA_NATIVE_SECCOMP_H
#define SA_NATIVE_SECCOMP_H

#include "native/host.h"
#include "nodelink/profile.h"

#include <stdio.h>

/* free() the code. */
int sa_guard_compile(struct sa_program *guard, struct sa_error *err);
/* The filters of a profile, in its order, into `programs` (free() the code of each, also after a
 * failure). SA_ECONTROL with the path "seccomp": one lowers the floor, contradicts itself or names
 * what is no system call; the message names language and call. Takes some 10 ms. */
int sa_filters_compile(const struct sa_profile *profile, struct sa_program *programs,
                       struct sa_error *err);

/* In the sandbox. 0 or -1 with errno. */
int sa_filter_install(const struct sa_program *program);
/* Also returns the listener's descriptor. */
int sa_filter_install_listening(const struct sa_program *program);

/* What there is to be allowed, as JSON: {"sets": {"io": ["close", ...], ...}, "never": [...],
 * "runtime": [...]}, the last of which `base` always allows. 0, or 1: it could not be written. */
int sa_calls_print(FILE *out);

/* Name of a system call for people, at most `size` bytes. */
void sa_call_name(int number, char *name, size_t size);

/* Different calls that one profile can have told. */
enum { SA_TELLING_MAX = 128 };

#endif
