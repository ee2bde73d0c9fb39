/*
 * The security context of a sandbox that is about to be made: what the policies `profile` and
 * `seccomp` decide, as a profile that the node knows (nodelink/profile.h). Answers are kept for as
 * long as they would be the same (generation of the rules, who asks for what, the minute: rules see
 * `now` in whole minutes), so that a create normally asks nobody. Whatever fails is a refusal.
 *
 * `base`, the filter of everything, is the union of what the languages may.
 *
 * One loop thread.
 */
#ifndef SA_SECURITY_H
#define SA_SECURITY_H

#include "nodelink/client.h"
#include "nodelink/profile.h"
#include "policy/denial.h"
#include "json/json.h"

struct sa_policy;
struct sa_security;
struct sa_security_call;

struct sa_security_ask { /* texts for the time of the call; NULL: none */
    const char *level, *runtime;
    const char *profile;   /* name of a SandboxProfile */
    const char *overrides; /* JSON: the security context that was asked for */
    const char *namespace_, *tenant, *pool, *user, *role;
};

struct sa_security_answer {
    char profile[SA_PROFILE_ID_BYTES]; /* digest of the context: its id at the node */
    uint64_t generation;               /* of the rules that decided */
    struct sa_json_strings
        required; /* controls; valid during the call, or until the loop goes on */
};

/* Neither is taken; both live longer. */
struct sa_security *sa_security_new(uv_loop_t *loop, struct sa_policy *policy,
                                    struct sa_node_client *node);
/* Calls under way are forgotten. NULL is allowed. */
void sa_security_free(struct sa_security *security);

/* The answer if it is known; NULL: ask. */
const struct sa_security_answer *sa_security_known(struct sa_security *security,
                                                   const struct sa_security_ask *ask);

/* Ask ahead for what most sandboxes will have, so that the node knows it before the first of them.
 */
void sa_security_warm(struct sa_security *security);

/* `err` NULL: `answer` is in force at the node. Else SA_EPOLICY, SA_EUNAVAILABLE (rules or node
 * cannot be asked), SA_ECONTROL (what was decided cannot be had: the path is "securityLevel" or the
 * control). Once, from the loop, unless forgotten. */
typedef void (*sa_security_cb)(void *user, const struct sa_denial *denial,
                               const struct sa_security_answer *answer);
struct sa_security_call *sa_security_ask(struct sa_security *security,
                                         const struct sa_security_ask *ask, sa_security_cb done,
                                         void *user);
/* The node has forgotten the profile: send it again. `done` as above. NULL: it is not known here
 * any more, either. */
struct sa_security_call *sa_security_again(struct sa_security *security, const char *profile,
                                           sa_security_cb done, void *user);
void sa_security_forget(struct sa_security_call *call); /* NULL is allowed */

#endif
