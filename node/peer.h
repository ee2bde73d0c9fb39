/*
 * The control plane's connection (nodelink/nodelink.h): taken from a listening socket, from one
 * user only. The newest connection wins: the one before is closed. Packets go out in order, queued
 * while the other side does not read; who does not read is not read from. On the thread of the
 * loop.
 */
#ifndef SA_NODE_PEER_H
#define SA_NODE_PEER_H

#include "base/buf.h"

#include <sys/types.h>
#include <uv.h>

struct sa_peer;

struct sa_peer_events {
    /* There is a connection, and nothing has been sent on it. */
    void (*connected)(void *owner);
    void (*packet)(void *owner, const char *data, size_t length);
    /* The connection is lost, or replaced: what it asked for needs no answer. */
    void (*lost)(void *owner);
    /* There has been none for `alone_ms`; told once, until the next one. */
    void (*alone)(void *owner);
};

struct sa_peer_options {
    int listener; /* SOCK_SEQPACKET, listening; taken */
    uid_t user;   /* whose connections are taken, as seen from the node's user namespace */
    uint64_t alone_ms;
    const struct sa_peer_events *events;
    void *owner;
};

/* The time alone begins now. */
struct sa_peer *sa_peer_new(uv_loop_t *loop, const struct sa_peer_options *options);
/* To the connection that is there, with a descriptor beside (-1: none; it is not closed). Dropped
 * without one. */
void sa_peer_send(struct sa_peer *peer, const struct sa_buf *packet, int fd);
size_t sa_peer_queued_bytes(const struct sa_peer *peer);
/* Write what can be written, and close; no more events. Once. */
void sa_peer_close(struct sa_peer *peer);
/* After the loop has run empty. */
void sa_peer_free(struct sa_peer *peer);

#endif
