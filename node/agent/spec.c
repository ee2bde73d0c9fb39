/* What the node is told of a Pod. */
#include "agent/private.h"

#include "base/arena.h"
#include "claim/pod_manifest.h"
#include "kinds/pod.h"

#include <stdio.h>

static int fill(const struct sa_pod_box *box, struct sa_node_spec *spec, struct sa_error *err)
{
    if (!sa_node_id_valid(box->id))
        return sa_error_at(err, SA_EINVALID, "metadata.name",
                           "metadata.name: this node runs pods of names of at most %d bytes",
                           SA_ID_BYTES - 1);
    *spec = (struct sa_node_spec){.memory_bytes = box->memory_bytes,
                                  .cpu_millicores = box->cpu_millicores,
                                  .pids = box->pids,
                                  .storage_bytes = box->storage_bytes,
                                  .inodes = box->inodes,
                                  .env = (char **)(size_t)box->env.items,
                                  .env_count = box->env.count,
                                  .require = (char **)(size_t)box->required_controls.items,
                                  .require_count = box->required_controls.count};
    snprintf(spec->id, sizeof spec->id, "%s", box->id);
    snprintf(spec->profile, sizeof spec->profile, "%s", box->profile);
    snprintf(spec->runtime, sizeof spec->runtime, "%s", box->runtime);
    snprintf(spec->hostname, sizeof spec->hostname, "%s", box->hostname);
    return 0;
}

int sa_agent_spec(const struct sa_object *pod, struct sa_buf *body, struct sa_error *err)
{
    struct sa_arena *arena = sa_arena_new_sized(2048);
    struct sa_node_spec spec;
    struct sa_pod_box box;
    int rc = sa_pod_box_of(pod, arena, &box, err);
    if (rc == 0)
        rc = fill(&box, &spec, err);
    if (rc == 0) {
        sa_node_spec_encode(&spec, body);
        if (body->length + SA_NODE_HEADER_BYTES > SA_NODE_MESSAGE_MAX)
            rc = sa_error_at(err, SA_ETOOLARGE, "spec.containers[0].env",
                             "spec.containers[0].env: more than a node can be told");
    }
    sa_arena_free(arena);
    return rc;
}
