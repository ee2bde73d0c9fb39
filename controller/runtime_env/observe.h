/* What the node of this machine has, whose own programs are what sandboxes run. */
#ifndef SA_CONTROLLER_RUNTIME_ENV_OBSERVE_H
#define SA_CONTROLLER_RUNTIME_ENV_OBSERVE_H

#include "kinds/runtime_environment.h"

/* The interpreter or compiler, as a sandbox finds it; NULL: there is none. */
const char *sa_runtime_program(enum sa_language language);
/* Its version, as far as its file's name tells it ("3.11"); else "". Of `arena`, or static. */
const char *sa_runtime_version(const char *program, struct sa_arena *arena);
/* Those of the packages ("numpy==1.26.4", "lodash@4") that are not installed for all users of the
 * node, separated by commas; of `arena`. */
const char *sa_runtime_lacking(const struct sa_runtime_spec *spec, struct sa_arena *arena);
/* As container images call it: "amd64". */
const char *sa_runtime_architecture(void);

#endif
