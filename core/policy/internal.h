/*
 * What the files of this folder share about asking.
 *
 *   policy.c    start, stop, where the shipped rules are
 *   ask.c       a question: encoded, asked, answered or defaulted, told once
 *   points_ask.c  the typed functions, which choose what is asked and what comes back
 *   answer.c    what a worker said, checked; errors made of it
 */
#ifndef SA_POLICY_INTERNAL_H
#define SA_POLICY_INTERNAL_H

#include "lua/wire.h"
#include "policy/policy.h"
#include "policy/tables.h"

enum { RULE_BYTES = 128, REASON_BYTES = 400 };

/* ---- answers ---- */

union policy_result {
    struct sa_policy_context context;
    struct sa_policy_filter filter;
    struct sa_policy_run run;
    struct sa_policy_grant grant;
    struct sa_policy_end end;
    struct sa_scaling_returns scaling;
    struct sa_anomaly_returns anomaly;
    struct sa_value object;
};
struct policy_answer {
    const char *verdict; /* static */
    bool allowed;
    bool changed; /* `result` is there; always where a point returns something */
    char rule[RULE_BYTES], reason[REASON_BYTES];
    union policy_result result;
};
/* Check what a worker said, whole. -1: it is not what the point says, or nobody said anything
 * where somebody must. Strings go to the arena. */
int policy_answer_take(enum sa_point point, const struct sa_value *value, struct sa_arena *arena,
                       struct policy_answer *answer, struct sa_error *err);
/* The verdict that applies by default. */
const char *policy_default_verdict(enum sa_point point);
bool policy_verdict_allows(const char *verdict);

/* ---- questions ---- */

union policy_done {
    sa_policy_cb plain;
    sa_policy_profile_cb profile;
    sa_policy_seccomp_cb seccomp;
    sa_policy_admission_cb admission;
    sa_policy_run_cb run;
    sa_policy_grant_cb grant;
    sa_policy_scaling_cb scaling;
    sa_policy_anomaly_cb anomaly;
    sa_policy_end_cb end;
    sa_engine_cb explain;
};
union policy_input {
    struct sa_policy_who who; /* the beginning of each */
    struct sa_policy_profile_input profile;
    struct sa_policy_seccomp_input seccomp;
    struct sa_policy_admission_input admission;
    struct sa_policy_execute_input execute;
    struct sa_policy_files_input files;
    struct sa_policy_egress_input egress;
    struct sa_policy_packages_input packages;
    struct sa_policy_recycle_input recycle;
    struct sa_policy_scaling_input scaling;
    struct sa_policy_anomaly_input anomaly;
    struct sa_policy_lifecycle_input lifecycle;
};
struct sa_policy_call {
    struct sa_policy_call *prev, *next; /* of the policy's calls or failed */
    struct sa_policy *policy;
    enum sa_point point;
    bool explain;
    struct sa_engine_call *asked; /* NULL: it could not be; `error` says why */
    struct sa_error error;
    union policy_done done;
    void *user;
    union { /* what came, for when no rule changes it */
        struct sa_policy_run run;
        struct sa_policy_grant grant;
        struct sa_policy_end end;
        struct sa_policy_pool pool; /* no strings */
        char *object;
    } came;
};

/* Ask about an input, which is copied. `now` is filled in. */
struct sa_policy_call *policy_ask(struct sa_policy *policy, enum sa_point point,
                                  const union policy_input *input, union policy_done done,
                                  void *user);
/* With the trace, and the engine's own answer. */
struct sa_policy_call *policy_ask_explain(struct sa_policy *policy, enum sa_point point,
                                          const union policy_input *input, sa_engine_cb done,
                                          void *user);
/* Tell who asked; `answer` NULL: the default applies (verdict->defaulted). */
void policy_deliver(struct sa_policy_call *call, struct sa_policy_verdict *verdict,
                    const struct policy_answer *answer);

struct sa_policy {
    struct sa_policy_options options;
    void (*ready)(void *owner, const struct sa_error *err);
    struct sa_engine *engine;
    struct sa_engine_listener listener;
    struct sa_buf points;
    uv_timer_t later; /* tells those whose question could not be asked */
    struct sa_policy_call *calls, *failed;
};
void policy_on_later(uv_timer_t *timer);
void policy_calls_drop(struct sa_policy *policy);

#endif
