/* How a bundle comes about, for bundle_read.c and bundle_file.c: make, add, seal; then it is
 * immutable. */
#ifndef SA_LUA_BUNDLE_BUILD_H
#define SA_LUA_BUNDLE_BUILD_H

#include "lua/bundle.h"

#include <stdbool.h>

enum { SA_BUNDLE_NAME_MAX = 128 };

struct sa_bundle *sa_bundle_new(void);
/* "params.lua", or "policies/" or "scaling/" and a name of letters, digits, `-`, `_` and `.` that
 * does not begin with a dot and ends in ".lua". */
bool sa_bundle_name_valid(const char *name);
/* Texts are copied; a file of the same name is replaced. SA_ETOOLARGE beyond the caps. */
int sa_bundle_add(struct sa_bundle *bundle, const char *name, const char *origin, const char *text,
                  size_t length, struct sa_error *err);
/* Sort and digest. */
int sa_bundle_seal(struct sa_bundle *bundle, struct sa_error *err);

#endif
