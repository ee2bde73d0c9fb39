/* Denials, from a verdict to what a client reads. */
#include "api/denial.h"

struct sa_denial sa_denial_with(const struct sa_policy_verdict *verdict,
                                const struct sa_error *error)
{
    struct sa_denial denial = {
        .error = *error,
        .why = {verdict->reason, verdict->rule, verdict->meta.id[0] ? verdict->meta.id : NULL}};
    denial.error.path[0] = '\0'; /* the rule's: clients get it as such */
    return denial;
}

struct sa_denial sa_denial_of(const struct sa_policy_verdict *verdict)
{
    struct sa_error error = {0};
    sa_policy_error(verdict, &error);
    return sa_denial_with(verdict, &error);
}

void sa_respond_denial(struct sa_http_request *request, const struct sa_denial *denial)
{
    bool told = denial->why.rule != NULL; /* by a rule, or for want of one */
    sa_http_respond_error_full(request, 0, &denial->error, told ? &denial->why : NULL);
}

void sa_denial_print(const struct sa_denial *denial, struct sa_json_w *w)
{
    sa_json_put_array(w, "details");
    sa_json_w_begin_object(w);
    if (denial->why.reason)
        sa_json_put_string(w, "reason", denial->why.reason);
    if (denial->why.rule)
        sa_json_put_string(w, "rule", denial->why.rule);
    if (denial->why.decision)
        sa_json_put_string(w, "decision", denial->why.decision);
    sa_json_w_end_object(w);
    sa_json_w_end_array(w);
}
