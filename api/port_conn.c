/*
 * Connections to servers inside. One that its server keeps alive is kept here, for the next
 * request to the same port: a few for each port, a while.
 */
#include "api/port.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { KEPT_MAX = 32 /* for each port */, KEPT_MS = 15 * 1000, SWEEP_MS = 1000 };

struct port_key {
    char sandbox[SA_ID_BYTES];
    int port;
};

struct kept { /* the connections kept for one port */
    UT_hash_handle hh;
    struct port_key key;
    struct sa_port_conn *list; /* latest first */
    size_t count;
};

struct sa_ports {
    uv_loop_t *loop;
    uv_timer_t sweeper; /* active while there are any */
    struct kept *kept;
};

struct sa_port_conn {
    struct sa_port_conn *prev, *next;
    struct sa_ports *ports;
    struct port_key key;
    struct sa_call *call;
    const struct sa_port_conn_events *events; /* NULL: it is kept */
    void *user;
    uint64_t kept_since;
    bool connected, reused;
};

/* ---- those that are kept ---- */

static struct kept *find(struct sa_ports *ports, const struct port_key *key)
{
    struct kept *k;
    HASH_FIND(hh, ports->kept, key, sizeof *key, k);
    return k;
}

/* Take it off the list; a list without connections goes. */
static void unkeep(struct sa_port_conn *conn)
{
    struct kept *k = find(conn->ports, &conn->key);
    DL_DELETE(k->list, conn);
    if (--k->count)
        return;
    HASH_DEL(conn->ports->kept, k);
    free(k);
}

static void drop_kept(struct sa_port_conn *conn)
{
    unkeep(conn);
    sa_call_abandon(conn->call);
    free(conn);
}

static void on_sweep(uv_timer_t *timer)
{
    struct sa_ports *ports = timer->data;
    struct kept *k, *next;
    uint64_t now = uv_now(ports->loop);
    HASH_ITER (hh, ports->kept, k, next) {
        struct port_key key = k->key;
        while ((k = find(ports, &key)) && k->list->prev->kept_since + KEPT_MS <= now)
            drop_kept(k->list->prev);
    }
    if (!ports->kept)
        uv_timer_stop(timer);
}

void sa_ports_drop_kept(struct sa_ports *ports, const char *sandbox_id, int port)
{
    struct port_key key = {.port = port};
    struct kept *k;
    strncpy(key.sandbox, sandbox_id, sizeof key.sandbox - 1);
    while ((k = find(ports, &key)))
        drop_kept(k->list);
}

void sa_port_conn_put(struct sa_port_conn *conn)
{
    struct sa_ports *ports = conn->ports;
    struct kept *k = find(ports, &conn->key);
    if (!k) {
        k = sa_alloc(sizeof *k);
        k->key = conn->key;
        HASH_ADD(hh, ports->kept, key, sizeof k->key, k);
    }
    conn->events = NULL;
    conn->kept_since = uv_now(ports->loop);
    DL_PREPEND(k->list, conn);
    if (++k->count > KEPT_MAX)
        drop_kept(k->list->prev);
    if (!uv_is_active((uv_handle_t *)&ports->sweeper))
        uv_timer_start(&ports->sweeper, on_sweep, SWEEP_MS, SWEEP_MS);
}

struct sa_ports *sa_ports_new(uv_loop_t *loop)
{
    struct sa_ports *ports = sa_alloc(sizeof *ports);
    ports->loop = loop;
    ports->sweeper.data = ports;
    uv_timer_init(loop, &ports->sweeper);
    return ports;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sa_ports_free(struct sa_ports *ports)
{
    if (!ports)
        return;
    while (ports->kept)
        drop_kept(ports->kept->list); /* NOLINT: it takes itself off the list */
    uv_close((uv_handle_t *)&ports->sweeper, on_closed);
}

/* ---- the call ---- */

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct sa_port_conn *conn = user;
    if (!conn->events)
        drop_kept(conn); /* nothing was asked: what it says belongs to no request */
    else if (channel == SA_CHANNEL_OUT)
        conn->events->data(conn->user, data, length);
    else
        sa_call_consume(conn->call, length);
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct sa_port_conn *conn = user;
    (void)fields;
    conn->connected = true;
}

static void on_writable(void *user)
{
    struct sa_port_conn *conn = user;
    if (conn->events)
        conn->events->writable(conn->user);
}

static void on_eof(void *user, enum sa_link_channel channel)
{
    struct sa_port_conn *conn = user;
    (void)channel;
    if (conn->events)
        conn->events->eof(conn->user);
    else
        drop_kept(conn);
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_port_conn *conn = user;
    const struct sa_port_conn_events *events = conn->events;
    void *owner = conn->user;
    bool connected = conn->connected;
    (void)fields;
    if (!events)
        unkeep(conn);
    free(conn);
    if (events)
        events->closed(owner, connected, error);
}

static const struct sa_call_events call_events = {
    .data = on_data, .note = on_note, .writable = on_writable, .eof = on_eof, .ended = on_ended};

static int check_ingress(const struct sa_sandbox *sandbox, int port, struct sa_error *err)
{
    const struct sa_ingress *ingress = &sa_sandbox_spec(sandbox)->network.ingress;
    bool open = ingress->enabled && !ingress->ports.count;
    for (size_t i = 0; ingress->enabled && i < ingress->ports.count; i++)
        open |= ingress->ports.items[i] == port;
    if (open)
        return 0;
    return sa_error_set(err, SA_EFORBIDDEN,
                        "the networkAccess.ingress of this sandbox does not let port %d through",
                        port);
}

struct sa_port_conn *sa_port_conn_open(struct sa_ports *ports, struct sa_sandbox *sandbox, int port,
                                       bool reuse, const struct sa_port_conn_events *events,
                                       void *user, struct sa_error *err)
{
    struct port_key key = {.port = port};
    strncpy(key.sandbox, sa_sandbox_id(sandbox), sizeof key.sandbox - 1);
    struct sa_runtime_conn *link =
        check_ingress(sandbox, port, err) < 0 ? NULL : sa_sandbox_conn(sandbox, err);
    if (!link)
        return NULL;
    struct kept *k = reuse ? find(ports, &key) : NULL;
    struct sa_port_conn *conn = k ? k->list : NULL;
    if (conn) {
        unkeep(conn);
        conn->reused = true;
    } else {
        sa_autobuf body = SA_BUF_INIT;
        sa_fields_add_int(&body, SA_PORT_NUMBER, port);
        conn = sa_alloc(sizeof *conn);
        *conn = (struct sa_port_conn){.ports = ports, .key = key};
        conn->call = sa_call_open(link, SA_METHOD_PORT_CONNECT, &body, &call_events, conn, err);
        if (!conn->call) {
            free(conn);
            return NULL;
        }
    }
    conn->events = events;
    conn->user = user;
    return conn;
}

bool sa_port_conn_is_reused(const struct sa_port_conn *conn)
{
    return conn->reused;
}

void sa_port_conn_hand_over(struct sa_port_conn *conn, const struct sa_port_conn_events *events,
                            void *user)
{
    conn->events = events;
    conn->user = user;
}

size_t sa_port_conn_write(struct sa_port_conn *conn, const void *data, size_t length)
{
    return sa_call_write(conn->call, data, length);
}

void sa_port_conn_consume(struct sa_port_conn *conn, size_t length)
{
    sa_call_consume(conn->call, length);
}

void sa_port_conn_eof(struct sa_port_conn *conn)
{
    sa_call_eof(conn->call);
}

void sa_port_conn_drop(struct sa_port_conn *conn)
{
    sa_call_abandon(conn->call);
    free(conn);
}
