/*
 * A control plane without HTTP: object store on disk, caches, claims, agent, controllers and rules,
 * as agent-api has them. Several claimers, each with caches of its own, stand for several API
 * processes; what their caches, the agent and the controllers watch is hard on them
 * (unit/objects/faulty.h) when there is a seed.
 *
 * One loop thread.
 */
#ifndef CHAOS_PLANE_H
#define CHAOS_PLANE_H

#include "agent/agent.h"
#include "claim/claim.h"
#include "controller/controllers.h"
#include "policy/policy.h"

#include "../unit/objects/faulty.h"

#include <uthash.h>

enum { PLANE_CLAIMERS = 3, PLANE_NAME_BYTES = 64 };

struct plane_options {
    const char *data_dir, *node_socket;
    unsigned seed; /* of what watches do; 0: they behave */
    unsigned claimers;
    int64_t lease_ms;
};
struct plane_claimer {
    struct faulty faulty;
    struct sa_caches caches;
    struct sa_metrics *metrics;
    struct sa_claims *claims;
};
struct plane {
    uv_loop_t *loop;
    char instance[SA_ID_BYTES]; /* of SA_SANDBOX_PERSONAL */
    struct sa_objects *store;
    struct sa_metrics *metrics;
    struct plane_claimer claimers[PLANE_CLAIMERS]; /* the caches of the first are everybody's */
    unsigned claimer_count, next_claimer;
    bool claims_only; /* a claim is told at once, nothing is set up or run */
    struct sa_policy *policy;
    struct sa_node_client *node;
    struct sa_security *security;
    struct sa_agent *agent;
    struct sa_controllers *controllers;
    void (*started)(struct plane *plane);
    struct plane_session *sessions;
    struct plane_gone *gone; /* who waits for the end of what */
    struct sa_informer_handler on_sandbox;
};

/* Fails the program when it cannot be. `started`: rules are in force; from the loop. */
void plane_start(struct plane *plane, uv_loop_t *loop, const struct plane_options *options,
                 void (*started)(struct plane *plane));
/* All of it, in order; runs the loop. */
void plane_stop(struct plane *plane);
bool plane_ready(const struct plane *plane); /* it leads, its caches are in, the node answers */
_Noreturn void plane_die(const char *what, const struct sa_error *err);

/* ---- session.c: from a claim to a first result, as an API does it ---- */

struct plane_result {
    const struct sa_error *err; /* NULL: a program in it has said whose it is: ours */
    const char *pod;
    bool warm;
};
typedef void (*plane_claim_cb)(void *user, const struct plane_result *result);
void plane_claim(struct plane *plane, const char *name, const char *tenant, enum sa_warm warm,
                 int64_t memory_mib, plane_claim_cb done, void *user);
typedef void (*plane_done_cb)(void *user, const struct sa_error *err);
/* Answered when the object is gone. Nobody else may wait for it. */
void plane_delete(struct plane *plane, const char *name, plane_done_cb done, void *user);
/* Whose the sandbox's pod says it is: "" nobody's; NULL: it cannot be asked. */
typedef void (*plane_owner_cb)(void *user, const char *owner);
void plane_owner(struct plane *plane, const char *name, plane_owner_cb done, void *user);
void plane_sessions_start(struct plane *plane);
void plane_sessions_stop(struct plane *plane);

#endif
