#include "link/queue.h"

#include "base/arena.h"
#include "link/link.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SMALL_BYTES = 4096 - 48, /* one page with the header and malloc's own */
    LARGE_BYTES = SA_LINK_HEADER_BYTES + SA_LINK_PAYLOAD_MAX,
    SPARES_MAX = 4,
};

struct sa_chunk {
    struct sa_chunk *next;
    size_t start, end, size; /* data[start..end) waits to be written */
    size_t answers;
    uint8_t data[];
};

static struct sa_chunk *chunk_get(struct sa_queue *queue, size_t want)
{
    struct sa_chunk *chunk = queue->spare;
    if (want > SMALL_BYTES && chunk) {
        queue->spare = chunk->next;
        queue->spares--;
    } else {
        size_t size = want > SMALL_BYTES ? LARGE_BYTES : SMALL_BYTES;
        assert(want <= size);
        chunk = sa_realloc(NULL, sizeof *chunk + size); /* not zeroed: it is all written first */
        chunk->size = size;
    }
    chunk->next = NULL;
    chunk->start = chunk->end = chunk->answers = 0;
    return chunk;
}

static void chunk_put(struct sa_queue *queue, struct sa_chunk *chunk)
{
    if (chunk->size == LARGE_BYTES && queue->spares < SPARES_MAX) {
        chunk->next = queue->spare;
        queue->spare = chunk;
        queue->spares++;
    } else {
        free(chunk);
    }
}

static void free_list(struct sa_chunk *chunk)
{
    while (chunk) {
        struct sa_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void sa_queue_deinit(struct sa_queue *queue)
{
    free_list(queue->first);
    free_list(queue->spare);
    *queue = (struct sa_queue){0};
}

size_t sa_queue_tail_room(const struct sa_queue *queue)
{
    return queue->last ? queue->last->size - queue->last->end : 0;
}

uint8_t *sa_queue_reserve(struct sa_queue *queue, size_t want)
{
    if (sa_queue_tail_room(queue) >= want)
        return queue->last->data + queue->last->end;
    struct sa_chunk *chunk = chunk_get(queue, want);
    struct sa_chunk *last = queue->last;
    if (!last) {
        queue->first = chunk;
    } else if (last->start == last->end) {
        /* Only the sole chunk of an empty queue can be empty: replace it. */
        assert(queue->first == last);
        chunk_put(queue, last);
        queue->first = chunk;
    } else {
        last->next = chunk;
    }
    queue->last = chunk;
    return chunk->data;
}

/* Dropping the only thing that was reserved may leave an empty chunk behind others. */
static void drop_empty_last(struct sa_queue *queue)
{
    if (queue->last->start != queue->last->end || queue->first == queue->last)
        return;
    struct sa_chunk *before = queue->first;
    while (before->next != queue->last)
        before = before->next;
    chunk_put(queue, queue->last);
    before->next = NULL;
    queue->last = before;
}

void sa_queue_commit(struct sa_queue *queue, size_t length)
{
    assert(length <= sa_queue_tail_room(queue));
    queue->last->end += length;
    queue->bytes += length;
    if (!length)
        drop_empty_last(queue);
}

void sa_queue_mark_answer(struct sa_queue *queue, size_t length)
{
    queue->last->answers += length;
    queue->answers += length;
}

size_t sa_queue_vectors(const struct sa_queue *queue, struct iovec *vectors, size_t max)
{
    size_t count = 0;
    for (struct sa_chunk *c = queue->first; c && count < max; c = c->next)
        if (c->end > c->start)
            vectors[count++] = (struct iovec){c->data + c->start, c->end - c->start};
    return count;
}

void sa_queue_consume(struct sa_queue *queue, size_t length)
{
    assert(length <= queue->bytes);
    queue->bytes -= length;
    while (length) {
        struct sa_chunk *chunk = queue->first;
        size_t here = chunk->end - chunk->start;
        if (here > length) {
            chunk->start += length;
            return;
        }
        length -= here;
        queue->answers -= chunk->answers;
        chunk->start = chunk->end = chunk->answers = 0;
        if (chunk == queue->last)
            return; /* stays, for the next frame */
        queue->first = chunk->next;
        chunk_put(queue, chunk);
    }
}

void sa_queue_trim(struct sa_queue *queue)
{
    free_list(queue->spare);
    queue->spare = NULL;
    queue->spares = 0;
    if (queue->bytes == 0 && queue->last && queue->last->size > SMALL_BYTES) {
        free(queue->last);
        queue->first = queue->last = NULL;
    }
}
