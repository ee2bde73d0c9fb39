/* A question: encoded, asked, and answered or defaulted, once, from the loop. */
#include "policy/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdlib.h>
#include <utlist.h>

/* ---- answers ---- */

static void free_call(struct sa_policy_call *call)
{
    if (call->point == SA_POINT_ADMISSION)
        free(call->came.object);
    free(call);
}

static void apply_default(struct sa_policy_call *call, const struct sa_error *why,
                          const struct sa_verdict_meta *meta)
{
    struct sa_policy_verdict verdict = {.defaulted = true,
                                        .verdict = policy_default_verdict(call->point),
                                        .rule = "default",
                                        .reason = why->message};
    verdict.allowed = policy_verdict_allows(verdict.verdict);
    if (meta)
        verdict.meta = *meta;
    policy_deliver(call, &verdict, NULL);
}

static void apply(struct sa_policy_call *call, const struct sa_value *value,
                  const struct sa_verdict_meta *meta)
{
    struct sa_arena *arena = sa_arena_new();
    struct policy_answer answer;
    struct sa_error err = {0};
    if (policy_answer_take(call->point, value, arena, &answer, &err) < 0) {
        apply_default(call, &err, meta);
    } else {
        struct sa_policy_verdict verdict = {.allowed = answer.allowed,
                                            .verdict = answer.verdict,
                                            .rule = answer.rule,
                                            .reason = answer.reason};
        if (meta)
            verdict.meta = *meta;
        policy_deliver(call, &verdict, &answer);
    }
    sa_arena_free(arena);
}

static void answered(void *user, const struct sa_error *err, const struct sa_value *verdict,
                     const struct sa_verdict_meta *meta)
{
    struct sa_policy_call *call = user;
    DL_DELETE(call->policy->calls, call);
    if (call->explain)
        call->done.explain(call->user, err, verdict, meta);
    else if (verdict)
        apply(call, verdict, meta);
    else
        apply_default(call, err, meta);
    free_call(call);
}

/* ---- what could not be asked ---- */

void policy_on_later(uv_timer_t *timer)
{
    struct sa_policy *policy = sa_container_of(timer, struct sa_policy, later);
    struct sa_policy_call *call = policy->failed;
    if (!call)
        return;
    /* One at a time: what is called may stop the policy, or ask again. */
    DL_DELETE(policy->failed, call);
    if (policy->failed)
        uv_timer_start(timer, policy_on_later, 0, 0);
    const struct sa_verdict_meta none = {0};
    if (call->explain)
        call->done.explain(call->user, &call->error, NULL, &none);
    else
        apply_default(call, &call->error, &none);
    free_call(call);
}

static void tell_later(struct sa_policy_call *call)
{
    DL_APPEND(call->policy->failed, call);
    uv_timer_start(&call->policy->later, policy_on_later, 0, 0);
}

/* ---- questions ---- */

static int encode(enum sa_point point, const union policy_input *input, struct sa_buf *out,
                  struct sa_error *err)
{
    union policy_input timed = *input;
    if (timed.who.now <= 0)
        timed.who.now = (double)sa_wall_ms() / 1000;
    if (sa_policy_encode(sa_policy_points[point].input, &timed, out, err) < 0)
        return -1;
    if (out->length > SA_VALUE_MAX)
        return sa_error_set(err, SA_ETOOLARGE, "%zu bytes to ask about, at most %d fit a question",
                            out->length, SA_VALUE_MAX);
    return 0;
}

static void ask(struct sa_policy_call *call, const union policy_input *input, unsigned flags)
{
    struct sa_policy *policy = call->policy;
    sa_autobuf buf = SA_BUF_INIT;
    if (encode(call->point, input, &buf, &call->error) < 0) {
        tell_later(call);
        return;
    }
    DL_APPEND(policy->calls, call);
    call->asked = sa_engine_ask(policy->engine, call->point, flags, &buf, answered, call);
}

static struct sa_policy_call *new_call(struct sa_policy *policy, enum sa_point point, void *user)
{
    struct sa_policy_call *call = sa_alloc(sizeof *call);
    call->policy = policy;
    call->point = point;
    call->user = user;
    return call;
}

struct sa_policy_call *policy_ask(struct sa_policy *policy, enum sa_point point,
                                  const union policy_input *input, union policy_done done,
                                  void *user)
{
    struct sa_policy_call *call = new_call(policy, point, user);
    call->done = done;
    ask(call, input, 0);
    return call;
}

struct sa_policy_call *policy_ask_explain(struct sa_policy *policy, enum sa_point point,
                                          const union policy_input *input, sa_engine_cb done,
                                          void *user)
{
    struct sa_policy_call *call = new_call(policy, point, user);
    call->explain = true;
    call->done.explain = done;
    ask(call, input, SA_WIRE_TRACE);
    return call;
}

void sa_policy_forget(struct sa_policy_call *call)
{
    if (!call)
        return;
    if (call->asked) {
        sa_engine_forget(call->asked);
        DL_DELETE(call->policy->calls, call);
    } else {
        DL_DELETE(call->policy->failed, call);
    }
    free_call(call);
}

static void drop(struct sa_policy_call *list)
{
    struct sa_policy_call *call, *next;
    DL_FOREACH_SAFE (list, call, next) {
        if (call->asked)
            sa_engine_forget(call->asked);
        free_call(call);
    }
}

void policy_calls_drop(struct sa_policy *policy)
{
    drop(policy->calls);
    drop(policy->failed);
    policy->calls = policy->failed = NULL;
}
