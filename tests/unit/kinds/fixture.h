/* What the tests of the kinds share: objects from JSON, and refusals. */
#ifndef TEST_KINDS_FIXTURE_H
#define TEST_KINDS_FIXTURE_H

#include "kinds/resources.h"

/* An object of that spec, named "x"; also decoded from what it prints, and the same then. */
const struct sa_object *of_spec(const struct sa_kind *kind, const char *spec);
/* The same of a status, beside a spec. */
const struct sa_object *of_status(const struct sa_kind *kind, const char *spec, const char *status);

struct refusal {
    const char *json, *path, *words; /* path from "spec" or "status" on */
};
/* Each is refused as a spec (or, with `spec`, as a status beside it), with that path, and words
 * that begin with it. Ends with json NULL. */
void refused(const struct sa_kind *kind, const char *spec, const struct refusal *refusals);
/* May `next` follow `before`? "" or the path of what may not change. */
const char *change(const struct sa_kind *kind, const char *before, const char *next);
/* The kind's empty status is what decoding nothing gives. */
void empty_status_is_right(const struct sa_resource *resource);

#endif
