#include "controller/runtime_env/runtime_env.h"

#include "base/arena.h"

#include <stdlib.h>

struct sa_runtime_controller {
    struct sa_controllers_options options;
};

struct sa_runtime_controller *
sa_runtime_controller_start(const struct sa_controllers_options *options)
{
    struct sa_runtime_controller *controller = sa_alloc(sizeof *controller);
    controller->options = *options;
    return controller;
}

void sa_runtime_controller_stop(struct sa_runtime_controller *controller)
{
    free(controller);
}
