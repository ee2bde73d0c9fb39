/* The text of API keys. */
#include "keytext.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char hex[] = "0123456789abcdef";

enum {
    PREFIX_CHARS = 8,
    PREFIX_RANDOM = 5,  /* bytes: 8 characters of base32 */
    SECRET_RANDOM = 20, /* bytes: 32 characters of base32, 40 of hexadecimal */
    SECRET_MIN = 32,
    SECRET_MAX = 64,
    E2B_CHARS = 40,
    SA_SECRET_AT = 3 + PREFIX_CHARS + 1, /* "sa_" prefix "_" */
};

void sa_key_text_new(bool e2b, char out[SA_KEY_TEXT_BYTES])
{
    uint8_t bits[PREFIX_RANDOM + SECRET_RANDOM];
    sa_random(bits, sizeof bits);
    if (e2b) {
        memcpy(out, "e2b_", 4);
        for (int i = 0; i < SECRET_RANDOM; i++) {
            out[4 + 2 * i] = hex[bits[i] >> 4];
            out[5 + 2 * i] = hex[bits[i] & 15];
        }
        out[4 + E2B_CHARS] = '\0';
    } else {
        memcpy(out, "sa_", 3);
        sa_base32(bits, PREFIX_RANDOM, out + 3);
        out[SA_SECRET_AT - 1] = '_';
        sa_base32(bits + PREFIX_RANDOM, SECRET_RANDOM, out + SA_SECRET_AT);
    }
    OPENSSL_cleanse(bits, sizeof bits);
}

static bool only(const char *text, size_t length, const char *alphabet)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0' || !strchr(alphabet, text[i]))
            return false;
    return true;
}

bool sa_key_text_parse(const char *text, size_t length, char prefix[SA_KEY_PREFIX_BYTES])
{
    size_t shown;
    if (length == 4 + E2B_CHARS && memcmp(text, "e2b_", 4) == 0 && only(text + 4, E2B_CHARS, hex))
        shown = 4 + PREFIX_CHARS;
    else if (length >= SA_SECRET_AT + SECRET_MIN && length <= SA_SECRET_AT + SECRET_MAX &&
             memcmp(text, "sa_", 3) == 0 && only(text + 3, PREFIX_CHARS, base32) &&
             text[SA_SECRET_AT - 1] == '_' &&
             only(text + SA_SECRET_AT, length - SA_SECRET_AT, base32))
        shown = 3 + PREFIX_CHARS;
    else
        return false;
    memcpy(prefix, text, shown);
    prefix[shown] = '\0';
    return true;
}

int sa_key_hasher_init(struct sa_key_hasher *hasher, struct sa_error *err)
{
    hasher->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    hasher->context = EVP_MD_CTX_new();
    if (hasher->algorithm && hasher->context)
        return 0;
    return sa_error_set(err, SA_EINTERNAL, "OpenSSL offers no SHA-256; check its configuration");
}

void sa_key_hasher_deinit(struct sa_key_hasher *hasher)
{
    EVP_MD_free(hasher->algorithm);
    EVP_MD_CTX_free(hasher->context);
}

bool sa_key_hash(struct sa_key_hasher *hasher, const char *text, size_t length,
                 uint8_t out[SA_KEY_HASH_BYTES])
{
    return EVP_DigestInit_ex2(hasher->context, hasher->algorithm, NULL) == 1 &&
           EVP_DigestUpdate(hasher->context, text, length) == 1 &&
           EVP_DigestFinal_ex(hasher->context, out, NULL) == 1;
}

void sa_key_hash_hex(const uint8_t hash[SA_KEY_HASH_BYTES], char out[SA_KEY_HASH_HEX])
{
    for (int i = 0; i < SA_KEY_HASH_BYTES; i++) {
        out[2 * i] = hex[hash[i] >> 4];
        out[2 * i + 1] = hex[hash[i] & 15];
    }
    out[2 * SA_KEY_HASH_BYTES] = '\0';
}

bool sa_key_hash_parse(const char *text, uint8_t out[SA_KEY_HASH_BYTES])
{
    if (strlen(text) != 2 * SA_KEY_HASH_BYTES || !only(text, 2 * SA_KEY_HASH_BYTES, hex))
        return false;
    for (int i = 0; i < SA_KEY_HASH_BYTES; i++) {
        ptrdiff_t high = strchr(hex, text[2 * i]) - hex;
        ptrdiff_t low = strchr(hex, text[2 * i + 1]) - hex;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
