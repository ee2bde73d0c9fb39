#include "json/quantity.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

static const struct suffix {
    const char *text;
    int tens; /* power of ten, or 0 */
    int twos; /* power of two, or 0 */
} suffixes[] = {{"", 0, 0},    {"n", -9, 0},  {"u", -6, 0},  {"m", -3, 0},
                {"k", 3, 0},   {"M", 6, 0},   {"G", 9, 0},   {"T", 12, 0},
                {"P", 15, 0},  {"E", 18, 0},  {"Ki", 0, 10}, {"Mi", 0, 20},
                {"Gi", 0, 30}, {"Ti", 0, 40}, {"Pi", 0, 50}, {"Ei", 0, 60}};

/* Digits with at most one point: `mantissa` * 10^`tens`. Returns what follows, or NULL. */
static const char *digits(const char *text, uint64_t *mantissa, int *tens)
{
    bool any = false, point = false;
    *mantissa = 0;
    *tens = 0;
    for (;; text++) {
        if (*text == '.' && !point) {
            point = true;
            continue;
        }
        if (*text < '0' || *text > '9')
            return any ? text : NULL;
        if (*mantissa >= UINT64_C(1000000000000000000))
            return NULL; /* 19 digits: more precision than any limit has */
        any = true;
        *mantissa = *mantissa * 10 + (uint64_t)(*text - '0');
        *tens -= point;
    }
}

/* e or E, a sign, one or two digits, the end. */
static bool exponent(const char *text, int *tens)
{
    int sign = 1, value = 0;
    text++;
    if (*text == '+' || *text == '-')
        sign = *text++ == '-' ? -1 : 1;
    size_t n = strspn(text, "0123456789");
    if (n < 1 || n > 2 || text[n])
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (text[i] - '0');
    *tens += sign * value;
    return true;
}

static bool suffix(const char *text, int *tens, int *twos)
{
    if ((*text == 'e' || *text == 'E') && text[1])
        return exponent(text, tens) || (strcmp(text, "Ei") == 0 && (*twos = 60));
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (strcmp(text, suffixes[i].text) == 0) {
            *tens += suffixes[i].tens;
            *twos = suffixes[i].twos;
            return true;
        }
    return false;
}

/* mantissa * 2^twos * 10^tens, rounded up, if it fits. */
static bool scale(uint64_t mantissa, int twos, int tens, int64_t *out)
{
    wide v = (wide)mantissa << twos; /* 60 + 60 bits */
    for (; tens > 0 && v; tens--) {
        v *= 10;
        if (v > INT64_MAX && tens > 0)
            return false;
    }
    bool rest = false;
    for (; tens < 0 && v; tens++) {
        rest |= v % 10 != 0;
        v /= 10;
    }
    v += rest;
    if (v > INT64_MAX)
        return false;
    *out = (int64_t)v;
    return true;
}

static int parse(const char *text, int unit_tens, const char *example, int64_t *out,
                 struct sa_error *err)
{
    uint64_t mantissa;
    int tens, twos = 0;
    const char *rest = digits(text, &mantissa, &tens);
    if (!rest || !suffix(rest, &tens, &twos) || !scale(mantissa, twos, tens + unit_tens, out))
        return sa_error_set(err, SA_EINVALID, "expected a quantity such as %s, got \"%.40s\"",
                            example, text);
    return 0;
}

int sa_quantity_cpu(const char *text, int64_t *millicores, struct sa_error *err)
{
    return parse(text, 3, "500m or 2", millicores, err);
}

int sa_quantity_bytes(const char *text, int64_t *bytes, struct sa_error *err)
{
    return parse(text, 0, "512Mi or 1G", bytes, err);
}

void sa_quantity_cpu_print(int64_t millicores, char out[SA_QUANTITY_BYTES])
{
    if (millicores % 1000 == 0)
        snprintf(out, SA_QUANTITY_BYTES, "%" PRId64, millicores / 1000);
    else
        snprintf(out, SA_QUANTITY_BYTES, "%" PRId64 "m", millicores);
}

/* How often `by` divides `value`, at most six times; *left is what remains. */
static int divide(int64_t value, int64_t by, int64_t *left)
{
    int times = 0;
    for (; times < 6 && value && value % by == 0; times++)
        value /= by;
    *left = value;
    return times;
}

void sa_quantity_bytes_print(int64_t bytes, char out[SA_QUANTITY_BYTES])
{
    static const char *const twos[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    static const char *const tens[] = {"", "k", "M", "G", "T", "P", "E"};
    int64_t by_twos, by_tens;
    int two = divide(bytes, 1024, &by_twos), ten = divide(bytes, 1000, &by_tens);
    if (ten > two)
        snprintf(out, SA_QUANTITY_BYTES, "%" PRId64 "%s", by_tens, tens[ten]);
    else
        snprintf(out, SA_QUANTITY_BYTES, "%" PRId64 "%s", by_twos, twos[two]);
}
