/*
 * What a program puts out, on its way into the link: pipes, the control socket, or a terminal.
 * It is read straight into frames; without credit nothing is read, so that the program blocks.
 * Beyond its limit output is read, counted and dropped.
 *
 * The control channel keeps its place among the others: before something of it is forwarded, what
 * is in the pipes by then goes first. That much is looked up once for each piece of control, so a
 * flood of output delays control by at most what two pipes hold.
 */
#include "exec.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    READ_BYTES = SA_LINK_PAYLOAD_MAX,
    DRAIN_READS = 64,
    LEFTOVERS_MAX = 64,
    LEFTOVER_PAUSE_US = 20 * 1000,
};

static char scratch[64 * 1024]; /* for what is dropped; never looked at */

/* Until `writable`. */
static void pump_pause(struct pump *p)
{
    p->paused = true;
    sa_watch_set(&p->watch, 0);
}

/* Reads once. The bytes, 0 at the end, -1 when there is nothing to read or no credit. */
static ssize_t pump_read(struct pump *p, size_t most)
{
    int64_t allowed = p->limit - p->forwarded;
    if (allowed <= 0 || p->exec->call.lost)
        return read(p->watch.fd, scratch, sizeof scratch);
    size_t room = (uint64_t)allowed < most ? (size_t)allowed : most;
    void *to = sa_stream_reserve(p->exec->call.stream, p->channel, &room);
    if (!to) {
        pump_pause(p);
        errno = EAGAIN;
        return -1;
    }
    ssize_t n = read(p->watch.fd, to, room);
    sa_stream_commit(p->exec->call.stream, n > 0 ? (size_t)n : 0);
    if (n > 0)
        p->forwarded += n;
    return n;
}

static void owe_nothing(struct pump *p)
{
    p->must_drain = p->before_control = 0;
}

/* EOF of output goes out together with END (exec_out_finish): the reader is woken once. */
static void pump_end(struct pump *p)
{
    sa_watch_close(&p->watch);
    owe_nothing(p);
    if (p->channel == SA_CHANNEL_CONTROL)
        sa_stream_eof(p->exec->call.stream, SA_CHANNEL_CONTROL);
}

static void count(int64_t *left, ssize_t n)
{
    *left = *left > n ? *left - n : 0;
}

/* Moves one frame's worth; false when there is no more for now. */
static bool pump_step(struct pump *p, size_t most)
{
    if (p->watch.fd < 0 || p->paused)
        return false;
    ssize_t n = pump_read(p, most);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (!p->paused)
            owe_nothing(p); /* a program may have read its own pipe */
        return false;
    }
    if (n <= 0) {
        pump_end(p);
        return false;
    }
    p->total += n;
    count(&p->must_drain, n);
    count(&p->before_control, n);
    if (n >= 64 * 1024)
        sa_pipe_enlarge(p->watch.fd, &p->enlarged);
    if (p->exec->exited && !p->exec->quiet_over &&
        sa_poller_now_us() < p->exec->exit_us + EXEC_NOISE_US)
        sa_timer_set(&p->exec->quiet, EXEC_QUIET_US);
    return true;
}

static int64_t waiting_bytes(const struct pump *p)
{
    int there = 0;
    if (p->watch.fd < 0 || ioctl(p->watch.fd, FIONREAD, &there) < 0)
        return 0;
    return there;
}

/* One piece of control begins: first how long it is, then what goes before it, so that nothing
 * written between the two looks can be overtaken. */
static void begin_control(struct exec *e)
{
    int64_t there = waiting_bytes(&e->pumps[PUMP_CONTROL]);
    e->control_due = there ? there : 1; /* readable and empty: its end */
    for (int i = 0; i < PUMP_CONTROL; i++)
        e->pumps[i].before_control = waiting_bytes(&e->pumps[i]);
}

static bool control_step(struct pump *p)
{
    struct exec *e = p->exec;
    if (p->watch.fd < 0 || p->paused)
        return false;
    if (!e->control_due)
        begin_control(e);
    for (int i = 0; i < PUMP_CONTROL; i++) {
        while (e->pumps[i].before_control && pump_step(&e->pumps[i], READ_BYTES))
            ;
        if (e->pumps[i].before_control) {
            pump_pause(p); /* no credit for what goes first */
            return false;
        }
    }
    int64_t before = p->total;
    size_t most = e->control_due < READ_BYTES ? (size_t)e->control_due : READ_BYTES;
    bool moved = pump_step(p, most);
    if (!p->paused)
        count(&e->control_due, moved ? (ssize_t)(p->total - before) : (ssize_t)e->control_due);
    return moved;
}

static bool pump_move(struct pump *p)
{
    return p->channel == SA_CHANNEL_CONTROL ? control_step(p) : pump_step(p, READ_BYTES);
}

static void pump_ready(struct sa_watch *watch, uint32_t events)
{
    struct pump *p = sa_container_of(watch, struct pump, watch);
    (void)events;
    pump_move(p);
    exec_check(p->exec);
}

void exec_out_init(struct exec *e)
{
    static const enum sa_link_channel channels[PUMPS] = {SA_CHANNEL_OUT, SA_CHANNEL_ERR,
                                                         SA_CHANNEL_CONTROL};
    for (int i = 0; i < PUMPS; i++)
        e->pumps[i] = (struct pump){.watch = {.fd = -1, .ready = pump_ready},
                                    .exec = e,
                                    .channel = channels[i],
                                    .limit = i == PUMP_CONTROL ? INT64_MAX : e->request->out_max};
}

void exec_out_start(struct exec *e)
{
    for (int i = 0; i < PUMPS; i++)
        if (e->pumps[i].watch.fd >= 0 && !e->pumps[i].paused)
            sa_watch_set(&e->pumps[i].watch, EPOLLIN);
}

void exec_out_writable(struct exec *e)
{
    for (int i = 0; i < PUMPS; i++)
        e->pumps[i].paused = false;
    exec_out_start(e);
}

void exec_out_drain(struct exec *e)
{
    for (int i = 0; i < PUMPS; i++) {
        struct pump *p = &e->pumps[i];
        p->must_drain = waiting_bytes(p);
        for (int n = 0; n < DRAIN_READS && p->must_drain && pump_move(p); n++)
            ;
        pump_move(p); /* most often the end */
    }
}

bool exec_out_drained(const struct exec *e)
{
    for (int i = 0; i < PUMPS; i++)
        if (e->pumps[i].must_drain)
            return false;
    return true;
}

bool exec_out_closed(const struct exec *e)
{
    for (int i = 0; i < PUMPS; i++)
        if (e->pumps[i].watch.fd >= 0)
            return false;
    return true;
}

void exec_out_hurry(struct exec *e)
{
    for (int i = 0; i < PUMPS; i++)
        owe_nothing(&e->pumps[i]);
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

void sa_exec_drop_leftovers(void)
{
    while (leftovers)
        leftover_free(leftovers);
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

/* Pipes are emptied for those in the background; a terminal and the control socket just close. */
void exec_out_finish(struct exec *e)
{
    for (int i = 0; i < PUMPS; i++) {
        struct pump *p = &e->pumps[i];
        if (p->watch.fd >= 0 && i != PUMP_CONTROL && !e->tty) {
            sa_watch_set(&p->watch, 0);
            leftover_new(sa_steal_fd(&p->watch.fd));
        }
        if (i != PUMP_CONTROL || e->control)
            sa_stream_eof(e->call.stream, p->channel);
    }
}

void exec_out_close(struct exec *e)
{
    for (int i = 0; i < PUMPS; i++)
        sa_watch_close(&e->pumps[i].watch);
}
