/*
 * The WebSocket `.../terminal`: a program on a pseudo terminal, as an execution. Binary messages
 * are the terminal's bytes, texts are JSON about it. It outlives its connection; another can follow
 * it.
 */
#include "api/exec_output.h"
#include "api/ws_open.h"

#include "json/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_MAX = 32 * 1024,
    INPUT_HIGH = 64 * 1024, /* the client is not read while more waits for the program */
    CODE_NORMAL = 1000,
    ROWS_DEFAULT = 24,
    COLS_DEFAULT = 80,
};

static const char SHELL[] = "[\"/bin/bash\",\"-l\",\"-i\"]";

struct terminal {
    struct sa_app *app;
    char key_id[SA_ID_BYTES]; /* whose it is */
    struct sa_ws_conn *conn;
    struct sa_execution *execution;
    struct sa_reader *reader;
    struct sa_buf input; /* that waits */
    bool writable, started_said, paused;
};

/* ---- texts ---- */

static struct sa_json_w begin(struct terminal *t, const char *type)
{
    struct sa_json_w w = sa_json_w_start(sa_ws_begin(t->conn));
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", type);
    return w;
}

static void end(struct terminal *t, struct sa_json_w *w)
{
    sa_json_w_end_object(w);
    t->writable = sa_ws_end(t->conn, SA_WS_TEXT);
}

static void say_started(struct terminal *t)
{
    t->started_said = true;
    struct sa_json_w w = begin(t, "started");
    sa_json_put_string(&w, "id", sa_execution_id(t->execution));
    sa_json_put_int(&w, "pid", sa_execution_pid(t->execution));
    end(t, &w);
}

static void say_overflow(struct terminal *t, int64_t bytes)
{
    struct sa_json_w w = begin(t, "overflow");
    sa_json_put_int(&w, "droppedBytes", bytes);
    end(t, &w);
}

static void say_error(struct terminal *t, const struct sa_error *error)
{
    struct sa_json_w w = begin(t, "error");
    sa_json_put_string(&w, "code", sa_code_name(error->code));
    sa_json_put_string(&w, "message", error->message);
    end(t, &w);
}

static void say_exited(struct terminal *t)
{
    struct sa_json_w w = begin(t, "exited");
    sa_json_put_string(&w, "id", sa_execution_id(t->execution));
    sa_exec_result_print(sa_execution_result(t->execution), &w);
    end(t, &w);
    sa_ws_close(t->conn, CODE_NORMAL, "the program has ended");
}

/* ---- output ---- */

static void say_piece(struct terminal *t, const struct sa_piece *piece)
{
    if (piece->dropped)
        say_overflow(t, piece->dropped);
    if (piece->kind == SA_ITEM_STDOUT || piece->kind == SA_ITEM_STDERR)
        t->writable = sa_ws_send(t->conn, SA_WS_BINARY, piece->data, piece->length);
}

static void pump(void *user)
{
    struct terminal *t = user;
    struct sa_piece piece;
    while (t->writable && t->reader) {
        if (!t->started_said && sa_execution_is_started(t->execution))
            say_started(t);
        switch (sa_reader_next(t->reader, PIECE_MAX, &piece)) {
        case SA_READ_PIECE:
            say_piece(t, &piece);
            break;
        case SA_READ_WAIT:
            return;
        case SA_READ_END:
            say_exited(t);
            sa_reader_free(t->reader);
            t->reader = NULL;
            return;
        }
    }
}

/* ---- input ---- */

static void feed(void *user)
{
    struct terminal *t = user;
    if (t->input.length && t->reader) {
        ssize_t n = sa_execution_input(t->execution, t->input.data, t->input.length, NULL);
        if (n < 0 || (size_t)n == t->input.length) /* who has ended takes nothing */
            sa_buf_deinit(&t->input);
        else
            sa_buf_consume(&t->input, (size_t)n);
    }
    bool full = t->input.length > INPUT_HIGH;
    if (full && !t->paused)
        sa_ws_pause(t->conn);
    else if (!full && t->paused)
        sa_ws_resume(t->conn);
    t->paused = full;
}

static int take_text(struct terminal *t, struct sa_json_obj *root, struct sa_error *err)
{
    static const char *const types[] = {"resize", "ping", NULL};
    int type;
    int64_t rows, cols;
    if (sa_json_get_enum(root, "type", types, &type, err) < 0)
        return -1;
    if (type == 1) {
        if (sa_json_finish(root, err) < 0)
            return -1;
        struct sa_json_w w = begin(t, "pong");
        end(t, &w);
        return 0;
    }
    if (sa_json_get_int(root, "rows", 1, SA_EXECUTE_TTY_MAX, &rows, err) < 0 ||
        sa_json_get_int(root, "cols", 1, SA_EXECUTE_TTY_MAX, &cols, err) < 0 ||
        sa_json_finish(root, err) < 0)
        return -1;
    return sa_execution_resize(t->execution, (int)rows, (int)cols, err);
}

static void on_text(struct terminal *t, const char *data, size_t length)
{
    struct sa_json_obj root;
    struct sa_error error;
    struct sa_json_doc *doc = sa_json_parse(data, length, NULL, &error);
    if (!doc) {
        sa_ws_close(t->conn, 1007, error.message);
        return;
    }
    struct sa_arena *arena = sa_arena_new();
    if (sa_json_root(doc, arena, &root, &error) < 0 || take_text(t, &root, &error) < 0)
        say_error(t, &error);
    sa_json_free(doc);
    sa_arena_free(arena);
}

static void on_message(struct sa_ws_conn *conn, enum sa_ws_kind kind, const char *data,
                       size_t length, void *user)
{
    struct terminal *t = user;
    if (!t->reader || !sa_ws_still_may(t->app, t->key_id, conn))
        return;
    if (kind == SA_WS_TEXT) {
        on_text(t, data, length);
        return;
    }
    sa_buf_add(&t->input, data, length);
    feed(t);
}

/* ---- the connection ---- */

static const struct sa_reader_events reader_events = {pump, feed};

static void on_opened(struct sa_ws_conn *conn, void *user)
{
    struct terminal *t = user;
    t->conn = conn;
    t->writable = true;
    pump(t);
}

static void on_writable(struct sa_ws_conn *conn, void *user)
{
    struct terminal *t = user;
    (void)conn;
    t->writable = true;
    pump(t);
}

static void free_terminal(struct terminal *t)
{
    sa_reader_free(t->reader);
    sa_buf_deinit(&t->input);
    free(t);
}

static void on_closed(struct sa_ws_conn *conn, int code, void *user)
{
    (void)conn, (void)code;
    free_terminal(user);
}

/* ---- the request ---- */

/* env=NAME=VALUE, any number of times. */
static int put_env(const struct sa_http_request *request, struct sa_json_w *w, struct sa_error *err)
{
    const char *name, *value;
    sa_json_put_object(w, "env");
    bool term = false;
    for (size_t i = 0; sa_http_request_query_at(request, i, &name, &value); i++) {
        if (strcmp(name, "env") != 0)
            continue;
        const char *equals = strchr(value, '=');
        if (!equals || equals == value || equals - value > 255)
            return sa_error_at(err, SA_EINVALID, "env", "env: expected NAME=VALUE");
        char key[256];
        snprintf(key, sizeof key, "%.*s", (int)(equals - value), value);
        term |= !strcmp(key, "TERM");
        sa_json_put_string(w, key, equals + 1);
    }
    if (!term)
        sa_json_put_string(w, "TERM", "xterm-256color");
    sa_json_w_end_object(w);
    return 0;
}

/* The query as the body of `execute` that it stands for, decoded as such. */
static int decode(struct sa_http_request *request, struct sa_execute *execute, struct sa_error *err)
{
    const char *command = sa_http_request_query(request, "command");
    const char *cwd = sa_http_request_query(request, "cwd");
    int64_t rows = ROWS_DEFAULT, cols = COLS_DEFAULT, timeout_ms = SA_EXECUTE_TIMEOUT_MAX_MS;
    if (sa_query_int(request, "rows", 1, SA_EXECUTE_TTY_MAX, &rows, err) < 0 ||
        sa_query_int(request, "cols", 1, SA_EXECUTE_TTY_MAX, &cols, err) < 0 ||
        sa_query_int(request, "timeoutMs", 1, SA_EXECUTE_TIMEOUT_MAX_MS, &timeout_ms, err) < 0)
        return -1;
    sa_autobuf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    if (command)
        sa_json_put_string(&w, "command", command);
    else
        sa_json_put_raw(&w, "command", SHELL, sizeof SHELL - 1);
    if (cwd)
        sa_json_put_string(&w, "cwd", cwd);
    sa_json_put_int(&w, "timeoutMs", timeout_ms);
    sa_json_put_object(&w, "tty");
    sa_json_put_int(&w, "rows", rows);
    sa_json_put_int(&w, "cols", cols);
    sa_json_w_end_object(&w);
    if (put_env(request, &w, err) < 0)
        return -1;
    sa_json_w_end_object(&w);
    return sa_execute_decode(body.data, body.length, sa_http_request_arena(request), execute, err);
}

static struct sa_execution *find(struct sa_app *app, const struct sa_sandbox *sandbox,
                                 const char *id, struct sa_error *err)
{
    struct sa_execution *execution = sa_execution_find(app->executions, sa_sandbox_id(sandbox), id);
    if (!execution)
        sa_error_at(err, SA_ENOTFOUND, "execution", "no execution \"%.64s\" whose output is kept",
                    id);
    return execution;
}

struct opening {
    struct sa_app *app;
    struct sa_http_request *request;
    const struct sa_principal *principal;
    const char *known; /* the execution that is followed; NULL: a new one */
    struct sa_execute execute;
    int64_t offset;
};

static void open_terminal(void *user)
{
    struct opening *o = user;
    static const struct sa_ws_events events = {on_opened, on_message, on_writable, on_closed};
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(o->app, o->request, o->principal);
    if (!sandbox)
        return;
    struct sa_execution *execution =
        o->known ? find(o->app, sandbox, o->known, &error)
                 : sa_execution_start(o->app->executions, sandbox, &o->execute,
                                      SA_EXECUTION_STREAM_MAX, &error);
    if (!execution) {
        sa_http_respond_error(o->request, &error);
        return;
    }
    bool known = o->known != NULL;
    sa_execution_record_first(execution);
    struct terminal *t = sa_alloc(sizeof *t);
    t->app = o->app;
    memcpy(t->key_id, o->principal->key_id, sizeof t->key_id);
    t->execution = execution;
    t->reader = sa_reader_new(execution, o->offset, &reader_events, t);
    if (sa_ws_open(o->app, o->request, &events, t) == 0)
        return;
    if (!known)
        sa_execution_cancel(execution);
    free_terminal(t);
}

static void handle_terminal(struct sa_app *app, struct sa_http_request *request,
                            const struct sa_principal *principal)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    struct opening *o = sa_arena_alloc(sa_http_request_arena(request), sizeof *o);
    *o = (struct opening){.app = app, .request = request, .principal = principal};
    o->known = sa_http_request_query(request, "execution");
    if (sa_query_int(request, "offset", 0, INT64_MAX, &o->offset, &error) < 0 ||
        decode(request, &o->execute, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    if (sa_ws_check(app, request) < 0)
        return;
    if (o->known) { /* that was asked about when it began */
        open_terminal(o);
        return;
    }
    const struct sa_gate_who who = {app, principal, sandbox};
    sa_ws_ask(app, request, sa_gate_execute(&who, "terminal", &o->execute), open_terminal, o);
}

const struct sa_api_route sa_routes_terminal[] = {{"GET", SA_SANDBOX_PATH "/terminal",
                                                   SA_PERM_SANDBOXES_EXECUTE, handle_terminal,
                                                   SA_GATE_EXECUTE},
                                                  {0}};
