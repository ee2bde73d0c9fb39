/* The status of a sandbox, from what was observed. Pure. The session of the API writes expiresAt,
 * idleSince and pausedAt; everything else is written here. */
#ifndef SA_CONTROLLER_SANDBOX_STATUS_H
#define SA_CONTROLLER_SANDBOX_STATUS_H

#include "controller/sandbox/plan.h"

#define SA_CONDITION_READY "Ready"
#define SA_CONDITION_POD_READY "PodReady"
#define SA_CONDITION_NETWORK "NetworkReady"

/* As it should be while nothing is wrong: phase and conditions follow the pod. */
void sa_sandbox_status_now(const struct sa_sandbox_world *world, struct sa_arena *arena,
                           struct sa_sandbox_status *status);
/* The same, but something keeps it waiting. */
void sa_sandbox_status_waiting(const struct sa_sandbox_world *world, const char *reason,
                               const char *message, struct sa_arena *arena,
                               struct sa_sandbox_status *status);
/* It is over: FAILED for good, or TERMINATING. */
void sa_sandbox_status_over(const struct sa_sandbox_world *world, enum sa_phase phase,
                            const char *reason, const char *message, struct sa_arena *arena,
                            struct sa_sandbox_status *status);
/* Does the sandbox have that status? */
bool sa_sandbox_status_is(const struct sa_object *sandbox, const struct sa_sandbox_status *status);

/* Is its environment still to come over the link? */
bool sa_sandbox_awaits_setup(const struct sa_object *sandbox);

#endif
