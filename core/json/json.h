/*
 * Reading JSON (RFC 8259) from outside, strictly. A text is parsed whole into a document; its
 * values are then decoded into structs at the edge with checked getters whose errors carry the
 * path of the field:
 *
 *     struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
 *     struct sa_json_obj root, resources;
 *     bool given;
 *     if (sa_json_root(doc, arena, &root, err) < 0 ||
 *         sa_json_get_string(&root, "runtime", 32, &spec->runtime, err) < 0 ||
 *         sa_json_opt_int(&root, "timeout", 1, 3600, &spec->timeout_s, NULL, err) < 0 ||
 *         sa_json_opt_obj(&root, "resources", &resources, &given, err) < 0 ||
 *         (given && (sa_json_opt_bytes(&resources, "memory", 0, MAX, &bytes, NULL, err) < 0 ||
 *                    sa_json_finish(&resources, err) < 0)) ||
 *         sa_json_finish(&root, err) < 0)
 *         return -1;
 *
 * Every getter returns 0, or -1 with SA_EINVALID, err->path (`resources.memory`, `command[2]`)
 * and a message that begins with the path. On failure `*out` is left alone.
 *
 *   sa_json_get_*   the member must be there
 *   sa_json_opt_*   it may be missing or null: then `*out` is left alone (set your default
 *                   before) and *present, which may be NULL, is false
 *
 * Keys are string literals, or live as long as the cursor: it remembers them. An object that is
 * read through a cursor may have at most 256 members, a map as many as its caller allows.
 *
 * Strings and lists come from the arena given to sa_json_root and outlive the document. Any
 * thread, but a document and its cursors belong to one at a time.
 */
#ifndef SA_JSON_JSON_H
#define SA_JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an outsider may send. A member that is 0 means its default. */
struct sa_json_limits {
    size_t max_bytes;  /* of the text; 1 MiB */
    size_t max_depth;  /* nested objects and arrays; 32, at most 500 */
    size_t max_values; /* all values together (each costs about 100 bytes); 65536 */
};

struct sa_json_doc;

/* Parse the whole text. Refused with SA_EINVALID, line and column: anything RFC 8259 does not
 * allow, text that is not UTF-8, lone surrogates, U+0000 (also as \u0000), numbers a double
 * cannot hold, duplicate keys, anything behind the value, more depth or values than the limits.
 * SA_ETOOLARGE beyond max_bytes. `limits` may be NULL. Free with sa_json_free(). */
struct sa_json_doc *sa_json_parse(const char *text, size_t length,
                                  const struct sa_json_limits *limits, struct sa_error *err);
void sa_json_free(struct sa_json_doc *doc); /* NULL is allowed */

enum sa_json_type {
    SA_JSON_MISSING,
    SA_JSON_NULL,
    SA_JSON_BOOL,
    SA_JSON_NUMBER,
    SA_JSON_STRING,
    SA_JSON_ARRAY,
    SA_JSON_OBJECT
};

/* Cursors; their members are private. A child points at its parent, which must live as long. */
enum { SA_JSON_KEYS_MAX = 48 /* different keys asked of one object */ };

struct sa_json_at { /* where a value is */
    const struct sa_json_at *parent;
    const char *key; /* or NULL: element `index` of an array */
    size_t index;
};

struct sa_json_notes; /* json/notes.h */

struct sa_json_obj {
    struct sa_json_at at;
    const void *node;
    struct sa_arena *arena;
    struct sa_json_notes *notes; /* NULL: none */
    size_t asked_count;
    const char *asked[SA_JSON_KEYS_MAX];
};

struct sa_json_arr {
    struct sa_json_at at;
    const void *node;
    struct sa_arena *arena;
    struct sa_json_notes *notes;
    const void *reached; /* element `reached_index`, so that a walk in order is cheap */
    size_t reached_index;
    size_t count;
};

/* The document's root as an object, or as an array of at most `max_count` elements. */
int sa_json_root(struct sa_json_doc *doc, struct sa_arena *arena, struct sa_json_obj *out,
                 struct sa_error *err);
int sa_json_root_arr(struct sa_json_doc *doc, struct sa_arena *arena, size_t max_count,
                     struct sa_json_arr *out, struct sa_error *err);

/* Type of a member, for fields that may be of several. Counts as asked. */
enum sa_json_type sa_json_type(struct sa_json_obj *obj, const char *key);
/* Refuse members that were never asked for: `unknown field "timout", did you mean "timeout"?` With
 * notes each of them is noted. */
int sa_json_finish(struct sa_json_obj *obj, struct sa_error *err);
/* Fail about a member for a reason of the caller's: fills path and message, returns -1. `key`
 * may be NULL: the object itself. */
int sa_json_fail(const struct sa_json_obj *obj, const char *key, struct sa_error *err,
                 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Scalars. Strings are at most `max_bytes` long (without NUL) and may be empty. Integers lie in
 * low..high; where that range reaches 2^53, a decimal string is taken too. */
int sa_json_get_string(struct sa_json_obj *obj, const char *key, size_t max_bytes, const char **out,
                       struct sa_error *err);
int sa_json_opt_string(struct sa_json_obj *obj, const char *key, size_t max_bytes, const char **out,
                       bool *present, struct sa_error *err);
int sa_json_get_int(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                    int64_t *out, struct sa_error *err);
int sa_json_opt_int(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                    int64_t *out, bool *present, struct sa_error *err);
int sa_json_get_double(struct sa_json_obj *obj, const char *key, double low, double high,
                       double *out, struct sa_error *err);
int sa_json_opt_double(struct sa_json_obj *obj, const char *key, double low, double high,
                       double *out, bool *present, struct sa_error *err);
int sa_json_get_bool(struct sa_json_obj *obj, const char *key, bool *out, struct sa_error *err);
int sa_json_opt_bool(struct sa_json_obj *obj, const char *key, bool *out, bool *present,
                     struct sa_error *err);
/* One of `names` (ended by NULL); *out is its index. */
int sa_json_get_enum(struct sa_json_obj *obj, const char *key, const char *const names[], int *out,
                     struct sa_error *err);
int sa_json_opt_enum(struct sa_json_obj *obj, const char *key, const char *const names[], int *out,
                     bool *present, struct sa_error *err);
/* Quantities (json/quantity.h) as string or number, in low..high: millicores and bytes. */
int sa_json_opt_cpu(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                    int64_t *millicores, bool *present, struct sa_error *err);
int sa_json_opt_bytes(struct sa_json_obj *obj, const char *key, int64_t low, int64_t high,
                      int64_t *bytes, bool *present, struct sa_error *err);

/* A list of strings, and an object whose values are strings (in the order of the text). */
struct sa_json_strings {
    const char **items;
    size_t count;
};
struct sa_json_pair {
    const char *key, *value;
};
struct sa_json_map {
    struct sa_json_pair *items;
    size_t count;
};
/* All of it anew. Where there is nothing, `items` is NULL. */
struct sa_json_strings sa_json_strings_copy(const struct sa_json_strings *from,
                                            struct sa_arena *arena);
struct sa_json_map sa_json_map_copy(const struct sa_json_map *from, struct sa_arena *arena);
int sa_json_get_strings(struct sa_json_obj *obj, const char *key, size_t max_count,
                        size_t max_bytes, struct sa_json_strings *out, struct sa_error *err);
int sa_json_opt_strings(struct sa_json_obj *obj, const char *key, size_t max_count,
                        size_t max_bytes, struct sa_json_strings *out, bool *present,
                        struct sa_error *err);
/* Keys are not empty and, like values, at most `max_bytes` long. */
int sa_json_opt_map(struct sa_json_obj *obj, const char *key, size_t max_count, size_t max_bytes,
                    struct sa_json_map *out, bool *present, struct sa_error *err);

/* The same of a merge patch (RFC 7396): a value may be null, and is NULL then: remove it. */
int sa_json_opt_patch(struct sa_json_obj *obj, const char *key, size_t max_count, size_t max_bytes,
                      struct sa_json_map *out, bool *present, struct sa_error *err);

/* Any value as compact JSON text, for what is passed on rather than understood. */
int sa_json_get_raw(struct sa_json_obj *obj, const char *key, const char **out, size_t *length,
                    struct sa_error *err);
int sa_json_opt_raw(struct sa_json_obj *obj, const char *key, const char **out, size_t *length,
                    bool *present, struct sa_error *err);

/* Nested values. Call sa_json_finish on each object. */
int sa_json_get_obj(struct sa_json_obj *obj, const char *key, struct sa_json_obj *out,
                    struct sa_error *err);
int sa_json_opt_obj(struct sa_json_obj *obj, const char *key, struct sa_json_obj *out,
                    bool *present, struct sa_error *err);
int sa_json_get_arr(struct sa_json_obj *obj, const char *key, size_t max_count,
                    struct sa_json_arr *out, struct sa_error *err);
int sa_json_opt_arr(struct sa_json_obj *obj, const char *key, size_t max_count,
                    struct sa_json_arr *out, bool *present, struct sa_error *err);
/* An object without members in the place of a member that is not there. */
void sa_json_none(const struct sa_json_obj *parent, const char *key, struct sa_json_obj *out);
/* Elements of an array; index < arr->count. Walk in order: going back starts anew. */
int sa_json_arr_string(struct sa_json_arr *arr, size_t index, size_t max_bytes, const char **out,
                       struct sa_error *err);
int sa_json_arr_int(struct sa_json_arr *arr, size_t index, int64_t low, int64_t high, int64_t *out,
                    struct sa_error *err);
int sa_json_arr_obj(struct sa_json_arr *arr, size_t index, struct sa_json_obj *out,
                    struct sa_error *err);
void sa_json_arr_raw(struct sa_json_arr *arr, size_t index, const char **out, size_t *length);

#endif
