/* What watch.c looks at (watch_look.c). */
#ifndef SA_LUA_WATCH_INTERNAL_H
#define SA_LUA_WATCH_INTERNAL_H

#include "lua/watch.h"

#include <stdbool.h>
#include <stdint.h>

/* A folder to be watched: each of the dirs, its `policies` and `scaling`, and the folder that it
 * lies in, which tells when it comes and goes. */
struct sa_watch_place {
    char *path;
    char *only; /* of the folder above: the name that matters */
    bool stale; /* something happened there: the watch may be of what is no more */
};
struct sa_watch_places {
    struct sa_watch_place *items;
    size_t count;
    char **dirs;
    size_t dir_count;
};

struct sa_watch_id {
    bool exists;
    uint64_t dev, ino;
};
struct sa_watch_view {
    uint64_t fingerprint;    /* of all files that a bundle would be read from */
    struct sa_watch_id *ids; /* of the places */
};

void sa_watch_places_init(struct sa_watch_places *places, const char *const *dirs, size_t count);
void sa_watch_places_deinit(struct sa_watch_places *places);
/* Blocking; `places` is only read. */
void sa_watch_look(const struct sa_watch_places *places, struct sa_watch_view *view);
void sa_watch_view_deinit(struct sa_watch_view *view);

#endif
