/* Shared inside core/json: the tree, and the search for bytes that a JSON string escapes. */
#ifndef SA_JSON_INTERNAL_H
#define SA_JSON_INTERNAL_H

#include "json/json.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

struct sa_json_doc { /* lives in its own arena */
    struct sa_arena *arena;
    cJSON *root;
};

/* 2^53 - 1: up to here every integer has a double of its own. */
#define SA_JSON_SAFE_INTEGER INT64_C(9007199254740991)

/* Check the whole text against RFC 8259 and the limits (scan.c). cJSON alone is too lenient: it
 * takes control characters in strings, "01", "1." and cuts strings at \u0000. */
int sa_json_scan(const char *text, size_t length, const struct sa_json_limits *limits,
                 struct sa_error *err);

/* Fail about the value at `at` (get.c). */
int sa_json_fail_at(const struct sa_json_at *at, struct sa_error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Write the path of `at` and return its length, at most size - 1 (get.c). */
size_t sa_json_path(const struct sa_json_at *at, char *out, size_t size);
/* Room for one more in a list of SA_JSON_NOTES_MAX, or NULL (notes.c). */
struct sa_error *sa_json_new_note(struct sa_arena *arena, struct sa_error **list, size_t *count);

/* Find a member for a getter (get.c). sa_json_required fails when it
 * is missing or null; sa_json_optional then returns NULL and sets *present. */
const cJSON *sa_json_required(struct sa_json_obj *obj, const char *key, struct sa_error *err);
const cJSON *sa_json_optional(struct sa_json_obj *obj, const char *key, bool *present);
/* Where the member `key` of `obj` is. */
#define SA_JSON_MEMBER(obj, key) (&(const struct sa_json_at){&(obj)->at, (key), 0})

/* Decode one value. 0, or -1 with the path. */
int sa_json_to_string(const struct sa_json_at *at, const cJSON *node, struct sa_arena *arena,
                      size_t max_bytes, const char **out, struct sa_error *err);
int sa_json_to_int(const struct sa_json_at *at, const cJSON *node, int64_t low, int64_t high,
                   int64_t *out, struct sa_error *err);
int sa_json_to_obj(const struct sa_json_at *at, const cJSON *node, struct sa_arena *arena,
                   struct sa_json_obj *out, struct sa_error *err);
/* Fail with `expected WHAT, got ...`. */
int sa_json_expected(const struct sa_json_at *at, const cJSON *node, struct sa_error *err,
                     const char *what);

/* An excerpt of outside text for a message: quoted, cut, control characters as '?'. */
enum { SA_JSON_EXCERPT_BYTES = 64 };
const char *sa_json_excerpt(const char *text, char out[SA_JSON_EXCERPT_BYTES]);

/* Bits of the bytes at `s` (16 of them) that end a plain run: control characters, quotes,
 * backslashes and, with `high`, what is not ASCII. Bit i is byte i. */
enum { SA_JSON_STRIDE = 16 };
#ifdef __SSE2__
static inline unsigned sa_json_special(const char *s, int high)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1F)), v);
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i any = _mm_or_si128(control, _mm_or_si128(quote, backslash));
    if (high)
        any = _mm_or_si128(any, v); /* movemask takes the top bit of each byte */
    return (unsigned)_mm_movemask_epi8(any);
}
#else
/* The top bit of each byte of `v` that is below `n` (n <= 128) or has its top bit set when
 * `high`. Exact: no carries between bytes. */
static inline uint64_t sa_json_special8(uint64_t v, int high)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t low = v & ~tops; /* 7 bits each, so that sums stay in their byte */
    uint64_t control = ~(low + ones * 0x60) & tops;
    uint64_t quote = ~((low ^ ones * '"') + ones * 0x7F) & tops;
    uint64_t backslash = ~((low ^ ones * '\\') + ones * 0x7F) & tops;
    uint64_t ascii = (control | quote | backslash) & ~v;
    return high ? ascii | (v & tops) : ascii;
}

static inline unsigned sa_json_special(const char *s, int high)
{
    unsigned bits = 0;
    for (unsigned half = 0; half < 2; half++) {
        uint64_t v;
        memcpy(&v, s + 8 * half, 8);
        v = sa_json_special8(v, high);
        if (!v)
            continue;
        for (unsigned i = 0; i < 8; i++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            unsigned shift = 8 * i + 7;
#else
            unsigned shift = 8 * (7 - i) + 7;
#endif
            bits |= (unsigned)(v >> shift & 1) << (8 * half + i);
        }
    }
    return bits;
}
#endif

/* The same for one byte. */
static inline int sa_json_is_special(unsigned char c, int high)
{
    return c < 0x20 || c == '"' || c == '\\' || (high && c >= 0x80);
}

#endif
