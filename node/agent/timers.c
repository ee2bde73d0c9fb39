/* Deadlines. Those of one kind take equally long, so that a list of each is in the order of time.
 */
#include "agent/private.h"

#include "base/clock.h"

enum { ATTACHES_MOST = 2, STEADY_MS = 60 * 1000 };

static void set(struct sa_agent *agent)
{
    const struct sa_agent_pod *next = NULL;
    for (int i = 0; i < SA_AGENT_TIMERS; i++)
        if (agent->due[i] && (!next || agent->due[i]->due_ms < next->due_ms))
            next = agent->due[i];
    if (!next) {
        uv_timer_stop(&agent->timer);
        return;
    }
    int64_t left = next->due_ms - sa_monotonic_ms();
    uv_timer_start(&agent->timer, sa_agent_on_timer, left > 0 ? (uint64_t)left : 0, 0);
}

void sa_agent_stop_timer(struct sa_agent_pod *pod)
{
    if (pod->timer == SA_AGENT_NO_TIMER)
        return;
    DL_DELETE2(pod->agent->due[pod->timer], pod, prev_due, next_due);
    pod->timer = SA_AGENT_NO_TIMER; /* should it have been the next one, it fires for nobody */
}

void sa_agent_start_timer(struct sa_agent_pod *pod, enum sa_agent_timer timer)
{
    struct sa_agent *agent = pod->agent;
    sa_agent_stop_timer(pod);
    pod->timer = timer;
    pod->due_ms = sa_monotonic_ms() + agent->lengths_ms[timer];
    DL_APPEND2(agent->due[timer], pod, prev_due, next_due);
    if (agent->due[timer] == pod)
        set(agent);
}

/* A link that had held for long may be lost again. */
static bool may_attach(struct sa_agent_pod *pod)
{
    if (sa_monotonic_ms() - pod->linked_ms > STEADY_MS)
        pod->attaches = 0;
    return pod->attaches < ATTACHES_MOST;
}

static void late(struct sa_agent_pod *pod, enum sa_agent_timer timer)
{
    struct sa_error error;
    if (timer == SA_AGENT_START_TIMER) {
        sa_error_set(&error, SA_ETIMEOUT, "the sandbox was not ready within %lld s",
                     (long long)pod->agent->lengths_ms[timer] / 1000);
        sa_agent_fail(pod, SA_AGENT_LATE, "StartTimeout", &error);
    } else if (timer == SA_AGENT_GRACE_TIMER && may_attach(pod)) {
        sa_agent_step(pod, SA_AGENT_RETRY);
    } else {
        sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox's link is lost and cannot be had again");
        sa_agent_fail(pod, SA_AGENT_LATE, "LinkLost", &error);
    }
}

void sa_agent_on_timer(uv_timer_t *timer)
{
    struct sa_agent *agent = timer->data;
    const int64_t now_ms = sa_monotonic_ms();
    for (int i = 0; i < SA_AGENT_TIMERS; i++) {
        struct sa_agent_pod *pod;
        while ((pod = agent->due[i]) && pod->due_ms <= now_ms) {
            sa_agent_stop_timer(pod);
            late(pod, (enum sa_agent_timer)i);
        }
    }
    set(agent);
}
