/*
 * The queue of bytes that wait to be written: a list of chunks. Whole frames are appended to the
 * last chunk while they fit, so that small frames share one and a reader can read(2) straight
 * into the place from which they are written. Emptied chunks are kept for the next frame, a few.
 */
#ifndef SA_LINK_QUEUE_H
#define SA_LINK_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct sa_chunk;

struct sa_queue {
    struct sa_chunk *first, *last;
    struct sa_chunk *spare; /* emptied, for large frames */
    unsigned spares;
    size_t bytes;
    size_t answers; /* of them, marked as answers to the peer (to the chunk) */
};

void sa_queue_deinit(struct sa_queue *queue);
/* Contiguous room for `want` bytes at the end. */
uint8_t *sa_queue_reserve(struct sa_queue *queue, size_t want);
/* How much sa_queue_reserve() gives without a new chunk. */
size_t sa_queue_tail_room(const struct sa_queue *queue);
/* The first `length` bytes of what was reserved are part of the queue now. */
void sa_queue_commit(struct sa_queue *queue, size_t length);
/* Before a commit: the `length` reserved bytes are an answer to the peer. */
void sa_queue_mark_answer(struct sa_queue *queue, size_t length);
size_t sa_queue_vectors(const struct sa_queue *queue, struct iovec *vectors, size_t max);
void sa_queue_consume(struct sa_queue *queue, size_t length);
/* Give spare memory back; at rest the queue then holds at most one small chunk. */
void sa_queue_trim(struct sa_queue *queue);

#endif
