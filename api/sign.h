/*
 * Signed URLs: what a key may do to one resource of one sandbox, given away for a while to who
 * has no key. The signature is HMAC-SHA-256 (RFC 2104) by a secret of this server over method,
 * sandbox, resource, expiry and key, and travels in one query parameter:
 *
 *     ?sa_signature=1.EXPIRES.KEY-ID.HEX      EXPIRES in seconds since 1970
 *
 * It does what its key may do at the moment of use, and dies with it: revoking the key ends all
 * that it signed. Other parameters of the URL are not covered. One loop thread.
 */
#ifndef SA_API_SIGN_H
#define SA_API_SIGN_H

#include "base/buf.h"
#include "base/error.h"
#include "store/keys.h"

#include <stdint.h>

enum {
    SA_SIGN_SECONDS_MAX = 7 * 24 * 3600, /* a signature lives at most so long */
    SA_SIGN_TEXT_BYTES = 128,            /* any signature and its NUL */
};
#define SA_SIGN_PARAMETER "sa_signature"

struct sa_signer;

/* The secret is DATA_DIR/signing.key (0600, 32 random bytes), made when it is not there. For
 * who has the store of that directory open. Blocks. */
struct sa_signer *sa_signer_open(const char *data_dir, struct sa_error *err);
void sa_signer_free(struct sa_signer *signer); /* NULL is allowed */

/* What is given away. `resource` names it within the sandbox: "files:/workspace/a.txt",
 * "ports:3000". `method` is of HTTP ("GET" includes HEAD; "*" is all). */
struct sa_grant {
    const char *method, *sandbox, *resource;
};

/* Sign in the name of a key, until expires_s. */
void sa_sign(const struct sa_signer *signer, const struct sa_grant *grant, const char *key_id,
             int64_t expires_s, char out[SA_SIGN_TEXT_BYTES]);
/* The same, behind `url` (without a query), appended to `out`. */
void sa_sign_url(const struct sa_signer *signer, const struct sa_grant *grant, const char *key_id,
                 int64_t expires_s, const char *url, struct sa_buf *out);

/* Does the signature give away `grant` at now_s? *info are the facts of its key (the store's), or
 * SA_EUNAUTHORIZED: which of the parts is wrong is told only when the signature is genuine
 * (expired, key revoked). */
int sa_sign_check(const struct sa_signer *signer, struct sa_store *store,
                  const struct sa_grant *grant, const char *text, int64_t now_s,
                  const struct sa_key_info **info, struct sa_error *err);

#endif
