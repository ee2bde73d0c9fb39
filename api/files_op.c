/* One call to a runtime in the name of one request: how it begins and how it fails. */
#include "api/files.h"
#include "api/gate.h"

#include <errno.h>
#include <string.h>

static void op_cleanup(void *user)
{
    struct sa_file_op *op = user;
    sa_buf_deinit(&op->list);
    sa_buf_deinit(&op->body);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    sa_file_op_leave(op);
}

/* The path parameter has no leading slash; the runtime wants it absolute. */
const char *sa_file_route_path(struct sa_http_request *request)
{
    const char *path = sa_http_request_param(request, "path");
    while (*path == '/')
        path++;
    return sa_arena_printf(sa_http_request_arena(request), "/%s", path);
}

static int call(struct sa_file_op *op)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(op->app, op->request, op->principal);
    if (!sandbox)
        return -1;
    struct sa_runtime_conn *conn = sa_sandbox_conn(sandbox, &error);
    sa_fields_add_text(&op->body, SA_FILE_PATH, op->path);
    if (op->to)
        sa_fields_add_text(&op->body, SA_FILE_TO, op->to);
    if (!conn || !(op->call = sa_call_open(conn, op->method, &op->body, op->events, op, &error))) {
        sa_http_respond_error(op->request, &error);
        return -1;
    }
    sa_http_request_on_closed(op->request, on_client_gone, op);
    return 0;
}

static void on_allowed(void *user)
{
    struct sa_file_op *op = user;
    if (call(op) == 0 && op->opened)
        op->opened(op);
}

void sa_file_op_open(struct sa_file_op *op, const struct sa_file_what *what,
                     const struct sa_buf *body, const struct sa_call_events *events,
                     void (*opened)(struct sa_file_op *op))
{
    struct sa_arena *arena = sa_http_request_arena(op->request);
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(op->app, op->request, op->principal);
    if (!sandbox)
        return;
    if (sa_file_path_normal(what->path, "path", arena, &op->path, &error) < 0 ||
        (what->to && sa_file_path_normal(what->to, "to", arena, &op->to, &error) < 0)) {
        sa_http_respond_error(op->request, &error);
        return;
    }
    op->method = what->method;
    op->events = events;
    op->opened = opened;
    sa_buf_add(&op->body, body->data, body->length);
    sa_gate_then(sa_gate_file(&(struct sa_gate_who){op->app, op->principal, sandbox},
                              &(struct sa_gate_file){what->operation, op->path, op->to, what->bytes,
                                                     what->recursive}),
                 op->request, on_allowed, op);
}

void sa_file_op_again(struct sa_file_op *op, const struct sa_buf *body)
{
    op->body.length = 0;
    sa_buf_add(&op->body, body->data, body->length);
    call(op);
}

struct sa_file_op *sa_file_op_new(struct sa_app *app, struct sa_http_request *request,
                                  const struct sa_principal *principal)
{
    struct sa_file_op *op = sa_arena_alloc(sa_http_request_arena(request), sizeof *op);
    op->app = app;
    op->request = request;
    op->principal = principal;
    sa_http_request_set_cleanup(request, op_cleanup, op);
    return op;
}

void sa_file_op_leave(struct sa_file_op *op)
{
    if (op->call)
        sa_call_abandon(op->call);
    op->call = NULL;
    sa_http_request_on_closed(op->request, NULL, NULL);
}

/* What HTTP says that codes do not. 0: what the code says. */
static int status_of(const struct sa_error *error)
{
    if (error->sys_errno == ENOSPC || error->sys_errno == EDQUOT)
        return 507;
    return error->code == SA_ECONFLICT && strncmp(error->path, "If-", 3) == 0 ? 412 : 0;
}

bool sa_file_op_failed(struct sa_file_op *op, const struct sa_error *error)
{
    op->call = NULL;
    sa_http_request_on_closed(op->request, NULL, NULL);
    if (!error)
        return false;
    if (sa_http_response_started(op->request))
        sa_http_response_abort(op->request);
    else
        sa_http_respond_error_full(op->request, status_of(error), error, NULL);
    return true;
}

void sa_file_op_broken(struct sa_file_op *op)
{
    struct sa_error error;
    sa_file_op_leave(op);
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox does not answer as it should");
    sa_file_op_failed(op, &error);
}

/* The one entry that goes before the bytes of a file; false when there was one already. */
bool sa_file_op_first_entry(struct sa_file_op *op, struct sa_fields *fields,
                            struct sa_file_entry *e)
{
    if (op->noted)
        return false;
    op->noted = true;
    sa_file_entry_read(*fields, e);
    return true;
}

void sa_file_op_writable(struct sa_http_request *request, void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    op->writable = true;
    if (op->held && op->call)
        sa_call_consume(op->call, op->held);
    op->held = 0;
}

void sa_file_op_answer_entry(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct sa_file_entry e;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    if (sa_file_op_failed(op, error))
        return;
    sa_file_entry_read(*fields, &e);
    sa_file_entry_print(&e, &w);
    sa_respond_json(op->request, e.created ? 201 : 200, &body);
}
