/*
 * An agent over a store in memory and a real sandbox-node with the real runtime, for each test.
 * Every function fails the test when something is not as it must be.
 */
#ifndef SA_TEST_AGENT_FIXTURE_H
#define SA_TEST_AGENT_FIXTURE_H

#include "agent/agent.h"
#include "kinds/pod.h"

#include "../objects/faulty.h"
#include "harness.h"

struct world {
    uv_loop_t *loop;
    uv_timer_t tick; /* so that waiting ends */
    struct sa_objects *objects;
    struct sa_objects *written; /* by the agent: the same, if no test says otherwise */
    struct faulty faulty;       /* what the caches watch, of world_setup_faulty() */
    struct sa_caches caches;
    struct sa_metrics *metrics;
    struct sa_node_client *client;
    struct sa_agent *agent;
    struct node node;
    char folder[64]; /* holds "node", which leads to the folder of the node's socket */
    int descriptors; /* before it began */
};
int world_setup(void **state);        /* everything runs, and the agent is ready */
int world_setup_store(void **state);  /* only the store and the caches */
int world_setup_faulty(void **state); /* all, and watches lose, double and delay events */
int world_teardown(void **state);
/* The first node, or the next of the same name. */
void world_start_node(struct world *w);
void world_kill_node(struct world *w);
void world_connect(struct world *w); /* the agent's client to the node */
void world_begin_agent(struct world *w);
void wait_agent(struct world *w);        /* until it is ready */
void world_start_agent(struct world *w); /* both */
void world_stop_agent(struct world *w);

void wait_until(struct world *w, bool (*holds)(void *user), void *user, const char *what);
void wait_flag(struct world *w, const bool *flag, const char *what);
/* Runs the loop for so long: for what must not happen. */
void linger(struct world *w, int ms);

/* A Pod of this name, as a controller makes it, with `profile` for its security profile. */
void pod_create(struct world *w, const char *name, bool warm, const char *profile);
#define DEFAULT_PROFILE "0123456789abcdef"
void pod_delete(struct world *w, const char *name);
void pod_create_in(struct world *w, const char *namespace_, const char *name, bool warm,
                   const char *profile);
void pod_delete_in(struct world *w, const char *namespace_, const char *name);
/* In the cache, or NULL. Here and below a name may be "namespace/name". */
const struct sa_object *pod_get(struct world *w, const char *name);
const char *controls_of(struct world *w, const char *name); /* the annotation; NULL: none */
bool is_stored(struct world *w, const char *name);          /* not only in the cache */
size_t events_of(struct world *w, const char *name, const char *reason);
const struct sa_pod_status *pod_status(struct world *w, const char *name);
void wait_phase(struct world *w, const char *name, enum sa_pod_phase phase);
void wait_ready_condition(struct world *w, const char *name, enum sa_truth truth);
void wait_gone(struct world *w, const char *name);
void patch_pod(struct world *w, const char *name, enum sa_subresource part, const char *json);

/* Somebody who works with a pod. */
struct user {
    struct sa_agent_user user;
    bool is_ready, is_lost, is_unready, was_denied;
    unsigned ready, unready, lost, changed;
    char reason[64], syscall[64];
    struct sa_error why;
    int64_t oom_kills;
};
void use(struct world *w, const char *pod, struct user *user);
/* Run a shell command in it; what it wrote. */
const char *shell(struct world *w, const char *pod, const char *command);

double metric(struct world *w, const char *series);

#endif
