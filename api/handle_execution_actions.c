/* What can be done to an execution that runs: cancel, signal, stdin, resize. */
#include "api/exec_ask.h"

#include "model/signals.h"
#include "json/base64.h"

#include <stdlib.h>
#include <string.h>

enum { ASK_BODY_MAX = 12 * 1024 * 1024, STDIN_MAX = 8 * 1024 * 1024 };

static void on_ended(void *user, const struct sa_error *err,
                     const struct sa_store_execution *record)
{
    struct sa_ask *ask = user;
    struct sa_error error;
    if (sa_ask_failed(ask, err))
        return;
    sa_error_set(&error, SA_ECONFLICT, "the execution %.40s has ended (%.16s)", record->id,
                 record->status);
    sa_http_respond_error(ask->request, &error);
}

/* The execution to act on; NULL: answered, or will be. */
static struct sa_execution *to_act_on(struct sa_ask *ask)
{
    struct sa_execution *execution = sa_ask_find(ask);
    if (!execution)
        sa_ask_record(ask, on_ended);
    return execution;
}

static void respond_done(struct sa_ask *ask, int rc, const struct sa_error *error)
{
    if (rc < 0)
        sa_http_respond_error(ask->request, error);
    else
        sa_http_respond(ask->request, 204, NULL, NULL, 0);
}

static void cancel(struct sa_ask *ask)
{
    struct sa_execution *execution = sa_ask_find(ask);
    if (!execution) { /* whatever became of it, it does not run */
        sa_ask_record(ask, sa_ask_on_record);
        return;
    }
    sa_execution_cancel(execution);
    sa_ask_respond_execution(ask, execution);
}

void sa_handle_cancel_execution(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    sa_ask_sandbox(sa_ask_new(app, request, principal, cancel));
}

static void on_action_body(struct sa_http_request *request, const char *body, size_t length,
                           void *user)
{
    struct sa_ask *ask = user;
    (void)request;
    ask->body = body;
    ask->body_length = length;
    sa_ask_sandbox(ask);
}

static void act(struct sa_app *app, struct sa_http_request *request,
                const struct sa_principal *principal, void (*proceed)(struct sa_ask *ask))
{
    sa_http_request_collect(request, ASK_BODY_MAX, on_action_body,
                            sa_ask_new(app, request, principal, proceed));
}

/* Decode the body with `fields`. */
static int decode(struct sa_ask *ask,
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

static void send_signal(struct sa_ask *ask)
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

static void resize(struct sa_ask *ask)
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
    struct sa_ask *ask = out;
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
    struct sa_ask *ask = user;
    sa_buf_deinit(&ask->data);
}

static void on_stdin_gone(struct sa_http_request *request, void *user)
{
    struct sa_ask *ask = user;
    (void)request;
    if (ask->execution)
        sa_execution_forget_input(ask->execution, ask);
}

static void feed(void *user)
{
    struct sa_ask *ask = user;
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

static void begin_feeding(struct sa_ask *ask)
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
