/* Landlock (kernel: Documentation/userspace-api/landlock.rst) as a second layer below the mount
 * namespace: what may be read and run, and the few folders that may be written. */
#ifndef SA_NATIVE_LANDLOCK_H
#define SA_NATIVE_LANDLOCK_H

#include "native/host.h"

/* ABI of this kernel; 0 when it has none or it is switched off. */
int sa_landlock_abi(void);
/* In the sandbox, after pivot_root: a ruleset for its paths, and for the folder of message queues,
 * which has none; -1 with errno. */
int sa_landlock_rules(const struct sa_host *host, uint32_t folders, int queues);
/* Restrict this thread and what it starts, for ever. Needs no_new_privs. */
int sa_landlock_restrict(int rules);

#endif
