/*
 * The terms on which a sandbox is made: what its SandboxProfile demands is added to what was asked
 * for, and what cannot be had on this node is refused by name, never left out. Pure.
 */
#ifndef SA_API_TERMS_H
#define SA_API_TERMS_H

#include "claim/caches.h"
#include "claim/posture.h"

/* `spec` is completed (controls, ingress), `posture` is what its security context is asked for
 * with; texts go to the arena, or are the caches' until the loop goes on. SA_EINVALID at the field
 * that cannot be as it is, SA_ECONTROL at the one that this node has no control for. */
int sa_terms(const struct sa_caches *caches, struct sa_arena *arena, struct sa_sandbox_spec *spec,
             struct sa_posture *posture, struct sa_error *err);

#endif
