/* System calls that a sandbox must refuse, by name. */
#ifndef SA_TEST_NODE_ATTEMPTS_H
#define SA_TEST_NODE_ATTEMPTS_H

/* Makes the call and prints "ok" or the name of the errno; 0, or 1 when the name is unknown. */
int attempt(const char *name);

#endif
