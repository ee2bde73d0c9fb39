/* The life of the sandboxes: every change of phase goes through step(). */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CREATE_DEADLINE_MS = 30 * 1000, EXITED_GRACE_MS = 1000, NODE_NAMES_MAX = 64 };

static void on_node_event(void *owner, enum sa_node_type type, struct sa_fields *fields);
static void on_node_closed(void *owner);

static const struct sa_node_client_events node_events = {.event = on_node_event,
                                                         .closed = on_node_closed};

/* ---- the registry ---- */

struct sa_sandboxes *sa_sandboxes_new(const struct sa_sandboxes_options *options)
{
    struct sa_sandboxes *all = sa_alloc(sizeof *all);
    struct sa_metrics *m = options->metrics;
    all->loop = options->loop;
    all->store = options->store;
    all->max_running = options->max_running ? options->max_running : 1000;
    all->node_lost = options->node_lost;
    all->owner = options->owner;
    all->node = sa_node_client_new(options->loop, options->node_fd, &node_events, all);
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
    sa_node_client_free(all->node);
    uv_close((uv_handle_t *)&all->stop_timer, on_registry_closed);
}

struct question {
    void (*done)(void *user, const struct sa_error *err);
    void *user;
};

static void on_node_info(void *user, struct sa_node_reply *reply)
{
    struct question *q = user;
    q->done(q->user, reply->error);
    free(q);
}

void sa_sandboxes_ask_node(struct sa_sandboxes *all,
                           void (*done)(void *user, const struct sa_error *err), void *user)
{
    struct question *q = sa_alloc(sizeof *q);
    struct sa_buf nothing = SA_BUF_INIT;
    *q = (struct question){done, user};
    sa_node_call(all->node, SA_NODE_INFO, &nothing, on_node_info, q);
}

/* ---- the end of one ---- */

static void call_waiters(struct sa_sandbox *sandbox, struct waiter **list,
                         const struct sa_error *err)
{
    struct waiter *w;
    while ((w = *list)) {
        DL_DELETE(*list, w);
        w->done(w->user, sandbox, err);
        free(w);
    }
}

static void add_waiter(struct waiter **list, sa_sandbox_done done, void *user)
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

void sa_sandbox_forget(struct sa_sandbox *sandbox, void *user)
{
    forget(&sandbox->creators, user);
    forget(&sandbox->deleters, user);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct sa_sandbox *sandbox = handle->data;
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
    sa_runtime_conn_free(sandbox->conn, sandbox->message);
    sandbox->conn = NULL;
    if (!sandbox->failure.code)
        sa_error_set(&sandbox->failure, SA_ECONFLICT, "the sandbox was deleted while it started");
    call_waiters(sandbox, &sandbox->creators, &sandbox->failure);
    call_waiters(sandbox, &sandbox->deleters, NULL);
    uv_close((uv_handle_t *)&sandbox->timer, on_timer_closed);
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

/* Apply an event. Returns true when the sandbox has ended, and is gone. */
static bool step(struct sa_sandbox *sandbox, enum sa_lifecycle_event event)
{
    enum sa_phase before = sandbox->phase;
    sandbox->phase = sa_lifecycle_next(before, event);
    if (sandbox->phase == before)
        return false;
    if (sandbox->phase == SA_PHASE_TERMINATING) {
        uv_timer_stop(&sandbox->timer);
        sa_runtime_conn_free(sandbox->conn, sandbox->message);
        sandbox->conn = NULL;
        destroy(sandbox);
    }
    if (!sa_phase_ended(sandbox->phase))
        return false;
    retire(sandbox);
    return true;
}

static void fail(struct sa_sandbox *sandbox, enum sa_lifecycle_event event, const char *reason,
                 const struct sa_error *error)
{
    if (sandbox->phase != SA_PHASE_TERMINATING) {
        sandbox->failure = *error;
        if (error->path[0])
            sandbox->failure.path[0] = '\0'; /* a control or step, not a field of the request */
        set_reason(sandbox, reason, error->message);
    }
    step(sandbox, event);
}

static void on_destroyed(void *user, struct sa_node_reply *reply)
{
    (void)reply; /* FAILED means that the node is gone, and everything with it */
    step(user, SA_EVENT_DESTROYED);
}

static void on_expired(uv_timer_t *timer)
{
    struct sa_sandbox *sandbox = timer->data;
    char message[96];
    snprintf(message, sizeof message, "its timeout of %lld s is over",
             (long long)sandbox->spec.timeout_s);
    sa_sandbox_delete(sandbox, "TimedOut", message, NULL, NULL);
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
    int64_t timeout_ms = sandbox->spec.timeout_s * 1000;
    if (sandbox->phase != SA_PHASE_CREATING)
        return;
    step(sandbox, SA_EVENT_READY);
    sandbox->ready_ms = sa_wall_ms();
    sandbox->expires_ms = sandbox->ready_ms + timeout_ms;
    uv_timer_start(&sandbox->timer, on_expired, (uint64_t)timeout_ms, 0);
    double seconds = (double)(sa_monotonic_us() - sandbox->created_us) / 1e6;
    sa_histogram_observe(sandbox->all->create_seconds, seconds);
    sa_log_info("sandbox running", SA_LOG_S("sandbox", sandbox->id),
                SA_LOG_S("user", sandbox->owner.key_name), SA_LOG_D("ms", seconds * 1e3));
    sa_sandbox_record(sandbox);
    sa_sandbox_event(sandbox, "Normal", "Started", "the sandbox is running", 1);
    call_waiters(sandbox, &sandbox->creators, NULL);
}

static void on_exit_missing(uv_timer_t *timer)
{
    struct sa_sandbox *sandbox = timer->data;
    struct sa_error error = sandbox->failure;
    destroy(sandbox);
    fail(sandbox, SA_EVENT_LOST, "LinkLost", &error);
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
        fail(sandbox, SA_EVENT_REFUSED, reason, &error);
        return;
    }
    if (sandbox->phase != SA_PHASE_CREATING)
        return; /* already being deleted: the DESTROY is behind this reply */
    if (reply->type != SA_NODE_CREATED || reply->fd_count != 1) {
        sa_error_set(&error, SA_EPROTOCOL, "the sandbox-node answered without a link");
        fail(sandbox, SA_EVENT_REFUSED, "CreateFailed", &error);
        return;
    }
    struct sa_arena *scratch = sa_arena_new();
    size_t control_count = texts(reply->fields, SA_NODE_CONTROL, scratch, controls);
    size_t weaker_count = texts(reply->fields, SA_NODE_WEAKER, scratch, weaker);
    sa_sandbox_set_fixed(sandbox, controls, control_count, weaker, weaker_count);
    sa_arena_free(scratch);
    sandbox->conn =
        sa_runtime_conn_new(sandbox->all->loop, sa_steal_fd(&reply->fds[0]), &conn_events, sandbox);
}

static void copy_spec(struct sa_sandbox *s, const struct sa_sandbox_spec *spec)
{
    struct sa_arena *a = s->arena;
    s->spec = *spec;
    s->spec.name = spec->name ? sa_arena_strdup(a, spec->name) : NULL;
    s->spec.env = (struct sa_json_map){0}; /* delivered, and not kept: it may hold secrets */
    s->spec.required_controls = (struct sa_json_strings){0};
    s->spec.labels.items =
        sa_arena_alloc(a, (spec->labels.count + 1) * sizeof *s->spec.labels.items);
    for (size_t i = 0; i < spec->labels.count; i++) {
        s->spec.labels.items[i].key = sa_arena_strdup(a, spec->labels.items[i].key);
        s->spec.labels.items[i].value = sa_arena_strdup(a, spec->labels.items[i].value);
    }
}

static void submit(struct sa_sandbox *sandbox, const struct sa_sandbox_spec *spec)
{
    /* The last three: there is no network, and npm and pip should say so at once, not after a
     * minute of retries; pip may install what was uploaded, since the system is read-only. */
    static const char *const defaults[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/etc/secureagent/bin",
        "HOME=/home/user",
        "USER=user",
        "LOGNAME=user",
        "LANG=C.UTF-8",
        "SHELL=/bin/bash",
        "TMPDIR=/tmp",
        "npm_config_fetch_retries=0",
        "PIP_RETRIES=0",
        "PIP_BREAK_SYSTEM_PACKAGES=1"};
    struct sa_arena *scratch = sa_arena_new();
    size_t count = 0;
    char **env = sa_arena_alloc(scratch, (SA_COUNT(defaults) + spec->env.count) * sizeof *env);
    for (size_t i = 0; i < SA_COUNT(defaults); i++)
        env[count++] = sa_arena_strdup(scratch, defaults[i]);
    for (size_t i = 0; i < spec->env.count; i++)
        env[count++] =
            sa_arena_printf(scratch, "%s=%s", spec->env.items[i].key, spec->env.items[i].value);
    struct sa_node_spec node = {.memory_bytes = spec->resources.memory_bytes,
                                .cpu_millicores = spec->resources.cpu_millicores,
                                .pids = spec->resources.pids,
                                .storage_bytes = spec->resources.storage_bytes,
                                .inodes = spec->resources.inodes,
                                .env = env,
                                .env_count = count,
                                .require = (char **)(size_t)spec->required_controls.items,
                                .require_count = spec->required_controls.count};
    snprintf(node.id, sizeof node.id, "%s", sandbox->id);
    snprintf(node.runtime, sizeof node.runtime, "%s", spec->runtime);
    snprintf(node.hostname, sizeof node.hostname, "%s", spec->name ? spec->name : sandbox->id);
    sa_autobuf body = SA_BUF_INIT;
    sa_node_spec_encode(&node, &body);
    step(sandbox, SA_EVENT_SUBMITTED);
    sa_node_call(sandbox->all->node, SA_NODE_CREATE, &body, on_created, sandbox);
    sa_arena_free(scratch);
}

static int check_create(const struct sa_sandboxes *all, const struct sa_sandbox_spec *spec,
                        struct sa_error *err)
{
    size_t env_bytes = 0;
    for (size_t i = 0; i < spec->env.count; i++)
        env_bytes += strlen(spec->env.items[i].key) + strlen(spec->env.items[i].value) + 8;
    if (env_bytes > 32 * 1024)
        return sa_error_at(err, SA_EINVALID, "env",
                           "env: %zu bytes in all, at most 32768 can be delivered", env_bytes);
    if (spec->level == SA_LEVEL_HIGH)
        return sa_error_at(err, SA_ECONTROL, "securityLevel",
                           "securityLevel high needs gVisor, which this node does not offer; use "
                           "standard");
    if (spec->level == SA_LEVEL_CUSTOM)
        return sa_error_at(err, SA_ECONTROL, "securityLevel",
                           "securityLevel custom needs a profile, and none is defined here; use "
                           "standard");
    if (spec->warm == SA_WARM_REQUIRE)
        return sa_error_at(err, SA_EUNAVAILABLE, "warm",
                           "no warm sandbox is ready; use \"prefer\" to accept a cold start");
    if (all->stopping)
        return sa_error_set(err, SA_EUNAVAILABLE, "the server is shutting down");
    if (all->count >= all->max_running)
        return sa_error_set(err, SA_EQUOTA,
                            "%zu sandboxes run here, which is the limit; delete some first",
                            all->count);
    return 0;
}

struct sa_sandbox *sa_sandbox_create(struct sa_sandboxes *all, const struct sa_sandbox_spec *spec,
                                     const struct sa_owner *owner, sa_sandbox_done done, void *user,
                                     struct sa_error *err)
{
    struct sa_buf labels = SA_BUF_INIT;
    if (check_create(all, spec, err) < 0)
        return NULL;
    struct sa_sandbox *s = sa_alloc(sizeof *s);
    sa_id_new("sb-", s->id);
    s->all = all;
    s->sequence = ++all->last_sequence;
    s->arena = sa_arena_new();
    copy_spec(s, spec);
    s->owner.key_id = sa_arena_strdup(s->arena, owner->key_id);
    s->owner.key_name = sa_arena_strdup(s->arena, owner->key_name);
    sa_labels_print(&s->spec.labels, &labels);
    s->labels_json = sa_buf_steal(&labels);
    sa_sandbox_set_fixed(s, NULL, 0, NULL, 0);
    s->created_ms = sa_wall_ms();
    s->created_us = sa_monotonic_us();
    s->timer.data = s;
    uv_timer_init(all->loop, &s->timer);
    uv_timer_start(&s->timer, on_create_deadline, CREATE_DEADLINE_MS, 0);
    HASH_ADD_STR(all->by_id, id, s);
    DL_PREPEND(all->list, s);
    all->count++;
    sa_gauge_set(all->running, (double)all->count);
    sa_counter_add(all->created_total, 1);
    add_waiter(&s->creators, done, user);
    submit(s, spec);
    return s;
}

void sa_sandbox_delete(struct sa_sandbox *sandbox, const char *reason, const char *message,
                       sa_sandbox_done done, void *user)
{
    add_waiter(&sandbox->deleters, done, user);
    if (sandbox->phase == SA_PHASE_TERMINATING)
        return;
    set_reason(sandbox, reason, message);
    step(sandbox, SA_EVENT_DELETE);
}

struct sa_runtime_conn *sa_sandbox_conn(struct sa_sandbox *sandbox, struct sa_error *err)
{
    if (sandbox->phase == SA_PHASE_RUNNING && sandbox->conn)
        return sandbox->conn;
    sa_error_set(err, SA_ECONFLICT, "the sandbox is %s, not Running",
                 sandbox->phase == SA_PHASE_RUNNING ? "ending" : sa_phase_name(sandbox->phase));
    return NULL;
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
        fail(sandbox, SA_EVENT_LOST, "Exited", &error);
    }
}

static void on_node_closed(void *owner)
{
    struct sa_sandboxes *all = owner;
    struct sa_sandbox *sandbox, *tmp;
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox-node ended, and its sandboxes with it");
    DL_FOREACH_SAFE (all->list, sandbox, tmp)
        fail(sandbox, SA_EVENT_LOST, "NodeLost", &error);
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
