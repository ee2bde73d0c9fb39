/* Executions as resources: list, look at, read the output again, and what can be done to one that
 * runs. What is not in memory any more is looked up in the store; so are sandboxes that ended. */
#include "api/app.h"
#include "api/exec_record.h"
#include "api/exec_reply.h"

#include "model/signals.h"
#include "json/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_BODY_MAX = 12 * 1024 * 1024, STDIN_MAX = 8 * 1024 * 1024 };

struct ask {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    const char *sandbox_id, *id;
    struct sa_store_read *read;
    void (*proceed)(struct ask *ask); /* the sandbox is, or was, one that the principal sees */
    /* list */
    const char *status;
    int64_t limit;
    /* output */
    enum sa_reply_form form;
    int64_t offset;
    bool follow;
    /* stdin */
    struct sa_execution *execution; /* while it is waited for */
    struct sa_buf data;
    size_t at;
    bool eof;
    const char *body; /* of the other actions */
    size_t body_length;
};

/* ---- looking up ---- */

static void on_gone(struct sa_http_request *request, void *user)
{
    struct ask *ask = user;
    (void)request;
    if (ask->read)
        sa_store_cancel(ask->read);
}

static struct ask *ask_new(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal, void (*proceed)(struct ask *ask))
{
    struct ask *ask = sa_arena_alloc(sa_http_request_arena(request), sizeof *ask);
    *ask = (struct ask){
        .app = app, .principal = principal, .request = request, .proceed = proceed, .limit = 100};
    ask->sandbox_id = sa_http_request_param(request, "id");
    ask->id = sa_http_request_param(request, "eid");
    return ask;
}

static void reading(struct ask *ask, struct sa_store_read *read, const struct sa_error *error)
{
    ask->read = read;
    if (read)
        sa_http_request_on_closed(ask->request, on_gone, ask);
    else
        sa_http_respond_error(ask->request, error);
}

static void done_reading(struct ask *ask)
{
    ask->read = NULL;
    sa_http_request_on_closed(ask->request, NULL, NULL);
}

static void on_sandbox(void *user, const struct sa_error *err,
                       const struct sa_store_sandbox *record)
{
    struct ask *ask = user;
    done_reading(ask);
    if (err && err->code != SA_ENOTFOUND)
        sa_http_respond_error(ask->request, err);
    else if (err || !sa_principal_sees(ask->principal, record->owner))
        sa_respond_no_sandbox(ask->request);
    else
        ask->proceed(ask);
}

static void find_sandbox(struct ask *ask)
{
    struct sa_error error;
    if (sa_route_sandbox_peek(ask->app, ask->request, ask->principal))
        ask->proceed(ask);
    else if (!sa_id_valid("sb-", ask->sandbox_id))
        sa_respond_no_sandbox(ask->request);
    else
        reading(ask,
                sa_store_get_sandbox(ask->app->store, ask->sandbox_id, on_sandbox, ask, &error),
                &error);
}

static struct sa_execution *find(struct ask *ask)
{
    return sa_execution_find(ask->app->executions, ask->sandbox_id, ask->id);
}

static void respond_no_execution(struct ask *ask)
{
    struct sa_error error;
    sa_error_set(&error, SA_ENOTFOUND, "no execution \"%.40s\" in this sandbox", ask->id);
    sa_http_respond_error(ask->request, &error);
}

/* Look in the store. */
static void find_record(struct ask *ask, sa_store_execution_done done)
{
    struct sa_error error;
    if (sa_id_valid("ex-", ask->id))
        reading(
            ask,
            sa_store_get_execution(ask->app->store, ask->sandbox_id, ask->id, done, ask, &error),
            &error);
    else
        respond_no_execution(ask);
}

/* ---- GET executions ---- */

static void on_page(void *user, const struct sa_error *err,
                    const struct sa_store_execution_page *page)
{
    struct ask *ask = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    done_reading(ask);
    if (err) {
        sa_http_respond_error(ask->request, err);
        return;
    }
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    for (size_t i = 0; i < page->count; i++) {
        const struct sa_store_execution *row = &page->items[i];
        struct sa_execution *live =
            sa_execution_find(ask->app->executions, ask->sandbox_id, row->id);
        if (live)
            sa_execution_print(live, &w);
        else
            sa_exec_view_print(&(struct sa_exec_view){.record = row}, &w);
    }
    sa_json_w_end_array(&w);
    if (page->next)
        sa_json_put_string(&w, "cursor", page->next);
    sa_json_w_end_object(&w);
    sa_respond_json(ask->request, 200, &body);
}

static void list(struct ask *ask)
{
    struct sa_error error;
    const char *cursor = sa_http_request_query(ask->request, "cursor");
    reading(ask,
            sa_store_list_executions(ask->app->store, ask->sandbox_id, ask->status, cursor,
                                     (size_t)ask->limit, on_page, ask, &error),
            &error);
}

void sa_handle_list_executions(struct sa_app *app, struct sa_http_request *request,
                               const struct sa_principal *principal)
{
    static const char *const statuses[] = {"running", "exited",   "signaled", "timeout",
                                           "oom",     "canceled", "failed"};
    struct ask *ask = ask_new(app, request, principal, list);
    struct sa_error error;
    bool known = false;
    ask->status = sa_http_request_query(request, "status");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        known |= ask->status && strcmp(statuses[i], ask->status) == 0;
    if (ask->status && !known)
        sa_error_at(&error, SA_EINVALID, "status",
                    "status: expected running, exited, signaled, timeout, oom, canceled or failed");
    if ((ask->status && !known) ||
        sa_query_int(request, "limit", 1, SA_STORE_PAGE_MAX, &ask->limit, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        find_sandbox(ask);
}

/* ---- GET executions/{eid} ---- */

static void respond_execution(struct ask *ask, struct sa_execution *execution)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_execution_print(execution, &w);
    sa_respond_json(ask->request, 200, &body);
}

static void on_record(void *user, const struct sa_error *err,
                      const struct sa_store_execution *record)
{
    struct ask *ask = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    done_reading(ask);
    if (err && err->code != SA_ENOTFOUND) {
        sa_http_respond_error(ask->request, err);
    } else if (err) {
        respond_no_execution(ask);
    } else {
        sa_exec_view_print(&(struct sa_exec_view){.record = record}, &w);
        sa_respond_json(ask->request, 200, &body);
    }
}

static void get(struct ask *ask)
{
    struct sa_execution *execution = find(ask);
    if (execution)
        respond_execution(ask, execution);
    else
        find_record(ask, on_record);
}

void sa_handle_get_execution(struct sa_app *app, struct sa_http_request *request,
                             const struct sa_principal *principal)
{
    find_sandbox(ask_new(app, request, principal, get));
}

/* ---- GET executions/{eid}/output ---- */

static void on_lost(void *user, const struct sa_error *err, const struct sa_store_execution *record)
{
    struct ask *ask = user;
    struct sa_error error;
    done_reading(ask);
    if (err) {
        if (err->code == SA_ENOTFOUND)
            respond_no_execution(ask);
        else
            sa_http_respond_error(ask->request, err);
        return;
    }
    sa_error_set(&error, SA_ENOTFOUND,
                 "the output of %.40s is not kept any more; the execution's record is (%.16s)",
                 record->id, record->status);
    sa_http_respond_error(ask->request, &error);
}

static void output(struct ask *ask)
{
    struct sa_execution *execution = find(ask);
    struct sa_error error;
    if (!execution) {
        find_record(ask, on_lost);
        return;
    }
    int64_t to = sa_execution_output_to(execution);
    if (ask->offset > to) {
        sa_error_at(&error, SA_EINVALID, "offset", "offset: beyond the output, which ends at %lld",
                    (long long)to);
        sa_http_respond_error(ask->request, &error);
        return;
    }
    sa_reply_output(ask->request, execution, ask->form, ask->offset, ask->follow);
}

static int parse_output(struct ask *ask, struct sa_error *err)
{
    const char *last = sa_http_request_header(ask->request, "last-event-id");
    char *end;
    ask->form = sa_reply_form(ask->request);
    ask->follow = ask->form != SA_REPLY_JSON;
    if (sa_query_int(ask->request, "offset", 0, INT64_C(1) << 53, &ask->offset, err) < 0 ||
        sa_query_bool(ask->request, "follow", &ask->follow, err) < 0)
        return -1;
    if (!last || !last[0])
        return 0;
    errno = 0;
    ask->offset = strtoll(last, &end, 10);
    if (errno || *end || ask->offset < 0)
        return sa_error_at(err, SA_EINVALID, "Last-Event-ID",
                           "Last-Event-ID: expected the id of an event of this stream");
    return 0;
}

void sa_handle_execution_output(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    struct ask *ask = ask_new(app, request, principal, output);
    struct sa_error error;
    if (parse_output(ask, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        find_sandbox(ask);
}

/* ---- actions ---- */

static void on_ended(void *user, const struct sa_error *err,
                     const struct sa_store_execution *record)
{
    struct ask *ask = user;
    struct sa_error error;
    done_reading(ask);
    if (err) {
        if (err->code == SA_ENOTFOUND)
            respond_no_execution(ask);
        else
            sa_http_respond_error(ask->request, err);
        return;
    }
    sa_error_set(&error, SA_ECONFLICT, "the execution %.40s has ended (%.16s)", record->id,
                 record->status);
    sa_http_respond_error(ask->request, &error);
}

/* The execution to act on; NULL: answered, or will be. */
static struct sa_execution *to_act_on(struct ask *ask)
{
    struct sa_execution *execution = find(ask);
    if (!execution)
        find_record(ask, on_ended);
    return execution;
}

static void respond_done(struct ask *ask, int rc, const struct sa_error *error)
{
    if (rc < 0)
        sa_http_respond_error(ask->request, error);
    else
        sa_http_respond(ask->request, 204, NULL, NULL, 0);
}

static void cancel(struct ask *ask)
{
    struct sa_execution *execution = find(ask);
    if (!execution) { /* whatever became of it, it does not run */
        find_record(ask, on_record);
        return;
    }
    sa_execution_cancel(execution);
    respond_execution(ask, execution);
}

void sa_handle_cancel_execution(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    find_sandbox(ask_new(app, request, principal, cancel));
}

static void on_action_body(struct sa_http_request *request, const char *body, size_t length,
                           void *user)
{
    struct ask *ask = user;
    (void)request;
    ask->body = body;
    ask->body_length = length;
    find_sandbox(ask);
}

static void act(struct sa_app *app, struct sa_http_request *request,
                const struct sa_principal *principal, void (*proceed)(struct ask *ask))
{
    sa_http_request_collect(request, ASK_BODY_MAX, on_action_body,
                            ask_new(app, request, principal, proceed));
}

/* Decode the body with `fields`. */
static int decode(struct ask *ask,
                  int (*fields)(struct sa_json_obj *root, void *out, struct sa_error *err),
                  void *out, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_doc *doc = sa_json_parse(
        ask->body, ask->body_length, &(struct sa_json_limits){.max_bytes = ASK_BODY_MAX}, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, sa_http_request_arena(ask->request), &root, err);
    if (rc == 0)
        rc = fields(&root, out, err);
    if (rc == 0)
        rc = sa_json_finish(&root, err);
    sa_json_free(doc);
    return rc;
}

static int signal_fields(struct sa_json_obj *root, void *out, struct sa_error *err)
{
    int64_t number;
    const char *name;
    if (sa_json_type(root, "signal") == SA_JSON_NUMBER) {
        if (sa_json_get_int(root, "signal", 1, 64, &number, err) < 0)
            return -1;
        *(int *)out = (int)number;
        return 0;
    }
    if (sa_json_get_string(root, "signal", 16, &name, err) < 0)
        return -1;
    *(int *)out = sa_signal_number(name);
    if (*(int *)out > 0)
        return 0;
    return sa_json_fail(root, "signal", err, "\"%s\" is no signal; use a name such as SIGINT",
                        name);
}

static void send_signal(struct ask *ask)
{
    struct sa_execution *execution = to_act_on(ask);
    struct sa_error error;
    int number, rc;
    if (!execution)
        return;
    rc = decode(ask, signal_fields, &number, &error);
    if (rc == 0)
        rc = sa_execution_signal(execution, number, &error);
    respond_done(ask, rc, &error);
}

void sa_handle_signal_execution(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    act(app, request, principal, send_signal);
}

struct size {
    int64_t rows, cols;
};

static int size_fields(struct sa_json_obj *root, void *out, struct sa_error *err)
{
    struct size *size = out;
    if (sa_json_get_int(root, "rows", 1, SA_EXECUTE_TTY_MAX, &size->rows, err) < 0)
        return -1;
    return sa_json_get_int(root, "cols", 1, SA_EXECUTE_TTY_MAX, &size->cols, err);
}

static void resize(struct ask *ask)
{
    struct sa_execution *execution = to_act_on(ask);
    struct sa_error error;
    struct size size;
    if (!execution)
        return;
    int rc = decode(ask, size_fields, &size, &error);
    if (rc == 0)
        rc = sa_execution_resize(execution, (int)size.rows, (int)size.cols, &error);
    respond_done(ask, rc, &error);
}

void sa_handle_resize_execution(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    act(app, request, principal, resize);
}

/* ---- stdin: answered once all of it was taken ---- */

static int stdin_fields(struct sa_json_obj *root, void *out, struct sa_error *err)
{
    static const char *const encodings[] = {"base64", NULL};
    struct ask *ask = out;
    const char *data = "";
    int encoding = -1;
    if (sa_json_opt_string(root, "data", ASK_BODY_MAX, &data, NULL, err) < 0 ||
        sa_json_opt_enum(root, "encoding", encodings, &encoding, NULL, err) < 0 ||
        sa_json_opt_bool(root, "eof", &ask->eof, NULL, err) < 0)
        return -1;
    if (encoding < 0)
        sa_buf_adds(&ask->data, data);
    else if (sa_base64_decode(data, strlen(data), &ask->data, err) < 0)
        return sa_json_fail(root, "data", err, "is not base64");
    if (ask->data.length > STDIN_MAX)
        return sa_json_fail(root, "data", err, "%zu bytes, at most %d", ask->data.length,
                            STDIN_MAX);
    return 0;
}

static void stdin_cleanup(void *user)
{
    struct ask *ask = user;
    sa_buf_deinit(&ask->data);
}

static void on_stdin_gone(struct sa_http_request *request, void *user)
{
    struct ask *ask = user;
    (void)request;
    if (ask->execution)
        sa_execution_forget_input(ask->execution, ask);
}

static void feed(void *user)
{
    struct ask *ask = user;
    struct sa_error error;
    struct sa_execution *execution = ask->execution;
    sa_http_request_on_closed(ask->request, NULL, NULL);
    ssize_t n =
        sa_execution_input(execution, ask->data.data + ask->at, ask->data.length - ask->at, &error);
    if (n < 0) {
        respond_done(ask, -1, &error);
        return;
    }
    ask->at += (size_t)n;
    if (ask->at == ask->data.length) {
        int rc = ask->eof ? sa_execution_input_end(execution, &error) : 0;
        respond_done(ask, rc, &error);
        return;
    }
    sa_http_request_on_closed(ask->request, on_stdin_gone, ask);
    sa_execution_await_input(execution, feed, ask);
}

static void begin_feeding(struct ask *ask)
{
    struct sa_error error;
    ask->execution = to_act_on(ask);
    if (!ask->execution)
        return;
    sa_http_request_set_cleanup(ask->request, stdin_cleanup, ask);
    sa_buf_reserve(&ask->data, 0);
    if (decode(ask, stdin_fields, ask, &error) < 0)
        sa_http_respond_error(ask->request, &error);
    else
        feed(ask);
}

void sa_handle_execution_stdin(struct sa_app *app, struct sa_http_request *request,
                               const struct sa_principal *principal)
{
    act(app, request, principal, begin_feeding);
}

#define EXECUTIONS SA_SANDBOX_PATH "/executions"
const struct sa_api_route sa_routes_execution[] = {
    {"POST", SA_SANDBOX_PATH "/execute", SA_PERM_SANDBOXES_EXECUTE, sa_handle_execute},
    {"GET", EXECUTIONS, SA_PERM_SANDBOXES_READ, sa_handle_list_executions},
    {"GET", EXECUTIONS "/{eid}", SA_PERM_SANDBOXES_READ, sa_handle_get_execution},
    {"GET", EXECUTIONS "/{eid}/output", SA_PERM_SANDBOXES_READ, sa_handle_execution_output},
    {"POST", EXECUTIONS "/{eid}/cancel", SA_PERM_SANDBOXES_EXECUTE, sa_handle_cancel_execution},
    {"POST", EXECUTIONS "/{eid}/signal", SA_PERM_SANDBOXES_EXECUTE, sa_handle_signal_execution},
    {"POST", EXECUTIONS "/{eid}/stdin", SA_PERM_SANDBOXES_EXECUTE, sa_handle_execution_stdin},
    {"POST", EXECUTIONS "/{eid}/resize", SA_PERM_SANDBOXES_EXECUTE, sa_handle_resize_execution},
    {0}};
