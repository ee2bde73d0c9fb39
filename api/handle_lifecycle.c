/* The life of a sandbox, as clients steer it: changes, timeout, pause, resume. */
#include "api/gate.h"
#include "api/lookup.h"

#include "base/cleanup.h"
#include "kinds/admission.h"

#include <stdio.h>
#include <string.h>

enum { PATCH_BODY_MAX = 256 * 1024, TIMEOUT_BODY_MAX = 4096, TRIES_MAX = 8 };

struct change { /* in the request's arena */
    struct sa_app *app;
    struct sa_http_request *request;
    const struct sa_principal *principal;
    int (*decode)(struct change *c, const struct sa_sandbox_spec *now, struct sa_error *err);
    const char *body;
    size_t length;
    struct sa_sandbox_spec next;
    bool timeout_anew;
    uint64_t revision; /* of the settings that `next` was made of */
    int tries;
};

/* ---- the answer, once what was changed would outlive this process ---- */

static void on_written(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    struct sa_http_request *request = user;
    sa_http_request_on_closed(request, NULL, NULL);
    if (err)
        sa_http_respond_error(request, err);
    else
        sa_respond_sandbox(request, 200, sandbox);
}

static void on_changed(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    if (err || sa_sandbox_await_written(sandbox, on_written, user) == 1)
        on_written(user, sandbox, err);
}

static void on_gone(struct sa_http_request *request, void *user)
{
    struct sa_app *app = user;
    struct sa_sandbox *sandbox =
        sa_sandbox_find(app->sandboxes, sa_http_request_param(request, "id"));
    if (sandbox)
        sa_sandbox_forget(sandbox, request);
}

/* ---- PATCH /sandboxes/{id}, POST …/timeout ---- */

static int decode_patch(struct change *c, const struct sa_sandbox_spec *now, struct sa_error *err)
{
    return sa_sandbox_patch_decode(c->body, c->length, now, sa_http_request_arena(c->request),
                                   &c->next, &c->timeout_anew, err);
}

static int decode_timeout(struct change *c, const struct sa_sandbox_spec *now, struct sa_error *err)
{
    c->next = *now;
    c->timeout_anew = true;
    return sa_timeout_decode(c->body, c->length, sa_http_request_arena(c->request),
                             &c->next.timeout_s, err);
}

static void begin(struct change *c);

/* It was allowed. What has changed since it was made of the sandbox's settings is not undone. */
static void update(void *user)
{
    struct change *c = user;
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(c->app, c->request, c->principal);
    if (!sandbox)
        return;
    if (sa_sandbox_revision(sandbox) != c->revision && c->tries < TRIES_MAX) {
        begin(c);
        return;
    }
    bool changed = c->next.timeout_s != sa_sandbox_spec(sandbox)->timeout_s;
    if (sa_sandbox_revision(sandbox) != c->revision)
        sa_error_set(&error, SA_ECONFLICT, "others change this sandbox all the time; try again");
    else if (sa_sandbox_update(sandbox, &c->next, c->timeout_anew || changed, &error) == 0) {
        sa_http_request_on_closed(c->request, on_gone, c->app);
        on_changed(c->request, sandbox, NULL);
        return;
    }
    sa_http_respond_error(c->request, &error);
}

/* A rule may change what a client may change here; what else it changes has no effect. */
static void ask(struct change *c, struct sa_sandbox *sandbox)
{
    sa_autobuf object = SA_BUF_INIT, old = SA_BUF_INIT;
    sa_admission_of_spec(&c->next, sa_sandbox_id(sandbox), &object);
    sa_admission_of_spec(sa_sandbox_spec(sandbox), sa_sandbox_id(sandbox), &old);
    const struct sa_gate_admission admission = {.operation = "UPDATE",
                                                .object = object.data,
                                                .old = old.data,
                                                .arena = sa_http_request_arena(c->request),
                                                .spec = &c->next};
    sa_gate_then(
        sa_gate_admission(&(struct sa_gate_who){c->app, c->principal, sandbox}, &admission),
        c->request, update, c);
}

/* Looked up when the body is there: it may have ended meanwhile. */
static void begin(struct change *c)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(c->app, c->request, c->principal);
    if (!sandbox)
        return;
    c->tries++;
    c->revision = sa_sandbox_revision(sandbox);
    if (c->decode(c, sa_sandbox_spec(sandbox), &error) < 0)
        sa_http_respond_error(c->request, &error);
    else
        ask(c, sandbox);
}

static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct change *c = user;
    (void)request;
    c->body = body;
    c->length = length;
    begin(c);
}

static void handle_patch(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    struct change *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct change){
        .app = app, .request = request, .principal = principal, .decode = decode_patch};
    sa_http_request_collect(request, PATCH_BODY_MAX, on_body, c);
}

static void handle_timeout(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    struct change *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct change){
        .app = app, .request = request, .principal = principal, .decode = decode_timeout};
    sa_http_request_collect(request, TIMEOUT_BODY_MAX, on_body, c);
}

/* ---- POST …/pause, …/resume ---- */

static void steer(struct sa_app *app, struct sa_http_request *request,
                  const struct sa_principal *principal,
                  int (*change)(struct sa_sandbox *sandbox, sa_sandbox_done done, void *user,
                                struct sa_error *err))
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    sa_http_request_on_closed(request, on_gone, app);
    int rc = change(sandbox, on_changed, request, &error);
    if (rc == 0)
        return;
    on_changed(request, sandbox, rc < 0 ? &error : NULL);
}

static void handle_pause(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    steer(app, request, principal, sa_sandbox_pause);
}

static void handle_resume(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    steer(app, request, principal, sa_sandbox_resume);
}

const struct sa_api_route sa_routes_lifecycle[] = {
    {"PATCH", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_WRITE, handle_patch, SA_GATE_ADMISSION},
    {"POST", SA_SANDBOX_PATH "/timeout", SA_PERM_SANDBOXES_WRITE, handle_timeout,
     SA_GATE_ADMISSION},
    {"POST", SA_SANDBOX_PATH "/pause", SA_PERM_SANDBOXES_WRITE, handle_pause, SA_GATE_STEERS},
    {"POST", SA_SANDBOX_PATH "/resume", SA_PERM_SANDBOXES_WRITE, handle_resume, SA_GATE_STEERS},
    {0}};
