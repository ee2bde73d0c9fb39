/*
 * Runs a real sandbox-node with the echo runtime and talks to it as the control plane does.
 * Every function fails the test when something is not as it must be.
 */
#ifndef SA_TEST_NODE_HARNESS_H
#define SA_TEST_NODE_HARNESS_H

#include "base/buf.h"
#include "base/error.h"
#include "nodelink/nodelink.h"
#include "nodelink/profile.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <setjmp.h>

#include <cmocka.h>

/* One message of the node. */
struct reply {
    enum sa_node_type type;
    uint32_t call;
    int fd;               /* or -1 */
    char id[SA_ID_BYTES]; /* the last one */
    int ids;              /* how many */
    char profile[SA_PROFILE_ID_BYTES];
    char reason[128], syscall[64], comm[32];
    int64_t count, oom_kills, values[64]; /* stats by tag; -1: absent */
    char controls[2048], weaker[4096];    /* names, each between spaces; texts, by lines */
    struct sa_error error;
};

struct node {
    pid_t pid;
    uid_t uid;
    int socket;
    bool ready;                  /* it has said something */
    uint32_t call, profile_call; /* the latter: of the default profile, while it is on its way */
    char state[64];
    char folder[64]; /* copies of the programs, readable by anyone */
};

/* uid 0: as we are. The state name is unique to this process. */
void node_start(struct node *node, uid_t uid, const char *runtime);
/* The same with a given name. */
void node_start_named(struct node *node, uid_t uid, const char *runtime, const char *state);
/* Kill it, and start the next one on the same folder; it knows no profile. */
void node_restart(struct node *node);
/* Another control connection, which node->socket is then. */
void node_connect(struct node *node);
/* Wait for its end: the exit status, or -1 when it did not exit by itself in time. */
int node_wait(struct node *node);
/* Terminate it, expect a clean end within seconds and nothing left. */
void node_finish(struct node *node);
/* Only the folder: for nodes that ended otherwise. */
void node_forget(struct node *node);

/* Names the default profile (profiles.h), which node_start() makes known. */
void spec_default(struct sa_node_spec *spec);
uint32_t node_send_profile(struct node *node, const struct sa_profile *profile);
/* Make a profile known; the answer. */
void node_profile(struct node *node, const struct sa_profile *profile, struct reply *reply);
uint32_t node_send(struct node *node, enum sa_node_type type, const struct sa_buf *body);
uint32_t node_send_create(struct node *node, const struct sa_node_spec *spec);
uint32_t node_send_id(struct node *node, enum sa_node_type type, const char *id);
/* Next message within `ms`; false when none comes or the node closed. */
bool node_receive(struct node *node, struct reply *reply, int ms);
/* The answer to a call; events before it are dropped. */
void node_answer(struct node *node, uint32_t call, struct reply *reply);
/* The next event of that type. */
void node_event(struct node *node, enum sa_node_type type, struct reply *reply);

/* Create from the spec; returns the link. The host pid of PID 1 in *pid unless NULL. */
int node_create(struct node *node, const struct sa_node_spec *spec, struct reply *created);
void node_destroy(struct node *node, const char *id);

/* Run a command through the echo runtime: wait status; output (NUL-terminated, cut). */
int run(int link, char *output, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Expect exactly this output. */
void expect(int link, const char *command, const char *output);

/* PID 1 on the host of the only sandbox of this node; 0 when there is none. */
pid_t host_pid(const struct node *node);
/* "Key:" line of /proc/PID/status, without key and white space. */
void status_line(pid_t pid, const char *key, char *out, size_t size);
/* Folders called secureagent-<state>, and what is in them, in every hierarchy. */
int cgroups_left(const char *state);
int cgroups_of(const char *state, const char *id);

#endif
