/*
 * What the host offers and what the driver made once at its start; read by every launch. The
 * fields are set by sa_native_start() in the order below and never change afterwards.
 */
#ifndef SA_NATIVE_HOST_H
#define SA_NATIVE_HOST_H

#include "base/buf.h"
#include "base/error.h"
#include "native/go.h"
#include "nodelink/controls.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SA_MASKS_MAX = 64, SA_LAYERS_MAX = 8 };

struct sa_program {
    struct sock_filter *code;
    unsigned short count;
};

/* A path below /proc that programs must not see; "path" is relative to the root. */
struct sa_mask {
    char path[40];
    bool directory;
};

/* A system folder of the host: at `path` in the node's tree, NAME in the root of a sandbox. */
struct sa_layer {
    char path[16], name[32];
};

struct sa_host {
    bool ranges;               /* may map ranges of ids (root); else one id, the caller's */
    bool root;                 /* started as root: a missing control is fatal */
    uint32_t uid_base;         /* of slot 0 */
    uint32_t own_uid, own_gid; /* what 1000 maps to where `ranges` is false */
    int state_lock, range_lock;
    int folder;       /* of records and doors (folder.h) */
    char boot[40];    /* this life of the host */
    int runtime;      /* sealed memfd */
    int landlock_abi; /* 0: none */
    struct sa_mask masks[SA_MASKS_MAX];
    size_t mask_count;
    struct sa_layer layers[SA_LAYERS_MAX];
    size_t layer_count;
    bool own_layers;         /* each sandbox gets overlays of them */
    bool own_devices;        /* and device nodes that only it uses */
    long watches, instances; /* inotify(7), for each sandbox */
    struct sa_go go;
    int go_caches, packages; /* folders, while the template is made; -1: none */
    struct sa_program guard; /* the filter that is the same for all (seccomp.c) */
    sa_controls can;         /* what a sandbox gets here */
    char *weaker[SA_CONTROL_COUNT];
};

/* Take the locks that keep two nodes apart: of the name, and of a block of ids. `given`, unless 0,
 * is the block without asking; else `wanted`, unless 0, where it can be had; else a free one in
 * which nothing runs: a node that was killed has no lock any more, but its sandboxes have their
 * ids. */
int sa_host_lock_state(struct sa_host *host, const char *state, struct sa_error *err);
int sa_host_lock_ids(struct sa_host *host, uint32_t given, uint32_t wanted, struct sa_error *err);
/* True when no node of that name runs as that user of the host (in this network namespace). */
bool sa_host_state_free(uint32_t user, const char *state);
/* Copy the runtime into a sealed memfd. */
int sa_host_load_runtime(struct sa_host *host, const char *path, struct sa_error *err);
/* Find out about ids, Landlock, and what of /proc is there to be masked. */
void sa_host_probe(struct sa_host *host);
/* Say that a control is missing, and why: it is no longer in `can`. Takes the text (malloc). */
void sa_host_missing(struct sa_host *host, enum sa_control control, char *why);
/* Give up what making sandboxes does not need: capabilities, new privileges. */
int sa_host_reduce(struct sa_error *err);
/* Make a capability that was kept in reserve effective; nothing where it was not. */
void sa_host_raise(unsigned capability);
void sa_host_deinit(struct sa_host *host);

/* Build the template root and move this process into a mount namespace of it; nothing else of the
 * host is reachable by a path (template.c has the tree). Finds out about overlays. `packages`: a
 * folder of the host to be seen at /opt/secureagent/packages, or NULL. */
int sa_template_enter(struct sa_host *host, const char *packages, struct sa_error *err);
/* In the sandbox's user namespace: a read-only overlay of a folder of the node's tree. */
int sa_mount_layer(const char *lower, const char *target);

#endif
