/* The warm pools: keep as many pods ready as the scaling rule says. */
#ifndef SA_CONTROLLER_POOL_H
#define SA_CONTROLLER_POOL_H

#include "controller/controllers.h"

struct sa_pool_controller;
/* Between these it reconciles. `options` are copied; the caches are synced. Without an agent
 * nothing is done inside of pods: they are ready when their Pod is, and are used once. */
struct sa_pool_controller *sa_pool_controller_start(const struct sa_controllers_options *options);
/* At once: what is on its way is forgotten. NULL is allowed. */
void sa_pool_controller_stop(struct sa_pool_controller *controller);

#endif
