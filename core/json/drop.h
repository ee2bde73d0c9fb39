/* Objects and lists without anything in them, for readers that cannot tell the one from the other
 * (Lua). */
#ifndef SA_JSON_DROP_H
#define SA_JSON_DROP_H

#include "base/buf.h"
#include "json/json.h"

/* Append `object`, a JSON object, without its members that are empty objects or lists, or become
 * so, at any depth; elements of lists stay. SA_EINVALID, SA_ETOOLARGE as of sa_json_parse(). */
int sa_json_drop_empty(const char *object, size_t length, struct sa_buf *out, struct sa_error *err);

#endif
