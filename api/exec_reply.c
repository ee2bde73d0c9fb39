#include "api/exec_reply.h"

#include "api/answer.h"
#include "api/app.h"
#include "api/exec_output.h"

#include <stdlib.h>
#include <string.h>

enum {
    PIECE_MAX = 32 * 1024,        /* output bytes in one item */
    ITEMS_MAX = 1024 * 1024,      /* bytes of a JSON list of items */
    WHOLE_PIECE_MAX = 256 * 1024, /* nothing goes out in between */
};

struct reply {
    struct sa_http_request *request;
    struct sa_execution *execution;
    struct sa_reader *reader;
    enum sa_reply_form form;
    struct sa_answer answer; /* whole */
    struct sa_buf line;      /* stream: the item being written; JSON: the whole body */
    struct sa_json_w items;  /* JSON */
    int64_t next, stop_at;   /* the offset after the last item; without `follow`, the last wanted */
    bool follow, any, started_said;
};

static void cleanup(void *user)
{
    struct reply *r = user;
    sa_reader_free(r->reader);
    sa_answer_deinit(&r->answer);
    sa_buf_deinit(&r->line);
}

static struct reply *reply_new(struct sa_http_request *request, struct sa_execution *execution,
                               const struct sa_reader_events *events, int64_t offset)
{
    struct reply *r = sa_arena_alloc(sa_http_request_arena(request), sizeof *r);
    r->request = request;
    r->execution = execution;
    r->next = offset;
    r->reader = sa_reader_new(execution, offset, events, r);
    sa_http_request_on_closed(request, NULL, NULL);
    sa_http_request_set_cleanup(request, cleanup, r);
    return r;
}

static void let_go(struct reply *r)
{
    struct sa_reader *reader = r->reader;
    r->reader = NULL;
    r->execution = NULL;
    sa_reader_free(reader);
}

enum sa_reply_form sa_reply_form(const struct sa_http_request *request)
{
    const char *accept = sa_http_request_header(request, "accept");
    if (accept && strstr(accept, "application/x-ndjson"))
        return SA_REPLY_NDJSON;
    if (accept && strstr(accept, "text/event-stream"))
        return SA_REPLY_SSE;
    return SA_REPLY_JSON;
}

/* ---- in the background ---- */

static void tell_accepted(void *user)
{
    struct reply *r = user;
    struct sa_piece piece;
    struct sa_error error;
    if (sa_execution_is_recording(r->execution)) {
        sa_reader_next(r->reader, PIECE_MAX,
                       &piece); /* there is none: it tells when to look again */
        return;
    }
    if (sa_execution_unrecorded(r->execution)) {
        error = *sa_execution_unrecorded(r->execution);
        sa_execution_cancel(r->execution);
        let_go(r);
        sa_http_respond_error(r->request, &error);
        return;
    }
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_execution_print(r->execution, &w);
    let_go(r);
    sa_respond_json(r->request, 202, &body);
}

static const struct sa_reader_events accepted_events = {.ready = tell_accepted};

void sa_reply_accepted(struct sa_http_request *request, struct sa_execution *execution)
{
    tell_accepted(reply_new(request, execution, &accepted_events, 0));
}

/* ---- the whole answer ---- */

static void collect(void *user)
{
    struct reply *r = user;
    struct sa_piece piece;
    enum sa_read_state state;
    while ((state = sa_reader_next(r->reader, WHOLE_PIECE_MAX, &piece)) == SA_READ_PIECE)
        sa_answer_add(&r->answer, piece.kind, piece.data, piece.length);
    if (state == SA_READ_WAIT)
        return;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_answer_print(&r->answer, sa_execution_id(r->execution), sa_execution_result(r->execution),
                    &w);
    let_go(r);
    sa_respond_json(r->request, 200, &body);
}

static const struct sa_reader_events whole_events = {.ready = collect};

void sa_reply_whole_with(struct sa_http_request *request, struct sa_execution *execution,
                         void (*more)(const struct sa_answer *answer, struct sa_json_w *w))
{
    struct reply *r = reply_new(request, execution, &whole_events, 0);
    sa_answer_init(&r->answer, false);
    r->answer.more = more;
    collect(r);
}

void sa_reply_whole(struct sa_http_request *request, struct sa_execution *execution)
{
    sa_reply_whole_with(request, execution, NULL);
}

/* ---- items ---- */

static struct sa_json_w item_begin(struct reply *r, int64_t next)
{
    r->any = true;
    r->next = next;
    if (r->form == SA_REPLY_JSON) {
        sa_json_w_begin_object(&r->items);
        return r->items;
    }
    r->line.length = 0;
    if (r->form == SA_REPLY_SSE)
        sa_buf_printf(&r->line, "id: %lld\ndata: ", (long long)next);
    struct sa_json_w w = sa_json_w_start(&r->line);
    sa_json_w_begin_object(&w);
    return w;
}

/* Is there room for more? */
static bool item_end(struct reply *r, struct sa_json_w *w)
{
    sa_json_w_end_object(w);
    if (r->form == SA_REPLY_JSON) {
        r->items = *w;
        return r->line.length < ITEMS_MAX;
    }
    sa_buf_adds(&r->line, r->form == SA_REPLY_SSE ? "\n\n" : "\n");
    return sa_http_response_write(r->request, r->line.data, r->line.length);
}

static bool put_started_as(struct reply *r, const char *id, int64_t pid)
{
    struct sa_json_w w = item_begin(r, r->next);
    sa_json_put_string(&w, "type", "started");
    sa_json_put_string(&w, "id", id);
    if (pid)
        sa_json_put_int(&w, "pid", pid);
    return item_end(r, &w);
}

static bool put_started(struct reply *r)
{
    const struct sa_execution *e = r->execution;
    if (r->started_said || r->form == SA_REPLY_JSON || !sa_execution_is_started(e))
        return true;
    r->started_said = true;
    return put_started_as(r, sa_execution_id(e), sa_execution_pid(e));
}

static bool put_dropped(struct reply *r, const struct sa_piece *piece)
{
    if (!piece->dropped)
        return true;
    struct sa_json_w w = item_begin(r, piece->offset);
    sa_json_put_string(&w, "type", "overflow");
    sa_json_put_int(&w, "droppedBytes", piece->dropped);
    return item_end(r, &w);
}

static bool put_piece(struct reply *r, const struct sa_piece *piece)
{
    bool room = put_dropped(r, piece);
    struct sa_json_w w = item_begin(r, piece->next);
    sa_piece_print(piece, &w);
    return item_end(r, &w) && room;
}

void sa_reply_print_exited(const char *id, const struct sa_exec_result *result, struct sa_json_w *w)
{
    sa_json_put_string(w, "type", "exited");
    sa_json_put_string(w, "id", id);
    sa_exec_result_print(result, w);
}

static void put_result(struct reply *r, const char *id, const struct sa_exec_result *result,
                       int64_t next)
{
    if (result->error) {
        struct sa_json_w e = item_begin(r, next);
        sa_json_put_string(&e, "type", "error");
        sa_exec_error_print(result->error, &e);
        item_end(r, &e);
    }
    struct sa_json_w w = item_begin(r, next);
    sa_reply_print_exited(id, result, &w);
    item_end(r, &w);
}

static void put_end(struct reply *r, const struct sa_piece *piece)
{
    put_dropped(r, piece);
    put_result(r, sa_execution_id(r->execution), sa_execution_result(r->execution), piece->next);
}

static void end_answer(struct reply *r, bool ended)
{
    let_go(r);
    if (r->form != SA_REPLY_JSON) {
        sa_http_response_end(r->request);
        return;
    }
    sa_json_w_end_array(&r->items);
    sa_json_put_int(&r->items, "next", r->next);
    sa_json_put_bool(&r->items, "ended", ended);
    sa_json_w_end_object(&r->items);
    sa_respond_json(r->request, 200, &r->line);
}

/* Nothing more is here now: is that enough? */
static bool is_enough(const struct reply *r, const struct sa_piece *piece)
{
    if (!r->follow)
        return piece->offset >= r->stop_at;
    return r->form == SA_REPLY_JSON && r->any;
}

static void pump(void *user)
{
    struct reply *r = user;
    struct sa_piece piece;
    if (!put_started(r))
        return; /* on_writable() goes on */
    for (;;) {
        enum sa_read_state state = sa_reader_next(r->reader, PIECE_MAX, &piece);
        if (state == SA_READ_END) {
            put_end(r, &piece);
            end_answer(r, true);
            return;
        }
        if (state == SA_READ_WAIT) {
            if (is_enough(r, &piece))
                end_answer(r, false);
            return;
        }
        if (put_piece(r, &piece))
            continue;
        if (r->form == SA_REPLY_JSON)
            end_answer(r, false);
        return;
    }
}

static void on_writable(struct sa_http_request *request, void *user)
{
    (void)request;
    pump(user);
}

static const struct sa_reader_events output_events = {.ready = pump};

void sa_reply_output(struct sa_http_request *request, struct sa_execution *execution,
                     enum sa_reply_form form, int64_t offset, bool follow)
{
    struct reply *r = reply_new(request, execution, &output_events, offset);
    r->form = form;
    r->follow = follow;
    r->stop_at = sa_execution_output_to(execution);
    if (form == SA_REPLY_JSON) {
        r->items = sa_json_w_start(&r->line);
        sa_json_w_begin_object(&r->items);
        sa_json_put_array(&r->items, "items");
    } else {
        sa_http_response_on_writable(request, on_writable, r);
        sa_http_response_start(
            request, 200, form == SA_REPLY_SSE ? "text/event-stream" : "application/x-ndjson", -1);
    }
    pump(r);
}

/* ---- from the store ---- */

static void put_recorded(struct reply *r, enum sa_item_kind kind, const struct sa_buf *data,
                         int64_t counts)
{
    if (!data->length)
        return;
    struct sa_piece piece = {.kind = kind,
                             .offset = r->next,
                             .next = r->next + counts,
                             .data = data->data,
                             .length = data->length};
    put_piece(r, &piece);
}

void sa_reply_recorded(struct sa_http_request *request, enum sa_reply_form form, const char *id,
                       const struct sa_exec_result *result, const struct sa_answer *answer)
{
    struct reply r = {.request = request, .form = form};
    sa_http_response_start(request, 200,
                           form == SA_REPLY_SSE ? "text/event-stream" : "application/x-ndjson", -1);
    int64_t total = result->totals[SA_CHANNEL_OUT] + result->totals[SA_CHANNEL_ERR];
    int64_t kept = (int64_t)(answer->outputs[0].length + answer->outputs[1].length);
    put_started_as(&r, id, 0);
    if (total > kept)
        put_dropped(&r, &(struct sa_piece){.offset = total - kept, .dropped = total - kept});
    put_recorded(&r, SA_ITEM_STDOUT, &answer->outputs[0], (int64_t)answer->outputs[0].length);
    put_recorded(&r, SA_ITEM_STDERR, &answer->outputs[1], (int64_t)answer->outputs[1].length);
    put_recorded(&r, SA_ITEM_ERROR, &answer->error, 1);
    put_result(&r, id, result, r.next);
    sa_buf_deinit(&r.line);
    sa_http_response_end(request);
}
