/* The pool key: a digest of everything in which exchangeable pods are the same. */
#include "claim/claim.h"

#include "base/buf.h"
#include "json/write.h"

#include <openssl/evp.h>
#include <stdlib.h>

static void print_resources(const struct sa_resources *r, struct sa_json_w *w)
{
    sa_json_put_object(w, "resources");
    sa_json_put_int(w, "cpu", r->cpu_millicores);
    sa_json_put_int(w, "memory", r->memory_bytes);
    sa_json_put_int(w, "storage", r->storage_bytes);
    sa_json_put_int(w, "inodes", r->inodes);
    sa_json_put_int(w, "pids", r->pids);
    sa_json_put_bool(w, "cpuPinning", r->cpu_pinning);
    sa_json_w_end_object(w);
}

/* As JSON, so that no two different sets of parts are the same text. */
void sa_pool_key(const struct sa_pool_key *parts, char key[SA_POOL_KEY_BYTES])
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "runtime", parts->runtime);
    sa_json_put_string(&w, "level", sa_security_level_name(parts->level));
    sa_json_put_string(&w, "profile", parts->profile);
    sa_json_put_string(&w, "digest", parts->digest);
    print_resources(parts->resources, &w);
    sa_json_w_end_object(&w);

    static const char hex[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length;
    if (EVP_Digest(text.data, text.length, hash, &length, EVP_sha256(), NULL) != 1)
        abort();
    for (size_t i = 0; i < (SA_POOL_KEY_BYTES - 1) / 2; i++) {
        key[2 * i] = hex[hash[i] >> 4];
        key[2 * i + 1] = hex[hash[i] & 15];
    }
    key[SA_POOL_KEY_BYTES - 1] = '\0';
}
