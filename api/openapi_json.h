/* The interface description (api/openapi/) as JSON, made when building (tools/openapi_json.py). */
#ifndef SA_API_OPENAPI_JSON_H
#define SA_API_OPENAPI_JSON_H

#include <stddef.h>

extern const char sa_openapi_json[];
extern const size_t sa_openapi_json_length;

/* What may stand in the query of each operation, " name name "; a zero entry at the end. Operations
 * that take any (x-any-query) are not there. */
struct sa_openapi_query {
    const char *method, *path, *names;
};
extern const struct sa_openapi_query sa_openapi_queries[];

#endif
