/* The life of a sandbox, as clients steer it: changes, timeout, pause, resume. */
#include "api/lookup.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

enum { PATCH_BODY_MAX = 256 * 1024, TIMEOUT_BODY_MAX = 4096 };

struct change {
    struct sa_app *app;
    struct sa_http_request *request;
    const struct sa_principal *principal;
};

static struct change *change_new(struct sa_app *app, struct sa_http_request *request,
                                 const struct sa_principal *principal)
{
    struct change *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct change){app, request, principal};
    return c;
}

/* ---- PATCH /sandboxes/{id}, POST …/timeout ---- */

static void update(const struct change *c, struct sa_sandbox *sandbox,
                   const struct sa_sandbox_spec *next, bool timeout_anew)
{
    struct sa_error error;
    if (sa_sandbox_update(sandbox, next, timeout_anew, &error) < 0)
        sa_http_respond_error(c->request, &error);
    else
        sa_respond_sandbox(c->request, 200, sandbox);
}

static void on_patch(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct change *c = user;
    struct sa_sandbox_spec next;
    struct sa_error error;
    bool timeout_given;
    /* Looked up when the body is there: it may have ended meanwhile. */
    struct sa_sandbox *sandbox = sa_route_sandbox(c->app, request, c->principal);
    if (!sandbox)
        return;
    if (sa_sandbox_patch_decode(body, length, sa_sandbox_spec(sandbox),
                                sa_http_request_arena(request), &next, &timeout_given, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        update(c, sandbox, &next, timeout_given);
}

static void handle_patch(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    sa_http_request_collect(request, PATCH_BODY_MAX, on_patch, change_new(app, request, principal));
}

static void on_timeout(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct change *c = user;
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(c->app, request, c->principal);
    if (!sandbox)
        return;
    struct sa_sandbox_spec next = *sa_sandbox_spec(sandbox);
    if (sa_timeout_decode(body, length, sa_http_request_arena(request), &next.timeout_s, &error) <
        0)
        sa_http_respond_error(request, &error);
    else
        update(c, sandbox, &next, true);
}

static void handle_timeout(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    sa_http_request_collect(request, TIMEOUT_BODY_MAX, on_timeout,
                            change_new(app, request, principal));
}

/* ---- POST …/pause, …/resume ---- */

static void on_changed(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    struct sa_http_request *request = user;
    sa_http_request_on_closed(request, NULL, NULL);
    if (err)
        sa_http_respond_error(request, err);
    else
        sa_respond_sandbox(request, 200, sandbox);
}

static void on_gone(struct sa_http_request *request, void *user)
{
    struct sa_app *app = user;
    struct sa_sandbox *sandbox =
        sa_sandbox_find(app->sandboxes, sa_http_request_param(request, "id"));
    if (sandbox)
        sa_sandbox_forget(sandbox, request);
}

static void steer(struct sa_app *app, struct sa_http_request *request,
                  const struct sa_principal *principal,
                  int (*ask)(struct sa_sandbox *sandbox, sa_sandbox_done done, void *user,
                             struct sa_error *err))
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    sa_http_request_on_closed(request, on_gone, app);
    int rc = ask(sandbox, on_changed, request, &error);
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
    {"PATCH", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_WRITE, handle_patch},
    {"POST", SA_SANDBOX_PATH "/timeout", SA_PERM_SANDBOXES_WRITE, handle_timeout},
    {"POST", SA_SANDBOX_PATH "/pause", SA_PERM_SANDBOXES_WRITE, handle_pause},
    {"POST", SA_SANDBOX_PATH "/resume", SA_PERM_SANDBOXES_WRITE, handle_resume},
    {0}};
