/* A sandbox controller over a store, and the rest of the world played by the test: the node that
 * makes pods ready and removes them, the claims of the API. */
#ifndef CONTROLLER_LIFE_H
#define CONTROLLER_LIFE_H

#include "fixture.h"

#include "controller/sandbox/plan.h"
#include "controller/sandbox/sandbox.h"

#define PROCESS "process-1"

struct life {
    struct world *w;
    struct sa_caches caches;
    struct sa_controllers_options options;
    struct sa_sandbox_controller *controller;
};
void life_start(struct life *life, struct world *w);
/* Its caches see the store as through `watched`. */
void life_start_on(struct life *life, struct world *w, struct sa_objects *watched);
void life_stop(struct life *life);
void life_restart(struct life *life); /* the controller alone */

/* In "default"; `spec` and `metadata` are members, such as "'timeout':5,". */
const struct sa_object *make_sandbox(struct life *life, const char *name, const char *metadata,
                                     const char *spec);
/* A WarmPod that the sandbox has claimed, with its pod, which is ready. */
void make_claimed(struct life *life, const char *name, const char *sandbox);

/* What the node does. */
void pod_ready(struct life *life, const char *name);
void pod_failed(struct life *life, const char *name, const char *reason);
void pod_removed(struct life *life, const char *name); /* it was asked to be */

bool is_there(struct life *life, const struct sa_kind *kind, const char *name);
const struct sa_object *wait_pod(struct life *life, const char *name);
void wait_pod_deleting(struct life *life, const char *name);
/* Until the sandbox is in that phase; `reason` NULL: any. Its status. */
const struct sa_sandbox_status *wait_phase(struct life *life, const char *name, enum sa_phase phase,
                                           const char *reason);
const struct sa_condition *condition(const struct sa_sandbox_status *status, const char *type);

#endif
