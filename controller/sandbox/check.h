/* What keeps a sandbox from ever being made here, however long it waits. Pure. */
#ifndef SA_CONTROLLER_SANDBOX_CHECK_H
#define SA_CONTROLLER_SANDBOX_CHECK_H

#include "controller/sandbox/plan.h"

struct sa_sandbox_fault {
    const char *reason; /* NULL: none */
    const char *message;
};

/* What is asked for and cannot be had on this node, whatever pod it gets. */
struct sa_sandbox_fault sa_sandbox_check_spec(const struct sa_object *sandbox,
                                              struct sa_arena *arena);
/* What its runtime asks of it, or lacks. `runtime` NULL: there is none of that name, which is a
 * fault unless it is one that is built in. */
struct sa_sandbox_fault sa_sandbox_check_runtime(const struct sa_sandbox_wanted *spec,
                                                 const struct sa_object *runtime,
                                                 struct sa_arena *arena);

#endif
