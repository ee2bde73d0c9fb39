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
    size_t block_bytes, used;
};

#define OWN_OFFSET                                                                                 \
    ((sizeof(struct sa_arena) + alignof(struct block) - 1) / alignof(struct block) *               \
     alignof(struct block))

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

/* Its first block is one piece with it. */
static struct block *own_block(struct sa_arena *arena)
{
    return (struct block *)(void *)((char *)arena + OWN_OFFSET);
}

/* Its contents are not zero yet: what is taken of it will be. Most blocks are not used up. */
static void *uncleared(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p)
        out_of_memory();
    return p;
}

struct sa_arena *sa_arena_new_sized(size_t block_bytes)
{
    struct sa_arena *arena = uncleared(OWN_OFFSET + sizeof(struct block) + block_bytes);
    *arena = (struct sa_arena){.first = own_block(arena), .block_bytes = block_bytes};
    *arena->first = (struct block){.size = block_bytes};
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
        if (b != own_block(arena))
            free(b);
    }
    free(arena);
}

size_t sa_arena_used(const struct sa_arena *arena)
{
    return arena->used;
}

static struct block *block_for(struct sa_arena *arena, size_t bytes)
{
    size_t size = bytes > arena->block_bytes ? bytes : arena->block_bytes;
    struct block **at = &arena->first;
    struct block *b = uncleared(sizeof *b + size);
    if (size > arena->block_bytes)
        at = &arena->first->next; /* full at once: go on filling the first */
    b->used = 0;
    b->size = size;
    b->next = *at;
    *at = b;
    return b;
}

static size_t aligned(size_t at, size_t align)
{
    return (at + align - 1) & ~(align - 1);
}

static void *take(struct sa_arena *arena, size_t bytes, size_t align)
{
    if (bytes > SIZE_MAX / 2)
        out_of_memory();
    struct block *b = arena->first;
    size_t at = aligned(b->used, align);
    if (at > b->size || b->size - at < bytes) {
        b = block_for(arena, bytes);
        at = 0;
    }
    arena->used = aligned(arena->used, align) + bytes;
    b->used = at + bytes;
    return b->data + at;
}

void *sa_arena_alloc(struct sa_arena *arena, size_t bytes)
{
    return memset(take(arena, bytes, alignof(max_align_t)), 0, bytes);
}

char *sa_arena_strndup(struct sa_arena *arena, const char *text, size_t length)
{
    char *copy = take(arena, length + 1, 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
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
    char *text = take(arena, (size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}
