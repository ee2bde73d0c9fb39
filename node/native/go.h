/*
 * Go inside sandboxes: where the host's toolchain is, and the build cache of the standard library,
 * which takes the better part of a minute to make and is therefore made once (node/go_cache.c).
 * A sandbox sees it as the lower layer of its own build cache (steps_go.c): it reads the one, and
 * writes into its own memory.
 */
#ifndef SA_NATIVE_GO_H
#define SA_NATIVE_GO_H

#include <stdbool.h>

#define SA_GO_CACHE "/var/cache/go-build" /* inside */

struct sa_go {
    char root[64];    /* "/usr/local/go"; "" when the host has none in /usr */
    char version[32]; /* "go1.26.1": names the cache */
    char caches[256]; /* folder of caches on the host; "" for none */
};

/* Look for a toolchain that sandboxes can see: the newest below /usr. */
void sa_go_find(struct sa_go *go);

#endif
