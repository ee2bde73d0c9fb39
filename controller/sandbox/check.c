#include "controller/sandbox/check.h"

#include "base/id.h"
#include "claim/runtime_fit.h"

#include <string.h>

enum { ENV_MAX_BYTES = 32 * 1024 };

typedef struct sa_sandbox_fault fault;

/* ---- by itself ---- */

static size_t env_bytes(const struct sa_json_map *env)
{
    size_t bytes = 0;
    for (size_t i = 0; i < env->count; i++)
        bytes += strlen(env->items[i].key) + strlen(env->items[i].value) + 8;
    return bytes;
}

static fault unsupported(const char *message)
{
    return (fault){"NotSupported", message};
}

fault sa_sandbox_check_spec(const struct sa_object *sandbox, struct sa_arena *arena)
{
    const struct sa_sandbox_wanted *spec = sa_object_spec(sandbox);
    const char *name = sa_object_meta(sandbox)->name;
    if (!sa_sandbox_claimed(sandbox) && strlen(name) >= SA_ID_BYTES)
        return (fault){"InvalidName",
                       sa_arena_printf(arena,
                                       "metadata.name: at most %d bytes can be the name of "
                                       "something that runs on a node",
                                       SA_ID_BYTES - 1)};
    if (spec->storage.persistent)
        return unsupported("spec.storage.persistent: this node has no volumes that stay");
    if (spec->secrets.count)
        return unsupported("spec.secretsRef: no secrets are kept here; give them in `env` when it "
                           "is created over the API");
    if (spec->resources.cpu_pinning)
        return unsupported("spec.resources.cpuPinning: this node gives nobody processors of their "
                           "own");
    if (spec->resources.storage_bytes > spec->resources.memory_bytes / 2)
        return unsupported("spec.resources.ephemeralStorage: at most half of the memory can hold "
                           "files here, because files are kept in memory");
    if (env_bytes(&spec->env) > ENV_MAX_BYTES)
        return unsupported(
            "spec.env: more than 32768 bytes in all, which is what can be delivered");
    if (spec->warm == SA_WARM_REQUIRE && !sa_sandbox_claimed(sandbox))
        return (fault){"NoWarmPod", "spec.warm: it must be warm, and has no warm pod: such a "
                                    "sandbox is created over the API"};
    return (fault){NULL, NULL};
}

/* ---- its runtime ---- */

fault sa_sandbox_check_runtime(const struct sa_sandbox_wanted *spec,
                               const struct sa_object *runtime, struct sa_arena *arena)
{
    struct sa_error err;
    if (sa_runtime_fit(spec->runtime, runtime, &spec->resources, &err) == 0)
        return (fault){NULL, NULL};
    return (fault){sa_runtime_fit_reason(&err), sa_arena_strdup(arena, err.message)};
}
