/* Time. Durations are measured on the monotonic clock; only what a person reads is wall time. */
#ifndef SA_BASE_CLOCK_H
#define SA_BASE_CLOCK_H

#include <stdint.h>

int64_t sa_monotonic_ms(void);
int64_t sa_monotonic_us(void);
int64_t sa_wall_ms(void); /* since 1970-01-01 UTC */

enum { SA_RFC3339_BYTES = 32 };
/* "2026-01-31T09:05:00.123Z" (RFC 3339, UTC). What lies before the year 0 or after 9999, which the
 * format does not have, becomes the nearest that it has. */
void sa_rfc3339(int64_t wall_ms, char out[SA_RFC3339_BYTES]);
/* Back: a time with "Z" or an offset, a fraction is cut to milliseconds. -1: it is none. */
int sa_rfc3339_parse(const char *text, int64_t *wall_ms);

#endif
