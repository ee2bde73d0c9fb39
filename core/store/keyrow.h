/* A key as a row of the database; inside the store. */
#ifndef SA_STORE_KEYROW_H
#define SA_STORE_KEYROW_H

#include <stdint.h>

struct sa_key_row {
    const char *id, *name, *role, *prefix;
    const char *hash; /* SHA-256 of the whole key, hexadecimal */
    int64_t created_ms, expires_ms, revoked_ms, last_used_ms;
};

#endif
