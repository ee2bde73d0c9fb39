/* The life of the sandboxes: every change of phase goes through sa_sandbox_step(). */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CREATE_DEADLINE_MS = 30 * 1000, EXITED_GRACE_MS = 1000, NODE_NAMES_MAX = 64 };

static void on_node_event(void *owner, enum sa_node_type type, struct sa_fields *fields);
static void on_node_connected(void *owner);
static void on_node_closed(void *owner);

static const struct sa_node_client_events node_events = {
    .event = on_node_event, .connected = on_node_connected, .closed = on_node_closed};

/* ---- the registry ---- */

struct sa_sandboxes *sa_sandboxes_new(const struct sa_sandboxes_options *options)
{
    struct sa_sandboxes *all = sa_alloc(sizeof *all);
    struct sa_metrics *m = options->metrics;
    all->loop = options->loop;
    all->store = options->store;
    all->max_running = options->max_running ? options->max_running : 1000;
    all->policy = options->policy;
    all->running_in = options->running;
    all->ended = options->ended;
    all->node_lost = options->node_lost;
    all->owner = options->owner;
    all->node = sa_node_client_new(options->loop, options->node_socket, &node_events, all);
    all->security = sa_security_new(options->loop, options->policy, all->node);
    uv_timer_init(all->loop, &all->stop_timer);
    all->stop_timer.data = all;
    all->create_seconds = sa_metric_series(
        sa_metrics_histogram(m, "secureagent_sandbox_create_seconds",
                             "Time from the request to a running sandbox.", NULL, NULL, 0),
        NULL);
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
    return all;
}

static void on_registry_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sa_sandboxes_free(struct sa_sandboxes *all)
{
    if (!all)
        return;
    all->node_asked = NULL;
    sa_security_free(all->security);
    sa_node_client_free(all->node);
    uv_close((uv_handle_t *)&all->stop_timer, on_registry_closed);
}

static void on_node_info(void *user, struct sa_node_reply *reply)
{
    struct sa_sandboxes *all = user;
    void (*asked)(void *user, const struct sa_error *err) = all->node_asked;
    all->node_asked = NULL;
    if (asked)
        asked(all->node_asked_user, reply->error);
}

static void ask_node(struct sa_sandboxes *all)
{
    struct sa_buf nothing = SA_BUF_INIT;
    sa_node_call(all->node, SA_NODE_INFO, &nothing, on_node_info, all);
}

void sa_sandboxes_ask_node(struct sa_sandboxes *all,
                           void (*done)(void *user, const struct sa_error *err), void *user)
{
    all->node_asked = done;
    all->node_asked_user = user;
    if (sa_node_client_is_open(all->node))
        ask_node(all);
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

static void on_stop_deadline(uv_timer_t *timer)
{
    struct sa_sandboxes *all = timer->data;
    void (*stopped)(void *user) = all->stopped;
    all->stopped = NULL;
    if (stopped)
        stopped(all->stopped_user);
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
    sa_sandbox_withdraw(sandbox);
    sa_buf_deinit(&sandbox->submission.body);
    sa_sandbox_forget_end(sandbox);
    sa_runtime_conn_free(sandbox->conn, sandbox->message);
    sandbox->conn = NULL;
    if (!sandbox->failure.code)
        sa_error_set(&sandbox->failure, SA_ECONFLICT, "the sandbox was deleted while it started");
    sa_sandbox_call_waiters(sandbox, &sandbox->creators, &sandbox->failure);
    sa_sandbox_call_waiters(sandbox, &sandbox->deleters, NULL);
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

static void on_destroyed(void *user, struct sa_node_reply *reply);

static void destroy(struct sa_sandbox *sandbox)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_NODE_ID, sandbox->id);
    sa_node_call(sandbox->all->node, SA_NODE_DESTROY, &body, on_destroyed, sandbox);
}

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
        sa_sandbox_withdraw(sandbox);
        uv_timer_stop(&sandbox->timer);
        sa_sandbox_clock_stop(sandbox);
        sa_sandbox_pause_over(sandbox);
        sa_runtime_conn_free(sandbox->conn, sandbox->message);
        sandbox->conn = NULL;
        destroy(sandbox);
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
        if (error->path[0])
            sandbox->failure.path[0] = '\0'; /* a control or step, not a field of the request */
        set_reason(sandbox, reason, error->message);
    }
    sa_sandbox_step(sandbox, event);
}

static void on_destroyed(void *user, struct sa_node_reply *reply)
{
    (void)reply; /* FAILED means that the node is gone, and everything with it */
    sa_sandbox_step(user, SA_EVENT_DESTROYED);
}

static void on_create_deadline(uv_timer_t *timer)
{
    struct sa_sandbox *sandbox = timer->data;
    sa_error_set(&sandbox->failure, SA_ETIMEOUT, "the sandbox was not ready within %d s",
                 CREATE_DEADLINE_MS / 1000);
    sa_sandbox_delete(sandbox, "StartTimeout", sandbox->failure.message, NULL, NULL);
}

static void on_link_ready(void *owner)
{
    struct sa_sandbox *sandbox = owner;
    if (sandbox->phase != SA_PHASE_CREATING)
        return;
    sa_sandbox_step(sandbox, SA_EVENT_READY);
    sandbox->ready_ms = sa_wall_ms();
    uv_timer_stop(&sandbox->timer);
    sa_sandbox_begin_timeouts(sandbox);
    double seconds = (double)(sa_monotonic_us() - sandbox->created_us) / 1e6;
    sa_histogram_observe(sandbox->all->create_seconds, seconds);
    sa_log_info("sandbox running", SA_LOG_S("sandbox", sandbox->id),
                SA_LOG_S("user", sandbox->owner.key_name), SA_LOG_D("ms", seconds * 1e3));
    sa_sandbox_record(sandbox);
    sa_sandbox_event(sandbox, "Normal", "Started", "the sandbox is running", 1);
    sa_sandbox_call_waiters(sandbox, &sandbox->creators, NULL);
}

static void on_exit_missing(uv_timer_t *timer)
{
    struct sa_sandbox *sandbox = timer->data;
    struct sa_error error = sandbox->failure;
    destroy(sandbox);
    sa_sandbox_fail(sandbox, SA_EVENT_LOST, "LinkLost", &error);
}

static void on_link_lost(void *owner, const struct sa_error *error)
{
    struct sa_sandbox *sandbox = owner;
    sa_runtime_conn_free(sandbox->conn, error->message);
    sandbox->conn = NULL;
    if (sandbox->phase == SA_PHASE_TERMINATING)
        return;
    /* The node's EXITED event knows why, and is on its way. Should it not come, the sandbox is
     * ended here: without its link it is of no use. */
    sandbox->failure = *error;
    uv_timer_start(&sandbox->timer, on_exit_missing, EXITED_GRACE_MS, 0);
}

static const struct sa_runtime_conn_events conn_events = {.ready = on_link_ready,
                                                          .lost = on_link_lost};

/* Collect the texts of one tag; they point into `arena`. */
static size_t texts(struct sa_fields fields, uint16_t tag, struct sa_arena *arena,
                    const char *out[NODE_NAMES_MAX])
{
    struct sa_field f;
    size_t count = 0;
    while (sa_fields_next(&fields, &f, NULL) > 0)
        if (f.tag == tag && count < NODE_NAMES_MAX)
            out[count++] = sa_arena_strndup(arena, (const char *)f.data, f.length);
    return count;
}

static void on_created(void *user, struct sa_node_reply *reply)
{
    struct sa_sandbox *sandbox = user;
    const char *controls[NODE_NAMES_MAX], *weaker[NODE_NAMES_MAX];
    struct sa_error error;
    if (reply->error) {
        const struct sa_error *e = reply->error;
        char reason[64];
        snprintf(reason, sizeof reason, "%s",
                 e->code == SA_ECONTROL ? "ControlUnavailable" : "CreateFailed");
        error = *e;
        if (e->path[0])
            sa_error_wrap(&error, "%s", e->path);
        sa_sandbox_fail(sandbox, SA_EVENT_REFUSED, reason, &error);
        return;
    }
    if (sandbox->phase != SA_PHASE_CREATING)
        return; /* already being deleted: the DESTROY is behind this reply */
    if (reply->type != SA_NODE_CREATED || reply->fd_count != 1) {
        sa_error_set(&error, SA_EPROTOCOL, "the sandbox-node answered without a link");
        sa_sandbox_fail(sandbox, SA_EVENT_REFUSED, "CreateFailed", &error);
        return;
    }
    struct sa_arena *scratch = sa_arena_new();
    size_t control_count = texts(reply->fields, SA_NODE_CONTROL, scratch, controls);
    size_t weaker_count = texts(reply->fields, SA_NODE_WEAKER, scratch, weaker);
    sa_sandbox_set_fixed(sandbox, controls, control_count, weaker, weaker_count);
    for (size_t i = 0; i < control_count; i++)
        sandbox->can_pause |= strcmp(controls[i], "cgroup.freezer") == 0;
    sa_arena_free(scratch);
    sandbox->conn =
        sa_runtime_conn_new(sandbox->all->loop, sa_steal_fd(&reply->fds[0]), &conn_events, sandbox);
}

struct sa_sandbox *sa_sandbox_create(struct sa_sandboxes *all, const struct sa_sandbox_spec *spec,
                                     const struct sa_owner *owner,
                                     const struct sa_security_answer *security,
                                     sa_sandbox_done done, void *user, struct sa_error *err)
{
    if (sa_sandbox_check_create(all, spec, err) < 0)
        return NULL;
    struct sa_sandbox *s = sa_alloc(sizeof *s);
    sa_id_new("sb-", s->id);
    s->all = all;
    s->sequence = ++all->last_sequence;
    s->arena = sa_arena_new();
    sa_sandbox_copy_spec(s, spec);
    s->owner.key_id = sa_arena_strdup(s->arena, owner->key_id);
    s->owner.key_name = sa_arena_strdup(s->arena, owner->key_name);
    snprintf(s->profile, sizeof s->profile, "%s", security->profile);
    s->generation = security->generation;
    sa_sandbox_set_fixed(s, NULL, 0, NULL, 0);
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
    sa_counter_add(all->created_total, 1);
    sa_sandbox_add_waiter(&s->creators, done, user);
    sa_sandbox_submit(s, spec, security, on_created);
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
    sa_fields_add_text(&body, SA_NODE_ID, sandbox->id);
    sa_node_call(sandbox->all->node, SA_NODE_STATS, &body, done, user);
}

void sa_sandbox_stats_forget(struct sa_sandboxes *all, void *user)
{
    sa_node_forget(all->node, user);
}

/* ---- events of the node ---- */

struct node_event {
    char id[SA_ID_BYTES];
    char reason[256], syscall[64], comm[64];
    int64_t oom_kills, pid, count;
};

static void read_event(struct sa_fields *fields, struct node_event *e)
{
    struct sa_field f;
    *e = (struct node_event){.count = 1};
    while (sa_fields_next(fields, &f, NULL) > 0) {
        if (f.tag == SA_NODE_ID)
            sa_field_text_into(&f, e->id, sizeof e->id, NULL);
        else if (f.tag == SA_NODE_REASON)
            sa_field_text_into(&f, e->reason, sizeof e->reason, NULL);
        else if (f.tag == SA_NODE_SYSCALL)
            sa_field_text_into(&f, e->syscall, sizeof e->syscall, NULL);
        else if (f.tag == SA_NODE_COMM)
            sa_field_text_into(&f, e->comm, sizeof e->comm, NULL);
        else if (f.tag == SA_NODE_OOM_KILLS)
            sa_field_int(&f, &e->oom_kills, NULL);
        else if (f.tag == SA_NODE_COUNT)
            sa_field_int(&f, &e->count, NULL);
    }
}

static void on_security(struct sa_sandbox *sandbox, const struct node_event *e)
{
    char message[256];
    snprintf(message, sizeof message, "%s tried %s, which is denied", e->comm, e->syscall);
    sa_sandbox_event(sandbox, "Security", "DeniedSystemCall", message, e->count);
    sa_counter_add(sa_metric_series(sandbox->all->security_total, SA_VALUES(e->syscall)),
                   (double)e->count);
    sa_log_warn("security event", SA_LOG_S("sandbox", sandbox->id), SA_LOG_S("syscall", e->syscall),
                SA_LOG_S("program", e->comm), SA_LOG_I("count", e->count));
}

static void on_node_event(void *owner, enum sa_node_type type, struct sa_fields *fields)
{
    struct node_event e;
    read_event(fields, &e);
    struct sa_sandbox *sandbox = sa_sandbox_find(owner, e.id);
    if (!sandbox)
        return;
    if (type == SA_NODE_SECURITY) {
        on_security(sandbox, &e);
    } else if (type == SA_NODE_OOM) {
        sandbox->oom_kills = e.oom_kills;
        sa_sandbox_event(sandbox, "Warning", "OutOfMemory",
                         "the memory limit was reached and a process was killed", 1);
    } else if (type == SA_NODE_EXITED) {
        struct sa_error error;
        sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox ended: %s", e.reason);
        sa_sandbox_fail(sandbox, SA_EVENT_LOST, "Exited", &error);
    }
}

static void on_node_connected(void *owner)
{
    struct sa_sandboxes *all = owner;
    if (all->node_asked)
        ask_node(all);
}

static void on_node_closed(void *owner)
{
    struct sa_sandboxes *all = owner;
    struct sa_sandbox *sandbox, *tmp;
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox-node ended, and its sandboxes with it");
    DL_FOREACH_SAFE (all->list, sandbox, tmp)
        sa_sandbox_fail(sandbox, SA_EVENT_LOST, "NodeLost", &error);
    if (all->node_lost && !all->stopping)
        all->node_lost(all->owner);
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
