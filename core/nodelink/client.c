/*
 * Calls to the sandbox-node over its SOCK_SEQPACKET socket.
 *
 *     state       event           next
 *     WAITING     the timer       CONNECTED, or WAITING for longer when there is no socket
 *     CONNECTED   READY           OPEN       `connected`
 *                 FAILED          CONNECTED  and what it says is why calls fail
 *                 its end         WAITING    for longer
 *     OPEN        its end         WAITING    `closed`
 *
 * Somebody else may hold the listening socket while no node runs, so a connection means nothing
 * before the node has said READY.
 */
#include "nodelink/client.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/unix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

enum { UNSENT_MAX = 4096, PACKETS_PER_WAKE = 64, RETRY_FIRST_MS = 20, RETRY_MOST_MS = 1000 };

enum state { WAITING, CONNECTED, OPEN };

struct call {
    struct call *prev, *next;
    uint32_t id;
    bool refused;          /* was not sent: `failer` answers it */
    sa_node_reply_cb done; /* NULL once forgotten */
    void *user;
};

struct unsent {
    struct unsent *prev, *next;
    size_t length;
    char data[];
};

struct sa_node_client {
    uv_async_t failer; /* answers calls that could not be sent, from the loop */
    uv_timer_t retry;
    uint64_t retry_ms;
    uv_loop_t *loop;
    char *path;
    enum state state;
    int fd;          /* -1 while WAITING */
    uv_poll_t *poll; /* of fd; freed when it is closed */
    int open_handles;
    const struct sa_node_client_events *events;
    void *owner;
    uint32_t last_call;
    struct call *calls;
    struct unsent *unsent;
    size_t unsent_count;
    bool freed, overflow;
    bool refused; /* the last connection, by the node */
    struct sa_error refusal;
    char packet[SA_NODE_MESSAGE_MAX];
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_retry(uv_timer_t *timer);

static void release(struct sa_node_client *c)
{
    if (--c->open_handles > 0 || !c->freed)
        return;
    free(c->path);
    free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
    release(handle->data);
    free(handle);
}

static void answer(struct sa_node_client *c, struct call *call, struct sa_node_reply *reply)
{
    DL_DELETE(c->calls, call);
    if (call->done)
        call->done(call->user, reply);
    free(call);
}

/* Answers may make new calls: those are refused in turn, and answered later. */
static void fail_calls(struct sa_node_client *c, bool refused_only)
{
    struct sa_error error;
    const uint32_t last = c->last_call;
    if (c->refused)
        sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox-node refuses: %s", c->refusal.message);
    else
        sa_error_set(&error, SA_EUNAVAILABLE,
                     "the sandbox-node is not reachable; try again shortly");
    for (struct call *call = c->calls; call;) {
        struct sa_node_reply reply = {.type = SA_NODE_FAILED, .error = &error};
        if ((int32_t)(call->id - last) > 0)
            break;
        if (refused_only && !call->refused) {
            call = call->next;
            continue;
        }
        sa_fields_init(&reply.fields, "", 0);
        answer(c, call, &reply);
        call = c->calls; /* the list may be another one now */
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

/* Try again, each time a little later. */
static void wait_for_node(struct sa_node_client *c)
{
    uv_timer_start(&c->retry, on_retry, c->retry_ms, 0);
    c->retry_ms = c->retry_ms * 2 < RETRY_MOST_MS ? c->retry_ms * 2 : RETRY_MOST_MS;
}

static void lose(struct sa_node_client *c)
{
    const bool was_open = c->state == OPEN;
    if (c->state == WAITING)
        return;
    c->state = WAITING;
    uv_poll_stop(c->poll);
    uv_close((uv_handle_t *)c->poll, on_poll_closed);
    close(sa_steal_fd(&c->fd));
    drop_unsent(c);
    c->overflow = false;
    if (!c->freed)
        wait_for_node(c);
    fail_calls(c, false);
    if (was_open && !c->freed && c->events->closed)
        c->events->closed(c->owner);
}

static void set_poll(struct sa_node_client *c)
{
    uv_poll_start(c->poll, UV_READABLE | (c->unsent ? UV_WRITABLE : 0), on_poll);
}

/* It may succeed before a node runs: the socket belongs to who started both. */
static int open_socket(struct sa_node_client *c)
{
    const char *name;
    sa_autoclose int folder = sa_unix_folder(c->path, &name);
    if (folder < 0)
        return -1;
    return sa_unix_connect(folder, name, SOCK_SEQPACKET | SOCK_NONBLOCK);
}

static void on_retry(uv_timer_t *timer)
{
    struct sa_node_client *c = timer->data;
    c->fd = open_socket(c);
    if (c->fd < 0) {
        wait_for_node(c);
        return;
    }
    c->poll = sa_alloc(sizeof *c->poll);
    uv_poll_init(c->loop, c->poll, c->fd);
    c->poll->data = c;
    c->open_handles++;
    c->state = CONNECTED;
    set_poll(c);
}

static void ready(struct sa_node_client *c)
{
    if (c->state != CONNECTED)
        return;
    c->state = OPEN;
    c->refused = false;
    c->retry_ms = RETRY_FIRST_MS;
    if (c->events->connected)
        c->events->connected(c->owner);
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
    if (reply.type == SA_NODE_READY) {
        ready(c);
        return;
    }
    if (c->state != OPEN) {
        c->refused = reply.type == SA_NODE_FAILED;
        if (c->refused)
            read_error(reply.fields, &c->refusal);
        return;
    }
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
        if (c->state == WAITING || c->poll != poll)
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
    fail_calls(c, true);
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

struct sa_node_client *sa_node_client_new(uv_loop_t *loop, const char *path,
                                          const struct sa_node_client_events *events, void *owner)
{
    struct sa_node_client *c = sa_alloc(sizeof *c);
    c->loop = loop;
    c->path = sa_strdup(path);
    c->fd = -1;
    sa_node_client_listen(c, events, owner);
    c->retry_ms = RETRY_FIRST_MS;
    c->retry.data = c->failer.data = c;
    uv_async_init(loop, &c->failer, on_fail_async);
    uv_unref((uv_handle_t *)&c->failer);
    uv_timer_init(loop, &c->retry);
    c->open_handles = 2;
    uv_timer_start(&c->retry, on_retry, 0, 0);
    return c;
}

void sa_node_client_free(struct sa_node_client *client)
{
    if (!client)
        return;
    client->freed = true;
    lose(client);
    while (client->calls)
        fail_calls(client, false);
    uv_close((uv_handle_t *)&client->failer, on_handle_closed);
    uv_close((uv_handle_t *)&client->retry, on_handle_closed);
}

bool sa_node_client_is_open(const struct sa_node_client *client)
{
    return client->state == OPEN;
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
    if (client->state != OPEN || client->overflow) {
        call->refused = true;
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
