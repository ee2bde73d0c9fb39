/*
 * POST /sandboxes/{id}/packages: pip or npm inside the sandbox, as an execution of a script of ours
 * (runtime/packages) that installs from the directory the operator offers. Its stderr is what the
 * manager says; its stdout is the list of what was installed, as JSON.
 */
#include "api/app.h"
#include "api/exec_reply.h"
#include "api/gate.h"
#include "model/packages.h"

#include "base/cleanup.h"

#include <string.h>

enum { INSTALLED_MAX = 4096, NAME_MAX_BYTES = 256 };

struct install {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    struct sa_packages packages;
};

/* `installed`, from what the script said. Whatever else runs in the sandbox may have changed it:
 * it is taken for what it is, names and versions, or left out. */
static int put_installed(const char *text, size_t length, struct sa_arena *arena,
                         struct sa_json_w *w)
{
    struct sa_json_limits limits = {.max_bytes = 1 << 20};
    struct sa_json_arr list;
    struct sa_json_doc *doc = sa_json_parse(text, length, &limits, NULL);
    if (!doc)
        return -1;
    int rc = sa_json_root_arr(doc, arena, INSTALLED_MAX, &list, NULL);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        struct sa_json_obj item;
        const char *name, *version;
        if (sa_json_arr_obj(&list, i, &item, NULL) < 0 ||
            sa_json_get_string(&item, "name", NAME_MAX_BYTES, &name, NULL) < 0 ||
            sa_json_get_string(&item, "version", NAME_MAX_BYTES, &version, NULL) < 0)
            break;
        sa_json_w_begin_object(w);
        sa_json_put_string(w, "name", name);
        sa_json_put_string(w, "version", version);
        sa_json_w_end_object(w);
    }
    sa_json_free(doc);
    return rc;
}

static void more(const struct sa_answer *answer, struct sa_json_w *w)
{
    struct sa_arena *arena = sa_arena_new();
    sa_json_put_array(w, "installed");
    if (answer->outputs[0].length)
        put_installed(answer->outputs[0].data, answer->outputs[0].length, arena, w);
    sa_json_w_end_array(w);
    sa_arena_free(arena);
}

static void start(struct install *install, struct sa_sandbox *sandbox)
{
    struct sa_http_request *request = install->request;
    const struct sa_packages *packages = &install->packages;
    struct sa_arena *arena = sa_http_request_arena(request);
    struct sa_error error;
    const bool pip = strcmp(packages->manager, "pip") == 0;
    const char **argv = sa_arena_alloc(arena, (packages->names.count + 3) * sizeof *argv);
    size_t argc = 0;
    argv[argc++] = pip ? "python3" : "node";
    argv[argc++] = pip ? "/etc/secureagent/packages/pip.py" : "/etc/secureagent/packages/npm.js";
    for (size_t i = 0; i < packages->names.count; i++)
        argv[argc++] = packages->names.items[i];
    const struct sa_execute execute = {
        .kind = "command",
        .filter = "default",
        .argv = argv,
        .argc = argc,
        .limits = SA_EXECUTE_LIMITS_NONE,
        .timeout_ms = packages->timeout_ms,
        .summary = sa_arena_printf(arena, "%s install %s%s", packages->manager,
                                   packages->names.items[0], argc > 3 ? " ..." : "")};
    const enum sa_reply_form form = sa_reply_form(request);
    struct sa_execution *execution = sa_execution_start(
        install->app->executions, sandbox, &execute,
        form == SA_REPLY_JSON ? SA_EXECUTION_WHOLE_MAX : SA_EXECUTION_STREAM_MAX, &error);
    if (!execution) {
        sa_http_respond_error(request, &error);
    } else if (form == SA_REPLY_JSON) {
        sa_reply_whole_with(request, execution, more);
    } else {
        sa_execution_record_first(execution);
        sa_reply_output(request, execution, form, 0, true);
    }
}

static void on_allowed(void *user)
{
    struct install *install = user;
    struct sa_sandbox *sandbox =
        sa_route_sandbox(install->app, install->request, install->principal);
    if (sandbox)
        start(install, sandbox);
}

static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct install *install = user;
    struct sa_error error;
    if (sa_packages_decode(body, length, sa_http_request_arena(request), &install->packages,
                           &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    if (!install->app->package_mirror) {
        sa_error_set(&error, SA_ECONFLICT,
                     "this server offers no packages, and sandboxes have no network: start it with "
                     "--package-mirror DIR, a directory of wheels and npm tarballs");
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_sandbox *sandbox = sa_route_sandbox(install->app, request, install->principal);
    if (sandbox)
        sa_gate_then(
            sa_gate_packages(&(struct sa_gate_who){install->app, install->principal, sandbox},
                             &install->packages),
            request, on_allowed, install);
}

static void install_packages(struct sa_app *app, struct sa_http_request *request,
                             const struct sa_principal *principal)
{
    if (!sa_route_sandbox(app, request, principal))
        return;
    struct install *install = sa_arena_alloc(sa_http_request_arena(request), sizeof *install);
    *install = (struct install){.app = app, .principal = principal, .request = request};
    sa_http_request_collect(request, SA_PACKAGES_BODY_MAX, on_body, install);
}

const struct sa_api_route sa_routes_packages[] = {{"POST", SA_SANDBOX_PATH "/packages",
                                                   SA_PERM_SANDBOXES_EXECUTE, install_packages,
                                                   SA_GATE_PACKAGES},
                                                  {0}};
