/* Dispatch: route, authenticate, authorise, call the handler; and what is measured of it. */
#include "api/app_run.h"
#include "api/context.h"
#include "api/objects.h"
#include "api/openapi_json.h"
#include "api/policies.h"
#include "api/port.h"
#include "api/privilege.h"
#include "api/resources.h"
#include "api/ws_stream.h"

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

enum { DRAIN_MS = 5000, PRUNE_EVERY_MS = 3600 * 1000 };

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

static void dispatch(struct sa_http_request *request, void *user)
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

static void completed(const struct sa_http_completion *c, void *user)
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

static void add_metrics(struct sa_app *app)
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

static void on_store_closed(void *user)
{
    struct sa_app *app = user;
    sa_metrics_free(app->metrics);
    sa_router_free(app->router);
    sa_arena_free(app->entries);
    sa_signer_free(app->signer);
    app->store = NULL;
}

static void on_objects_closed(void *user)
{
    struct sa_app *app = user;
    if (app->store)
        sa_store_close(app->store, on_store_closed, app);
    else
        on_store_closed(app);
}

static void part_stopped(struct sa_app_run *run)
{
    if (--run->parts_open > 0)
        return;
    struct sa_app *app = &run->app;
    uv_close((uv_handle_t *)&run->prune_timer, NULL);
    sa_contexts_free(app->contexts);
    sa_ports_free(app->ports);
    sa_port_passes_free(app->port_passes);
    sa_ws_free(app->ws);
    sa_talk_names_free(app->talk_names);
    sa_sandboxes_free(app->sandboxes);
    sa_policies_stop(app);
    sa_executions_free(app->executions);
    sa_idempotency_free(app->idempotency);
    sa_http_server_free(app->server);
    app->server = NULL;
    sa_app_objects_close(app, on_objects_closed, app);
}

static void on_drained(void *user)
{
    part_stopped(user);
}

static void on_ws_stopped(void *user)
{
    part_stopped(user);
}

static void on_sandboxes_stopped(void *user)
{
    part_stopped(user);
}

void sa_app_stop(struct sa_app_run *run, int exit_status)
{
    struct sa_app *app = &run->app;
    if (app->draining) { /* asked twice: cut short */
        if (app->server)
            sa_http_server_drain(app->server, 0, on_drained, run);
        return;
    }
    app->draining = true;
    run->exit_status = exit_status;
    run->parts_open = 3;
    sa_policy_follows_end(app);
    sa_resource_watches_end(app);
    sa_http_server_drain(app->server, DRAIN_MS, on_drained, run);
    sa_ws_stop(app->ws, DRAIN_MS / 2, on_ws_stopped, run);
    sa_sandboxes_stop(app->sandboxes, "ServerStopped", DRAIN_MS, on_sandboxes_stopped, run);
}

static void on_node_lost(void *owner)
{
    struct sa_app_run *run = owner;
    sa_log_error("the sandbox-node ended; stopping, so that the supervisor starts both anew");
    sa_app_stop(run, 1);
}

static void on_prune(uv_timer_t *timer)
{
    struct sa_app_run *run = timer->data;
    int64_t before = sa_wall_ms() - run->retention_ms;
    sa_store_prune(run->app.store, before, NULL, NULL, NULL);
}

static void on_sandbox_ended(void *owner, const char *id)
{
    struct sa_app_run *run = owner;
    sa_executions_forget(run->app.executions, id);
}

static int64_t count_running(void *owner, const char *id)
{
    struct sa_app_run *run = owner;
    return sa_executions_running(run->app.executions, id);
}

static int add_key(struct sa_app *app, const char *given, struct sa_error *err)
{
    struct sa_key_info info;
    char text[SA_KEY_TEXT_BYTES];
    struct sa_key_params params = {.name = "local", .role = SA_ROLE_ADMIN, .text = given};
    int rc = sa_store_key_create_sync(app->store, &params, &info, text, err);
    explicit_bzero(text, sizeof text);
    return rc;
}

static int listen_at(struct sa_http_server *server, const char *address, struct sa_error *err)
{
    if (sa_http_server_listen(server, address, err) == 0)
        return 0;
    if (err->code == SA_ECONFLICT)
        sa_error_set(err, SA_ECONFLICT,
                     "cannot listen on %.80s: it is in use; stop what serves there, or choose "
                     "another with --listen (port 0 takes a free one)",
                     address);
    return -1;
}

static void on_part_answer(struct sa_app_run *run, const struct sa_error *err)
{
    if ((err || --run->parts_awaited == 0) && run->ready && !run->app.draining)
        run->ready(run, err);
}

static void on_node_answer(void *user, const struct sa_error *err)
{
    struct sa_error error;
    if (err) {
        error = *err;
        sa_error_wrap(&error, "the sandbox-node cannot make sandboxes");
    }
    on_part_answer(user, err ? &error : NULL);
}

static void on_policies(void *owner, const struct sa_error *err)
{
    struct sa_error error;
    if (err) {
        error = *err;
        sa_error_wrap(&error, "there are no policies to serve with");
    }
    on_part_answer(owner, err ? &error : NULL);
}

static int start_policies(struct sa_app_run *run, const struct sa_app_options *options,
                          struct sa_error *err)
{
    const struct sa_policies_options policies = {.dirs = options->policy_dirs,
                                                 .dir_count = options->policy_dir_count,
                                                 .data_dir = options->data_dir,
                                                 .ready = on_policies,
                                                 .owner = run};
    return sa_policies_start(&run->app, &policies, err);
}

static int open_parts(struct sa_app_run *run, const struct sa_app_options *options,
                      struct sa_error *err)
{
    struct sa_app *app = &run->app;
    app->package_mirror = options->package_mirror != NULL;
    struct sa_http_options http = {.handler = dispatch,
                                   .user = app,
                                   .completed = completed,
                                   .completed_user = app,
                                   .tls_cert_file = options->tls_cert,
                                   .tls_key_file = options->tls_key};
    app->server = sa_http_server_new(app->loop, &http, err);
    if (!app->server || listen_at(app->server, options->listen, err) < 0 ||
        sa_privilege_drop((uid_t)options->run_as, (gid_t)options->run_as, err) < 0)
        return -1;
    app->store = sa_store_open(options->data_dir, app->loop, NULL, err);
    if (!app->store || (options->bootstrap_key && add_key(app, options->bootstrap_key, err) < 0))
        return -1;
    app->signer = sa_signer_open(options->data_dir, err);
    if (!app->signer || sa_app_objects_open(app, options->data_dir, err) < 0 ||
        start_policies(run, options, err) < 0)
        return -1;
    sa_autofree char *spool = sa_printf("%s/spool", options->data_dir);
    app->executions = sa_executions_new(
        &(struct sa_executions_options){.loop = app->loop,
                                        .store = app->store,
                                        .metrics = app->metrics,
                                        .spool_folder = spool,
                                        .spool_bytes = options->spool_bytes,
                                        .spool_total_bytes = options->spool_total_bytes},
        err);
    app->ws = app->executions ? sa_ws_new(app->loop, NULL, err) : NULL;
    if (!app->ws)
        return -1;
    app->contexts = sa_contexts_new();
    sa_executions_set_contexts(app->executions, app->contexts);
    app->talk_names = sa_talk_names_new();
    app->allow_origins = options->allow_origins;
    app->allow_origin_count = options->allow_origin_count;
    app->idempotency = sa_idempotency_new(app->store);
    app->ports = sa_ports_new(app->loop);
    app->port_passes = sa_port_passes_new();
    app->sandboxes =
        sa_sandboxes_new(&(struct sa_sandboxes_options){.loop = app->loop,
                                                        .store = app->store,
                                                        .metrics = app->metrics,
                                                        .node_socket = options->node_socket,
                                                        .max_running = options->max_sandboxes,
                                                        .policy = app->policy,
                                                        .running = count_running,
                                                        .ended = on_sandbox_ended,
                                                        .node_lost = on_node_lost,
                                                        .owner = run});
    return 0;
}

static void on_failed_server_closed(void *user)
{
    struct sa_app *app = user;
    sa_http_server_free(app->server);
    app->server = NULL;
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

int sa_app_start(struct sa_app_run *run, const struct sa_app_options *options, struct sa_error *err)
{
    struct sa_app *app = &run->app;
    app->loop = options->loop;
    app->domain = options->domain;
    add_metrics(app);
    app->router = sa_router_new();
    app->entries = sa_arena_new();
    for (size_t i = 0; sa_api_routes[i]; i++)
        for (const struct sa_api_route *r = sa_api_routes[i]; r->method; r++)
            add_route(app, r);
    if (open_parts(run, options, err) < 0) {
        if (app->server)
            sa_http_server_drain(app->server, 0, on_failed_server_closed, app);
        sa_policies_stop(app);
        sa_executions_free(app->executions);
        sa_idempotency_free(app->idempotency);
        sa_app_objects_close(app, on_objects_closed, app);
        return -1;
    }
    run->ready = options->ready;
    run->parts_awaited = 2;
    sa_sandboxes_ask_node(app->sandboxes, on_node_answer, run);
    run->retention_ms = options->retention_ms;
    run->prune_timer.data = run;
    uv_timer_init(app->loop, &run->prune_timer);
    uv_timer_start(&run->prune_timer, on_prune, PRUNE_EVERY_MS, PRUNE_EVERY_MS);
    uv_unref((uv_handle_t *)&run->prune_timer);
    return 0;
}
