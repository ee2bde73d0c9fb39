/*
 * The native driver: sandboxes made of namespaces, seccomp, Landlock and cgroups, started by an
 * ordered table of named steps (steps.c).
 *
 *   sa_native_start()    once: finds out what the host offers, copies the runtime into a sealed
 *                        memfd, builds the template root, compiles the guard filter, takes over
 *                        the sandboxes that an earlier node of the same name left running, removes
 *                        what else it left, and moves this process into a mount namespace that
 *                        holds nothing but the template and /proc. Then it gives up every
 *                        capability that making sandboxes does not need.
 *   sa_native_create()   starts a sandbox; `created` or `failed` follows
 *   sa_native_destroy()  kills it; `destroyed` follows once nothing of it is left
 *   sa_native_stop()     destroys all; `stopped` follows
 *
 * Everything happens on the thread of the loop, nothing blocks it for longer than a few system
 * calls, and no callback is called from within the function that asked.
 */
#ifndef SA_NATIVE_NATIVE_H
#define SA_NATIVE_NATIVE_H

#include "base/error.h"
#include "native/go.h"
#include "nodelink/controls.h"
#include "nodelink/nodelink.h"
#include "nodelink/profile.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum {
    SA_NATIVE_SANDBOXES_MAX = 1024, /* id ranges of one node */
    SA_NATIVE_IDS = 65536,          /* host ids of each sandbox */
    SA_NATIVE_UID = 1000,           /* user and group of the programs inside */
    /* One id, the last of slot 0, is the same in all: nobody can become it, and what is made for
     * all of them to write through overlays of their own belongs to it (template.c). */
    SA_NATIVE_SHARED_ID = SA_NATIVE_IDS - 1,
};
#define SA_NATIVE_UID_BASE 0x60000000u
_Static_assert((int)SA_NATIVE_SHARED_ID > (int)SA_PROFILE_USER_MAX, "a profile could name it");

struct sa_native;

struct sa_native_options {
    const char *runtime_path; /* the static program that becomes PID 1 */
    const char *state;        /* names this node's cgroups; two live nodes cannot share it */
    const char *state_dir;    /* a folder of its own: what the next node must know (folder.h) */
    uint32_t uid_base;        /* first id of the ranges; 0: the first free block of ids from
                                 SA_NATIVE_UID_BASE on */
    const char *packages;     /* a folder that sandboxes see, read-only; NULL: none */
    struct sa_go go;          /* root "": sandboxes have no Go */
    unsigned spares;          /* half-made sandboxes kept ready; they make creating quicker */
    uint64_t strays_ms;       /* how often to look at what other nodes left, while there is
                                 something: longer than their sandboxes live alone */
};

/* Used and limits of a sandbox; -1 where the host cannot tell. */
struct sa_native_stats {
    int64_t cpu_us, throttled_us, memory_used, memory_peak, memory_limit, processes, pids_limit,
        oom_kills;
};

struct sa_native_denial {
    const char *syscall;
    int32_t pid; /* on the host, of the latest one */
    char comm[17];
    int64_t count; /* since the last event about this system call */
};

/* Of a sandbox that runs. */
struct sa_native_facts {
    sa_controls in_force;
    bool adopted; /* from an earlier node: nobody answers its denied calls, they fail as unknown */
    bool frozen;
    const char *profile;
    int64_t oom_kills;
};

struct sa_native_events {
    /* After a create or an attach. `link` is the control plane's end of a new link; the driver
     * closes it after the call. */
    void (*created)(void *owner, const char *id, uint32_t call, int link,
                    const struct sa_native_facts *facts);
    void (*failed)(void *owner, const char *id, uint32_t call, const struct sa_error *why);
    void (*destroyed)(void *owner, const char *id, uint32_t call);
    /* It ended without having been told to; nothing is left of it. */
    void (*exited)(void *owner, const char *id, const char *reason);
    void (*oom)(void *owner, const char *id, int64_t kills);
    void (*denied)(void *owner, const char *id, const struct sa_native_denial *denial);
    /* `why` is NULL when it is. */
    void (*frozen)(void *owner, const char *id, uint32_t call, const struct sa_error *why);
    /* A profile is known; `why` is NULL then. */
    void (*profiled)(void *owner, uint32_t call, const struct sa_error *why);
    void (*stopped)(void *owner);
};

/* NULL: SA_ECONTROL when the host lacks something without which no sandbox can be had (path
 * names it), SA_ECONFLICT when a node of that name is running. The events must outlive it. */
struct sa_native *sa_native_start(uv_loop_t *loop, const struct sa_native_options *options,
                                  const struct sa_native_events *events, void *owner,
                                  struct sa_error *err);
/* Destroy every sandbox and close every handle; `stopped` follows (once), after which the loop
 * holds nothing of the driver and sa_native_free() may be called. */
void sa_native_stop(struct sa_native *native);
void sa_native_free(struct sa_native *native);

/* Make a profile known, which creates then name; `profiled` follows after a 0. -1 as
 * sa_profiles_add(). */
int sa_native_profile(struct sa_native *native, const struct sa_profile *profile, uint32_t call,
                      struct sa_error *err);
/* `call` comes back in the event. The spec is copied as far as it is needed. -1: nothing was
 * begun and no event follows (a control that `require` names and that cannot be had, SA_ECONTROL;
 * an id in use, SA_ECONFLICT; too many sandboxes, SA_EQUOTA; a profile that is not known,
 * SA_ENOTFOUND with the path "profile"). */
int sa_native_create(struct sa_native *native, const struct sa_node_spec *spec, uint32_t call,
                     struct sa_error *err);
/* Another link to it: 0, *link (the caller's) and *facts (until the loop goes on). 1: it only
 * starts, and `created` or `failed` follows. -1: SA_ENOTFOUND, SA_EUNAVAILABLE. */
int sa_native_attach(struct sa_native *native, const char *id, uint32_t call, int *link,
                     struct sa_native_facts *facts, struct sa_error *err);
/* Only the facts. -1: SA_ENOTFOUND. */
int sa_native_facts(struct sa_native *native, const char *id, struct sa_native_facts *facts,
                    struct sa_error *err);
/* False: there is no such sandbox, so nothing is left of it, and no event follows. */
bool sa_native_destroy(struct sa_native *native, const char *id, uint32_t call);
int sa_native_stats(struct sa_native *native, const char *id, struct sa_native_stats *stats,
                    struct sa_error *err);
/* The same, and from now on everything is counted anew; the next node goes on from there, too.
 * Where the kernel does not forget a peak (version 2 of control groups), what is lower than the
 * peak before is known only from looks. */
int sa_native_recount(struct sa_native *native, const char *id, struct sa_native_stats *stats,
                      struct sa_error *err);
/* Once nothing in it runs any more, or it cannot be had: `frozen` follows, after a 0. */
int sa_native_freeze(struct sa_native *native, const char *id, uint32_t call, struct sa_error *err);
int sa_native_thaw(struct sa_native *native, const char *id, struct sa_error *err);

/* What every sandbox of this node gets, and why a control is missing or weak here (NULL when
 * there is nothing to say about it). */
sa_controls sa_native_controls(const struct sa_native *native);
const char *sa_native_weaker(const struct sa_native *native, enum sa_control control);
size_t sa_native_count(const struct sa_native *native);
/* Those that start or run, at most `most`, in the order in which they came: behind number *place
 * (0: from the first on), which is that of the last one then. Their count; fewer than `most`: there
 * are no more. */
size_t sa_native_list(const struct sa_native *native, const char **ids, size_t most,
                      uint64_t *place);
void sa_native_destroy_all(struct sa_native *native);
/* How this process, perhaps in a user namespace of its own by now, sees that user of the host. */
uid_t sa_native_user(const struct sa_native *native, uid_t user);

#endif
