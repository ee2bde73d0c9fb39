/* Why something is not done: an error and, where a rule said so, which one and the decision. */
#ifndef SA_API_DENIAL_H
#define SA_API_DENIAL_H

#include "http/http.h"
#include "policy/policy.h"

struct sa_denial {
    struct sa_error error;  /* SA_EPOLICY; SA_EUNAVAILABLE: the rules could not be asked; others */
    struct sa_http_why why; /* of a verdict; strings are valid during the call that gives it */
};

/* Of a verdict that does not allow. */
struct sa_denial sa_denial_of(const struct sa_policy_verdict *verdict);
/* The same with another error: it was allowed, but what the rules made of it cannot be. */
struct sa_denial sa_denial_with(const struct sa_policy_verdict *verdict,
                                const struct sa_error *error);
void sa_respond_denial(struct sa_http_request *request, const struct sa_denial *denial);
/* The member "details" of an error that is told otherwise than over HTTP. */
void sa_denial_print(const struct sa_denial *denial, struct sa_json_w *w);

#endif
