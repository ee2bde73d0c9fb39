#include "controller/runtime_env/observe.h"

#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *first_of(const char *const *paths)
{
    for (; *paths; paths++)
        if (access(*paths, X_OK) == 0)
            return *paths;
    return NULL;
}

/* Debian's packages put each version into a folder of its own. */
static const char *versioned_go(void)
{
    glob_t found;
    const int none = glob("/usr/lib/go-*/bin/go", 0, NULL, &found);
    globfree(&found);
    return none ? NULL : "/usr/lib/go-*/bin/go";
}

const char *sa_runtime_program(enum sa_language language)
{
    static const char *const python[] = {"/usr/local/bin/python3", "/usr/bin/python3", NULL};
    static const char *const node[] = {"/usr/local/bin/node", "/usr/bin/node", NULL};
    static const char *const bash[] = {"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", NULL};
    static const char *const go[] = {"/usr/local/go/bin/go", "/usr/lib/go/bin/go", "/usr/bin/go",
                                     NULL};
    static const char *const base[] = {"/bin/sh", NULL};
    static const char *const *const paths[] = {python, node, bash, go, base};
    const char *program = first_of(paths[language]);
    return program || language != SA_LANGUAGE_GO ? program : versioned_go();
}

const char *sa_runtime_version(const char *program, struct sa_arena *arena)
{
    char real[PATH_MAX];
    if (!program || !realpath(program, real))
        return "";
    const char *name = strrchr(real, '/') + 1; /* "python3.11" */
    const char *digits = name + strcspn(name, "0123456789");
    return strspn(digits, "0123456789.") == strlen(digits) ? sa_arena_strdup(arena, digits) : "";
}

const char *sa_runtime_architecture(void)
{
    static struct utsname machine;
    if (uname(&machine) < 0)
        return "";
    if (strcmp(machine.machine, "x86_64") == 0)
        return "amd64";
    if (strcmp(machine.machine, "aarch64") == 0)
        return "arm64";
    return machine.machine;
}
