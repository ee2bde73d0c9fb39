/* The informers that one process shares: claims, controllers and the API read the same caches. One
 * loop thread. */
#ifndef SA_CLAIM_CACHES_H
#define SA_CLAIM_CACHES_H

#include "objects/informer.h"

struct sa_caches {
    struct sa_informer *sandboxes, *warm_pools, *warm_pods, *pods, *runtimes, *profiles;
};
/* Indexes; values of namespaced things are "namespace/name". */
#define SA_BY_KEY "byKey"         /* warm_pods: key, of those that are Ready and have no claim */
#define SA_BY_POOL "byPool"       /* warm_pods: "namespace/pool" */
#define SA_BY_SANDBOX "bySandbox" /* warm_pods: "namespace/sandbox" of the claim */
#define SA_BY_NODE "byNode"       /* pods: spec.nodeName */
#define SA_BY_POOL_KEY "byKey"    /* warm_pools: "namespace/key" of the pods that they make now */

void sa_caches_start(struct sa_caches *caches, uv_loop_t *loop, struct sa_objects *objects);
void sa_caches_stop(struct sa_caches *caches);
bool sa_caches_synced(const struct sa_caches *caches);

#endif
