/* Inside the driver: a sandbox and the node, as native.c, life.c, memory.c and spares.c share
 * them. */
#ifndef SA_NATIVE_DRIVER_H
#define SA_NATIVE_DRIVER_H

#include "native/adopt.h"
#include "native/cgroup.h"
#include "native/host.h"
#include "native/launch.h"
#include "native/native.h"
#include "native/notify.h"
#include "native/profiles.h"

#include <uthash.h>

enum { CALLS_MAX = 64, START_TIMEOUT_MS = 10000 };

enum state { STARTING, RUNNING, ENDING, REMOVING };

struct sandbox {
    UT_hash_handle hh;
    char id[SA_ID_BYTES];
    uint64_t number; /* in the order in which they came */
    struct sa_native *native;
    enum state state;
    struct sa_child_handle child;
    uint32_t create_call;
    bool create_pending, reported, oom_polling, oom_priority;
    sa_controls in_force, required;
    int64_t memory_bytes, oom_kills;
    int64_t oom_known;      /* of them when it was adopted */
    uint64_t pid_namespace; /* for the watchdog; 0 without one */
    int64_t watched_bytes, watched_peak, watched_processes;
    int64_t seen_bytes; /* most memory at any look, since it is counted anew */
    struct sa_record record;
    int link;     /* the control plane's end, until `created` */
    bool adopted; /* not a child of this node, and its denied calls are answered by nobody */
    uint32_t attach_call; /* waits until it runs; 0: none */
    char profile[SA_PROFILE_ID_BYTES];
    struct sa_error *why; /* the first failure of a start */
    uint32_t destroy_calls[CALLS_MAX];
    size_t destroy_count;
    int wait_status;
    unsigned retry_ms, oom_looks;
    int oom_fd;
    struct sa_notify *notify;
    uv_poll_t setup_poll, death_poll, oom_poll;
    uv_timer_t timer; /* STARTING: the time limit; RUNNING: look for OOM; REMOVING: next try */
    int handles;      /* not yet closed */
    uv_timer_t freeze_timer;
    uint32_t freeze_call;
    int freeze_looks; /* left */
    bool freezing;
};

struct sa_native {
    uv_loop_t *loop;
    struct sa_host host;
    struct sa_cgroups *groups;
    struct sa_profiles *profiles; /* NULL: closed */
    const struct sa_native_events *events;
    void *owner;
    struct sandbox *sandboxes;
    uint64_t last_number;
    uint8_t slots[SA_NATIVE_SANDBOXES_MAX]; /* 1: ids in use */
    unsigned next_slot;
    struct sa_child_handle *spares;
    unsigned spare_count, spare_goal;
    unsigned spare_number; /* counts up, for the names of their groups */
    uv_timer_t watchdog;   /* active while there are sandboxes that need it */
    uv_timer_t strays;     /* active while other nodes have left something */
    uv_timer_t refill;     /* makes spares when the loop has nothing better to do */
    size_t closing;        /* sandboxes that are gone but have handles to close */
    unsigned timers_closed;
    bool stopping, stopped;
};

/* spares.c: children between clone3 and their order, and the id ranges they use. */

/* A launched child for a sandbox of that id: a spare, or a new one. */
int sa_child_take(struct sa_native *native, const char *id, struct sa_child_handle *child,
                  struct sa_error *err);
/* End a child that has had no order; frees its id range. */
void sa_child_discard(struct sa_native *native, struct sa_child_handle *child);
/* Make the child's control groups and open the ways into them (sa_groups_close()). */
int sa_child_groups(struct sa_native *native, const char *name, struct sa_child_handle *child,
                    struct sa_groups *groups, struct sa_error *err);
void sa_groups_close(struct sa_groups *groups);
/* See to it that there are spares again, soon. */
void sa_spares_want(struct sa_native *native);

/* attach.c: from one control plane to the next, and from one node to the next. */

/* Write down what the next node must know about it. */
int sa_sandbox_record(struct sandbox *sb, const struct sa_cgroup_limits *limits,
                      const struct sa_known_profile *profile, struct sa_error *err);
void sa_sandbox_facts(const struct sandbox *sb, struct sa_native_facts *facts);
/* It runs, or never will (`why`): tell who asked for a link meanwhile. */
void sa_sandbox_attach_over(struct sandbox *sb, const struct sa_error *why);
/* Take over what an earlier node left running. */
void sa_native_adopt(struct sa_native *native, struct sa_found_list *found);

/* native.c */
void sa_sandbox_add(struct sandbox *sb);
struct sandbox *sa_sandbox_running(struct sa_native *native, const char *id, struct sa_error *err);

/* count.c: what it has used since it is whose it is. */
void sa_sandbox_count(struct sandbox *sb, struct sa_native_stats *stats);
int sa_sandbox_count_anew(struct sandbox *sb, struct sa_native_stats *stats, struct sa_error *err);
/* Of those that the kernel killed. */
int64_t sa_sandbox_oom_counted(const struct sandbox *sb);

/* freeze.c: whoever waits for it to be frozen waits in vain. */
void sa_sandbox_freeze_over(struct sandbox *sb);

/* life.c: from a failure, the end of PID 1 or sa_sandbox_kill() to nothing being left. */
void sa_sandbox_kill(struct sandbox *sb);
/* Kill it; the first reason given is the one that `failed` will carry. */
void sa_sandbox_fail(struct sandbox *sb, const struct sa_error *why);
void sa_sandbox_close_setup(struct sandbox *sb);
/* It died: heed what it reported before, which may not have been read yet. */
void sa_sandbox_last_words(struct sandbox *sb);
void sa_sandbox_on_death(uv_poll_t *poll, int status, int events);
void sa_sandbox_on_timer(uv_timer_t *timer);
void sa_sandbox_on_closed(uv_handle_t *handle);
void sa_native_maybe_stopped(struct sa_native *native);

/* memory.c: who ran out of memory. */

/* Has the kernel killed for memory since the last look? Then tell, and return true. */
bool sa_memory_look(struct sandbox *sb);
/* The same, and if not, again in some milliseconds, some times. */
void sa_memory_look_again(struct sandbox *sb);
/* Listen to the control group; start the watchdog where there is none. */
void sa_memory_watch_group(struct sandbox *sb);
void sa_memory_watch(struct sandbox *sb);

#endif
