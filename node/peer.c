#include "peer.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "nodelink/nodelink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PACKETS_A_TURN = 32,
    READING_STOPS_ABOVE = 4 << 20 /* who asks must also take the answers */
};

/* A packet that the socket had no room for. */
struct waiting {
    struct waiting *next;
    int fd; /* passed along, or -1 */
    size_t length;
    char data[];
};

struct connection {
    uv_poll_t poll; /* first: freed with its handle */
    struct sa_peer *peer;
    int fd;
    struct waiting *first, **last;
    size_t queued_bytes;
};

struct sa_peer {
    uv_loop_t *loop;
    uv_poll_t accepting;
    uv_timer_t alone;
    struct sa_peer_options options;
    struct connection *connection; /* NULL: none */
    bool refused;                  /* somebody, and it was told */
    char packet[SA_NODE_MESSAGE_MAX];
};

static void on_socket(uv_poll_t *poll, int status, int events);

/* ---- sending ---- */

static void watch(struct connection *c)
{
    int events =
        (c->queued_bytes < READING_STOPS_ABOVE ? UV_READABLE : 0) | (c->first ? UV_WRITABLE : 0);
    uv_poll_start(&c->poll, events | UV_DISCONNECT, on_socket);
}

static void enqueue(struct connection *c, const struct sa_buf *packet, int fd)
{
    struct waiting *w = sa_alloc(sizeof *w + packet->length);
    w->next = NULL;
    w->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    w->length = packet->length;
    memcpy(w->data, packet->data, w->length);
    *c->last = w;
    c->last = &w->next;
    c->queued_bytes += w->length;
}

static void pop(struct connection *c)
{
    struct waiting *w = c->first;
    c->first = w->next;
    if (!c->first)
        c->last = &c->first;
    c->queued_bytes -= w->length;
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}

void sa_peer_send(struct sa_peer *peer, const struct sa_buf *packet, int fd)
{
    struct connection *c = peer->connection;
    if (!c)
        return;
    if (!c->first && sa_send_fds(c->fd, packet->data, packet->length, &fd, fd >= 0,
                                 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return;
    enqueue(c, packet, fd);
    watch(c);
}

static void flush(struct connection *c)
{
    while (c->first) {
        struct waiting *w = c->first;
        if (sa_send_fds(c->fd, w->data, w->length, &w->fd, w->fd >= 0,
                        MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return; /* a broken socket shows as its end when it is read */
        pop(c);
    }
}

size_t sa_peer_queued_bytes(const struct sa_peer *peer)
{
    return peer->connection ? peer->connection->queued_bytes : 0;
}

/* ---- the connection ---- */

static void on_connection_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop(struct sa_peer *peer)
{
    struct connection *c = sa_steal(&peer->connection);
    if (!c)
        return;
    flush(c);
    while (c->first)
        pop(c);
    uv_close((uv_handle_t *)&c->poll, on_connection_closed);
    close(c->fd);
}

static void on_alone(uv_timer_t *timer)
{
    struct sa_peer *peer = timer->data;
    peer->options.events->alone(peer->options.owner);
}

static void lose(struct sa_peer *peer)
{
    drop(peer);
    uv_timer_start(&peer->alone, on_alone, peer->options.alone_ms, 0);
    peer->options.events->lost(peer->options.owner);
}

static void receive(struct connection *c)
{
    struct sa_peer *peer = c->peer;
    for (int turn = 0; turn < PACKETS_A_TURN && peer->connection == c; turn++) {
        int fds[SA_FDS_MAX];
        size_t count = 0;
        ssize_t n =
            sa_recv_fds(c->fd, peer->packet, sizeof peer->packet, fds, &count, MSG_DONTWAIT);
        for (size_t i = 0; i < count; i++)
            close(fds[i]); /* no request brings one */
        if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == EMSGSIZE))
            return;
        if (n <= 0) {
            lose(peer);
            return;
        }
        peer->options.events->packet(peer->options.owner, peer->packet, (size_t)n);
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct connection *c = poll->data;
    struct sa_peer *peer = c->peer;
    if (status < 0) {
        lose(peer);
        return;
    }
    if (events & UV_WRITABLE) {
        flush(c);
        watch(c);
    }
    if (events & (UV_READABLE | UV_DISCONNECT))
        receive(c);
}

/* ---- new ones ---- */

static void take(struct sa_peer *peer, int fd)
{
    struct connection *c = sa_alloc(sizeof *c);
    if (peer->connection)
        lose(peer);
    c->peer = peer;
    c->fd = fd;
    c->last = &c->first;
    uv_poll_init(peer->loop, &c->poll, fd);
    c->poll.data = c;
    peer->connection = c;
    uv_timer_stop(&peer->alone);
    watch(c);
    peer->options.events->connected(peer->options.owner);
}

/* Told why, as far as the socket takes it; and the operator, once. */
static void refuse(struct sa_peer *peer, int fd, uid_t user)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error why = {0};
    sa_error_set(&why, SA_EFORBIDDEN,
                 "user %u may not control this node: its control plane is user %u (--peer-uid)",
                 (unsigned)user, (unsigned)peer->options.user);
    sa_node_message(&out, SA_NODE_FAILED, 0);
    sa_fields_add_error(&out, SA_NODE_ERROR, &why);
    sa_send_fds(fd, out.data, out.length, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
    if (!peer->refused)
        fprintf(stderr, "sandbox-node: level=warn message=\"%s\"\n", why.message);
    peer->refused = true;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct sa_peer *peer = poll->data;
    struct ucred who = {.uid = (uid_t)-1};
    socklen_t size = sizeof who;
    (void)status;
    (void)events;
    int fd = accept4(peer->options.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != peer->options.user)
        refuse(peer, fd, who.uid);
    else
        take(peer, fd);
}

struct sa_peer *sa_peer_new(uv_loop_t *loop, const struct sa_peer_options *options)
{
    struct sa_peer *peer = sa_alloc(sizeof *peer);
    peer->loop = loop;
    peer->options = *options;
    uv_poll_init(loop, &peer->accepting, options->listener);
    uv_timer_init(loop, &peer->alone);
    peer->accepting.data = peer->alone.data = peer;
    uv_poll_start(&peer->accepting, UV_READABLE, on_connection);
    uv_timer_start(&peer->alone, on_alone, options->alone_ms, 0);
    return peer;
}

void sa_peer_close(struct sa_peer *peer)
{
    drop(peer);
    uv_close((uv_handle_t *)&peer->accepting, NULL);
    uv_close((uv_handle_t *)&peer->alone, NULL);
}

void sa_peer_free(struct sa_peer *peer)
{
    close(peer->options.listener);
    free(peer);
}
