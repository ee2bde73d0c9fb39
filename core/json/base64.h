/* Base64 (RFC 4648, section 4): with padding, without white space or line breaks. */
#ifndef SA_JSON_BASE64_H
#define SA_JSON_BASE64_H

#include "base/buf.h"
#include "base/error.h"

#include <stddef.h>

/* Append the encoding of `length` bytes. */
void sa_base64_encode(const void *data, size_t length, struct sa_buf *out);
/* Append the bytes. SA_EINVALID for other characters, missing padding or stray bits at the end;
 * then `out` is as it was. */
int sa_base64_decode(const char *text, size_t length, struct sa_buf *out, struct sa_error *err);

#endif
