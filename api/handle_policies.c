/* The rules in force: looking at them, reload, rollback. */
#include "api/policies.h"

#include "base/cleanup.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

enum { BODY_MAX = 4096, ERRORS_MAX = 64 };

static struct sa_engine *engine_of(const struct sa_app *app)
{
    return sa_policy_engine(app->policy);
}

static void respond_state(struct sa_app *app, struct sa_http_request *request)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_engine_print(engine_of(app), &w);
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}

static void handle_list(struct sa_app *app, struct sa_http_request *request,
                        const struct sa_principal *principal)
{
    (void)principal;
    respond_state(app, request);
}

static void handle_get(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    const char *name = sa_http_request_param(request, "name");
    struct sa_error error;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    (void)principal;
    sa_json_w_begin_object(&w);
    if (!sa_engine_print_rule(engine_of(app), name, &w)) {
        sa_buf_deinit(&body);
        sa_error_set(&error, SA_ENOTFOUND, "no rule \"%.64s\" is in force", name);
        sa_http_respond_error(request, &error);
        return;
    }
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}

/* ---- reload and rollback ---- */

struct change { /* lives as long as the request */
    struct sa_app *app;
    struct sa_http_request *request;
};

/* An error of a report: {file?, path?, line?, message} to {path: "file:line", reason}. */
static int put_detail(struct sa_json_arr *errors, size_t index, struct sa_json_w *w)
{
    struct sa_json_obj one;
    const char *file = NULL, *path = NULL, *message = "";
    int64_t line = 0;
    char where[512];
    if (sa_json_arr_obj(errors, index, &one, NULL) < 0 ||
        sa_json_opt_string(&one, "file", 4096, &file, NULL, NULL) < 0 ||
        sa_json_opt_string(&one, "path", 4096, &path, NULL, NULL) < 0 ||
        sa_json_opt_int(&one, "line", 0, INT32_MAX, &line, NULL, NULL) < 0 ||
        sa_json_opt_string(&one, "message", 65536, &message, NULL, NULL) < 0)
        return -1;
    const char *name = path ? path : file;
    sa_json_w_begin_object(w);
    if (name) {
        snprintf(where, sizeof where, line ? "%.480s:%lld" : "%.480s", name, (long long)line);
        sa_json_put_string(w, "path", where);
    }
    sa_json_put_string(w, "reason", message);
    sa_json_w_end_object(w);
    return 0;
}

static void put_details(const struct sa_engine *engine, struct sa_json_w *w)
{
    sa_autobuf report = SA_BUF_INIT;
    struct sa_json_w r = sa_json_w_start(&report);
    struct sa_json_limits limits = {.max_bytes = 16 << 20, .max_values = 1 << 20};
    struct sa_json_obj root;
    struct sa_json_arr errors;
    bool present = false;
    sa_json_w_begin_object(&r);
    sa_engine_print_reload(engine, &r);
    sa_json_w_end_object(&r);
    struct sa_json_doc *doc = sa_json_parse(report.data, report.length, &limits, NULL);
    struct sa_arena *arena = sa_arena_new();
    if (doc && sa_json_root(doc, arena, &root, NULL) == 0 &&
        sa_json_opt_arr(&root, "errors", SIZE_MAX, &errors, &present, NULL) == 0 && present)
        for (size_t i = 0; i < errors.count && i < ERRORS_MAX; i++)
            if (put_detail(&errors, i, w) < 0)
                break;
    sa_arena_free(arena);
    sa_json_free(doc);
}

static void respond_refused(const struct change *c, const struct sa_error *err)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "error");
    sa_json_put_string(&w, "code", sa_code_name(err->code));
    sa_json_put_string(&w, "message", err->message);
    sa_json_put_array(&w, "details");
    put_details(engine_of(c->app), &w);
    sa_json_w_end_array(&w);
    sa_json_put_string(&w, "requestId", sa_http_request_id(c->request));
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    sa_respond_json(c->request, 422, &body);
}

static void on_changed(void *user, const struct sa_error *err)
{
    struct change *c = user;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (!err)
        respond_state(c->app, c->request);
    else if (err->code == SA_EINVALID || err->code == SA_ETOOLARGE)
        respond_refused(c, err);
    else
        sa_http_respond_error(c->request, err);
}

/* It goes on; only nobody waits any more. */
static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct change *c = user;
    (void)request;
    sa_engine_reload_forget(engine_of(c->app), c);
}

static struct change *change_new(struct sa_app *app, struct sa_http_request *request)
{
    struct change *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct change){app, request};
    return c;
}

static void handle_reload(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    struct change *c = change_new(app, request);
    (void)principal;
    sa_http_request_on_closed(request, on_client_gone, c);
    sa_engine_reload(engine_of(app), on_changed, c);
}

static int decode_rollback(const char *body, size_t length, struct sa_arena *arena,
                           int64_t *generation, struct sa_error *err)
{
    struct sa_json_obj root;
    *generation = 0;
    if (!length)
        return 0;
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = sa_json_opt_int(&root, "generation", 1, (INT64_C(1) << 53) - 1, generation, NULL, err);
    if (rc == 0)
        rc = sa_json_finish(&root, err);
    sa_json_free(doc);
    return rc;
}

static void on_rollback_body(struct sa_http_request *request, const char *body, size_t length,
                             void *user)
{
    struct change *c = user;
    struct sa_error error;
    int64_t generation;
    if (decode_rollback(body, length, sa_http_request_arena(request), &generation, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_http_request_on_closed(request, on_client_gone, c);
    sa_engine_rollback(engine_of(c->app), (uint64_t)generation, on_changed, c);
}

static void handle_rollback(struct sa_app *app, struct sa_http_request *request,
                            const struct sa_principal *principal)
{
    (void)principal;
    sa_http_request_collect(request, BODY_MAX, on_rollback_body, change_new(app, request));
}

#define POLICIES "/api/v1/policies"
const struct sa_api_route sa_routes_policies[] = {
    {"GET", POLICIES, SA_PERM_POLICIES_READ, handle_list, SA_GATE_NONE},
    {"GET", POLICIES "/{name}", SA_PERM_POLICIES_READ, handle_get, SA_GATE_NONE},
    {"POST", POLICIES "/reload", SA_PERM_POLICIES_WRITE, handle_reload, SA_GATE_NONE},
    {"POST", POLICIES "/rollback", SA_PERM_POLICIES_WRITE, handle_rollback, SA_GATE_NONE},
    {"POST", POLICIES "/{point}/explain", SA_PERM_POLICIES_READ, sa_handle_explain, SA_GATE_NONE},
    {"GET", POLICIES "/decisions", SA_PERM_POLICIES_READ, sa_handle_list_decisions, SA_GATE_NONE},
    {"GET", POLICIES "/decisions/{id}", SA_PERM_POLICIES_DENIALS, sa_handle_get_decision,
     SA_GATE_NONE},
    {0}};
