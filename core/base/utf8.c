#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Length of the character that starts at s, or 0 when it is not valid or not whole. */
static size_t character(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return 0;
    size_t need = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (left < need)
        return 0;
    unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte (RFC 3629, section 4) */
    if (s[0] == 0xE0)
        low = 0xA0;
    else if (s[0] == 0xED)
        high = 0x9F;
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F;
    if (s[1] < low || s[1] > high)
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
        unsigned char c = s[length - back];
        if ((c & 0xC0) == 0x80)
            continue;
        size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 1;
        return need > back && c <= 0xF4 ? back : 0;
    }
    return 0;
}
