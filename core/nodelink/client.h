/*
 * The control plane's end of the socket to the sandbox-node: calls with replies, and events.
 * One loop thread. See nodelink/nodelink.h for the messages.
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
    /* The node is gone; every open call has been answered with SA_EUNAVAILABLE. */
    void (*closed)(void *owner);
};

/* Takes `fd`. `events` may be NULL: nobody listens yet. */
struct sa_node_client *sa_node_client_new(uv_loop_t *loop, int fd,
                                          const struct sa_node_client_events *events, void *owner);
/* Closes the socket (the node then destroys everything); open calls are answered first.
 * The memory is freed when the loop has closed the handle. NULL is allowed. */
void sa_node_client_free(struct sa_node_client *client);

/* From now on these are told, and nobody else; NULL: nobody. As in sa_node_client_new(). */
void sa_node_client_listen(struct sa_node_client *client,
                           const struct sa_node_client_events *events, void *owner);

bool sa_node_client_is_open(const struct sa_node_client *client);

/* Send a request; `body` holds the fields. `done` may be NULL. Without a node, or with too many
 * messages unsent, `done` gets SA_EUNAVAILABLE. */
void sa_node_call(struct sa_node_client *client, enum sa_node_type type, const struct sa_buf *body,
                  sa_node_reply_cb done, void *user);
/* Forget the calls of `user`: their callbacks will not be called (descriptors are closed). */
void sa_node_forget(struct sa_node_client *client, void *user);

#endif
