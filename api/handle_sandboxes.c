/* Sandboxes: create, get, delete. */
#include "api/lookup.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CREATE_BODY_MAX = 256 * 1024 };

/* ---- POST /sandboxes ---- */

struct creation {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    char id[SA_ID_BYTES];
};

static void respond_created(struct sa_http_request *request, const struct sa_sandbox *sandbox)
{
    sa_http_response_headerf(request, "Location", "/api/v1/sandboxes/%s", sa_sandbox_id(sandbox));
    sa_respond_sandbox(request, 201, sandbox);
}

static void on_created(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    struct creation *c = user;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (err)
        sa_http_respond_error(c->request, err);
    else
        respond_created(c->request, sandbox);
}

/* Nobody will ever know its id: end it. */
static void on_creator_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    struct sa_sandbox *sandbox = sa_sandbox_find(c->app->sandboxes, c->id);
    if (!sandbox)
        return;
    sa_sandbox_forget(sandbox, c);
    sa_sandbox_delete(sandbox, "ClientGone", "the client went away while it started", NULL, NULL);
}

static void on_create_body(struct sa_http_request *request, const char *body, size_t length,
                           void *user)
{
    struct creation *c = user;
    struct sa_sandbox_spec spec;
    struct sa_error error;
    bool wait = true;
    struct sa_owner owner = {c->principal->key_id, c->principal->name};
    if (sa_query_bool(request, "wait", &wait, &error) < 0 ||
        sa_sandbox_spec_decode(body, length, sa_http_request_arena(request), &spec, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_sandbox *sandbox =
        sa_sandbox_create(c->app->sandboxes, &spec, &owner, wait ? on_created : NULL, c, &error);
    if (!sandbox) {
        sa_http_respond_error(request, &error);
        return;
    }
    snprintf(c->id, sizeof c->id, "%s", sa_sandbox_id(sandbox));
    if (wait)
        sa_http_request_on_closed(request, on_creator_gone, c);
    else
        respond_created(request, sandbox);
}

void sa_handle_create_sandbox(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct creation *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct creation){.app = app, .principal = principal, .request = request};
    sa_http_request_collect(request, CREATE_BODY_MAX, on_create_body, c);
}

static void on_record(void *user, const struct sa_error *err, const struct sa_store_sandbox *record)
{
    struct sa_lookup *l = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err && err->code != SA_ENOTFOUND) {
        sa_http_respond_error(l->request, err);
        return;
    }
    if (err || !sa_principal_sees(l->principal, record->owner)) {
        sa_respond_no_sandbox(l->request);
        return;
    }
    sa_print_record(record, &w);
    sa_respond_json(l->request, 200, &body);
}

void sa_handle_get_sandbox(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(app, request, principal);
    if (sandbox) {
        sa_respond_sandbox(request, 200, sandbox);
        return;
    }
    if (!sa_id_valid("sb-", sa_http_request_param(request, "id"))) {
        sa_respond_no_sandbox(request);
        return;
    }
    struct sa_lookup *l = sa_lookup_new(app, request, principal);
    sa_lookup_started(l, sa_store_get_sandbox(app->store, l->id, on_record, l, &error), &error);
}

/* ---- DELETE /sandboxes/{id} ---- */

static void on_deleted(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    struct sa_http_request *request = user;
    (void)sandbox;
    (void)err;
    sa_http_request_on_closed(request, NULL, NULL);
    sa_http_respond(request, 204, NULL, NULL, 0);
}

static void on_deleter_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    struct sa_sandbox *sandbox = sa_sandbox_find(c->app->sandboxes, c->id);
    if (sandbox)
        sa_sandbox_forget(sandbox, request);
}

void sa_handle_delete_sandbox(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    struct creation *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    c->app = app;
    snprintf(c->id, sizeof c->id, "%s", sa_sandbox_id(sandbox));
    sa_http_request_on_closed(request, on_deleter_gone, c);
    sa_sandbox_delete(sandbox, "Deleted", "deleted by request", on_deleted, request);
}

const struct sa_api_route sa_routes_sandboxes[] = {
    {"POST", "/api/v1/sandboxes", SA_PERM_SANDBOXES_WRITE, sa_handle_create_sandbox},
    {"GET", "/api/v1/sandboxes", SA_PERM_SANDBOXES_READ, sa_handle_list_sandboxes},
    {"GET", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_READ, sa_handle_get_sandbox},
    {"DELETE", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_WRITE, sa_handle_delete_sandbox},
    {"GET", SA_SANDBOX_PATH "/metrics", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_metrics},
    {"GET", SA_SANDBOX_PATH "/events", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_events},
    {"GET", SA_SANDBOX_PATH "/wait", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_wait},
    {0}};
