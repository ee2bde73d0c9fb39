/*
 * Warm pods that claims of this process must leave alone: those that one of them is trying to get,
 * and those of which the cache still shows what is known to be over. A pod comes free again when
 * nobody tries and the cache shows another version of it, or none.
 */
#ifndef SA_CLAIM_HELD_H
#define SA_CLAIM_HELD_H

#include "objects/informer.h"

struct sa_held;
struct sa_held *sa_held_new(struct sa_informer *warm_pods);
void sa_held_free(struct sa_held *held); /* before the informer stops */

bool sa_held_has(const struct sa_held *held, const struct sa_object *pod);
/* Begin to try: `pod` as the cache shows it. */
void sa_held_take(struct sa_held *held, const struct sa_object *pod);
/* The version that was taken is over: ours now, or somebody else's. */
void sa_held_leave(struct sa_held *held, const struct sa_object *pod);
/* It is not known to be over. */
void sa_held_release(struct sa_held *held, const struct sa_object *pod);
size_t sa_held_count(const struct sa_held *held);

#endif
