/* Pods: every change of state goes through sa_agent_step(). */
#include "agent/private.h"

#include "base/arena.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sa_agent_pod *sa_agent_find(const struct sa_agent *agent, const char *name)
{
    struct sa_agent_pod *pod;
    HASH_FIND_STR(agent->pods, name, pod);
    return pod;
}

struct sa_agent_pod *sa_agent_pod_of(struct sa_agent *agent, const char *name)
{
    struct sa_agent_pod *pod = sa_agent_find(agent, name);
    if (pod)
        return pod;
    const size_t length = strlen(name);
    pod = sa_alloc(sizeof *pod + length + 1);
    memcpy(pod->name, name, length);
    pod->agent = agent;
    HASH_ADD_STR(agent->pods, name, pod);
    sa_gauge_add(agent->states[SA_AGENT_ABSENT], 1);
    return pod;
}

void sa_agent_pod_free(struct sa_agent_pod *pod)
{
    struct sa_agent *agent = pod->agent;
    sa_agent_tell(pod);
    sa_agent_forget_calls(pod);
    sa_agent_forget_writes(pod);
    sa_agent_stop_timer(pod);
    sa_agent_disconnect(pod, "it is gone");
    sa_agent_drop_facts(pod);
    if (pod->tell)
        DL_DELETE2(agent->tell, pod, prev_tell, next_tell);
    HASH_DEL(agent->pods, pod);
    sa_gauge_add(agent->states[pod->state], -1);
    free(pod->failure);
    free(pod->key);
    free(pod->uid);
    free(pod);
}

/* The next Pod of the same name, if there is one, begins anew. */
void sa_agent_let_go(struct sa_agent_pod *pod)
{
    struct sa_agent *agent = pod->agent;
    if (agent->walking)
        return;
    if (pod->state == SA_AGENT_ABSENT && !pod->users) {
        sa_agent_pod_free(pod);
        return;
    }
    if (pod->state != SA_AGENT_GONE)
        return;
    const struct sa_object *object =
        pod->key ? sa_informer_get(agent->options.caches->pods, pod->key) : NULL;
    if (object && strcmp(sa_object_meta(object)->uid, pod->uid) == 0) {
        sa_agent_write_soon(pod); /* its finalizer */
        return;
    }
    sa_agent_pod_free(pod);
    if (object)
        sa_agent_observe(agent, object);
}

/* ---- what a state needs ---- */

static void become_ready(struct sa_agent_pod *pod)
{
    const struct sa_agent *agent = pod->agent;
    sa_agent_stop_timer(pod);
    if (!pod->ran) {
        double seconds = (double)(sa_monotonic_us() - pod->seen_us) / 1e6;
        sa_histogram_observe(agent->start_seconds, seconds);
        pod->ready_ms = sa_wall_ms();
    }
    pod->ran = true;
    pod->severed = false;
    pod->linked_ms = sa_monotonic_ms();
}

static void fail(const struct sa_agent_pod *pod)
{
    const struct sa_agent_failure *f = pod->failure;
    const struct sa_object *object = sa_agent_cached(pod);
    if (object)
        sa_record(pod->agent->recorder, object, SA_EVENT_WARNING, f->reason, "%s",
                  f->error.message);
    sa_counter_add(sa_metric_series(pod->agent->failures, SA_VALUES(f->reason)), 1);
    if (pod->agent->walking && strcmp(f->reason, "NodeLost") == 0)
        pod->agent->lost++; /* told in one line */
    else
        sa_log_warn("pod failed", SA_LOG_S("pod", pod->name), SA_LOG_S("reason", f->reason),
                    SA_LOG_S("error", f->error.message));
}

static void end(struct sa_agent_pod *pod)
{
    sa_agent_stop_timer(pod);
    if (pod->failure && pod->said != SA_AGENT_SAYS_FAILED)
        fail(pod);
    sa_agent_disconnect(pod, pod->failure ? pod->failure->error.message : "it is being deleted");
}

static void leave(struct sa_agent_pod *pod, enum sa_agent_state state)
{
    struct sa_agent *agent = pod->agent;
    if (state == SA_AGENT_QUEUED) {
        sa_agent_unqueue(pod);
    } else if (state == SA_AGENT_CREATING) {
        sa_agent_forget_calls(pod);
        agent->making[pod->turn]--;
    } else if (state == SA_AGENT_ATTACHING) {
        sa_agent_forget_calls(pod);
    }
}

static void enter(struct sa_agent_pod *pod, enum sa_agent_state before)
{
    struct sa_agent *agent = pod->agent;
    if (sa_agent_is_over(pod->state) && !sa_agent_is_over(before))
        end(pod);
    switch (pod->state) {
    case SA_AGENT_NEW:
        if (!pod->ran && pod->turn == SA_AGENT_SOON)
            sa_agent_start_timer(pod, SA_AGENT_START_TIMER);
        else
            sa_agent_stop_timer(pod); /* until the node is back, or its turn comes */
        break;
    case SA_AGENT_QUEUED:
        sa_agent_queue(pod);
        break;
    case SA_AGENT_CREATING:
        agent->making[pod->turn]++;
        if (pod->turn == SA_AGENT_LATER)
            sa_agent_start_timer(pod, SA_AGENT_START_TIMER);
        break;
    case SA_AGENT_READY:
        become_ready(pod);
        break;
    case SA_AGENT_SEVERED:
        pod->severed = true;
        sa_agent_disconnect(pod, "the link was lost");
        sa_agent_start_timer(pod, SA_AGENT_GRACE_TIMER);
        break;
    case SA_AGENT_ATTACHING:
        sa_agent_start_timer(pod, SA_AGENT_ATTACH_TIMER);
        break;
    default:
        break;
    }
    sa_agent_write_soon(pod); /* before users are told: what they begin then is sent first */
    sa_agent_tell(pod);
}

/* Calls to the node come last: what fails at once is the next step. */
static void ask(struct sa_agent_pod *pod, enum sa_agent_state before)
{
    struct sa_agent *agent = pod->agent;
    if (pod->state == SA_AGENT_CREATING)
        sa_agent_create(pod);
    else if (pod->state == SA_AGENT_ATTACHING)
        sa_agent_attach(pod);
    else if (pod->state == SA_AGENT_DESTROYING ||
             (pod->state == SA_AGENT_REMOVING && before != SA_AGENT_DESTROYING))
        sa_agent_destroy(pod);
    else if (pod->state == SA_AGENT_GONE)
        sa_agent_let_go(pod);
    if (before == SA_AGENT_CREATING || before == SA_AGENT_NEW)
        sa_agent_pump(agent);
}

void sa_agent_step(struct sa_agent_pod *pod, enum sa_agent_event event)
{
    const enum sa_agent_state before = pod->state;
    const enum sa_agent_state next = sa_agent_next(before, event);
    if (next == before)
        return;
    leave(pod, before);
    pod->state = next;
    sa_gauge_add(pod->agent->states[before], -1);
    sa_gauge_add(pod->agent->states[next], 1);
    enter(pod, before);
    if (pod->state == next)
        ask(pod, before);
}

void sa_agent_fail(struct sa_agent_pod *pod, enum sa_agent_event event, const char *reason,
                   const struct sa_error *error)
{
    if (!sa_agent_is_over(pod->state) && sa_agent_is_over(sa_agent_next(pod->state, event))) {
        pod->failure = sa_realloc(pod->failure, sizeof *pod->failure);
        snprintf(pod->failure->reason, sizeof pod->failure->reason, "%s", reason);
        pod->failure->error = *error;
    }
    sa_agent_step(pod, event);
}

void sa_agent_make_series(struct sa_agent *agent)
{
    struct sa_metrics *m = agent->options.metrics;
    struct sa_metric *pods = sa_metrics_gauge(
        m, "secureagent_pods", "Pods of this node by their state.", SA_LABELS("state"));
    for (int i = 0; i < SA_AGENT_STATE_COUNT; i++)
        agent->states[i] =
            sa_metric_series(pods, SA_VALUES(sa_agent_state_name((enum sa_agent_state)i)));
    agent->start_seconds = sa_metric_series(
        sa_metrics_histogram(m, "secureagent_pod_start_seconds",
                             "Time from a Pod that is seen to a runtime that can be called.", NULL,
                             NULL, 0),
        NULL);
    agent->failures = sa_metrics_counter(m, "secureagent_pod_failures_total", "Pods that failed.",
                                         SA_LABELS("reason"));
}
