/* An object store that does not tell what became of a write, when the test says so. */
#ifndef UNSURE_H
#define UNSURE_H

#include "objects/objects.h"

enum fate {
    FATE_TOLD,
    FATE_DONE,    /* it happens, but the answer is SA_EUNAVAILABLE */
    FATE_NOT,     /* it does not happen, and the answer is SA_EUNAVAILABLE */
    FATE_LATE,    /* it happens after the next read, or the next write is made */
    FATE_REFUSED, /* SA_EQUOTA */
};
struct late_write {
    struct late_write *next;
    const struct sa_kind *kind;
    char *namespace_, *name, *version; /* of a patch; name NULL: a create */
    char *json;
};
struct unsure {
    struct sa_objects base;
    struct sa_objects *inner;
    enum fate patch, create; /* of the next one only */
    unsigned blind;          /* so many reads fail, too */
    unsigned writes;
    struct late_write *late;
};
void unsure_init(struct unsure *unsure, struct sa_objects *inner);

#endif
