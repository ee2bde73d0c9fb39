/*
 * What a policy-worker gives up before it reads its first byte: every descriptor but the socket,
 * every system call but those of its loop, files, processes, core dumps, being traced. A step that
 * cannot be done ends the process: there is no weaker mode.
 */
#ifndef SA_LUA_LOCKDOWN_H
#define SA_LUA_LOCKDOWN_H

#include <stdbool.h>

enum { SA_LOCKDOWN_SOCKET = 3 };

/* 0, or -1 with the name of the failing step in `step` and errno. `keep_stderr` is for looking for
 * faults in the worker itself. */
int sa_lockdown(bool keep_stderr, const char **step);

#endif
