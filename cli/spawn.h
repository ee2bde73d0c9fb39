/*
 * Starting the two processes of a server: sandbox-node, and agent-api, which connects to it over
 * DATA/node.sock (nodelink/nodelink.h). Both get SIGTERM when this process dies, /dev/null as
 * input, standard error as both outputs, and a session of their own, so that Ctrl-C reaches only
 * the supervisor.
 */
#ifndef SA_CLI_SPAWN_H
#define SA_CLI_SPAWN_H

#include "datadir.h"

#include <signal.h>

struct sa_spawn {                     /* what does not change from start to start */
    const char *node, *api, *runtime; /* paths of the programs */
    const char *cache, *packages;     /* folders for the node; NULL: none */
    const struct sa_datadir *data;
    const char *key;         /* registered as the first admin key */
    int64_t run_as;          /* user of the API; -1: this one */
    char **api_options;      /* further flags of agent-api; NULL-terminated */
    const sigset_t *signals; /* mask of the children */
};

struct sa_spawned {
    pid_t node, api;
    int ready; /* gets the URL and a newline once the API serves; close it */
};

/* Start both. On failure neither is running. */
int sa_spawn(const struct sa_spawn *spawn, const char *listen, struct sa_spawned *out,
             struct sa_error *err);

/* Run a node that only removes what one that was killed left. Waits for that, bounded. */
void sa_spawn_sweeper(const struct sa_spawn *spawn);

#endif
