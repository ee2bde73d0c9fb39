#include "policy/denial.h"

struct sa_denial sa_denial_with(const struct sa_policy_verdict *verdict,
                                const struct sa_error *error)
{
    struct sa_denial denial = {.error = *error,
                               .reason = verdict->reason,
                               .rule = verdict->rule,
                               .decision = verdict->meta.id[0] ? verdict->meta.id : NULL};
    denial.error.path[0] = '\0'; /* the rule's: clients get it as such */
    return denial;
}

struct sa_denial sa_denial_of(const struct sa_policy_verdict *verdict)
{
    struct sa_error error = {0};
    sa_policy_error(verdict, &error);
    return sa_denial_with(verdict, &error);
}
