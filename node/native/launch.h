/* The node's side of starting a sandbox: see steps.h for the conversation. Nothing here waits
 * for the child. */
#ifndef SA_NATIVE_LAUNCH_H
#define SA_NATIVE_LAUNCH_H

#include "base/fdio.h"
#include "native/host.h"
#include "native/profiles.h"
#include "native/steps.h"
#include "nodelink/nodelink.h"

#include <sys/types.h>

/* A child between clone3 and exec; descriptors are owned, -1 when handed on. */
struct sa_child_handle {
    pid_t pid;
    int pidfd, setup;
    int slot;       /* of the id ranges */
    char group[32]; /* name of its control groups; "" while it has none */
};

/* Control groups on the way into a child: at most one to be born in, others to join. */
struct sa_groups {
    int birth; /* folder of version 2, or -1 */
    int join[SA_FDS_MAX - SA_ORDER_FDS];
    size_t join_count;
};

/* clone3 and the id maps, with what `groups` says; the child goes on up to waiting for its order.
 * On failure the path of the error is the step's name and nothing is left, except perhaps a child
 * to be reaped: then handle->pidfd is not -1. */
int sa_launch(const struct sa_host *host, const struct sa_groups *groups,
              struct sa_child_handle *handle, struct sa_error *err);

/* Its end of the door, the boot block of this spec under this profile, and the order, to a launched
 * child. `rlimits`: "nproc" and "data" stand in for control groups. `groups` are to be joined. */
int sa_launch_order(const struct sa_host *host, const struct sa_child_handle *handle,
                    const struct sa_node_spec *spec, const struct sa_known_profile *profile,
                    bool limit_processes, bool limit_memory, const struct sa_groups *groups,
                    int door, struct sa_error *err);

/* The beginning of the boot block of every sandbox with this context; filters follow. */
void sa_boot_common(const struct sa_context *context, struct sa_buf *out);

/* Look at a running PID 1 in /proc: no capability, no_new_privs, seccomp. -1 when a lock is not
 * shut (path names the control). */
int sa_launch_verify(pid_t pid, struct sa_error *err);

#endif
