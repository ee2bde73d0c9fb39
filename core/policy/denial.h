/* Why something is not done: an error and, where a rule said so, which one and the decision. */
#ifndef SA_POLICY_DENIAL_H
#define SA_POLICY_DENIAL_H

#include "policy/policy.h"

struct sa_denial {
    struct sa_error error; /* SA_EPOLICY; SA_EUNAVAILABLE: the rules could not be asked; others */
    /* Of a verdict; valid during the call that gives it. NULL: none. */
    const char *reason, *rule, *decision;
};

/* Of a verdict that does not allow. */
struct sa_denial sa_denial_of(const struct sa_policy_verdict *verdict);
/* The same with another error: it was allowed, but what the rules made of it cannot be. */
struct sa_denial sa_denial_with(const struct sa_policy_verdict *verdict,
                                const struct sa_error *error);

#endif
