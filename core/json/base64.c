#include "json/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sa_base64_encode(const void *data, size_t length, struct sa_buf *out)
{
    const uint8_t *in = data;
    char *begin = sa_buf_reserve(out, (length + 2) / 3 * 4), *to = begin;
    for (; length >= 3; length -= 3, in += 3, to += 4) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        to[0] = alphabet[v >> 18];
        to[1] = alphabet[v >> 12 & 63];
        to[2] = alphabet[v >> 6 & 63];
        to[3] = alphabet[v & 63];
    }
    if (length) {
        uint32_t v = (uint32_t)in[0] << 16 | (length == 2 ? (uint32_t)in[1] << 8 : 0);
        to[0] = alphabet[v >> 18];
        to[1] = alphabet[v >> 12 & 63];
        to[2] = length == 2 ? alphabet[v >> 6 & 63] : '=';
        to[3] = '=';
        to += 4;
    }
    out->length += (size_t)(to - begin);
    out->data[out->length] = '\0';
}

/* Value of each character plus one, so that 0 (the rest of the table) means none. */
static const uint8_t values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64};

/* Value of a character; others have bits above 63 (0 - 1 wraps). */
static uint32_t sextet(char c)
{
    return (uint32_t)values[(uint8_t)c] - 1;
}

static int bad(struct sa_error *err, const char *what)
{
    return sa_error_set(err, SA_EINVALID, "base64: %s", what);
}

/* The last four characters, which may be padded. Bytes written, or -1. */
static int decode_last(const char *in, uint8_t *to)
{
    int pad = in[3] != '=' ? 0 : in[2] != '=' ? 1 : 2;
    uint32_t a = sextet(in[0]), b = sextet(in[1]);
    uint32_t c = pad == 2 ? 0 : sextet(in[2]), d = pad ? 0 : sextet(in[3]);
    if ((a | b | c | d) > 63)
        return -1;
    uint32_t v = a << 18 | b << 12 | c << 6 | d;
    if (v & (pad == 2 ? 0xFFFFu : pad == 1 ? 0xFFu : 0u))
        return -1; /* bits that belong to no byte: two texts would mean the same */
    to[0] = (uint8_t)(v >> 16);
    if (pad < 2)
        to[1] = (uint8_t)(v >> 8);
    if (pad < 1)
        to[2] = (uint8_t)v;
    return 3 - pad;
}

int sa_base64_decode(const char *text, size_t length, struct sa_buf *out, struct sa_error *err)
{
    if (length % 4)
        return bad(err, "the length is not a multiple of four");
    if (length == 0)
        return 0;
    uint8_t *begin = (uint8_t *)sa_buf_reserve(out, length / 4 * 3), *to = begin;
    uint32_t wrong = 0;
    for (; length > 4; length -= 4, text += 4, to += 3) {
        uint32_t a = sextet(text[0]), b = sextet(text[1]), c = sextet(text[2]), d = sextet(text[3]);
        wrong |= a | b | c | d;
        uint32_t v = a << 18 | b << 12 | c << 6 | d;
        to[0] = (uint8_t)(v >> 16);
        to[1] = (uint8_t)(v >> 8);
        to[2] = (uint8_t)v;
    }
    int last = wrong > 63 ? -1 : decode_last(text, to);
    if (last < 0) {
        out->data[out->length] = '\0';
        return bad(err, "a character that does not belong there");
    }
    out->length += (size_t)(to - begin) + (size_t)last;
    out->data[out->length] = '\0';
    return 0;
}
