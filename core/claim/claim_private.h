/*
 * Inside claims. Read claim.c (what a call does, step by step), choose.c (which pod), sandbox.c
 * (the object that is created), held.h.
 */
#ifndef SA_CLAIM_PRIVATE_H
#define SA_CLAIM_PRIVATE_H

#include "claim/claim.h"
#include "claim/held.h"

#include "base/id.h"

enum sa_claim_state {
    SA_CLAIM_REFUSED,      /* `err` is to be told from the loop; nothing was written */
    SA_CLAIM_ASSIGN,       /* the pod is being patched */
    SA_CLAIM_FIND_POD,     /* whether it was is not known */
    SA_CLAIM_CREATE,       /* the Sandbox is being created */
    SA_CLAIM_FIND_SANDBOX, /* whether it was is not known */
};
struct sa_claim_call {
    struct sa_claim_call *prev, *next;
    struct sa_claims *claims;
    enum sa_claim_state state;
    char *namespace_, *name, *tenant, *key, *pool;
    const struct sa_object *wanted; /* the manifest, decoded */
    enum sa_warm warm;
    bool (*fits)(void *user, const struct sa_object *warm_pod);
    sa_claim_cb done; /* NULL: forgotten */
    void *user;

    const struct sa_object *pod; /* that it tries to get, as the cache had it; or has got */
    bool assigned;               /* `pod` is ours */
    unsigned tries;              /* pods that were tried */
    bool unsure;                 /* the write of this state may have happened before */
    char mark[SA_ID_BYTES];      /* of what this call writes */
    int64_t at_ms, started_us;
    struct sa_objects_call *write;         /* under way */
    int64_t due_ms, pause_ms, patience_ms; /* due 0: waits for the store; else for that moment */
    struct sa_error err;
};
struct sa_claims {
    uv_loop_t *loop;
    struct sa_objects *objects;
    const struct sa_caches *caches;
    struct sa_held *held;
    struct sa_claim_call *calls;
    uv_timer_t timer; /* the next one that is due */
    uint64_t random;
    struct sa_series *warm, *cold, *refused, *conflicts;
    struct sa_metric *seconds;
};

/* choose.c. Borrowed from the cache; NULL: none that fits. */
const struct sa_object *sa_claim_choose(struct sa_claims *claims, const struct sa_claim_call *call);
/* For which pool it counts, once: the one that `call->pod` is of, or else the one that it asks for,
 * or else one of those whose pods would have done: each as often as it is large, as they would have
 * been drawn, so that all have the ratio of hits that they have together. NULL: there is none. */
const char *sa_claim_pool(struct sa_claims *claims, const struct sa_claim_call *call);

/* sandbox.c. The manifest is fit to be created; else SA_EINVALID. Sets call->wanted. */
int sa_claim_check(struct sa_claim_call *call, const char *manifest, size_t length,
                   struct sa_error *err);
/* What is created: the manifest with what the claim adds to it. Lists are of the arena. */
struct sa_objects_make sa_claim_sandbox(const struct sa_claim_call *call, struct sa_arena *arena);
/* It was created by this call. */
bool sa_claim_made(const struct sa_claim_call *call, const struct sa_object *sandbox);

#endif
