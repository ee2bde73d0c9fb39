/*
 * A sandbox's own clock, which stands still while it is paused, and the timers that go by it:
 * a sorted list behind one handle of the loop.
 */
#include "api/sandbox_private.h"

static int64_t clock_ms(const struct sa_sandbox *s)
{
    int64_t now = s->clock_stopped_ms ? s->clock_stopped_ms : (int64_t)uv_now(s->all->loop);
    return now - s->clock_behind_ms;
}

static int by_due(const struct sa_sandbox_timer *a, const struct sa_sandbox_timer *b)
{
    return a->due_ms < b->due_ms ? -1 : a->due_ms > b->due_ms;
}

static void on_clock(uv_timer_t *handle);

static void wake_for_first(struct sa_sandbox *s)
{
    if (!s->timers || s->clock_stopped_ms) {
        uv_timer_stop(&s->clock);
        return;
    }
    int64_t left = s->timers->due_ms - clock_ms(s);
    uv_timer_start(&s->clock, on_clock, left > 0 ? (uint64_t)left : 0, 0);
}

/* One at a time: what it does may end the sandbox. */
static void on_clock(uv_timer_t *handle)
{
    struct sa_sandbox *s = handle->data;
    struct sa_sandbox_timer *first = s->timers;
    bool due = first && !s->clock_stopped_ms && first->due_ms <= clock_ms(s);
    if (due)
        sa_sandbox_timer_clear(s, first);
    wake_for_first(s);
    if (due)
        first->fire(first);
}

void sa_sandbox_clock_init(struct sa_sandbox *s)
{
    s->clock.data = s;
    uv_timer_init(s->all->loop, &s->clock);
}

void sa_sandbox_clock_stop(struct sa_sandbox *s)
{
    if (!s->clock_stopped_ms)
        s->clock_stopped_ms = (int64_t)uv_now(s->all->loop);
    uv_timer_stop(&s->clock);
}

void sa_sandbox_clock_go(struct sa_sandbox *s)
{
    if (!s->clock_stopped_ms)
        return;
    s->clock_behind_ms += (int64_t)uv_now(s->all->loop) - s->clock_stopped_ms;
    s->clock_stopped_ms = 0;
    wake_for_first(s);
}

int64_t sa_sandbox_timer_left(const struct sa_sandbox *s, const struct sa_sandbox_timer *timer)
{
    return timer->armed ? timer->due_ms - clock_ms(s) : 0;
}

void sa_sandbox_timer_set(struct sa_sandbox *s, struct sa_sandbox_timer *timer, int64_t delay_ms)
{
    sa_sandbox_timer_clear(s, timer);
    timer->due_ms = clock_ms(s) + delay_ms;
    timer->armed = true;
    DL_INSERT_INORDER(s->timers, timer, by_due);
    if (s->timers == timer)
        wake_for_first(s);
}

void sa_sandbox_timer_clear(struct sa_sandbox *s, struct sa_sandbox_timer *timer)
{
    /* The handle may wake for nothing then, which costs less than setting it each time. */
    if (timer->armed)
        DL_DELETE(s->timers, timer);
    timer->armed = false;
}
