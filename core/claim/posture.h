/*
 * What a Sandbox, or the pods of a WarmPool, have in force when it refers to a SandboxProfile: the
 * profile's demands are added to its own, and never taken from them. Pure.
 */
#ifndef SA_CLAIM_POSTURE_H
#define SA_CLAIM_POSTURE_H

#include "kinds/sandbox.h"
#include "kinds/sandbox_profile.h"

struct sa_posture { /* texts are of the sandbox, the profile or the arena */
    enum sa_security_level level;
    const char *security_context; /* JSON, "": none */
    const char *runtime_class;    /* "": the rules decide */
    struct sa_json_strings required_controls;
};

/* `own`: what it says itself; `profile` NULL: it refers to none. SA_ECONFLICT when both cannot be
 * (its context is custom, and the profile demands another level or has a context of its own). */
int sa_posture_join(const struct sa_posture *own, const struct sa_profile_spec *profile,
                    struct sa_arena *arena, struct sa_posture *out, struct sa_error *err);
/* The same for a Sandbox, whose spec.timeout must be within the profile's. */
int sa_posture_of_sandbox(const struct sa_sandbox_wanted *sandbox,
                          const struct sa_profile_spec *profile, struct sa_arena *arena,
                          struct sa_posture *out, struct sa_error *err);

/* Both lists, each entry once; `more` is separated by commas, and may be NULL. */
struct sa_json_strings sa_controls_join(const struct sa_json_strings *list, const char *more,
                                        struct sa_arena *arena);

#endif
