/* What a plain scalar of YAML is in JSON. */
#ifndef SA_MANIFEST_SCALAR_H
#define SA_MANIFEST_SCALAR_H

#include <stdbool.h>
#include <stddef.h>

/* The JSON text of it (`null`, `true`, a number), or NULL: it is a string. `text` ends with NUL. */
const char *sa_scalar_json(const char *text, size_t length);

#endif
