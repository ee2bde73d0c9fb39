#include "api/sign.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SECRET_BYTES = 32, MAC_BYTES = 32 };

struct sa_signer {
    uint8_t secret[SECRET_BYTES];
};

/* ---- the secret ---- */

static int file_error(struct sa_error *err, const char *path, const char *what)
{
    int error = errno;
    sa_error_sys(err, SA_EUNAVAILABLE, error, "cannot %s the signing key %s", what, path);
    return -1;
}

/* Whole or not at all: it gets its name once it is on the disk. The store's lock on the data
 * directory keeps others away. */
static int make_secret(const char *path, struct sa_error *err)
{
    uint8_t secret[SECRET_BYTES];
    sa_autofree char *fresh = sa_printf("%s.new", path);
    sa_autoclose int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    sa_random(secret, sizeof secret);
    int rc = 0;
    if (fd < 0 || sa_write_all(fd, secret, sizeof secret) < 0 || fsync(fd) < 0 ||
        rename(fresh, path) < 0)
        rc = file_error(err, path, "make");
    explicit_bzero(secret, sizeof secret);
    return rc;
}

static int read_secret(struct sa_signer *signer, const char *path, struct sa_error *err)
{
    struct stat st;
    sa_autobuf content = SA_BUF_INIT;
    if (stat(path, &st) < 0)
        return file_error(err, path, "find");
    if (st.st_mode & 077)
        return sa_error_at(err, SA_EINVALID, path,
                           "%.300s may be read by others: remove it (a new one is made, and URLs "
                           "signed so far end), or chmod 600",
                           path);
    if (sa_read_file(AT_FDCWD, path, SECRET_BYTES, &content, err) < 0)
        return -1;
    if (content.length != SECRET_BYTES)
        return sa_error_at(
            err, SA_EINVALID, path,
            "%.300s is damaged: remove it (a new one is made, and URLs signed so far "
            "end)",
            path);
    memcpy(signer->secret, content.data, SECRET_BYTES);
    explicit_bzero(content.data, content.length);
    return 0;
}

struct sa_signer *sa_signer_open(const char *data_dir, struct sa_error *err)
{
    sa_autofree char *path = sa_printf("%s/signing.key", data_dir);
    if (access(path, F_OK) < 0 && make_secret(path, err) < 0)
        return NULL;
    struct sa_signer *signer = sa_alloc(sizeof *signer);
    if (read_secret(signer, path, err) == 0)
        return signer;
    sa_signer_free(signer);
    return NULL;
}

void sa_signer_free(struct sa_signer *signer)
{
    if (signer)
        explicit_bzero(signer, sizeof *signer);
    free(signer);
}

/* ---- signatures ---- */

/* Each part with its length, so that no two grants read the same. */
static void add_part(struct sa_buf *out, const char *part)
{
    sa_buf_printf(out, "%zu:", strlen(part));
    sa_buf_adds(out, part);
}

static void compute(const struct sa_signer *signer, const struct sa_grant *grant,
                    const char *key_id, int64_t expires_s, char hex[2 * MAC_BYTES + 1])
{
    sa_autobuf text = SA_BUF_INIT;
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned length = sizeof mac;
    sa_buf_printf(&text, "secureagent signed url 1 %" PRId64 " ", expires_s);
    add_part(&text, strcmp(grant->method, "HEAD") == 0 ? "GET" : grant->method);
    add_part(&text, grant->sandbox);
    add_part(&text, grant->resource);
    add_part(&text, key_id);
    if (!HMAC(EVP_sha256(), signer->secret, SECRET_BYTES, (const uint8_t *)text.data, text.length,
              mac, &length))
        abort(); /* out of memory: nothing else can fail */
    for (size_t i = 0; i < MAC_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", mac[i]);
}

void sa_sign(const struct sa_signer *signer, const struct sa_grant *grant, const char *key_id,
             int64_t expires_s, char out[SA_SIGN_TEXT_BYTES])
{
    char hex[2 * MAC_BYTES + 1];
    compute(signer, grant, key_id, expires_s, hex);
    snprintf(out, SA_SIGN_TEXT_BYTES, "1.%" PRId64 ".%s.%s", expires_s, key_id, hex);
}

void sa_sign_url(const struct sa_signer *signer, const struct sa_grant *grant, const char *key_id,
                 int64_t expires_s, const char *url, struct sa_buf *out)
{
    char text[SA_SIGN_TEXT_BYTES];
    sa_sign(signer, grant, key_id, expires_s, text);
    sa_buf_adds(out, url);
    sa_buf_adds(out, "?" SA_SIGN_PARAMETER "=");
    sa_buf_adds(out, text);
}

/* "1.EXPIRES.KEY.HEX"; *hex points into `text`. */
static bool parse(const char *text, int64_t *expires_s, char key_id[SA_ID_BYTES], const char **hex)
{
    size_t digits = strncmp(text, "1.", 2) == 0 ? strspn(text + 2, "0123456789") : 0;
    if (digits < 1 || digits > 12 || text[2 + digits] != '.')
        return false;
    *expires_s = strtoll(text + 2, NULL, 10);
    const char *id = text + 2 + digits + 1;
    size_t length = strcspn(id, ".");
    if (length >= SA_ID_BYTES || id[length] != '.')
        return false;
    memcpy(key_id, id, length);
    key_id[length] = '\0';
    *hex = id + length + 1;
    return sa_id_valid("key-", key_id) && strlen(*hex) == (size_t)2 * MAC_BYTES;
}

static int check_key(const struct sa_key_info *key, int64_t now_s, struct sa_error *err)
{
    if (!key || key->revoked_ms)
        return sa_error_set(err, SA_EUNAUTHORIZED,
                            "the key that signed this URL was revoked: ask for a new one");
    if (key->expires_ms && now_s * 1000 >= key->expires_ms)
        return sa_error_set(err, SA_EUNAUTHORIZED,
                            "the key that signed this URL has expired: ask for a new one");
    return 0;
}

int sa_sign_check(const struct sa_signer *signer, struct sa_store *store,
                  const struct sa_grant *grant, const char *text, int64_t now_s,
                  const struct sa_key_info **info, struct sa_error *err)
{
    char key_id[SA_ID_BYTES], wanted[2 * MAC_BYTES + 1], when[SA_RFC3339_BYTES];
    const char *hex;
    int64_t expires_s;
    if (!parse(text, &expires_s, key_id, &hex))
        return sa_error_set(err, SA_EUNAUTHORIZED, "the signature of the URL is malformed");
    compute(signer, grant, key_id, expires_s, wanted);
    if (CRYPTO_memcmp(hex, wanted, sizeof wanted - 1) != 0)
        return sa_error_set(err, SA_EUNAUTHORIZED,
                            "the signature of the URL is not valid for this method and path");
    if (now_s >= expires_s) {
        sa_rfc3339(expires_s * 1000, when);
        return sa_error_set(err, SA_EUNAUTHORIZED,
                            "the signed URL expired at %s: ask for a new one", when);
    }
    const struct sa_key_info *key = sa_store_key_get(store, key_id);
    if (check_key(key, now_s, err) < 0)
        return -1;
    *info = key;
    return 0;
}
