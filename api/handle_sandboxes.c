/* Sandboxes: get, delete, and their routes. */
#include "api/gate.h"
#include "api/lookup.h"

#include "base/cleanup.h"
#include "base/id.h"
#include "kinds/admission.h"

#include <stdio.h>

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

struct deletion {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    char id[SA_ID_BYTES];
};

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
    struct deletion *d = user;
    struct sa_sandbox *sandbox = sa_sandbox_find(d->app->sandboxes, d->id);
    if (sandbox)
        sa_sandbox_forget(sandbox, request);
}

static void delete (void *user)
{
    struct deletion *d = user;
    struct sa_sandbox *sandbox = sa_route_sandbox(d->app, d->request, d->principal);
    if (!sandbox)
        return;
    snprintf(d->id, sizeof d->id, "%s", sa_sandbox_id(sandbox));
    sa_http_request_on_closed(d->request, on_deleter_gone, d);
    sa_sandbox_delete(sandbox, "Deleted", "deleted by request", on_deleted, d->request);
}

void sa_handle_delete_sandbox(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    sa_autobuf object = SA_BUF_INIT;
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    struct deletion *d = sa_arena_alloc(sa_http_request_arena(request), sizeof *d);
    *d = (struct deletion){.app = app, .principal = principal, .request = request};
    sa_admission_of_spec(sa_sandbox_spec(sandbox), sa_sandbox_id(sandbox), &object);
    const struct sa_gate_admission admission = {
        .operation = "DELETE", .object = object.data, .old = object.data};
    sa_gate_then(sa_gate_admission(&(struct sa_gate_who){app, principal, sandbox}, &admission),
                 request, delete, d);
}

const struct sa_api_route sa_routes_sandboxes[] = {
    {"POST", "/api/v1/sandboxes", SA_PERM_SANDBOXES_WRITE, sa_handle_create_sandbox,
     SA_GATE_ADMISSION},
    {"GET", "/api/v1/sandboxes", SA_PERM_SANDBOXES_READ, sa_handle_list_sandboxes, SA_GATE_READS},
    {"GET", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_READ, sa_handle_get_sandbox, SA_GATE_READS},
    {"DELETE", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_WRITE, sa_handle_delete_sandbox,
     SA_GATE_ADMISSION},
    {"GET", SA_SANDBOX_PATH "/metrics", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_metrics,
     SA_GATE_READS},
    {"GET", SA_SANDBOX_PATH "/events", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_events,
     SA_GATE_READS},
    {"GET", SA_SANDBOX_PATH "/wait", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_wait, SA_GATE_READS},
    {0}};
