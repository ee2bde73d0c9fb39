/* Listing folders. */
#include "api/files.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT_MAX = 10000, GLOB_BYTES_MAX = 1024, CURSOR_BYTES_MAX = 4096 };

/* ---- GET /files?path= ---- streamed, so that a folder of any size takes little memory */

static void list_start(struct sa_file_op *op)
{
    if (sa_http_response_started(op->request))
        return;
    sa_http_response_start(op->request, 200, "application/json", -1);
    sa_buf_adds(&op->list, "{\"items\":[");
}

static void list_flush(struct sa_file_op *op)
{
    op->writable = sa_http_response_write(op->request, op->list.data, op->list.length);
    op->list.length = 0;
}

static void on_list_note(void *user, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct sa_field f;
    struct sa_file_entry e;
    list_start(op);
    while (sa_fields_next(fields, &f, NULL) > 0) {
        struct sa_fields one;
        if (f.tag != SA_FILE_ENTRY)
            continue;
        sa_fields_init(&one, f.data, f.length);
        sa_file_entry_read(one, &e);
        if (op->listed++)
            sa_buf_addc(&op->list, ',');
        op->w = sa_json_w_start(&op->list);
        sa_file_entry_print(&e, &op->w);
    }
    list_flush(op);
    if (!op->writable && op->call) /* a slow client stops the listing */
        op->held += sa_call_keep_note(op->call);
}

/* Opaque, and safe in a URL: the runtime's bytes in hexadecimal. */
static void add_cursor(struct sa_buf *out, struct sa_fields fields)
{
    struct sa_field f;
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag != SA_FILE_CURSOR || f.length > CURSOR_BYTES_MAX)
            continue;
        sa_buf_adds(out, ",\"cursor\":\"");
        for (size_t i = 0; i < f.length; i++)
            sa_buf_printf(out, "%02x", f.data[i]);
        sa_buf_addc(out, '"');
        return;
    }
}

static int read_cursor(const char *text, struct sa_buf *out, struct sa_error *err)
{
    size_t n = strlen(text);
    if (n % 2 || n > (size_t)2 * CURSOR_BYTES_MAX || strspn(text, "0123456789abcdef") != n)
        return sa_error_at(err, SA_EINVALID, "cursor", "cursor: is none of a listing");
    for (size_t i = 0; i < n; i += 2) {
        const char digits[3] = {text[i], text[i + 1], '\0'};
        sa_buf_addc(out, (char)strtoul(digits, NULL, 16));
    }
    return 0;
}

/* The query to the fields of the call. */
static int read_query(struct sa_http_request *request, struct sa_buf *body, bool *into_folders,
                      struct sa_error *err)
{
    const char *glob = sa_http_request_query(request, "glob");
    const char *cursor = sa_http_request_query(request, "cursor");
    sa_autobuf after = SA_BUF_INIT;
    /* A pattern over several names looks into folders unless told not to. */
    bool recursive = glob && strpbrk(glob, "/") != NULL;
    int64_t limit = 0;
    recursive |= glob && strcmp(glob, "**") == 0;
    if (sa_query_bool(request, "recursive", &recursive, err) < 0 ||
        sa_query_int(request, "limit", 1, LIMIT_MAX, &limit, err) < 0 ||
        (cursor && read_cursor(cursor, &after, err) < 0))
        return -1;
    if (glob && (!glob[0] || strlen(glob) > GLOB_BYTES_MAX))
        return sa_error_at(err, SA_EINVALID, "glob", "glob: expected 1 to %d bytes",
                           GLOB_BYTES_MAX);
    *into_folders = recursive;
    sa_fields_add_int(body, SA_FILE_RECURSIVE, recursive);
    sa_fields_add_int(body, SA_FILE_LIMIT, limit);
    if (glob)
        sa_fields_add_text(body, SA_FILE_GLOB, glob);
    if (after.length)
        sa_fields_add_bytes(body, SA_FILE_CURSOR, after.data, after.length);
    return 0;
}

static void on_list_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    if (sa_file_op_failed(op, error))
        return;
    list_start(op);
    sa_buf_adds(&op->list, "]");
    add_cursor(&op->list, *fields);
    sa_buf_adds(&op->list, "}");
    list_flush(op);
    sa_http_response_end(op->request);
}

void sa_handle_list_files(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.note = on_list_note, .ended = on_list_ended};
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error error;
    bool recursive = false;
    if (read_query(request, &body, &recursive, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    const char *path = sa_http_request_query(request, "path");
    const struct sa_file_what what = {.operation = "list",
                                      .method = SA_METHOD_FILE_LIST,
                                      .path = path ? path : "/workspace",
                                      .bytes = -1,
                                      .recursive = recursive};
    struct sa_file_op *op = sa_file_op_new(app, request, principal);
    sa_http_response_on_writable(request, sa_file_op_writable, op);
    sa_file_op_open(op, &what, &body, &events, NULL);
}
