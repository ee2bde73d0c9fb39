/* The interface description (api/openapi/) as JSON, made when building (tools/openapi_json.py). */
#ifndef SA_API_OPENAPI_JSON_H
#define SA_API_OPENAPI_JSON_H

#include <stddef.h>

extern const char sa_openapi_json[];
extern const size_t sa_openapi_json_length;

#endif
