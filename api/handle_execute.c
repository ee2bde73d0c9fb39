/* POST /sandboxes/{id}/execute: decode, start, and answer whole (collect) or as a stream. */
#include "api/app.h"
#include "api/exec_output.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
    COLLECT_MAX = 4 * 1024 * 1024, /* of each output, when the client waits for the whole */
    STREAM_MAX = 1024 * 1024 * 1024,
    PIECE_MAX = 64 * 1024, /* output bytes in one line */
};

enum form { FORM_WHOLE, FORM_NDJSON, FORM_SSE };

struct run {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    char sandbox_id[SA_ID_BYTES];
    enum form form;
    struct sa_execution *execution;
    struct sa_buf outputs[SA_CHANNELS]; /* whole: collected; stream: [0] is the line */
    /* stream */
    struct sa_utf8_cut cuts[SA_CHANNELS];
    int64_t offsets[SA_CHANNELS]; /* of the next byte */
    enum sa_link_channel channel; /* of the piece being emitted */
    size_t held;                  /* credit kept back because the client is slow */
    bool writable;
};

static void run_cleanup(void *user)
{
    struct run *run = user;
    for (size_t i = 0; i < SA_CHANNELS; i++)
        sa_buf_deinit(&run->outputs[i]);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct run *run = user;
    (void)request;
    if (run->execution)
        sa_execution_abandon(run->execution);
}

static void count_end(struct run *run, const struct sa_exec_result *result)
{
    sa_counter_add(sa_metric_series(run->app->executions_total, SA_VALUES(result->status)), 1);
    sa_histogram_observe(run->app->execution_seconds, (double)result->duration_us / 1e6);
}

/* ---- the whole answer ---- */

static void collect_output(void *user, enum sa_link_channel channel, const void *data,
                           size_t length, int64_t offset)
{
    struct run *run = user;
    (void)offset;
    sa_buf_add(&run->outputs[channel], data, length);
    sa_execution_consume(run->execution, length);
}

static void put_outputs(struct run *run, struct sa_json_w *w)
{
    const struct sa_buf *out = &run->outputs[SA_CHANNEL_OUT], *err = &run->outputs[SA_CHANNEL_ERR];
    if (sa_utf8_valid(out->data, out->length) && sa_utf8_valid(err->data, err->length)) {
        sa_json_put_stringn(w, "stdout", out->length ? out->data : "", out->length);
        sa_json_put_stringn(w, "stderr", err->length ? err->data : "", err->length);
        return;
    }
    sa_json_put_base64(w, "stdout", out->data, out->length);
    sa_json_put_base64(w, "stderr", err->data, err->length);
    sa_json_put_string(w, "encoding", "base64");
}

/* A capped output ends where the cap fell: do not let a split character make it look binary. */
static void trim_capped(struct sa_buf *output)
{
    if (output->length >= COLLECT_MAX)
        output->length -= sa_utf8_partial_tail(output->data, output->length);
}

static void collect_finished(void *user, const struct sa_exec_result *result)
{
    struct run *run = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    trim_capped(&run->outputs[SA_CHANNEL_OUT]);
    trim_capped(&run->outputs[SA_CHANNEL_ERR]);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "id", sa_execution_id(run->execution));
    put_outputs(run, &w);
    sa_exec_result_print(result, &w);
    sa_json_w_end_object(&w);
    count_end(run, result);
    run->execution = NULL;
    sa_http_request_on_closed(run->request, NULL, NULL);
    sa_respond_json(run->request, 200, &body);
}

static const struct sa_exec_sink collect_sink = {.output = collect_output,
                                                 .finished = collect_finished};

/* ---- the stream ---- */

static struct sa_json_w line_begin(struct run *run, const char *type)
{
    struct sa_buf *line = &run->outputs[0];
    line->length = 0;
    if (run->form == FORM_SSE)
        sa_buf_adds(line, "data: ");
    struct sa_json_w w = sa_json_w_start(line);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", type);
    return w;
}

static void line_end(struct run *run, struct sa_json_w *w)
{
    struct sa_buf *line = &run->outputs[0];
    sa_json_w_end_object(w);
    sa_buf_adds(line, run->form == FORM_SSE ? "\n\n" : "\n");
    run->writable = sa_http_response_write(run->request, line->data, line->length);
}

static void stream_started(void *user, int64_t pid)
{
    struct run *run = user;
    struct sa_json_w w = line_begin(run, "started");
    sa_json_put_string(&w, "id", sa_execution_id(run->execution));
    sa_json_put_int(&w, "pid", pid);
    line_end(run, &w);
}

static void emit_piece(void *user, const void *data, size_t length, int64_t offset)
{
    struct run *run = user;
    struct sa_json_w w = line_begin(run, run->channel == SA_CHANNEL_OUT ? "stdout" : "stderr");
    sa_json_put_int(&w, "offset", offset);
    sa_json_w_bytes(&w, "data", data, length);
    line_end(run, &w);
}

static void stream_output(void *user, enum sa_link_channel channel, const void *data, size_t length,
                          int64_t offset)
{
    struct run *run = user;
    const char *from = data;
    run->channel = channel;
    for (size_t left = length; left;) {
        size_t n = left < PIECE_MAX ? left : PIECE_MAX;
        sa_utf8_cut_feed(&run->cuts[channel], from, n, offset, false, emit_piece, run);
        from += n;
        offset += (int64_t)n;
        left -= n;
    }
    run->offsets[channel] = offset;
    if (run->writable)
        sa_execution_consume(run->execution, length);
    else
        run->held += length;
}

static void on_stream_writable(struct sa_http_request *request, void *user)
{
    struct run *run = user;
    (void)request;
    run->writable = true;
    if (run->held && run->execution)
        sa_execution_consume(run->execution, run->held);
    run->held = 0;
}

static void stream_finished(void *user, const struct sa_exec_result *result)
{
    struct run *run = user;
    for (enum sa_link_channel c = SA_CHANNEL_OUT; c <= SA_CHANNEL_ERR; c++) {
        run->channel = c;
        sa_utf8_cut_feed(&run->cuts[c], "", 0, run->offsets[c], true, emit_piece, run);
    }
    if (result->error) {
        struct sa_json_w e = line_begin(run, "error");
        sa_json_put_string(&e, "name", sa_code_name(result->error->code));
        sa_json_put_string(&e, "value", result->error->message);
        sa_json_put_string(&e, "traceback", "");
        line_end(run, &e);
    }
    struct sa_json_w w = line_begin(run, "exited");
    sa_json_put_string(&w, "id", sa_execution_id(run->execution));
    sa_exec_result_print(result, &w);
    line_end(run, &w);
    count_end(run, result);
    run->execution = NULL;
    sa_http_request_on_closed(run->request, NULL, NULL);
    sa_http_response_end(run->request);
}

static const struct sa_exec_sink stream_sink = {
    .started = stream_started, .output = stream_output, .finished = stream_finished};

/* ---- the request ---- */

static enum form wanted_form(const struct sa_http_request *request)
{
    const char *accept = sa_http_request_header(request, "accept");
    if (accept && strstr(accept, "application/x-ndjson"))
        return FORM_NDJSON;
    if (accept && strstr(accept, "text/event-stream"))
        return FORM_SSE;
    return FORM_WHOLE;
}

static void start(struct run *run, const struct sa_execute *execute, struct sa_sandbox *sandbox)
{
    struct sa_error error;
    bool whole = run->form == FORM_WHOLE;
    run->execution = sa_execution_start(sandbox, execute, whole ? COLLECT_MAX : STREAM_MAX,
                                        whole ? &collect_sink : &stream_sink, run, &error);
    if (!run->execution) {
        sa_http_respond_error(run->request, &error);
        return;
    }
    sa_http_request_on_closed(run->request, on_client_gone, run);
    if (whole)
        return;
    run->writable = true;
    sa_http_response_on_writable(run->request, on_stream_writable, run);
    sa_http_response_start(run->request, 200,
                           run->form == FORM_SSE ? "text/event-stream" : "application/x-ndjson",
                           -1);
}

static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct run *run = user;
    struct sa_execute execute;
    struct sa_error error;
    struct sa_arena *arena = sa_http_request_arena(request);
    if (sa_execute_decode(body, length, arena, &execute, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_sandbox *sandbox = sa_route_sandbox(run->app, request, run->principal);
    if (sandbox)
        start(run, &execute, sandbox);
}

void sa_handle_execute(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    if (!sa_route_sandbox(app, request, principal))
        return;
    struct run *run = sa_arena_alloc(sa_http_request_arena(request), sizeof *run);
    *run = (struct run){.app = app, .principal = principal, .request = request};
    run->form = wanted_form(request);
    sa_http_request_set_cleanup(request, run_cleanup, run);
    sa_http_request_collect(request, SA_EXECUTE_BODY_MAX, on_body, run);
}

const struct sa_api_route sa_routes_execution[] = {
    {"POST", SA_SANDBOX_PATH "/execute", SA_PERM_SANDBOXES_EXECUTE, sa_handle_execute}, {0}};
