#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t sa_monotonic_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t sa_monotonic_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t sa_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

void sa_rfc3339(int64_t wall_ms, char out[SA_RFC3339_BYTES])
{
    const int64_t first = -62167219200000, last = 253402300799999; /* years 0 to 9999 */
    wall_ms = wall_ms < first ? first : wall_ms > last ? last : wall_ms;
    int64_t ms = wall_ms % 1000 < 0 ? wall_ms % 1000 + 1000 : wall_ms % 1000;
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm tm;
    char text[17] = "";
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "-%m-%dT%H:%M:%S", &tm);
    snprintf(out, SA_RFC3339_BYTES, "%04u%s.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000u, text,
             (unsigned)ms % 1000u);
}
