#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void sa_random(void *out, size_t bytes)
{
    char *to = out;
    while (bytes) {
        ssize_t n = getrandom(to, bytes, 0);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            abort();
        }
        to += n;
        bytes -= (size_t)n;
    }
}

void sa_base32(const uint8_t *in, size_t length, char *out)
{
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | in[i];
        for (have += 8; have >= 5; have -= 5)
            *out++ = alphabet[bits >> (have - 5) & 31];
    }
    if (have)
        *out++ = alphabet[bits << (5 - have) & 31];
    *out = '\0';
}

void sa_id_new(const char *prefix, char out[SA_ID_BYTES])
{
    uint8_t random[13];
    char text[24];
    sa_random(random, sizeof random);
    sa_base32(random, sizeof random, text);
    text[SA_ID_RANDOM_CHARS] = '\0';
    size_t n = strnlen(prefix, 8);
    memcpy(out, prefix, n);
    memcpy(out + n, text, SA_ID_RANDOM_CHARS + 1);
}

bool sa_id_valid(const char *prefix, const char *text)
{
    size_t n = strlen(prefix);
    if (strncmp(text, prefix, n) != 0)
        return false;
    return strlen(text + n) == SA_ID_RANDOM_CHARS &&
           strspn(text + n, alphabet) == SA_ID_RANDOM_CHARS;
}
