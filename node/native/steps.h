/*
 * What a new sandbox does to itself between clone3 and exec: an ordered table of named steps.
 * The first failing step's number and errno go to the node over the setup socket, which closes
 * on exec; when all went well the node gets the seccomp listener instead, then end of file.
 *
 * The node's side of the conversation (launch.c):
 *
 *     node                                       sandbox
 *     clone3                                     descriptors, session
 *     writes the id maps;  SA_GO_IDS     ->      joins groups; everything that does not depend on
 *                                                the spec or its profile
 *     struct sa_order + door + boot +
 *     base filter + groups               ->      joins; sizes, what the profile says, host name
 *     writes the record;
 *     a link, through the door           ->      no longer dies with the node; then the locks fall
 *                                                shut
 *                                        <-      struct sa_report (+ listener)
 *                                        <-      end of file: exec has happened
 *
 * So a spare is a sandbox that waits for its order. Up to the record the kernel kills it with the
 * node, and from the record on the next node knows of it: there is no time in between.
 */
#ifndef SA_NATIVE_STEPS_H
#define SA_NATIVE_STEPS_H

#include "base/fdio.h"
#include "native/context.h"

#include <stdint.h>
#include <stdnoreturn.h>

enum { SA_GO_IDS = 1, SA_ORDER_FDS = 3 /* door, boot block, base filter; then groups */ };

struct sa_order {
    uint64_t storage_bytes, inodes;
    uint64_t base_bytes;       /* of the base filter */
    struct sa_context context; /* pids: RLIMIT_NPROC where no control group counts; 0: leave it */
    char hostname[64];
};

struct sa_report {
    uint32_t step; /* index of the failed step, or sa_step_count() when all went well */
    int32_t error; /* errno of the failure */
    sa_controls in_force;
};

/* The child's own state. */
struct sa_child {
    const struct sa_host *host;
    int setup, runtime; /* both close-on-exec */
    int slot;
    int door, boot, base, rules, listener, queues;
    int failpoints;         /* -1: a build without */
    int groups[SA_FDS_MAX]; /* `tasks` of the control groups to join */
    size_t group_count;
    struct sa_order order;
};

typedef int sa_step_fn(struct sa_child *child); /* 0, or -1 with errno */
struct sa_step {
    const char *name;
    sa_step_fn *run;
    sa_controls provides;
};

size_t sa_step_count(void);
/* What the steps put in force, with this context on this host. */
sa_controls sa_steps_provide(const struct sa_host *host, const struct sa_context *context);
const char *sa_step_name(uint32_t index);

/* Runs in the child, never returns. `slot`: of the id ranges. */
noreturn void sa_child_main(const struct sa_host *host, int setup, int slot);

/* steps_mount.c */
sa_step_fn sa_step_root, sa_step_proc, sa_step_namespace_limits, sa_step_mask, sa_step_terminals,
    sa_step_queues, sa_step_data, sa_step_pivot, sa_step_sizes;
/* steps_go.c */
sa_step_fn sa_step_go;
/* steps_context.c */
sa_step_fn sa_step_folders, sa_step_devices, sa_step_owner;
/* steps_ids.c */
sa_step_fn sa_step_ids, sa_step_capabilities, sa_step_no_new_privs, sa_step_rlimits,
    sa_step_parent_death;

#endif
