/* SHA-256, incrementally. One-shot functions of libcrypto would bring its whole registry into the
 * static program; these bring 30 KiB. */
#ifndef SA_RUNTIME_DIGEST_H
#define SA_RUNTIME_DIGEST_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdint.h>

enum { SA_DIGEST_BYTES = SHA256_DIGEST_LENGTH };

struct sa_digest {
    SHA256_CTX context;
};

static inline void sa_digest_init(struct sa_digest *digest)
{
    SHA256_Init(&digest->context);
}

static inline void sa_digest_add(struct sa_digest *digest, const void *data, size_t length)
{
    SHA256_Update(&digest->context, data, length);
}

static inline void sa_digest_end(struct sa_digest *digest, uint8_t out[SA_DIGEST_BYTES])
{
    SHA256_Final(out, &digest->context);
}

#endif
