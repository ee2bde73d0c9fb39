/* The text of API keys: making, recognising and hashing it (formats: store/keys.h). Inside the
 * store. */
#ifndef SA_STORE_KEYTEXT_H
#define SA_STORE_KEYTEXT_H

#include "store/keys.h"

#include <openssl/evp.h>

enum { SA_KEY_HASH_BYTES = 32, SA_KEY_HASH_HEX = 2 * SA_KEY_HASH_BYTES + 1 };

void sa_key_text_new(bool e2b, char out[SA_KEY_TEXT_BYTES]);
/* True when it has one of the formats; its public prefix goes to `prefix`. */
bool sa_key_text_parse(const char *text, size_t length, char prefix[SA_KEY_PREFIX_BYTES]);

/* SHA-256 with the algorithm looked up once: that takes longer than the hash itself. */
struct sa_key_hasher {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};
int sa_key_hasher_init(struct sa_key_hasher *hasher, struct sa_error *err);
void sa_key_hasher_deinit(struct sa_key_hasher *hasher);
bool sa_key_hash(struct sa_key_hasher *hasher, const char *text, size_t length,
                 uint8_t out[SA_KEY_HASH_BYTES]);

void sa_key_hash_hex(const uint8_t hash[SA_KEY_HASH_BYTES], char out[SA_KEY_HASH_HEX]);
bool sa_key_hash_parse(const char *hex, uint8_t out[SA_KEY_HASH_BYTES]);

#endif
