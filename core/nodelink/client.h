/*
 * The control plane's end of the socket to the sandbox-node: calls with replies, and events. It
 * connects by itself, and again, for ever, when the connection is lost. One loop thread. See
 * nodelink/nodelink.h for the messages.
 */
#ifndef SA_NODELINK_CLIENT_H
#define SA_NODELINK_CLIENT_H

#include "base/fdio.h"
#include "nodelink/nodelink.h"

#include <uv.h>

struct sa_node_client;

struct sa_node_reply {
    enum sa_node_type type;
    const struct sa_error *error; /* NULL unless the call FAILED or the node is gone */
    struct sa_fields fields;      /* of the reply */
    int *fds;                     /* take one by setting it to -1; the rest is closed */
    size_t fd_count;
};

/* Called exactly once for each call, never from within sa_node_call(). */
typedef void (*sa_node_reply_cb)(void *user, struct sa_node_reply *reply);

struct sa_node_client_events {
    void (*event)(void *owner, enum sa_node_type type, struct sa_fields *fields);
    /* A node answers, for the first time or again; the latter may be another one, which knows no
     * profile, or the same. May be NULL, as `closed`. */
    void (*connected)(void *owner);
    /* The node is gone; every open call has been answered with SA_EUNAVAILABLE. What becomes of
     * the sandboxes is known when it is `connected` again (SA_NODE_LIST). */
    void (*closed)(void *owner);
};

/* `path`: the node's socket; the first attempt is made from the loop. `events` may be NULL: nobody
 * listens yet. */
struct sa_node_client *sa_node_client_new(uv_loop_t *loop, const char *path,
                                          const struct sa_node_client_events *events, void *owner);
/* Closes the socket (the sandboxes live on for a minute); open calls are answered first.
 * The memory is freed when the loop has closed the handle. NULL is allowed. */
void sa_node_client_free(struct sa_node_client *client);

/* From now on these are told, and nobody else; NULL: nobody. As in sa_node_client_new(). Whoever
 * comes when it is connected already is not told so. */
void sa_node_client_listen(struct sa_node_client *client,
                           const struct sa_node_client_events *events, void *owner);

/* Between `connected` and `closed`. */
bool sa_node_client_is_open(const struct sa_node_client *client);

/* Send a request; `body` holds the fields. `done` may be NULL. While not connected, or with too
 * many messages unsent, `done` gets SA_EUNAVAILABLE, which says so when the node refuses this user.
 */
void sa_node_call(struct sa_node_client *client, enum sa_node_type type, const struct sa_buf *body,
                  sa_node_reply_cb done, void *user);
/* Forget the calls of `user`: their callbacks will not be called (descriptors are closed). */
void sa_node_forget(struct sa_node_client *client, void *user);

#endif
