#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of the character that begins with `c`, or 0 where none does. */
static size_t width(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c < 0xC2 || c > 0xF4)
        return 0;
    return c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* Whether `second` may follow `first`, which begins a longer character (RFC 3629, section 4). */
static bool second_ok(unsigned char first, unsigned char second)
{
    unsigned char low = 0x80, high = 0xBF;
    if (first == 0xE0)
        low = 0xA0;
    else if (first == 0xED)
        high = 0x9F;
    else if (first == 0xF0)
        low = 0x90;
    else if (first == 0xF4)
        high = 0x8F;
    return second >= low && second <= high;
}

/* Length of the character that starts at s, or 0 when it is not valid or not whole. */
static size_t character(const unsigned char *s, size_t left)
{
    size_t need = width(s[0]);
    if (need < 2)
        return need;
    if (left < need || !second_ok(s[0], s[1]))
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return need;
}

size_t sa_utf8_prefix(const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t i = 0;
    while (i < length) {
        uint64_t eight;
        while (length - i >= 8) { /* plain ASCII, eight at a time */
            memcpy(&eight, s + i, 8);
            if (eight & 0x8080808080808080u)
                break;
            i += 8;
        }
        if (i == length)
            break;
        size_t n = character(s + i, length - i);
        if (!n)
            break;
        i += n;
    }
    return i;
}

bool sa_utf8_valid(const char *text, size_t length)
{
    return sa_utf8_prefix(text, length) == length;
}

size_t sa_utf8_partial_tail(const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        const unsigned char *c = s + length - back;
        if ((*c & 0xC0) == 0x80)
            continue;
        if (width(*c) <= back)
            return 0;
        return back > 1 && !second_ok(c[0], c[1]) ? 0 : back;
    }
    return 0;
}
