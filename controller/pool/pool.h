/* The warm pools: keep as many pods ready as the scaling rule says. */
#ifndef SA_CONTROLLER_POOL_H
#define SA_CONTROLLER_POOL_H

#include "controller/controllers.h"

struct sa_pool_controller;
/* Between these it reconciles. */
struct sa_pool_controller *sa_pool_controller_start(const struct sa_controllers_options *options);
void sa_pool_controller_stop(struct sa_pool_controller *controller);

#endif
