/*
 * GET …/files/archive: entries come from the runtime (FILE_EXPORT), a worker makes an archive of
 * them, and what it makes goes to the client. Who is slow holds up who is before it: the client the
 * worker, the worker the runtime.
 */
#include "api/archive.h"
#include "api/files.h"

#include <stdlib.h>
#include <string.h>

static const char *const media_types[] = {"application/x-tar", "application/gzip",
                                          "application/zip"};

struct export
{
    struct sa_file_op *op;    /* NULL: the client has its answer, or is gone */
    struct sa_thread *worker; /* NULL: not yet, or no more */
    enum sa_archive_format format;
};

static void on_run(struct sa_thread *worker, void *user)
{
    sa_archive_write(worker, ((struct export *)user)->format);
}

/* The answer is over, in whatever way: the worker stops, and the last one frees. */
static void leave(struct export *x)
{
    x->op = NULL;
    if (x->worker)
        sa_thread_stop(x->worker);
    else
        free(x);
}

static void on_worker_gone(void *user)
{
    struct export *x = user;
    x->worker = NULL;
    if (!x->op)
        free(x);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    sa_file_op_leave(op);
    leave(op->user);
}

static void end_with(struct export *x, const struct sa_error *error)
{
    struct sa_file_op *op = x->op;
    sa_file_op_leave(op);
    leave(x);
    if (error)
        sa_file_op_failed(op, error);
    else
        sa_http_response_end(op->request);
}

/* What the worker has made goes out, and what it has room for comes in. */
static void pump(struct export *x)
{
    struct sa_message *m;
    struct sa_error error;
    while (x->op && x->worker && x->op->writable && (m = sa_thread_receive(x->worker))) {
        if (m->kind == SA_MESSAGE_BYTES) {
            x->op->writable = sa_http_response_write(x->op->request, m->data, m->length);
        } else if (m->kind == SA_MESSAGE_END) {
            end_with(x, NULL);
        } else {
            memcpy(&error, m->data, sizeof error);
            end_with(x, &error);
        }
        free(m);
    }
    if (x->op && x->worker && x->op->held && x->op->call && sa_thread_has_room(x->worker)) {
        sa_call_consume(x->op->call, x->op->held);
        x->op->held = 0;
    }
}

static void on_wake(void *user)
{
    pump(user);
}

static void on_writable(struct sa_http_request *request, void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    op->writable = true;
    pump(op->user);
}

/* Once the runtime has found what was asked for: from here on the answer is an archive. */
static bool begin(struct export *x)
{
    static const char *const endings[] = {"tar", "tar.gz", "zip"};
    struct sa_error error;
    struct sa_http_request *request = x->op->request;
    if (x->worker)
        return true;
    const struct sa_thread_options options = {.owner = x->op->principal->key_id,
                                              .run = on_run,
                                              .wake = on_wake,
                                              .done = on_worker_gone,
                                              .user = x};
    x->worker = sa_thread_start(x->op->app->loop, &options, &error);
    if (!x->worker) {
        end_with(x, &error);
        return false;
    }
    sa_http_response_headerf(request, "Content-Disposition", "attachment; filename=\"files.%s\"",
                             endings[x->format]);
    sa_http_response_start(request, 200, media_types[x->format], -1);
    return true;
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct export *x = op->user;
    if (begin(x) &&
        !sa_thread_send(x->worker, SA_MESSAGE_ENTRY, (const char *)fields->next, fields->left))
        op->held += sa_call_keep_note(op->call);
}

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct sa_file_op *op = user;
    struct export *x = op->user;
    (void)channel;
    if (!begin(x))
        return;
    if (sa_thread_send(x->worker, SA_MESSAGE_BYTES, data, length))
        sa_call_consume(op->call, length);
    else
        op->held += length;
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct export *x = op->user;
    (void)fields;
    op->call = NULL;
    if (error)
        end_with(x, error);
    else if (begin(x))
        sa_thread_send(x->worker, SA_MESSAGE_END, NULL, 0);
}

static bool accepts(const struct sa_http_request *request, const char *type)
{
    const char *accept = sa_http_request_header(request, "accept");
    return accept && strstr(accept, type);
}

static int read_format(const struct sa_http_request *request, enum sa_archive_format *format,
                       struct sa_error *err)
{
    const char *text = sa_http_request_query(request, "format");
    *format = accepts(request, "application/zip")    ? SA_ARCHIVE_ZIP
              : accepts(request, "application/gzip") ? SA_ARCHIVE_TAR_GZ
                                                     : SA_ARCHIVE_TAR;
    return text ? sa_archive_format_parse(text, format, err) : 0;
}

static void on_opened(struct sa_file_op *op)
{
    struct export *x = sa_alloc(sizeof *x);
    *x = (struct export){.op = op, .format = (enum sa_archive_format)op->format};
    op->user = x;
    op->writable = true;
    sa_http_request_on_closed(op->request, on_client_gone, op);
    sa_http_response_on_writable(op->request, on_writable, op);
}

void sa_handle_export_files(struct sa_app *app, struct sa_http_request *request,
                            const struct sa_principal *principal)
{
    static const struct sa_call_events events = {
        .note = on_note, .data = on_data, .ended = on_ended};
    sa_autobuf body = SA_BUF_INIT;
    enum sa_archive_format format;
    struct sa_error error;
    const char *path = sa_http_request_query(request, "path");
    if (read_format(request, &format, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    const struct sa_file_what what = {.operation = "export",
                                      .method = SA_METHOD_FILE_EXPORT,
                                      .path = path ? path : "/workspace",
                                      .bytes = -1};
    struct sa_file_op *op = sa_file_op_new(app, request, principal);
    op->format = (int)format;
    sa_file_op_open(op, &what, &body, &events, on_opened);
}
