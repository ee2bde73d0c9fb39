/*
 * Quantities as Kubernetes writes them (apimachinery resource.Quantity): a decimal number and
 * nothing, a power of ten (n u m k M G T P E or an exponent, 1e3) or of two (Ki Mi Gi Ti Pi Ei).
 * Not negative here. What is finer than the unit is rounded up.
 */
#ifndef SA_JSON_QUANTITY_H
#define SA_JSON_QUANTITY_H

#include "base/error.h"

#include <stdint.h>

/* "500m", "2", "0.5" to millicores; "512Mi", "1G", "1048576" to bytes. SA_EINVALID. */
int sa_quantity_cpu(const char *text, int64_t *millicores, struct sa_error *err);
int sa_quantity_bytes(const char *text, int64_t *bytes, struct sa_error *err);

enum { SA_QUANTITY_BYTES = 32 };
/* The shortest exact form: "2", "1500m"; "512Mi", "1G", "1000001". */
void sa_quantity_cpu_print(int64_t millicores, char out[SA_QUANTITY_BYTES]);
void sa_quantity_bytes_print(int64_t bytes, char out[SA_QUANTITY_BYTES]);

#endif
