/* A bundle itself: its files, their digest, references. Reading folders is bundle_read.c, the one
 * file that holds all of it bundle_file.c. */
#include "lua/bundle_build.h"

#include "base/arena.h"
#include "lua/wire.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_CHARS = 64 };

struct sa_bundle {
    atomic_uint refs;
    size_t count, bytes;
    struct sa_bundle_file files[SA_BUNDLE_FILES_MAX];
    char digest[DIGEST_CHARS + 1];
};

struct sa_bundle *sa_bundle_new(void)
{
    struct sa_bundle *bundle = sa_alloc(sizeof *bundle);
    atomic_init(&bundle->refs, 1);
    return bundle;
}

struct sa_bundle *sa_bundle_ref(struct sa_bundle *bundle)
{
    atomic_fetch_add_explicit(&bundle->refs, 1, memory_order_relaxed);
    return bundle;
}

static void file_deinit(struct sa_bundle_file *file)
{
    free((char *)file->name);
    free((char *)file->origin);
    free((char *)file->text);
}

void sa_bundle_unref(struct sa_bundle *bundle)
{
    if (!bundle || atomic_fetch_sub_explicit(&bundle->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < bundle->count; i++)
        file_deinit(&bundle->files[i]);
    free(bundle);
}

bool sa_bundle_name_valid(const char *name)
{
    static const char *const folders[] = {"policies/", "scaling/"};
    size_t length = strlen(name);
    if (strcmp(name, "params.lua") == 0)
        return true;
    if (length > SA_BUNDLE_NAME_MAX || length < 4 || strcmp(name + length - 4, ".lua") != 0)
        return false;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        size_t skip = strlen(folders[i]);
        if (strncmp(name, folders[i], skip) == 0 && name[skip] != '.')
            return name[skip + strspn(name + skip, "abcdefghijklmnopqrstuvwxyz"
                                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] == 0;
    }
    return false;
}

static struct sa_bundle_file *find(struct sa_bundle *bundle, const char *name)
{
    for (size_t i = 0; i < bundle->count; i++)
        if (strcmp(bundle->files[i].name, name) == 0)
            return &bundle->files[i];
    return NULL;
}

int sa_bundle_add(struct sa_bundle *bundle, const char *name, const char *origin, const char *text,
                  size_t length, struct sa_error *err)
{
    struct sa_bundle_file *file = find(bundle, name);
    size_t replaced = file ? file->length : 0;
    if (length > SA_WIRE_FILE_MAX)
        return sa_error_at(err, SA_ETOOLARGE, origin,
                           "%s: %zu bytes; a file of rules has at most %d", origin, length,
                           SA_WIRE_FILE_MAX);
    if (!file && bundle->count == SA_BUNDLE_FILES_MAX)
        return sa_error_at(err, SA_ETOOLARGE, origin, "%s: there are at most %d files of rules",
                           origin, SA_BUNDLE_FILES_MAX);
    if (bundle->bytes - replaced + length > SA_BUNDLE_BYTES_MAX)
        return sa_error_at(err, SA_ETOOLARGE, origin, "%s: all files together exceed %d bytes",
                           origin, SA_BUNDLE_BYTES_MAX);
    if (file)
        file_deinit(file);
    else
        file = &bundle->files[bundle->count++];
    *file = (struct sa_bundle_file){.name = sa_strdup(name),
                                    .origin = sa_strdup(origin),
                                    .text = sa_strndup(text ? text : "", length),
                                    .length = length};
    bundle->bytes += length - replaced;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct sa_bundle_file *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Lengths go in, too, so that no two bundles run together into the same bytes. */
static int digest_part(EVP_MD_CTX *ctx, const void *data, size_t length)
{
    uint8_t size[4] = {(uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16),
                       (uint8_t)(length >> 24)};
    return EVP_DigestUpdate(ctx, size, sizeof size) == 1 &&
           EVP_DigestUpdate(ctx, data, length) == 1;
}

int sa_bundle_seal(struct sa_bundle *bundle, struct sa_error *err)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    if (bundle->count)
        qsort(bundle->files, bundle->count, sizeof bundle->files[0], compare_names);
    for (size_t i = 0; ok && i < bundle->count; i++)
        ok = digest_part(ctx, bundle->files[i].name, strlen(bundle->files[i].name)) &&
             digest_part(ctx, bundle->files[i].text, bundle->files[i].length);
    ok = ok && EVP_DigestFinal_ex(ctx, sum, &size) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return sa_error_set(err, SA_EINTERNAL, "cannot compute the digest of the rules");
    for (unsigned i = 0; i < size; i++)
        snprintf(bundle->digest + 2 * i, 3, "%02x", sum[i]);
    return 0;
}

size_t sa_bundle_count(const struct sa_bundle *bundle)
{
    return bundle->count;
}

const struct sa_bundle_file *sa_bundle_file(const struct sa_bundle *bundle, size_t index)
{
    return &bundle->files[index];
}

const char *sa_bundle_digest(const struct sa_bundle *bundle)
{
    return bundle->digest;
}
