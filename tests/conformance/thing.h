/* A kind for tests: what an object store must do does not depend on what is in its objects. */
#ifndef CONFORMANCE_THING_H
#define CONFORMANCE_THING_H

#include "objects/object.h"

struct thing_spec {
    int64_t size;      /* 0 to 100; 1 */
    const char *node;  /* "" */
    const char *fixed; /* cannot change once set */
};
struct thing_status {
    const char *phase;
    int64_t seen;
};
extern const struct sa_kind thing_kind, other_kind; /* Thing, Other: alike, both namespaced */
extern const struct sa_kind cluster_kind;           /* in no namespace */
extern const struct sa_kind fleeting_kind;          /* kept for a minute */

#endif
