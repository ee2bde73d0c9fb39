/*
 * How a sandbox gets a pod: one compare-and-swap on a WarmPod (a patch of spec.claim with its
 * resourceVersion) decides who has it; then the Sandbox is created, naming it. Without a warm pod
 * that fits, the Sandbox is created alone, and the sandbox controller starts a pod for it. API and
 * controllers use the same functions. At most two writes, three when the first pod was lost to
 * another claimer.
 *
 * What is committed is resolved: when the outcome of a write is not known it is looked up with an
 * uncached read; a WarmPod that has our claim is ours, and is never given up for another. What a
 * crash leaves (a claim whose Sandbox was never created) the pool controller recycles.
 *
 * Several processes may claim from one store, and several claims of one process never try the same
 * pod at the same time. One loop thread.
 */
#ifndef SA_CLAIM_CLAIM_H
#define SA_CLAIM_CLAIM_H

#include "claim/caches.h"
#include "kinds/sandbox.h"
#include "kinds/warm_pod.h"
#include "metrics/metrics.h"

enum { SA_POOL_KEY_BYTES = 65 };

/* What two pods must have in common to be exchangeable: SHA-256, in hex, of runtime, level, name of
 * the SandboxProfile, digest of the security context in force (never a weaker one that way), and
 * resources. */
struct sa_pool_key {
    const char *runtime, *profile, *digest; /* profile: "" */
    enum sa_security_level level;
    const struct sa_resources *resources;
};
void sa_pool_key(const struct sa_pool_key *parts, char key[SA_POOL_KEY_BYTES]);

struct sa_claims;
struct sa_claims *sa_claims_new(uv_loop_t *loop, struct sa_objects *objects,
                                const struct sa_caches *caches, struct sa_metrics *metrics);
/* Calls under way are forgotten, also what they would have cleaned up. Before the caches are
 * stopped and the store is closed; frees itself when the loop goes on. NULL is allowed. */
void sa_claims_free(struct sa_claims *claims);

struct sa_claim_ask { /* texts for the time of the call */
    const char *namespace_;
    const char *name;   /* of the Sandbox */
    const char *tenant; /* id of the API key: of pods that are kept for who had them last, those of
                           others are passed over */
    const char *key;    /* sa_pool_key() */
    const char *pool;   /* from this WarmPool; NULL: any */
    enum sa_warm warm;  /* PREFER: from any other, rather than from none */
    /* The Sandbox as it is to be created, whole; its annotations get SA_SANDBOX_CLAIM,
     * SA_SANDBOX_WARM_POD and (but for `warm: never`) SA_SANDBOX_POOL, its finalizers
     * SA_FINALIZER_SANDBOX. */
    const char *manifest;
    size_t length;
    /* May it be this pod, as far as its maker knows? NULL: any. */
    bool (*fits)(void *user, const struct sa_object *warm_pod);
};
struct sa_claim_result {
    const struct sa_object *sandbox;  /* as created */
    const struct sa_object *warm_pod; /* NULL: a cold start */
};
/* Errors: SA_EINVALID (the manifest), SA_EUNAVAILABLE (path "warm": it must be warm and nothing is
 * ready), SA_EEXISTS (a sandbox of that name; a pod that was claimed for it is recycled), what the
 * store says: SA_EUNAVAILABLE also when it did not tell the outcome for a quarter of a minute.
 * Once, from the loop, unless forgotten; the call is over then. */
typedef void (*sa_claim_cb)(void *user, const struct sa_error *err,
                            const struct sa_claim_result *result);
struct sa_claim_call;
struct sa_claim_call *sa_claim_start(struct sa_claims *claims, const struct sa_claim_ask *ask,
                                     sa_claim_cb done, void *user);
/* `done` is not called; what was written stands: a Sandbox that comes of it is deleted. */
void sa_claim_forget(struct sa_claim_call *call);

#endif
