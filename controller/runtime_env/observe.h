/* What the node of this machine has, whose own programs are what sandboxes run. */
#ifndef SA_CONTROLLER_RUNTIME_ENV_OBSERVE_H
#define SA_CONTROLLER_RUNTIME_ENV_OBSERVE_H

#include "kinds/runtime_environment.h"

/* The interpreter or compiler, as a sandbox finds it; NULL: there is none. */
const char *sa_runtime_program(enum sa_language language);
/* As container images call it: "amd64". */
const char *sa_runtime_architecture(void);

#endif
