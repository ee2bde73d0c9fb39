/*
 * Pausing and resuming. What is wanted and what is so are two things: kick() goes from the one to
 * the other, step by step, and each step that ends kicks again.
 *
 *   NOT       wanted     HOLDING   ask the runtime to stop the clock of its timeouts
 *   HOLDING   answered   FREEZING  or has not, in time: one that is not heard does not matter
 *   FREEZING  done       FROZEN    phase Paused
 *   FREEZING  failed     NOT       and whoever asked learns why
 *   FROZEN    unwanted   THAWING
 *   THAWING   done       NOT       phase Running; the runtime's clock goes on
 *   THAWING   failed     -         the sandbox is of no use any more: it ends
 */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "base/clock.h"

enum { HOLD_MS = 1000 };

static void kick(struct sa_sandbox *s);

/* ---- the runtime's clock ---- */

static void on_hold_ended(void *user, const struct sa_error *error, struct sa_fields *fields);
static const struct sa_call_events hold_events = {.ended = on_hold_ended};

static void freeze(struct sa_sandbox *s);

static void on_hold_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_sandbox *s = user;
    (void)error;
    (void)fields;
    s->hold = NULL;
    if (s->pausing == PAUSE_HOLDING && s->conn)
        freeze(s);
}

static void on_hold_late(uv_timer_t *timer)
{
    struct sa_sandbox *s = timer->data;
    if (s->pausing != PAUSE_HOLDING)
        return;
    if (s->hold)
        sa_call_abandon(s->hold);
    s->hold = NULL;
    freeze(s);
}

static void hold_clock(struct sa_sandbox *s)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_CLOCK_HELD, 1);
    s->pausing = PAUSE_HOLDING;
    s->hold = sa_call_open(s->conn, SA_METHOD_CLOCK, &body, &hold_events, s, NULL);
    uv_timer_start(&s->timer, on_hold_late, s->hold ? HOLD_MS : 0, 0);
}

static void on_clock_released(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    (void)user;
    (void)error;
    (void)fields;
}

static void release_clock(struct sa_sandbox *s)
{
    static const struct sa_call_events events = {.ended = on_clock_released};
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_CLOCK_HELD, 0);
    if (s->conn)
        sa_call_open(s->conn, SA_METHOD_CLOCK, &body, &events, s, NULL);
}

/* ---- the node ---- */

static void ask_node(struct sa_sandbox *s, enum sa_node_type type, sa_node_reply_cb done)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_NODE_ID, s->pod);
    sa_node_call(s->all->node, type, &body, done, s);
}

static void tell_waiters(struct sa_sandbox *s, const struct sa_error *failure)
{
    struct sa_error changed;
    sa_error_set(&changed, SA_ECONFLICT, "the opposite was asked for meanwhile");
    bool frozen = s->pausing == PAUSE_FROZEN;
    if (frozen || failure || !s->pause_wanted)
        sa_sandbox_call_waiters(s, &s->pausers, frozen ? NULL : failure ? failure : &changed);
    if (!frozen || s->pause_wanted)
        sa_sandbox_call_waiters(s, &s->resumers, frozen ? &changed : NULL);
}

static void on_frozen(void *user, struct sa_node_reply *reply)
{
    struct sa_sandbox *s = user;
    if (s->pausing != PAUSE_FREEZING)
        return;
    if (reply->error) {
        s->pausing = PAUSE_NOT;
        s->pause_wanted = s->pause_if_idle = false;
        release_clock(s);
        sa_sandbox_clock_go(s);
        sa_sandbox_event(s, "Warning", "PauseFailed", reply->error->message, 1);
        if (s->expired) /* what must end and cannot be paused is ended */
            sa_sandbox_delete(s, "TimedOut", "its timeout is over, and it could not be paused",
                              NULL, NULL);
        else
            sa_sandbox_begin_idle(s);
        tell_waiters(s, reply->error);
        return;
    }
    s->pausing = PAUSE_FROZEN;
    s->paused_ms = sa_wall_ms();
    s->idle_ms = s->expires_ms = 0;
    s->pause_if_idle = false;
    sa_sandbox_step(s, SA_EVENT_PAUSED);
    sa_sandbox_record(s);
    sa_sandbox_event(s, "Normal", "Paused", "it is frozen, and its timeouts do not count", 1);
    tell_waiters(s, NULL);
    kick(s);
}

static void freeze(struct sa_sandbox *s)
{
    uv_timer_stop(&s->timer);
    s->pausing = PAUSE_FREEZING;
    sa_sandbox_clock_stop(s);
    ask_node(s, SA_NODE_FREEZE, on_frozen);
}

static void on_thawed(void *user, struct sa_node_reply *reply)
{
    struct sa_sandbox *s = user;
    if (s->pausing != PAUSE_THAWING)
        return;
    if (reply->error) {
        struct sa_error error = *reply->error;
        sa_error_wrap(&error, "cannot resume");
        sa_sandbox_delete(s, "ResumeFailed", error.message, NULL, NULL);
        return;
    }
    s->pausing = PAUSE_NOT;
    s->paused_ms = 0;
    release_clock(s);
    sa_sandbox_clock_go(s);
    if (s->expired)
        sa_sandbox_begin_expiry(s);
    else
        s->expires_ms = sa_wall_ms() + sa_sandbox_timer_left(s, &s->expiry);
    sa_sandbox_step(s, SA_EVENT_RESUMED);
    sa_sandbox_begin_idle(s);
    sa_sandbox_record(s);
    sa_sandbox_event(s, "Normal", "Resumed", "it runs again, and its timeouts count", 1);
    tell_waiters(s, NULL);
    kick(s);
}

static void kick(struct sa_sandbox *s)
{
    if (s->pausing == PAUSE_NOT && s->pause_wanted && s->phase == SA_PHASE_RUNNING && s->conn) {
        hold_clock(s);
    } else if (s->pausing == PAUSE_FROZEN && !s->pause_wanted && s->phase == SA_PHASE_PAUSED) {
        s->pausing = PAUSE_THAWING;
        ask_node(s, SA_NODE_THAW, on_thawed);
    }
}

static void on_given_back(void *user, struct sa_node_reply *reply)
{
    (void)user;
    (void)reply; /* what cannot be thawed does not answer when it is cleaned, and is replaced */
}

/* A pod of a pool is cleaned by its runtime, which must not be frozen for that. The node does one
 * thing after the other: a freeze that is on its way comes first. */
static void give_back_thawed(struct sa_sandbox *s)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_NODE_ID, s->pod);
    sa_node_call(s->all->node, SA_NODE_THAW, &body, on_given_back, NULL);
}

void sa_sandbox_pause_over(struct sa_sandbox *s)
{
    struct sa_error ended;
    if (s->warm && s->pausing != PAUSE_NOT && s->pausing != PAUSE_HOLDING)
        give_back_thawed(s);
    if (s->hold)
        sa_call_abandon(s->hold);
    s->hold = NULL;
    s->pausing = PAUSE_NOT;
    s->pause_wanted = false;
    s->paused_ms = s->idle_ms = 0;
    sa_error_set(&ended, SA_ECONFLICT, "the sandbox is %s", sa_phase_name(s->phase));
    sa_sandbox_call_waiters(s, &s->pausers, &ended);
    sa_sandbox_call_waiters(s, &s->resumers, &ended);
}

/* ---- asking for it ---- */

static int check_phase(const struct sa_sandbox *s, struct sa_error *err)
{
    if ((s->phase == SA_PHASE_RUNNING && s->conn) || s->phase == SA_PHASE_PAUSED)
        return 0;
    return sa_error_set(err, SA_ECONFLICT,
                        "the sandbox is %s; only one that is Running or Paused "
                        "can be paused or resumed",
                        s->phase == SA_PHASE_RUNNING ? "ending" : sa_phase_name(s->phase));
}

int sa_sandbox_pause(struct sa_sandbox *s, sa_sandbox_done done, void *user, struct sa_error *err)
{
    if (check_phase(s, err) < 0)
        return -1;
    if (!s->can_pause)
        return sa_error_at(err, SA_ECONTROL, "cgroup.freezer",
                           "this sandbox cannot be paused: its node has no freezer "
                           "(cgroup.freezer)");
    s->pause_wanted = true;
    if (s->pausing == PAUSE_FROZEN)
        return 1;
    sa_sandbox_add_waiter(&s->pausers, done, user);
    kick(s);
    return 0;
}

int sa_sandbox_resume(struct sa_sandbox *s, sa_sandbox_done done, void *user, struct sa_error *err)
{
    if (check_phase(s, err) < 0)
        return -1;
    s->pause_wanted = s->pause_if_idle = false;
    if (s->pausing == PAUSE_NOT)
        return 1;
    sa_sandbox_add_waiter(&s->resumers, done, user);
    kick(s);
    return 0;
}

int sa_sandbox_use(struct sa_sandbox *s, struct sa_error *err)
{
    bool running = s->phase == SA_PHASE_RUNNING && s->conn;
    if (!s->conn && (s->phase == SA_PHASE_RUNNING || (s->phase == SA_PHASE_CREATING && s->adopted)))
        return sa_error_set(err, SA_EUNAVAILABLE,
                            "the sandbox cannot be reached right now; try again");
    if (running && s->pausing == PAUSE_NOT)
        return 0;
    if (!running && s->phase != SA_PHASE_PAUSED)
        return sa_error_set(err, SA_ECONFLICT, "the sandbox is %s, not Running",
                            sa_phase_name(s->phase));
    if (s->pause_wanted && !s->pause_if_idle && !s->spec.lifecycle.resume_on_use)
        return sa_error_set(err, SA_ECONFLICT,
                            "the sandbox is Paused; POST /api/v1/sandboxes/%s/resume first, or set "
                            "lifecycle.resumeOnUse, so that using it resumes it",
                            s->id);
    sa_sandbox_resume(s, NULL, NULL, NULL);
    return 0;
}

struct sa_runtime_conn *sa_sandbox_conn(struct sa_sandbox *s, struct sa_error *err)
{
    if (sa_sandbox_use(s, err) < 0)
        return NULL;
    if (!s->conn) /* it thaws, and is connected to after */
        sa_error_set(err, SA_EUNAVAILABLE, "the sandbox is being resumed; try again");
    return s->conn;
}
