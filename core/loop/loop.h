/*
 * Small helpers over libuv: one loop to a process, whose end asserts that nothing was left open.
 * All calls from the loop's own thread.
 */
#ifndef SA_LOOP_LOOP_H
#define SA_LOOP_LOOP_H

#include "base/error.h"

#include <uv.h>

/* A new loop. SIGPIPE is ignored for the process from here on. NULL: SA_EINTERNAL. */
uv_loop_t *sa_loop_new(struct sa_error *err);
/* Runs what is still closing or held, then asserts uv_loop_close() == 0; on failure prints the
 * handles that are still open to stderr and aborts. NULL is allowed. */
void sa_loop_free(uv_loop_t *loop);

/* Something ends by itself within a moment, such as a killed child that is to be reaped:
 * sa_loop_free() runs the loop until as many are released as were held. The loop's `data` counts.
 */
void sa_loop_hold(uv_loop_t *loop);
void sa_loop_release(uv_loop_t *loop);

/* SIGTERM and SIGINT. `stop` is called for each one that arrives, with its number: the first
 * asks for a drain, a second one may cut it short. The watcher does not keep the loop alive. */
struct sa_signals;
typedef void sa_stop_cb(int signum, void *user);
struct sa_signals *sa_signals_start(uv_loop_t *loop, sa_stop_cb *stop, void *user,
                                    struct sa_error *err);
/* Freed once its handles are closed: run the loop (sa_loop_free() does). NULL is allowed. */
void sa_signals_stop(struct sa_signals *signals);

/* Take over a connected Unix stream socket (or pipe) as `pipe`, set non-blocking. On success the
 * handle owns `fd`; on failure the caller still does, and must uv_close() the handle. */
int sa_loop_adopt(uv_loop_t *loop, uv_pipe_t *pipe, int fd, struct sa_error *err);

#endif
