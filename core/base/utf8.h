/* UTF-8 (RFC 3629): strict, no surrogates, no overlong forms, at most U+10FFFF. */
#ifndef SA_BASE_UTF8_H
#define SA_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the longest prefix that is whole, valid UTF-8. */
size_t sa_utf8_prefix(const char *text, size_t length);
bool sa_utf8_valid(const char *text, size_t length);
/* How many bytes at the end begin a character that may still be completed (0-3). Used to keep
 * a split character back until its rest arrives. */
size_t sa_utf8_partial_tail(const char *text, size_t length);

#endif
