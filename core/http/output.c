/* The output queue, see output.h. */
#include "http/output.h"

#include "base/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEGMENT_BYTES = 32 * 1024,
    POOL_MAX = 32,
    CHUNK_HEAD = 10, /* eight hexadecimal digits, CR LF */
    CHUNK_TAIL = 2,
};

struct sa_out_segment {
    struct sa_out_segment *next;
    char *data;
    size_t offset, length, capacity; /* capacity 0: owned, nothing can be added */
    void *owned;
    void (*release)(void *);
    char room[];
};

static struct sa_out_segment *segment_new(struct sa_out_pool *pool, size_t capacity)
{
    struct sa_out_segment *s;
    if (capacity <= SEGMENT_BYTES && pool->free) {
        s = pool->free;
        pool->free = s->next;
        pool->count--;
    } else {
        size_t size = capacity > SEGMENT_BYTES ? capacity : SEGMENT_BYTES;
        s = sa_realloc(NULL, sizeof *s + size); /* the room need not be zero */
        s->capacity = size;
    }
    s->next = NULL;
    s->data = s->room;
    s->offset = s->length = 0;
    s->owned = NULL;
    s->release = NULL;
    return s;
}

static void segment_free(struct sa_out_pool *pool, struct sa_out_segment *s)
{
    if (s->release)
        s->release(s->owned);
    if (s->capacity == SEGMENT_BYTES && pool->count < POOL_MAX) {
        s->next = pool->free;
        pool->free = s;
        pool->count++;
    } else {
        free(s);
    }
}

void sa_out_pool_deinit(struct sa_out_pool *pool)
{
    while (pool->free) {
        struct sa_out_segment *s = pool->free;
        pool->free = s->next;
        free(s);
    }
    pool->count = 0;
}

static void drop_first(struct sa_out *out)
{
    struct sa_out_segment *s = out->first;
    out->first = s->next;
    if (!out->first)
        out->last = NULL;
    segment_free(out->pool, s);
}

void sa_out_deinit(struct sa_out *out)
{
    while (out->first)
        drop_first(out);
    out->bytes = 0;
    out->chunk_open = false;
}

static void append(struct sa_out *out, struct sa_out_segment *s)
{
    if (out->last)
        out->last->next = s;
    else
        out->first = s;
    out->last = s;
}

static size_t room(const struct sa_out *out)
{
    return out->last && out->last->capacity ? out->last->capacity - out->last->length : 0;
}

char *sa_out_reserve(struct sa_out *out, size_t length)
{
    if (room(out) < length)
        append(out, segment_new(out->pool, length));
    return out->last->data + out->last->length;
}

void sa_out_commit(struct sa_out *out, size_t length)
{
    out->last->length += length;
    out->bytes += length;
}

void sa_out_add(struct sa_out *out, const void *data, size_t length)
{
    const char *from = data;
    while (length) {
        if (!room(out))
            append(out, segment_new(out->pool, SEGMENT_BYTES));
        size_t n = room(out) < length ? room(out) : length;
        memcpy(out->last->data + out->last->length, from, n);
        sa_out_commit(out, n);
        from += n;
        length -= n;
    }
}

void sa_out_add_owned(struct sa_out *out, void *data, size_t length, void (*release)(void *))
{
    if (!length) {
        release(data);
        return;
    }
    struct sa_out_segment *s = sa_alloc(sizeof *s);
    s->data = data;
    s->length = length;
    s->owned = data;
    s->release = release;
    append(out, s);
    out->bytes += length;
}

/* ---- chunks ---- */

char *sa_out_chunk_reserve(struct sa_out *out, size_t length)
{
    if (out->chunk_open && room(out) < length + CHUNK_TAIL)
        sa_out_chunk_close(out);
    if (!out->chunk_open) {
        sa_out_reserve(out, CHUNK_HEAD + length + CHUNK_TAIL);
        out->chunk_start = out->last->length;
        out->chunk_open = true;
        sa_out_commit(out, CHUNK_HEAD);
    }
    return out->last->data + out->last->length;
}

void sa_out_chunk_commit(struct sa_out *out, size_t length)
{
    sa_out_commit(out, length);
}

void sa_out_chunk_add(struct sa_out *out, const void *data, size_t length)
{
    const char *from = data;
    while (length) {
        char *to = sa_out_chunk_reserve(out, 1);
        size_t most = room(out);
        if (most <= CHUNK_TAIL)
            return; /* cannot be: room for one byte was reserved */
        size_t n = most - CHUNK_TAIL < length ? most - CHUNK_TAIL : length;
        memcpy(to, from, n);
        sa_out_commit(out, n);
        from += n;
        length -= n;
    }
}

static void put_chunk_head(char *to, size_t length)
{
    for (int i = 7; i >= 0; i--, length >>= 4)
        to[i] = "0123456789abcdef"[length & 15];
    to[8] = '\r';
    to[9] = '\n';
}

void sa_out_chunk_add_owned(struct sa_out *out, void *data, size_t length, void (*release)(void *))
{
    sa_out_chunk_close(out);
    if (length) {
        assert(length <= UINT32_MAX);
        put_chunk_head(sa_out_reserve(out, CHUNK_HEAD), length);
        sa_out_commit(out, CHUNK_HEAD);
    }
    sa_out_add_owned(out, data, length, release);
    if (length)
        sa_out_add(out, "\r\n", CHUNK_TAIL);
}

void sa_out_chunk_close(struct sa_out *out)
{
    if (!out->chunk_open)
        return;
    out->chunk_open = false;
    struct sa_out_segment *s = out->last;
    size_t length = s->length - out->chunk_start - CHUNK_HEAD;
    if (length) {
        put_chunk_head(s->data + out->chunk_start, length);
        memcpy(s->data + s->length, "\r\n", CHUNK_TAIL);
        sa_out_commit(out, CHUNK_TAIL);
    } else { /* a chunk of nothing would end the body */
        s->length -= CHUNK_HEAD;
        out->bytes -= CHUNK_HEAD;
    }
}

/* ---- writing ---- */

unsigned sa_out_vectors(const struct sa_out *out, uv_buf_t vectors[SA_OUT_VECTORS])
{
    unsigned n = 0;
    assert(!out->chunk_open);
    for (struct sa_out_segment *s = out->first; s && n < SA_OUT_VECTORS; s = s->next) {
        if (s->length == s->offset)
            continue;
        size_t length = s->length - s->offset;
        vectors[n].base = s->data + s->offset;
        vectors[n++].len = length;
    }
    return n;
}

void sa_out_consume(struct sa_out *out, size_t length)
{
    assert(length <= out->bytes);
    out->bytes -= length;
    while (out->first) {
        struct sa_out_segment *s = out->first;
        size_t n = s->length - s->offset < length ? s->length - s->offset : length;
        s->offset += n;
        length -= n;
        /* An open chunk may have left its segment behind what was written. */
        if (s->offset < s->length || (s == out->last && out->chunk_open))
            break;
        drop_first(out);
    }
    assert(!length);
}
