/* The body of POST /packages: names and versions, and nothing else that pip or npm would heed (no
 * options, addresses, paths). */
#ifndef SA_MODEL_PACKAGES_H
#define SA_MODEL_PACKAGES_H

#include "base/arena.h"
#include "json/json.h"

enum {
    SA_PACKAGES_BODY_MAX = 64 * 1024,
    SA_PACKAGES_MAX = 64,
    SA_PACKAGE_TEXT_MAX = 256,
    SA_PACKAGES_TIMEOUT_DEFAULT_MS = 300 * 1000,
};

struct sa_packages {     /* strings belong to the arena */
    const char *manager; /* "pip" or "npm"; static */
    struct sa_json_strings names;
    int64_t timeout_ms;
};

/* SA_EINVALID with the path of the field. */
int sa_packages_decode(const char *body, size_t length, struct sa_arena *arena,
                       struct sa_packages *packages, struct sa_error *err);
/* "name", "name[extra,extra]", followed by version clauses: "name >=1.0, !=1.3" (PEP 508 without
 * markers and addresses). */
bool sa_package_is_pip(const char *text);
/* "name" or "@scope/name", followed by "@" and a tag or a range: "name@^1.2". */
bool sa_package_is_npm(const char *text);
/* The canonical name (PEP 503; npm's lower case) and the version clauses, range or tag (NULL: none)
 * of what either takes. They are of the arena. */
void sa_package_split(const char *manager, const char *text, struct sa_arena *arena,
                      const char **name, const char **version);

#endif
