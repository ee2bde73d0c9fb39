#include "api/idempotency.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "log/log.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { HASH_TEXT = 65, RESOURCE_BYTES = SA_ID_BYTES + 1 };

/* In the store, before the id of what is reserved, and not settled yet. */
static const char begun = '?';

struct sa_once {
    struct sa_once *prev, *next;
    struct entry *entry;
    sa_once_done done;
    void *user;
};

/* A key that is being looked up, or whose first request is being worked on. */
struct entry {
    UT_hash_handle hh;
    struct sa_idempotency *all;
    char hash[HASH_TEXT], body[HASH_TEXT];
    struct sa_once *claims;        /* in the order in which they came */
    struct sa_once *owner;         /* the one that was told NEW; also in `claims` */
    bool written;                  /* in the store, or on its way */
    char reserved[RESOURCE_BYTES]; /* as it is written; "": none */
    char over[RESOURCE_BYTES];
};

struct sa_idempotency {
    struct sa_store *store;
    struct entry *entries;
    size_t due; /* answers of the store on their way */
    bool freed;
};

struct sa_idempotency *sa_idempotency_new(struct sa_store *store)
{
    struct sa_idempotency *all = sa_alloc(sizeof *all);
    all->store = store;
    return all;
}

static void entry_free(struct entry *entry)
{
    struct sa_once *claim;
    HASH_DEL(entry->all->entries, entry);
    while ((claim = entry->claims)) {
        DL_DELETE(entry->claims, claim);
        free(claim);
    }
    free(entry);
}

static void release(struct sa_idempotency *all)
{
    struct entry *entry, *tmp;
    if (!all->freed || all->due)
        return;
    HASH_ITER (hh, all->entries, entry, tmp)
        entry_free(entry);
    free(all);
}

void sa_idempotency_free(struct sa_idempotency *all)
{
    if (!all)
        return;
    all->freed = true;
    release(all);
}

int sa_idempotency_key(const struct sa_http_request *request, const char **key,
                       struct sa_error *err)
{
    const char *text = *key = sa_http_request_header(request, "idempotency-key");
    if (!text)
        return 0;
    size_t length = strlen(text);
    for (const char *c = text; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            length = 0;
    if (length == 0 || length > SA_IDEMPOTENCY_KEY_MAX)
        return sa_error_at(err, SA_EINVALID, "Idempotency-Key",
                           "Idempotency-Key: expected 1 to %d printable ASCII characters",
                           SA_IDEMPOTENCY_KEY_MAX);
    return 0;
}

/* ---- hashes ---- */

static void to_hex(const unsigned char digest[32], char out[HASH_TEXT])
{
    for (int i = 0; i < 32; i++)
        snprintf(out + (ptrdiff_t)2 * i, 3, "%02x", digest[i]);
}

static void hash_of(const void *data, size_t length, char out[HASH_TEXT])
{
    unsigned char digest[32] = {0};
    size_t size = sizeof digest;
    if (!EVP_Q_digest(NULL, "SHA256", NULL, data, length, digest, &size))
        abort(); /* out of memory */
    to_hex(digest, out);
}

static void hash_key(const struct sa_idempotency_what *what, char out[HASH_TEXT])
{
    sa_autobuf text = SA_BUF_INIT;
    sa_buf_add(&text, what->principal, strlen(what->principal) + 1);
    sa_buf_add(&text, what->route, strlen(what->route) + 1);
    sa_buf_adds(&text, what->key);
    hash_of(text.data, text.length, out);
}

/* ---- answers to those who wait ---- */

static void tell_all(struct entry *entry, enum sa_once_outcome outcome, const char *resource,
                     const struct sa_error *err)
{
    struct sa_once *claims = entry->claims, *claim;
    entry->claims = NULL;
    entry_free(entry);
    while ((claim = claims)) {
        DL_DELETE(claims, claim);
        claim->entry = NULL;
        claim->done(claim->user, outcome, resource, err);
        free(claim);
    }
}

static void drop(struct entry *entry)
{
    struct sa_error error;
    if (entry->written && sa_store_drop_idempotency(entry->all->store, entry->hash, &error) < 0)
        sa_log_error("idempotency key not dropped", SA_LOG_ERR(&error));
    entry_free(entry);
}

/* The first of those who wait may start. */
static void give_to_next(struct entry *entry)
{
    if (!entry->claims) {
        drop(entry);
        return;
    }
    entry->owner = entry->claims;
    entry->owner->done(entry->owner->user, SA_ONCE_NEW,
                       entry->reserved[0] ? entry->reserved + 1 : NULL, NULL);
}

/* ---- the store ---- */

static int put(struct entry *entry, const char *resource, sa_store_done done, struct sa_error *err)
{
    struct sa_store_idempotency row = {
        .hash = entry->hash, .body = entry->body, .resource = resource, .created_ms = sa_wall_ms()};
    return sa_store_put_idempotency(entry->all->store, &row, done, entry, err);
}

/* Is the registry being freed? Then nobody is told any more. */
static bool arrived(struct sa_idempotency *all)
{
    all->due--;
    if (!all->freed)
        return true;
    release(all);
    return false;
}

static void on_written(void *user, const struct sa_error *err)
{
    struct entry *entry = user;
    if (!arrived(entry->all))
        return;
    if (err)
        tell_all(entry, SA_ONCE_FAILED, NULL, err);
    else
        give_to_next(entry);
}

static void on_found(struct entry *entry, const struct sa_store_idempotency *row)
{
    struct sa_error error;
    if (strcmp(row->body, entry->body) != 0) {
        sa_error_at(&error, SA_ECONFLICT, "Idempotency-Key",
                    "this Idempotency-Key was used with another body; choose a new one");
        tell_all(entry, SA_ONCE_FAILED, NULL, &error);
    } else if (!row->resource[0]) {
        sa_error_at(&error, SA_ECONFLICT, "Idempotency-Key",
                    "the server stopped while it began to work on this request; what became of "
                    "it is not known. Look, then use a new Idempotency-Key");
        tell_all(entry, SA_ONCE_FAILED, NULL, &error);
    } else if (row->resource[0] == begun) {
        tell_all(entry, SA_ONCE_BEGUN, row->resource + 1, NULL);
    } else {
        tell_all(entry, SA_ONCE_KNOWN, row->resource, NULL);
    }
}

/* It leads to what somebody who asks knows to have come to nothing. */
static bool is_over(const struct entry *entry, const struct sa_store_idempotency *row)
{
    const char *resource = row->resource + (row->resource[0] == begun);
    return entry->over[0] && strcmp(resource, entry->over) == 0 &&
           strcmp(row->body, entry->body) == 0;
}

static void on_looked_up(void *user, const struct sa_error *err,
                         const struct sa_store_idempotency *row)
{
    struct entry *entry = user;
    struct sa_error error;
    int64_t oldest = sa_wall_ms() - SA_STORE_IDEMPOTENCY_HOURS * INT64_C(3600000);
    if (!arrived(entry->all))
        return;
    if (!err && row->created_ms >= oldest && !is_over(entry, row)) {
        on_found(entry, row);
        return;
    }
    if ((err && err->code != SA_ENOTFOUND) || put(entry, entry->reserved, on_written, &error) < 0) {
        tell_all(entry, SA_ONCE_FAILED, NULL, err && err->code != SA_ENOTFOUND ? err : &error);
        return;
    }
    entry->written = true;
    entry->all->due++;
}

/* ---- claims ---- */

static struct entry *entry_of(struct sa_idempotency *all, const char *hash, const char *body,
                              const struct sa_idempotency_what *what, struct sa_error *err)
{
    struct entry *entry;
    HASH_FIND_STR(all->entries, hash, entry);
    if (entry && strcmp(entry->body, body) != 0) {
        sa_error_at(err, SA_ECONFLICT, "Idempotency-Key",
                    "this Idempotency-Key was used with another body; choose a new one");
        return NULL;
    }
    if (entry) { /* whoever is in front may not know yet what this one does */
        if (what->over && !entry->written && !entry->over[0])
            snprintf(entry->over, sizeof entry->over, "%s", what->over);
        return entry;
    }
    entry = sa_alloc(sizeof *entry);
    entry->all = all;
    snprintf(entry->hash, sizeof entry->hash, "%s", hash);
    snprintf(entry->body, sizeof entry->body, "%s", body);
    snprintf(entry->over, sizeof entry->over, "%s", what->over ? what->over : "");
    if (what->reserved)
        snprintf(entry->reserved, sizeof entry->reserved, "%c%s", begun, what->reserved);
    if (!sa_store_get_idempotency(all->store, hash, on_looked_up, entry, err)) {
        free(entry);
        return NULL;
    }
    all->due++;
    HASH_ADD_STR(all->entries, hash, entry);
    return entry;
}

struct sa_once *sa_idempotency_begin(struct sa_idempotency *all,
                                     const struct sa_idempotency_what *what, sa_once_done done,
                                     void *user, struct sa_error *err)
{
    char hash[HASH_TEXT], body[HASH_TEXT];
    hash_key(what, hash);
    hash_of(what->body, what->length, body);
    struct entry *entry = entry_of(all, hash, body, what, err);
    if (!entry)
        return NULL;
    struct sa_once *claim = sa_alloc(sizeof *claim);
    *claim = (struct sa_once){.entry = entry, .done = done, .user = user};
    DL_APPEND(entry->claims, claim);
    return claim;
}

static void remove_claim(struct sa_once *claim)
{
    struct entry *entry = claim->entry;
    DL_DELETE(entry->claims, claim);
    if (entry->owner == claim)
        entry->owner = NULL;
    free(claim);
}

void sa_once_settle(struct sa_once *claim, const char *resource)
{
    struct entry *entry = claim->entry;
    struct sa_error error;
    remove_claim(claim);
    if (put(entry, resource, NULL, &error) < 0)
        sa_log_error("idempotency key not recorded", SA_LOG_ERR(&error));
    char id[SA_ID_BYTES];
    snprintf(id, sizeof id, "%s", resource);
    tell_all(entry, SA_ONCE_KNOWN, id, NULL);
}

void sa_once_abandon(struct sa_once *claim)
{
    struct entry *entry = claim->entry;
    remove_claim(claim);
    give_to_next(entry);
}

void sa_once_cancel(struct sa_once *claim)
{
    if (claim && claim->entry)
        remove_claim(claim); /* the entry waits for the store, or for its owner */
}
