/* The strict grammar of RFC 8259 with limits, as a recursive descent that keeps nothing. */
#include "base/utf8.h"
#include "json/internal.h"

#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 60 /* cJSON reads at most 63 characters of a number */ };

struct scan {
    const char *start, *p, *end;
    size_t depth, depth_max, values, values_max;
    struct sa_error *err;
};

static int scan_value(struct scan *s);

/* Fail at s->p, as line and column (in bytes, from 1). */
static int fail(struct scan *s, const char *what)
{
    size_t line = 1;
    const char *begin = s->start;
    for (const char *nl; (nl = memchr(begin, '\n', (size_t)(s->p - begin))); begin = nl + 1)
        line++;
    return sa_error_set(s->err, SA_EINVALID, "JSON, line %zu, column %zu: %s", line,
                        (size_t)(s->p - begin) + 1, what);
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static int at(const struct scan *s, char c)
{
    return s->p < s->end && *s->p == c;
}

/* The four hexadecimal digits of \uXXXX at s->p, or -1. */
static int hex4(struct scan *s)
{
    int value = 0;
    if (s->end - s->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = s->p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    s->p += 4;
    return value;
}

/* s->p is behind "\u". */
static int scan_unicode(struct scan *s)
{
    int first = hex4(s);
    if (first < 0)
        return fail(s, "expected four hexadecimal digits behind \\u");
    if (first == 0)
        return fail(s, "U+0000 is not allowed in strings");
    if (first >= 0xDC00 && first <= 0xDFFF)
        return fail(s, "lone surrogate");
    if (first < 0xD800 || first > 0xDBFF)
        return 0;
    if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u')
        return fail(s, "lone surrogate");
    s->p += 2;
    int second = hex4(s);
    return second >= 0xDC00 && second <= 0xDFFF ? 0 : fail(s, "lone surrogate");
}

static int scan_escape(struct scan *s)
{
    s->p++; /* the backslash */
    char c = s->p < s->end ? *s->p : '\0';
    if (c == '\0' || !strchr("\"\\/bfnrtu", c))
        return fail(s, "unknown escape in a string");
    s->p++;
    return c == 'u' ? scan_unicode(s) : 0;
}

static int scan_string(struct scan *s)
{
    s->p++; /* the opening quote */
    for (;;) {
        unsigned bits = 0;
        while (s->end - s->p >= SA_JSON_STRIDE && !(bits = sa_json_special(s->p, 0)))
            s->p += SA_JSON_STRIDE;
        if (bits)
            s->p += __builtin_ctz(bits);
        else
            while (s->p < s->end && !sa_json_is_special((unsigned char)*s->p, 0))
                s->p++;
        if (s->p == s->end)
            return fail(s, "the string does not end");
        if (*s->p == '"')
            break;
        if (*s->p != '\\')
            return fail(s, "control character in a string");
        if (scan_escape(s) < 0)
            return -1;
    }
    s->p++;
    return 0;
}

/* At least one digit. */
static int scan_digits(struct scan *s)
{
    const char *begin = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > begin ? 0 : fail(s, "expected a digit");
}

static int scan_number(struct scan *s)
{
    const char *begin = s->p;
    bool exponent = false;
    if (at(s, '-'))
        s->p++;
    if (at(s, '0'))
        s->p++; /* a digit behind it is an error of the caller's */
    else if (scan_digits(s) < 0)
        return -1;
    if (at(s, '.')) {
        s->p++;
        if (scan_digits(s) < 0)
            return -1;
    }
    if (at(s, 'e') || at(s, 'E')) {
        exponent = true;
        s->p++;
        if (at(s, '+') || at(s, '-'))
            s->p++;
        if (scan_digits(s) < 0)
            return -1;
    }
    size_t length = (size_t)(s->p - begin);
    if (length > NUMBER_MAX)
        return fail(s, "the number has too many digits");
    if (exponent) { /* only that can leave the range of a double */
        char copy[NUMBER_MAX + 1];
        memcpy(copy, begin, length);
        copy[length] = '\0';
        if (isinf(strtod(copy, NULL)))
            return fail(s, "the number is too large");
    }
    return 0;
}

static int scan_literal(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return fail(s, "expected a value");
    s->p += n;
    return 0;
}

static int scan_member(struct scan *s)
{
    skip_space(s);
    if (!at(s, '"'))
        return fail(s, "expected a key in quotes");
    if (scan_string(s) < 0)
        return -1;
    skip_space(s);
    if (!at(s, ':'))
        return fail(s, "expected ':' behind the key");
    s->p++;
    return scan_value(s);
}

static int scan_container(struct scan *s, char close)
{
    int (*item)(struct scan *) = close == '}' ? scan_member : scan_value;
    if (++s->depth > s->depth_max)
        return fail(s, "nested too deeply");
    s->p++;
    skip_space(s);
    if (!at(s, close)) {
        for (;; s->p++) {
            if (item(s) < 0)
                return -1;
            skip_space(s);
            if (!at(s, ','))
                break;
        }
        if (!at(s, close))
            return fail(s, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    s->p++;
    s->depth--;
    return 0;
}

static int scan_value(struct scan *s)
{
    skip_space(s);
    if (++s->values > s->values_max)
        return fail(s, "too many values");
    switch (s->p < s->end ? *s->p : '\0') {
    case '{':
        return scan_container(s, '}');
    case '[':
        return scan_container(s, ']');
    case '"':
        return scan_string(s);
    case 't':
        return scan_literal(s, "true");
    case 'f':
        return scan_literal(s, "false");
    case 'n':
        return scan_literal(s, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s);
    default:
        return fail(s, "expected a value");
    }
}

int sa_json_scan(const char *text, size_t length, const struct sa_json_limits *limits,
                 struct sa_error *err)
{
    struct scan s = {.start = text,
                     .p = text,
                     .end = text + length,
                     .depth_max = limits->max_depth,
                     .values_max = limits->max_values,
                     .err = err};
    size_t valid = sa_utf8_prefix(text, length);
    if (valid != length) {
        s.p += valid;
        return fail(&s, "the text is not UTF-8");
    }
    skip_space(&s);
    if (s.p == s.end)
        return fail(&s, "there is nothing; expected a value");
    if (scan_value(&s) < 0)
        return -1;
    skip_space(&s);
    return s.p == s.end ? 0 : fail(&s, "something follows the value");
}
