/* Arena of chained blocks; large requests get a block of their own. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 4096 };

struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) char data[];
};

struct sa_arena {
    struct block *first; /* the one being filled */
    size_t block_bytes;
};

static _Noreturn void out_of_memory(void)
{
    static const char text[] = "out of memory\n";
    fwrite(text, 1, sizeof text - 1, stderr);
    abort();
}

void *sa_alloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *sa_realloc(void *pointer, size_t bytes)
{
    void *p = realloc(pointer, bytes ? bytes : 1);
    if (!p)
        out_of_memory();
    return p;
}

char *sa_strndup(const char *text, size_t length)
{
    char *copy = sa_alloc(length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *sa_strdup(const char *text)
{
    return sa_strndup(text, strlen(text));
}

char *sa_printf(const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory();
    return text;
}

struct sa_arena *sa_arena_new_sized(size_t block_bytes)
{
    struct sa_arena *arena = sa_alloc(sizeof *arena);
    arena->block_bytes = block_bytes;
    return arena;
}

struct sa_arena *sa_arena_new(void)
{
    return sa_arena_new_sized(BLOCK_BYTES);
}

void sa_arena_free(struct sa_arena *arena)
{
    if (!arena)
        return;
    for (struct block *b = arena->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(arena);
}

void *sa_arena_alloc(struct sa_arena *arena, size_t bytes)
{
    size_t align = alignof(max_align_t);
    if (bytes > SIZE_MAX / 2)
        out_of_memory();
    bytes = (bytes + align - 1) / align * align;
    struct block *b = arena->first;
    if (!b || b->size - b->used < bytes) {
        size_t size = bytes > arena->block_bytes ? bytes : arena->block_bytes;
        struct block **at = &arena->first;
        if (b && size > arena->block_bytes)
            at = &b->next; /* full at once: go on filling the first */
        b = sa_alloc(sizeof *b + size);
        b->size = size;
        b->next = *at;
        *at = b;
    }
    void *p = b->data + b->used;
    b->used += bytes;
    return p;
}

char *sa_arena_strndup(struct sa_arena *arena, const char *text, size_t length)
{
    char *copy = sa_arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *sa_arena_strdup(struct sa_arena *arena, const char *text)
{
    return sa_arena_strndup(arena, text, strlen(text));
}

char *sa_arena_printf(struct sa_arena *arena, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory();
    char *text = sa_arena_alloc(arena, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
