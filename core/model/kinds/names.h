/* Annotations, labels and finalizers by which the parts of the control plane find each other's
 * work. What begins with "secureagent.dev/" is the server's: the API refuses it from clients. */
#ifndef SA_KINDS_NAMES_H
#define SA_KINDS_NAMES_H

#include "model/reserved.h" /* SA_RESERVED_PREFIX */

/* On a Sandbox, written by whoever creates it. */
#define SA_SANDBOX_WARM_POD "secureagent.dev/warm-pod" /* the WarmPod that it has claimed */
#define SA_SANDBOX_POOL "secureagent.dev/pool" /* the WarmPool that it counts for: hit or miss */
#define SA_SANDBOX_LANGUAGE "secureagent.dev/language" /* of its runtime, unless it is the name */
#define SA_SANDBOX_OWNER "secureagent.dev/owner"       /* id of the API key */
#define SA_SANDBOX_TENANT "secureagent.dev/tenant"     /* name of the API key */
#define SA_SANDBOX_TITLE "secureagent.dev/name"        /* what its maker calls it */
#define SA_SANDBOX_PROFILE "secureagent.dev/security-profile"    /* digest of its context */
#define SA_SANDBOX_GENERATION "secureagent.dev/rules-generation" /* that decided it */
#define SA_SANDBOX_CLAIM "secureagent.dev/claim" /* of the claim that created it: nobody else's */
/* Controls that the rules demand for it, beside spec.requiredControls; joined by commas. */
#define SA_SANDBOX_REQUIRED "secureagent.dev/required-controls"
/* Its environment is not in the object but in the memory of this API process, which delivers it and
 * then changes the value to SA_PERSONAL_DELIVERED (where there is none, it is that from the start).
 * A sandbox that has not got it when that process is no more (another one leads the controllers)
 * cannot be completed: it has failed, Interrupted.
 */
#define SA_SANDBOX_PERSONAL "secureagent.dev/personal"
#define SA_PERSONAL_DELIVERED "delivered"

/* On a RuntimeEnvironment that the server makes by itself: label, "true". */
#define SA_RUNTIME_BUILTIN "secureagent.dev/builtin"

/* Finalizers. */
#define SA_FINALIZER_NODE "secureagent.dev/node" /* Pod: until nothing of it is left */
#define SA_FINALIZER_SANDBOX                                                                       \
    "secureagent.dev/sandbox" /* Sandbox: until its pod is gone, or clean */
#define SA_FINALIZER_WARM_POD "secureagent.dev/warm-pod" /* WarmPod: until its Pod is gone */

#endif
