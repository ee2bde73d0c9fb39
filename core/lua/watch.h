/*
 * Telling when folders of rules change: files edited in place, renamed over, links moved (a
 * ConfigMap's `..data`), folders that come and go.
 *
 * inotify says when to look; what has changed is decided by looking: a fingerprint of all that a
 * bundle would be read from, taken on a thread 50 ms after the last event, and every few seconds
 * without one (network file systems tell nothing; and there may be no inotify to be had).
 */
#ifndef SA_LUA_WATCH_H
#define SA_LUA_WATCH_H

#include "base/error.h"

#include <stddef.h>
#include <uv.h>

struct sa_watch;

/* Looks at once (blocking); from then on `changed` comes from the loop for what is different.
 * `dirs` as sa_bundle_read's, copied. Loop thread; does not keep the loop alive. */
struct sa_watch *sa_watch_start(uv_loop_t *loop, const char *const *dirs, size_t count,
                                void (*changed)(void *owner), void *owner);
/* Frees itself once its handles are closed; `changed` comes no more. NULL is allowed. */
void sa_watch_stop(struct sa_watch *watch);

#endif
