/* The streaming writer. The hot path is escape(): it looks at 16 bytes at a time while copying. */
#include "json/write.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "json/base64.h"
#include "json/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DEPTH_MAX = 60,
    ROOM = 12 /* an escape (6 bytes) or one whole character as bad bytes (4 * 3) */
};

/* Copy plain bytes from *from to `to` until one needs care or `end`; 16 bytes may be written
 * beyond what is returned. */
static char *copy_plain(char *to, const char **from, const char *end)
{
    const char *s = *from;
    while (end - s >= SA_JSON_STRIDE) {
        memcpy(to, s, SA_JSON_STRIDE);
        unsigned bits = sa_json_special(s, 1);
        int n = bits ? __builtin_ctz(bits) : SA_JSON_STRIDE;
        s += n;
        to += n;
        if (bits) {
            *from = s;
            return to;
        }
    }
    while (s < end && !sa_json_is_special((unsigned char)*s, 1))
        *to++ = *s++;
    *from = s;
    return to;
}

static char *escape_ascii(char *to, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                 ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    *to++ = '\\';
    if (names[c]) {
        *to++ = names[c];
        return to;
    }
    memcpy(to, "u00", 3);
    to[3] = hex[c >> 4];
    to[4] = hex[c & 15];
    return to + 5;
}

/* The run of bytes at *from that are not ASCII: valid characters as they are, each bad byte as
 * U+FFFD, which is three times as long. `room` is at least ROOM; a long run may be left half done.
 */
static char *copy_high(char *to, size_t room, const char **from, const char *end)
{
    const char *s = *from, *stop = s;
    while (stop < end && (unsigned char)*stop >= 0x80 && (size_t)(stop - s) < room / 3)
        stop++;
    if (stop < end && (unsigned char)*stop >= 0x80) /* half done: do not split a character */
        stop -= sa_utf8_partial_tail(s, (size_t)(stop - s));
    while (s < stop) {
        size_t valid = sa_utf8_prefix(s, (size_t)(stop - s));
        memcpy(to, s, valid);
        s += valid;
        to += valid;
        if (s == stop)
            break;
        memcpy(to, "\xEF\xBF\xBD", 3);
        s++;
        to += 3;
    }
    *from = s;
    return to;
}

static void escape(struct sa_buf *out, const char *text, size_t length)
{
    const char *from = text, *end = text + length;
    while (from < end) {
        size_t left = (size_t)(end - from), room = left + 4 * ROOM;
        char *begin = sa_buf_reserve(out, room + SA_JSON_STRIDE), *to = begin;
        char *limit = begin + room;
        while (from < end && limit - to >= end - from + ROOM) {
            to = copy_plain(to, &from, end);
            if (from == end)
                break;
            unsigned char c = (unsigned char)*from;
            if (c < 0x80) {
                to = escape_ascii(to, c);
                from++;
            } else {
                to = copy_high(to, (size_t)(limit - to), &from, end);
            }
        }
        out->length += (size_t)(to - begin);
        out->data[out->length] = '\0';
    }
}

void sa_json_quote(struct sa_buf *out, const char *text, size_t length)
{
    sa_buf_addc(out, '"');
    escape(out, text, length);
    sa_buf_addc(out, '"');
}

struct sa_json_w sa_json_w_start(struct sa_buf *out)
{
    return (struct sa_json_w){.out = out, .arrays = 1}; /* the top takes values, like an array */
}

static void check(bool ok)
{
    if (!ok)
        abort(); /* calls out of order */
}

static bool in_array(const struct sa_json_w *w)
{
    return w->arrays >> w->depth & 1;
}

/* Before each value: a comma where one is due. */
static void value(struct sa_json_w *w)
{
    check(w->key || in_array(w));
    if (w->comma)
        sa_buf_addc(w->out, ',');
    w->comma = true;
    w->key = false;
}

static void begin(struct sa_json_w *w, char c, bool array)
{
    value(w);
    check(w->depth < DEPTH_MAX);
    sa_buf_addc(w->out, c);
    w->depth++;
    w->arrays = (w->arrays & ~(UINT64_C(1) << w->depth)) | (uint64_t)array << w->depth;
    w->comma = false;
}

static void end(struct sa_json_w *w, char c, bool array)
{
    check(w->depth > 0 && in_array(w) == array && !w->key);
    sa_buf_addc(w->out, c);
    w->depth--;
    w->comma = true;
}

void sa_json_w_begin_object(struct sa_json_w *w)
{
    begin(w, '{', false);
}

void sa_json_w_end_object(struct sa_json_w *w)
{
    end(w, '}', false);
}

void sa_json_w_begin_array(struct sa_json_w *w)
{
    begin(w, '[', true);
}

void sa_json_w_end_array(struct sa_json_w *w)
{
    end(w, ']', true);
}

void sa_json_w_key(struct sa_json_w *w, const char *key)
{
    check(!in_array(w) && !w->key);
    if (w->comma)
        sa_buf_addc(w->out, ',');
    sa_json_quote(w->out, key, strlen(key));
    sa_buf_addc(w->out, ':');
    w->comma = false;
    w->key = true;
}

void sa_json_w_string(struct sa_json_w *w, const char *text)
{
    if (text)
        sa_json_w_stringn(w, text, strlen(text));
    else
        sa_json_w_null(w);
}

void sa_json_w_stringn(struct sa_json_w *w, const char *text, size_t length)
{
    value(w);
    sa_json_quote(w->out, text, length);
}

void sa_json_w_raw(struct sa_json_w *w, const char *json, size_t length)
{
    value(w);
    sa_buf_add(w->out, json, length);
}

void sa_json_w_raw_members(struct sa_json_w *w, const char *object, size_t length)
{
    check(!in_array(w) && !w->key && length >= 2 && object[0] == '{' && object[length - 1] == '}');
    if (length == 2)
        return;
    if (w->comma)
        sa_buf_addc(w->out, ',');
    sa_buf_add(w->out, object + 1, length - 2);
    w->comma = true;
}

void sa_json_w_int(struct sa_json_w *w, int64_t number)
{
    char text[24], *last = text + sizeof text, *p = last;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    bool quoted = left > (uint64_t)SA_JSON_SAFE_INTEGER;
    if (quoted)
        *--p = '"';
    do
        *--p = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0)
        *--p = '-';
    if (quoted)
        *--p = '"';
    sa_json_w_raw(w, p, (size_t)(last - p));
}

void sa_json_w_double(struct sa_json_w *w, double number)
{
    char text[40];
    if (!isfinite(number)) {
        sa_json_w_null(w);
        return;
    }
    if (number == trunc(number) && fabs(number) <= (double)SA_JSON_SAFE_INTEGER) {
        sa_json_w_int(w, (int64_t)number); /* never 1e+15 */
        return;
    }
    int n = snprintf(text, sizeof text, "%.15g", number); /* short where that is exact */
    if (strtod(text, NULL) != number)
        n = snprintf(text, sizeof text, "%.17g", number);
    sa_json_w_raw(w, text, (size_t)n);
}

void sa_json_w_bool(struct sa_json_w *w, bool yes)
{
    sa_json_w_raw(w, yes ? "true" : "false", yes ? 4 : 5);
}

void sa_json_w_null(struct sa_json_w *w)
{
    sa_json_w_raw(w, "null", 4);
}

void sa_json_put_string(struct sa_json_w *w, const char *key, const char *text)
{
    sa_json_w_key(w, key);
    sa_json_w_string(w, text);
}

void sa_json_put_stringn(struct sa_json_w *w, const char *key, const char *text, size_t length)
{
    sa_json_w_key(w, key);
    sa_json_w_stringn(w, text, length);
}

void sa_json_put_int(struct sa_json_w *w, const char *key, int64_t number)
{
    sa_json_w_key(w, key);
    sa_json_w_int(w, number);
}

void sa_json_put_double(struct sa_json_w *w, const char *key, double number)
{
    sa_json_w_key(w, key);
    sa_json_w_double(w, number);
}

void sa_json_put_bool(struct sa_json_w *w, const char *key, bool yes)
{
    sa_json_w_key(w, key);
    sa_json_w_bool(w, yes);
}

void sa_json_put_null(struct sa_json_w *w, const char *key)
{
    sa_json_w_key(w, key);
    sa_json_w_null(w);
}

void sa_json_put_raw(struct sa_json_w *w, const char *key, const char *json, size_t length)
{
    sa_json_w_key(w, key);
    sa_json_w_raw(w, json, length);
}

void sa_json_put_object(struct sa_json_w *w, const char *key)
{
    sa_json_w_key(w, key);
    sa_json_w_begin_object(w);
}

void sa_json_put_array(struct sa_json_w *w, const char *key)
{
    sa_json_w_key(w, key);
    sa_json_w_begin_array(w);
}

void sa_json_put_strings(struct sa_json_w *w, const char *key, const char *const *items,
                         size_t count)
{
    sa_json_put_array(w, key);
    for (size_t i = 0; i < count; i++)
        sa_json_w_string(w, items[i]);
    sa_json_w_end_array(w);
}

void sa_json_put_text(struct sa_json_w *w, const char *key, const char *text)
{
    if (text[0])
        sa_json_put_string(w, key, text);
}

void sa_json_put_time(struct sa_json_w *w, const char *key, int64_t wall_ms)
{
    char text[SA_RFC3339_BYTES];
    if (!wall_ms)
        return;
    sa_rfc3339(wall_ms, text);
    sa_json_put_string(w, key, text);
}

void sa_json_put_map(struct sa_json_w *w, const char *key, const struct sa_json_map *map)
{
    if (!map->count)
        return;
    sa_json_put_object(w, key);
    for (size_t i = 0; i < map->count; i++)
        sa_json_put_string(w, map->items[i].key, map->items[i].value);
    sa_json_w_end_object(w);
}

void sa_json_put_base64(struct sa_json_w *w, const char *key, const void *data, size_t length)
{
    sa_json_w_key(w, key);
    value(w);
    sa_buf_addc(w->out, '"');
    sa_base64_encode(data, length, w->out);
    sa_buf_addc(w->out, '"');
}

bool sa_json_w_bytes(struct sa_json_w *w, const char *key, const void *data, size_t length)
{
    if (sa_utf8_valid(data, length)) {
        sa_json_put_stringn(w, key, data, length);
        return false;
    }
    sa_json_put_base64(w, key, data, length);
    sa_json_put_string(w, "encoding", "base64");
    return true;
}
