/*
 * The messages between the control plane and the sandbox-node, over one SOCK_SEQPACKET socket: the
 * control plane connects, the node says READY. One connection at a time: the newest wins, and
 * what an earlier one asked for is done, but answered to nobody. Each packet is one message of at
 * most SA_NODE_MESSAGE_MAX bytes: u16 type, u16 zero, u32 call (chosen by the control plane for
 * requests, repeated in the reply, 0 in events), then fields (link/fields.h). Descriptors travel
 * beside (SCM_RIGHTS).
 *
 *   request         fields                              reply
 *   PROFILE         nodelink/profile.h                  DONE once its filters are compiled (at
 *                                                       once when the id is known), or FAILED
 *   CREATE          spec tags                           CREATED: descriptor of the link;
 *                                                       SA_NODE_ID, SA_PROFILE_ID, SA_NODE_FROZEN,
 *                                                       SA_NODE_OOM_KILLS, SA_NODE_CONTROL
 *                                                       repeated (controls in force),
 *                                                       SA_NODE_WEAKER repeated (what this node
 *                                                       cannot promise and why), or FAILED;
 *                                                       SA_ENOTFOUND with the path "profile": the
 *                                                       node does not know it (any more), send it
 *                                                       again
 *   DESTROY         SA_NODE_ID                          DESTROYED once nothing of it is left;
 *                                                       unknown ids are no error
 *   STATS           SA_NODE_ID                          STATS_REPLY: stats tags and
 *                                                       SA_NODE_OOM_KILLS, or FAILED
 *   RECOUNT         SA_NODE_ID                          as STATS, and from now on everything is
 *                                                       counted anew: it is somebody else's next
 *   FREEZE, THAW    SA_NODE_ID                          DONE (once nothing in it runs; once it
 *                                                       runs again) or FAILED
 *   LIST            SA_NODE_AFTER: where to go on       LIST_REPLY: SA_NODE_ID of sandboxes that
 *                                                       run or start, at most SA_NODE_LIST_MAX;
 *                                                       SA_NODE_MORE: there may be more, and this
 *                                                       is the AFTER to ask for them
 *   ATTACH          SA_NODE_ID                          once it runs, CREATED as above with
 *                                                       another link (the latest wins), or FAILED:
 *                                                       SA_ENOTFOUND
 *   FACTS           SA_NODE_ID                          FACTS_REPLY: as CREATED, as it is now, but
 *                                                       without a link; or FAILED: SA_ENOTFOUND
 *   INFO            -                                   INFO_REPLY: SA_NODE_CONTROL for what this
 *                                                       node can do, SA_NODE_WEAKER, limits
 *
 *   FAILED carries SA_NODE_ERROR; for a control that cannot be had its code is SA_ECONTROL and
 *   its path names the control ("cgroup.memory", "landlock", "seccomp", "userns.range" ...); for
 *   another step the path names the step of the launcher.
 *
 *   events: READY (first, once), EXITED (SA_NODE_ID, SA_NODE_REASON: the sandbox ended by itself or
 *   was killed; its remains are already removed), SECURITY (SA_NODE_ID and security tags), OOM
 *   (SA_NODE_ID, SA_NODE_OOM_KILLS so far). Who is of another user than the control plane is told
 *   FAILED instead of READY, and the connection is closed.
 *
 * Sandboxes live on without a control plane for a minute, then the node destroys them all. They
 * live on without a node, too: the next one has the same (LIST), and hands out new links (ATTACH).
 */
#ifndef SA_NODELINK_NODELINK_H
#define SA_NODELINK_NODELINK_H

#include "base/id.h"
#include "link/fields.h"

enum {
    SA_NODE_MESSAGE_MAX = 64 * 1024,
    SA_NODE_HEADER_BYTES = 8,
    SA_NODE_LIST_MAX = 128 /* ids in one reply */
};

enum sa_node_type {
    SA_NODE_CREATE = 1,
    SA_NODE_CREATED = 2,
    SA_NODE_FAILED = 3,
    SA_NODE_DESTROY = 4,
    SA_NODE_DESTROYED = 5,
    SA_NODE_STATS = 6,
    SA_NODE_STATS_REPLY = 7,
    SA_NODE_FREEZE = 8,
    SA_NODE_THAW = 9,
    SA_NODE_DONE = 10,
    SA_NODE_INFO = 11,
    SA_NODE_INFO_REPLY = 12,
    SA_NODE_PROFILE = 13,
    SA_NODE_LIST = 14,
    SA_NODE_LIST_REPLY = 15,
    SA_NODE_ATTACH = 16,
    SA_NODE_FACTS = 17,
    SA_NODE_FACTS_REPLY = 18,
    SA_NODE_RECOUNT = 19,
    SA_NODE_EXITED = 32,
    SA_NODE_SECURITY = 33,
    SA_NODE_OOM = 34,
    SA_NODE_READY = 35,
};

enum sa_node_tag {
    SA_NODE_ID = 1,
    SA_NODE_ERROR = 2,
    SA_NODE_CONTROL = 3,
    SA_NODE_WEAKER = 4, /* "control: reason" */
    SA_NODE_REASON = 5,
    SA_NODE_OOM_KILLS = 6,
    SA_NODE_FROZEN = 7, /* 1: it is */
    SA_NODE_AFTER = 8,
    SA_NODE_MORE = 9,
    /* spec of CREATE */
    SA_NODE_RUNTIME = 10, /* "python", "node", "bash", "go", "base" */
    SA_NODE_MEMORY_BYTES = 11,
    SA_NODE_CPU_MILLICORES = 12,
    SA_NODE_PIDS = 13,
    SA_NODE_STORAGE_BYTES = 14,
    SA_NODE_INODES = 15,
    SA_NODE_ENV = 16, /* repeated "NAME=value" */
    SA_NODE_HOSTNAME = 17,
    SA_NODE_REQUIRE = 18, /* repeated: a control that must be in force, or CREATE fails */
    /* stats */
    SA_NODE_CPU_US = 30,
    SA_NODE_MEMORY_USED = 31,
    SA_NODE_MEMORY_PEAK = 32,
    SA_NODE_MEMORY_LIMIT = 33,
    SA_NODE_PROCESSES = 34,
    SA_NODE_PIDS_LIMIT = 35,
    SA_NODE_THROTTLED_US = 36,
    /* security event */
    SA_NODE_SYSCALL = 40, /* name, "mount" */
    SA_NODE_PID = 41,     /* on the host */
    SA_NODE_COMM = 42,    /* name of the program, made printable */
    SA_NODE_COUNT = 43,   /* how many of these since the last such event (rate-limited) */
    /* 50 to 62: nodelink/profile.h; CREATE has SA_PROFILE_ID */
};

/* What CREATE asks for, decoded. Strings are malloc'd; sa_node_spec_deinit() frees. */
struct sa_node_spec {
    char id[SA_ID_BYTES];
    char profile[65];
    char runtime[32];
    char hostname[64];
    int64_t memory_bytes, cpu_millicores, pids, storage_bytes, inodes;
    char **env, **require;
    size_t env_count, require_count;
};
void sa_node_spec_deinit(struct sa_node_spec *spec);
/* What a sandbox may be called at the node, where the name is one of a control group and of files:
 * a DNS subdomain (RFC 1123) of less than SA_ID_BYTES, but not what the node's own half-made
 * sandboxes are called ("spare-..."). */
bool sa_node_id_valid(const char *id);
/* Fields (no header) of a CREATE, and back; ranges are checked on decoding. */
void sa_node_spec_encode(const struct sa_node_spec *spec, struct sa_buf *out);
int sa_node_spec_decode(const void *body, size_t length, struct sa_node_spec *spec,
                        struct sa_error *err);

/* Start a message in `out` (emptied first): header only; add fields behind it. */
void sa_node_message(struct sa_buf *out, enum sa_node_type type, uint32_t call);
/* Split a packet; -1 and SA_EPROTOCOL when the header is short. */
int sa_node_parse(const void *packet, size_t length, enum sa_node_type *type, uint32_t *call,
                  struct sa_fields *fields, struct sa_error *err);

#endif
