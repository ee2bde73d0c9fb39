#include "claim/held.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct held_pod {
    UT_hash_handle hh;
    const struct sa_object *pod; /* as it was taken; a reference; its uid is the key */
    bool trying;
};
struct sa_held {
    struct sa_informer_handler handler;
    struct sa_informer *warm_pods;
    struct held_pod *pods;
};

static struct held_pod *find(const struct sa_held *held, const struct sa_object *pod)
{
    struct held_pod *found;
    HASH_FIND_STR(held->pods, sa_object_meta(pod)->uid, found);
    return found;
}

static void drop(struct sa_held *held, struct held_pod *h)
{
    HASH_DEL(held->pods, h); /* NOLINT: uthash */
    sa_object_unref(h->pod);
    free(h);
}

static bool same_version(const struct sa_object *a, const struct sa_object *b)
{
    const struct sa_object_meta *m = sa_object_meta(a), *n = sa_object_meta(b);
    return strcmp(m->uid, n->uid) == 0 && strcmp(m->resource_version, n->resource_version) == 0;
}

/* `shown` NULL: the cache has it no more. */
static void drop_when_over(struct sa_held *held, struct held_pod *h, const struct sa_object *shown)
{
    if (!h->trying && (!shown || !same_version(shown, h->pod)))
        drop(held, h);
}

static void on_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                       const struct sa_object *now)
{
    struct sa_held *held = (struct sa_held *)handler;
    struct held_pod *h = find(held, now ? now : before);
    if (h)
        drop_when_over(held, h, now);
}

struct sa_held *sa_held_new(struct sa_informer *warm_pods)
{
    struct sa_held *held = sa_alloc(sizeof *held);
    held->warm_pods = warm_pods;
    held->handler.changed = on_changed;
    sa_informer_add_handler(warm_pods, &held->handler);
    return held;
}

void sa_held_free(struct sa_held *held)
{
    struct held_pod *h, *next;
    sa_informer_remove_handler(held->warm_pods, &held->handler);
    HASH_ITER (hh, held->pods, h, next)
        drop(held, h);
    free(held);
}

bool sa_held_has(const struct sa_held *held, const struct sa_object *pod)
{
    return find(held, pod) != NULL;
}

void sa_held_take(struct sa_held *held, const struct sa_object *pod)
{
    struct held_pod *h = sa_alloc(sizeof *h);
    h->pod = sa_object_ref(pod);
    h->trying = true;
    const char *uid = sa_object_meta(h->pod)->uid;
    HASH_ADD_KEYPTR(hh, held->pods, uid, strlen(uid), h);
}

void sa_held_leave(struct sa_held *held, const struct sa_object *pod)
{
    struct held_pod *h = find(held, pod);
    if (!h)
        return;
    h->trying = false; /* what the cache has heard of meanwhile counts */
    drop_when_over(held, h, sa_informer_get(held->warm_pods, sa_object_key(pod)));
}

void sa_held_release(struct sa_held *held, const struct sa_object *pod)
{
    struct held_pod *h = find(held, pod);
    if (h)
        drop(held, h);
}

size_t sa_held_count(const struct sa_held *held)
{
    return HASH_COUNT(held->pods);
}
