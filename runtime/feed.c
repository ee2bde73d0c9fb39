#include "feed.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { PIPE_BYTES = 256 * 1024 };

void sa_pipe_enlarge(int fd, bool *enlarged)
{
    if (!*enlarged)
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
    *enlarged = true;
}

static void feed_close(struct sa_feed *f, bool at_end)
{
    size_t dropped = f->queue.length - f->done;
    if (f->watch.fd >= 0 && f->closing)
        f->closing(f, at_end);
    sa_watch_close(&f->watch);
    sa_buf_deinit(&f->queue);
    f->done = 0;
    if (dropped)
        sa_stream_consume(f->stream, dropped);
}

/* Writes and gives back the credit. The bytes written, or -1 when nobody takes any more. */
static ssize_t feed_write(struct sa_feed *f, const void *data, size_t length)
{
    ssize_t n = write(f->watch.fd, data, length);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    sa_stream_consume(f->stream, (size_t)n);
    return n;
}

static void feed_ready(struct sa_watch *watch, uint32_t events)
{
    struct sa_feed *f = sa_container_of(watch, struct sa_feed, watch);
    (void)events;
    ssize_t n = feed_write(f, f->queue.data + f->done, f->queue.length - f->done);
    if (n < 0) {
        feed_close(f, false);
        return;
    }
    f->done += (size_t)n;
    if (f->done < f->queue.length)
        return;
    if (f->eof) {
        feed_close(f, true);
        return;
    }
    sa_buf_deinit(&f->queue);
    f->done = 0;
    sa_watch_set(watch, 0);
}

void sa_feed_init(struct sa_feed *f, struct sa_stream *stream,
                  void (*closing)(struct sa_feed *feed, bool at_end))
{
    *f = (struct sa_feed){
        .watch = {.fd = -1, .ready = feed_ready}, .stream = stream, .closing = closing};
}

static void enqueue(struct sa_feed *f, const char *data, size_t length)
{
    if (f->done > 64 * 1024) {
        sa_buf_consume(&f->queue, f->done);
        f->done = 0;
    }
    sa_buf_add(&f->queue, data, length);
    if (!f->held)
        sa_watch_set(&f->watch, EPOLLOUT);
}

void sa_feed_data(struct sa_feed *f, const void *data, size_t length)
{
    ssize_t n = 0;
    if (f->watch.fd >= 0 && !f->queue.length && !f->held) {
        n = feed_write(f, data, length);
        if (n < 0)
            feed_close(f, false);
    }
    if (f->watch.fd < 0 && !f->held) {
        sa_stream_consume(f->stream, length);
        return;
    }
    if ((size_t)n == length)
        return;
    if (!f->held)
        sa_pipe_enlarge(f->watch.fd, &f->enlarged);
    enqueue(f, (const char *)data + n, length - (size_t)n);
}

void sa_feed_eof(struct sa_feed *f)
{
    f->eof = true;
    if (!f->queue.length && !f->held)
        feed_close(f, true);
}

void sa_feed_release(struct sa_feed *f)
{
    f->held = false;
    if (f->queue.length)
        sa_watch_set(&f->watch, EPOLLOUT);
    else if (f->eof)
        feed_close(f, true);
}

void sa_feed_deinit(struct sa_feed *f)
{
    sa_watch_close(&f->watch);
    sa_buf_deinit(&f->queue);
}
