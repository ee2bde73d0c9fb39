#include "controller/sandbox/sandbox.h"

#include "base/arena.h"

#include <stdlib.h>

struct sa_sandbox_controller {
    struct sa_controllers_options options;
};

struct sa_sandbox_controller *
sa_sandbox_controller_start(const struct sa_controllers_options *options)
{
    struct sa_sandbox_controller *controller = sa_alloc(sizeof *controller);
    controller->options = *options;
    return controller;
}

void sa_sandbox_controller_stop(struct sa_sandbox_controller *controller)
{
    free(controller);
}
