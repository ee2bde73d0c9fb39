/* The pod that a sandbox runs in: what the agent tells of it, and making it somebody's. */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "log/log.h"

#include <stdio.h>
#include <string.h>

static void take_facts(struct sa_sandbox *s)
{
    const struct sa_agent_facts *facts = sa_agent_facts(s->all->agent, s->pod);
    if (!facts)
        return;
    sa_sandbox_set_fixed(s, facts->controls, facts->control_count, facts->weaker,
                         facts->weaker_count);
    for (size_t i = 0; i < facts->control_count; i++)
        s->can_pause |= strcmp(facts->controls[i], "cgroup.freezer") == 0;
}

/* ---- it runs ---- */

static void begin(struct sa_sandbox *s)
{
    const double seconds = (double)(sa_monotonic_us() - s->created_us) / 1e6;
    struct sa_sandboxes *all = s->all;
    s->ready_ms = sa_wall_ms();
    sa_sandbox_begin_timeouts(s);
    sa_histogram_observe(s->warm ? all->create_warm_seconds : all->create_cold_seconds, seconds);
    sa_log_info("sandbox running", SA_LOG_S("sandbox", s->id), SA_LOG_S("user", s->owner.key_name),
                SA_LOG_S("start", s->warm ? "warm" : "cold"), SA_LOG_D("ms", seconds * 1e3));
    sa_sandbox_record(s);
    sa_sandbox_event(
        s, "Normal", "Started",
        s->warm ? "the sandbox is running; it was waiting in a pool" : "the sandbox is running", 1);
}

static void run(struct sa_sandbox *s)
{
    if (s->phase != SA_PHASE_CREATING)
        return;
    sa_sandbox_step(s, SA_EVENT_READY);
    uv_timer_stop(&s->timer);
    if (s->adopted)
        sa_sandbox_resume_adopted(s);
    else
        begin(s);
    sa_sandbox_call_waiters(s, &s->creators, NULL);
}

/* ---- what is personal ---- */

/* Who waits for it is told why, not that somebody deleted it. */
static void not_set_up(struct sa_sandbox *s, const struct sa_error *why)
{
    s->failure = *why;
    if (why->code != SA_EINVALID && why->code != SA_ETOOLARGE) /* nothing else is the client's */
        s->failure.code = SA_EUNAVAILABLE;
    sa_error_wrap(&s->failure, "its environment could not be set up");
    sa_sandbox_delete(s, "SetupFailed", why->message, NULL, NULL);
}

static void on_set_up(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_sandbox *s = user;
    (void)fields;
    if (!s->conn || s->phase != SA_PHASE_CREATING)
        return;
    if (error) {
        not_set_up(s, error);
        return;
    }
    sa_failpoint("api.set-up");
    s->delivered = true;
    sa_sandbox_publish_delivery(s); /* before anybody is told: it must not be lost any more */
}

void sa_sandbox_set_up(struct sa_sandbox *s, const struct sa_error *err)
{
    if (s->phase != SA_PHASE_CREATING)
        return;
    if (err)
        not_set_up(s, err);
    else if (s->conn)
        run(s);
}

static void deliver(struct sa_sandbox *s)
{
    static const struct sa_call_events events = {.ended = on_set_up};
    struct sa_error error;
    sa_failpoint("api.deliver");
    if (s->setup.length && !s->delivered) {
        bool sent = sa_call_open(s->conn, SA_METHOD_SETUP, &s->setup, &events, s, &error) != NULL;
        explicit_bzero(s->setup.data, s->setup.length);
        sa_buf_deinit(&s->setup);
        if (!sent)
            not_set_up(s, &error);
        return;
    }
    s->delivered = true;
    if (!s->publishing) /* else that is what it waits for */
        run(s);
}

/* ---- what the agent tells ---- */

static void on_ready(void *owner)
{
    struct sa_sandbox *s = owner;
    s->conn = sa_agent_conn(s->all->agent, s->pod);
    take_facts(s);
    if (s->phase == SA_PHASE_CREATING)
        deliver(s);
    else
        sa_sandbox_event(s, "Normal", "LinkRestored", "the sandbox can be reached again", 1);
}

static void on_unready(void *owner, const struct sa_error *why)
{
    struct sa_sandbox *s = owner;
    s->conn = NULL;
    if (s->phase == SA_PHASE_RUNNING)
        sa_sandbox_event(s, "Warning", "LinkLost", why->message, 1);
}

static void on_lost(void *owner, const char *reason, const struct sa_error *why)
{
    struct sa_sandbox *s = owner;
    struct sa_error error = *why;
    s->conn = NULL;
    s->attached = false;
    if (s->phase == SA_PHASE_TERMINATING)
        return; /* its object goes, and tells when */
    if (s->phase == SA_PHASE_CREATING && error.path[0])
        sa_error_wrap(&error, "%s", error.path);
    error.path[0] = '\0'; /* a control or step, not a field of the request */
    sa_sandbox_fail(s, SA_EVENT_LOST, reason, &error);
}

static void on_oom(void *owner, int64_t kills)
{
    struct sa_sandbox *s = owner;
    s->oom_kills = kills;
    sa_sandbox_event(s, "Warning", "OutOfMemory",
                     "the memory limit was reached and a process was killed", 1);
}

static void on_denied(void *owner, const char *syscall, const char *program, int64_t count)
{
    struct sa_sandbox *s = owner;
    char message[256];
    snprintf(message, sizeof message, "%s tried %s, which is denied", program, syscall);
    sa_sandbox_event(s, "Security", "DeniedSystemCall", message, count);
    sa_counter_add(sa_metric_series(s->all->security_total, SA_VALUES(syscall)), (double)count);
    sa_log_warn("security event", SA_LOG_S("sandbox", s->id), SA_LOG_S("syscall", syscall),
                SA_LOG_S("program", program), SA_LOG_I("count", count));
}

static void on_changed(void *owner)
{
    struct sa_sandbox *s = owner;
    take_facts(s);
    if (s->phase == SA_PHASE_RUNNING)
        sa_sandbox_event(s, "Warning", "ControlsChanged",
                         "the node was started anew: see which controls are in force", 1);
}

static const struct sa_agent_user_events events = {.ready = on_ready,
                                                   .unready = on_unready,
                                                   .lost = on_lost,
                                                   .oom = on_oom,
                                                   .denied = on_denied,
                                                   .changed = on_changed};

void sa_sandbox_attach(struct sa_sandbox *s)
{
    s->user = (struct sa_agent_user){.events = &events, .owner = s};
    s->attached = true;
    sa_agent_use(s->all->agent, s->pod, &s->user);
}

void sa_sandbox_detach(struct sa_sandbox *s)
{
    struct sa_runtime_conn *conn = s->conn;
    s->conn = NULL;
    if (s->attached)
        sa_agent_unuse(s->all->agent, &s->user);
    s->attached = false;
    if (conn)
        sa_runtime_conn_end_calls(conn, s->message);
}
