/*
 * Policies over a folder of made rules, for tests: one rule for each decision point, which does
 * what the tenant of the question says:
 *
 *     (none)   the point's first verdict      deny    its denial
 *     change   a good change, or figures      wrong   one of the wrong type
 *     verdict  {verdict = true}               text    a string
 *     unknown  a member that there is not     error   raises one
 *     loop     for ever                       memory  without end
 */
#ifndef SA_TEST_POLICY_ASKING_H
#define SA_TEST_POLICY_ASKING_H

#include "policy/policy.h"

struct asking {
    uv_loop_t *loop;
    struct sa_policy *policy;
    char folder[96], worker[128]; /* of the rules; a copy of the program */
    struct sa_policy_options options;
    bool ready, answered;
    struct sa_error ready_error;
    unsigned denials; /* that were told */
    char denied[64];  /* decision id of the last one */
    /* The answer. */
    bool allowed, defaulted;
    char verdict[32], rule[128], reason[512], result[256], id[32];
};

int asking_setup(void **state);
int asking_teardown(void **state); /* asserts that nothing is left */
/* With the rules, or with none at all. */
void asking_start(struct asking *a, bool rules);
void asking_stop(struct asking *a);

/* Ask the point as that tenant, without waiting. */
struct sa_policy_call *asking_ask(struct asking *a, enum sa_point point, const char *tenant);
/* And wait. */
void asking_wait(struct asking *a, enum sa_point point, const char *tenant);
pid_t asking_worker(struct asking *a);

/* "allow allowed timeoutMs=5": verdict, whether it is allowed and defaulted, result. */
void asking_expect(const struct asking *a, const char *expected);

#endif
