/* What the caches and the agent say of a sandbox; the world holds references to it. */
#ifndef SA_CONTROLLER_SANDBOX_OBSERVE_H
#define SA_CONTROLLER_SANDBOX_OBSERVE_H

#include "agent/agent.h"
#include "claim/caches.h"
#include "controller/sandbox/plan.h"

/* `agent` may be NULL. */
void sa_sandbox_observe(const struct sa_caches *caches, struct sa_agent *agent, const char *key,
                        struct sa_arena *arena, struct sa_sandbox_world *world);
/* What was read anew takes the place; a reference is taken. */
void sa_seen_set(struct sa_seen *seen, const struct sa_object *object);
void sa_sandbox_world_deinit(struct sa_sandbox_world *world);

#endif
