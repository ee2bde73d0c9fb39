/* The runtime environments: those that are built in exist, and each says whether pods can have it
 * here. */
#ifndef SA_CONTROLLER_RUNTIME_ENV_H
#define SA_CONTROLLER_RUNTIME_ENV_H

#include "controller/controllers.h"

struct sa_runtime_controller;
/* Between these it reconciles. `options` are copied. */
struct sa_runtime_controller *
sa_runtime_controller_start(const struct sa_controllers_options *options);
/* NULL is allowed. */
void sa_runtime_controller_stop(struct sa_runtime_controller *controller);

#endif
