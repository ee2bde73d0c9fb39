/*
 * The terms on which a sandbox is made: what its SandboxProfile demands is added to what was asked
 * for, and what cannot be had on this node is refused by name, never left out. Pure.
 */
#ifndef SA_API_TERMS_H
#define SA_API_TERMS_H

#include "claim/caches.h"
#include "claim/posture.h"
#include "json/notes.h"

/* What of it no sandbox on this node can have, whatever else is asked for: SA_ECONTROL. */
int sa_terms_check(const struct sa_sandbox_spec *spec, struct sa_json_notes *notes,
                   struct sa_error *err);

/* `spec` is completed (controls, ingress), `posture` is what its security context is asked for
 * with; texts go to the arena, or are the caches' until the loop goes on. SA_EINVALID at the field
 * that cannot be as it is, SA_ECONTROL at the one that this node has no control for. All are noted
 * that can be known without the others being right, and the first is the error. */
int sa_terms(const struct sa_caches *caches, struct sa_arena *arena, struct sa_sandbox_spec *spec,
             struct sa_posture *posture, struct sa_json_notes *notes, struct sa_error *err);

#endif
