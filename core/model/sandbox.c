/* Names and figures of sandboxes. */
#include "model/sandbox.h"

#include <string.h>

static const char *const levels[] = {"standard", "high", "custom", NULL};

const char *sa_security_level_name(enum sa_security_level level)
{
    return levels[level];
}

bool sa_name_valid(const char *name)
{
    size_t n = strlen(name);
    return n >= 1 && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           name[0] != '-' && name[n - 1] != '-';
}

void sa_resources_complete(struct sa_resources *r)
{
    if (!r->storage_bytes)
        r->storage_bytes = r->memory_bytes / 2;
    /* One inode for 8 KiB: as ext4 does for small volumes, within a range. */
    r->inodes = r->storage_bytes / 8192;
    r->inodes = r->inodes < 1024 ? 1024 : r->inodes > 1000000 ? 1000000 : r->inodes;
}

/* Dotted names; what else a language's import could be made to do with a text is nobody's need. */
bool sa_module_name_valid(const char *name)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    for (const char *part = name;; part++) {
        size_t n = strspn(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        if (n == 0 || !strchr(letters, part[0]))
            return false;
        part += n;
        if (*part != '.')
            return *part == '\0';
    }
}
