/*
 * GET …/files/watch: what happens to files, as server-sent events or JSON lines, until the client
 * goes. A client that reads slowly holds up the runtime, which says "overflow" when it had to drop.
 */
#include "api/files.h"

#include "json/write.h"

#include <stdlib.h>
#include <string.h>

enum { BEAT_MS = 15000 };

struct watch {
    uv_timer_t beat; /* so that who went away is noticed, and who is between does not hang up */
    struct sa_file_op *op;
    bool sse;
};

static void on_beat_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void leave(struct watch *w)
{
    w->op = NULL;
    uv_close((uv_handle_t *)&w->beat, on_beat_closed);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    sa_file_op_leave(op);
    leave(op->user);
}

static void on_beat(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    if (w->op && sa_http_response_started(w->op->request) && w->op->writable)
        w->op->writable =
            sa_http_response_write(w->op->request, w->sse ? ":\n\n" : "\n", w->sse ? 3 : 1);
}

static void write_line(struct watch *w, const struct sa_buf *json)
{
    sa_autobuf line = SA_BUF_INIT;
    if (w->sse)
        sa_buf_adds(&line, "data: ");
    sa_buf_add(&line, json->data, json->length);
    sa_buf_adds(&line, w->sse ? "\n\n" : "\n");
    w->op->writable = sa_http_response_write(w->op->request, line.data, line.length);
}

static void write_event(struct watch *w, const struct sa_field *event)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w out = sa_json_w_start(&json);
    if (sa_file_event_print(event, &out) == 0)
        write_line(w, &json);
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct watch *w = op->user;
    struct sa_field f;
    if (!sa_http_response_started(op->request)) {
        const struct sa_buf ready = {.data = "{\"type\":\"watching\"}", .length = 19};
        sa_http_response_start(op->request, 200,
                               w->sse ? "text/event-stream" : "application/x-ndjson", -1);
        write_line(w, &ready);
    }
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_FILE_EVENT)
            write_event(w, &f);
    if (!op->writable && op->call)
        op->held += sa_call_keep_note(op->call);
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct watch *w = op->user;
    struct sa_error ended;
    (void)fields;
    op->call = NULL; /* gone; and so is `op` with its request, once that was answered */
    sa_error_set(&ended, SA_EUNAVAILABLE, "the watch ended");
    error = error ? error : &ended;
    if (sa_http_response_started(op->request)) { /* the last event says why */
        sa_autobuf json = SA_BUF_INIT;
        struct sa_json_w out = sa_json_w_start(&json);
        sa_json_w_begin_object(&out);
        sa_json_put_string(&out, "type", "error");
        sa_json_put_string(&out, "code", sa_code_name(error->code));
        sa_json_put_string(&out, "message", error->message);
        sa_json_w_end_object(&out);
        write_line(w, &json);
        sa_file_op_leave(op);
        sa_http_response_end(op->request);
    } else {
        sa_file_op_failed(op, error);
    }
    leave(w);
}

int sa_file_event_print(const struct sa_field *event, struct sa_json_w *out)
{
    static const char *const types[] = {"create", "write", "remove", "rename", "chmod", "overflow"};
    char type[16] = "", from[4096] = "";
    struct sa_file_entry e;
    struct sa_fields fields;
    struct sa_field f;
    size_t known = 0;
    sa_fields_init(&fields, event->data, event->length);
    sa_file_entry_read(fields, &e);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag == SA_FILE_EVENT_TYPE)
            sa_field_text_into(&f, type, sizeof type, NULL);
        else if (f.tag == SA_FILE_EVENT_FROM)
            sa_field_text_into(&f, from, sizeof from, NULL);
    }
    while (known < sizeof types / sizeof *types && strcmp(types[known], type) != 0)
        known++;
    if (known == sizeof types / sizeof *types)
        return -1;
    sa_json_w_begin_object(out);
    sa_json_put_string(out, "type", type);
    sa_json_put_string(out, "path", e.path);
    if (from[0])
        sa_json_put_string(out, "from", from);
    sa_json_put_string(out, "entryType", e.type);
    sa_json_w_end_object(out);
    return 0;
}

static void on_opened(struct sa_file_op *op)
{
    const char *accept = sa_http_request_header(op->request, "accept");
    struct watch *w = sa_alloc(sizeof *w);
    *w = (struct watch){.op = op, .sse = accept && strstr(accept, "text/event-stream")};
    op->user = w;
    op->writable = true;
    uv_timer_init(op->app->loop, &w->beat);
    w->beat.data = w;
    uv_timer_start(&w->beat, on_beat, BEAT_MS, BEAT_MS);
    sa_http_request_on_closed(op->request, on_client_gone, op);
    sa_http_response_on_writable(op->request, sa_file_op_writable, op);
}

void sa_handle_watch_files(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.note = on_note, .ended = on_ended};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error error;
    bool recursive = false;
    const char *path = sa_http_request_query(request, "path");
    if (sa_query_bool(request, "recursive", &recursive, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_fields_add_int(&body, SA_FILE_RECURSIVE, recursive);
    const struct sa_file_what what = {.operation = "watch",
                                      .method = SA_METHOD_FILE_WATCH,
                                      .path = path ? path : "/workspace",
                                      .bytes = -1,
                                      .recursive = recursive};
    sa_file_op_open(sa_file_op_new(app, request, principal), &what, &body, &events, on_opened);
}
