/* What the caches say of a sandbox; the world holds references to it. */
#ifndef SA_CONTROLLER_SANDBOX_OBSERVE_H
#define SA_CONTROLLER_SANDBOX_OBSERVE_H

#include "claim/caches.h"
#include "controller/sandbox/plan.h"

void sa_sandbox_observe(const struct sa_caches *caches, const char *key, struct sa_arena *arena,
                        struct sa_sandbox_world *world);
/* What was read anew takes the place; a reference is taken. */
void sa_seen_set(struct sa_seen *seen, const struct sa_object *object);
void sa_sandbox_world_deinit(struct sa_sandbox_world *world);

#endif
