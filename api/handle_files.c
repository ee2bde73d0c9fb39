/* PUT and DELETE of files, and the routes of all that is done with files. */
#include "api/files.h"
#include "api/preconditions.h"

#include <stdlib.h>
#include <string.h>

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

static void on_upload_opened(struct sa_file_op *op)
{
    sa_http_request_body(op->request, on_upload_data, on_upload_done, op);
}

static void on_upload_writable(void *user)
{
    struct sa_file_op *op = user;
    sa_http_request_resume(op->request);
}

int sa_file_mode_parse(const char *text, int64_t *mode)
{
    size_t n = strlen(text);
    if (n < 3 || n > 4 || strspn(text, "01234567") != n)
        return -1;
    *mode = (int64_t)strtoul(text, NULL, 8);
    return 0;
}

static int query_mode(struct sa_http_request *request, int64_t *mode, struct sa_error *err)
{
    const char *text = sa_http_request_query(request, "mode");
    *mode = -1;
    if (!text)
        return 0;
    if (sa_file_mode_parse(text, mode) < 0)
        return sa_error_at(err, SA_EINVALID, "mode",
                           "mode: expected permission bits in octal, e.g. 0644");
    return 0;
}

void sa_handle_write_file(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.writable = on_upload_writable,
                                                 .ended = sa_file_op_answer_entry};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_preconditions conditions;
    struct sa_error error;
    int64_t mode;
    if (query_mode(request, &mode, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_fields_add_int(&body, SA_FILE_PARENTS, 1);
    if (mode >= 0)
        sa_fields_add_int(&body, SA_FILE_MODE, mode);
    sa_preconditions_read(request, &conditions);
    sa_preconditions_add(&conditions, &body);
    const struct sa_file_what what = {.operation = "write",
                                      .method = SA_METHOD_FILE_WRITE,
                                      .path = sa_file_route_path(request),
                                      .bytes = sa_http_request_content_length(request)};
    sa_file_op_open(sa_file_op_new(app, request, principal), &what, &body, &events,
                    on_upload_opened);
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
    struct sa_preconditions conditions;
    struct sa_error error;
    bool recursive = false;
    if (sa_query_bool(request, "recursive", &recursive, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_fields_add_int(&body, SA_FILE_RECURSIVE, recursive);
    sa_preconditions_read(request, &conditions);
    sa_preconditions_add(&conditions, &body);
    const struct sa_file_what what = {.operation = "delete",
                                      .method = SA_METHOD_FILE_REMOVE,
                                      .path = sa_file_route_path(request),
                                      .bytes = -1};
    sa_file_op_open(sa_file_op_new(app, request, principal), &what, &body, &events, NULL);
}

const struct sa_api_route sa_routes_files[] = {
    {"GET", SA_SANDBOX_PATH "/files", SA_PERM_SANDBOXES_FILES, sa_handle_list_files, SA_GATE_FILES},
    {"GET", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_read_file,
     SA_GATE_FILES},
    {"HEAD", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_stat_file,
     SA_GATE_FILES},
    {"PUT", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_write_file,
     SA_GATE_FILES},
    {"DELETE", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_delete_file,
     SA_GATE_FILES},
    {"POST", SA_SANDBOX_PATH "/files/move", SA_PERM_SANDBOXES_FILES, sa_handle_move_file,
     SA_GATE_FILES},
    {"POST", SA_SANDBOX_PATH "/files/copy", SA_PERM_SANDBOXES_FILES, sa_handle_copy_file,
     SA_GATE_FILES},
    {"POST", SA_SANDBOX_PATH "/files/chmod", SA_PERM_SANDBOXES_FILES, sa_handle_chmod_file,
     SA_GATE_FILES},
    {"POST", SA_SANDBOX_PATH "/files/mkdir", SA_PERM_SANDBOXES_FILES, sa_handle_mkdir,
     SA_GATE_FILES},
    {"GET", SA_SANDBOX_PATH "/files/archive", SA_PERM_SANDBOXES_FILES, sa_handle_export_files,
     SA_GATE_FILES},
    {"POST", SA_SANDBOX_PATH "/files/archive", SA_PERM_SANDBOXES_FILES, sa_handle_import_files,
     SA_GATE_FILES},
    {"GET", SA_SANDBOX_PATH "/files/watch", SA_PERM_SANDBOXES_FILES, sa_handle_watch_files,
     SA_GATE_FILES},
    {"POST", SA_SANDBOX_PATH "/files/signed-url", SA_PERM_SANDBOXES_FILES, sa_handle_sign_file,
     SA_GATE_FILES},
    {0}};
