/* JSON merge patch (RFC 7396) from text to text. */
#ifndef SA_JSON_MERGE_H
#define SA_JSON_MERGE_H

#include "base/buf.h"
#include "json/json.h"

/* Append `target`, an object, as `patch`, an object, changes it: members are merged, null removes.
 * The target is trusted; the patch comes from outside: SA_EINVALID, SA_ETOOLARGE as of
 * sa_json_parse(), whose limits hold for the patch and for what comes out. */
int sa_json_merge_patch(const char *target, size_t target_length, const char *patch,
                        size_t patch_length, const struct sa_json_limits *limits,
                        struct sa_buf *out, struct sa_error *err);

#endif
