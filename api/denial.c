#include "api/denial.h"

void sa_respond_denial(struct sa_http_request *request, const struct sa_denial *denial)
{
    const struct sa_http_why why = {
        .reason = denial->reason, .rule = denial->rule, .decision = denial->decision};
    /* By a rule, or for want of one. */
    sa_http_respond_error_full(request, 0, &denial->error, denial->rule ? &why : NULL);
}

void sa_denial_print(const struct sa_denial *denial, struct sa_json_w *w)
{
    sa_json_put_array(w, "details");
    sa_json_w_begin_object(w);
    if (denial->reason)
        sa_json_put_string(w, "reason", denial->reason);
    if (denial->rule)
        sa_json_put_string(w, "rule", denial->rule);
    if (denial->decision)
        sa_json_put_string(w, "decision", denial->decision);
    sa_json_w_end_object(w);
    sa_json_w_end_array(w);
}
