/* The keyring: all API keys in memory, by prefix and by id, in step with the database. Nothing
 * here but loading and the _sync call waits for the disk. */
#include "base/utf8.h"
#include "keyrow.h"
#include "keytext.h"
#include "store/internal.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

enum { NOTE_USE_MS = 60 * 1000, PRUNE_MAX = 100 };

struct key {
    struct sa_key_info info;
    uint8_t hash[SA_KEY_HASH_BYTES];
    UT_hash_handle by_prefix, by_id; /* by_id keeps the order of making */
};

struct sa_keyring {
    struct key *by_prefix, *by_id;
    size_t on_the_way; /* keys being made */
    struct sa_key_hasher hasher;
};

/* ---- roles ---- */

static const char *const role_names[SA_ROLE_COUNT] = {"viewer", "developer", "operator", "admin"};

const char *sa_role_name(enum sa_role role)
{
    return role < SA_ROLE_COUNT ? role_names[role] : "none";
}

int sa_role_parse(const char *text, enum sa_role *role, struct sa_error *err)
{
    for (int i = 0; text && i < SA_ROLE_COUNT; i++) {
        if (strcmp(text, role_names[i]) == 0) {
            *role = (enum sa_role)i;
            return 0;
        }
    }
    return sa_error_at(err, SA_EINVALID, "role",
                       "role: must be admin, operator, developer or viewer");
}

/* ---- the ring ---- */

static struct key *find_prefix(struct sa_keyring *ring, const char *prefix)
{
    struct key *key;
    HASH_FIND(by_prefix, ring->by_prefix, prefix, strlen(prefix), key);
    return key;
}

static struct key *find_id(struct sa_keyring *ring, const char *id)
{
    struct key *key;
    HASH_FIND(by_id, ring->by_id, id, strlen(id), key);
    return key;
}

static void ring_add(struct sa_keyring *ring, struct key *key)
{
    HASH_ADD_KEYPTR(by_prefix, ring->by_prefix, key->info.prefix, strlen(key->info.prefix), key);
    HASH_ADD_KEYPTR(by_id, ring->by_id, key->info.id, strlen(key->info.id), key);
}

static void ring_drop(struct sa_keyring *ring, struct key *key)
{
    HASH_DELETE(by_prefix, ring->by_prefix, key);
    HASH_DELETE(by_id, ring->by_id, key);
    free(key);
}

static int load_key(struct sa_keyring *ring, const struct sa_key_row *row, struct sa_error *err)
{
    struct key *key = sa_alloc(sizeof *key);
    struct sa_key_info *info = &key->info;
    bool fits = strlen(row->id) < sizeof info->id && strlen(row->name) < sizeof info->name &&
                strlen(row->prefix) < sizeof info->prefix;
    if (!fits || !sa_key_hash_parse(row->hash, key->hash) ||
        sa_role_parse(row->role, &info->role, NULL) < 0) {
        free(key);
        return sa_error_set(err, SA_EINVALID, "the key %.40s in the database is damaged", row->id);
    }
    snprintf(info->id, sizeof info->id, "%s", row->id);
    snprintf(info->name, sizeof info->name, "%s", row->name);
    snprintf(info->prefix, sizeof info->prefix, "%s", row->prefix);
    info->created_ms = row->created_ms;
    info->expires_ms = row->expires_ms;
    info->revoked_ms = row->revoked_ms;
    info->last_used_ms = row->last_used_ms;
    ring_add(ring, key);
    return 0;
}

static int load_keys(struct sa_store *store, struct sa_keyring *ring, struct sa_error *err)
{
    sqlite3_stmt *stmt = NULL;
    sa_autobuf sql = SA_BUF_INIT;
    sa_buf_adds(&sql, "SELECT ");
    sa_table_column_names(&sa_table_keys, "", &sql);
    sa_buf_adds(&sql, " FROM keys ORDER BY created_ms, rowid");
    if (!sa_database_prepare(store->db.writer, &stmt, sql.data, err))
        return -1;
    int rc, result = 0;
    while (result == 0 && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            result = sa_database_error(store->db.writer, rc, "cannot read keys from", err);
            break;
        }
        struct sa_arena *arena = sa_arena_new();
        struct sa_key_row row;
        sa_table_read(&sa_table_keys, stmt, arena, &row);
        result = load_key(ring, &row, err);
        sa_arena_free(arena);
    }
    sqlite3_finalize(stmt);
    return result;
}

struct sa_keyring *sa_keyring_load(struct sa_store *store, struct sa_error *err)
{
    struct sa_keyring *ring = sa_alloc(sizeof *ring);
    if (sa_key_hasher_init(&ring->hasher, err) == 0 && load_keys(store, ring, err) == 0)
        return ring;
    sa_keyring_free(ring);
    return NULL;
}

void sa_keyring_free(struct sa_keyring *ring)
{
    if (!ring)
        return;
    for (struct key *key = ring->by_id, *next; key; key = next) {
        next = key->by_id.next;
        ring_drop(ring, key);
    }
    sa_key_hasher_deinit(&ring->hasher);
    free(ring);
}

/* A write about the key: the statement picks what it needs of the whole row. */
static struct sa_write *key_write(const struct key *key, enum sa_statement statement)
{
    const struct sa_key_info *info = &key->info;
    char hash[SA_KEY_HASH_HEX];
    sa_key_hash_hex(key->hash, hash);
    struct sa_key_row row = {.id = info->id,
                             .name = info->name,
                             .role = sa_role_name(info->role),
                             .prefix = info->prefix,
                             .hash = hash,
                             .created_ms = info->created_ms,
                             .expires_ms = info->expires_ms,
                             .revoked_ms = info->revoked_ms,
                             .last_used_ms = info->last_used_ms};
    return sa_write_record(statement, &row, NULL);
}

/* ---- check ---- */

static void note_use(struct sa_store *store, struct key *key, int64_t now_ms)
{
    int64_t before = key->info.last_used_ms;
    if (now_ms - before < NOTE_USE_MS)
        return;
    key->info.last_used_ms = now_ms;
    if (sa_write_push(store, key_write(key, SA_TOUCH_KEY), NULL) < 0)
        key->info.last_used_ms = before; /* queue full: the next use tries again */
}

static int refuse(struct sa_error *err)
{
    return sa_error_set(err, SA_EUNAUTHORIZED, "the API key is not valid");
}

int sa_store_key_check(struct sa_store *store, const char *text, size_t length,
                       const struct sa_key_info **info, struct sa_error *err)
{
    static const uint8_t nobody[SA_KEY_HASH_BYTES];
    struct sa_keyring *ring = store->keyring;
    char prefix[SA_KEY_PREFIX_BYTES];
    uint8_t hash[SA_KEY_HASH_BYTES];
    if (!sa_key_text_parse(text, length, prefix))
        return refuse(err);
    struct key *key = find_prefix(ring, prefix);
    if (!sa_key_hash(&ring->hasher, text, length, hash))
        return refuse(err);
    bool equal = CRYPTO_memcmp(hash, key ? key->hash : nobody, sizeof hash) == 0;
    if (!key || !equal)
        return refuse(err);
    int64_t now_ms = store->options.wall_ms();
    if (key->info.revoked_ms)
        return sa_error_set(err, SA_EUNAUTHORIZED, "the API key %s was revoked", key->info.id);
    if (key->info.expires_ms && now_ms >= key->info.expires_ms)
        return sa_error_set(err, SA_EUNAUTHORIZED, "the API key %s has expired", key->info.id);
    note_use(store, key, now_ms);
    *info = &key->info;
    return 0;
}

/* ---- create ---- */

static bool printable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        /* Control characters, those of U+0080-009F (C2 80 - C2 9F) included. */
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0))
            return false;
    }
    return sa_utf8_valid(text, length);
}

static int check_params(struct sa_store *store, const struct sa_key_params *params,
                        struct sa_error *err)
{
    size_t length = params->name ? strnlen(params->name, SA_KEY_NAME_MAX + 1) : 0;
    if (length == 0 || length > SA_KEY_NAME_MAX || !printable(params->name, length))
        return sa_error_at(err, SA_EINVALID, "name", "name: must be 1 to %d printable bytes",
                           SA_KEY_NAME_MAX);
    if (params->role >= SA_ROLE_COUNT)
        return sa_role_parse(NULL, NULL, err);
    if (params->expires_ms < 0 ||
        (params->expires_ms && params->expires_ms <= store->options.wall_ms()))
        return sa_error_at(err, SA_EINVALID, "expires", "expires: must be in the future");
    struct sa_keyring *ring = store->keyring;
    if (sa_store_key_count(store) + ring->on_the_way >= SA_KEYS_MAX)
        return sa_error_set(err, SA_EQUOTA, "there are %d API keys already; revoke some",
                            SA_KEYS_MAX);
    return 0;
}

/* A new key and its text; `twin` is a key that has the given text already. */
static struct key *make_key(struct sa_store *store, const struct sa_key_params *params,
                            char text[SA_KEY_TEXT_BYTES], const struct key **twin,
                            struct sa_error *err)
{
    struct sa_keyring *ring = store->keyring;
    char prefix[SA_KEY_PREFIX_BYTES];
    uint8_t hash[SA_KEY_HASH_BYTES];
    const struct key *other;
    if (params->text) {
        if (!sa_key_text_parse(params->text, strlen(params->text), prefix)) {
            sa_error_at(err, SA_EINVALID, "text",
                        "the given API key has none of the formats "
                        "sa_<8>_<32 to 64 of base32>, e2b_<40 hex>");
            return NULL;
        }
        snprintf(text, SA_KEY_TEXT_BYTES, "%s", params->text);
        other = find_prefix(ring, prefix);
    } else {
        do { /* 40 or 32 bits of prefix: with SA_KEYS_MAX keys a second turn is rare */
            sa_key_text_new(params->e2b, text);
            sa_key_text_parse(text, strlen(text), prefix);
            other = find_prefix(ring, prefix);
        } while (other);
    }
    if (!sa_key_hash(&ring->hasher, text, strlen(text), hash)) {
        sa_error_set(err, SA_EINTERNAL, "cannot hash the API key");
        return NULL;
    }
    if (other) {
        if (twin && CRYPTO_memcmp(other->hash, hash, sizeof hash) == 0)
            *twin = other;
        sa_error_at(err, SA_ECONFLICT, "text", "the prefix %s is taken by the key %s", prefix,
                    other->info.id);
        return NULL;
    }
    struct key *key = sa_alloc(sizeof *key);
    memcpy(key->hash, hash, sizeof hash);
    sa_id_new("key-", key->info.id);
    snprintf(key->info.name, sizeof key->info.name, "%s", params->name);
    snprintf(key->info.prefix, sizeof key->info.prefix, "%s", prefix);
    key->info.role = params->role;
    key->info.created_ms = store->options.wall_ms();
    key->info.expires_ms = params->expires_ms;
    return key;
}

struct create { /* on its way to the disk: write->user */
    struct key *key;
    sa_store_key_done done;
    void *user;
    char text[SA_KEY_TEXT_BYTES];
};

static void release_create(struct sa_op *op)
{
    struct sa_write *write = sa_container_of(op, struct sa_write, op);
    struct create *create = write->user;
    OPENSSL_cleanse(create->text, sizeof create->text);
    free(create->key);
    free(create);
    free(write);
}

static void finish_create(struct sa_store *store, struct sa_op *op)
{
    struct sa_write *write = sa_container_of(op, struct sa_write, op);
    struct create *create = write->user;
    store->keyring->on_the_way--;
    if (op->err) {
        if (create->done)
            create->done(create->user, op->err, NULL, NULL);
        return;
    }
    struct key *key = sa_steal(&create->key);
    ring_add(store->keyring, key);
    if (create->done)
        create->done(create->user, NULL, &key->info, create->text);
}

int sa_store_key_create(struct sa_store *store, const struct sa_key_params *params,
                        sa_store_key_done done, void *user, struct sa_error *err)
{
    char text[SA_KEY_TEXT_BYTES];
    if (check_params(store, params, err) < 0)
        return -1;
    struct key *key = make_key(store, params, text, NULL, err);
    if (!key)
        return -1;
    struct create *create = sa_alloc(sizeof *create);
    create->key = key;
    create->done = done;
    create->user = user;
    memcpy(create->text, text, sizeof text);
    OPENSSL_cleanse(text, sizeof text);
    struct sa_write *write = key_write(key, SA_ADD_KEY);
    write->user = create;
    write->op.finish = finish_create;
    write->op.release = release_create;
    write->op.awaited = true; /* also without `done`: the ring must learn of it */
    if (sa_write_push(store, write, err) < 0)
        return -1;
    store->keyring->on_the_way++;
    return 0;
}

int sa_store_key_create_sync(struct sa_store *store, const struct sa_key_params *params,
                             struct sa_key_info *info, char text[SA_KEY_TEXT_BYTES],
                             struct sa_error *err)
{
    const struct key *twin = NULL;
    if (check_params(store, params, err) < 0)
        return -1;
    struct sa_error why = {.code = SA_OK};
    struct key *key = make_key(store, params, text, &twin, &why);
    if (twin) {
        *info = twin->info;
        return 0;
    }
    if (!key) {
        if (err)
            *err = why;
        return -1;
    }
    struct sa_write *write = key_write(key, SA_ADD_KEY);
    int result = sa_write_sync(store, write, err);
    sa_op_free(&write->op);
    if (result < 0) {
        free(key);
        return -1;
    }
    ring_add(store->keyring, key);
    *info = key->info;
    return 0;
}

/* ---- revoke, look, prune ---- */

static void finish_revoke(struct sa_store *store, struct sa_op *op)
{
    (void)store;
    struct sa_write *write = sa_container_of(op, struct sa_write, op);
    write->done(write->user, op->err);
}

int sa_store_key_revoke(struct sa_store *store, const char *id, sa_store_done done, void *user,
                        struct sa_error *err)
{
    struct key *key = find_id(store->keyring, id ? id : "");
    if (!key)
        return sa_error_at(err, SA_ENOTFOUND, "id", "no such API key");
    /* In memory at once, whatever becomes of the write: a key that should not work must not. */
    if (!key->info.revoked_ms)
        key->info.revoked_ms = store->options.wall_ms();
    struct sa_write *write = key_write(key, SA_REVOKE_KEY);
    write->op.awaited = done != NULL;
    write->op.finish = finish_revoke;
    write->done = done;
    write->user = user;
    return sa_write_push(store, write, err);
}

const struct sa_key_info *sa_store_key_get(struct sa_store *store, const char *id)
{
    struct key *key = find_id(store->keyring, id);
    return key ? &key->info : NULL;
}

int sa_store_key_list(struct sa_store *store, const char *after, size_t max,
                      struct sa_key_info *out, struct sa_error *err)
{
    struct key *key = store->keyring->by_id;
    if (after && after[0]) {
        key = find_id(store->keyring, after);
        if (!key)
            return sa_error_at(err, SA_EINVALID, "cursor", "cursor: no such API key any more");
        key = key->by_id.next;
    }
    int count = 0;
    for (; key && (size_t)count < max && count < SA_KEYS_MAX; key = key->by_id.next)
        out[count++] = key->info;
    return count;
}

size_t sa_store_key_count(struct sa_store *store)
{
    return HASH_CNT(by_id, store->keyring->by_id);
}

void sa_keyring_prune(struct sa_store *store, int64_t before_ms)
{
    int dropped = 0;
    for (struct key *key = store->keyring->by_id, *next; key; key = next) {
        next = key->by_id.next;
        const struct sa_key_info *info = &key->info;
        bool over = (info->revoked_ms && info->revoked_ms < before_ms) ||
                    (info->expires_ms && info->expires_ms < before_ms);
        if (!over)
            continue;
        if (++dropped > PRUNE_MAX || sa_write_push(store, key_write(key, SA_DROP_KEY), NULL) < 0)
            return; /* the next prune goes on */
        ring_drop(store->keyring, key);
    }
}
