#include "api/files.h"

#include <string.h>

enum { FULL_MAX = 4095 };

static bool is_dots(const char *name, size_t length)
{
    return length == 2 && name[0] == '.' && name[1] == '.';
}

/* As the runtime would (runtime/path.c), so that what is decided on is what is used. */
int sa_file_path_normal(const char *path, const char *field, struct sa_arena *arena,
                        const char **normal, struct sa_error *err)
{
    static const char base[] = "/workspace";
    size_t used = path[0] == '/' ? 0 : sizeof base - 1;
    if (!path[0])
        return sa_error_at(err, SA_EINVALID, field, "%s: the path is empty", field);
    char *full = sa_arena_alloc(arena, sizeof base + strlen(path) + 1);
    memcpy(full, base, used);
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (is_dots(p, n))
            return sa_error_at(err, SA_EINVALID, field, "%s: %.300s: \"..\" is not allowed", field,
                               path);
        if (n && !(n == 1 && *p == '.')) {
            full[used++] = '/';
            memcpy(full + used, p, n);
            used += n;
        }
        p += n + (p[n] == '/');
    }
    if (used > FULL_MAX)
        return sa_error_at(err, SA_EINVALID, field, "%s: the path is too long", field);
    full[used] = '\0';
    *normal = used ? full : "/";
    return 0;
}
