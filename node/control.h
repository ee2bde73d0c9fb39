/*
 * The control plane's socket: requests in, replies and events out (nodelink/nodelink.h), on the
 * thread of the loop. When the other side closes, or on sa_node_stop(), every sandbox is
 * destroyed and the loop runs empty.
 */
#ifndef SA_NODE_CONTROL_H
#define SA_NODE_CONTROL_H

#include "base/error.h"
#include "native/native.h"

struct sa_node;

/* Takes the descriptor (SOCK_SEQPACKET). NULL as sa_native_start(). */
struct sa_node *sa_node_start(uv_loop_t *loop, int fd, const struct sa_native_options *options,
                              struct sa_error *err);
void sa_node_stop(struct sa_node *node);
/* After the loop has run empty. */
void sa_node_free(struct sa_node *node);

#endif
