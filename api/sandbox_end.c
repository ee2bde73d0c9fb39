/*
 * What comes of a timeout: the policies may give more time, or choose another end. When they
 * cannot be asked it ends as its own lifecycle says, and so it does when a pause that a rule wants
 * cannot be had: what should end never just stays.
 */
#include "api/sandbox_private.h"

#include "base/clock.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

static const char *const actions[] = {[SA_END_DELETE] = "delete", [SA_END_PAUSE] = "pause"};

static void finish(struct sa_sandbox *s, bool idle, enum sa_end end, const char *because)
{
    char message[300];
    const char *reason = idle ? "Idle" : "TimedOut";
    int64_t seconds = idle ? s->spec.lifecycle.idle_timeout_s : s->spec.timeout_s;
    int n = snprintf(message, sizeof message,
                     idle ? "nobody used it for %lld s" : "its timeout of %lld s is over",
                     (long long)seconds);
    if (because && because[0])
        snprintf(message + n, sizeof message - (size_t)n, "; %.200s", because);
    if (idle)
        s->pause_if_idle = true;
    if (end == SA_END_PAUSE && s->can_pause) {
        sa_sandbox_event(s, "Normal", reason, message, 1);
        sa_sandbox_pause(s, NULL, NULL, NULL);
    } else {
        sa_sandbox_delete(s, reason, message, NULL, NULL);
    }
}

static void extend(struct sa_sandbox *s, bool idle, int64_t seconds, const char *because)
{
    char message[300];
    seconds = seconds < 1 ? 1 : seconds > SA_TIMEOUT_MAX_S ? SA_TIMEOUT_MAX_S : seconds;
    s->extensions++;
    if (idle) {
        sa_sandbox_timer_set(s, &s->idle, seconds * 1000);
    } else {
        s->expired = false;
        s->expires_ms = sa_wall_ms() + seconds * 1000;
        sa_sandbox_timer_set(s, &s->expiry, seconds * 1000);
    }
    snprintf(message, sizeof message, "%lld s more: %.200s", (long long)seconds, because);
    sa_sandbox_record(s);
    sa_sandbox_event(s, "Normal", "TimeoutExtended", message, 1);
}

static void on_end(void *user, const struct sa_policy_verdict *verdict,
                   const struct sa_policy_end *end)
{
    struct sa_sandbox *s = user;
    bool idle = s->ending_idle;
    enum sa_end own = idle ? s->spec.lifecycle.on_idle : s->spec.lifecycle.on_timeout;
    const char *action = end && end->action ? end->action : actions[own];
    s->ending = NULL;
    if (s->phase != SA_PHASE_RUNNING || (idle && (s->users || s->pausing != PAUSE_NOT)))
        return; /* used, paused or deleted meanwhile */
    if (end && strcmp(action, "extend") == 0)
        extend(s, idle, end->extend_s, verdict->reason);
    else
        finish(s, idle, strcmp(action, "pause") == 0 ? SA_END_PAUSE : SA_END_DELETE,
               verdict->defaulted ? "" : verdict->reason);
}

void sa_sandbox_ask_end(struct sa_sandbox *s, bool idle)
{
    const struct sa_lifecycle *l = &s->spec.lifecycle;
    enum sa_end own = idle ? l->on_idle : l->on_timeout;
    if (!idle) {
        s->expired = true; /* paused meanwhile, it has its timeout anew */
        s->pause_if_idle = false;
    }
    sa_policy_forget(s->ending);
    s->ending = NULL;
    s->ending_idle = idle;
    if (!s->all->policy) {
        finish(s, idle, own, NULL);
        return;
    }
    struct sa_policy_lifecycle_input input = {
        .who = {.scope = {.namespace_ = "default", .tenant = s->owner.key_name},
                .user.name = s->owner.key_name},
        .event = idle ? "idle" : "timeout",
        .timeout_s = s->spec.timeout_s,
        .idle_s = l->idle_timeout_s,
        .running_executions = s->all->running_in ? s->all->running_in(s->all->owner, s->id) : 0,
        .extensions = s->extensions,
        .end.action = actions[own]};
    sa_sandbox_facts(s, &input.sandbox);
    s->ending = sa_policy_lifecycle(s->all->policy, &input, on_end, s);
}

void sa_sandbox_forget_end(struct sa_sandbox *s)
{
    sa_policy_forget(s->ending);
    s->ending = NULL;
}
