/* Names of entries and targets of links: what must not be. Pure functions over outside bytes. */
#include "api/archive.h"

#include "base/utf8.h"

#include <limits.h>
#include <string.h>

static bool is(const char *part, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(part, text, length) == 0;
}

int sa_archive_name(const char *name, char out[SA_ARCHIVE_PATH_MAX], struct sa_error *err)
{
    size_t used = 0, depth = 0, length = strlen(name);
    out[0] = '\0';
    if (!sa_utf8_valid(name, length))
        return sa_error_at(err, SA_EINVALID, "path", "the name of an entry is not UTF-8");
    if (name[0] == '/')
        return sa_error_at(err, SA_EINVALID, name, "%.200s: absolute names are refused", name);
    for (const char *p = name; *p;) {
        size_t n = strcspn(p, "/");
        if (is(p, n, ".."))
            return sa_error_at(err, SA_EINVALID, name, "%.200s: \"..\" is refused", name);
        if (n && !is(p, n, ".")) {
            if (n > NAME_MAX || used + n + 2 > SA_ARCHIVE_PATH_MAX ||
                ++depth > SA_ARCHIVE_DEPTH_MAX)
                return sa_error_at(err, SA_EINVALID, name, "%.200s: is too long or too deep", name);
            if (used)
                out[used++] = '/';
            memcpy(out + used, p, n);
            used += n;
            out[used] = '\0';
        }
        p += n + (p[n] == '/');
    }
    return 0;
}

bool sa_archive_link_stays(const char *name, const char *target)
{
    size_t depth = 0;
    if (!target[0] || target[0] == '/')
        return false;
    for (const char *p = name; (p = strchr(p, '/')); p++)
        depth++;
    for (const char *p = target; *p;) {
        size_t n = strcspn(p, "/");
        if (is(p, n, "..")) {
            if (depth-- == 0)
                return false;
        } else if (n && !is(p, n, ".")) {
            depth++;
        }
        p += n + (p[n] == '/');
    }
    return true;
}
