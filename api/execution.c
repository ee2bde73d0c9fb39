/* Executions over the link. */
#include "api/execution.h"

#include "base/clock.h"
#include "log/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sa_execution {
    char id[SA_ID_BYTES];
    char sandbox_id[SA_ID_BYTES];
    struct sa_sandboxes *all;
    struct sa_call *call;            /* NULL once ended */
    const struct sa_exec_sink *sink; /* NULL once abandoned */
    void *user;
    struct sa_buf input; /* code, then stdin; bytes before input_at are written */
    size_t input_at;
    bool input_ends; /* with an EOF: there is stdin */
    struct sa_exec_result result;
    struct sa_error error;
    char status[16];
    bool noted; /* that it has started */
    int64_t offsets[SA_CHANNELS];
    int64_t output_max, oom_kills, started_ms;
    char *kind, *summary;
};

const char *sa_execution_id(const struct sa_execution *execution)
{
    return execution->id;
}

static void record(const struct sa_execution *e, bool ended)
{
    const struct sa_exec_result *r = &e->result;
    struct sa_error error;
    struct sa_store_execution row = {.id = e->id,
                                     .sandbox = e->sandbox_id,
                                     .kind = e->kind,
                                     .status = ended ? r->status : "running",
                                     .reason = ended && r->error ? r->error->message : "",
                                     .command = e->summary,
                                     .exit_code = r->exit_code,
                                     .signal = r->signal,
                                     .started_ms = e->started_ms,
                                     .duration_us = r->duration_us,
                                     .cpu_us = r->cpu_us,
                                     .memory_peak_bytes = r->memory_peak_bytes,
                                     .out_total = r->totals[SA_CHANNEL_OUT],
                                     .err_total = r->totals[SA_CHANNEL_ERR],
                                     .out_truncated = r->truncated[SA_CHANNEL_OUT],
                                     .err_truncated = r->truncated[SA_CHANNEL_ERR]};
    struct sa_sandbox *sandbox = sa_sandbox_find(e->all, e->sandbox_id);
    if (!sandbox && !ended)
        return;
    if (sa_store_put_execution(sa_sandboxes_store(e->all), &row, NULL, NULL, &error) < 0)
        sa_log_error("execution not recorded", SA_LOG_S("execution", e->id), SA_LOG_ERR(&error));
}

static void finish(struct sa_execution *e, const char *status)
{
    e->result.status = status;
    e->result.truncated[SA_CHANNEL_OUT] = e->result.totals[SA_CHANNEL_OUT] > e->output_max;
    e->result.truncated[SA_CHANNEL_ERR] = e->result.totals[SA_CHANNEL_ERR] > e->output_max;
    record(e, true);
    if (e->sink)
        e->sink->finished(e->user, &e->result);
    sa_buf_deinit(&e->input);
    free(e->kind);
    free(e->summary);
    free(e);
}

/* Was it the memory limit? The node's counter tells. */
static void on_oom_stats(void *user, struct sa_node_reply *reply)
{
    struct sa_execution *e = user;
    struct sa_field f;
    int64_t kills = 0;
    while (sa_fields_next(&reply->fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_OOM_KILLS)
            sa_field_int(&f, &kills, NULL);
    finish(e, kills > e->oom_kills ? "oom" : e->status);
}

/* The runtime lives with the code it runs: of what it says only what can be is believed. */
static void read_status(struct sa_execution *e, const struct sa_field *f)
{
    static const char *const known[] = {"exited", "signaled", "timeout", "canceled"};
    char text[sizeof e->status];
    if (sa_field_text_into(f, text, sizeof text, NULL) < 0)
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], text) == 0)
            memcpy(e->status, text, sizeof text);
}

static void read_result(struct sa_execution *e, struct sa_fields *fields)
{
    struct sa_exec_result *r = &e->result;
    struct sa_field f;
    int64_t n;
    snprintf(e->status, sizeof e->status, "failed");
    while (sa_fields_next(fields, &f, NULL) > 0) {
        if (f.tag == SA_EXEC_STATUS) {
            read_status(e, &f);
            continue;
        }
        if (sa_field_int(&f, &n, NULL) < 0 || n < 0)
            continue;
        if (f.tag == SA_EXEC_EXIT_CODE)
            r->exit_code = n <= 255 ? (int)n : -1;
        else if (f.tag == SA_EXEC_EXIT_SIGNAL)
            r->signal = n <= 64 ? (int)n : 0;
        else if (f.tag == SA_EXEC_DURATION_US)
            r->duration_us = n;
        else if (f.tag == SA_EXEC_CPU_US)
            r->cpu_us = n;
        else if (f.tag == SA_EXEC_MEMORY_PEAK)
            r->memory_peak_bytes = n;
        else if (f.tag == SA_EXEC_OUT_TOTAL)
            r->totals[SA_CHANNEL_OUT] = n;
        else if (f.tag == SA_EXEC_ERR_TOTAL)
            r->totals[SA_CHANNEL_ERR] = n;
    }
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_execution *e = user;
    e->call = NULL;
    if (error) {
        e->error = *error;
        e->result.error = &e->error;
        finish(e, error->code == SA_ECANCELED ? "canceled" : "failed");
        return;
    }
    read_result(e, fields);
    bool killed = e->result.signal == SIGKILL || e->result.exit_code == 128 + SIGKILL;
    bool by_itself = strcmp(e->status, "signaled") == 0 || strcmp(e->status, "exited") == 0;
    struct sa_sandbox *sandbox = sa_sandbox_find(e->all, e->sandbox_id);
    if (killed && by_itself && sandbox)
        sa_sandbox_stats(sandbox, on_oom_stats, e);
    else
        finish(e, e->status);
}

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct sa_execution *e = user;
    int64_t offset = e->offsets[channel], room = e->output_max - offset;
    size_t taken = length;
    /* The runtime was told the most; what it sends beyond is dropped, or we would grow. */
    if ((channel != SA_CHANNEL_OUT && channel != SA_CHANNEL_ERR) || !e->sink || room <= 0)
        taken = 0;
    else if ((uint64_t)room < length)
        taken = (size_t)room;
    e->offsets[channel] += (int64_t)taken;
    if (taken < length)
        sa_call_consume(e->call, length - taken);
    if (taken)
        e->sink->output(e->user, channel, data, taken, offset);
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct sa_execution *e = user;
    struct sa_field f;
    int64_t pid = 0;
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_EXEC_PID && sa_field_int(&f, &pid, NULL) == 0 && !e->noted) {
            e->noted = true;
            if (e->sink && e->sink->started)
                e->sink->started(e->user, pid);
        }
}

static void write_input(void *user)
{
    struct sa_execution *e = user;
    if (!e->input.data)
        return;
    e->input_at +=
        sa_call_write(e->call, e->input.data + e->input_at, e->input.length - e->input_at);
    if (e->input_at < e->input.length)
        return;
    sa_buf_deinit(&e->input);
    if (e->input_ends)
        sa_call_eof(e->call);
}

static const struct sa_call_events call_events = {
    .data = on_data, .note = on_note, .writable = write_input, .ended = on_ended};

static void encode(const struct sa_execute *x, int64_t output_max, struct sa_buf *body)
{
    for (size_t i = 0; i < x->argc; i++)
        sa_fields_add_text(body, SA_EXEC_ARGV, x->argv[i]);
    for (size_t i = 0; i < x->env.count; i++) {
        sa_autobuf pair = SA_BUF_INIT;
        sa_buf_printf(&pair, "%s=%s", x->env.items[i].key, x->env.items[i].value);
        sa_fields_add_text(body, SA_EXEC_ENV, pair.data);
    }
    if (x->code)
        sa_fields_add_int(body, SA_EXEC_CODE_BYTES, (int64_t)x->code_length);
    if (x->cwd)
        sa_fields_add_text(body, SA_EXEC_CWD, x->cwd);
    if (x->stdin_text)
        sa_fields_add_int(body, SA_EXEC_STDIN, 1);
    sa_fields_add_int(body, SA_EXEC_TIMEOUT_MS, x->timeout_ms);
    sa_fields_add_text(body, SA_EXEC_FILTER, x->filter);
    sa_fields_add_int(body, SA_EXEC_OUT_MAX, output_max);
}

struct sa_execution *sa_execution_start(struct sa_sandbox *sandbox,
                                        const struct sa_execute *execute, int64_t output_max,
                                        const struct sa_exec_sink *sink, void *user,
                                        struct sa_error *err)
{
    struct sa_runtime_conn *conn = sa_sandbox_conn(sandbox, err);
    if (!conn)
        return NULL;
    struct sa_execution *e = sa_alloc(sizeof *e);
    sa_autobuf body = SA_BUF_INIT;
    encode(execute, output_max, &body);
    sa_id_new("ex-", e->id);
    snprintf(e->sandbox_id, sizeof e->sandbox_id, "%s", sa_sandbox_id(sandbox));
    e->all = sa_sandbox_all(sandbox);
    e->sink = sink;
    e->user = user;
    e->output_max = output_max;
    e->oom_kills = sa_sandbox_oom_kills(sandbox);
    e->started_ms = sa_wall_ms();
    e->result.exit_code = -1;
    e->call = sa_call_open(conn, SA_METHOD_EXEC, &body, &call_events, e, err);
    if (!e->call) {
        free(e);
        return NULL;
    }
    e->kind = sa_strdup(execute->kind);
    e->summary = sa_strndup(execute->summary, strnlen(execute->summary, SA_STORE_COMMAND_MAX));
    if (execute->code)
        sa_buf_add(&e->input, execute->code, execute->code_length);
    if (execute->stdin_text)
        sa_buf_adds(&e->input, execute->stdin_text);
    e->input_ends = execute->stdin_text != NULL;
    if (e->input.length || e->input_ends)
        sa_buf_reserve(&e->input, 0);
    write_input(e);
    record(e, false);
    return e;
}

void sa_execution_consume(struct sa_execution *execution, size_t length)
{
    if (execution->call)
        sa_call_consume(execution->call, length);
}

void sa_execution_abandon(struct sa_execution *execution)
{
    execution->sink = NULL;
    if (execution->call)
        sa_call_cancel(execution->call);
}
