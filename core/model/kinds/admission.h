/*
 * Sandboxes as admission rules see them, after Kubernetes' admission reviews: {metadata: {name,
 * labels, annotations, uid?}, spec: {everything else, by the names of a create}}. Of a create it
 * holds what the client gave, so that a rule can tell what is missing; of a sandbox that lives,
 * all of it, and its id as `uid`.
 *
 * The values of environment variables may be secrets and rules need not know them: they are
 * SA_ADMISSION_SECRET, and so stand for what the client gave when they come back. Empty lists and
 * objects are left out: in Lua they are the same thing.
 */
#ifndef SA_KINDS_ADMISSION_H
#define SA_KINDS_ADMISSION_H

#include "kinds/sandbox.h"

#define SA_ADMISSION_SECRET "***"

/* Of the body of a create, which has been decoded before. */
int sa_admission_of_body(const char *body, size_t length, struct sa_buf *out, struct sa_error *err);
/* Of a sandbox with that id. */
void sa_admission_of_spec(const struct sa_sandbox_spec *spec, const char *id, struct sa_buf *out);

/* What a create of the object would make of it, with all its checks; *spec is what it was made of,
 * and gives secrets their values back. Strings go to the arena. SA_EINVALID with the path. */
int sa_admission_decode(const char *object, size_t length, struct sa_arena *arena,
                        struct sa_sandbox_spec *spec, struct sa_error *err);

#endif
