/*
 * GET /sandboxes/{id}/tunnel?port=N as a WebSocket: one TCP connection to a server inside, whose
 * bytes are binary messages both ways. For protocols that are not HTTP; `secureagent forward`
 * uses it. The text {"type":"eof"} ends one direction, as shutdown(2) does. A side that is slow
 * holds the other back: one message of the client's waits, and the link's window of the server's.
 */
#include "api/port.h"
#include "api/ws_open.h"

#include "base/cleanup.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

enum { CODE_NORMAL = 1000, CODE_UNSUPPORTED = 1003, CODE_FAILED = 1011, PORT_MAX = 65535 };

static const char EOF_TEXT[] = "{\"type\":\"eof\"}";

struct tunnel {
    struct sa_app *app;
    char sandbox_id[SA_ID_BYTES]; /* which is held */
    char key_id[SA_ID_BYTES];     /* whose it is */
    int port;
    struct sa_ws_conn *client;
    struct sa_port_conn *server; /* NULL before, and once it has ended */
    struct sa_buf input;         /* a message that the link did not take yet; its reader waits */
    size_t unconsumed;           /* credit of bytes that the client has not taken */
    bool client_ended;
};

static void free_tunnel(struct tunnel *t)
{
    struct sa_sandbox *sandbox = sa_sandbox_find(t->app->sandboxes, t->sandbox_id);
    if (t->server)
        sa_port_conn_drop(t->server);
    if (sandbox)
        sa_sandbox_release(sandbox);
    sa_buf_deinit(&t->input);
    free(t);
}

/* ---- the server inside ---- */

static void on_data(void *user, const char *data, size_t length)
{
    struct tunnel *t = user;
    if (sa_ws_send(t->client, SA_WS_BINARY, data, length))
        sa_port_conn_consume(t->server, length);
    else
        t->unconsumed += length;
}

static void write_input(void *user)
{
    struct tunnel *t = user;
    if (!t->server)
        return;
    if (t->input.length) {
        sa_buf_consume(&t->input, sa_port_conn_write(t->server, t->input.data, t->input.length));
        if (t->input.length)
            return; /* it comes again */
        sa_buf_deinit(&t->input);
        sa_ws_resume(t->client);
    }
    if (t->client_ended)
        sa_port_conn_eof(t->server);
}

static void on_eof(void *user)
{
    struct tunnel *t = user;
    sa_ws_send(t->client, SA_WS_TEXT, EOF_TEXT, sizeof EOF_TEXT - 1);
}

static void on_ended(void *user, bool connected, const struct sa_error *error)
{
    struct tunnel *t = user;
    t->server = NULL;
    if (!error) {
        sa_ws_close(t->client, CODE_NORMAL, "both sides have ended");
        return;
    }
    sa_autofree char *reason =
        connected ? sa_printf("the connection inside broke: %s", error->message)
                  : sa_printf("nobody can be reached on port %d inside the sandbox: %s", t->port,
                              error->message);
    sa_ws_close(t->client, CODE_FAILED, reason);
}

static const struct sa_port_conn_events server_events = {
    .data = on_data, .writable = write_input, .eof = on_eof, .closed = on_ended};

/* ---- the client ---- */

static void on_opened(struct sa_ws_conn *conn, void *user)
{
    struct tunnel *t = user;
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_sandbox_find(t->app->sandboxes, t->sandbox_id);
    t->client = conn;
    if (!sandbox)
        sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox has ended");
    else
        t->server =
            sa_port_conn_open(t->app->ports, sandbox, t->port, false, &server_events, t, &error);
    if (!t->server)
        sa_ws_close(conn, CODE_FAILED, error.message);
}

/* {"type":"eof"} is all there is. */
static int take_text(struct tunnel *t, const char *data, size_t length, struct sa_error *err)
{
    static const char *const types[] = {"eof", NULL};
    struct sa_json_obj root;
    int type;
    struct sa_json_doc *doc = sa_json_parse(data, length, NULL, err);
    struct sa_arena *arena = sa_arena_new();
    int rc = !doc || sa_json_root(doc, arena, &root, err) < 0 ||
                     sa_json_get_enum(&root, "type", types, &type, err) < 0 ||
                     sa_json_finish(&root, err) < 0
                 ? -1
                 : 0;
    if (rc == 0 && !t->client_ended) {
        t->client_ended = true;
        write_input(t);
    }
    sa_json_free(doc);
    sa_arena_free(arena);
    return rc;
}

static void on_message(struct sa_ws_conn *conn, enum sa_ws_kind kind, const char *data,
                       size_t length, void *user)
{
    struct tunnel *t = user;
    struct sa_error error;
    if (!sa_ws_still_may(t->app, t->key_id, conn))
        return;
    if (kind == SA_WS_TEXT) {
        if (take_text(t, data, length, &error) < 0)
            sa_ws_close(conn, CODE_UNSUPPORTED, error.message);
        return;
    }
    if (t->client_ended) {
        sa_ws_close(conn, CODE_UNSUPPORTED, "bytes after the end");
        return;
    }
    if (!t->server || !length)
        return;
    size_t taken = sa_port_conn_write(t->server, data, length);
    if (taken == length)
        return;
    sa_buf_add(&t->input, data + taken, length - taken);
    sa_ws_pause(conn); /* write_input() comes, and resumes */
}

static void on_writable(struct sa_ws_conn *conn, void *user)
{
    struct tunnel *t = user;
    size_t unconsumed = t->unconsumed;
    (void)conn;
    t->unconsumed = 0;
    if (unconsumed && t->server)
        sa_port_conn_consume(t->server, unconsumed);
}

static void on_closed(struct sa_ws_conn *conn, int code, void *user)
{
    (void)conn, (void)code;
    free_tunnel(user);
}

/* ---- the request ---- */

struct opening {
    struct sa_app *app;
    struct sa_http_request *request;
    const struct sa_principal *principal;
    int port;
};

static void open_tunnel(void *user)
{
    struct opening *o = user;
    static const struct sa_ws_events events = {on_opened, on_message, on_writable, on_closed};
    struct sa_sandbox *sandbox = sa_route_sandbox(o->app, o->request, o->principal);
    if (!sandbox)
        return;
    struct tunnel *t = sa_alloc(sizeof *t);
    *t = (struct tunnel){.app = o->app, .port = o->port};
    memcpy(t->sandbox_id, sa_sandbox_id(sandbox), sizeof t->sandbox_id);
    memcpy(t->key_id, o->principal->key_id, sizeof t->key_id);
    sa_sandbox_hold(sandbox);
    if (sa_ws_open(o->app, o->request, &events, t) < 0)
        free_tunnel(t);
}

static void handle_tunnel(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    struct sa_error error;
    int64_t port = 0;
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    if (sa_query_int(request, "port", 1, PORT_MAX, &port, &error) < 0 ||
        (!port && sa_error_at(&error, SA_EINVALID, "port", "port: which one?") < 0)) {
        sa_http_respond_error(request, &error);
        return;
    }
    if (sa_ws_check(app, request) < 0)
        return;
    struct opening *o = sa_arena_alloc(sa_http_request_arena(request), sizeof *o);
    *o = (struct opening){app, request, principal, (int)port};
    sa_ws_ask(app, request, sa_gate_port(&(struct sa_gate_who){app, principal, sandbox}, o->port),
              open_tunnel, o);
}

const struct sa_api_route sa_routes_tunnel[] = {
    {"GET", SA_SANDBOX_PATH "/tunnel", SA_PERM_SANDBOXES_EXECUTE, handle_tunnel, SA_GATE_EXECUTE},
    {0}};
