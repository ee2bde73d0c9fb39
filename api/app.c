/* Dispatch: route, authenticate, authorise, call the handler; and what is measured of it. */
#include "api/app_private.h"
#include "api/openapi_json.h"
#include "api/port.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry { /* what the router knows of a route */
    const struct sa_api_route *route;
    const char *query; /* what its query may hold, as in api/openapi_json.h; NULL: anything */
};

/* A key where there is one; else a signature in the URL. */
static int authenticate(struct sa_app *app, struct sa_http_request *request,
                        const struct sa_api_route *route, struct sa_principal *principal,
                        struct sa_error *err)
{
    if (!sa_http_request_query(request, SA_SIGN_PARAMETER) ||
        sa_http_request_header(request, "authorization") ||
        sa_http_request_header(request, "x-api-key"))
        return sa_authenticate(app, request, principal, err);
    return sa_authenticate_signed(app, request, route, principal, err);
}

void sa_request_hold(struct sa_http_request *request, struct sa_sandbox *sandbox)
{
    sa_sandbox_hold(sandbox);
    sa_http_request_set_user(
        request, sa_arena_strdup(sa_http_request_arena(request), sa_sandbox_id(sandbox)));
}

static void hold_sandbox(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_api_route *route, const struct sa_principal *principal)
{
    const char *id = sa_http_request_param(request, "id");
    bool use = route->permission == SA_PERM_SANDBOXES_EXECUTE ||
               route->permission == SA_PERM_SANDBOXES_FILES ||
               route->permission == SA_PERM_SANDBOXES_PORTS;
    struct sa_sandbox *sandbox = use && id ? sa_route_sandbox_peek(app, request, principal) : NULL;
    if (sandbox)
        sa_request_hold(request, sandbox);
}

static void release_sandbox(struct sa_app *app, const char *id)
{
    struct sa_sandbox *sandbox = id ? sa_sandbox_find(app->sandboxes, id) : NULL;
    if (sandbox)
        sa_sandbox_release(sandbox);
}

/* "/a/{path...}" of a route is "/a/{path}" in the description. */
static bool same_path(const char *pattern, const char *path)
{
    const char *dots = strstr(pattern, "...}");
    size_t n = dots ? (size_t)(dots - pattern) : strlen(pattern);
    return strncmp(pattern, path, n) == 0 && strcmp(path + n, dots ? "}" : "") == 0;
}

/* Once for each route, at the start: what its query may hold. */
static const char *described_query(const struct sa_api_route *route)
{
    for (const struct sa_openapi_query *q = sa_openapi_queries; q->method; q++)
        if (strcmp(q->method, route->method) == 0 && same_path(route->pattern, q->path))
            return q->names;
    return NULL;
}

static int refuse_query(const char *name, const char *names, struct sa_error *err)
{
    char list[300] = "none";
    size_t n = 0;
    for (const char *c = names + 1; *c && n + 3 < sizeof list; c++) {
        if (*c == ' ' && c[1])
            list[n++] = ',';
        list[n++] = c[1] ? *c : '\0';
    }
    return sa_error_at(err, SA_EINVALID, name, "%.40s: no such query parameter; known here: %s",
                       name, list);
}

/* A parameter that nothing reads is a slip, and would be missed in silence. */
static int check_query(const struct sa_http_request *request, const char *names,
                       struct sa_error *err)
{
    const char *name, *value;
    for (size_t i = 0; names && sa_http_request_query_at(request, i, &name, &value); i++) {
        sa_autofree char *word = sa_printf(" %s ", name);
        if ((name[0] && strstr(names, word) && !strchr(name, ' ')) ||
            strcmp(name, SA_SIGN_PARAMETER) == 0)
            continue;
        return refuse_query(name, names, err);
    }
    return 0;
}

void sa_app_dispatch(struct sa_http_request *request, void *user)
{
    struct sa_app *app = user;
    struct sa_error error;
    if (app->policies_ready && sa_port_dispatch_host(app, request))
        return;
    const struct sa_route *found = sa_router_find(app->router, request);
    if (!found)
        return;
    const struct entry *entry = sa_route_user(found);
    const struct sa_api_route *route = entry->route;
    if (route->permission == SA_PERM_NONE) {
        route->handler(app, request, NULL);
        return;
    }
    struct sa_principal *principal =
        sa_arena_alloc(sa_http_request_arena(request), sizeof *principal);
    if (authenticate(app, request, route, principal, &error) < 0) {
        sa_http_response_header(request, "WWW-Authenticate", "Bearer");
        sa_http_respond_error(request, &error);
        return;
    }
    if (!sa_role_may(principal->role, route->permission)) {
        sa_error_set(&error, SA_EFORBIDDEN, "this needs the permission %s, which the role %s lacks",
                     sa_permission_name(route->permission), sa_role_name(principal->role));
        sa_http_respond_error(request, &error);
        return;
    }
    if (check_query(request, entry->query, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    if (!app->policies_ready) {
        sa_error_set(&error, SA_EUNAVAILABLE, "the server is starting");
        sa_http_respond_error(request, &error);
        return;
    }
    hold_sandbox(app, request, route, principal);
    route->handler(app, request, principal);
}

void sa_app_completed(const struct sa_http_completion *c, void *user)
{
    struct sa_app *app = user;
    char status[8];
    release_sandbox(app, c->request_user);
    snprintf(status, sizeof status, "%d", c->status);
    const char *method = c->route[0] ? c->method : "";
    sa_counter_add(sa_metric_series(app->requests_total, SA_VALUES(c->route, method, status)), 1);
    sa_histogram_observe(sa_metric_series(app->request_seconds, SA_VALUES(c->route)),
                         (double)c->duration_us / 1e6);
    if (sa_log_enabled(SA_LOG_DEBUG) || c->status >= 500)
        sa_log_write(c->status >= 500 ? SA_LOG_WARN : SA_LOG_DEBUG, "request",
                     (const struct sa_log_field[]){
                         SA_LOG_S("request_id", c->request_id), SA_LOG_S("method", c->method),
                         SA_LOG_S("route", c->route), SA_LOG_I("status", c->status),
                         SA_LOG_D("ms", (double)c->duration_us / 1e3), SA_LOG_S("peer", c->peer)},
                     6);
}

static double read_connections(void *context)
{
    const struct sa_app *app = context;
    return app->server ? sa_http_server_connections(app->server) : 0;
}

void sa_app_add_metrics(struct sa_app *app)
{
    struct sa_metrics *m = app->metrics = sa_metrics_new();
    sa_metrics_add_process(m);
    app->requests_total =
        sa_metrics_counter(m, "secureagent_http_requests_total", "Requests answered.",
                           SA_LABELS("route", "method", "status"));
    app->request_seconds =
        sa_metrics_histogram(m, "secureagent_http_request_seconds",
                             "Time from the first byte of a request to the end of its answer.",
                             SA_LABELS("route"), NULL, 0);
    sa_metrics_gauge_fn(m, "secureagent_http_connections", "Open client connections.",
                        read_connections, app);
}

static void add_route(struct sa_app *app, const struct sa_api_route *route)
{
    struct entry *entry = sa_arena_alloc(app->entries, sizeof *entry);
    if (route->gate == SA_GATE_NONE &&
        strncmp(route->pattern, SA_SANDBOX_PATH, sizeof SA_SANDBOX_PATH - 1) == 0)
        abort(); /* whoever adds a route has to think of the policies */
    *entry = (struct entry){route, described_query(route)};
    sa_router_add(app->router, route->method, route->pattern, NULL, entry);
}

void sa_app_add_routes(struct sa_app *app)
{
    app->router = sa_router_new();
    app->entries = sa_arena_new();
    for (size_t i = 0; sa_api_routes[i]; i++)
        for (const struct sa_api_route *r = sa_api_routes[i]; r->method; r++)
            add_route(app, r);
}
