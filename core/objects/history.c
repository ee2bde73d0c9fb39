/* What has changed of late, in a ring: for watches, and for lists of how it was. */
#include "objects/embedded_private.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 16 * 1024 * 1024 };

static struct sa_change *at(const struct sa_history *h, size_t i)
{
    return &h->ring[(h->first + i) % h->capacity];
}

const struct sa_change *sa_history_at(const struct sa_history *history, size_t i)
{
    return at(history, i);
}

static void release(struct sa_history *h, const struct sa_change *change)
{
    h->bytes -= change->bytes;
    sa_object_unref(change->before);
    sa_object_unref(change->after);
}

static void drop_oldest(struct sa_history *h)
{
    struct sa_change *oldest = at(h, 0);
    h->forgotten = oldest->version;
    release(h, oldest);
    h->first = (h->first + 1) % h->capacity;
    h->count--;
    h->dropped++;
}

static void grow(struct sa_history *h)
{
    size_t capacity = h->capacity ? 2 * h->capacity : 64;
    struct sa_change *ring = sa_alloc(capacity * sizeof *ring);
    for (size_t i = 0; i < h->count; i++)
        ring[i] = *at(h, i);
    free(h->ring);
    h->ring = ring;
    h->capacity = capacity;
    h->first = 0;
}

/* What it keeps alive that nobody else needs: the version before. */
static size_t bytes_of(const struct sa_object *before, const struct sa_object *after)
{
    return sizeof(struct sa_change) + (before ? sa_object_memory(before, after) : 0);
}

void sa_history_add(struct sa_embedded *store, const struct sa_objects_call *call)
{
    struct sa_history *h = &store->history;
    const struct sa_object *before = call->change.before, *after = call->change.after;
    if (h->count == h->capacity)
        grow(h);
    h->count++;
    struct sa_change *change = at(h, h->count - 1);
    *change = (struct sa_change){.version = call->change.version,
                                 .kind = call->change.table->kind,
                                 .before = before ? sa_object_ref(before) : NULL,
                                 .after = after ? sa_object_ref(after) : NULL,
                                 .bytes = bytes_of(before, after)};
    h->bytes += change->bytes;
}

void sa_history_take_back(struct sa_embedded *store)
{
    struct sa_history *h = &store->history;
    while (h->count && at(h, h->count - 1)->version > store->committed)
        release(h, at(h, --h->count));
}

void sa_history_trim(struct sa_embedded *store)
{
    struct sa_history *h = &store->history;
    size_t committed = sa_history_after(h, store->committed);
    for (; committed > h->kept || (committed && h->bytes > BYTES_MAX); committed--)
        drop_oldest(h);
}

void sa_history_deinit(struct sa_embedded *store)
{
    while (store->history.count)
        drop_oldest(&store->history);
    free(store->history.ring);
}

/* They are numbered upwards, with gaps. */
size_t sa_history_after(const struct sa_history *h, uint64_t version)
{
    size_t low = 0, high = h->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (at(h, middle)->version <= version)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
