/*
 * The files of one generation of rules: read from the shipped folders and the operator's, in that
 * order (a later file of the same name replaces an earlier one), immutable afterwards and shared
 * by reference. Names are "policies/x.lua", "scaling/x.lua", "params.lua"; tests "x_test.lua".
 * Any thread may hold a reference; the count is atomic.
 */
#ifndef SA_LUA_BUNDLE_H
#define SA_LUA_BUNDLE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { SA_BUNDLE_FILES_MAX = 512, SA_BUNDLE_BYTES_MAX = 8 * 1024 * 1024 };

struct sa_bundle;
struct sa_bundle_file {
    const char *name;   /* "policies/x.lua" */
    const char *origin; /* the path it was read from, for messages */
    const char *text;
    size_t length;
};

/* Blocking: call it on a worker thread, or before the loop runs. Each of `dirs` holds `policies/`
 * and `scaling/` (either may be missing) and perhaps `params.lua`; hidden files, other suffixes and
 * deeper folders are not looked at. Errors name the path. */
struct sa_bundle *sa_bundle_read(const char *const *dirs, size_t count, struct sa_error *err);
struct sa_bundle *sa_bundle_ref(struct sa_bundle *bundle);
void sa_bundle_unref(struct sa_bundle *bundle); /* NULL is allowed */

size_t sa_bundle_count(const struct sa_bundle *bundle);
/* In the order of their names. */
const struct sa_bundle_file *sa_bundle_file(const struct sa_bundle *bundle, size_t index);
/* SHA-256 over names and texts, 64 hexadecimal digits: equal digests, equal rules. */
const char *sa_bundle_digest(const struct sa_bundle *bundle);

/* One file that holds all of it, replaced atomically; blocking, too. */
int sa_bundle_save(const struct sa_bundle *bundle, const char *path, struct sa_error *err);
struct sa_bundle *sa_bundle_load(const char *path, struct sa_error *err);

#endif
