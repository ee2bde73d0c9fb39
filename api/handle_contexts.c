/* Contexts: create, list, look at, delete, restart, interrupt. */
#include "api/app.h"
#include "api/context.h"
#include "api/gate.h"

#include <string.h>

enum { BODY_MAX = 256 * 1024, ENV_MAX = 256, ENV_BYTES = 131000, IMPORT_BYTES = 200 };

struct creation {
    struct sa_app *app;
    struct sa_http_request *request;
    const struct sa_principal *principal;
    struct sa_context *context;
    struct sa_context_spec spec;
};

static void respond_context(struct sa_http_request *request, int status,
                            const struct sa_context *context)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_context_print(context, &w);
    sa_respond_json(request, status, &body);
}

/* ---- POST …/contexts ---- */

static int check_imports(struct sa_json_obj *root, const struct sa_context_spec *spec,
                         struct sa_error *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@/:";
    if (spec->imports.count && strcmp(spec->language, "bash") == 0)
        return sa_json_fail(root, "imports", err, "bash has nothing to import");
    for (size_t i = 0; i < spec->imports.count; i++) {
        const char *name = spec->imports.items[i];
        if (!name[0] || name[strspn(name, letters)])
            return sa_json_fail(root, "imports", err, "\"%.60s\" is no name of a module", name);
    }
    return 0;
}

static int decode_root(struct sa_json_obj *root, struct sa_context_spec *spec, struct sa_error *err)
{
    *spec = (struct sa_context_spec){.limits = SA_EXECUTE_LIMITS_NONE};
    if (sa_json_opt_string(root, "language", 32, &spec->language, NULL, err) < 0 ||
        sa_json_opt_string(root, "cwd", 4096, &spec->cwd, NULL, err) < 0 ||
        sa_json_opt_map(root, "env", ENV_MAX, ENV_BYTES, &spec->env, NULL, err) < 0 ||
        sa_json_opt_strings(root, "imports", SA_CONTEXT_IMPORTS_MAX, IMPORT_BYTES, &spec->imports,
                            NULL, err) < 0 ||
        sa_json_finish(root, err) < 0)
        return -1;
    for (size_t i = 0; i < spec->env.count; i++)
        if (strchr(spec->env.items[i].key, '='))
            return sa_json_fail(root, "env", err, "the name \"%s\" holds '='",
                                spec->env.items[i].key);
    return 0;
}

static int decode(const char *body, size_t length, const struct sa_sandbox *sandbox,
                  struct sa_arena *arena, struct sa_context_spec *spec, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_limits limits = {.max_bytes = BODY_MAX};
    struct sa_json_doc *doc = sa_json_parse(body, length, &limits, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = decode_root(&root, spec, err);
    if (rc == 0 && !spec->language)
        spec->language = sa_sandbox_spec(sandbox)->language;
    if (rc == 0)
        rc = check_imports(&root, spec, err);
    sa_json_free(doc);
    return rc;
}

static void on_created(void *user, struct sa_context *context, const struct sa_error *err)
{
    struct creation *c = user;
    c->context = NULL;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (err)
        sa_http_respond_error(c->request, err);
    else
        respond_context(c->request, 201, context);
}

/* Nobody will ever know the context's id. */
static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    if (!c->context)
        return;
    sa_context_forget(c->context);
    sa_context_delete(c->context);
}

static void create(void *user)
{
    struct creation *c = user;
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(c->app, c->request, c->principal);
    if (!sandbox)
        return;
    c->context = sa_context_create(c->app->contexts, sandbox, &c->spec, on_created, c, &error);
    if (c->context)
        sa_http_request_on_closed(c->request, on_client_gone, c);
    else
        sa_http_respond_error(c->request, &error);
}

static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct creation *c = user;
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(c->app, request, c->principal);
    if (!sandbox)
        return;
    if (decode(body, length, sandbox, sa_http_request_arena(request), &c->spec, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        sa_gate_then(
            sa_gate_context(&(struct sa_gate_who){c->app, c->principal, sandbox}, &c->spec),
            request, create, c);
}

static void handle_create(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    if (!sa_route_sandbox(app, request, principal))
        return;
    struct creation *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct creation){.app = app, .request = request, .principal = principal};
    sa_http_request_collect(request, BODY_MAX, on_body, c);
}

/* ---- the others ---- */

/* The context that the path names; NULL: answered. */
static struct sa_context *route_context(struct sa_app *app, struct sa_http_request *request,
                                        const struct sa_principal *principal)
{
    struct sa_error error;
    const char *id = sa_http_request_param(request, "cid");
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return NULL;
    struct sa_context *context = sa_context_find(app->contexts, sandbox, id);
    if (!context) {
        sa_error_set(&error, SA_ENOTFOUND, "no context \"%.40s\" in this sandbox", id);
        sa_http_respond_error(request, &error);
    }
    return context;
}

static void handle_list(struct sa_app *app, struct sa_http_request *request,
                        const struct sa_principal *principal)
{
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    struct sa_context *context = sa_context_first(app->contexts, sandbox);
    for (; context; context = sa_context_next(context))
        sa_context_print(context, &w);
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}

static void handle_get(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    struct sa_context *context = route_context(app, request, principal);
    if (context)
        respond_context(request, 200, context);
}

static void handle_delete(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    struct sa_context *context = route_context(app, request, principal);
    if (!context)
        return;
    sa_context_delete(context);
    sa_http_respond(request, 204, NULL, NULL, 0);
}

static void handle_restart(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    struct sa_context *context = route_context(app, request, principal);
    if (!context)
        return;
    sa_context_restart(context);
    respond_context(request, 200, context);
}

static void handle_interrupt(struct sa_app *app, struct sa_http_request *request,
                             const struct sa_principal *principal)
{
    struct sa_context *context = route_context(app, request, principal);
    if (!context)
        return;
    sa_context_interrupt(context);
    respond_context(request, 200, context);
}

#define CONTEXTS SA_SANDBOX_PATH "/contexts"
const struct sa_api_route sa_routes_contexts[] = {
    {"POST", CONTEXTS, SA_PERM_SANDBOXES_EXECUTE, handle_create, SA_GATE_EXECUTE},
    {"GET", CONTEXTS, SA_PERM_SANDBOXES_READ, handle_list, SA_GATE_READS},
    {"GET", CONTEXTS "/{cid}", SA_PERM_SANDBOXES_READ, handle_get, SA_GATE_READS},
    {"DELETE", CONTEXTS "/{cid}", SA_PERM_SANDBOXES_EXECUTE, handle_delete, SA_GATE_STEERS},
    {"POST", CONTEXTS "/{cid}/restart", SA_PERM_SANDBOXES_EXECUTE, handle_restart, SA_GATE_STEERS},
    {"POST", CONTEXTS "/{cid}/interrupt", SA_PERM_SANDBOXES_EXECUTE, handle_interrupt,
     SA_GATE_STEERS},
    {0}};
