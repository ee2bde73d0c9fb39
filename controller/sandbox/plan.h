/*
 * What is to be done next about one sandbox. Pure: a world in, one step out. A reconcile does that
 * step, puts its answer into the world, and asks again, until there is nothing to do.
 *
 * What is read from a cache may be older than what has happened since. Where acting on it could
 * not be taken back (a second pod, a finalizer that is removed too early, a failure that is none)
 * the plan has it read anew first; conflicts of versions do the rest.
 *
 *     no pod yet         checks, the finalizer, the security context, then the pod
 *     a pod, or claimed  its status follows the pod's, until it has failed or is deleted
 *     failed             the pod goes at once, the sandbox five minutes later
 *     deleted            the pod goes (a claimed WarmPod is given back), then the finalizer
 */
#ifndef SA_CONTROLLER_SANDBOX_PLAN_H
#define SA_CONTROLLER_SANDBOX_PLAN_H

#include "claim/posture.h"
#include "kinds/runtime_environment.h"
#include "kinds/sandbox.h"

enum {
    SA_SANDBOX_KEPT_MS = 5 * 60 * 1000,    /* what failed is kept that long */
    SA_SANDBOX_OVERDUE_MS = 30 * 1000,     /* after its timeout: nobody else ends it */
    SA_SANDBOX_INTERRUPTED_MS = 60 * 1000, /* for another process to deliver the environment */
    SA_SANDBOX_DOUBT_MS = 5 * 1000,        /* of waiting, after which caches are not believed */
    SA_SANDBOX_TELL_MS = 50,               /* after which people are told of what may pass */
    SA_SANDBOX_SOON_MS = 1000              /* for what cannot be had now, or will be in a moment */
};

struct sa_seen {
    const struct sa_object *object; /* NULL: there is none */
    bool fresh;                     /* read just now, not from a cache */
};
enum sa_security_state {
    SA_SECURITY_UNKNOWN,
    SA_SECURITY_KNOWN,
    SA_SECURITY_DENIED,     /* `error` says why */
    SA_SECURITY_UNAVAILABLE /* nobody can be asked now; likewise */
};

struct sa_sandbox_world {
    int64_t now_ms;      /* wall clock */
    const char *process; /* as SA_SANDBOX_PERSONAL says it; NULL: none delivers from here */
    int64_t started_ms;  /* since when it is there */
    struct sa_seen sandbox;
    struct sa_seen warm_pod; /* that the sandbox says it has claimed */
    struct sa_seen pod;      /* of that WarmPod's name, or of the sandbox's */
    struct sa_seen runtime, profile;
    struct sa_json_strings weaker; /* as its node says; of the world's arena */
    struct {                       /* its security context, where the sandbox does not say it */
        enum sa_security_state state;
        const char *digest;
        int64_t generation;
        struct sa_json_strings required;
        struct sa_error error;
    } security;
    struct sa_error pod_refused; /* by the store, as no valid object; code SA_OK: it was not */
};

enum sa_sandbox_step {
    SA_STEP_NOTHING,
    SA_STEP_READ_SANDBOX, /* anew; so the next four */
    SA_STEP_READ_POD,
    SA_STEP_READ_WARM_POD,
    SA_STEP_READ_RUNTIME,
    SA_STEP_READ_PROFILE,
    SA_STEP_ASK_SECURITY, /* with `posture` */
    SA_STEP_ADD_FINALIZER,
    SA_STEP_CREATE_POD, /* with `posture`, `digest`, `language` */
    SA_STEP_WRITE_STATUS,
    SA_STEP_DELETE_POD,
    SA_STEP_DELETE_SANDBOX,
    SA_STEP_REMOVE_FINALIZER
};

struct sa_sandbox_plan {
    enum sa_sandbox_step step;
    int64_t again_ms;                /* with NOTHING: look again after that; 0: when told */
    struct sa_sandbox_status status; /* with WRITE_STATUS */
    struct sa_posture posture;
    const char *digest;
    enum sa_language language;
};

/* Texts of the plan are of the world, of `arena`, or static. */
void sa_sandbox_plan(const struct sa_sandbox_world *world, struct sa_arena *arena,
                     struct sa_sandbox_plan *plan);

/* ---- what the world says ---- */

/* The WarmPod it has claimed, by its annotation; NULL: a cold start. */
const char *sa_sandbox_claimed(const struct sa_object *sandbox);
/* Does this WarmPod say so, too? */
bool sa_sandbox_has_claim(const struct sa_object *sandbox, const struct sa_object *warm_pod);
/* The pod that is its own, or its WarmPod's; NULL: none, or somebody else's. */
const struct sa_object *sa_sandbox_pod(const struct sa_sandbox_world *world);

#endif
