#include "base/names.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool sa_is_subdomain(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > SA_SUBDOMAIN_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool edge = i == 0 || i == n - 1 || name[i - 1] == '.' || name[i + 1] == '.';
        if (!is_name_char(name[i]) && (edge || (name[i] != '-' && name[i] != '.')))
            return false;
    }
    return true;
}

static bool is_word(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n > SA_LABEL_WORD_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool plain = is_name_char(text[i]) || (text[i] >= 'A' && text[i] <= 'Z');
        if (!plain && (i == 0 || i == n - 1 || !strchr("-_.", text[i])))
            return false;
    }
    return true;
}

bool sa_is_qualified_name(const char *key)
{
    char prefix[SA_SUBDOMAIN_MAX + 1];
    const char *slash = strchr(key, '/');
    if (!slash)
        return is_word(key);
    if ((size_t)(slash - key) >= sizeof prefix)
        return false;
    snprintf(prefix, sizeof prefix, "%.*s", (int)(slash - key), key);
    return sa_is_subdomain(prefix) && is_word(slash + 1);
}

bool sa_is_label_value(const char *value)
{
    return !value[0] || is_word(value);
}
