/* Asking a scaling rule before there is a pool, to know whether there could be one. */
#include "policy/internal.h"

#include <string.h>

struct sa_policy_call *sa_policy_try_scaling(struct sa_policy *policy,
                                             const struct sa_policy_scaling_input *input,
                                             sa_engine_cb done, void *user)
{
    const union policy_input asked = {.scaling = *input};
    return policy_ask_explain(policy, SA_POINT_SCALING, &asked, done, user);
}

/* The parameter's name, from "params.name: what is wrong". */
static int refuse_params(const char *message, struct sa_error *why)
{
    char path[sizeof why->path];
    size_t n = strcspn(message, ": ");
    if (n >= sizeof path)
        n = sizeof path - 1;
    memcpy(path, message, n);
    path[n] = '\0';
    return sa_error_at(why, SA_EINVALID, path, "%s", message);
}

int sa_policy_scaling_refusal(const struct sa_error *err, const struct sa_value *verdict,
                              struct sa_error *why)
{
    static const char no_rule[] = "there is no rule", params[] = "params";
    if (verdict) {
        const struct sa_value ran = sa_value_get(verdict, "ran");
        struct sa_value_reader reader = sa_value_enter(&ran);
        struct sa_value first;
        if (sa_value_next(&reader, &first))
            return 0;
        return sa_error_at(why, SA_EINVALID, "rule", "rule: there are no scaling rules");
    }
    if (strncmp(err->message, no_rule, sizeof no_rule - 1) == 0)
        return sa_error_at(why, SA_EINVALID, "rule", "rule: %s", err->message);
    if (strncmp(err->message, params, sizeof params - 1) == 0)
        return refuse_params(err->message, why);
    return 0;
}
