/*
 * GET and HEAD of a file: streamed and flow-controlled end to end, whole or a range of it, if the
 * conditions of the request allow. They are checked against the entry that comes before the bytes,
 * which is of the file that was opened: nothing can come in between.
 */
#include "api/files.h"
#include "api/files_type.h"
#include "api/preconditions.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct read_file {
    struct sa_preconditions conditions;
    struct sa_range range;
    bool ranged; /* a range was asked for, and passed on to the runtime */
};

/* Files come from code that nobody has reviewed: a page among them may not act in the name of this
 * server's origin. */
static void set_headers(struct sa_http_request *request, const struct sa_file_entry *e,
                        const char *etag)
{
    char date[SA_HTTP_DATE_BYTES];
    const char *download = sa_http_request_query(request, "download");
    sa_http_date(e->modified_ms / 1000, date);
    sa_http_response_header(request, "ETag", etag);
    sa_http_response_header(request, "Last-Modified", date);
    sa_http_response_header(request, "Accept-Ranges", "bytes");
    sa_http_response_header(request, "Content-Security-Policy", "sandbox");
    sa_http_response_header(request, "X-File-Type", e->type);
    sa_http_response_headerf(request, "X-File-Mode", "%04o", (unsigned)e->permissions & 07777);
    if (download) {
        sa_autobuf value = SA_BUF_INIT;
        sa_content_disposition(download[0] ? download : e->name, &value);
        sa_http_response_header(request, "Content-Disposition", value.data);
    }
}

/* True: go on; else the request is answered. */
static bool check_conditions(struct sa_file_op *op, const struct sa_file_entry *e, const char *etag)
{
    const struct read_file *r = op->user;
    struct sa_error error;
    switch (sa_preconditions_check(&r->conditions, etag, e->modified_ms / 1000, &error)) {
    case SA_PRECONDITION_GO:
        return true;
    case SA_PRECONDITION_NOT_MODIFIED:
        sa_file_op_leave(op);
        set_headers(op->request, e, etag);
        sa_http_respond(op->request, 304, NULL, NULL, 0);
        return false;
    case SA_PRECONDITION_FAILED:
        sa_file_op_leave(op);
        sa_file_op_failed(op, &error);
        return false;
    }
    return false;
}

static void add_range(const struct read_file *r, struct sa_buf *body)
{
    if (r->ranged && r->range.suffix >= 0)
        sa_fields_add_int(body, SA_FILE_SUFFIX, r->range.suffix);
    if (r->ranged && r->range.first > 0)
        sa_fields_add_int(body, SA_FILE_OFFSET, r->range.first);
    if (r->ranged && r->range.last >= 0)
        sa_fields_add_int(body, SA_FILE_LENGTH, r->range.last - r->range.first + 1);
}

static void start_part(struct sa_file_op *op, const struct sa_file_entry *e)
{
    const struct read_file *r = op->user;
    int64_t offset, length;
    struct sa_error error;
    if (sa_range_of(&r->range, e->size, &offset, &length)) {
        sa_http_response_headerf(op->request, "Content-Range",
                                 "bytes %" PRId64 "-%" PRId64 "/%" PRId64, offset,
                                 offset + length - 1, e->size);
        sa_http_response_start(op->request, 206, sa_media_type(e->name), length);
        return;
    }
    sa_file_op_leave(op);
    sa_http_response_headerf(op->request, "Content-Range", "bytes */%" PRId64, e->size);
    sa_error_at(&error, SA_EINVALID, "Range", "the file has only %" PRId64 " bytes", e->size);
    sa_http_respond_error_full(op->request, 416, &error, NULL);
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct read_file *r = op->user;
    struct sa_file_entry e;
    char etag[SA_FILE_ETAG_BYTES];
    if (!sa_file_op_first_entry(op, fields, &e))
        return;
    sa_file_etag(&e, etag);
    if (!check_conditions(op, &e, etag))
        return;
    if (r->ranged && !sa_preconditions_allow_range(&r->conditions, etag, e.modified_ms / 1000)) {
        sa_file_op_leave(op); /* the client has part of another file: it needs all of this one */
        r->ranged = op->noted = false;
        sa_file_op_again(op, &(struct sa_buf)SA_BUF_INIT);
        return;
    }
    set_headers(op->request, &e, etag);
    if (r->ranged)
        start_part(op, &e);
    else
        sa_http_response_start(op->request, 200, sa_media_type(e.name), e.size);
}

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
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

/* Whoever asks for a folder as if it were a file learns how to look into it. */
static const struct sa_error *explained(const struct sa_error *error, struct sa_error *better)
{
    if (!error || error->sys_errno != EISDIR)
        return error;
    *better = *error;
    sa_error_at(better, error->code, error->path,
                "%.350s: list it with GET …/files?path=, or take all of it with GET "
                "…/files/archive?path=",
                error->message);
    return better;
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct sa_error better;
    (void)fields;
    if (sa_file_op_failed(op, explained(error, &better)))
        return;
    if (op->noted)
        sa_http_response_end(op->request);
    else
        sa_file_op_broken(op);
}

static const struct sa_call_events read_events = {
    .note = on_note, .data = on_data, .ended = on_ended};

static struct read_file *read_new(struct sa_http_request *request)
{
    struct read_file *r = sa_arena_alloc(sa_http_request_arena(request), sizeof *r);
    sa_preconditions_read(request, &r->conditions);
    return r;
}

static void open_read(struct sa_file_op *op, const char *operation, const struct sa_buf *body,
                      const struct sa_call_events *events)
{
    const struct sa_file_what what = {.operation = operation,
                                      .method = SA_METHOD_FILE_READ,
                                      .path = sa_file_route_path(op->request),
                                      .bytes = -1};
    sa_file_op_open(op, &what, body, events, NULL);
}

void sa_handle_read_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    struct sa_file_op *op = sa_file_op_new(app, request, principal);
    struct read_file *r = op->user = read_new(request);
    sa_autobuf body = SA_BUF_INIT;
    const char *range = sa_http_request_header(request, "range");
    r->ranged = range && sa_range_parse(range, &r->range);
    op->writable = true;
    add_range(r, &body);
    sa_http_response_on_writable(request, sa_file_op_writable, op);
    open_read(op, "read", &body, &read_events);
}

/* HEAD is a read of no bytes: so it says, of links too, what GET would. */
static void on_stat_note(void *user, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct sa_file_entry e;
    char etag[SA_FILE_ETAG_BYTES];
    if (!sa_file_op_first_entry(op, fields, &e))
        return;
    sa_file_etag(&e, etag);
    if (!check_conditions(op, &e, etag))
        return;
    set_headers(op->request, &e, etag);
    sa_http_response_headerf(op->request, "Content-Length", "%lld", (long long)e.size);
    sa_file_op_leave(op);
    sa_http_respond(op->request, 200, sa_media_type(e.name), NULL, 0);
}

static void on_stat_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_file_op *op = user;
    struct sa_error better;
    (void)fields;
    if (!sa_file_op_failed(op, explained(error, &better)))
        sa_file_op_broken(op);
}

void sa_handle_stat_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.note = on_stat_note, .ended = on_stat_ended};
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_FILE_LENGTH, 0);
    struct sa_file_op *op = sa_file_op_new(app, request, principal);
    op->user = read_new(request);
    open_read(op, "stat", &body, &events);
}
