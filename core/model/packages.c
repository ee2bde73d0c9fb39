#include "model/packages.h"

#include "base/cleanup.h"
#include "model/execute.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789";

/* A name as both managers have them: letters and digits, with . _ - between them. */
static size_t name_length(const char *text)
{
    size_t length = strspn(text, letters);
    if (length == 0)
        return 0;
    for (;;) {
        size_t between = strspn(text + length, "._-");
        size_t more = strspn(text + length + between, letters);
        if (more == 0)
            return length;
        length += between + more;
    }
}

/* Both managers take what ends so for a file of the working directory. */
static bool is_archive(const char *text, size_t length)
{
    static const char *const endings[] = {".whl", ".zip",     ".tar",    ".tgz",
                                          ".gz",  ".tar.bz2", ".tar.xz", ".tbz"};
    for (size_t i = 0; i < SA_COUNT(endings); i++) {
        size_t n = strlen(endings[i]);
        if (length > n && strncasecmp(text + length - n, endings[i], n) == 0)
            return true;
    }
    return false;
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " ");
}

/* "[a,b]", or nothing. NULL: neither. */
static const char *skip_extras(const char *at)
{
    if (*at != '[')
        return at;
    do {
        at = skip_spaces(at + 1);
        size_t length = name_length(at);
        if (length == 0)
            return NULL;
        at = skip_spaces(at + length);
    } while (*at == ',');
    return *at == ']' ? at + 1 : NULL;
}

/* One version clause (PEP 440). */
static const char *skip_clause(const char *at)
{
    static const char *const operators[] = {"===", "==", "~=", "!=", "<=", ">=", "<", ">"};
    for (size_t i = 0; i < SA_COUNT(operators); i++) {
        size_t n = strlen(operators[i]);
        if (strncmp(at, operators[i], n) != 0)
            continue;
        at = skip_spaces(at + n);
        size_t length = strspn(at, letters);
        if (length == 0)
            return NULL;
        return skip_spaces(at + length +
                           strspn(at + length, "abcdefghijklmnopqrstuvwxyz"
                                               "0123456789.*+!_-"));
    }
    return NULL;
}

bool sa_package_is_pip(const char *text)
{
    size_t length = name_length(text);
    if (length == 0 || is_archive(text, strlen(text)))
        return false;
    const char *at = skip_extras(skip_spaces(text + length));
    if (!at)
        return false;
    at = skip_spaces(at);
    while (*at) {
        at = skip_clause(at);
        if (!at || (*at && *at != ','))
            return false;
        if (*at == ',') {
            at = skip_spaces(at + 1);
            if (!*at)
                return false;
        }
    }
    return true;
}

bool sa_package_is_npm(const char *text)
{
    size_t length;
    if (is_archive(text, strlen(text)))
        return false;
    if (*text == '@') {
        length = name_length(++text);
        if (length == 0 || text[length] != '/')
            return false;
        text += length + 1;
    }
    length = name_length(text);
    if (length == 0)
        return false;
    text += length;
    if (!*text)
        return true;
    /* A range of versions, or a tag: never an address, a path or an option. */
    return *text == '@' && text[1] && text[1] != '-' && text[1] != '.' &&
           strspn(text + 1, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789.^~<>=*|+- ") == strlen(text + 1);
}

/* Runs of - _ . are one dash (PEP 503). */
static void make_canonical(char *name, bool runs)
{
    char *to = name;
    for (const char *from = name; *from; from++) {
        char c = (char)tolower((unsigned char)*from); /* in the C locale */
        if (runs && strchr("-_.", c)) {
            if (to == name || to[-1] != '-')
                *to++ = '-';
        } else {
            *to++ = c;
        }
    }
    *to = '\0';
}

void sa_package_split(const char *manager, const char *text, struct sa_arena *arena,
                      const char **name, const char **version)
{
    bool pip = strcmp(manager, "pip") == 0;
    size_t length;
    const char *rest;
    if (pip) {
        length = name_length(text);
        rest = skip_extras(skip_spaces(text + length));
        rest = rest ? skip_spaces(rest) : "";
    } else {
        length = (text[0] == '@') + strcspn(text + (text[0] == '@'), "@");
        rest = text + length + (text[length] == '@');
    }
    char *own = sa_arena_strndup(arena, text, length);
    make_canonical(own, pip);
    *name = own;
    *version = *rest ? sa_arena_strdup(arena, rest) : NULL;
}

static int decode(struct sa_json_obj *root, struct sa_packages *p, struct sa_error *err)
{
    static const char *const managers[] = {"pip", "npm", NULL};
    int manager;
    p->timeout_ms = SA_PACKAGES_TIMEOUT_DEFAULT_MS;
    if (sa_json_get_enum(root, "manager", managers, &manager, err) < 0 ||
        sa_json_get_strings(root, "packages", SA_PACKAGES_MAX, SA_PACKAGE_TEXT_MAX, &p->names,
                            err) < 0 ||
        sa_json_opt_int(root, "timeoutMs", 1, SA_EXECUTE_TIMEOUT_MAX_MS, &p->timeout_ms, NULL,
                        err) < 0)
        return -1;
    p->manager = managers[manager];
    if (p->names.count == 0)
        return sa_json_fail(root, "packages", err, "is empty; name a package");
    for (size_t i = 0; i < p->names.count; i++) {
        const char *name = p->names.items[i];
        if (manager == 0 ? sa_package_is_pip(name) : sa_package_is_npm(name))
            continue;
        return sa_json_fail(root, "packages", err,
                            "\"%.64s\" is not a package: expected %s; options, addresses and paths "
                            "are refused",
                            name,
                            manager == 0 ? "a name and versions, as requests or numpy>=1.20,<3"
                                         : "a name and a range, as lodash or @scope/name@^1.2");
    }
    return sa_json_finish(root, err);
}

int sa_packages_decode(const char *body, size_t length, struct sa_arena *arena,
                       struct sa_packages *packages, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_limits limits = {.max_bytes = SA_PACKAGES_BODY_MAX};
    *packages = (struct sa_packages){0};
    struct sa_json_doc *doc = sa_json_parse(body, length, &limits, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = decode(&root, packages, err);
    sa_json_free(doc);
    return rc;
}
