/*
 * Fail points: named places where a test can stop this process as kill -9 would. They exist only in
 * builds with SA_FAILPOINTS; elsewhere they are nothing. Each name is in docs/invariants.md.
 *
 * SA_FAILPOINT=NAME[:N] in the environment kills the process when the place is reached for the Nth
 * time (1 by default).
 */
#ifndef SA_BASE_FAILPOINT_H
#define SA_BASE_FAILPOINT_H

#ifdef SA_FAILPOINTS
void sa_failpoint(const char *name);
#else
#define sa_failpoint(name) ((void)0)
#endif

#endif
