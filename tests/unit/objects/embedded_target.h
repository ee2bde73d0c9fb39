/* The embedded store for the conformance tests: fresh for each of them. */
#ifndef EMBEDDED_TARGET_H
#define EMBEDDED_TARGET_H

#include "objects/embedded.h"

/* More than is written in a test that watches from the past, little enough to get past. */
enum { EMBEDDED_TARGET_HISTORY = 600 };

/* `user`: a bool, whether it is on disk; NULL: it is not. */
struct sa_objects *embedded_target_open(void *user, uv_loop_t *loop,
                                        const struct sa_kind *const *kinds);
void embedded_target_close(void *user, struct sa_objects *objects, void (*closed)(void *),
                           void *closed_user);

/* A world (conformance/fixture.h) over it, in memory. */
int memory_setup(void **state);

/* A folder of its own, and away with it. */
void scratch_make(char out[64]);
void scratch_remove(const char *path);

#endif
