/* Answering and counting telling system calls. */
#include "native/notify.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "native/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    TICK_MS = 100,
    CALLS_A_TICK = 64,     /* served in one tick; more wait for the next */
    REPORT_TICKS = 10,     /* between two reports of one kind */
    NOTIFICATION_MAX = 512 /* the kernel's struct may grow */
};

struct sa_notify {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd, closing;
    sa_notify_cb *denied;
    void *owner;
    unsigned served; /* in this tick */
    bool paused;
    unsigned idle_ticks;
    uint64_t tick;
    struct kind *kinds; /* of calls that were made, at most SA_TELLING_MAX */
    int kind_count;
};

struct kind {
    uint64_t reported; /* tick of the last report + 1; 0: never */
    int64_t count;     /* since then */
    int number;
    int32_t pid;
    char comm[17]; /* of the first of them: looked up while it waits for its answer */
};

/* Name of the program, for a person: what is not printable becomes "?". */
static void read_comm(pid_t pid, char out[17])
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    sa_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 16);
    out[n < 0 ? 0 : n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    for (char *c = out; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
}

static void report(struct sa_notify *n, struct kind *kind)
{
    char name[32];
    struct sa_native_denial denial = {.syscall = name, .pid = kind->pid, .count = kind->count};
    sa_call_name(kind->number, name, sizeof name);
    memcpy(denial.comm, kind->comm, sizeof denial.comm);
    kind->count = 0;
    kind->reported = n->tick + 1;
    n->denied(n->owner, &denial);
}

/* NULL when there are too many kinds: no profile has so many (seccomp.c). */
static struct kind *kind_of(struct sa_notify *n, int number)
{
    for (int i = 0; i < n->kind_count; i++)
        if (n->kinds[i].number == number)
            return &n->kinds[i];
    if (n->kind_count == SA_TELLING_MAX)
        return NULL;
    n->kinds = sa_realloc(n->kinds, (size_t)(n->kind_count + 1) * sizeof *n->kinds);
    n->kinds[n->kind_count] = (struct kind){.number = number};
    return &n->kinds[n->kind_count++];
}

static void count(struct sa_notify *n, int number, int32_t pid)
{
    struct kind *kind = kind_of(n, number);
    if (!kind)
        return;
    kind->pid = pid;
    if (kind->count++ == 0)
        read_comm(pid, kind->comm);
    if (!kind->reported || n->tick >= kind->reported - 1 + REPORT_TICKS)
        report(n, kind);
}

/* One notification: -1 when there is none. */
static int serve(struct sa_notify *n)
{
    union {
        struct seccomp_notif notif;
        char space[NOTIFICATION_MAX];
    } in;
    union {
        struct seccomp_notif_resp resp;
        char space[NOTIFICATION_MAX];
    } out;
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    if (ioctl(n->fd, SECCOMP_IOCTL_NOTIF_RECV, &in.notif) < 0)
        return errno == ENOENT || errno == EINTR ? 0 : -1; /* its caller was killed meanwhile */
    count(n, in.notif.data.nr, (int32_t)in.notif.pid);
    out.resp.id = in.notif.id;
    out.resp.error = -EPERM;
    ioctl(n->fd, SECCOMP_IOCTL_NOTIF_SEND, &out.resp); /* ENOENT: killed meanwhile */
    return 0;
}

static void on_tick(uv_timer_t *timer);

static void on_call(uv_poll_t *poll_handle, int status, int events)
{
    struct sa_notify *n = poll_handle->data;
    struct pollfd more = {.fd = n->fd, .events = POLLIN};
    if (status < 0 || (events & UV_DISCONNECT)) {
        uv_poll_stop(poll_handle); /* no process under the filter is left */
        return;
    }
    if (!uv_is_active((uv_handle_t *)&n->timer))
        uv_timer_start(&n->timer, on_tick, TICK_MS, TICK_MS);
    n->idle_ticks = 0;
    /* RECV blocks when nothing waits, so it is asked each time. */
    while (n->served < CALLS_A_TICK && poll(&more, 1, 0) == 1 && (more.revents & POLLIN)) {
        n->served++;
        if (serve(n) < 0)
            return;
    }
    if (n->served >= CALLS_A_TICK) {
        uv_poll_stop(poll_handle);
        n->paused = true;
    }
}

static void flush(struct sa_notify *n, bool all)
{
    for (struct kind *kind = n->kinds; kind < n->kinds + n->kind_count; kind++)
        if (kind->count && (all || n->tick >= kind->reported - 1 + REPORT_TICKS))
            report(n, kind);
}

static void on_tick(uv_timer_t *timer)
{
    struct sa_notify *n = timer->data;
    n->tick++;
    n->served = 0;
    flush(n, false);
    if (n->paused) {
        n->paused = false;
        uv_poll_start(&n->poll, UV_READABLE | UV_DISCONNECT, on_call);
    } else if (++n->idle_ticks > 2 * REPORT_TICKS) {
        uv_timer_stop(timer); /* nothing is counted any more; `reported` lies far back */
    }
}

struct sa_notify *sa_notify_start(uv_loop_t *loop, int listener, sa_notify_cb *denied, void *owner)
{
    struct sa_notify *n = sa_alloc(sizeof *n);
    n->fd = listener;
    n->denied = denied;
    n->owner = owner;
    n->poll.data = n->timer.data = n;
    uv_poll_init(loop, &n->poll, listener);
    uv_timer_init(loop, &n->timer);
    uv_poll_start(&n->poll, UV_READABLE | UV_DISCONNECT, on_call);
    return n;
}

static void on_closed(uv_handle_t *handle)
{
    struct sa_notify *n = handle->data;
    if (++n->closing < 2)
        return;
    free(n->kinds);
    free(n);
}

void sa_notify_stop(struct sa_notify *n)
{
    if (!n)
        return;
    flush(n, true);
    uv_close((uv_handle_t *)&n->poll, on_closed);
    uv_close((uv_handle_t *)&n->timer, on_closed);
    close(n->fd);
}
