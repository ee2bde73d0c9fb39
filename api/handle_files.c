/* Files in a sandbox: streamed both ways, flow-controlled end to end. */
#include "api/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- GET, HEAD /files/{path} ---- */

static void set_entry_headers(struct sa_http_request *request, const struct sa_file_entry *e)
{
    char etag[SA_FILE_ETAG_BYTES], date[64];
    struct tm tm;
    time_t seconds = (time_t)(e->modified_ms / 1000);
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    sa_file_etag(e, etag);
    sa_http_response_header(request, "ETag", etag);
    sa_http_response_header(request, "Last-Modified", date);
    sa_http_response_header(request, "X-File-Type", e->type);
    sa_http_response_headerf(request, "X-File-Mode", "%04o", (unsigned)e->permissions & 07777);
}

static void on_read_note(void *user, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct sa_file_entry e;
    if (!sa_file_op_first_entry(op, fields, &e))
        return;
    set_entry_headers(op->request, &e);
    sa_http_response_start(op->request, 200, "application/octet-stream", e.size);
}

static void on_read_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct sa_file_op *op = user;
    (void)channel;
    if (!op->noted) {
        sa_file_op_broken(op);
        return;
    }
    op->writable = sa_http_response_write(op->request, data, length);
    if (op->writable)
        sa_call_consume(op->call, length);
    else
        op->held += length;
}

static void on_read_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    (void)fields;
    if (sa_file_op_failed(op, error))
        return;
    if (op->noted)
        sa_http_response_end(op->request);
    else
        sa_file_op_broken(op);
}

void sa_handle_read_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    static const struct sa_call_events events = {
        .note = on_read_note, .data = on_read_data, .ended = on_read_ended};
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, sa_file_route_path(request));
    struct sa_file_op *op =
        sa_file_op_start(app, request, principal, SA_METHOD_FILE_READ, &body, &events);
    if (!op)
        return;
    op->writable = true;
    sa_http_response_on_writable(request, sa_file_op_writable, op);
}

/* HEAD is a read of no bytes: so it says, of links too, what GET would. */
static void on_stat_note(void *user, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct sa_file_entry e;
    if (!sa_file_op_first_entry(op, fields, &e))
        return;
    set_entry_headers(op->request, &e);
    sa_http_response_headerf(op->request, "Content-Length", "%lld", (long long)e.size);
}

static void on_stat_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    (void)fields;
    if (sa_file_op_failed(op, error))
        return;
    if (!op->noted)
        sa_file_op_broken(op);
    else
        sa_http_respond(op->request, 200, "application/octet-stream", NULL, 0);
}

void sa_handle_stat_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.note = on_stat_note, .ended = on_stat_ended};
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, sa_file_route_path(request));
    sa_fields_add_int(&body, SA_FILE_LENGTH, 0);
    sa_file_op_start(app, request, principal, SA_METHOD_FILE_READ, &body, &events);
}

/* ---- PUT /files/{path} ---- */

static size_t on_upload_data(struct sa_http_request *request, const void *data, size_t length,
                             void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    return op->call ? sa_call_write(op->call, data, length) : length;
}

static void on_upload_done(struct sa_http_request *request, void *user)
{
    struct sa_file_op *op = user;
    (void)request;
    if (op->call)
        sa_call_eof(op->call);
}

static void on_upload_writable(void *user)
{
    struct sa_file_op *op = user;
    sa_http_request_resume(op->request);
}

static int query_mode(struct sa_http_request *request, int64_t *mode, struct sa_error *err)
{
    const char *text = sa_http_request_query(request, "mode");
    *mode = -1;
    if (!text)
        return 0;
    size_t n = strlen(text);
    if (n < 3 || n > 4 || strspn(text, "01234567") != n)
        return sa_error_at(err, SA_EINVALID, "mode",
                           "mode: expected permission bits in octal, e.g. 0644");
    *mode = (int64_t)strtoul(text, NULL, 8);
    return 0;
}

void sa_handle_write_file(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.writable = on_upload_writable,
                                                 .ended = sa_file_op_answer_entry};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error error;
    int64_t mode;
    if (query_mode(request, &mode, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_fields_add_text(&body, SA_FILE_PATH, sa_file_route_path(request));
    sa_fields_add_int(&body, SA_FILE_PARENTS, 1);
    if (mode >= 0)
        sa_fields_add_int(&body, SA_FILE_MODE, mode);
    struct sa_file_op *op =
        sa_file_op_start(app, request, principal, SA_METHOD_FILE_WRITE, &body, &events);
    if (op)
        sa_http_request_body(request, on_upload_data, on_upload_done, op);
}

/* ---- DELETE /files/{path} ---- */

static void on_remove_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    (void)fields;
    if (!sa_file_op_failed(op, error))
        sa_http_respond(op->request, 204, NULL, NULL, 0);
}

void sa_handle_delete_file(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.ended = on_remove_ended};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error error;
    bool recursive = false;
    if (sa_query_bool(request, "recursive", &recursive, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_fields_add_text(&body, SA_FILE_PATH, sa_file_route_path(request));
    sa_fields_add_int(&body, SA_FILE_RECURSIVE, recursive);
    sa_file_op_start(app, request, principal, SA_METHOD_FILE_REMOVE, &body, &events);
}

const struct sa_api_route sa_routes_files[] = {
    {"GET", SA_SANDBOX_PATH "/files", SA_PERM_SANDBOXES_FILES, sa_handle_list_files},
    {"GET", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_read_file},
    {"HEAD", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_stat_file},
    {"PUT", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_write_file},
    {"DELETE", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_delete_file},
    {"POST", SA_SANDBOX_PATH "/files/signed-url", SA_PERM_SANDBOXES_FILES, sa_handle_sign_file},
    {0}};
