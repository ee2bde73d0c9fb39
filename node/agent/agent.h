/*
 * The node's part that needs no privilege, as a kubelet's: it watches the Pods that are bound to
 * the node, has sandbox-node make and remove them (nodelink/nodelink.h), connects to their
 * runtimes, and writes their status. It restarts nothing by itself. What runs already when it
 * starts is adopted: pods it knows are connected to again, what belongs to no Pod is removed, and a
 * Pod of which nothing runs has failed (reason NodeLost).
 *
 * A Pod is a sandbox at the node of the same name (at most SA_ID_BYTES - 1 bytes). It is Ready when
 * its runtime has said HELLO. A Pod with the finalizer SA_FINALIZER_NODE is held until nothing of
 * it is left.
 *
 * Status of a Pod that failed: `reason` is a word (ControlUnavailable, CreateFailed, StartTimeout,
 * Exited, NodeLost, LinkLost), `message` what a person reads. Users of a pod that is being deleted
 * are told the reason Deleted; of an agent that ends, Stopped.
 *
 * One loop thread.
 */
#ifndef SA_AGENT_AGENT_H
#define SA_AGENT_AGENT_H

#include "claim/caches.h"
#include "link/runtime_conn.h"
#include "metrics/metrics.h"
#include "nodelink/client.h"
#include "security/security.h"

#define SA_AGENT_NODE "local" /* name of the one node of a machine */

struct sa_agent;
struct sa_agent_options {
    uv_loop_t *loop;
    struct sa_objects *objects;
    const struct sa_caches *caches;
    struct sa_node_client *node;  /* lives longer; the agent takes its events */
    struct sa_security *security; /* profiles, by digest, for a node that has forgotten them */
    struct sa_metrics *metrics;
    const char *name; /* of the node: SA_AGENT_NODE */
};
struct sa_agent *sa_agent_start(const struct sa_agent_options *options);
/* Connections are closed (users are told `lost`), nothing is removed: pods live on. NULL is
 * allowed. */
void sa_agent_stop(struct sa_agent *agent);
/* The node has been asked what it runs, and it is adopted: pods can be made. */
bool sa_agent_ready(const struct sa_agent *agent);

/* ---- who works with a pod ---- */

struct sa_agent_user {
    const struct sa_agent_user_events *events;
    void *owner;
    /* the agent's: */
    void *pod;
    int told;
    struct sa_agent_user *prev, *next;
};
struct sa_agent_user_events { /* all from the loop; any may be NULL */
    /* Its runtime can be called, and sa_agent_conn() has it; again after a connection was lost and
     * made anew (every call of the old one has ended with an error). */
    void (*ready)(void *owner);
    void (*unready)(void *owner, const struct sa_error *why);
    /* It ended, or could not be made; it is not used by this user any more. `reason` as in the
     * Pod's status. */
    void (*lost)(void *owner, const char *reason, const struct sa_error *why);
    void (*oom)(void *owner, int64_t kills);
    void (*denied)(void *owner, const char *syscall, const char *program, int64_t count);
    /* sa_agent_facts() are not what they were: another node has it. What happened between the two
     * was told to nobody. */
    void (*changed)(void *owner);
};
/* The pod may not be there yet. Told `ready` or `lost` from the loop if it is so already. */
void sa_agent_use(struct sa_agent *agent, const char *pod, struct sa_agent_user *user);
void sa_agent_unuse(struct sa_agent *agent, struct sa_agent_user *user);

/* NULL: not ready. Valid until `unready` or `lost`. */
struct sa_runtime_conn *sa_agent_conn(struct sa_agent *agent, const char *pod);
/* Controls in force, and what is weaker here ("control: reason"); NULL: not running. */
struct sa_agent_facts {
    const char *const *controls, *const *weaker;
    size_t control_count, weaker_count;
};
const struct sa_agent_facts *sa_agent_facts(struct sa_agent *agent, const char *pod);

/* What was counted of it since the last time; -1: unknown. From now on it is counted anew. */
struct sa_agent_counts {
    int64_t cpu_us, memory_peak_bytes, oom_kills;
};
typedef void sa_agent_counted(void *user, const struct sa_agent_counts *counts);
/* `done` is called once, from the loop. */
void sa_agent_recount(struct sa_agent *agent, const char *pod, sa_agent_counted *done, void *user);
/* `user` does not want to hear of it any more. */
void sa_agent_recount_forget(struct sa_agent *agent, void *user);

#endif
