#include "controller/pool/pod_plan.h"

typedef struct sa_pool_pod_observed observed;
typedef struct sa_pool_pod_plan plan;

const char *sa_pool_step_name(enum sa_pool_step step)
{
    static const char *const names[] = {"none", "make",    "prepare", "ready", "assign",
                                        "look", "recycle", "clean",   "reuse", "release",
                                        "fail", "delete",  "end",     "let_go"};
    return names[step];
}

static plan just(enum sa_pool_step step)
{
    return (plan){.step = step};
}

static plan because(enum sa_pool_step step, const char *reason)
{
    return (plan){.step = step, .reason = reason};
}

/* The Pod first, so that a WarmPod that is gone has left nothing behind. */
static plan on_the_way_out(const observed *o)
{
    switch (o->box) {
    case SA_POOL_BOX_NONE:
        return just(o->held ? SA_POOL_STEP_LET_GO : SA_POOL_STEP_NONE);
    case SA_POOL_BOX_ORDERED:
    case SA_POOL_BOX_ENDING:
        return just(SA_POOL_STEP_NONE);
    default:
        return just(SA_POOL_STEP_END);
    }
}

static bool lives(const observed *o)
{
    return o->box == SA_POOL_BOX_READY;
}

/* What is over in a moment is not written. */
static plan tell(const observed *o, enum sa_pool_step step, int64_t since_ms)
{
    const int64_t due = since_ms + SA_POOL_TELL_MS;
    if (o->now_ms >= due || o->now_ms < since_ms) /* a clock that was set back delays nothing */
        return just(step);
    return (plan){.step = SA_POOL_STEP_NONE, .again_ms = due};
}

/* Nobody uses it any more. What was cleaned is given back in two writes: everything else first, the
 * claim last. It is not found before it is Ready, and its sandbox need not wait for that. */
static plan after_use(const observed *o)
{
    if (!lives(o))
        return because(SA_POOL_STEP_DELETE, "PodFailed");
    if (o->work == SA_POOL_WORK_FAILED)
        return just(SA_POOL_STEP_DELETE);
    if (o->work == SA_POOL_WORK_CLEANING)
        return o->phase == SA_WARM_POD_RECYCLING ? just(SA_POOL_STEP_NONE)
                                                 : tell(o, SA_POOL_STEP_RECYCLE, o->clean_ms);
    if (o->work == SA_POOL_WORK_CLEANED)
        return just(o->reused ? SA_POOL_STEP_RELEASE : SA_POOL_STEP_REUSE);
    if (o->refused && o->phase != SA_WARM_POD_RECYCLING)
        return because(SA_POOL_STEP_DELETE, o->refused);
    return just(SA_POOL_STEP_CLEAN);
}

static plan in_use(const observed *o)
{
    switch (o->tenant) {
    case SA_POOL_TENANT_ENDED:
    case SA_POOL_TENANT_GONE:
        return after_use(o);
    case SA_POOL_TENANT_LIVES:
        if (o->phase == SA_WARM_POD_READY || o->phase == SA_WARM_POD_PENDING)
            return tell(o, SA_POOL_STEP_ASSIGN, o->claim_ms);
        return just(SA_POOL_STEP_NONE);
    case SA_POOL_TENANT_UNSEEN:
        break;
    }
    int64_t due = o->claim_ms + SA_POOL_CLAIM_MS;
    if (o->uid_known || o->now_ms >= due)
        return just(SA_POOL_STEP_LOOK);
    return (plan){.step = SA_POOL_STEP_NONE, .again_ms = due};
}

static plan being_made(const observed *o)
{
    switch (o->box) {
    case SA_POOL_BOX_NONE:
        return o->had_box ? because(SA_POOL_STEP_FAIL, "PodLost") : just(SA_POOL_STEP_MAKE);
    case SA_POOL_BOX_ENDING:
        return because(SA_POOL_STEP_FAIL, "PodLost");
    case SA_POOL_BOX_FAILED:
        return just(SA_POOL_STEP_FAIL);
    case SA_POOL_BOX_ORDERED:
        return just(SA_POOL_STEP_NONE);
    case SA_POOL_BOX_STARTING:
        return o->quiet ? because(SA_POOL_STEP_FAIL, "StartTimeout") : just(SA_POOL_STEP_NONE);
    case SA_POOL_BOX_READY:
        break;
    }
    switch (o->work) {
    case SA_POOL_WORK_NONE:
        return just(SA_POOL_STEP_PREPARE);
    case SA_POOL_WORK_PREPARED:
        return just(SA_POOL_STEP_READY);
    case SA_POOL_WORK_FAILED:
        return just(SA_POOL_STEP_FAIL);
    default:
        return just(SA_POOL_STEP_NONE);
    }
}

static plan waiting_for_claims(const observed *o)
{
    switch (o->box) {
    case SA_POOL_BOX_READY:
    case SA_POOL_BOX_ORDERED:
        return just(SA_POOL_STEP_NONE);
    case SA_POOL_BOX_STARTING: /* it was ready: the node has lost sight of it */
        return o->quiet ? because(SA_POOL_STEP_FAIL, "NotReady") : just(SA_POOL_STEP_NONE);
    case SA_POOL_BOX_FAILED:
        return just(SA_POOL_STEP_FAIL);
    default:
        return because(SA_POOL_STEP_FAIL, "PodLost");
    }
}

plan sa_pool_pod_plan(const observed *o)
{
    if (o->deleting)
        return on_the_way_out(o);
    if (o->claimed)
        return in_use(o);
    switch (o->phase) {
    case SA_WARM_POD_PENDING:
        return being_made(o);
    case SA_WARM_POD_READY:
        return waiting_for_claims(o);
    case SA_WARM_POD_TERMINATING:
        return just(SA_POOL_STEP_NONE);
    default: /* somebody took the claim away, and nobody has cleaned up */
        return because(SA_POOL_STEP_DELETE, "ClaimLost");
    }
}
