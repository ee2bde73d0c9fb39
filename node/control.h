/*
 * What the control plane asks for and is told (nodelink/nodelink.h), on the thread of the loop.
 * Without a control plane for a minute, every sandbox is destroyed; the node waits on.
 */
#ifndef SA_NODE_CONTROL_H
#define SA_NODE_CONTROL_H

#include "base/error.h"
#include "native/native.h"

struct sa_node;

struct sa_node_options {
    int listener; /* SOCK_SEQPACKET; taken on success */
    uid_t user;   /* of the control plane; nobody else's connection is taken */
    struct sa_native_options native;
};

/* NULL as sa_native_start(). */
struct sa_node *sa_node_start(uv_loop_t *loop, const struct sa_node_options *options,
                              struct sa_error *err);
/* Every sandbox is destroyed, and the loop runs empty. */
void sa_node_stop(struct sa_node *node);
/* After the loop has run empty. */
void sa_node_free(struct sa_node *node);

#endif
