/*
 * What a pool needs, of what was observed: pure, so that every rule of it can be tried.
 *
 * A pod is free (Ready, or on its way there) or in use. `wanted` free ones shall be there, and
 * never more than `max`: whatever was ordered and is not seen yet counts. One that is being cleaned
 * for another use counts against `max`, too, but is not relied upon. Those in use belong to their
 * sandboxes, and are not touched. Where they come back sooner than others could be made
 * (`returning`), they count as well, for that long: else each claim would make a pod for which
 * there is no room, or no need, when the one that was claimed is clean again.
 *
 *   useless   of another key: no claim asks for it any more. Deleted at once.
 *   old       past its time, or made by another template (preloads, placement): as good as any
 *             until a new one is there. Deleted once enough new ones are ready; where `max` leaves
 *             no room for new ones beside them, a quarter of the pool at a time.
 *   failed    kept, with its reason, until the pause after a failure is over.
 *   surplus   more than wanted: first those on their way, then the rest, the oldest first. One that
 *             was in use and is clean again may stay for a while (`tolerated`), as far as `max`
 *             allows: the next claim spares the making of one.
 *   reserved  only for the tenant that had it last. It counts against `max`, and as a wanted one
 *             while it is tolerated; it goes when it is not, or when there is no room for others
 *             beside it. At least half of the wanted ones are for everybody.
 *
 * The larger the number of failures in a row, the fewer are made at once. While claims come one
 * upon the other, and a quarter of the wanted ones is still ready, none is made: claims go first.
 */
#ifndef SA_CONTROLLER_POOL_PLAN_H
#define SA_CONTROLLER_POOL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sa_pool_pod_state {
    SA_POOL_POD_PENDING,
    SA_POOL_POD_READY,
    SA_POOL_POD_ASSIGNED,
    SA_POOL_POD_RECYCLING,
    SA_POOL_POD_FAILED,
    SA_POOL_POD_TERMINATING, /* is being deleted */
    SA_POOL_POD_STATES
};
struct sa_pool_pod {
    enum sa_pool_pod_state state;
    bool useless, old;
    bool reserved;  /* only for the tenant that had it last */
    bool tolerated; /* it may stay as surplus */
    bool returning; /* in use, or being cleaned: back before another is made */
    int64_t created_ms;
};
struct sa_pool_observed {
    bool exists;         /* and is not being deleted */
    bool able;           /* what its pods have to be is known: they can be made */
    int64_t wanted, max; /* wanted is within 0..max */
    const struct sa_pool_pod *pods;
    size_t count;
    size_t creates_due; /* ordered, and not seen yet */
    size_t deletes_due; /* likewise: no more are ordered meanwhile */
    unsigned failures;  /* in a row */
    int64_t retry_ms;   /* nothing is made before */
    int64_t claim_ms;   /* when one was claimed last; 0: none was */
    int64_t now_ms;
};

enum {
    SA_POOL_AT_ONCE = 32,
    SA_POOL_DELETES_MOST = 64,
    SA_POOL_RUSH_MS = 20 /* between two claims, at most: one upon the other */
};
enum sa_pool_why {
    SA_POOL_WHY_GONE, /* the pool is */
    SA_POOL_WHY_USELESS,
    SA_POOL_WHY_FAILED,
    SA_POOL_WHY_OLD,
    SA_POOL_WHY_SURPLUS,
};
struct sa_pool_delete {
    size_t pod; /* index */
    enum sa_pool_why why;
};
struct sa_pool_plan {
    size_t creates;
    struct sa_pool_delete deletes[SA_POOL_DELETES_MOST];
    size_t delete_count;
    int64_t again_ms; /* look again then, whatever happens; 0: no need */
};
void sa_pool_plan(const struct sa_pool_observed *observed, struct sa_pool_plan *plan);
const char *sa_pool_why_reason(enum sa_pool_why why); /* "Surplus" */

struct sa_pool_counts {
    int64_t of[SA_POOL_POD_STATES];
    int64_t reserved, returning;
};
void sa_pool_count(const struct sa_pool_observed *observed, struct sa_pool_counts *counts);

/* The pause after so many failures in a row. */
int64_t sa_pool_pause_ms(unsigned failures);

#endif
