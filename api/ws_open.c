#include "api/ws_open.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "json/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CODE_POLICY = 1008, SA_WS_REASON_MAX = 123 };

/* The token of the list that `matches`; its length is *length. */
static const char *find_protocol(const char *list, const char *wanted, bool prefix, size_t *length)
{
    size_t n = strlen(wanted);
    while (list && *list) {
        list += strspn(list, " \t,");
        *length = strcspn(list, " \t,");
        if ((prefix ? *length > n : *length == n) && !strncmp(list, wanted, n))
            return list;
        list += *length;
    }
    return NULL;
}

struct sa_http_text sa_ws_bearer(const struct sa_http_request *request)
{
    size_t length, skip = strlen(SA_WS_BEARER);
    if (!sa_http_request_is_websocket(request))
        return (struct sa_http_text){0};
    const char *found = find_protocol(sa_http_request_header(request, "sec-websocket-protocol"),
                                      SA_WS_BEARER, true, &length);
    if (!found)
        return (struct sa_http_text){0};
    return (struct sa_http_text){found + skip, length - skip};
}

static bool is_own(const struct sa_http_request *request, const char *origin)
{
    const char *scheme = sa_http_request_is_tls(request) ? "https://" : "http://";
    const char *host = sa_http_request_header(request, "host");
    return !strncasecmp(origin, scheme, strlen(scheme)) && host &&
           !strcasecmp(origin + strlen(scheme), host);
}

/* Browsers open WebSockets to anywhere and say from which page. */
static bool origin_allowed(const struct sa_app *app, const struct sa_http_request *request)
{
    const char *origin = sa_http_request_header(request, "origin");
    if (!origin || is_own(request, origin))
        return true;
    for (size_t i = 0; i < app->allow_origin_count; i++)
        if (!strcasecmp(app->allow_origins[i], origin))
            return true;
    return false;
}

int sa_ws_check(struct sa_app *app, struct sa_http_request *request)
{
    struct sa_error error;
    if (!sa_http_request_is_websocket(request)) {
        sa_error_set(&error, SA_EINVALID,
                     "this is a WebSocket: open it with `Upgrade: websocket`, "
                     "version 13");
        sa_http_response_header(request, "Upgrade", "websocket");
        sa_http_response_header(request, "Connection", "Upgrade");
        sa_http_respond_error_full(request, 426, &error, NULL);
        return -1;
    }
    if (!origin_allowed(app, request)) {
        sa_error_set(&error, SA_EFORBIDDEN,
                     "pages of the origin \"%.100s\" may not connect; --allow-origin lists those "
                     "that may",
                     sa_http_request_header(request, "origin"));
        sa_http_respond_error(request, &error);
        return -1;
    }
    return 0;
}

int sa_ws_open(struct sa_app *app, struct sa_http_request *request,
               const struct sa_ws_events *events, void *user)
{
    struct sa_error error;
    size_t length;
    if (sa_ws_check(app, request) < 0)
        return -1;
    bool asked = find_protocol(sa_http_request_header(request, "sec-websocket-protocol"),
                               SA_WS_SUBPROTOCOL, false, &length);
    if (sa_ws_accept(app->ws, request, asked ? SA_WS_SUBPROTOCOL : NULL, events, user, &error) == 0)
        return 0;
    sa_http_respond_error(request, &error);
    return -1;
}

struct refusal {
    struct sa_buf text;
    char reason[SA_WS_REASON_MAX + 1];
};

static void on_refusal_opened(struct sa_ws_conn *conn, void *user)
{
    struct refusal *r = user;
    sa_ws_send(conn, SA_WS_TEXT, r->text.data, r->text.length);
    sa_ws_close(conn, CODE_POLICY, r->reason);
}

static void on_refusal_message(struct sa_ws_conn *conn, enum sa_ws_kind kind, const char *data,
                               size_t length, void *user)
{
    (void)conn, (void)kind, (void)data, (void)length, (void)user; /* too late */
}

static void on_refusal_writable(struct sa_ws_conn *conn, void *user)
{
    (void)conn, (void)user;
}

static void free_refusal(struct refusal *r)
{
    sa_buf_deinit(&r->text);
    free(r);
}

static void on_refusal_closed(struct sa_ws_conn *conn, int code, void *user)
{
    (void)conn, (void)code;
    free_refusal(user);
}

void sa_ws_refuse(struct sa_app *app, struct sa_http_request *request,
                  const struct sa_denial *denial)
{
    static const struct sa_ws_events events = {on_refusal_opened, on_refusal_message,
                                               on_refusal_writable, on_refusal_closed};
    const struct sa_error *error = &denial->error;
    struct refusal *r = sa_alloc(sizeof *r);
    struct sa_json_w w = sa_json_w_start(&r->text);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", "error");
    sa_json_put_string(&w, "code", sa_code_name(error->code));
    sa_json_put_string(&w, "message", error->message);
    sa_denial_print(denial, &w);
    sa_json_w_end_object(&w);
    snprintf(r->reason, sizeof r->reason, "%.*s", SA_WS_REASON_MAX, error->message);
    r->reason[sa_utf8_prefix(r->reason, strlen(r->reason))] = '\0';
    if (sa_ws_open(app, request, &events, r) < 0)
        free_refusal(r);
}

/* ---- asked about first ---- */

struct asked { /* in the request's arena */
    struct sa_app *app;
    struct sa_http_request *request;
    struct sa_gate *gate;
    void (*allowed)(void *user);
    void *user;
};

static void on_answer(void *user, const struct sa_denial *denial)
{
    struct asked *a = user;
    sa_http_request_on_closed(a->request, NULL, NULL);
    if (denial)
        sa_ws_refuse(a->app, a->request, denial);
    else
        a->allowed(a->user);
}

static void on_asker_gone(struct sa_http_request *request, void *user)
{
    struct asked *a = user;
    (void)request;
    sa_gate_forget(a->gate);
}

void sa_ws_ask(struct sa_app *app, struct sa_http_request *request, struct sa_gate *gate,
               void (*allowed)(void *user), void *user)
{
    struct asked *a = sa_arena_alloc(sa_http_request_arena(request), sizeof *a);
    *a = (struct asked){app, request, gate, allowed, user};
    sa_gate_on(gate, on_answer, a);
    sa_http_request_on_closed(request, on_asker_gone, a);
}

bool sa_ws_still_may(struct sa_app *app, const char *key_id, struct sa_ws_conn *conn)
{
    const struct sa_key_info *key = sa_store_key_get(app->store, key_id);
    bool expired = key && key->expires_ms && sa_wall_ms() >= key->expires_ms;
    if (key && !key->revoked_ms && !expired)
        return true;
    sa_ws_close(conn, CODE_POLICY, expired ? "the key has expired" : "the key was revoked");
    return false;
}
