/* Whether a RuntimeEnvironment can be had here, by a sandbox or by the pods of a pool. Pure. */
#ifndef SA_CLAIM_RUNTIME_FIT_H
#define SA_CLAIM_RUNTIME_FIT_H

#include "kinds/runtime_environment.h"

/* `runtime`: of that name; NULL: there is none, which is no fault of one that is built in. Errors,
 * path and message with that of a manifest: SA_ENOTFOUND (there is none), SA_ECONTROL (it cannot be
 * had here: what its condition Available says), both spec.runtime; SA_EINVALID (spec.resources.X is
 * less than it requires). */
int sa_runtime_fit(const char *name, const struct sa_object *runtime,
                   const struct sa_resources *resources, struct sa_error *err);
/* The reason of a condition, an event or a failure that tells of such an error. */
const char *sa_runtime_fit_reason(const struct sa_error *err);

#endif
