/*
 * POST …/files/archive: what the client sends goes to a worker, which makes entries of it, and
 * those go to the runtime (FILE_IMPORT). Who is slow holds up who is before it: the runtime the
 * worker, the worker the client.
 */
#include "api/archive.h"
#include "api/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct import {
    struct sa_file_op *op;    /* NULL: the client has its answer, or is gone */
    struct sa_thread *worker; /* NULL: no more */
    enum sa_archive_format format;
    struct sa_message *message; /* on its way to the runtime, */
    size_t sent;                /* so much of it is through */
    bool paused;                /* the client waits for the worker */
    bool failed;                /* `error` is what to answer once the runtime has stopped */
    struct sa_error error;
};

static void on_run(struct sa_thread *worker, void *user)
{
    sa_archive_read(worker, ((struct import *)user)->format);
}

static void free_import(struct import *m)
{
    free(m->message);
    free(m);
}

static void leave(struct import *m)
{
    m->op = NULL;
    if (m->worker)
        sa_thread_stop(m->worker);
    else
        free_import(m);
}

static void on_worker_gone(void *user)
{
    struct import *m = user;
    m->worker = NULL;
    if (!m->op)
        free_import(m);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    sa_file_op_leave(op);
    leave(op->user);
}

/* 1: it is through, 0: later. */
static int forward(struct import *m)
{
    struct sa_message *message = m->message;
    struct sa_call *call = m->op->call;
    const struct sa_buf body = {.data = message->data, .length = message->length};
    switch (message->kind) {
    case SA_MESSAGE_ENTRY:
        return sa_call_note(call, &body) == 0;
    case SA_MESSAGE_BYTES:
        m->sent += sa_call_write(call, message->data + m->sent, message->length - m->sent);
        return m->sent == message->length;
    case SA_MESSAGE_END:
        sa_call_eof(call);
        return 1;
    case SA_MESSAGE_ERROR: /* the runtime says how far it came */
        memcpy(&m->error, message->data, sizeof m->error);
        m->failed = true;
        sa_call_cancel(call);
        return 1;
    }
    return 1;
}

static void pump(struct import *m)
{
    while (m->op && m->op->call && !m->failed) {
        if (!m->message && m->worker)
            m->message = sa_thread_receive(m->worker);
        if (!m->message)
            break;
        if (!forward(m))
            break;
        free(m->message);
        m->message = NULL;
        m->sent = 0;
    }
    if (m->op && m->worker && m->paused && sa_thread_has_room(m->worker)) {
        m->paused = false;
        sa_http_request_resume(m->op->request);
    }
}

static void on_wake(void *user)
{
    pump(user);
}

static void on_call_writable(void *user)
{
    pump(((struct sa_file_op *)user)->user);
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct import *m = op->user;
    struct sa_field f;
    struct sa_error full;
    int64_t count = 0;
    bool failed = m->failed;
    if (failed) { /* "(7 entries were put in place before)" */
        const char *how_far = error ? strrchr(error->message, '(') : NULL;
        full = m->error;
        snprintf(full.message, sizeof full.message, "%.400s %.100s", m->error.message,
                 how_far ? how_far : "");
        error = &full;
    }
    sa_http_request_on_closed(op->request, NULL, NULL);
    leave(m);
    if (sa_file_op_failed(op, error))
        return;
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_FILE_COUNT)
            sa_field_int(&f, &count, NULL);
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_int(&w, "entries", count);
    sa_json_w_end_object(&w);
    sa_respond_json(op->request, 200, &body);
}

static size_t on_body(struct sa_http_request *request, const void *data, size_t length, void *user)
{
    struct import *m = ((struct sa_file_op *)user)->user;
    if (m->worker && !sa_thread_send(m->worker, SA_MESSAGE_BYTES, data, length)) {
        m->paused = true;
        sa_http_request_pause(request);
    }
    return length;
}

static void on_body_done(struct sa_http_request *request, void *user)
{
    struct import *m = ((struct sa_file_op *)user)->user;
    (void)request;
    if (m->worker)
        sa_thread_send(m->worker, SA_MESSAGE_END, NULL, 0);
}

int sa_archive_format_parse(const char *text, enum sa_archive_format *format, struct sa_error *err)
{
    static const char *const names[] = {"tar", "tar.gz", "zip"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            *format = (enum sa_archive_format)i;
            return 0;
        }
    }
    return sa_error_at(err, SA_EINVALID, "format", "format: expected tar, tar.gz or zip");
}

static int read_format(const struct sa_http_request *request, enum sa_archive_format *format,
                       struct sa_error *err)
{
    static const char *const tars[] = {"application/x-tar", "application/tar", "application/gzip",
                                       "application/x-gtar", "application/x-gzip"};
    const char *text = sa_http_request_query(request, "format");
    if (text)
        return sa_archive_format_parse(text, format, err);
    *format = SA_ARCHIVE_ZIP;
    if (sa_http_request_is_type(request, "application/zip"))
        return 0;
    *format = SA_ARCHIVE_TAR;
    for (size_t i = 0; i < sizeof tars / sizeof *tars; i++)
        if (sa_http_request_is_type(request, tars[i]))
            return 0;
    return sa_error_at(err, SA_EINVALID, "format",
                       "say what it is: ?format=tar, tar.gz or zip, or Content-Type: "
                       "application/x-tar, application/gzip or application/zip");
}

static void on_opened(struct sa_file_op *op)
{
    struct import *m = sa_alloc(sizeof *m);
    struct sa_error error;
    *m = (struct import){.op = op, .format = (enum sa_archive_format)op->format};
    op->user = m;
    const struct sa_thread_options options = {.owner = op->principal->key_id,
                                              .run = on_run,
                                              .wake = on_wake,
                                              .done = on_worker_gone,
                                              .user = m};
    m->worker = sa_thread_start(op->app->loop, &options, &error);
    if (!m->worker) {
        sa_file_op_leave(op);
        free(m);
        sa_http_respond_error(op->request, &error);
        return;
    }
    sa_http_request_on_closed(op->request, on_client_gone, op);
    sa_http_request_body(op->request, on_body, on_body_done, op);
}

void sa_handle_import_files(struct sa_app *app, struct sa_http_request *request,
                            const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.writable = on_call_writable, .ended = on_ended};
    sa_autobuf body = SA_BUF_INIT;
    enum sa_archive_format format = SA_ARCHIVE_TAR;
    struct sa_error error;
    const char *path = sa_http_request_query(request, "path");
    if (read_format(request, &format, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    const struct sa_file_what what = {.operation = "import",
                                      .method = SA_METHOD_FILE_IMPORT,
                                      .path = path ? path : "/workspace",
                                      .bytes = sa_http_request_content_length(request)};
    struct sa_file_op *op = sa_file_op_new(app, request, principal);
    op->format = (int)format;
    sa_file_op_open(op, &what, &body, &events, on_opened);
}
