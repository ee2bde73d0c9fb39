/* The life of the sandboxes: every change of phase goes through sa_sandbox_step(). */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CREATE_DEADLINE_MS = 35 * 1000 /* the agent knows better, and earlier, what went wrong */ };

/* ---- the registry ---- */

static void add_metrics(struct sa_sandboxes *all, struct sa_metrics *m)
{
    struct sa_metric *create = sa_metrics_histogram(m, "secureagent_sandbox_create_seconds",
                                                    "Time from the request to a running sandbox.",
                                                    SA_LABELS("start"), NULL, 0);
    all->create_warm_seconds = sa_metric_series(create, SA_VALUES("warm"));
    all->create_cold_seconds = sa_metric_series(create, SA_VALUES("cold"));
    all->created_total = sa_metric_series(
        sa_metrics_counter(m, "secureagent_sandboxes_created_total", "Sandboxes asked for.", NULL),
        NULL);
    all->running = sa_metric_series(
        sa_metrics_gauge(m, "secureagent_sandboxes", "Sandboxes that live now.", NULL), NULL);
    all->ended_total = sa_metrics_counter(m, "secureagent_sandboxes_ended_total",
                                          "Sandboxes that ended.", SA_LABELS("reason"));
    all->security_total =
        sa_metrics_counter(m, "secureagent_security_events_total",
                           "Telling system calls that were denied.", SA_LABELS("syscall"));
}

struct sa_sandboxes *sa_sandboxes_new(const struct sa_sandboxes_options *options)
{
    struct sa_sandboxes *all = sa_alloc(sizeof *all);
    all->loop = options->loop;
    all->store = options->store;
    all->objects = options->objects;
    all->caches = options->caches;
    all->claims = options->claims;
    all->agent = options->agent;
    all->node = options->node;
    all->security = options->security;
    all->max_running = options->max_running ? options->max_running : 1000;
    all->policy = options->policy;
    all->running_in = options->running;
    all->ended = options->ended;
    all->owner = options->owner;
    all->instance = options->instance;
    uv_timer_init(all->loop, &all->stop_timer);
    all->stop_timer.data = all;
    add_metrics(all, options->metrics);
    return all;
}

static void on_registry_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* ---- the end of one ---- */

void sa_sandbox_call_waiters(struct sa_sandbox *sandbox, struct waiter **list,
                             const struct sa_error *err)
{
    struct waiter *w;
    while ((w = *list)) {
        DL_DELETE(*list, w);
        w->done(w->user, sandbox, err);
        free(w);
    }
}

void sa_sandbox_add_waiter(struct waiter **list, sa_sandbox_done done, void *user)
{
    if (!done)
        return;
    struct waiter *w = sa_alloc(sizeof *w);
    w->done = done;
    w->user = user;
    DL_APPEND(*list, w);
}

static void forget(struct waiter **list, const void *user)
{
    struct waiter *w, *tmp;
    DL_FOREACH_SAFE (*list, w, tmp) {
        if (w->user == user) {
            DL_DELETE(*list, w); /* NOLINT: utlist */
            free(w);
        }
    }
}

bool sa_sandbox_await_creation(struct sa_sandbox *sandbox, sa_sandbox_done done, void *user)
{
    bool making = sandbox->phase < SA_PHASE_RUNNING;
    if (making)
        sa_sandbox_add_waiter(&sandbox->creators, done, user);
    return making;
}

void sa_sandbox_forget(struct sa_sandbox *sandbox, void *user)
{
    forget(&sandbox->creators, user);
    forget(&sandbox->deleters, user);
    forget(&sandbox->pausers, user);
    forget(&sandbox->resumers, user);
    forget(&sandbox->writers, user);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct sa_sandbox *sandbox = handle->data;
    if (--sandbox->open_handles)
        return;
    sa_arena_free(sandbox->settings);
    free(sandbox->settings_json);
    free(sandbox->fixed_json);
    free(sandbox->labels_json);
    sa_sandbox_events_free(sandbox);
    sa_arena_free(sandbox->arena);
    free(sandbox);
}

/* Nobody waits for its end any more: what is in the object store is for the next process. */
static void leave(struct sa_sandbox *s)
{
    struct sa_sandboxes *all = s->all;
    HASH_DEL(all->by_id, s);
    DL_DELETE(all->list, s);
    sa_node_forget(all->node, s);
    if (s->claim)
        sa_claim_forget(s->claim);
    sa_buf_deinit(&s->setup);
    sa_sandbox_forget_end(s);
    sa_sandbox_detach(s);
    sa_sandbox_publish_forget(s);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    uv_close((uv_handle_t *)&s->clock, on_timer_closed);
}

void sa_sandboxes_free(struct sa_sandboxes *all)
{
    if (!all)
        return;
    sa_sandboxes_recover_forget(all);
    sa_sandboxes_forget_adoptions(all);
    sa_sandboxes_unfollow(all);
    while (all->list)
        leave(all->list);
    uv_close((uv_handle_t *)&all->stop_timer, on_registry_closed);
}

static void on_stop_deadline(uv_timer_t *timer)
{
    struct sa_sandboxes *all = timer->data;
    void (*stopped)(void *user) = all->stopped;
    all->stopped = NULL;
    if (stopped)
        stopped(all->stopped_user);
}

/* Nobody needs the object any more; until it is gone it is nobody's session. */
static void part(struct sa_sandbox *sandbox)
{
    struct parting *p = sa_alloc(sizeof *p);
    memcpy(p->id, sandbox->id, sizeof p->id);
    HASH_ADD_STR(sandbox->all->parting, id, p);
    sa_sandbox_delete_object(sandbox);
}

/* The sandbox has reached Terminated or Failed: record it, tell who waits, forget it. */
static void retire(struct sa_sandbox *sandbox)
{
    struct sa_sandboxes *all = sandbox->all;
    sandbox->ended_ms = sa_wall_ms();
    HASH_DEL(all->by_id, sandbox);
    DL_DELETE(all->list, sandbox);
    all->count--;
    sa_gauge_set(all->running, (double)all->count);
    sa_counter_add(sa_metric_series(all->ended_total, SA_VALUES(sandbox->reason)), 1);
    sa_sandbox_event(sandbox, sandbox->phase == SA_PHASE_FAILED ? "Warning" : "Normal",
                     sandbox->reason, sandbox->message, 1);
    sa_sandbox_record(sandbox);
    sa_log_info("sandbox ended", SA_LOG_S("sandbox", sandbox->id),
                SA_LOG_S("phase", sa_phase_name(sandbox->phase)),
                SA_LOG_S("reason", sandbox->reason), SA_LOG_S("message", sandbox->message));
    sa_node_forget(all->node, sandbox);
    sa_buf_deinit(&sandbox->setup);
    sa_sandbox_forget_end(sandbox);
    sa_sandbox_detach(sandbox);
    sa_sandbox_publish_forget(sandbox);
    if (sandbox->object)
        part(sandbox);
    if (!sandbox->failure.code)
        sa_error_set(&sandbox->failure, SA_ECONFLICT, "the sandbox was deleted while it started");
    sa_sandbox_call_waiters(sandbox, &sandbox->creators, &sandbox->failure);
    sa_sandbox_call_waiters(sandbox, &sandbox->deleters, NULL);
    struct sa_error ended;
    sa_error_set(&ended, SA_ECONFLICT, "the sandbox is %s", sa_phase_name(sandbox->phase));
    sa_sandbox_call_waiters(sandbox, &sandbox->writers, &ended);
    struct sa_sandbox_watch *watch;
    while ((watch = sandbox->watches)) {
        sa_sandbox_unwatch(sandbox, watch);
        watch->changed(watch, sandbox);
    }
    if (all->ended)
        all->ended(all->owner, sandbox->id);
    uv_close((uv_handle_t *)&sandbox->timer, on_timer_closed);
    uv_close((uv_handle_t *)&sandbox->clock, on_timer_closed);
    if (all->stopping && all->count == 0 && all->stopped)
        uv_timer_start(&all->stop_timer, on_stop_deadline, 0, 0);
}

/* ---- the state machine ---- */

static void set_reason(struct sa_sandbox *sandbox, const char *reason, const char *message)
{
    snprintf(sandbox->reason, sizeof sandbox->reason, "%s", reason);
    snprintf(sandbox->message, sizeof sandbox->message, "%s", message);
}

bool sa_sandbox_step(struct sa_sandbox *sandbox, enum sa_lifecycle_event event)
{
    enum sa_phase before = sandbox->phase;
    sandbox->phase = sa_lifecycle_next(before, event);
    if (sandbox->phase == before)
        return false;
    if (sandbox->phase == SA_PHASE_TERMINATING) {
        uv_timer_stop(&sandbox->timer);
        sa_sandbox_clock_stop(sandbox);
        sa_sandbox_pause_over(sandbox);
        sa_sandbox_detach(sandbox);
        if (sandbox->object) /* else it will be deleted when the claim has ended */
            sa_sandbox_delete_object(sandbox);
    }
    if (sa_phase_ended(sandbox->phase)) {
        sa_sandbox_pause_over(sandbox);
        retire(sandbox);
        return true;
    }
    if (sandbox->phase == SA_PHASE_TERMINATING)
        sa_sandbox_changed(sandbox); /* of other phases their event tells */
    return false;
}

void sa_sandbox_fail(struct sa_sandbox *sandbox, enum sa_lifecycle_event event, const char *reason,
                     const struct sa_error *error)
{
    if (sandbox->phase != SA_PHASE_TERMINATING) {
        sandbox->failure = *error;
        set_reason(sandbox, reason, error->message);
    }
    sa_sandbox_step(sandbox, event);
}

static void on_create_deadline(uv_timer_t *timer)
{
    struct sa_sandbox *sandbox = timer->data;
    sa_error_set(&sandbox->failure, SA_ETIMEOUT, "the sandbox was not ready within %d s",
                 CREATE_DEADLINE_MS / 1000);
    sa_sandbox_delete(sandbox, "StartTimeout", sandbox->failure.message, NULL, NULL);
}

struct sa_sandbox *sa_sandbox_new(struct sa_sandboxes *all, const char *id,
                                  const struct sa_sandbox_spec *spec, const struct sa_owner *owner)
{
    struct sa_sandbox *s = sa_alloc(sizeof *s);
    snprintf(s->id, sizeof s->id, "%s", id);
    s->all = all;
    s->sequence = ++all->last_sequence;
    s->arena = sa_arena_new();
    sa_sandbox_copy_spec(s, spec);
    s->owner.key_id = sa_arena_strdup(s->arena, owner->key_id);
    s->owner.key_name = sa_arena_strdup(s->arena, owner->key_name);
    s->created_ms = sa_wall_ms();
    s->created_us = sa_monotonic_us();
    s->timer.data = s;
    uv_timer_init(all->loop, &s->timer);
    s->open_handles = 2;
    sa_sandbox_clock_init(s);
    uv_timer_start(&s->timer, on_create_deadline, CREATE_DEADLINE_MS, 0);
    HASH_ADD_STR(all->by_id, id, s);
    DL_PREPEND(all->list, s);
    all->count++;
    sa_gauge_set(all->running, (double)all->count);
    return s;
}

struct sa_sandbox *sa_sandbox_create(struct sa_sandboxes *all, const char *id,
                                     const struct sa_sandbox_spec *spec,
                                     const struct sa_owner *owner,
                                     const struct sa_security_answer *security,
                                     sa_sandbox_done done, void *user, struct sa_error *err)
{
    if (sa_sandbox_check_create(all, spec, err) < 0)
        return NULL;
    struct sa_sandbox *s = sa_sandbox_new(all, id, spec, owner);
    snprintf(s->profile, sizeof s->profile, "%s", security->profile);
    s->generation = security->generation;
    sa_sandbox_set_fixed(s, NULL, 0, NULL, 0);
    sa_counter_add(all->created_total, 1);
    sa_sandbox_add_waiter(&s->creators, done, user);
    sa_sandbox_claim(s, spec, security);
    return s;
}

void sa_sandbox_delete(struct sa_sandbox *sandbox, const char *reason, const char *message,
                       sa_sandbox_done done, void *user)
{
    sa_sandbox_add_waiter(&sandbox->deleters, done, user);
    if (sandbox->phase == SA_PHASE_TERMINATING)
        return;
    set_reason(sandbox, reason, message);
    sa_sandbox_step(sandbox, SA_EVENT_DELETE);
}

void sa_sandbox_stats(struct sa_sandbox *sandbox, sa_node_reply_cb done, void *user)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_NODE_ID, sandbox->pod);
    sa_node_call(sandbox->all->node, SA_NODE_STATS, &body, done, user);
}

void sa_sandbox_stats_forget(struct sa_sandboxes *all, void *user)
{
    sa_node_forget(all->node, user);
}

void sa_sandboxes_stop(struct sa_sandboxes *all, const char *reason, int64_t deadline_ms,
                       void (*done)(void *user), void *user)
{
    struct sa_sandbox *sandbox, *tmp;
    all->stopping = true;
    all->stopped = done;
    all->stopped_user = user;
    DL_FOREACH_SAFE (all->list, sandbox, tmp)
        sa_sandbox_delete(sandbox, reason, "the server was stopped", NULL, NULL);
    uv_timer_start(&all->stop_timer, on_stop_deadline, all->count ? (uint64_t)deadline_ms : 0, 0);
}
