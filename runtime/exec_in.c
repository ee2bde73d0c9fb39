/*
 * What the opener sends to a program: into its stdin, its control socket or its terminal. Bytes
 * wait in a queue of at most one window, as their credit is returned only when they were written.
 */
#include "exec.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket is closed for writing only: what it is a duplicate of goes on being read. */
static void feed_close(struct feed *f)
{
    size_t dropped = f->queue.length - f->done;
    if (f->watch.fd >= 0 && f == &f->exec->feeds[FEED_CONTROL])
        shutdown(f->watch.fd, SHUT_WR);
    sa_watch_close(&f->watch);
    sa_buf_deinit(&f->queue);
    f->done = 0;
    if (dropped)
        sa_stream_consume(f->exec->call.stream, dropped);
}

static void feed_end(struct feed *f)
{
    struct exec *e = f->exec;
    bool hang_up = e->tty && f->watch.fd >= 0;
    feed_close(f);
    if (hang_up)
        exec_io_hang_up(e);
}

/* Writes and gives back the credit. The bytes written, or -1 when the program takes no more. */
static ssize_t feed_write(struct feed *f, const void *data, size_t length)
{
    ssize_t n = write(f->watch.fd, data, length);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    sa_stream_consume(f->exec->call.stream, (size_t)n);
    return n;
}

static void feed_ready(struct sa_watch *watch, uint32_t events)
{
    struct feed *f = sa_container_of(watch, struct feed, watch);
    (void)events;
    ssize_t n = feed_write(f, f->queue.data + f->done, f->queue.length - f->done);
    if (n < 0) {
        feed_close(f);
        return;
    }
    f->done += (size_t)n;
    if (f->done < f->queue.length)
        return;
    if (f->eof) {
        feed_end(f);
        return;
    }
    sa_buf_deinit(&f->queue);
    f->done = 0;
    sa_watch_set(watch, 0);
}

void exec_in_init(struct exec *e)
{
    for (int i = 0; i < FEEDS; i++)
        e->feeds[i] = (struct feed){.watch = {.fd = -1, .ready = feed_ready}, .exec = e};
}

void exec_in_data(struct feed *f, const void *data, size_t length)
{
    ssize_t n = 0;
    if (f->watch.fd >= 0 && !f->queue.length) {
        n = feed_write(f, data, length);
        if (n < 0)
            feed_close(f);
    }
    if (f->watch.fd < 0) { /* nobody reads it */
        sa_stream_consume(f->exec->call.stream, length);
        return;
    }
    if ((size_t)n == length)
        return;
    exec_io_enlarge(f->watch.fd, &f->enlarged);
    if (f->done > 64 * 1024) {
        sa_buf_consume(&f->queue, f->done);
        f->done = 0;
    }
    sa_buf_add(&f->queue, (const char *)data + n, length - (size_t)n);
    sa_watch_set(&f->watch, EPOLLOUT);
}

void exec_in_eof(struct feed *f)
{
    f->eof = true;
    if (!f->queue.length)
        feed_end(f);
}

void exec_in_close(struct exec *e)
{
    for (int i = 0; i < FEEDS; i++) {
        sa_watch_close(&e->feeds[i].watch);
        sa_buf_deinit(&e->feeds[i].queue);
    }
}
