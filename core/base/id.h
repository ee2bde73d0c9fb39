/* Identifiers: "sb-", "ex-", "ctx-", "key-" and 20 random characters of lower-case base32
 * (RFC 4648 alphabet, lower-cased, unpadded): 100 bits from getrandom(2). */
#ifndef SA_BASE_ID_H
#define SA_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SA_ID_RANDOM_CHARS = 20, SA_ID_BYTES = 32 /* any id and its NUL fit */ };

/* Write `prefix` (at most 8 bytes, with its dash) and the random part to `out`. */
void sa_id_new(const char *prefix, char out[SA_ID_BYTES]);
/* True when `text` is `prefix` and 20 characters of the alphabet. */
bool sa_id_valid(const char *prefix, const char *text);
/* Fill with random bytes (getrandom); aborts where the kernel has none. */
void sa_random(void *out, size_t bytes);
/* Lower-case base32 of `length` bytes; `out` holds at least (length*8+4)/5 + 1. */
void sa_base32(const uint8_t *in, size_t length, char *out);

#endif
