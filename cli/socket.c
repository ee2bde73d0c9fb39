#include "socket.h"

#include "client_private.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <libwebsockets.h>
#include <string.h>
#include <utlist.h>

enum { QUEUE_HIGH = 256 * 1024, MESSAGE_MAX = 64 * 1024 * 1024, REASON_MAX = 512 };

struct message {
    struct message *prev, *next;
    bool binary;
    size_t length;
    char bytes[]; /* LWS_PRE of room for the frame's head first */
};

struct sa_sockets {
    uv_loop_t *loop;
    const struct sa_client *client;
    struct lws_context *context;
};

struct sa_socket {
    const struct sa_client *client;
    const struct sa_socket_events *events;
    void *user;
    struct lws *wsi;
    struct message *queue;
    size_t queued;
    struct sa_buf incoming;
    struct sa_error failure;
    bool established, closing, goodbye, over;
};

static void over(struct sa_socket *s, const struct sa_error *error)
{
    if (s->over)
        return;
    s->over = true;
    if (s->wsi)
        lws_set_opaque_user_data(s->wsi, NULL);
    s->wsi = NULL;
    s->events->closed(s->user, error);
}

static int add_headers(struct sa_socket *s, unsigned char **at, unsigned char *end)
{
    const char *key = sa_client_key(s->client);
    return lws_add_http_header_by_name(s->wsi, (const unsigned char *)"x-api-key:",
                                       (const unsigned char *)key, (int)strlen(key), at, end);
}

static int receive(struct sa_socket *s, const void *data, size_t length)
{
    if (lws_is_first_fragment(s->wsi))
        s->incoming.length = 0;
    if (s->incoming.length + length > MESSAGE_MAX) {
        sa_error_set(&s->failure, SA_EPROTOCOL, "the server sent a message that is too large");
        return -1;
    }
    sa_buf_add(&s->incoming, data, length);
    if (!lws_is_final_fragment(s->wsi))
        return 0;
    sa_buf_addc(&s->incoming, '\0');
    s->incoming.length--;
    s->events->message(s->user, lws_frame_is_binary(s->wsi) != 0, s->incoming.data,
                       s->incoming.length);
    return 0;
}

static int write_next(struct sa_socket *s)
{
    struct message *m = s->queue;
    if (m) {
        DL_DELETE(s->queue, m);
        s->queued -= m->length;
        int n = lws_write(s->wsi, (unsigned char *)m->bytes + LWS_PRE, m->length,
                          m->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
        int rc = n < (int)m->length ? -1 : 0;
        free(m);
        if (rc < 0)
            return -1;
    }
    if (s->queue) {
        lws_callback_on_writable(s->wsi);
    } else if (s->closing) {
        lws_close_reason(s->wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
        s->goodbye = true;
        return -1;
    } else if (m && s->events->drained) {
        s->events->drained(s->user);
    }
    return 0;
}

/* RFC 6455, 7.4: the first two bytes are the code. */
static void peer_closes(struct sa_socket *s, const unsigned char *data, size_t length)
{
    unsigned code = length >= 2 ? (unsigned)data[0] << 8 | data[1] : 1005;
    s->goodbye = true;
    if (code != 1000 && code != 1001)
        sa_error_set(&s->failure, SA_EUNAVAILABLE, "the server closed the connection (%u%s%.*s)",
                     code, length > 2 ? ": " : "", (int)(length > 2 ? length - 2 : 0),
                     (const char *)data + 2);
}

static void finish(struct sa_socket *s)
{
    if (!s->failure.code && !s->goodbye)
        sa_error_set(&s->failure, SA_EUNAVAILABLE, "the connection to %s broke",
                     sa_client_url(s->client));
    over(s, s->failure.code ? &s->failure : NULL);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *unused, void *in,
                    size_t length)
{
    struct sa_socket *s = lws_get_opaque_user_data(wsi);
    (void)unused;
    if (!s) /* freed: -1 ends it */
        return reason == LWS_CALLBACK_CLIENT_WRITEABLE || reason == LWS_CALLBACK_CLIENT_RECEIVE ? -1
                                                                                                : 0;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
        unsigned char **at = in;
        return add_headers(s, at, *at + length);
    }
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        sa_error_set(&s->failure, SA_EUNAVAILABLE, "%s: %.*s", sa_client_url(s->client),
                     in ? (int)length : 17, in ? (const char *)in : "cannot be reached");
        finish(s);
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        s->established = true;
        s->events->opened(s->user);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return receive(s, in, length);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return write_next(s);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        peer_closes(s, in, length);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        finish(s);
        return 0;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = "secureagent", .callback = callback, .rx_buffer_size = 64 * 1024},
    {0},
};

struct sa_sockets *sa_sockets_new(uv_loop_t *loop, const struct sa_client *client,
                                  struct sa_error *err)
{
    void *loops[1] = {loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .foreign_loops = loops,
        .client_ssl_ca_filepath = sa_client_cacert(client),
    };
    lws_set_log_level(0, NULL);
    struct sa_sockets *all = sa_alloc(sizeof *all);
    *all = (struct sa_sockets){loop, client, lws_create_context(&info)};
    if (all->context)
        return all;
    free(all);
    sa_error_set(err, SA_EINTERNAL, "libwebsockets cannot be initialised");
    return NULL;
}

void sa_sockets_free(struct sa_sockets *all)
{
    if (!all)
        return;
    /* With a loop of ours its handles are closed first, and the rest the second time. */
    lws_context_destroy(all->context);
    while (uv_run(all->loop, UV_RUN_NOWAIT))
        ;
    lws_context_destroy(all->context);
    free(all);
}

static int connect_to(struct sa_sockets *all, struct sa_socket *s, const char *path,
                      struct sa_error *err)
{
    const char *url = sa_client_url(s->client);
    bool tls = strncmp(url, "https://", 8) == 0;
    sa_autofree char *host = sa_strdup(url + (tls ? 8 : 7));
    host[strcspn(host, "/")] = '\0';
    sa_autofree char *address = sa_strdup(host);
    char *colon = strrchr(address, ':'), *bracket = strrchr(address, ']');
    int port = tls ? 443 : 80;
    if (colon && colon > bracket) {
        port = (int)strtol(colon + 1, NULL, 10);
        *colon = '\0';
    }
    if (address[0] == '[' && bracket) { /* [::1] */
        *bracket = '\0';
        memmove(address, address + 1, strlen(address));
    }
    struct lws_client_connect_info info = {
        .context = all->context,
        .address = address,
        .port = port,
        .path = path,
        .host = host,
        .pwsi = &s->wsi,
        .ssl_connection = tls ? LCCSCF_USE_SSL : 0,
        .local_protocol_name = "secureagent",
        .opaque_user_data = s,
    };
    if (tls && sa_client_is_own_server(s->client)) /* its very certificate is the anchor */
        info.ssl_connection |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
    if (!lws_client_connect_via_info(&info) && !s->over)
        return sa_error_set(err, SA_EUNAVAILABLE, "cannot connect to %s", url);
    return 0;
}

struct sa_socket *sa_socket_open(struct sa_sockets *all, const char *path,
                                 const struct sa_socket_events *events, void *user,
                                 struct sa_error *err)
{
    struct sa_socket *s = sa_alloc(sizeof *s);
    *s = (struct sa_socket){.client = all->client, .events = events, .user = user};
    if (connect_to(all, s, path, err) == 0)
        return s;
    sa_socket_free(s);
    return NULL;
}

/* Asked without an upgrade, the server says what is wrong, or at last that one is needed. */
int sa_socket_check(struct sa_client *client, const char *path, struct sa_error *err)
{
    enum { UPGRADE_REQUIRED = 426 };
    long status = 0;
    struct sa_client_request request = {.method = "GET", .path = path, .status = &status};
    int rc = sa_client_send(client, &request, err);
    return status == UPGRADE_REQUIRED ? 0 : rc;
}

bool sa_socket_send(struct sa_socket *s, bool binary, const void *data, size_t length)
{
    if (!s->wsi || s->closing)
        return false;
    struct message *m = sa_alloc(sizeof *m + LWS_PRE + length);
    m->binary = binary;
    m->length = length;
    memcpy(m->bytes + LWS_PRE, data, length);
    DL_APPEND(s->queue, m);
    s->queued += length;
    lws_callback_on_writable(s->wsi);
    return s->queued < QUEUE_HIGH;
}

void sa_socket_close(struct sa_socket *s)
{
    s->closing = true;
    if (s->wsi)
        lws_callback_on_writable(s->wsi);
}

void sa_socket_pause(struct sa_socket *s, bool paused)
{
    if (s->wsi)
        lws_rx_flow_control(s->wsi, !paused);
}

void sa_socket_free(struct sa_socket *s)
{
    struct message *m;
    if (!s)
        return;
    if (s->wsi) {
        lws_set_opaque_user_data(s->wsi, NULL);
        lws_callback_on_writable(s->wsi);
        lws_set_timeout(s->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
    }
    while ((m = s->queue)) {
        DL_DELETE(s->queue, m);
        free(m);
    }
    sa_buf_deinit(&s->incoming);
    free(s);
}
