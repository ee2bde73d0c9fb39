/* Files in a sandbox: streamed both ways, flow-controlled end to end. */
#include "api/app.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One operation on files. The request's end and the call's end may come in any order. */
struct file_op {
    struct sa_http_request *request;
    struct sa_call *call; /* NULL once ended */
    size_t held;          /* credit kept back because the client is slow */
    bool writable;
    bool noted; /* the entry of a file has come */
    size_t listed;
    struct sa_buf list;
    struct sa_json_w w;
};

struct entry {
    char name[256 * 3], path[4096], type[16], target[4096];
    int64_t size, modified_ms, inode, permissions, created;
};

static void read_entry_field(const struct sa_field *f, struct entry *e)
{
    if (f->tag == SA_FILE_NAME)
        sa_field_text_into(f, e->name, sizeof e->name, NULL);
    else if (f->tag == SA_FILE_FULL_PATH)
        sa_field_text_into(f, e->path, sizeof e->path, NULL);
    else if (f->tag == SA_FILE_TYPE)
        sa_field_text_into(f, e->type, sizeof e->type, NULL);
    else if (f->tag == SA_FILE_TARGET)
        sa_field_text_into(f, e->target, sizeof e->target, NULL);
    else if (f->tag == SA_FILE_SIZE)
        sa_field_int(f, &e->size, NULL);
    else if (f->tag == SA_FILE_MODIFIED_MS)
        sa_field_int(f, &e->modified_ms, NULL);
    else if (f->tag == SA_FILE_INODE)
        sa_field_int(f, &e->inode, NULL);
    else if (f->tag == SA_FILE_PERMISSIONS)
        sa_field_int(f, &e->permissions, NULL);
    else if (f->tag == SA_FILE_CREATED)
        sa_field_int(f, &e->created, NULL);
}

/* The runtime lives with the code it runs: what cannot be becomes what can. */
static void make_sane(struct entry *e)
{
    static const char *const types[] = {"file", "directory", "symlink", "fifo", "socket", "device"};
    const int64_t first_ms = -30610224000000, last_ms = 253402300799999; /* years 1000 to 9999 */
    size_t known = 0;
    while (known < sizeof types / sizeof *types && strcmp(types[known], e->type) != 0)
        known++;
    if (known == sizeof types / sizeof *types)
        memcpy(e->type, "file", sizeof "file");
    e->size = e->size < 0 ? 0 : e->size;
    e->modified_ms = e->modified_ms < first_ms  ? first_ms
                     : e->modified_ms > last_ms ? last_ms
                                                : e->modified_ms;
}

/* From the fields of a result, or of an SA_FILE_ENTRY inside it. */
static void read_entry(struct sa_fields fields, struct entry *e)
{
    struct sa_field f;
    memset(e, 0, sizeof *e);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag == SA_FILE_ENTRY) {
            struct sa_fields inner;
            struct sa_field g;
            sa_fields_init(&inner, f.data, f.length);
            while (sa_fields_next(&inner, &g, NULL) > 0)
                read_entry_field(&g, e);
        } else {
            read_entry_field(&f, e);
        }
    }
    make_sane(e);
}

static void etag_print(const struct entry *e, char out[64])
{
    snprintf(out, 64, "\"%llx-%llx-%llx\"", (unsigned long long)e->inode,
             (unsigned long long)e->size, (unsigned long long)e->modified_ms);
}

static void entry_print(const struct entry *e, struct sa_json_w *w)
{
    char time[SA_RFC3339_BYTES], mode[8], etag[64];
    sa_rfc3339(e->modified_ms, time);
    snprintf(mode, sizeof mode, "%04o", (unsigned)e->permissions & 07777);
    etag_print(e, etag);
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "name", e->name);
    sa_json_put_string(w, "path", e->path);
    sa_json_put_string(w, "type", e->type);
    sa_json_put_int(w, "size", e->size);
    sa_json_put_string(w, "mode", mode);
    sa_json_put_string(w, "modifiedAt", time);
    sa_json_put_string(w, "etag", etag);
    if (e->target[0])
        sa_json_put_string(w, "symlinkTarget", e->target);
    sa_json_w_end_object(w);
}

static void op_cleanup(void *user)
{
    struct file_op *op = user;
    sa_buf_deinit(&op->list);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct file_op *op = user;
    (void)request;
    if (op->call)
        sa_call_abandon(op->call);
    op->call = NULL;
}

/* The path parameter has no leading slash; the runtime wants it absolute. */
static const char *route_path(struct sa_http_request *request)
{
    const char *path = sa_http_request_param(request, "path");
    while (*path == '/')
        path++;
    return sa_arena_printf(sa_http_request_arena(request), "/%s", path);
}

/* Open the call, or answer with what is wrong. */
static struct file_op *op_start(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal, enum sa_link_method method,
                                const struct sa_buf *body, const struct sa_call_events *events)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return NULL;
    struct sa_runtime_conn *conn = sa_sandbox_conn(sandbox, &error);
    struct file_op *op = sa_arena_alloc(sa_http_request_arena(request), sizeof *op);
    op->request = request;
    if (!conn || !(op->call = sa_call_open(conn, method, body, events, op, &error))) {
        sa_http_respond_error(request, &error);
        return NULL;
    }
    sa_http_request_set_cleanup(request, op_cleanup, op);
    sa_http_request_on_closed(request, on_client_gone, op);
    return op;
}

/* The call ended: answer an error. True when there was one. */
static bool ended_badly(struct file_op *op, const struct sa_error *error)
{
    op->call = NULL;
    sa_http_request_on_closed(op->request, NULL, NULL);
    if (!error)
        return false;
    if (sa_http_response_started(op->request))
        sa_http_response_abort(op->request);
    else if (error->sys_errno == ENOSPC || error->sys_errno == EDQUOT)
        sa_http_respond_error_full(op->request, 507, error, NULL, NULL);
    else
        sa_http_respond_error(op->request, error);
    return true;
}

/* The runtime does not keep to the protocol: enough of it. */
static void op_broken(struct file_op *op)
{
    struct sa_error error;
    if (op->call)
        sa_call_abandon(op->call);
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox does not answer as it should");
    ended_badly(op, &error);
}

/* The one entry that goes before the bytes of a file; false when there was one already. */
static bool first_entry(struct file_op *op, struct sa_fields *fields, struct entry *e)
{
    if (op->noted)
        return false;
    op->noted = true;
    read_entry(*fields, e);
    return true;
}

/* ---- GET, HEAD /files/{path} ---- */

static void set_entry_headers(struct sa_http_request *request, const struct entry *e)
{
    char etag[64], date[64];
    struct tm tm;
    time_t seconds = (time_t)(e->modified_ms / 1000);
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    etag_print(e, etag);
    sa_http_response_header(request, "ETag", etag);
    sa_http_response_header(request, "Last-Modified", date);
    sa_http_response_header(request, "X-File-Type", e->type);
    sa_http_response_headerf(request, "X-File-Mode", "%04o", (unsigned)e->permissions & 07777);
}

static void on_read_note(void *user, struct sa_fields *fields)
{
    struct file_op *op = user;
    struct entry e;
    if (!first_entry(op, fields, &e))
        return;
    set_entry_headers(op->request, &e);
    sa_http_response_start(op->request, 200, "application/octet-stream", e.size);
}

static void on_read_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct file_op *op = user;
    (void)channel;
    if (!op->noted) {
        op_broken(op);
        return;
    }
    op->writable = sa_http_response_write(op->request, data, length);
    if (op->writable)
        sa_call_consume(op->call, length);
    else
        op->held += length;
}

static void on_read_writable(struct sa_http_request *request, void *user)
{
    struct file_op *op = user;
    (void)request;
    op->writable = true;
    if (op->held && op->call)
        sa_call_consume(op->call, op->held);
    op->held = 0;
}

static void on_read_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct file_op *op = user;
    (void)fields;
    if (ended_badly(op, error))
        return;
    if (op->noted)
        sa_http_response_end(op->request);
    else
        op_broken(op);
}

void sa_handle_read_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    static const struct sa_call_events events = {
        .note = on_read_note, .data = on_read_data, .ended = on_read_ended};
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, route_path(request));
    struct file_op *op = op_start(app, request, principal, SA_METHOD_FILE_READ, &body, &events);
    if (!op)
        return;
    op->writable = true;
    sa_http_response_on_writable(request, on_read_writable, op);
}

/* HEAD is a read of no bytes: so it says, of links too, what GET would. */
static void on_stat_note(void *user, struct sa_fields *fields)
{
    struct file_op *op = user;
    struct entry e;
    if (!first_entry(op, fields, &e))
        return;
    set_entry_headers(op->request, &e);
    sa_http_response_headerf(op->request, "Content-Length", "%lld", (long long)e.size);
}

static void on_stat_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct file_op *op = user;
    (void)fields;
    if (ended_badly(op, error))
        return;
    if (!op->noted)
        op_broken(op);
    else
        sa_http_respond(op->request, 200, "application/octet-stream", NULL, 0);
}

void sa_handle_stat_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.note = on_stat_note, .ended = on_stat_ended};
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, route_path(request));
    sa_fields_add_int(&body, SA_FILE_LENGTH, 0);
    op_start(app, request, principal, SA_METHOD_FILE_READ, &body, &events);
}

/* ---- PUT /files/{path} ---- */

static size_t on_upload_data(struct sa_http_request *request, const void *data, size_t length,
                             void *user)
{
    struct file_op *op = user;
    (void)request;
    return op->call ? sa_call_write(op->call, data, length) : length;
}

static void on_upload_done(struct sa_http_request *request, void *user)
{
    struct file_op *op = user;
    (void)request;
    if (op->call)
        sa_call_eof(op->call);
}

static void on_upload_writable(void *user)
{
    struct file_op *op = user;
    sa_http_request_resume(op->request);
}

static void on_upload_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct file_op *op = user;
    struct entry e;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    if (ended_badly(op, error))
        return;
    read_entry(*fields, &e);
    entry_print(&e, &w);
    sa_respond_json(op->request, e.created ? 201 : 200, &body);
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
                                                 .ended = on_upload_ended};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error error;
    int64_t mode;
    if (query_mode(request, &mode, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_fields_add_text(&body, SA_FILE_PATH, route_path(request));
    sa_fields_add_int(&body, SA_FILE_PARENTS, 1);
    if (mode >= 0)
        sa_fields_add_int(&body, SA_FILE_MODE, mode);
    struct file_op *op = op_start(app, request, principal, SA_METHOD_FILE_WRITE, &body, &events);
    if (op)
        sa_http_request_body(request, on_upload_data, on_upload_done, op);
}

/* ---- DELETE /files/{path} ---- */

static void on_remove_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct file_op *op = user;
    (void)fields;
    if (!ended_badly(op, error))
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
    sa_fields_add_text(&body, SA_FILE_PATH, route_path(request));
    sa_fields_add_int(&body, SA_FILE_RECURSIVE, recursive);
    op_start(app, request, principal, SA_METHOD_FILE_REMOVE, &body, &events);
}

/* ---- GET /files?path= ---- streamed, so that a folder of any size takes little memory */

static void list_start(struct file_op *op)
{
    if (sa_http_response_started(op->request))
        return;
    sa_http_response_start(op->request, 200, "application/json", -1);
    sa_buf_adds(&op->list, "{\"items\":[");
}

static void list_flush(struct file_op *op)
{
    op->writable = sa_http_response_write(op->request, op->list.data, op->list.length);
    op->list.length = 0;
}

static void on_list_note(void *user, struct sa_fields *fields)
{
    struct file_op *op = user;
    struct sa_field f;
    struct entry e;
    list_start(op);
    while (sa_fields_next(fields, &f, NULL) > 0) {
        struct sa_fields one;
        if (f.tag != SA_FILE_ENTRY)
            continue;
        sa_fields_init(&one, f.data, f.length);
        read_entry(one, &e);
        if (op->listed++)
            sa_buf_addc(&op->list, ',');
        op->w = sa_json_w_start(&op->list);
        entry_print(&e, &op->w);
    }
    list_flush(op);
    if (!op->writable && op->call) /* a slow client stops the listing */
        op->held += sa_call_keep_note(op->call);
}

static void on_list_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct file_op *op = user;
    (void)fields;
    if (ended_badly(op, error))
        return;
    list_start(op);
    sa_buf_adds(&op->list, "]}");
    list_flush(op);
    sa_http_response_end(op->request);
}

void sa_handle_list_files(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.note = on_list_note, .ended = on_list_ended};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error error;
    const char *path = sa_http_request_query(request, "path");
    bool recursive = false;
    if (sa_query_bool(request, "recursive", &recursive, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_fields_add_text(&body, SA_FILE_PATH, path ? path : "/workspace");
    sa_fields_add_int(&body, SA_FILE_RECURSIVE, recursive);
    struct file_op *op = op_start(app, request, principal, SA_METHOD_FILE_LIST, &body, &events);
    if (op)
        sa_http_response_on_writable(request, on_read_writable, op);
}

const struct sa_api_route sa_routes_files[] = {
    {"GET", SA_SANDBOX_PATH "/files", SA_PERM_SANDBOXES_FILES, sa_handle_list_files},
    {"GET", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_read_file},
    {"HEAD", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_stat_file},
    {"PUT", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_write_file},
    {"DELETE", SA_SANDBOX_PATH "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_delete_file},
    {0}};
