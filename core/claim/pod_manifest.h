/*
 * The Pod of a Sandbox or a WarmPod, as a manifest, and what a node reads in it. Both sides are
 * here so that they cannot differ:
 *
 *     metadata.name                        id at the node
 *     metadata.labels    SA_POD_RUNTIME    name of the RuntimeEnvironment
 *                        SA_POD_SANDBOX    name of the Sandbox, of a cold start
 *                        SA_POD_WARM_POD   name of the WarmPod, and SA_POD_POOL of its pool
 *     annotations        SA_POD_LANGUAGE   what the node calls its runtime ("python" ... "base")
 *                        SA_POD_SECURITY_LEVEL, SA_POD_SECURITY_PROFILE   the level; the digest of
 *                                          its security context, by which the node knows it
 *                        SA_POD_PIDS, SA_POD_INODES, SA_POD_CPU_PINNING   limits that Kubernetes
 *                                          has no name for
 *                        SA_POD_REQUIRED   controls that must be in force, or it fails
 *     ownerReferences                      the Sandbox or WarmPod; deleting it deletes the Pod
 *     finalizers         SA_FINALIZER_NODE until nothing of it is left on the node
 *     spec.nodeName, .hostname
 *     spec.containers[0] resources.limits (cpu, memory, ephemeral-storage); env: the environment
 *                        of everything in it until SETUP adds to it
 */
#ifndef SA_CLAIM_POD_MANIFEST_H
#define SA_CLAIM_POD_MANIFEST_H

#include "claim/posture.h"
#include "kinds/runtime_environment.h"

struct sa_pod_wanted {             /* texts for the time of the call */
    const struct sa_object *owner; /* Sandbox or WarmPod; gives the Pod its name and namespace */
    const char *pool;              /* of a WarmPod; NULL: none */
    const char *node;              /* that it is bound to */
    const char *runtime;           /* name */
    enum sa_language language;     /* of the RuntimeEnvironment */
    const char *image;             /* "": the node's own programs */
    const char *digest;            /* of its security context */
    const char *hostname;          /* NULL, or no DNS label: the Pod's name */
    const struct sa_posture *posture;
    const struct sa_resources *resources;
    const struct sa_json_map *env; /* beside the defaults; NULL: none */
    bool pausable;                 /* it may be paused: the node must have a freezer */
};
void sa_pod_of(const struct sa_pod_wanted *wanted, struct sa_buf *manifest);

/* What a node calls the runtime of that language. */
const char *sa_language_runtime(enum sa_language language);

/* What a node is to make of a Pod. Texts are of the object or of `arena`. */
struct sa_pod_box {
    const char *id, *runtime, *profile, *hostname;
    int64_t memory_bytes, cpu_millicores, pids, storage_bytes, inodes; /* limits */
    bool cpu_pinning;
    struct sa_json_strings env; /* "NAME=value" */
    struct sa_json_strings required_controls;
};
/* SA_EINVALID: it is not one of ours (annotations or limits are missing; the path says which). */
int sa_pod_box_of(const struct sa_object *pod, struct sa_arena *arena, struct sa_pod_box *box,
                  struct sa_error *err);

/* The value of a key, or NULL: of labels and annotations. */
const char *sa_map_get(const struct sa_json_map *map, const char *key);

#endif
