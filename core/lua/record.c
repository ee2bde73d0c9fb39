/* Two rings, of denials and of the rest, each in the order of sequence; found by id in a hash. */
#include "lua/record.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/id.h"

#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct sa_recorded {
    struct sa_decision decision; /* its pointers go into `bytes` */
    unsigned refs;
    size_t size, input_length;
    UT_hash_handle hh; /* by id */
    char id[SA_ID_BYTES];
    char bytes[]; /* input, verdict, error */
};

struct ring {
    struct sa_recorded *items[SA_RECORD_MAX];
    size_t head, count, bytes;
};

struct sa_record {
    struct ring rest, denied;
    struct sa_recorded *by_id;
    uint64_t sequence;
    struct sa_engine_listener *listeners;
};

struct sa_record *sa_record_new(void)
{
    return sa_alloc(sizeof(struct sa_record));
}

static struct sa_recorded *ring_at(const struct ring *ring, size_t index)
{
    return ring->items[(ring->head + index) % SA_RECORD_MAX];
}

static void drop_oldest(struct sa_record *record, struct ring *ring)
{
    struct sa_recorded *oldest = ring_at(ring, 0);
    ring->head = (ring->head + 1) % SA_RECORD_MAX;
    ring->count--;
    ring->bytes -= oldest->size;
    HASH_DEL(record->by_id, oldest); // NOLINT(clang-analyzer-*)
    sa_recorded_unref(oldest);
}

void sa_record_free(struct sa_record *record)
{
    if (!record)
        return;
    while (record->rest.count)
        drop_oldest(record, &record->rest);
    while (record->denied.count)
        drop_oldest(record, &record->denied);
    free(record);
}

static void make_room(struct sa_record *record, size_t size)
{
    struct ring *rest = &record->rest, *denied = &record->denied;
    while (
        rest->count + denied->count >= SA_RECORD_MAX ||
        (rest->count + denied->count > 0 && rest->bytes + denied->bytes + size > SA_RECORD_BYTES)) {
        bool half = denied->count > SA_RECORD_MAX / 2 || denied->bytes > SA_RECORD_BYTES / 2;
        drop_oldest(record, denied->count && (half || !rest->count) ? denied : rest);
    }
}

/* A value without what its decoder has noted about it. */
static size_t encoded_size(const struct sa_value *value)
{
    return value->type == SA_VALUE_MAP ? value->length + 2 : 0;
}

static char *put(char *to, const void *data, size_t length)
{
    if (length)
        memcpy(to, data, length);
    return to + length;
}

static struct sa_recorded *copy(const struct sa_decision *from, const void *input, size_t length)
{
    size_t verdict = encoded_size(&from->verdict),
           error = from->error ? strlen(from->error) + 1 : 0;
    size_t size = sizeof(struct sa_recorded) + length + verdict + error;
    struct sa_recorded *r = sa_alloc(size);
    r->decision = *from;
    r->refs = 1;
    r->size = size;
    r->input_length = length;
    memcpy(r->id, from->id, strnlen(from->id, sizeof r->id - 1));
    r->decision.id = r->id;
    char *to = put(r->bytes, input, length), *start = to;
    r->decision.input = sa_value_of(r->bytes, length);
    if (verdict) {
        *to++ = SA_VALUE_MAP;
        to = put(to, from->verdict.data, from->verdict.length);
        *to++ = SA_VALUE_END;
    }
    r->decision.verdict = sa_value_of(start, verdict);
    r->decision.error = error ? to : NULL;
    put(to, from->error, error);
    return r;
}

void sa_record_add(struct sa_record *record, const struct sa_decision *decision, const void *input,
                   size_t input_length)
{
    struct sa_recorded *r = copy(decision, input, input_length);
    make_room(record, r->size);
    struct ring *ring = decision->denied ? &record->denied : &record->rest;
    r->decision.sequence = ++record->sequence;
    ring->items[(ring->head + ring->count++) % SA_RECORD_MAX] = r;
    ring->bytes += r->size;
    HASH_ADD_STR(record->by_id, id, r); // NOLINT(clang-analyzer-*)
    struct sa_engine_listener *listener, *next;
    sa_recorded_ref(&r->decision); /* a listener may cause more decisions */
    DL_FOREACH_SAFE (record->listeners, listener, next)
        listener->decided(listener, &r->decision);
    sa_recorded_unref(r);
}

const struct sa_decision *sa_record_find(const struct sa_record *record, const char *id)
{
    struct sa_recorded *r;
    HASH_FIND_STR(record->by_id, id, r); // NOLINT(clang-analyzer-*)
    return r ? &r->decision : NULL;
}

/* How many of the ring have a sequence of at most this. */
static size_t count_until(const struct ring *ring, uint64_t sequence)
{
    size_t low = 0, high = ring->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring_at(ring, middle)->decision.sequence <= sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct sa_decision *sa_record_after(const struct sa_record *record, uint64_t sequence)
{
    size_t r = count_until(&record->rest, sequence), d = count_until(&record->denied, sequence);
    struct sa_recorded *rest = r < record->rest.count ? ring_at(&record->rest, r) : NULL;
    struct sa_recorded *denied = d < record->denied.count ? ring_at(&record->denied, d) : NULL;
    if (rest && (!denied || rest->decision.sequence < denied->decision.sequence))
        return &rest->decision;
    return denied ? &denied->decision : NULL;
}

const struct sa_decision *sa_record_before(const struct sa_record *record, uint64_t sequence)
{
    if (sequence == 0)
        return NULL;
    size_t r = count_until(&record->rest, sequence - 1),
           d = count_until(&record->denied, sequence - 1);
    struct sa_recorded *rest = r ? ring_at(&record->rest, r - 1) : NULL;
    struct sa_recorded *denied = d ? ring_at(&record->denied, d - 1) : NULL;
    if (rest && (!denied || rest->decision.sequence > denied->decision.sequence))
        return &rest->decision;
    return denied ? &denied->decision : NULL;
}

void sa_record_listen(struct sa_record *record, struct sa_engine_listener *listener)
{
    DL_APPEND(record->listeners, listener);
}

void sa_record_unlisten(struct sa_record *record, struct sa_engine_listener *listener)
{
    DL_DELETE(record->listeners, listener);
}

struct sa_recorded *sa_recorded_ref(const struct sa_decision *decision)
{
    struct sa_recorded *r = sa_container_of(decision, struct sa_recorded, decision);
    r->refs++;
    return r;
}

void sa_recorded_unref(struct sa_recorded *recorded)
{
    if (--recorded->refs == 0)
        free(recorded);
}

const struct sa_decision *sa_recorded_decision(const struct sa_recorded *recorded)
{
    return &recorded->decision;
}

struct sa_buf sa_recorded_input(const struct sa_recorded *recorded)
{
    return (struct sa_buf){.data = (char *)recorded->bytes,
                           .length = recorded->input_length,
                           .capacity = recorded->input_length};
}
