/* What the pool controller writes about a WarmPod. */
#ifndef SA_CONTROLLER_POOL_MANIFEST_H
#define SA_CONTROLLER_POOL_MANIFEST_H

#include "controller/pool/private.h"

void sa_pool_print_pod(const struct sa_pool *pool, const struct sa_object *object, const char *name,
                       struct sa_buf *out);
/* Adds what follows from the rest; items of conditions are of the arena. */
void sa_pool_complete_pod_status(const struct sa_object *pod, struct sa_arena *arena,
                                 struct sa_warm_pod_status *status);
/* The Pod of a WarmPod. -1: what it has to be cannot be had any more. */
int sa_pool_print_box(const struct sa_pool *pool, const struct sa_object *object,
                      const struct sa_object *pod, struct sa_buf *out, struct sa_error *err);

#endif
