/*
 * The watchdog of a policy-worker. While something is in flight it looks every few milliseconds
 * which call is the oldest: that is the one the worker is at work on. When it was the same at the
 * look before, the processor time and the time since then count against it. So a call costs
 * nothing here, and one that overruns is found at most two looks late.
 */
#include "lua/worker_internal.h"

#include <inttypes.h>
#include <time.h>

static void on_look(uv_timer_t *timer);

static void set_default(int64_t *limit, int64_t value)
{
    if (*limit <= 0)
        *limit = value;
}

void sa_watchdog_limits(struct sa_worker_limits *limits)
{
    set_default(&limits->cpu_ms, 10);
    set_default(&limits->test_cpu_ms, 100);
    set_default(&limits->memory_bytes, 16 * 1024 * 1024);
    set_default(&limits->kill_cpu_ms, 100);
    set_default(&limits->kill_wall_ms, 2000);
    set_default(&limits->start_ms, 30000);
}

static uint64_t interval_ms(const struct sa_worker_limits *limits)
{
    int64_t least =
        limits->kill_cpu_ms < limits->kill_wall_ms ? limits->kill_cpu_ms : limits->kill_wall_ms;
    return least >= 100 ? 25 : (uint64_t)(least + 3) / 4;
}

void sa_watchdog_wake(struct sa_worker *worker)
{
    if (uv_is_active((uv_handle_t *)&worker->watchdog))
        return;
    uint64_t every_ms = interval_ms(&worker->options.limits);
    worker->watched = 0;
    uv_timer_start(&worker->watchdog, on_look, every_ms, every_ms);
}

/* Of the worker, all of its threads; -1: it is dead. */
static int64_t cpu_us(const struct sa_worker *worker)
{
    clockid_t clock;
    struct timespec used;
    if (worker->process.pid < 0 || clock_getcpuclockid(worker->process.pid, &clock) != 0 ||
        clock_gettime(clock, &used) < 0)
        return -1;
    return used.tv_sec * INT64_C(1000000) + used.tv_nsec / 1000;
}

/* Calls that have waited too long fail; the worker's answers to them will be dropped. Looks are
 * counted, not milliseconds: where the loop is late, a look more is a chance more to be answered.
 */
static void expire(struct sa_worker *worker)
{
    struct sa_error err;
    int64_t wall_ms = worker->options.limits.kill_wall_ms;
    uint64_t looks = (uint64_t)wall_ms / interval_ms(&worker->options.limits);
    sa_error_set(&err, SA_ETIMEOUT, "no policy decision within %" PRId64 " ms", wall_ms);
    struct sa_worker_call *call = worker->oldest;
    while (call && worker->looks - call->asked_at > looks) {
        sa_worker_tell(call, &err, NULL);
        if (worker->state == SA_WORKER_GONE) /* the owner has let go of it, and of its calls */
            return;
        call = call->next;
    }
}

static void overrun(struct sa_worker *worker, const char *what, int64_t limit_ms)
{
    struct sa_error err, others;
    sa_error_set(&err, SA_ETIMEOUT, "a policy used more than %" PRId64 " ms%s: the worker is ended",
                 limit_ms, what);
    sa_error_set(&others, SA_EUNAVAILABLE, "the policy-worker was ended over another question");
    sa_worker_lost(worker, &err, &others);
}

static void look_at_oldest(struct sa_worker *worker, uint64_t now)
{
    const struct sa_worker_limits *limits = &worker->options.limits;
    int64_t cpu = cpu_us(worker);
    if (worker->oldest->id != worker->watched) {
        worker->watched = worker->oldest->id;
        worker->watched_ms = now;
        worker->watched_cpu_us = cpu;
    } else if (cpu >= 0 && cpu - worker->watched_cpu_us >= limits->kill_cpu_ms * 1000) {
        overrun(worker, " of processor time", limits->kill_cpu_ms);
    } else if (now - worker->watched_ms >= (uint64_t)limits->kill_wall_ms) {
        overrun(worker, "", limits->kill_wall_ms);
    }
}

static void late(struct sa_worker *worker, const char *what, int64_t limit_ms)
{
    struct sa_error err;
    sa_error_set(&err, SA_ETIMEOUT, "the policy-worker did not %s within %" PRId64 " ms", what,
                 limit_ms);
    sa_worker_lost(worker, &err, &err);
}

/* What has come in the meantime counts: it may be this loop that was late. */
static void on_look(uv_timer_t *timer)
{
    struct sa_worker *worker = timer->data;
    const struct sa_worker_limits *limits = &worker->options.limits;
    uint64_t now = uv_now(worker->options.loop);
    worker->looks++;
    if (!sa_worker_receive(worker))
        return;
    if (worker->state == SA_WORKER_STARTING) {
        if (now >= worker->startup.until_ms)
            late(worker, "compile and test its rules", limits->start_ms);
        return;
    }
    if (worker->state == SA_WORKER_CLOSING && now >= worker->close_ms) {
        late(worker, "end", limits->kill_wall_ms);
        return;
    }
    expire(worker);
    if (worker->state == SA_WORKER_GONE)
        return;
    if (worker->oldest)
        look_at_oldest(worker, now);
    else
        uv_timer_stop(timer);
}
