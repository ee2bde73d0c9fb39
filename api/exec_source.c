/* A program of its own as the source of an execution: one stream of the sandbox's link. */
#include "api/exec_source.h"
#include "api/context.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct source {
    struct sa_execution *execution;
    struct sa_sandboxes *sandboxes;
    char sandbox_id[SA_ID_BYTES];
    struct sa_call *call; /* NULL once ended */
    struct sa_buf first;  /* code, then the stdin that was given; before first_at it is written */
    size_t first_at;
    bool input_ends; /* nothing follows that */
    struct sa_exec_result result;
    const char *status;
    int64_t offsets[SA_CHANNELS], output_max, oom_kills;
    size_t owed; /* credit kept back */
    bool held;
};

/* ---- the end ---- */

static void finish(struct source *s, const char *status)
{
    struct sa_exec_result *r = &s->result;
    r->status = status;
    for (int c = SA_CHANNEL_OUT; c <= SA_CHANNEL_ERR; c++)
        r->truncated[c] = r->totals[c] > s->output_max;
    sa_execution_finish(s->execution, r);
    sa_buf_deinit(&s->first);
    free(s);
}

/* Was it the memory limit? The node's counter tells. */
static void on_oom_stats(void *user, struct sa_node_reply *reply)
{
    struct source *s = user;
    struct sa_field f;
    int64_t kills = 0;
    while (sa_fields_next(&reply->fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_OOM_KILLS)
            sa_field_int(&f, &kills, NULL);
    finish(s, kills > s->oom_kills ? "oom" : s->status);
}

/* The runtime lives with the code it runs: of what it says only what can be is believed. */
static void read_status(struct source *s, const struct sa_field *f)
{
    static const char *const known[] = {"exited", "signaled", "timeout", "canceled"};
    char text[16];
    if (sa_field_text_into(f, text, sizeof text, NULL) < 0)
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], text) == 0)
            s->status = known[i];
}

static void read_figure(struct sa_exec_result *r, uint16_t tag, int64_t n)
{
    if (tag == SA_EXEC_EXIT_CODE)
        r->exit_code = n <= 255 ? (int)n : -1;
    else if (tag == SA_EXEC_EXIT_SIGNAL)
        r->signal = n <= 64 ? (int)n : 0;
    else if (tag == SA_EXEC_DURATION_US)
        r->duration_us = n;
    else if (tag == SA_EXEC_CPU_US)
        r->cpu_us = n;
    else if (tag == SA_EXEC_MEMORY_PEAK)
        r->memory_peak_bytes = n;
    else if (tag == SA_EXEC_OUT_TOTAL)
        r->totals[SA_CHANNEL_OUT] = n;
    else if (tag == SA_EXEC_ERR_TOTAL)
        r->totals[SA_CHANNEL_ERR] = n;
}

static void read_result(struct source *s, struct sa_fields *fields)
{
    struct sa_field f;
    int64_t n;
    s->status = "failed";
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_EXEC_STATUS)
            read_status(s, &f);
        else if (sa_field_int(&f, &n, NULL) == 0 && n >= 0)
            read_figure(&s->result, f.tag, n);
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct source *s = user;
    s->call = NULL;
    if (error) {
        s->result.error = error;
        finish(s, error->code == SA_ECANCELED ? "canceled" : "failed");
        return;
    }
    read_result(s, fields);
    bool killed = s->result.signal == SIGKILL || s->result.exit_code == 128 + SIGKILL;
    bool by_itself = strcmp(s->status, "signaled") == 0 || strcmp(s->status, "exited") == 0;
    struct sa_sandbox *sandbox = sa_sandbox_find(s->sandboxes, s->sandbox_id);
    if (killed && by_itself && sandbox)
        sa_sandbox_stats(sandbox, on_oom_stats, s);
    else
        finish(s, s->status);
}

/* ---- output ---- */

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct source *s = user;
    bool output = channel == SA_CHANNEL_OUT || channel == SA_CHANNEL_ERR;
    int64_t room = output ? s->output_max - s->offsets[channel] : 0;
    /* The runtime was told the most; what it sends beyond is dropped. */
    size_t taken = room <= 0 ? 0 : (uint64_t)room < length ? (size_t)room : length;
    s->owed += length;
    if (taken) {
        s->offsets[channel] += (int64_t)taken;
        s->held = !sa_execution_append(
            s->execution, channel == SA_CHANNEL_OUT ? SA_ITEM_STDOUT : SA_ITEM_STDERR, data, taken);
    }
    if (!s->held) {
        sa_call_consume(s->call, s->owed);
        s->owed = 0;
    }
}

static void resume(void *source)
{
    struct source *s = source;
    s->held = false;
    if (s->call)
        sa_call_consume(s->call, s->owed);
    s->owed = 0;
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct source *s = user;
    struct sa_field f;
    int64_t pid = 0;
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_EXEC_PID && sa_field_int(&f, &pid, NULL) == 0)
            sa_execution_started(s->execution, pid);
}

/* ---- input and the rest ---- */

static void on_writable(void *user)
{
    struct source *s = user;
    if (s->first.data) {
        s->first_at +=
            sa_call_write(s->call, s->first.data + s->first_at, s->first.length - s->first_at);
        if (s->first_at < s->first.length)
            return;
        sa_buf_deinit(&s->first);
        if (s->input_ends)
            sa_call_eof(s->call);
    }
    sa_execution_input_writable(s->execution);
}

static size_t input(void *source, const void *data, size_t length)
{
    struct source *s = source;
    if (s->first.data || !s->call)
        return 0;
    return sa_call_write(s->call, data, length);
}

static void input_end(void *source)
{
    struct source *s = source;
    if (s->first.data)
        s->input_ends = true;
    else if (s->call)
        sa_call_eof(s->call);
}

static void cancel(void *source)
{
    struct source *s = source;
    if (s->call)
        sa_call_cancel(s->call);
}

static int note(struct source *s, uint16_t tag, int64_t value, struct sa_error *err)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, tag, value);
    if (!s->call)
        return sa_error_set(err, SA_ECONFLICT, "the execution is ending");
    if (sa_call_note(s->call, &body) < 0)
        return sa_error_set(err, SA_EUNAVAILABLE,
                            "the execution takes no notice now: its input is not being read");
    return 0;
}

static int send_signal(void *source, int number, struct sa_error *err)
{
    return note(source, SA_EXEC_SIGNAL, number, err);
}

static int resize(void *source, int rows, int cols, struct sa_error *err)
{
    return note(source, SA_EXEC_WINDOW, (int64_t)rows << 16 | cols, err);
}

static const struct sa_source_ops source_ops = {.resume = resume,
                                                .cancel = cancel,
                                                .signal = send_signal,
                                                .input = input,
                                                .input_end = input_end,
                                                .resize = resize};
static const struct sa_call_events call_events = {
    .data = on_data, .note = on_note, .writable = on_writable, .ended = on_ended};

/* ---- the start ---- */

/* Code in Python is forked from an interpreter that waits, with the sandbox's modules imported. */
static void encode_template(const struct sa_execute *x, const struct sa_sandbox_spec *spec,
                            struct sa_buf *body)
{
    if (strcmp(x->kind, "python") != 0 || x->tty)
        return;
    sa_fields_add_text(body, SA_EXEC_TEMPLATE, "python");
    for (size_t i = 0; i < spec->imports.count; i++)
        sa_fields_add_text(body, SA_EXEC_IMPORT, spec->imports.items[i]);
}

static void add_limit(const char *name, int64_t soft, int64_t hard, struct sa_buf *body)
{
    char text[64];
    if (soft < 0)
        return;
    snprintf(text, sizeof text, "%s=%lld:%lld", name, (long long)soft, (long long)hard);
    sa_fields_add_text(body, SA_EXEC_RLIMIT, text);
}

void sa_encode_limits(const struct sa_execute_limits *l, struct sa_buf *body)
{
    add_limit("data", l->memory_bytes, l->memory_bytes, body);
    add_limit("cpu", l->cpu_seconds, l->cpu_seconds + 1, body);
    add_limit("fsize", l->file_size_bytes, l->file_size_bytes, body);
    add_limit("nofile", l->open_files, l->open_files, body);
}

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
    if (x->stdin_text || x->stdin_open)
        sa_fields_add_int(body, SA_EXEC_STDIN, 1);
    if (x->tty)
        sa_fields_add_int(body, SA_EXEC_TTY, (int64_t)x->rows << 16 | x->cols);
    sa_encode_limits(&x->limits, body);
    sa_fields_add_int(body, SA_EXEC_TIMEOUT_MS, x->timeout_ms);
    sa_fields_add_text(body, SA_EXEC_FILTER, x->filter);
    sa_fields_add_int(body, SA_EXEC_OUT_MAX, output_max);
}

static void write_first(struct source *s, const struct sa_execute *x)
{
    if (x->code)
        sa_buf_add(&s->first, x->code, x->code_length);
    if (x->stdin_text)
        sa_buf_adds(&s->first, x->stdin_text);
    s->input_ends = x->stdin_text && !x->stdin_open;
    if (s->first.length || s->input_ends) {
        sa_buf_reserve(&s->first, 0);
        on_writable(s);
    }
}

struct sa_execution *sa_program_run(struct sa_executions *all, struct sa_sandbox *sandbox,
                                    const struct sa_execute *execute, int64_t output_max,
                                    struct sa_error *err)
{
    struct sa_runtime_conn *conn = sa_sandbox_conn(sandbox, err);
    if (!conn || sa_executions_check(all, sandbox, err) < 0)
        return NULL;
    sa_autobuf body = SA_BUF_INIT;
    encode(execute, output_max, &body);
    encode_template(execute, sa_sandbox_spec(sandbox), &body);
    struct source *s = sa_alloc(sizeof *s);
    struct sa_execution_meta meta = {.kind = execute->kind,
                                     .summary = execute->summary,
                                     .tty = execute->tty,
                                     .input_open = execute->stdin_open};
    s->call = sa_call_open(conn, SA_METHOD_EXEC, &body, &call_events, s, err);
    if (!s->call) {
        free(s);
        return NULL;
    }
    s->execution = sa_execution_new(all, sandbox, &meta, &source_ops, s, err);
    s->sandboxes = sa_sandbox_all(sandbox);
    snprintf(s->sandbox_id, sizeof s->sandbox_id, "%s", sa_sandbox_id(sandbox));
    s->output_max = output_max;
    s->oom_kills = sa_sandbox_oom_kills(sandbox);
    s->result.exit_code = -1;
    write_first(s, execute);
    return s->execution;
}

struct sa_execution *sa_execution_start(struct sa_executions *all, struct sa_sandbox *sandbox,
                                        const struct sa_execute *execute, int64_t output_max,
                                        struct sa_error *err)
{
    struct sa_execute own = *execute;
    if (execute->context)
        return sa_context_execute(sa_executions_contexts(all), all, sandbox, execute, output_max,
                                  err);
    if (!own.argv && sa_execute_set_language(&own, sa_sandbox_spec(sandbox)->language, err) < 0)
        return NULL;
    return sa_program_run(all, sandbox, &own, output_max, err);
}
