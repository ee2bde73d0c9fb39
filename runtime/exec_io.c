/*
 * The pipes of an execution. Output is read straight into frames of the link; without credit the
 * pipe is not read, so that the program blocks. Beyond its limit output is read, counted and
 * dropped. Input waits in a queue of at most one window, as its credit is returned only when it
 * was written.
 */
#include "exec.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    READ_BYTES = SA_LINK_PAYLOAD_MAX,
    PIPE_BYTES = 256 * 1024, /* of a pipe that was seen full */
    DRAIN_READS = 64,
    LEFTOVERS_MAX = 64,
    LEFTOVER_PAUSE_US = 20 * 1000,
};

static char scratch[64 * 1024]; /* for what is dropped; never looked at */

/* --- output --- */

/* Reads once. The bytes, 0 at the end, -1 when there is nothing to read or no credit. */
static ssize_t pump_read(struct pump *p)
{
    int64_t allowed = p->limit - p->forwarded;
    if (allowed <= 0)
        return read(p->watch.fd, scratch, sizeof scratch);
    size_t room = allowed < READ_BYTES ? (size_t)allowed : READ_BYTES;
    void *to = sa_stream_reserve(p->exec->call.stream, p->channel, &room);
    if (!to) {
        p->paused = true;
        sa_watch_set(&p->watch, 0);
        errno = EAGAIN;
        return -1;
    }
    ssize_t n = read(p->watch.fd, to, room);
    sa_stream_commit(p->exec->call.stream, n > 0 ? (size_t)n : 0);
    if (n > 0)
        p->forwarded += n;
    return n;
}

/* A pipe that was full gets larger, if the user may have that: fewer switches between the program
 * and us. */
static void enlarge(int fd, bool *enlarged)
{
    if (!*enlarged)
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
    *enlarged = true;
}

/* EOF goes out together with END (exec_io_finish): the reader is woken once. */
static void pump_end(struct pump *p)
{
    sa_watch_close(&p->watch);
    p->must_drain = 0;
}

/* Moves one frame's worth; false when there is no more for now. */
static bool pump_move(struct pump *p)
{
    if (p->watch.fd < 0 || p->paused)
        return false;
    ssize_t n = pump_read(p);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n <= 0) {
        pump_end(p);
        return false;
    }
    p->total += n;
    p->must_drain = p->must_drain > n ? p->must_drain - n : 0;
    if (n >= 64 * 1024)
        enlarge(p->watch.fd, &p->enlarged);
    if (p->exec->exited && !p->exec->quiet_over &&
        sa_poller_now_us() < p->exec->exit_us + EXEC_NOISE_US)
        sa_timer_set(&p->exec->quiet, EXEC_QUIET_US);
    return true;
}

static void pump_ready(struct sa_watch *watch, uint32_t events)
{
    struct pump *p = sa_container_of(watch, struct pump, watch);
    (void)events;
    pump_move(p);
    exec_check(p->exec);
}

void exec_io_writable(struct exec *e)
{
    for (int i = 0; i < 2; i++) {
        struct pump *p = &e->pumps[i];
        if (!p->paused)
            continue;
        p->paused = false;
        sa_watch_set(&p->watch, EPOLLIN);
    }
}

void exec_io_drain(struct exec *e)
{
    for (int i = 0; i < 2; i++) {
        struct pump *p = &e->pumps[i];
        int there = 0;
        if (p->watch.fd < 0)
            continue;
        if (ioctl(p->watch.fd, FIONREAD, &there) == 0)
            p->must_drain = there;
        for (int n = 0; n < DRAIN_READS && pump_move(p); n++)
            ;
    }
}

bool exec_io_drained(const struct exec *e)
{
    return e->pumps[0].must_drain == 0 && e->pumps[1].must_drain == 0;
}

bool exec_io_closed(const struct exec *e)
{
    return e->pumps[0].watch.fd < 0 && e->pumps[1].watch.fd < 0;
}

/* --- output that background processes still write, after the end --- */

struct leftover {
    struct sa_watch watch;
    struct sa_timer timer;
    struct leftover *next;
};

static struct leftover *leftovers; /* youngest first */

static void leftover_free(struct leftover *l)
{
    struct leftover **at = &leftovers;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    sa_watch_close(&l->watch);
    sa_timer_clear(&l->timer);
    free(l);
}

/* At most one buffer in each interval: a flood blocks instead of using the processor. */
static void leftover_ready(struct sa_watch *watch, uint32_t events)
{
    struct leftover *l = sa_container_of(watch, struct leftover, watch);
    (void)events;
    ssize_t n = read(watch->fd, scratch, sizeof scratch);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        leftover_free(l);
        return;
    }
    sa_watch_set(watch, 0);
    sa_timer_set(&l->timer, LEFTOVER_PAUSE_US);
}

static void leftover_fire(struct sa_timer *timer)
{
    struct leftover *l = sa_container_of(timer, struct leftover, timer);
    sa_watch_set(&l->watch, EPOLLIN);
}

static void leftover_new(int fd)
{
    struct leftover *l = sa_alloc(sizeof *l), *oldest = leftovers;
    size_t count = 0;
    for (struct leftover *i = leftovers; i; i = i->next, count++)
        oldest = i;
    if (count >= LEFTOVERS_MAX)
        leftover_free(oldest);
    *l = (struct leftover){.watch = {.fd = fd, .ready = leftover_ready},
                           .timer = {.fire = leftover_fire},
                           .next = leftovers};
    leftovers = l;
    sa_watch_set(&l->watch, EPOLLIN);
}

void exec_io_finish(struct exec *e)
{
    for (int i = 0; i < 2; i++) {
        struct pump *p = &e->pumps[i];
        if (p->watch.fd >= 0) {
            sa_watch_set(&p->watch, 0);
            leftover_new(sa_steal_fd(&p->watch.fd));
        }
        sa_stream_eof(e->call.stream, i ? SA_CHANNEL_ERR : SA_CHANNEL_OUT);
    }
    exec_io_close(e);
}

void exec_io_close(struct exec *e)
{
    sa_watch_close(&e->pumps[0].watch);
    sa_watch_close(&e->pumps[1].watch);
    sa_watch_close(&e->feed.watch);
    sa_buf_deinit(&e->feed.queue);
}

/* --- input --- */

static void feed_close(struct exec *e)
{
    struct feed *f = &e->feed;
    size_t dropped = f->queue.length - f->done;
    sa_watch_close(&f->watch);
    sa_buf_deinit(&f->queue);
    f->done = 0;
    if (dropped)
        sa_stream_consume(e->call.stream, dropped);
}

/* Writes and gives back the credit. The bytes written, or -1 when the program takes no more. */
static ssize_t feed_write(struct exec *e, const void *data, size_t length)
{
    ssize_t n = write(e->feed.watch.fd, data, length);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    sa_stream_consume(e->call.stream, (size_t)n);
    return n;
}

static void feed_ready(struct sa_watch *watch, uint32_t events)
{
    struct exec *e = sa_container_of(watch, struct exec, feed.watch);
    struct feed *f = &e->feed;
    (void)events;
    ssize_t n = feed_write(e, f->queue.data + f->done, f->queue.length - f->done);
    if (n < 0) {
        feed_close(e);
        return;
    }
    f->done += (size_t)n;
    if (f->done < f->queue.length)
        return;
    if (f->eof) {
        feed_close(e);
        return;
    }
    sa_buf_deinit(&f->queue);
    f->done = 0;
    sa_watch_set(watch, 0);
}

void exec_io_data(struct exec *e, const void *data, size_t length)
{
    struct feed *f = &e->feed;
    ssize_t n = 0;
    if (f->watch.fd >= 0 && !f->queue.length) {
        n = feed_write(e, data, length);
        if (n < 0)
            feed_close(e);
    }
    if (f->watch.fd < 0) { /* nobody reads it */
        sa_stream_consume(e->call.stream, length);
        return;
    }
    if ((size_t)n == length)
        return;
    enlarge(f->watch.fd, &f->enlarged);
    if (f->done > 64 * 1024) {
        sa_buf_consume(&f->queue, f->done);
        f->done = 0;
    }
    sa_buf_add(&f->queue, (const char *)data + n, length - (size_t)n);
    sa_watch_set(&f->watch, EPOLLOUT);
}

void exec_io_eof(struct exec *e)
{
    e->feed.eof = true;
    if (!e->feed.queue.length)
        feed_close(e);
}

/* --- setting up --- */

/* A pipe whose end `ours` (0 or 1) is ours, non-blocking. */
static int make_pipe(int fds[2], int ours, struct sa_error *err)
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "no pipe for the program");
    fcntl(fds[ours], F_SETFL, O_NONBLOCK);
    return 0;
}

static int open_input(struct exec *e, bool stdin_pipe, struct sa_error *err)
{
    int fds[2], null = stdin_pipe ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        return null;
    if (make_pipe(fds, 1, err) < 0)
        return -1;
    if (stdin_pipe)
        e->feed.watch.fd = fds[1];
    else
        close(fds[1]); /* a sandbox without /dev/null: an empty pipe does as well */
    return fds[0];
}

int exec_io_open(struct exec *e, int child_fds[3], bool stdin_pipe, struct sa_error *err)
{
    e->feed.watch = (struct sa_watch){.fd = -1, .ready = feed_ready};
    for (int i = 0; i < 2; i++)
        e->pumps[i] = (struct pump){.watch = {.fd = -1, .ready = pump_ready},
                                    .exec = e,
                                    .channel = i ? SA_CHANNEL_ERR : SA_CHANNEL_OUT,
                                    .limit = e->request->out_max};
    child_fds[0] = open_input(e, stdin_pipe, err);
    if (child_fds[0] < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        int fds[2];
        if (make_pipe(fds, 0, err) < 0)
            return -1;
        e->pumps[i].watch.fd = fds[0];
        child_fds[1 + i] = fds[1];
    }
    return 0;
}

void exec_io_start(struct exec *e)
{
    for (int i = 0; i < 2; i++)
        if (e->pumps[i].watch.fd >= 0 && !e->pumps[i].paused)
            sa_watch_set(&e->pumps[i].watch, EPOLLIN);
}
