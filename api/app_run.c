/* Starting and stopping agent-api: its parts, in order. */
#include "api/app_private.h"
#include "api/context.h"
#include "api/plane.h"
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

enum { DRAIN_MS = 5000, PRUNE_EVERY_MS = 3600 * 1000 };

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

static void on_controllers_stopped(void *user)
{
    struct sa_app_run *run = user;
    struct sa_app *app = &run->app;
    uv_close((uv_handle_t *)&run->prune_timer, NULL);
    sa_contexts_free(app->contexts);
    sa_ports_free(app->ports);
    sa_port_passes_free(app->port_passes);
    sa_ws_free(app->ws);
    sa_talk_names_free(app->talk_names);
    sa_sandboxes_free(app->sandboxes);
    sa_plane_stop(app);
    sa_policies_stop(app);
    sa_executions_free(app->executions);
    sa_idempotency_free(app->idempotency);
    sa_http_server_free(app->server);
    app->server = NULL;
    sa_plane_close(app, on_objects_closed, app);
}

static void part_stopped(struct sa_app_run *run)
{
    if (--run->parts_open > 0)
        return;
    if (run->running_controllers)
        run->controllers->stop(run->running_controllers, on_controllers_stopped, run);
    else
        on_controllers_stopped(run);
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
    /* Without controllers nobody removes them now: the node does when it ends, and whoever is
     * started next finds that they were deleted. */
    sa_sandboxes_stop(app->sandboxes, "ServerStopped", run->running_controllers ? DRAIN_MS : 0,
                      on_sandboxes_stopped, run);
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

static int listen_at(struct sa_http_server *server, const struct sa_app_options *options,
                     struct sa_error *err)
{
    if (options->listen_fd >= 0)
        return sa_http_server_listen_on(server, (int)options->listen_fd, err);
    if (sa_http_server_listen(server, options->listen, err) == 0)
        return 0;
    if (err->code == SA_ECONFLICT)
        sa_error_set(err, SA_ECONFLICT,
                     "cannot listen on %.80s: it is in use; stop what serves there, or choose "
                     "another with --listen (port 0 takes a free one)",
                     options->listen);
    return -1;
}

static void on_part_answer(struct sa_app_run *run, const struct sa_error *err)
{
    if ((err || --run->parts_awaited == 0) && run->ready && !run->app.draining)
        run->ready(run, err);
}

static void on_recovered(void *user)
{
    on_part_answer(user, NULL);
}

static void start_controllers(struct sa_app_run *run)
{
    if (run->controllers && !run->running_controllers && !run->app.draining)
        run->running_controllers = run->controllers->start(&run->app);
}

static void on_policies(void *owner, const struct sa_error *err)
{
    struct sa_error error;
    if (!err)
        start_controllers(owner); /* they ask them */
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
    struct sa_http_options http = {.handler = sa_app_dispatch,
                                   .user = app,
                                   .completed = sa_app_completed,
                                   .completed_user = app,
                                   .tls_cert_file = options->tls_cert,
                                   .tls_key_file = options->tls_key};
    app->server = sa_http_server_new(app->loop, &http, err);
    if (!app->server || listen_at(app->server, options, err) < 0 ||
        sa_privilege_drop((uid_t)options->run_as, (gid_t)options->run_as, err) < 0)
        return -1;
    app->store = sa_store_open(options->data_dir, app->loop, NULL, err);
    if (!app->store || (options->bootstrap_key && add_key(app, options->bootstrap_key, err) < 0))
        return -1;
    app->signer = sa_signer_open(options->data_dir, err);
    if (!app->signer || sa_plane_open(app, options->data_dir, err) < 0 ||
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
    sa_plane_start(app, options);
    app->sandboxes =
        sa_sandboxes_new(&(struct sa_sandboxes_options){.loop = app->loop,
                                                        .store = app->store,
                                                        .metrics = app->metrics,
                                                        .objects = app->objects,
                                                        .caches = &app->caches,
                                                        .claims = app->claims,
                                                        .agent = app->agent,
                                                        .node = app->node,
                                                        .security = app->security,
                                                        .instance = app->instance,
                                                        .max_running = options->max_sandboxes,
                                                        .policy = app->policy,
                                                        .running = count_running,
                                                        .ended = on_sandbox_ended,
                                                        .owner = run});
    return 0;
}

static void on_failed_server_closed(void *user)
{
    struct sa_app *app = user;
    sa_http_server_free(app->server);
    app->server = NULL;
}

int sa_app_start(struct sa_app_run *run, const struct sa_app_options *options, struct sa_error *err)
{
    struct sa_app *app = &run->app;
    app->loop = options->loop;
    app->domain = options->domain;
    run->controllers = options->controllers;
    sa_id_new("api-", app->instance);
    sa_app_add_metrics(app);
    sa_app_add_routes(app);
    if (open_parts(run, options, err) < 0) {
        if (app->server)
            sa_http_server_drain(app->server, 0, on_failed_server_closed, app);
        sa_policies_stop(app);
        sa_executions_free(app->executions);
        sa_idempotency_free(app->idempotency);
        sa_plane_close(app, on_objects_closed, app);
        return -1;
    }
    run->ready = options->ready;
    run->parts_awaited = 2;
    sa_sandboxes_recover(app->sandboxes, on_recovered, run);
    run->retention_ms = options->retention_ms;
    run->prune_timer.data = run;
    uv_timer_init(app->loop, &run->prune_timer);
    uv_timer_start(&run->prune_timer, on_prune, PRUNE_EVERY_MS, PRUNE_EVERY_MS);
    uv_unref((uv_handle_t *)&run->prune_timer);
    return 0;
}
