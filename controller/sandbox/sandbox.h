/* The sandboxes: each gets the pod it was promised, its status says what became of it, and nothing
 * of it is left when it ends. */
#ifndef SA_CONTROLLER_SANDBOX_H
#define SA_CONTROLLER_SANDBOX_H

#include "controller/controllers.h"

struct sa_sandbox_controller;
/* Between these it reconciles. `options` are copied. */
struct sa_sandbox_controller *
sa_sandbox_controller_start(const struct sa_controllers_options *options);
/* Everything it was told of is done, but what is only to be looked at again later. */
bool sa_sandbox_controller_idle(const struct sa_sandbox_controller *controller);
/* NULL is allowed. */
void sa_sandbox_controller_stop(struct sa_sandbox_controller *controller);

#endif
