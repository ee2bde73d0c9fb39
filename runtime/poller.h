/*
 * The loop of the runtime: descriptors (epoll, level-triggered), timers, and tasks: work that is
 * cut into slices, so that a large file does not keep anybody waiting. One thread, no allocation.
 * Watches, timers and tasks are embedded in what they serve and may be removed at any time, also
 * from within a callback.
 */
#ifndef SA_RUNTIME_POLLER_H
#define SA_RUNTIME_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct sa_watch {
    int fd; /* -1: none */
    uint32_t events;
    void (*ready)(struct sa_watch *watch, uint32_t events);
};

struct sa_timer {
    int64_t due_us;
    bool armed;
    void (*fire)(struct sa_timer *timer);
    struct sa_timer *prev, *next;
};

struct sa_task {
    /* One slice. Called again and again until sa_task_stop(), which it may call itself. */
    void (*step)(struct sa_task *task);
    bool queued;
    struct sa_task *prev, *next;
};

/* 0, or -1 with errno. */
int sa_poller_init(void);
/* Run until sa_poller_stop(); `idle` is called before each wait. */
void sa_poller_run(void (*idle)(void));
void sa_poller_stop(void);
/* Monotonic time at which the current round began. */
int64_t sa_poller_now_us(void);

/* Wait for these EPOLL* events; 0 pauses (not even hang-ups are reported). 0, or -1 with errno. */
int sa_watch_set(struct sa_watch *watch, uint32_t events);
/* Stop watching, close the descriptor, set it to -1. Harmless when it is -1. */
void sa_watch_close(struct sa_watch *watch);

void sa_timer_set(struct sa_timer *timer, int64_t delay_us);
void sa_timer_clear(struct sa_timer *timer);
/* Stop all timers, and let them go on with what they had left. */
void sa_timers_hold(bool hold);

void sa_task_start(struct sa_task *task);
void sa_task_stop(struct sa_task *task);

#endif
