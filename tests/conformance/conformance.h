/*
 * What every implementation of core/objects/objects.h must do, as tests that know nothing else of
 * it. A program names its store and runs them:
 *
 *     int main(void) { return sa_conformance_run(&(struct sa_conformance_target){...}); }
 *
 * The kinds are those of thing.h; a Kubernetes API server gets them as CRDs, which the status
 * subresource, the defaults and the rules of that file describe.
 */
#ifndef CONFORMANCE_CONFORMANCE_H
#define CONFORMANCE_CONFORMANCE_H

#include "objects/objects.h"

#include <uv.h>

struct sa_conformance_target {
    const char *name;
    /* A store that is empty of these kinds (ended by NULL). Fails the test when it cannot be had.
     */
    struct sa_objects *(*open)(void *user, uv_loop_t *loop, const struct sa_kind *const *kinds);
    void (*close)(void *user, struct sa_objects *objects, void (*closed)(void *),
                  void *closed_user);
    void *user;
    size_t history; /* a watch expires after that many changes that it did not read; 0: unknown */
};
/* Returns how many tests failed. */
int sa_conformance_run(const struct sa_conformance_target *target);

#endif
