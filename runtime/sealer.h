/* Making the manifest, in slices. Nothing may run in the sandbox meanwhile. */
#ifndef SA_RUNTIME_SEALER_H
#define SA_RUNTIME_SEALER_H

#include "manifest.h"

struct sa_sealer {
    struct sa_manifest *manifest;
    uint32_t at;        /* the folder that is being visited */
    int folder;         /* its descriptor; -1: it is next */
    uint32_t next, end; /* its children that were not looked at yet */
    struct sa_reader reader;
    uint32_t reading;
};

/* -1: SA_EQUOTA, SA_EFORBIDDEN. The manifest must be empty. */
int sa_sealer_begin(struct sa_sealer *sealer, struct sa_manifest *manifest, struct sa_error *err);
/* One slice. 1: the manifest is whole, 0: more, -1 as above. */
int sa_sealer_step(struct sa_sealer *sealer, struct sa_error *err);
void sa_sealer_deinit(struct sa_sealer *sealer);

/* Can a change from now on be told by its ctime from the one that these facts show? */
bool sa_sealer_is_settled(const struct sa_facts *facts);
/* After the walk: is that so for each root that stands for all below? If not, the clock has not
 * moved since they were made: ask again. */
bool sa_sealer_is_old_enough(struct sa_manifest *manifest);

#endif
