#include "glob.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The character at *p (UTF-8; a byte that is none counts as itself), moving on. */
static uint32_t next_char(const char **p)
{
    const unsigned char *s = (const unsigned char *)*p;
    int more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            (*p)++;
            return s[0];
        }
        c = c << 6 | (s[i] & 0x3fu);
    }
    *p += more + 1;
    return c;
}

/* Does the set at *pattern (behind its '[') hold `c`? Moves behind the ']'. A set without an end
 * is no set: -1. */
static int match_set(const char **pattern, const char *end, uint32_t c)
{
    const char *p = *pattern;
    bool negated = p < end && (*p == '!' || *p == '^'), found = false;
    const char *first = p += negated;
    while (p < end && (*p != ']' || p == first)) {
        uint32_t low = next_char(&p), high = low;
        if (p + 1 < end && p[0] == '-' && p[1] != ']') {
            p++;
            high = next_char(&p);
        }
        found |= c >= low && c <= high;
    }
    if (p >= end)
        return -1;
    *pattern = p + 1;
    return found != negated;
}

/* One element of the pattern, not '*', against one character. */
static bool match_one(const char **pattern, const char *end, const char **name)
{
    const char *p = *pattern;
    uint32_t wanted = next_char(&p), c = next_char(name);
    int in_set = -1;
    if (wanted == '[' && (in_set = match_set(&p, end, c)) >= 0) {
        *pattern = p;
        return in_set;
    }
    if (wanted == '\\' && p < end)
        wanted = next_char(&p);
    else if (wanted == '?')
        wanted = c;
    *pattern = p;
    return wanted == c;
}

/* One name against one part of the pattern. On failure only the last '*' needs another try: what
 * an earlier one could give, the last one can, too. */
static bool match_name(const char *p, const char *p_end, const char *n, const char *n_end)
{
    const char *star = NULL, *star_name = NULL;
    while (n < n_end) {
        if (p < p_end && *p == '*') {
            star = ++p;
            star_name = n;
            continue;
        }
        if (p < p_end && match_one(&p, p_end, &n))
            continue;
        if (!star)
            return false;
        next_char(&star_name);
        p = star;
        n = star_name;
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}

static const char *end_of_name(const char *p)
{
    return p + strcspn(p, "/");
}

static const char *next_name(const char *end)
{
    return *end ? end + 1 : end;
}

/* The same over names, with "**" in the part of '*'. */
bool sa_glob_match(const char *pattern, const char *path)
{
    const char *p = pattern, *n = path, *star = NULL, *star_path = NULL;
    while (*n) {
        const char *p_end = end_of_name(p), *n_end = end_of_name(n);
        if (p_end - p == 2 && !strncmp(p, "**", 2)) {
            star = p = next_name(p_end);
            star_path = n;
            if (!*star)
                return true;
        } else if (*p && match_name(p, p_end, n, n_end)) {
            p = next_name(p_end);
            n = next_name(n_end);
        } else if (star) {
            p = star;
            n = star_path = next_name(end_of_name(star_path));
        } else {
            return false;
        }
    }
    return !*p; /* what ends in two stars is what is in a folder, not the folder itself */
}
