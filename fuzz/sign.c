/*
 * Outside bytes as the signature of a URL: never genuine unless it is, byte for byte, what the
 * server signs for that time and key. All is long expired, so that none needs its key.
 */
#include "api/sign.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sa_grant grant = {"GET", "sb-0123456789abcdefghij", "files:/workspace/a"};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static struct sa_signer *make_signer(void)
{
    char folder[] = "/tmp/secureagent-fuzz-sign-XXXXXX";
    struct sa_error err;
    require(mkdtemp(folder) != NULL);
    struct sa_signer *signer = sa_signer_open(folder, &err);
    require(signer != NULL);
    sa_autofree char *key = sa_printf("%s/signing.key", folder);
    unlink(key);
    rmdir(folder);
    return signer;
}

static bool is_genuine(const struct sa_signer *signer, const char *text)
{
    const struct sa_key_info *info = NULL;
    struct sa_error err;
    require(sa_sign_check(signer, NULL, &grant, text, INT64_MAX, &info, &err) < 0);
    require(err.code == SA_EUNAUTHORIZED && !info);
    return strstr(err.message, "expired at") != NULL;
}

/* "EXPIRES.KEY" of the text, signed by us. */
static bool sign_again(const struct sa_signer *signer, const char *text,
                       char out[SA_SIGN_TEXT_BYTES])
{
    char key[SA_ID_BYTES];
    int64_t expires_s;
    if (sscanf(text, "1.%12" SCNd64 ".%27[a-z0-9-]", &expires_s, key) != 2 || expires_s < 0 ||
        !sa_id_valid("key-", key))
        return false;
    sa_sign(signer, &grant, key, expires_s, out);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sa_signer *signer;
    char genuine[SA_SIGN_TEXT_BYTES];
    if (!signer)
        signer = make_signer();
    sa_autofree char *text = sa_strndup((const char *)data, size);
    bool taken = is_genuine(signer, text);
    if (!sign_again(signer, text, genuine)) {
        require(!taken);
        return 0;
    }
    require(!taken || strstr(text, strrchr(genuine, '.')) != NULL);
    require(is_genuine(signer, genuine));
    genuine[strlen(genuine) - 1 - size % 64] ^= 1; /* of the signature */
    require(!is_genuine(signer, genuine));
    return 0;
}
