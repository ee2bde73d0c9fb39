/* Asking the rules for a whole security context: one question to `profile`, one to `seccomp` for
 * each language, all answered by one generation. */
#ifndef SA_SECURITY_RULES_H
#define SA_SECURITY_RULES_H

#include "policy/points.h"
#include "security/security.h"

enum { SA_LANGUAGE_COUNT = 5 };
extern const char *const sa_languages[SA_LANGUAGE_COUNT]; /* as filters are called */

/* Strings are valid during the call of `done`. */
struct sa_rules_answer {
    uint64_t generation;
    struct sa_policy_context context;
    struct sa_policy_filter filters[SA_LANGUAGE_COUNT];
};
typedef void (*sa_rules_cb)(void *user, const struct sa_denial *denial,
                            const struct sa_rules_answer *answer);

struct sa_rules_call;
/* `minute`: since 1970. Never NULL; `done` comes from the loop, once, unless forgotten. */
struct sa_rules_call *sa_rules_ask(struct sa_policy *policy, const struct sa_security_ask *ask,
                                   int64_t minute, sa_rules_cb done, void *user);
void sa_rules_forget(struct sa_rules_call *call);
/* Of the rules in force. */
uint64_t sa_rules_generation(struct sa_policy *policy);

#endif
