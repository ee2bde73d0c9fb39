/*
 * Asking the rules: one function for each decision point over the engine (lua/engine.h). Each
 * returns at once and calls `done` from the loop, exactly once, unless the call is forgotten.
 *
 * What applies when no rule can be asked (the worker is dead, slow, or a rule raised an error or
 * returned what it must not): profile, seccomp, admission, execute, files, packages, egress:
 * denied; recycle: replace; scaling: hold the size; anomaly: alert; lifecycle: what the sandbox's
 * own lifecycle says. `defaulted` is set then, rule is "default", and the reason says why.
 * A point without any rule: allowed as it came (profile and seccomp: denied, as nothing completes
 * them; recycle: replace; egress: denied; scaling: a rule of that name is needed, hold).
 */
#ifndef SA_POLICY_POLICY_H
#define SA_POLICY_POLICY_H

#include "lua/engine.h"
#include "policy/points.h"

struct sa_policy;
struct sa_policy_call;

struct sa_policy_options {
    uv_loop_t *loop;
    struct sa_metrics *metrics;
    const char *program;     /* policy-worker; NULL: beside this program */
    const char *shipped;     /* folder with policies/ and scaling/; NULL: as sa_policy_shipped() */
    const char *const *dirs; /* the operator's */
    size_t dir_count;
    const char *state_path;
    bool watch;
    struct sa_worker_limits limits;                           /* zero: the defaults */
    void (*changed)(void *owner, const struct sa_error *err); /* as the engine's */
    /* Each denial, whoever asked; for events. */
    void (*denied)(void *owner, const struct sa_decision *decision);
    void *owner;
};
struct sa_policy *sa_policy_start(const struct sa_policy_options *options,
                                  void (*ready)(void *owner, const struct sa_error *err),
                                  struct sa_error *err);
void sa_policy_stop(struct sa_policy *policy);
struct sa_engine *sa_policy_engine(struct sa_policy *policy);
/* The folder of the shipped rules: beside the program (../share/secureagent/lua), or the source
 * tree's when built there; NULL when it is nowhere. `path` has room for `size` bytes. */
const char *sa_policy_shipped(char *path, size_t size);

struct sa_policy_verdict {
    bool allowed;                        /* neither denied nor (recycle) to be replaced: go on */
    bool defaulted;                      /* no rule could decide: see above */
    const char *verdict, *rule, *reason; /* rule: "deny-miners/miner"; "" where there is none */
    struct sa_verdict_meta meta;
};
/* The error that a client gets: SA_EPOLICY with rule and reason ("deny-miners/miner: mining is not
 * allowed here (decision dec-...)"), or SA_EUNAVAILABLE where it was denied because no rule could
 * be asked. Its path is the rule's. */
int sa_policy_error(const struct sa_policy_verdict *verdict, struct sa_error *err);

/* Who asks several questions for one thing takes their answers only when one generation gave them
 * all (meta.generation). Else all are asked anew, which is to be so for once in so many tries; */
enum { SA_POLICY_TRIES = 4 };
/* then this is the error: SA_EUNAVAILABLE. */
int sa_policy_error_changing(struct sa_error *err);

/* `result` NULL: denied. It and the verdict are valid during the call. */
#define SA_POLICY_CB(NAME, TYPE)                                                                   \
    typedef void (*NAME)(void *user, const struct sa_policy_verdict *verdict, const TYPE *result)
typedef void (*sa_policy_cb)(void *user, const struct sa_policy_verdict *verdict);
SA_POLICY_CB(sa_policy_profile_cb, struct sa_policy_context);
SA_POLICY_CB(sa_policy_seccomp_cb, struct sa_policy_filter);
SA_POLICY_CB(sa_policy_run_cb, struct sa_policy_run);
SA_POLICY_CB(sa_policy_grant_cb, struct sa_policy_grant);
SA_POLICY_CB(sa_policy_scaling_cb, struct sa_policy_scaling_output);
SA_POLICY_CB(sa_policy_anomaly_cb, struct sa_policy_anomaly_output);
SA_POLICY_CB(sa_policy_end_cb, struct sa_policy_end);
/* JSON text of the object after all changes; the object that was asked about when none. */
typedef void (*sa_policy_admission_cb)(void *user, const struct sa_policy_verdict *verdict,
                                       const char *object, size_t length);

struct sa_policy_call *sa_policy_profile(struct sa_policy *policy,
                                         const struct sa_policy_profile_input *input,
                                         sa_policy_profile_cb done, void *user);
struct sa_policy_call *sa_policy_seccomp(struct sa_policy *policy,
                                         const struct sa_policy_seccomp_input *input,
                                         sa_policy_seccomp_cb done, void *user);
struct sa_policy_call *sa_policy_admission(struct sa_policy *policy,
                                           const struct sa_policy_admission_input *input,
                                           sa_policy_admission_cb done, void *user);
struct sa_policy_call *sa_policy_execute(struct sa_policy *policy,
                                         const struct sa_policy_execute_input *input,
                                         sa_policy_run_cb done, void *user);
struct sa_policy_call *sa_policy_files(struct sa_policy *policy,
                                       const struct sa_policy_files_input *input, sa_policy_cb done,
                                       void *user);
struct sa_policy_call *sa_policy_packages(struct sa_policy *policy,
                                          const struct sa_policy_packages_input *input,
                                          sa_policy_cb done, void *user);
struct sa_policy_call *sa_policy_egress(struct sa_policy *policy,
                                        const struct sa_policy_egress_input *input,
                                        sa_policy_grant_cb done, void *user);
/* verdict->allowed: reuse it. */
struct sa_policy_call *sa_policy_recycle(struct sa_policy *policy,
                                         const struct sa_policy_recycle_input *input,
                                         sa_policy_cb done, void *user);
/* `result` is always there, its size between the pool's min and max unless it is held. */
struct sa_policy_call *sa_policy_scaling(struct sa_policy *policy,
                                         const struct sa_policy_scaling_input *input,
                                         sa_policy_scaling_cb done, void *user);
/* Asks a scaling rule without deciding anything, as explain does: could a pool name this rule with
 * these parameters? */
struct sa_policy_call *sa_policy_try_scaling(struct sa_policy *policy,
                                             const struct sa_policy_scaling_input *input,
                                             sa_engine_cb done, void *user);
/* What `done` was told: -1 with SA_EINVALID when there is no such rule (path "rule") or it does not
 * take the parameters ("params", "params.spare"); 0 when it does, and when nobody can tell. */
int sa_policy_scaling_refusal(const struct sa_error *err, const struct sa_value *verdict,
                              struct sa_error *why);
struct sa_policy_call *sa_policy_anomaly(struct sa_policy *policy,
                                         const struct sa_policy_anomaly_input *input,
                                         sa_policy_anomaly_cb done, void *user);
struct sa_policy_call *sa_policy_lifecycle(struct sa_policy *policy,
                                           const struct sa_policy_lifecycle_input *input,
                                           sa_policy_end_cb done, void *user);

/* Nobody wants the answer any more: `done` is not called. NULL is allowed; a call that was answered
 * is gone. */
void sa_policy_forget(struct sa_policy_call *call);

/* Ask any point about an input given as JSON, with the trace: for `explain`. SA_EINVALID: the
 * input is not what the point takes (the path says where). */
struct sa_policy_call *sa_policy_explain(struct sa_policy *policy, enum sa_point point,
                                         const char *json, size_t length, sa_engine_cb done,
                                         void *user, struct sa_error *err);

#endif
