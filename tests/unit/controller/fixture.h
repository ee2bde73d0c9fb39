/* Controllers over the embedded store, in memory, with the caches; calls that wait are those of
 * the conformance tests. */
#ifndef CONTROLLER_FIXTURE_H
#define CONTROLLER_FIXTURE_H

#include "conformance/fixture.h"

#include "claim/caches.h"
#include "controller/controllers.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/resources.h"
#include "kinds/sandbox.h"
#include "kinds/warm_pod.h"

int controllers_setup(void **state); /* *state: struct world */

/* Options for controllers on it, over these caches; "digest" is the security context of all. */
struct sa_controllers_options options_for(struct world *w, const struct sa_caches *caches,
                                          const char *identity);
/* The caches have what the store had when they were started. */
void wait_synced(struct world *w, const struct sa_caches *caches);
/* Stop, and wait for it. */
void stop_controllers(struct world *w, struct sa_controllers *controllers);

#endif
