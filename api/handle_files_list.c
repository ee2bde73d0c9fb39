/* Listing folders. */
#include "api/files.h"

#include <string.h>

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

static void on_list_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    (void)fields;
    if (sa_file_op_failed(op, error))
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
    struct sa_file_op *op =
        sa_file_op_start(app, request, principal, SA_METHOD_FILE_LIST, &body, &events);
    if (op)
        sa_http_response_on_writable(request, sa_file_op_writable, op);
}
