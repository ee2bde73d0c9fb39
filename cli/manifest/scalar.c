#include "scalar.h"

#include <string.h>

/* The number grammar of RFC 8259. */
static bool is_number(const char *c)
{
    static const char digits[] = "0123456789";
    c += *c == '-';
    size_t whole = strspn(c, digits);
    if (whole == 0 || (whole > 1 && *c == '0'))
        return false;
    c += whole;
    if (*c == '.') {
        size_t fraction = strspn(++c, digits);
        if (fraction == 0)
            return false;
        c += fraction;
    }
    if (*c == 'e' || *c == 'E') {
        c++;
        c += *c == '+' || *c == '-';
        size_t exponent = strspn(c, digits);
        if (exponent == 0)
            return false;
        c += exponent;
    }
    return *c == '\0';
}

const char *sa_scalar_json(const char *text, size_t length)
{
    static const struct {
        const char *yaml, *json;
    } words[] = {{"", "null"},       {"~", "null"},      {"null", "null"},  {"Null", "null"},
                 {"NULL", "null"},   {"true", "true"},   {"True", "true"},  {"TRUE", "true"},
                 {"false", "false"}, {"False", "false"}, {"FALSE", "false"}};
    if (strlen(text) != length)
        return NULL;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].yaml, text) == 0)
            return words[i].json;
    return is_number(text) ? text : NULL;
}
