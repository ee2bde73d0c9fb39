/* What is to be said of a runtime environment, and what is built in. Pure. */
#ifndef SA_CONTROLLER_RUNTIME_ENV_PLAN_H
#define SA_CONTROLLER_RUNTIME_ENV_PLAN_H

#include "kinds/runtime_environment.h"
#include "json/write.h"

struct sa_runtime_world {
    int64_t now_ms; /* wall clock */
    const struct sa_object *runtime;
    const char *node;         /* its name */
    const char *architecture; /* of the node, as container images call it: "amd64" */
    const char *program;      /* of the language, where the node has it; NULL: it has none */
    const char *version;      /* of that program; "": it does not tell */
    const char *lacking;      /* of spec.preInstalledPackages, what the node has not; "" */
};
/* Texts are of the world, of `arena`, or static. */
void sa_runtime_status_now(const struct sa_runtime_world *world, struct sa_arena *arena,
                           struct sa_runtime_status *status);
bool sa_runtime_status_equal(const struct sa_runtime_status *a, const struct sa_runtime_status *b);
/* A merge patch {"status": {...}}. */
void sa_runtime_status_patch(const struct sa_runtime_status *status, struct sa_buf *out);

/* The object that is made when there is none. */
void sa_builtin_manifest(enum sa_language language, struct sa_buf *out);

#endif
