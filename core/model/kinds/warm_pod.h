/*
 * WarmPod: one pod of a pool, and who has it. Its `claim` is what one compare-and-swap writes: it
 * is set when there is none, and taken away by the controller after recycling, but never changed
 * from one sandbox to another. The claimer writes spec.claim, the controller everything else.
 */
#ifndef SA_KINDS_WARM_POD_H
#define SA_KINDS_WARM_POD_H

#include "kinds/common.h"
#include "objects/conditions.h"

struct sa_claim {
    bool given;
    const char *sandbox, *uid; /* name and uid of the Sandbox; the uid may follow its creation */
    const char *tenant;
    int64_t at_ms;
};
struct sa_warm_pod_spec {
    const char *pool, *pool_uid;
    const char *key; /* of the pool when it was made: what a sandbox has to match */
    const char *runtime, *profile;
    enum sa_security_level level;
    struct sa_resources resources;
    struct sa_claim claim;
};

enum sa_warm_pod_phase {
    SA_WARM_POD_PENDING,     /* on its way */
    SA_WARM_POD_READY,       /* may be claimed */
    SA_WARM_POD_ASSIGNED,    /* somebody has it */
    SA_WARM_POD_RECYCLING,   /* being cleaned */
    SA_WARM_POD_TERMINATING, /* on its way out */
    SA_WARM_POD_PHASE_COUNT
};
const char *sa_warm_pod_phase_name(enum sa_warm_pod_phase phase);

struct sa_warm_pod_status {
    enum sa_warm_pod_phase phase;
    const char *reason, *message;
    const char *pod, *pod_uid, *pod_ip, *node;
    const char *fingerprint; /* of its pristine state */
    const char *last_tenant;
    int64_t uses, ready_ms, expires_ms;
    struct sa_conditions conditions;
    int64_t observed_generation;
};

extern const struct sa_kind sa_kind_warm_pod;

#endif
