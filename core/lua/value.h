/*
 * Values as they cross between a process and its policy-worker: nil, booleans, integers, numbers,
 * byte strings, lists and maps (string keys), in a compact encoding that either side reads without
 * building a tree.
 *
 *     0 end      of the innermost list or map
 *     1 nil      never inside a map
 *     2 false    3 true
 *     4 integer  zigzag varint, at most 10 bytes
 *     5 number   IEEE 754 double, 8 bytes, little-endian; NaN and infinities are refused
 *     6 string   varint length, bytes
 *     7 list     values, then end
 *     8 map      (key as varint length + 1 and bytes, value) each, then end; a key appears once
 *
 * Caps, checked by both sides before anything is looked at: SA_VALUE_MAX bytes, SA_VALUE_DEPTH
 * levels. A value that breaks a rule is SA_EPROTOCOL. No function here keeps a pointer; what a
 * reader returns points into the bytes it reads.
 */
#ifndef SA_LUA_VALUE_H
#define SA_LUA_VALUE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SA_VALUE_MAX = 120 * 1024, SA_VALUE_DEPTH = 16 };

enum sa_value_type {
    SA_VALUE_END = 0,
    SA_VALUE_NIL,
    SA_VALUE_FALSE,
    SA_VALUE_TRUE,
    SA_VALUE_INT,
    SA_VALUE_NUMBER,
    SA_VALUE_STRING,
    SA_VALUE_LIST,
    SA_VALUE_MAP,
};
const char *sa_value_type_name(enum sa_value_type type); /* "boolean", "integer", ... */

/* Writing: append to a buffer. Inside a map each value follows its key. */
void sa_value_nil(struct sa_buf *out);
void sa_value_bool(struct sa_buf *out, bool value);
void sa_value_int(struct sa_buf *out, int64_t value);
void sa_value_number(struct sa_buf *out, double value); /* what is not finite becomes 0 */
void sa_value_string(struct sa_buf *out, const void *data, size_t length);
void sa_value_text(struct sa_buf *out, const char *text);
void sa_value_list(struct sa_buf *out);
void sa_value_map(struct sa_buf *out);
void sa_value_end(struct sa_buf *out);
void sa_value_key(struct sa_buf *out, const char *key);
void sa_value_keyn(struct sa_buf *out, const char *key, size_t length);
/* Key and value at once; text NULL: nothing is written. */
void sa_value_put_text(struct sa_buf *out, const char *key, const char *text);
void sa_value_put_int(struct sa_buf *out, const char *key, int64_t value);
void sa_value_put_number(struct sa_buf *out, const char *key, double value);
void sa_value_put_bool(struct sa_buf *out, const char *key, bool value);

/* Reading: one item after the other. */
struct sa_value {
    enum sa_value_type type;
    int64_t integer;  /* INT */
    double number;    /* INT and NUMBER */
    const char *data; /* STRING; and of LIST, MAP: what is in it, up to its end, for
                         sa_value_enter(); not terminated by NUL */
    size_t length;
};
struct sa_value_reader {
    const uint8_t *next, *end;
    bool map; /* it is a map that was entered */
};

/* Check a whole value (caps, structure, duplicate keys are not looked for) and that nothing
 * follows it. After this, the functions below cannot fail on it. */
int sa_value_check(const void *data, size_t length, struct sa_error *err);
/* A checked value. */
struct sa_value sa_value_of(const void *data, size_t length);
struct sa_value_reader sa_value_enter(const struct sa_value *collection);
/* The next value of a list; false at the end, and for what is no list. */
bool sa_value_next(struct sa_value_reader *reader, struct sa_value *value);
/* The next member of a map; false at the end, and for what is no map. */
bool sa_value_next_member(struct sa_value_reader *reader, struct sa_value *key,
                          struct sa_value *value);
/* For who takes a value whole, item by item, each byte once: the next item, a collection being just
 * its type, with its items following; END ends a list. In a map a key comes before each item;
 * false: the map has ended. Begin with a reader of the whole value. */
struct sa_value sa_value_step(struct sa_value_reader *reader);
bool sa_value_step_key(struct sa_value_reader *reader, struct sa_value *key);
/* Member of a map, NIL when there is none or it is no map. */
struct sa_value sa_value_get(const struct sa_value *map, const char *key);
bool sa_value_is(const struct sa_value *string, const char *text);
/* The members of a map in the order of their keys, malloc'd; of anything else none. */
struct sa_value_member {
    struct sa_value key, value;
};
struct sa_value_member *sa_value_members(const struct sa_value *map, size_t *count);
/* Are they the same? Maps, whatever order their members are in; 1 is 1.0. */
bool sa_value_equal(const struct sa_value *a, const struct sa_value *b);
/* Append a value that was read. */
void sa_value_copy(struct sa_buf *out, const struct sa_value *value);

/* JSON there and back, for tools: strings that are not UTF-8 become valid; numbers without a
 * fraction within 2^53 are integers; null members are left out. The value is a checked one. -1:
 * SA_EINVALID (also: nested too deep), SA_ETOOLARGE; then nothing was written. */
void sa_value_to_json(const struct sa_value *value, struct sa_buf *out);
int sa_value_from_json(const char *json, size_t length, struct sa_buf *out, struct sa_error *err);

#endif
