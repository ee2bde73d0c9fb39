/*
 * An arena: memory for the length of a request or a reconcile, freed at once. Out of memory
 * aborts (sa_alloc too); what outsiders can inflate must be capped before it gets here.
 */
#ifndef SA_BASE_ARENA_H
#define SA_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct sa_arena;

struct sa_arena *sa_arena_new(void);
/* For what lives long and is small: memory is taken in blocks of that many bytes, the first of them
 * with the arena itself. */
struct sa_arena *sa_arena_new_sized(size_t block_bytes);
void sa_arena_free(struct sa_arena *arena); /* NULL is allowed */

/* How large the block of another one must be that the same is to fit, asked for in the same order.
 */
size_t sa_arena_used(const struct sa_arena *arena);

/* Zeroed, aligned for any type; lives until the arena is freed. */
void *sa_arena_alloc(struct sa_arena *arena, size_t bytes);
char *sa_arena_strdup(struct sa_arena *arena, const char *text);
char *sa_arena_strndup(struct sa_arena *arena, const char *text, size_t length);
char *sa_arena_printf(struct sa_arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* malloc family that aborts when memory is out; free() with free(). Zeroed. */
void *sa_alloc(size_t bytes) __attribute__((returns_nonnull));
/* New bytes are not zeroed. */
void *sa_realloc(void *pointer, size_t bytes) __attribute__((returns_nonnull));
char *sa_strdup(const char *text);
char *sa_strndup(const char *text, size_t length);
char *sa_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
