/*
 * The output queue of a connection: segments that are written with writev. Copied bytes go into
 * pooled segments; owned buffers are queued as they are. It also makes chunks (RFC 9112, 7.1):
 * small writes share one chunk, whose size is filled in when it is closed.
 *
 * Internal to core/http.
 */
#ifndef SA_HTTP_OUTPUT_H
#define SA_HTTP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct sa_out_segment;

/* Free segments, shared by all connections of a server. */
struct sa_out_pool {
    struct sa_out_segment *free;
    unsigned count;
};

struct sa_out {
    struct sa_out_pool *pool;
    struct sa_out_segment *first, *last;
    size_t bytes;    /* queued, chunk framing included */
    bool chunk_open; /* in `last`, from chunk_start on */
    size_t chunk_start;
};

enum { SA_OUT_VECTORS = 32 };

void sa_out_pool_deinit(struct sa_out_pool *pool);
void sa_out_deinit(struct sa_out *out); /* drops (and releases) everything */

/* Contiguous room for `length` bytes; commit what was used. */
char *sa_out_reserve(struct sa_out *out, size_t length);
void sa_out_commit(struct sa_out *out, size_t length);
void sa_out_add(struct sa_out *out, const void *data, size_t length);
void sa_out_add_owned(struct sa_out *out, void *data, size_t length, void (*release)(void *));

/* The same, as contents of chunks. */
char *sa_out_chunk_reserve(struct sa_out *out, size_t length);
void sa_out_chunk_commit(struct sa_out *out, size_t length);
void sa_out_chunk_add(struct sa_out *out, const void *data, size_t length);
void sa_out_chunk_add_owned(struct sa_out *out, void *data, size_t length, void (*release)(void *));
void sa_out_chunk_close(struct sa_out *out); /* before anything else is added or written */

/* The front of the queue; no chunk may be open. */
unsigned sa_out_vectors(const struct sa_out *out, uv_buf_t vectors[SA_OUT_VECTORS]);
void sa_out_consume(struct sa_out *out, size_t length);

#endif
