/*
 * Starting the two processes of a server: sandbox-node, and agent-api, which connects to it over
 * DATA/node.sock (nodelink/nodelink.h). Both are killed when this process dies (the sandboxes are
 * not: whoever is started next on the same data finds them), and have /dev/null as input, standard
 * error as both outputs, and a session of their own, so that Ctrl-C reaches only the supervisor.
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

/* The socket that nodes listen at, one after the other: made once, so that whoever connects while
 * there is none waits for the next. -1 on failure. */
int sa_spawn_listener(const struct sa_spawn *spawn, struct sa_error *err);
/* The pid, or -1. */
pid_t sa_spawn_node(const struct sa_spawn *spawn, int listener, struct sa_error *err);
/* *ready is a socket that gets the URL and a newline, with the socket that listens for clients,
 * once the API serves; close it. `listener`: that socket, from an earlier start; -1: at the first.
 */
pid_t sa_spawn_api(const struct sa_spawn *spawn, const char *listen, int listener, int *ready,
                   struct sa_error *err);

/* Run a node that only removes what one that was killed left. Waits for that, bounded. */
void sa_spawn_sweeper(const struct sa_spawn *spawn, int listener);

#endif
