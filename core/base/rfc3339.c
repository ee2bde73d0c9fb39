/* Times as text; apart from clock.c, so that who only needs the clock does not carry it. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

static void put_digits(char *to, int count, int number)
{
    for (int i = count - 1; i >= 0; i--, number /= 10)
        to[i] = (char)('0' + number % 10);
}

/* Objects are full of times: strftime() and snprintf() took longer than all else of printing. */
void sa_rfc3339(int64_t wall_ms, char out[SA_RFC3339_BYTES])
{
    const int64_t first = -62167219200000, last = 253402300799999; /* years 0 to 9999 */
    wall_ms = wall_ms < first ? first : wall_ms > last ? last : wall_ms;
    int64_t ms = wall_ms % 1000 < 0 ? wall_ms % 1000 + 1000 : wall_ms % 1000;
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    static const char form[] = "0000-00-00T00:00:00.000Z";
    struct tm tm;
    gmtime_r(&seconds, &tm);
    memcpy(out, form, sizeof form);
    put_digits(out, 4, tm.tm_year + 1900);
    put_digits(out + 5, 2, tm.tm_mon + 1);
    put_digits(out + 8, 2, tm.tm_mday);
    put_digits(out + 11, 2, tm.tm_hour);
    put_digits(out + 14, 2, tm.tm_min);
    put_digits(out + 17, 2, tm.tm_sec);
    put_digits(out + 20, 3, (int)ms);
}

/* ".123456" -> 123; where it ends goes to *end. */
static int64_t fraction_ms(const char *text, const char **end)
{
    int64_t ms = 0;
    int digits = 0;
    *end = text;
    if (*text != '.')
        return 0;
    for (text++; *text >= '0' && *text <= '9'; text++, digits++)
        if (digits < 3)
            ms = ms * 10 + (*text - '0');
    *end = text;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

static int two_digits(const char *text, int most)
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
        return -1;
    int number = (text[0] - '0') * 10 + (text[1] - '0');
    return number <= most ? number : -1;
}

/* "Z" or "+01:30", to its end. */
static int offset_s(const char *text, int64_t *seconds)
{
    *seconds = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return 0;
    if ((text[0] != '+' && text[0] != '-') || strlen(text) != strlen("+00:00") || text[3] != ':')
        return -1;
    int hours = two_digits(text + 1, 23), minutes = two_digits(text + 4, 59);
    if (hours < 0 || minutes < 0)
        return -1;
    *seconds = (text[0] == '-' ? -1 : 1) * ((int64_t)hours * 60 + minutes) * 60;
    return 0;
}

int sa_rfc3339_parse(const char *text, int64_t *wall_ms)
{
    struct tm tm = {0};
    int64_t offset;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end)
        return -1;
    int64_t ms = fraction_ms(end, &end);
    if (offset_s(end, &offset) < 0)
        return -1;
    *wall_ms = ((int64_t)timegm(&tm) - offset) * 1000 + ms;
    return 0;
}
