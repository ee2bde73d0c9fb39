#include "native/go.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <ctype.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first word of GOROOT/VERSION, which names a folder: letters, digits, dots. */
static bool read_version(const char *root, char *version, size_t size)
{
    char path[128];
    sa_autobuf text = SA_BUF_INIT;
    snprintf(path, sizeof path, "%s/VERSION", root);
    if (sa_read_file(AT_FDCWD, path, 4096, &text, NULL) < 0 || !text.data)
        return false;
    size_t length = 0;
    while (isalnum((unsigned char)text.data[length]) || text.data[length] == '.')
        length++;
    if (length < 3 || length >= size || strncmp(text.data, "go", 2) != 0)
        return false;
    memcpy(version, text.data, length);
    version[length] = '\0';
    return true;
}

/* "go1.9" < "go1.19": part by part. */
static bool newer(const char *a, const char *b)
{
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            char *next_a, *next_b;
            long x = strtol(a, &next_a, 10), y = strtol(b, &next_b, 10);
            if (x != y)
                return x > y;
            a = next_a;
            b = next_b;
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return *a != '\0';
}

static void consider(struct sa_go *go, const char *root)
{
    char program[128], version[sizeof go->version];
    snprintf(program, sizeof program, "%s/bin/go", root);
    if (strlen(root) >= sizeof go->root || access(program, X_OK) < 0 ||
        !read_version(root, version, sizeof version) ||
        (go->root[0] && !newer(version, go->version)))
        return;
    snprintf(go->root, sizeof go->root, "%s", root);
    snprintf(go->version, sizeof go->version, "%s", version);
}

void sa_go_find(struct sa_go *go)
{
    glob_t found = {0};
    *go = (struct sa_go){0};
    consider(go, "/usr/local/go");
    if (glob("/usr/lib/go-*", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            consider(go, found.gl_pathv[i]);
    globfree(&found);
}
