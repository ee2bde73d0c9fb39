/* What sa_native_start() does before there are sandboxes: fills `host` and leaves the host's
 * mounts. */
#ifndef SA_NATIVE_STARTUP_H
#define SA_NATIVE_STARTUP_H

#include "native/adopt.h"
#include "native/cgroup.h"
#include "native/host.h"
#include "native/native.h"

/* The node's control groups, or NULL. The caller deinits `host` and `found` in either case: the
 * latter are sandboxes to be taken over. */
struct sa_cgroups *sa_startup(struct sa_host *host, const struct sa_native_options *options,
                              struct sa_found_list *found, struct sa_error *err);

#endif
