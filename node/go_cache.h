/*
 * Making the build cache of Go's standard library, once for each version of the toolchain, in the
 * background, when nothing else wants the processor. Layout:
 *
 *     CACHE/               0700: the folders below may be written by everybody who gets there
 *     CACHE/go/go1.26.1/   a finished cache, appears all at once
 *     CACHE/work/          being made, under a lock
 */
#ifndef SA_GO_CACHE_H
#define SA_GO_CACHE_H

#include "native/go.h"

#include <sys/types.h>

/* Fill go->caches, and start a process that makes the missing cache; its pid, or 0 when there is
 * nothing to do or no way to do it (said in the log). It ends with this process. */
pid_t sa_go_cache_start(struct sa_go *go, const char *cache);
void sa_go_cache_stop(pid_t pid);

#endif
