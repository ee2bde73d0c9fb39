/*
 * Label selectors, as Kubernetes writes them: requirements joined by commas, which all must hold.
 *
 *     key  !key  key=value  key==value  key!=value  key in (a,b)  key notin (a,b)
 *
 * As there, `!=` and `notin` also hold where the key is missing. Spaces around words do not matter;
 * a value may be empty; a word is whatever has no space and none of `=!,()<>`.
 */
#ifndef SA_OBJECTS_SELECTOR_H
#define SA_OBJECTS_SELECTOR_H

#include "json/json.h"

enum { SA_SELECTOR_MAX = 16 /* requirements */, SA_SELECTOR_VALUES_MAX = 64 /* of all */ };

/* There is, or (not `wanted`) is not, a label of that key with one of the values; with any value
 * when there are none. */
struct sa_requirement {
    const char *key;
    bool wanted;
    const char **values;
    size_t count;
};
struct sa_selector {
    struct sa_requirement items[SA_SELECTOR_MAX];
    size_t count; /* 0: everything matches */
};

/* Strings are of the arena. SA_EINVALID at `labelSelector` with the place and what was expected. */
int sa_selector_parse(const char *text, struct sa_arena *arena, struct sa_selector *selector,
                      struct sa_error *err);
bool sa_selector_matches(const struct sa_selector *selector, const struct sa_json_map *labels);

#endif
