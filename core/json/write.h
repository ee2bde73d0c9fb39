/*
 * Writing JSON, straight into a buffer: no tree, no allocation but the buffer's growth.
 *
 *     struct sa_json_w w = sa_json_w_start(&buf);
 *     sa_json_w_begin_object(&w);
 *     sa_json_put_string(&w, "id", id);
 *     sa_json_put_int(&w, "exitCode", 0);
 *     sa_json_w_end_object(&w);
 *
 * Commas come by themselves. What is written is always valid UTF-8: in strings each byte that is
 * not becomes U+FFFD; bytes that must survive go through sa_json_w_bytes. Calls out of order
 * (a value without its key, an end without a begin) are bugs and abort.
 */
#ifndef SA_JSON_WRITE_H
#define SA_JSON_WRITE_H

#include "base/buf.h"
#include "json/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sa_json_w { /* private; copy it freely while nothing was written */
    struct sa_buf *out;
    uint64_t arrays; /* bit `depth`: that level is an array */
    unsigned depth;  /* at most 60 */
    bool comma, key;
};

struct sa_json_w sa_json_w_start(struct sa_buf *out);

void sa_json_w_begin_object(struct sa_json_w *w);
void sa_json_w_end_object(struct sa_json_w *w);
void sa_json_w_begin_array(struct sa_json_w *w);
void sa_json_w_end_array(struct sa_json_w *w);
void sa_json_w_key(struct sa_json_w *w, const char *key);

void sa_json_w_string(struct sa_json_w *w, const char *text); /* NULL is written as null */
void sa_json_w_stringn(struct sa_json_w *w, const char *text, size_t length);
void sa_json_w_int(struct sa_json_w *w, int64_t value);   /* from 2^53 on as a string */
void sa_json_w_double(struct sa_json_w *w, double value); /* NaN and infinity as null */
void sa_json_w_bool(struct sa_json_w *w, bool value);
void sa_json_w_null(struct sa_json_w *w);
/* JSON text of one value, written as it is: the caller vouches for it. */
void sa_json_w_raw(struct sa_json_w *w, const char *json, size_t length);
/* The members of a compact object, "{...}", into the one that is open; as above. */
void sa_json_w_raw_members(struct sa_json_w *w, const char *object, size_t length);

/* Key and value at once. */
void sa_json_put_string(struct sa_json_w *w, const char *key, const char *text);
void sa_json_put_stringn(struct sa_json_w *w, const char *key, const char *text, size_t length);
void sa_json_put_int(struct sa_json_w *w, const char *key, int64_t value);
void sa_json_put_double(struct sa_json_w *w, const char *key, double value);
void sa_json_put_bool(struct sa_json_w *w, const char *key, bool value);
void sa_json_put_null(struct sa_json_w *w, const char *key);
void sa_json_put_raw(struct sa_json_w *w, const char *key, const char *json, size_t length);
void sa_json_put_object(struct sa_json_w *w, const char *key); /* begins it */
void sa_json_put_array(struct sa_json_w *w, const char *key);  /* begins it */
void sa_json_put_strings(struct sa_json_w *w, const char *key, const char *const *items,
                         size_t count);
/* Nothing at all when it is empty, or 0: a string, a time (RFC 3339), an object of strings. */
void sa_json_put_text(struct sa_json_w *w, const char *key, const char *text);
void sa_json_put_time(struct sa_json_w *w, const char *key, int64_t wall_ms);
void sa_json_put_map(struct sa_json_w *w, const char *key, const struct sa_json_map *map);

/* A member `key` with bytes: as text when they are valid UTF-8, else as base64 and a second
 * member "encoding":"base64". True when it was base64. */
bool sa_json_w_bytes(struct sa_json_w *w, const char *key, const void *data, size_t length);
/* The same for several members that share one "encoding" (stdout and stderr): the caller chose
 * base64 because one of them was not UTF-8, and writes "encoding" itself. */
void sa_json_put_base64(struct sa_json_w *w, const char *key, const void *data, size_t length);

/* Only the escaped string with its quotes, appended to `out`. */
void sa_json_quote(struct sa_buf *out, const char *text, size_t length);

#endif
