/* What the files of gate*.c share. */
#ifndef SA_API_GATE_PRIVATE_H
#define SA_API_GATE_PRIVATE_H

#include "api/gate.h"
#include "policy/policy.h"

struct gate_packages;

struct sa_gate {
    sa_gate_cb done;
    void *user;
    struct sa_policy_call *calls[SA_PACKAGES_MAX]; /* NULL: answered */
    size_t call_count, left;
    /* what an answer changes */
    struct sa_policy_run run; /* as it was asked for */
    struct sa_execute *execute;
    struct sa_context_spec *context;
    struct gate_packages *packages;
    struct sa_gate_admission admission;
};

struct sa_gate *gate_new(void);
/* One of its calls was answered; over when it was denied, or the last. */
void gate_answered(struct sa_gate *gate, const struct sa_policy_verdict *verdict);
/* It was allowed, but what the rules made of it cannot be. */
void gate_fail(struct sa_gate *gate, const struct sa_policy_verdict *verdict,
               const struct sa_error *error);

/* gate_input.c */
void gate_fill_env(const struct sa_json_map *env, struct sa_arena *arena,
                   struct sa_json_strings *names);
struct sa_policy_who gate_who(const struct sa_gate_who *who);
struct sa_policy_sandbox gate_sandbox(const struct sa_sandbox *sandbox);
/* Texts of the arena or the caller's. */
void gate_fill_execute(const struct sa_gate_who *who, const struct sa_execute *execute,
                       struct sa_arena *arena, struct sa_policy_execute_input *input);
struct sa_policy_run gate_run_of(const struct sa_execute_limits *limits, int64_t timeout_ms);
/* Put what differs from `before` into the limits. */
void gate_apply_limits(const struct sa_policy_run *before, const struct sa_policy_run *after,
                       struct sa_execute_limits *limits);

#endif
