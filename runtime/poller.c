#include "poller.h"

#include "base/clock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <utlist.h>

enum { BATCH = 64 };

static struct {
    int epoll;
    bool stop;
    int64_t now_us;
    struct epoll_event batch[BATCH];
    int batch_count;
    struct sa_timer *timers; /* by due_us */
    int64_t held_us;         /* since when they stand still; 0: they do not */
    struct sa_task *tasks;   /* in turn */
} poller;

int sa_poller_init(void)
{
    poller.epoll = epoll_create1(EPOLL_CLOEXEC);
    poller.now_us = sa_monotonic_us();
    return poller.epoll < 0 ? -1 : 0;
}

void sa_poller_stop(void)
{
    poller.stop = true;
}

int64_t sa_poller_now_us(void)
{
    return poller.now_us;
}

int sa_watch_set(struct sa_watch *watch, uint32_t events)
{
    if (watch->events == events)
        return 0;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int op = !watch->events ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    if (epoll_ctl(poller.epoll, op, watch->fd, &event) < 0)
        return -1;
    watch->events = events;
    if (!events) /* it may still be in the batch that is being handled */
        for (int i = 0; i < poller.batch_count; i++)
            if (poller.batch[i].data.ptr == watch)
                poller.batch[i].data.ptr = NULL;
    return 0;
}

void sa_watch_close(struct sa_watch *watch)
{
    if (watch->fd < 0)
        return;
    sa_watch_set(watch, 0);
    close(watch->fd);
    watch->fd = -1;
}

static int by_due(const struct sa_timer *a, const struct sa_timer *b)
{
    return a->due_us < b->due_us ? -1 : a->due_us > b->due_us;
}

void sa_timer_set(struct sa_timer *timer, int64_t delay_us)
{
    sa_timer_clear(timer);
    timer->due_us = (poller.held_us ? poller.held_us : sa_monotonic_us()) + delay_us;
    timer->armed = true;
    DL_INSERT_INORDER(poller.timers, timer, by_due);
}

void sa_timer_clear(struct sa_timer *timer)
{
    if (timer->armed)
        DL_DELETE(poller.timers, timer);
    timer->armed = false;
}

void sa_timers_hold(bool hold)
{
    struct sa_timer *timer;
    if (hold == (poller.held_us != 0))
        return;
    int64_t now = sa_monotonic_us(), since = poller.held_us;
    poller.held_us = hold ? now : 0;
    if (!hold)
        DL_FOREACH (poller.timers, timer)
            timer->due_us += now - since;
}

void sa_task_start(struct sa_task *task)
{
    if (!task->queued)
        DL_APPEND(poller.tasks, task);
    task->queued = true;
}

void sa_task_stop(struct sa_task *task)
{
    if (task->queued)
        DL_DELETE(poller.tasks, task);
    task->queued = false;
}

/* One slice of the task whose turn it is, which goes to the end of the line. */
static void run_task(void)
{
    struct sa_task *task = poller.tasks;
    if (!task)
        return;
    sa_task_stop(task);
    sa_task_start(task);
    task->step(task);
}

static void run_timers(void)
{
    while (!poller.held_us && poller.timers && poller.timers->due_us <= poller.now_us) {
        struct sa_timer *timer = poller.timers;
        sa_timer_clear(timer);
        timer->fire(timer);
    }
}

static int wait_ms(void)
{
    if (poller.tasks)
        return 0;
    if (!poller.timers || poller.held_us)
        return -1;
    int64_t left_us = poller.timers->due_us - sa_monotonic_us();
    if (left_us <= 0)
        return 0;
    int64_t ms = (left_us + 999) / 1000;
    return ms > 60000 ? 60000 : (int)ms;
}

static void run_watches(void)
{
    for (int i = 0; i < poller.batch_count; i++) {
        struct sa_watch *watch = poller.batch[i].data.ptr;
        if (watch)
            watch->ready(watch, poller.batch[i].events);
    }
    poller.batch_count = 0;
}

void sa_poller_run(void (*idle)(void))
{
    while (!poller.stop) {
        idle();
        int n = epoll_wait(poller.epoll, poller.batch, BATCH, wait_ms());
        poller.batch_count = n > 0 ? n : 0;
        poller.now_us = sa_monotonic_us();
        run_watches();
        run_timers();
        run_task();
    }
}
