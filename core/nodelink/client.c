/* Calls to the sandbox-node over its SOCK_SEQPACKET socket. */
#include "nodelink/client.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { UNSENT_MAX = 4096, PACKETS_PER_WAKE = 64 };

struct call {
    struct call *prev, *next;
    uint32_t id;
    sa_node_reply_cb done; /* NULL once forgotten */
    void *user;
};

struct unsent {
    struct unsent *prev, *next;
    size_t length;
    char data[];
};

struct sa_node_client {
    uv_poll_t poll;
    uv_async_t failer; /* answers calls that could not be sent, from the loop */
    uv_loop_t *loop;
    int fd; /* -1 once lost */
    int open_handles;
    const struct sa_node_client_events *events;
    void *owner;
    uint32_t last_call;
    struct call *calls;
    struct unsent *unsent;
    size_t unsent_count;
    bool freed, overflow;
    char packet[SA_NODE_MESSAGE_MAX];
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_handle_closed(uv_handle_t *handle)
{
    struct sa_node_client *c = handle->data;
    if (--c->open_handles == 0 && c->freed)
        free(c);
}

static void answer(struct sa_node_client *c, struct call *call, struct sa_node_reply *reply)
{
    DL_DELETE(c->calls, call);
    if (call->done)
        call->done(call->user, reply);
    free(call);
}

static void fail_calls(struct sa_node_client *c)
{
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox-node is not reachable; try again shortly");
    while (c->calls) {
        struct sa_node_reply reply = {.type = SA_NODE_FAILED, .error = &error};
        sa_fields_init(&reply.fields, "", 0);
        answer(c, c->calls, &reply);
    }
}

static void drop_unsent(struct sa_node_client *c)
{
    struct unsent *u, *tmp;
    DL_FOREACH_SAFE (c->unsent, u, tmp) {
        DL_DELETE(c->unsent, u); /* NOLINT: utlist */
        free(u);
    }
    c->unsent_count = 0;
}

static void lose(struct sa_node_client *c)
{
    if (c->fd < 0)
        return;
    int fd = c->fd;
    c->fd = -1;
    uv_poll_stop(&c->poll);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    close(fd);
    drop_unsent(c);
    fail_calls(c);
    if (!c->freed && c->events->closed)
        c->events->closed(c->owner);
}

static void set_poll(struct sa_node_client *c)
{
    uv_poll_start(&c->poll, UV_READABLE | (c->unsent ? UV_WRITABLE : 0), on_poll);
}

static void flush(struct sa_node_client *c)
{
    struct unsent *u, *tmp;
    DL_FOREACH_SAFE (c->unsent, u, tmp) {
        if (sa_send_fds(c->fd, u->data, u->length, NULL, 0, MSG_DONTWAIT) < 0) {
            if (errno != EAGAIN)
                lose(c);
            return;
        }
        DL_DELETE(c->unsent, u); /* NOLINT: utlist */
        free(u);
        c->unsent_count--;
    }
    set_poll(c);
}

static void close_rest(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* Fills *error from a FAILED reply. */
static void read_error(struct sa_fields fields, struct sa_error *error)
{
    struct sa_field f;
    sa_error_set(error, SA_EINTERNAL, "the sandbox-node failed and did not say why");
    while (sa_fields_next(&fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_ERROR)
            sa_field_error(&f, error, NULL);
}

static void dispatch(struct sa_node_client *c, size_t length, int *fds, size_t nfds)
{
    struct sa_node_reply reply = {.fds = fds, .fd_count = nfds};
    struct sa_error error;
    uint32_t id;
    if (sa_node_parse(c->packet, length, &reply.type, &id, &reply.fields, NULL) < 0)
        return;
    if (id == 0) {
        c->events->event(c->owner, reply.type, &reply.fields);
        return;
    }
    if (reply.type == SA_NODE_FAILED) {
        read_error(reply.fields, &error);
        reply.error = &error;
    }
    struct call *call;
    DL_SEARCH_SCALAR(c->calls, call, id, id);
    if (call)
        answer(c, call, &reply);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct sa_node_client *c = poll->data;
    if (status < 0) {
        lose(c);
        return;
    }
    for (int i = 0; (events & (UV_READABLE | UV_DISCONNECT)) && i < PACKETS_PER_WAKE; i++) {
        int fds[SA_FDS_MAX];
        size_t nfds;
        ssize_t n = sa_recv_fds(c->fd, c->packet, sizeof c->packet, fds, &nfds, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            lose(c);
            return;
        }
        dispatch(c, (size_t)n, fds, nfds);
        close_rest(fds, nfds);
        if (c->fd < 0)
            return;
    }
    if (events & UV_WRITABLE)
        flush(c);
}

static void on_fail_async(uv_async_t *async)
{
    struct sa_node_client *c = async->data;
    if (c->overflow)
        lose(c); /* a node that reads nothing for 4096 messages is as good as dead */
    if (c->fd < 0)
        fail_calls(c);
}

static void ignore(void *owner, enum sa_node_type type, struct sa_fields *fields)
{
    (void)owner;
    (void)type;
    (void)fields;
}

void sa_node_client_listen(struct sa_node_client *client,
                           const struct sa_node_client_events *events, void *owner)
{
    static const struct sa_node_client_events nobody = {.event = ignore};
    client->events = events ? events : &nobody;
    client->owner = owner;
}

struct sa_node_client *sa_node_client_new(uv_loop_t *loop, int fd,
                                          const struct sa_node_client_events *events, void *owner)
{
    struct sa_node_client *c = sa_alloc(sizeof *c);
    c->loop = loop;
    c->fd = fd;
    sa_node_client_listen(c, events, owner);
    c->poll.data = c->failer.data = c;
    uv_async_init(loop, &c->failer, on_fail_async);
    uv_unref((uv_handle_t *)&c->failer);
    uv_poll_init(loop, &c->poll, fd);
    c->open_handles = 2;
    set_poll(c);
    return c;
}

void sa_node_client_free(struct sa_node_client *client)
{
    if (!client)
        return;
    client->freed = true;
    uv_close((uv_handle_t *)&client->failer, on_handle_closed);
    if (client->fd >= 0)
        lose(client);
    else
        fail_calls(client);
}

bool sa_node_client_is_open(const struct sa_node_client *client)
{
    return client->fd >= 0;
}

static void queue(struct sa_node_client *c, const struct sa_buf *packet)
{
    if (!c->unsent && sa_send_fds(c->fd, packet->data, packet->length, NULL, 0, MSG_DONTWAIT) >= 0)
        return;
    struct unsent *u = sa_alloc(sizeof *u + packet->length);
    u->length = packet->length;
    memcpy(u->data, packet->data, packet->length);
    DL_APPEND(c->unsent, u);
    c->unsent_count++;
    set_poll(c);
}

void sa_node_call(struct sa_node_client *client, enum sa_node_type type, const struct sa_buf *body,
                  sa_node_reply_cb done, void *user)
{
    struct call *call = sa_alloc(sizeof *call);
    if (++client->last_call == 0)
        ++client->last_call;
    *call = (struct call){.id = client->last_call, .done = done, .user = user};
    DL_APPEND(client->calls, call);
    if (client->unsent_count >= UNSENT_MAX)
        client->overflow = true;
    if (client->fd < 0 || client->overflow) {
        uv_async_send(&client->failer);
        return;
    }
    sa_autobuf packet = SA_BUF_INIT;
    sa_node_message(&packet, type, call->id);
    sa_buf_add(&packet, body->data, body->length);
    queue(client, &packet);
}

void sa_node_forget(struct sa_node_client *client, void *user)
{
    struct call *call;
    DL_FOREACH (client->calls, call)
        if (call->user == user)
            call->done = NULL;
}
