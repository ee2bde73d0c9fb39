#include "controller/pool/plan.h"

#include "base/arena.h"

#include <stdlib.h>

enum { PAUSE_FIRST_MS = 200, PAUSE_MOST_MS = 60 * 1000 };

const char *sa_pool_why_reason(enum sa_pool_why why)
{
    static const char *const reasons[] = {"PoolDeleted", "Outdated", "Failed", "Expired",
                                          "Surplus"};
    return reasons[why];
}

int64_t sa_pool_pause_ms(unsigned failures)
{
    int64_t pause = PAUSE_FIRST_MS;
    while (failures > 1 && pause < PAUSE_MOST_MS) {
        pause *= 2;
        failures--;
    }
    return pause < PAUSE_MOST_MS ? pause : PAUSE_MOST_MS;
}

void sa_pool_count(const struct sa_pool_observed *observed, struct sa_pool_counts *counts)
{
    *counts = (struct sa_pool_counts){.of = {0}};
    for (size_t i = 0; i < observed->count; i++) {
        const struct sa_pool_pod *pod = &observed->pods[i];
        counts->of[pod->state]++;
        counts->reserved += pod->state == SA_POOL_POD_READY && pod->reserved;
        counts->returning += pod->returning;
    }
}

/* ---- what there is ---- */

struct tally {
    int64_t ready, pending;         /* good ones */
    int64_t old_ready, old_pending; /* pods that are to be replaced */
    int64_t recycling, due, useless;
    int64_t reserved, tolerated; /* the latter of ready and pending */
    int64_t in_use;              /* that will be back */
    int64_t helpers;             /* of those and the reserved ones: as good as wanted ones */
};

static bool is_free(const struct sa_pool_pod *pod)
{
    return pod->state == SA_POOL_POD_READY || pod->state == SA_POOL_POD_PENDING;
}

static void take(struct tally *t, const struct sa_pool_pod *pod)
{
    const bool ready = pod->state == SA_POOL_POD_READY;
    t->helpers += pod->returning ||
                  (is_free(pod) && !pod->useless && !pod->old && pod->reserved && pod->tolerated);
    t->in_use += pod->returning && pod->state == SA_POOL_POD_ASSIGNED;
    if (pod->state == SA_POOL_POD_RECYCLING)
        t->recycling++;
    else if (!is_free(pod))
        return;
    else if (pod->useless)
        t->useless++;
    else if (pod->old)
        *(ready ? &t->old_ready : &t->old_pending) += 1;
    else if (pod->reserved)
        t->reserved++;
    else {
        *(ready ? &t->ready : &t->pending) += 1;
        t->tolerated += pod->tolerated;
    }
}

static struct tally take_stock(const struct sa_pool_observed *o)
{
    struct tally t = {.due = (int64_t)o->creates_due};
    for (size_t i = 0; i < o->count; i++)
        take(&t, &o->pods[i]);
    if (t.helpers > o->wanted / 2)
        t.helpers = o->wanted / 2;
    return t;
}

/* What counts as wanted, and what counts against max. */
static int64_t good_of(const struct tally *t)
{
    return t->ready + t->pending + t->due + t->helpers;
}

static int64_t all_of(const struct tally *t)
{
    return t->ready + t->pending + t->due + t->in_use + t->recycling + t->reserved + t->old_ready +
           t->old_pending + t->useless;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- deletions ---- */

static bool add(struct sa_pool_plan *plan, size_t pod, enum sa_pool_why why)
{
    if (plan->delete_count == SA_POOL_DELETES_MOST)
        return false;
    plan->deletes[plan->delete_count++] = (struct sa_pool_delete){pod, why};
    return true;
}

static void delete_all_free(const struct sa_pool_observed *o, struct sa_pool_plan *plan)
{
    for (size_t i = 0; i < o->count; i++)
        if (is_free(&o->pods[i]) || o->pods[i].state == SA_POOL_POD_FAILED)
            add(plan, i, SA_POOL_WHY_GONE);
}

/* Pods that nobody can want, whatever the size. */
static void delete_useless(const struct sa_pool_observed *o, struct sa_pool_plan *plan)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct sa_pool_pod *pod = &o->pods[i];
        if (is_free(pod) && pod->useless)
            add(plan, i, SA_POOL_WHY_USELESS);
        else if (pod->state == SA_POOL_POD_PENDING && pod->old)
            add(plan, i, SA_POOL_WHY_OLD);
        else if (pod->state == SA_POOL_POD_FAILED && o->now_ms >= o->retry_ms)
            add(plan, i, SA_POOL_WHY_FAILED);
    }
}

struct candidate {
    int rank; /* lower ones go first */
    int64_t created_ms;
    size_t pod;
};

static int by_rank(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    return x->pod < y->pod ? -1 : x->pod > y->pod;
}

enum group { GOOD, UNTOLERATED, RESERVED, OLD }; /* UNTOLERATED: of the good ones */

/* Its rank in that group; -1: it is not of it. */
static int rank_in(const struct sa_pool_pod *pod, enum group group)
{
    const bool ready = pod->state == SA_POOL_POD_READY;
    if (!is_free(pod) || pod->useless)
        return -1;
    if (group == OLD || pod->old)
        return group == OLD && pod->old && ready ? 0 : -1;
    if (group == RESERVED || pod->reserved)
        return group == RESERVED && pod->reserved ? pod->tolerated : -1;
    if (group == UNTOLERATED && pod->tolerated)
        return -1;
    return ready;
}

static void delete_some(const struct sa_pool_observed *o, struct sa_pool_plan *plan,
                        enum group group, int64_t count)
{
    struct candidate *list = count > 0 && o->count ? sa_alloc(o->count * sizeof *list) : NULL;
    size_t n = 0;
    for (size_t i = 0; list && i < o->count; i++) {
        int rank = rank_in(&o->pods[i], group);
        if (rank >= 0)
            list[n++] = (struct candidate){rank, o->pods[i].created_ms, i};
    }
    if (n)
        qsort(list, n, sizeof *list, by_rank);
    for (size_t i = 0; i < n && (int64_t)i < count; i++)
        add(plan, list[i].pod, group == OLD ? SA_POOL_WHY_OLD : SA_POOL_WHY_SURPLUS);
    free(list);
}

/* Helpers are a reason to make fewer, and to delete others only where there is no room for all. */
static void delete_surplus(const struct sa_pool_observed *o, struct tally *t,
                           struct sa_pool_plan *plan)
{
    const int64_t above = all_of(t) - o->max, surplus = good_of(t) - o->wanted;
    int64_t count = surplus - t->helpers;
    if (above > 0) { /* nothing is tolerated above it */
        count = most(count, least(surplus, above));
        delete_some(o, plan, GOOD, count);
    } else { /* those that are tolerated are the surplus, as far as they go */
        count -= t->tolerated;
        delete_some(o, plan, UNTOLERATED, count);
    }
    t->ready -= most(count, 0);
}

static void delete_reserved(const struct sa_pool_observed *o, const struct tally *t,
                            struct sa_pool_plan *plan)
{
    int64_t lacking = most(o->wanted - good_of(t), 0), room = o->max - all_of(t);
    int64_t over = 0; /* their time */
    for (size_t i = 0; i < o->count; i++)
        over += rank_in(&o->pods[i], RESERVED) == 0;
    delete_some(o, plan, RESERVED, most(over, lacking - room));
}

/* Old ones stay while they make up for what is not ready yet, but never above `max`. */
static void delete_old(const struct sa_pool_observed *o, const struct tally *t,
                       struct sa_pool_plan *plan)
{
    int64_t missing = most(o->wanted - t->ready, 0), lacking = o->wanted - good_of(t);
    int64_t spare = t->old_ready - least(t->old_ready, missing);
    int64_t room = o->max - all_of(t);
    if (room < 0)
        spare = most(spare, -room);
    else if (room == 0 && lacking > 0 && spare == 0 && t->pending + t->due == 0)
        spare = most(1, o->wanted / 4); /* there is no other way */
    delete_some(o, plan, OLD, spare);
}

/* ---- creations ---- */

static bool is_rush(const struct sa_pool_observed *o, const struct tally *t)
{
    return o->claim_ms && o->now_ms - o->claim_ms < SA_POOL_RUSH_MS && 4 * t->ready >= o->wanted;
}

static size_t creations(const struct sa_pool_observed *o, const struct tally *t)
{
    int64_t window = most(SA_POOL_AT_ONCE >> least(o->failures, 5), 1) - t->pending - t->due;
    int64_t count = least(least(o->wanted - good_of(t), o->max - all_of(t)), window);
    return count > 0 && o->able && o->now_ms >= o->retry_ms ? (size_t)count : 0;
}

void sa_pool_plan(const struct sa_pool_observed *o, struct sa_pool_plan *plan)
{
    *plan = (struct sa_pool_plan){.creates = 0};
    if (o->exists && o->now_ms < o->retry_ms)
        plan->again_ms = o->retry_ms;
    if (!o->exists) {
        if (!o->deletes_due)
            delete_all_free(o, plan);
        return;
    }
    struct tally t = take_stock(o);
    plan->creates = creations(o, &t);
    if (plan->creates && is_rush(o, &t)) {
        plan->creates = 0;
        plan->again_ms = o->claim_ms + SA_POOL_RUSH_MS;
    }
    if (o->deletes_due)
        return;
    delete_useless(o, plan);
    delete_surplus(o, &t, plan);
    delete_reserved(o, &t, plan);
    delete_old(o, &t, plan);
}
