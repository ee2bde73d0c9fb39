/* How tests of rules went, for people and for machines. */
#ifndef SA_CLI_POLICY_REPORT_H
#define SA_CLI_POLICY_REPORT_H

#include "policy.h"

struct sa_policy_results {
    const struct sa_bundle *bundle;
    char *const *dirs; /* the operator's folders; none: the shipped rules are what it is about */
    size_t dir_count;
    struct sa_value tested; /* TEST's answer (lua/wire.h); no map: no test was run */
};

/* Prints to standard output. Without results, what machines read says that there are none. */
typedef void sa_policy_reporter(const struct sa_policy_results *results);
sa_policy_reporter sa_policy_report_text, sa_policy_report_tap, sa_policy_report_junit;

size_t sa_policy_failures(const struct sa_policy_results *results);

#endif
