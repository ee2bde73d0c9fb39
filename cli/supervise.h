/*
 * Keeping a server running: start node and API, watch them, start anew the one that dies, end both
 * on SIGTERM or SIGINT. One loop over poll(2), a state and deadlines:
 *
 *   STARTING   the API was spawned; waiting for the URL
 *   SERVING
 *   ENDING     both must go: first the API, then the node, which removes the sandboxes; at the
 *              deadline they are killed
 *
 * Sandboxes outlive both, so the other one goes on: the API connects to the next node, and the node
 * keeps what runs for the next API. The socket that clients connect to is kept as well: who
 * connects meanwhile waits for the next API, for as long as he likes. The first death is mended at
 * once, the next ones after pauses that double. Give-up: a death before the first URL, or the fifth
 * death within a minute.
 *
 * SIGHUP from a process is passed on to the API, which then reads its policies anew; one from a
 * terminal that hung up ends the server.
 */
#ifndef SA_CLI_SUPERVISE_H
#define SA_CLI_SUPERVISE_H

#include "spawn.h"

struct sa_supervise {
    struct sa_spawn spawn;
    const char *listen; /* ADDR:PORT; port 0 takes a free one */
    /* The API serves. `first`: not after a restart. -1 ends the server. */
    int (*ready)(void *user, const char *url, bool first, struct sa_error *err);
    void *user;
};

/* Run until a signal ends it. Returns the exit status: 0 after a signal. */
int sa_supervise(struct sa_supervise *options);

#endif
