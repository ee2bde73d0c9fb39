/* Which packages are installed for all users of the node, as distributions and installers record
 * them: for Python by a folder or file NAME-VERSION.dist-info or .egg-info (PEP 376, PEP 503), for
 * Node.js by a folder of that name. */
#include "controller/runtime_env/observe.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 256, PATH_BYTES = 512 };

static const char *const python_folders[] = {
    "/usr/lib/python3/dist-packages", "/usr/lib/python3*/site-packages",
    "/usr/local/lib/python3*/dist-packages", "/usr/local/lib/python3*/site-packages"};
static const char *const node_folders[] = {"/usr/share/nodejs", "/usr/lib/node_modules",
                                           "/usr/local/lib/node_modules"};

struct package {
    char name[NAME_BYTES];
    const char *version; /* that it must be; NULL: any */
};

/* "Ruamel.yaml" is "ruamel-yaml". */
static void normalise(const char *text, size_t length, char out[NAME_BYTES])
{
    size_t n = 0;
    for (size_t i = 0; i < length && n < NAME_BYTES - 1; i++) {
        const bool separates = strchr("-_.", text[i]) != NULL;
        if (separates && n && out[n - 1] == '-')
            continue;
        out[n++] = separates ? '-' : (char)tolower((unsigned char)text[i]);
    }
    out[n] = '\0';
}

static bool is_of(const char *entry, const struct package *package)
{
    char name[NAME_BYTES];
    const char *end = strstr(entry, ".dist-info");
    if (!end)
        end = strstr(entry, ".egg-info");
    const size_t length = strcspn(entry, "-");
    if (!end || entry + length >= end)
        return false;
    normalise(entry, length, name);
    const char *version = entry + length + 1;
    const size_t version_length = strcspn(version, "-"), most = (size_t)(end - version);
    const size_t n = version_length < most ? version_length : most;
    return strcmp(name, package->name) == 0 &&
           (!package->version ||
            (strncmp(version, package->version, n) == 0 && package->version[n] == '\0'));
}

static bool is_in(const char *folder, const struct package *package)
{
    DIR *dir = opendir(folder);
    bool found = false;
    for (const struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found = is_of(entry->d_name, package);
    if (dir)
        closedir(dir);
    return found;
}

static bool has_python(const char *text)
{
    struct package package = {.version = strstr(text, "==")};
    normalise(text, strcspn(text, "=<>!~[ ;@"), package.name);
    if (package.version)
        package.version += 2;
    bool found = false;
    for (size_t i = 0; i < SA_COUNT(python_folders) && !found; i++) {
        glob_t folders;
        if (glob(python_folders[i], 0, NULL, &folders) == 0)
            for (size_t k = 0; k < folders.gl_pathc && !found; k++)
                found = is_in(folders.gl_pathv[k], &package);
        globfree(&folders);
    }
    return found;
}

/* "@types/node@20": what it is called, not which one. */
static bool has_node(const char *text)
{
    char path[PATH_BYTES];
    const size_t length = 1 + strcspn(text + 1, "@");
    if (strstr(text, ".."))
        return false;
    for (size_t i = 0; i < SA_COUNT(node_folders); i++) {
        snprintf(path, sizeof path, "%s/%.*s", node_folders[i], (int)length, text);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

const char *sa_runtime_lacking(const struct sa_runtime_spec *spec, struct sa_arena *arena)
{
    const char *lacking = "";
    for (size_t i = 0; i < spec->packages.count; i++) {
        const char *text = spec->packages.items[i];
        const bool there = text[0] && (spec->language == SA_LANGUAGE_PYTHON ? has_python(text)
                                       : spec->language == SA_LANGUAGE_NODE ? has_node(text)
                                                                            : false);
        if (!there)
            lacking = sa_arena_printf(arena, "%s%s%s", lacking, lacking[0] ? ", " : "", text);
    }
    return lacking;
}
