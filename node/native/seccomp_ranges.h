/*
 * A filter's first part: what is allowed whatever its arguments, as a search tree over ranges of
 * numbers. libseccomp compares each number by itself, and what the kernel does with a filter when
 * a program gets it (check, translate, find the calls that are always allowed) grows with its
 * length: 592 instructions took a third of a millisecond for each program.
 */
#ifndef SA_NATIVE_SECCOMP_RANGES_H
#define SA_NATIVE_SECCOMP_RANGES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Appends instructions (struct sock_filter) to `out`. Of calls of architecture `arch`
 * (AUDIT_ARCH_…): those below `count` with allowed[number] are allowed; from `count` on, ENOSYS.
 * For all others the program goes on behind the last of these instructions. */
void sa_ranges_emit(uint32_t arch, const bool *allowed, unsigned count, struct sa_buf *out);

#endif
