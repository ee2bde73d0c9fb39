/* Cuts bytes that come in pieces so that no piece ends inside a UTF-8 character. */
#ifndef SA_API_UTF8_CUT_H
#define SA_API_UTF8_CUT_H

#include <stdbool.h>
#include <stddef.h>

struct sa_utf8_cut { /* zeroes to begin with */
    char kept[4];    /* a character whose rest has not come */
    size_t kept_length;
};
typedef void (*sa_utf8_emit)(void *user, const void *data, size_t length);
/* With `last` nothing is kept back. Bytes that are no UTF-8 pass as they are. */
void sa_utf8_cut_feed(struct sa_utf8_cut *cut, const char *data, size_t length, bool last,
                      sa_utf8_emit emit, void *user);

#endif
