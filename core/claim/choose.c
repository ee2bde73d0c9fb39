/* Which warm pod, and which pool. A pod: any that fits, from a random place on, so that processes
 * that share a store seldom want the same one. */
#include "claim/claim_private.h"

#include "base/cleanup.h"
#include "kinds/warm_pool.h"

#include <string.h>

/* Beyond the first that fits so many are looked at for one that only this tenant may have. */
enum { LOOK_FURTHER = 8 };

static uint64_t next_random(struct sa_claims *claims)
{
    uint64_t x = claims->random; /* xorshift64 (Marsaglia, 2003) */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return claims->random = x;
}

static bool is_kept(const struct sa_object *pod)
{
    return ((const struct sa_warm_pod_status *)sa_object_status(pod))->last_tenant[0];
}

static bool may_have(const struct sa_claims *claims, const struct sa_claim_call *call,
                     const char *pool, const struct sa_object *pod)
{
    const struct sa_warm_pod_spec *spec = sa_object_spec(pod);
    const struct sa_warm_pod_status *status = sa_object_status(pod);
    if (strcmp(sa_object_meta(pod)->namespace_, call->namespace_) != 0 ||
        (pool && strcmp(spec->pool, pool) != 0))
        return false;
    if (is_kept(pod) && strcmp(status->last_tenant, call->tenant) != 0)
        return false;
    return !sa_held_has(claims->held, pod) && (!call->fits || call->fits(call->user, pod));
}

static const struct sa_object *choose(struct sa_claims *claims, const struct sa_claim_call *call,
                                      const char *pool)
{
    const struct sa_informer_found ready =
        sa_informer_find(claims->caches->warm_pods, SA_BY_KEY, call->key);
    const struct sa_object *found = NULL;
    size_t start = ready.count ? next_random(claims) % ready.count : 0, further = 0;
    for (size_t i = 0; i < ready.count && further <= LOOK_FURTHER; i++) {
        const struct sa_object *pod = ready.items[(start + i) % ready.count];
        if (may_have(claims, call, pool, pod)) {
            if (is_kept(pod))
                return pod;
            if (!found)
                found = pod;
        }
        further += found != NULL;
    }
    return found;
}

const struct sa_object *sa_claim_choose(struct sa_claims *claims, const struct sa_claim_call *call)
{
    const struct sa_object *found = choose(claims, call, call->pool);
    if (!found && call->pool && call->warm == SA_WARM_PREFER)
        found = choose(claims, call, NULL);
    return found;
}

/* ---- for which pool it counts ---- */

/* One that wants none may be the one that has room left. */
static uint64_t weight_of(const struct sa_object *pool)
{
    const struct sa_warm_pool_status *status = sa_object_status(pool);
    return status->size > 0 ? (uint64_t)status->size : 1;
}

static const char *draw(struct sa_claims *claims, const struct sa_claim_call *call)
{
    sa_autofree char *place = sa_printf("%s/%s", call->namespace_, call->key);
    const struct sa_informer_found pools =
        sa_informer_find(claims->caches->warm_pools, SA_BY_POOL_KEY, place);
    uint64_t sum = 0, at;
    size_t i = 0;
    for (size_t k = 0; k < pools.count; k++)
        sum += weight_of(pools.items[k]);
    if (!sum)
        return NULL;
    for (at = next_random(claims) % sum; at >= weight_of(pools.items[i]); i++)
        at -= weight_of(pools.items[i]);
    return sa_object_meta(pools.items[i])->name;
}

const char *sa_claim_pool(struct sa_claims *claims, const struct sa_claim_call *call)
{
    if (call->pod)
        return ((const struct sa_warm_pod_spec *)sa_object_spec(call->pod))->pool;
    return call->pool ? call->pool : draw(claims, call);
}
