#include "api/ws_open.h"

#include "base/clock.h"

#include <string.h>
#include <strings.h>

enum { CODE_POLICY = 1008 };

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

bool sa_ws_still_may(struct sa_app *app, const char *key_id, struct sa_ws_conn *conn)
{
    const struct sa_key_info *key = sa_store_key_get(app->store, key_id);
    bool expired = key && key->expires_ms && sa_wall_ms() >= key->expires_ms;
    if (key && !key->revoked_ms && !expired)
        return true;
    sa_ws_close(conn, CODE_POLICY, expired ? "the key has expired" : "the key was revoked");
    return false;
}
