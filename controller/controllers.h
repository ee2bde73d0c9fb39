/*
 * The controllers of a process: sandbox, pool and runtime_env, each observe.c (what the caches and
 * the agent say), plan.c (pure: what is to be done) and apply.c (doing it). They act while the
 * election is won, and only then: of several on one store one leads. Each is started when this
 * process leads and its caches are in, and stopped at once when it does not lead any more; between
 * these it asks sa_controllers_may_act() before every write, which is false as soon as time is
 * over, also where the loop was held up.
 *
 * They use the object store, the caches, the policies and, for what only a runtime can do (preload,
 * reset), the agent. They never see who asked over the API. One loop thread.
 */
#ifndef SA_CONTROLLER_CONTROLLERS_H
#define SA_CONTROLLER_CONTROLLERS_H

#include "agent/agent.h"
#include "claim/caches.h"
#include "metrics/metrics.h"
#include "objects/lease.h"
#include "objects/workqueue.h"
#include "policy/policy.h"
#include "security/security.h"

struct sa_controllers;
struct sa_controllers_options {
    uv_loop_t *loop;
    struct sa_objects *objects;
    const struct sa_caches *caches;
    struct sa_agent *agent;
    struct sa_policy *policy;
    struct sa_security *security;
    struct sa_metrics *metrics;
    /* In the election: unique among those who share the store. Whoever has the store for itself
     * (embedded) takes the same one at each start, and leads at once. */
    const char *identity;
    const char *namespace_; /* of the lease; NULL: "default" */
    /* For tests with a simulated node and no rules: NULL means ask. */
    const char *profile_digest; /* of every pod */
    int64_t lease_ms;           /* duration of the lease; 0: that of objects/lease.h */
    /* What SA_SANDBOX_PERSONAL calls this process, anew at each start; NULL: nobody here delivers
     * environments. */
    const char *process;
    /* Of sa_controllers_start(); NULL (a controller that a test starts by itself): it may act; no
     * metrics of queues. */
    const struct sa_election *election;
    const struct sa_workqueue_metrics *queues;
    int64_t started_ms; /* wall clock */
};
struct sa_controllers *sa_controllers_start(const struct sa_controllers_options *options);
/* Stop acting, give up the lease; `done` comes from the loop. */
void sa_controllers_stop(struct sa_controllers *controllers, void (*done)(void *user), void *user);
bool sa_controllers_lead(const struct sa_controllers *controllers);
bool sa_controllers_may_act(const struct sa_controllers_options *options);

#endif
