/*
 * API keys. All of them are kept in memory and in step with the database, so that
 * authentication never touches the disk; every function here is for the loop's thread.
 *
 * Two formats, both made of random bits only:
 *   sa_PPPPPPPP_SSSS...S   8 characters of public prefix, 32-64 of secret; lower-case base32
 *   e2b_ + 40 hex digits   lower case, for clients of E2B; the first 8 digits are the prefix
 * A key is found by its prefix ("sa_PPPPPPPP", "e2b_XXXXXXXX"), which may be shown; what is
 * stored is the SHA-256 of the whole key. The secret part is 160 (E2B: 128) random bits, so
 * that a slow password hash would buy nothing: there is nothing to guess.
 */
#ifndef SA_STORE_KEYS_H
#define SA_STORE_KEYS_H

#include "base/error.h"
#include "base/id.h"
#include "store/store.h"

enum sa_role { /* each may do what those before it may */
               SA_ROLE_VIEWER,
               SA_ROLE_DEVELOPER,
               SA_ROLE_OPERATOR,
               SA_ROLE_ADMIN,
               SA_ROLE_COUNT
};
const char *sa_role_name(enum sa_role role);                                   /* "viewer" */
int sa_role_parse(const char *text, enum sa_role *role, struct sa_error *err); /* path "role" */

enum {
    SA_KEY_NAME_MAX = 64,     /* bytes */
    SA_KEY_PREFIX_BYTES = 16, /* with the NUL */
    SA_KEY_TEXT_BYTES = 80,   /* any key and its NUL */
    SA_KEYS_MAX = 10000,
};

struct sa_key_info {
    char id[SA_ID_BYTES]; /* "key-..." */
    char name[SA_KEY_NAME_MAX + 1];
    char prefix[SA_KEY_PREFIX_BYTES];
    enum sa_role role;
    int64_t created_ms, expires_ms, revoked_ms, last_used_ms; /* wall time; 0: never */
};

/* Is this a valid key? 0 and its facts (the store's: copy what must outlast the callback you are
 * in), or SA_EUNAUTHORIZED. An unknown prefix costs as much as a wrong secret, the comparison is
 * constant-time, and that a key is revoked or expired is told only to who holds it. Notes the
 * use, at most once a minute for each key. */
int sa_store_key_check(struct sa_store *store, const char *text, size_t length,
                       const struct sa_key_info **info, struct sa_error *err);

struct sa_key_params {
    const char *name; /* 1-64 bytes of printable UTF-8 */
    enum sa_role role;
    int64_t expires_ms; /* 0: never; else in the future */
    bool e2b;           /* the E2B format */
    const char *text;   /* NULL: make one; else register this one (then `e2b` is ignored) */
};

/* Make a key. `text` (given once, never again) and `info` are valid until the callback returns.
 * The key works from then on. SA_EINVALID (path names the parameter), SA_EQUOTA beyond
 * SA_KEYS_MAX, SA_ECONFLICT when the given text's prefix is taken. */
typedef void (*sa_store_key_done)(void *user, const struct sa_error *err,
                                  const struct sa_key_info *info, const char *text);
int sa_store_key_create(struct sa_store *store, const struct sa_key_params *params,
                        sa_store_key_done done, void *user, struct sa_error *err);
/* The same, waiting for the disk: for the first key, before the loop runs. A given text that is
 * registered already is no error: its facts are returned as they are. */
int sa_store_key_create_sync(struct sa_store *store, const struct sa_key_params *params,
                             struct sa_key_info *info, char text[SA_KEY_TEXT_BYTES],
                             struct sa_error *err);

/* The key stops working at once; the callback (may be NULL) tells that this is on disk. Revoking
 * it again is no error. SA_ENOTFOUND. */
int sa_store_key_revoke(struct sa_store *store, const char *id, sa_store_done done, void *user,
                        struct sa_error *err);

/* The facts of one key by id (the store's, as above), or NULL. */
const struct sa_key_info *sa_store_key_get(struct sa_store *store, const char *id);

/* Up to `max` keys in the order of their making, those behind the key `after` (NULL or "": from
 * the start). Returns how many; an unknown `after` is SA_EINVALID, -1. */
int sa_store_key_list(struct sa_store *store, const char *after, size_t max,
                      struct sa_key_info *out, struct sa_error *err);
size_t sa_store_key_count(struct sa_store *store);

#endif
