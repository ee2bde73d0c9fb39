/* The encoding of values: writing, the check, and reading what has passed it. */
#include "lua/value.h"

#include <endian.h>
#include <math.h>
#include <string.h>

enum { VARINT_MAX = 10 };

const char *sa_value_type_name(enum sa_value_type type)
{
    static const char *const names[] = {"end",    "nil",    "boolean", "boolean", "integer",
                                        "number", "string", "list",    "map"};
    size_t index = (size_t)type;
    return index < sizeof names / sizeof names[0] ? names[index] : "unknown";
}

/* ---- writing ---- */

static size_t put_varint(uint8_t *to, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80) {
        to[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[n++] = (uint8_t)value;
    return n;
}

static void put_tag(struct sa_buf *out, enum sa_value_type type)
{
    sa_buf_addc(out, (char)type);
}

/* A varint and bytes, behind `tag` unless it is END (a key has none). */
static void put_bytes(struct sa_buf *out, enum sa_value_type tag, uint64_t varint, const void *data,
                      size_t length)
{
    char *start = sa_buf_reserve(out, 1 + VARINT_MAX + length), *to = start;
    if (tag != SA_VALUE_END)
        *to++ = (char)tag;
    to += put_varint((uint8_t *)to, varint);
    if (length)
        memcpy(to, data, length);
    to[length] = '\0';
    out->length += (size_t)(to - start) + length;
}

void sa_value_nil(struct sa_buf *out)
{
    put_tag(out, SA_VALUE_NIL);
}

void sa_value_bool(struct sa_buf *out, bool value)
{
    put_tag(out, value ? SA_VALUE_TRUE : SA_VALUE_FALSE);
}

void sa_value_int(struct sa_buf *out, int64_t value)
{
    uint64_t sign = value < 0 ? UINT64_MAX : 0;
    put_bytes(out, SA_VALUE_INT, ((uint64_t)value << 1) ^ sign, NULL, 0);
}

void sa_value_number(struct sa_buf *out, double value)
{
    uint8_t bytes[9] = {SA_VALUE_NUMBER};
    uint64_t bits;
    if (!isfinite(value))
        value = 0;
    memcpy(&bits, &value, sizeof bits);
    bits = htole64(bits);
    memcpy(bytes + 1, &bits, sizeof bits);
    sa_buf_add(out, bytes, sizeof bytes);
}

void sa_value_string(struct sa_buf *out, const void *data, size_t length)
{
    put_bytes(out, SA_VALUE_STRING, length, data, length);
}

void sa_value_text(struct sa_buf *out, const char *text)
{
    sa_value_string(out, text, strlen(text));
}

void sa_value_list(struct sa_buf *out)
{
    put_tag(out, SA_VALUE_LIST);
}

void sa_value_map(struct sa_buf *out)
{
    put_tag(out, SA_VALUE_MAP);
}

void sa_value_end(struct sa_buf *out)
{
    put_tag(out, SA_VALUE_END);
}

void sa_value_keyn(struct sa_buf *out, const char *key, size_t length)
{
    put_bytes(out, SA_VALUE_END, (uint64_t)length + 1, key, length);
}

void sa_value_key(struct sa_buf *out, const char *key)
{
    sa_value_keyn(out, key, strlen(key));
}

void sa_value_put_text(struct sa_buf *out, const char *key, const char *text)
{
    if (!text)
        return;
    sa_value_key(out, key);
    sa_value_text(out, text);
}

void sa_value_put_int(struct sa_buf *out, const char *key, int64_t value)
{
    sa_value_key(out, key);
    sa_value_int(out, value);
}

void sa_value_put_number(struct sa_buf *out, const char *key, double value)
{
    sa_value_key(out, key);
    sa_value_number(out, value);
}

void sa_value_put_bool(struct sa_buf *out, const char *key, bool value)
{
    sa_value_key(out, key);
    sa_value_bool(out, value);
}

/* ---- the check ---- */

/* False: there is no whole varint of 64 bits in the fewest bytes. Nearly all are of one byte. A
 * longer zero would be an end that is not one byte long, which readers take it to be. */
static bool take_long_varint(const uint8_t **next, const uint8_t *end, uint64_t *value)
{
    const uint8_t *p = *next;
    uint64_t v = 0;
    for (unsigned i = 0; i < VARINT_MAX && p < end; i++) {
        uint8_t byte = *p++;
        if (i == VARINT_MAX - 1 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *next = p;
            *value = v;
            return byte != 0;
        }
    }
    return false;
}

static inline bool take_varint(const uint8_t **next, const uint8_t *end, uint64_t *value)
{
    if (*next == end || **next >= 0x80)
        return take_long_varint(next, end, value);
    *value = *(*next)++;
    return true;
}

static double number_at(const uint8_t *p)
{
    uint64_t bits;
    double value;
    memcpy(&bits, p, sizeof bits);
    bits = le64toh(bits);
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct check {
    const uint8_t *next, *end;
    unsigned depth;
    uint32_t maps; /* bit `depth`: the collection at that depth is a map */
};

static bool skip_counted(struct check *c, uint64_t length)
{
    if (length > (uint64_t)(c->end - c->next))
        return false;
    c->next += length;
    return true;
}

/* One value, or the beginning of one. NULL, or what is wrong. */
static const char *check_value(struct check *c, enum sa_value_type type)
{
    uint64_t varint;
    switch (type) {
    case SA_VALUE_NIL:
        return c->maps >> c->depth & 1 ? "nil in a map" : NULL;
    case SA_VALUE_FALSE:
    case SA_VALUE_TRUE:
        return NULL;
    case SA_VALUE_INT:
        return take_varint(&c->next, c->end, &varint) ? NULL : "a broken integer";
    case SA_VALUE_NUMBER:
        if (c->end - c->next < 8)
            return "a number that is cut off";
        if (!isfinite(number_at(c->next)))
            return "a number that is not finite";
        c->next += 8;
        return NULL;
    case SA_VALUE_STRING:
        return take_varint(&c->next, c->end, &varint) && skip_counted(c, varint)
                   ? NULL
                   : "a string that is cut off";
    case SA_VALUE_LIST:
    case SA_VALUE_MAP:
        if (c->depth == SA_VALUE_DEPTH)
            return "too many levels";
        c->depth++;
        c->maps &= ~(UINT32_C(1) << c->depth);
        c->maps |= (uint32_t)(type == SA_VALUE_MAP) << c->depth;
        return NULL;
    default:
        return "an unknown type";
    }
}

/* What comes next: a member, an element, or an end. NULL, or what is wrong. */
static const char *check_next(struct check *c)
{
    uint64_t key;
    if (c->maps >> c->depth & 1) {
        if (!take_varint(&c->next, c->end, &key) || (key && !skip_counted(c, key - 1)))
            return "a key that is cut off";
        if (!key) {
            c->depth--;
            return NULL;
        }
    }
    if (c->next == c->end)
        return "no value where one belongs";
    enum sa_value_type type = (enum sa_value_type)(*c->next++);
    if (type == SA_VALUE_END && c->depth && !(c->maps >> c->depth & 1)) {
        c->depth--;
        return NULL;
    }
    return check_value(c, type);
}

int sa_value_check(const void *data, size_t length, struct sa_error *err)
{
    if (!length)
        return sa_error_set(err, SA_EPROTOCOL, "no value where one belongs");
    if (length > SA_VALUE_MAX)
        return sa_error_set(err, SA_EPROTOCOL, "a value of %zu bytes: at most %d are taken", length,
                            SA_VALUE_MAX);
    struct check c = {.next = data, .end = (const uint8_t *)data + length};
    const char *wrong;
    do
        wrong = check_next(&c);
    while (!wrong && c.depth);
    if (!wrong && c.next != c.end)
        wrong = "bytes behind a value";
    if (wrong)
        return sa_error_set(err, SA_EPROTOCOL, "%s (byte %zu of %zu)", wrong,
                            (size_t)(c.next - (const uint8_t *)data), length);
    return 0;
}

/* ---- reading what has passed it ---- */

static uint64_t long_varint_at(const uint8_t **next)
{
    const uint8_t *p = *next;
    uint64_t v = *p & 0x7f;
    for (unsigned shift = 7; *p++ & 0x80; shift += 7)
        v |= (uint64_t)(*p & 0x7f) << shift;
    *next = p;
    return v;
}

static inline uint64_t varint_at(const uint8_t **next)
{
    return **next < 0x80 ? *(*next)++ : long_varint_at(next);
}

/* The end of what is in a collection, i.e. where its END is. */
static const uint8_t *skip_inside(const uint8_t *p, bool map)
{
    uint32_t maps = map;
    for (unsigned depth = 0;;) {
        if (maps >> depth & 1) {
            const uint8_t *at = p;
            uint64_t key = varint_at(&p);
            if (!key && !depth--)
                return at;
            if (!key)
                continue;
            p += key - 1;
        }
        enum sa_value_type type = (enum sa_value_type)(*p++);
        if (type == SA_VALUE_END) {
            if (!depth--)
                return p - 1;
        } else if (type == SA_VALUE_INT) {
            varint_at(&p);
        } else if (type == SA_VALUE_NUMBER) {
            p += 8;
        } else if (type == SA_VALUE_STRING) {
            uint64_t length = varint_at(&p);
            p += length;
        } else if (type == SA_VALUE_LIST || type == SA_VALUE_MAP) {
            depth++;
            maps &= ~(UINT32_C(1) << depth);
            maps |= (uint32_t)(type == SA_VALUE_MAP) << depth;
        }
    }
}

/* One item: a scalar, the beginning of a collection, or an end. */
static struct sa_value take_item(const uint8_t **next)
{
    const uint8_t *p = *next;
    struct sa_value value = {.type = (enum sa_value_type) * p++};
    if (value.type == SA_VALUE_INT) {
        uint64_t zigzag = varint_at(&p);
        value.integer = (int64_t)(zigzag >> 1 ^ (~(zigzag & 1) + 1));
        value.number = (double)value.integer;
    } else if (value.type == SA_VALUE_NUMBER) {
        value.number = number_at(p);
        p += 8;
    } else if (value.type == SA_VALUE_STRING) {
        value.length = (size_t)varint_at(&p);
        value.data = (const char *)p;
        p += value.length;
    }
    *next = p;
    return value;
}

static struct sa_value take_value(const uint8_t **next)
{
    struct sa_value value = take_item(next);
    if (value.type == SA_VALUE_LIST || value.type == SA_VALUE_MAP) {
        const uint8_t *end = skip_inside(*next, value.type == SA_VALUE_MAP);
        value.data = (const char *)*next;
        value.length = (size_t)(end - *next);
        *next = end + 1;
    }
    return value;
}

struct sa_value sa_value_of(const void *data, size_t length)
{
    const uint8_t *next = data;
    if (!length)
        return (struct sa_value){.type = SA_VALUE_NIL};
    if (*next != SA_VALUE_LIST && *next != SA_VALUE_MAP)
        return take_value(&next);
    /* Its end is known: the last byte. */
    return (struct sa_value){
        .type = (enum sa_value_type) * next, .data = (const char *)next + 1, .length = length - 2};
}

struct sa_value_reader sa_value_enter(const struct sa_value *collection)
{
    const uint8_t *inside = (const uint8_t *)collection->data;
    if (collection->type != SA_VALUE_LIST && collection->type != SA_VALUE_MAP)
        return (struct sa_value_reader){0};
    return (struct sa_value_reader){inside, inside + collection->length,
                                    collection->type == SA_VALUE_MAP};
}

bool sa_value_next(struct sa_value_reader *reader, struct sa_value *value)
{
    if (reader->next == reader->end || reader->map)
        return false;
    *value = take_value(&reader->next);
    return true;
}

bool sa_value_next_member(struct sa_value_reader *reader, struct sa_value *key,
                          struct sa_value *value)
{
    if (reader->next == reader->end || !reader->map)
        return false;
    size_t length = (size_t)varint_at(&reader->next) - 1;
    *key = (struct sa_value){
        .type = SA_VALUE_STRING, .data = (const char *)reader->next, .length = length};
    reader->next += length;
    *value = take_value(&reader->next);
    return true;
}

struct sa_value sa_value_step(struct sa_value_reader *reader)
{
    return take_item(&reader->next);
}

bool sa_value_step_key(struct sa_value_reader *reader, struct sa_value *key)
{
    size_t length = (size_t)varint_at(&reader->next);
    if (!length)
        return false;
    *key = (struct sa_value){
        .type = SA_VALUE_STRING, .data = (const char *)reader->next, .length = length - 1};
    reader->next += length - 1;
    return true;
}

struct sa_value sa_value_get(const struct sa_value *map, const char *key)
{
    struct sa_value name, value;
    if (map->type == SA_VALUE_MAP) {
        struct sa_value_reader reader = sa_value_enter(map);
        while (sa_value_next_member(&reader, &name, &value))
            if (sa_value_is(&name, key))
                return value;
    }
    return (struct sa_value){.type = SA_VALUE_NIL};
}

bool sa_value_is(const struct sa_value *string, const char *text)
{
    return string->type == SA_VALUE_STRING && strlen(text) == string->length &&
           memcmp(text, string->data, string->length) == 0;
}

void sa_value_copy(struct sa_buf *out, const struct sa_value *value)
{
    switch (value->type) {
    case SA_VALUE_INT:
        sa_value_int(out, value->integer);
        break;
    case SA_VALUE_NUMBER:
        sa_value_number(out, value->number);
        break;
    case SA_VALUE_STRING:
        sa_value_string(out, value->data, value->length);
        break;
    case SA_VALUE_LIST:
    case SA_VALUE_MAP:
        put_tag(out, value->type);
        sa_buf_add(out, value->data, value->length);
        sa_value_end(out);
        break;
    default:
        put_tag(out, value->type);
    }
}
