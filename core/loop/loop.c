/* Small helpers over libuv, see loop.h. */
#include "loop/loop.h"

#include "base/arena.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

uv_loop_t *sa_loop_new(struct sa_error *err)
{
    uv_loop_t *loop = sa_alloc(sizeof *loop);
    int r = uv_loop_init(loop);
    if (r) {
        free(loop);
        sa_error_sys(err, SA_EINTERNAL, -r, "cannot make an event loop");
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN);
    return loop;
}

void sa_loop_hold(uv_loop_t *loop)
{
    loop->data = (char *)loop->data + 1;
}

void sa_loop_release(uv_loop_t *loop)
{
    loop->data = (char *)loop->data - 1;
}

static void count_closing(uv_handle_t *handle, void *counter)
{
    if (uv_is_closing(handle))
        ++*(unsigned *)counter;
}

void sa_loop_free(uv_loop_t *loop)
{
    if (!loop)
        return;
    /* Handles that are closing are no reason for uv_run() to wait, and those left open by
     * mistake must not make it wait: so no UV_RUN_DEFAULT, and waiting only for what is held. */
    unsigned closing;
    do {
        uv_run(loop, loop->data ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        closing = 0;
        uv_walk(loop, count_closing, &closing);
    } while (closing || loop->data);
    if (uv_loop_close(loop) != 0) {
        fprintf(stderr, "the event loop still has open handles:\n");
        uv_print_all_handles(loop, stderr);
        abort();
    }
    free(loop);
}

struct sa_signals {
    uv_signal_t term, interrupt;
    unsigned open;
    sa_stop_cb *stop;
    void *user;
};

static void on_signal(uv_signal_t *handle, int signum)
{
    struct sa_signals *signals = handle->data;
    signals->stop(signum, signals->user);
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct sa_signals *signals = handle->data;
    if (!--signals->open)
        free(signals);
}

static int watch(struct sa_signals *signals, uv_loop_t *loop, uv_signal_t *handle, int signum)
{
    handle->data = signals;
    int r = uv_signal_init(loop, handle);
    if (r)
        return r;
    signals->open++;
    uv_unref((uv_handle_t *)handle);
    return uv_signal_start(handle, on_signal, signum);
}

struct sa_signals *sa_signals_start(uv_loop_t *loop, sa_stop_cb *stop, void *user,
                                    struct sa_error *err)
{
    struct sa_signals *signals = sa_alloc(sizeof *signals);
    signals->stop = stop;
    signals->user = user;
    int r = watch(signals, loop, &signals->term, SIGTERM);
    if (!r)
        r = watch(signals, loop, &signals->interrupt, SIGINT);
    if (!r)
        return signals;
    sa_error_sys(err, SA_EINTERNAL, -r, "cannot watch for SIGTERM and SIGINT");
    if (signals->open)
        sa_signals_stop(signals);
    else
        free(signals);
    return NULL;
}

void sa_signals_stop(struct sa_signals *signals)
{
    if (!signals)
        return;
    uv_close((uv_handle_t *)&signals->term, on_signal_closed);
    if (signals->open == 2)
        uv_close((uv_handle_t *)&signals->interrupt, on_signal_closed);
}

int sa_loop_adopt(uv_loop_t *loop, uv_pipe_t *pipe, int fd, struct sa_error *err)
{
    int r = uv_pipe_init(loop, pipe, 0);
    if (!r)
        r = uv_pipe_open(pipe, fd); /* makes it non-blocking */
    if (r)
        return sa_error_sys(err, SA_EINTERNAL, -r, "cannot watch descriptor %d", fd);
    return 0;
}
