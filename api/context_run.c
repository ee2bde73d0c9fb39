/* The executions of a context: they wait, one runs, and each ends exactly once. */
#include "api/context_private.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STOP_GRACE_MS = 2000, /* between the interrupt and the end of the kernel */
    INPUT_MAX = 256 * 1024,
    INPUT_PIECE = 32 * 1024,
};

/* ---- the end ---- */

static void run_free(struct run *run)
{
    sa_buf_deinit(&run->input);
    sa_arena_free(run->arena);
    free(run);
}

static void unqueue(struct run *run)
{
    struct sa_context *c = run->context;
    DL_DELETE(c->queue, run);
    c->queued--;
    c->queued_bytes -= run->bytes;
}

void run_finish(struct run *run, const char *status, const struct sa_error *error)
{
    struct sa_context *c = run->context;
    struct sa_exec_result *r = &run->result;
    const int64_t most_cpus = 256;
    if (c->current == run) {
        c->current = NULL;
        sa_sandbox_timer_clear(c->box->sandbox, &c->deadline);
        r->duration_us = sa_monotonic_us() - run->started_us;
        if (c->blocked)
            kernel_unblock(c);
    } else {
        unqueue(run);
    }
    if (r->cpu_us > r->duration_us * most_cpus) /* the kernel's word is a hint, no more */
        r->cpu_us = r->duration_us * most_cpus;
    r->status = status;
    r->error = error;
    sa_execution_finish(run->execution, r);
    run_free(run);
}

static const char *stop_status(const struct run *run, const char *otherwise)
{
    return run->stop == RUN_TIMED_OUT  ? "timeout"
           : run->stop == RUN_CANCELED ? "canceled"
                                       : otherwise;
}

void run_done(struct run *run, const struct sa_kernel_frame *frame)
{
    struct sa_context *c = run->context;
    bool feeds = c->language->codec == SA_KERNEL_FIELDS && run->request.input && !run->input_told;
    run->result.exit_code = (int)frame->exit_code;
    run->result.cpu_us = frame->cpu_us;
    run->result.memory_peak_bytes = frame->memory_bytes;
    if (feeds) /* bash reads its stdin to the end before it takes the next */
        sa_kernel_put_input(c->language->codec, run->request.id, "", 0, true, &c->out);
    c->deaths = 0;
    c->execution_count++;
    run_finish(run, stop_status(run, "exited"), NULL);
    run_next(c);
    kernel_write(c);
}

void run_died(struct run *run, const char *status, const char *name, const char *how)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    if (run->stop == RUN_GOES_ON) {
        sa_json_w_begin_object(&w);
        sa_json_put_string(&w, "name", name);
        sa_json_put_string(&w, "value", how);
        sa_json_put_string(&w, "traceback", "");
        sa_json_w_end_object(&w);
        sa_execution_append(run->execution, SA_ITEM_ERROR, text.data, text.length);
    }
    run->context->execution_count++;
    run_finish(run, stop_status(run, status), NULL);
}

void run_cancel_all(struct sa_context *c, const struct sa_error *error)
{
    const char *status = error ? "failed" : "canceled";
    if (c->current)
        run_finish(c->current, status, error);
    while (c->queue)
        run_finish(c->queue, status, error); /* NOLINT: it takes itself off the queue */
}

/* ---- stopping ---- */

static void on_grace_over(struct sa_sandbox_timer *timer)
{
    struct sa_context *c = sa_container_of(timer, struct sa_context, deadline);
    snprintf(c->message, sizeof c->message, "an execution did not end when it was interrupted");
    kernel_kill(c);
}

/* Interrupt it; if that is not heeded, the kernel goes. */
static void run_stop(struct run *run, enum run_stop why)
{
    struct sa_context *c = run->context;
    if (run->stop != RUN_GOES_ON)
        return;
    run->stop = why;
    kernel_interrupt(c);
    c->deadline.fire = on_grace_over;
    sa_sandbox_timer_set(c->box->sandbox, &c->deadline, STOP_GRACE_MS);
    if (c->blocked) {
        run->muted = true;
        kernel_unblock(c);
    }
}

static void on_deadline(struct sa_sandbox_timer *timer)
{
    struct sa_context *c = sa_container_of(timer, struct sa_context, deadline);
    if (c->current)
        run_stop(c->current, RUN_TIMED_OUT);
}

/* ---- what it puts out ---- */

static void block(struct run *run, bool more)
{
    if (more)
        return;
    if (run->stop == RUN_GOES_ON)
        run->context->blocked = true;
    else
        run->muted = true;
}

void run_output(struct run *run, enum sa_link_channel channel, const void *data, size_t length)
{
    struct sa_exec_result *r = &run->result;
    int64_t room = run->output_max - r->totals[channel];
    size_t take = room <= 0 ? 0 : (uint64_t)room < length ? (size_t)room : length;
    r->totals[channel] += (int64_t)length;
    if (run->muted)
        take = 0;
    if (take < length)
        r->truncated[channel] = true;
    if (take)
        block(run, sa_execution_append(run->execution,
                                       channel == SA_CHANNEL_OUT ? SA_ITEM_STDOUT : SA_ITEM_STDERR,
                                       data, take));
}

void run_item(struct run *run, enum sa_item_kind kind, const void *json, size_t length)
{
    if (!run->muted)
        block(run, sa_execution_append(run->execution, kind, json, length));
}

/* ---- stdin ---- */

void run_send_input(struct run *run)
{
    struct sa_context *c = run->context;
    bool pushes = c->language->codec == SA_KERNEL_FIELDS;
    while (!run->input_told && c->out.length == c->out_at && (pushes || run->input_wanted)) {
        size_t left = run->input.length - run->input_at;
        size_t n = left < INPUT_PIECE ? left : INPUT_PIECE;
        bool last = n == left && !run->input_open;
        if (n == 0 && !last)
            return;
        const char *from = run->input.data ? run->input.data + run->input_at : "";
        sa_kernel_put_input(c->language->codec, run->request.id, from, n, last, &c->out);
        run->input_at += n;
        run->input_told = last;
        run->input_wanted = false;
        if (run->input_at == run->input.length) {
            sa_buf_deinit(&run->input);
            run->input_at = 0;
        }
        kernel_write(c);
    }
    if (run->input_refused && run->input.length - run->input_at < INPUT_MAX) {
        run->input_refused = false;
        sa_execution_input_writable(run->execution);
    }
}

/* Tell that code waits for stdin, when nothing is there for it. */
static void ask_client(struct run *run, const char *prompt)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "prompt", prompt);
    sa_json_w_end_object(&w);
    run_item(run, SA_ITEM_INPUT, text.data, text.length);
}

void run_wants_input(struct run *run, const struct sa_kernel_frame *frame)
{
    run->input_wanted = true;
    if (run->input_open && run->input.length == run->input_at)
        ask_client(run, frame->prompt);
    run_send_input(run);
}

static size_t input(void *source, const void *data, size_t length)
{
    struct run *run = source;
    size_t waits = run->input.length - run->input_at;
    size_t room = waits < INPUT_MAX ? INPUT_MAX - waits : 0;
    size_t take = length < room ? length : room;
    if (run->input_at > INPUT_MAX) {
        sa_buf_consume(&run->input, run->input_at);
        run->input_at = 0;
    }
    run->input_refused = take < length;
    sa_buf_add(&run->input, data, take);
    if (run->context->current == run)
        run_send_input(run);
    return take;
}

static void input_end(void *source)
{
    struct run *run = source;
    run->input_open = false;
    if (run->context->current == run)
        run_send_input(run);
}

/* ---- as a source ---- */

static void resume(void *source)
{
    struct run *run = source;
    if (run->context->current == run && run->context->blocked)
        kernel_unblock(run->context);
}

static void cancel(void *source)
{
    struct run *run = source;
    if (run->context->current == run)
        run_stop(run, RUN_CANCELED);
    else
        run_finish(run, "canceled", NULL);
}

static int send_signal(void *source, int number, struct sa_error *err)
{
    struct run *run = source;
    if (run->context->current != run)
        return sa_error_set(err, SA_ECONFLICT, "the execution waits for its context");
    return kernel_signal(run->context, number, err);
}

static const struct sa_source_ops ops = {.resume = resume,
                                         .cancel = cancel,
                                         .signal = send_signal,
                                         .input = input,
                                         .input_end = input_end};

/* ---- the start ---- */

void run_next(struct sa_context *c)
{
    struct run *run = c->queue;
    if (!c->ready || c->leaves || c->current)
        return;
    c->state = run ? CONTEXT_BUSY : CONTEXT_IDLE;
    if (!run)
        return;
    unqueue(run);
    c->current = run;
    run->started_us = sa_monotonic_us();
    sa_kernel_put_execute(c->language->codec, &run->request, &c->out);
    kernel_write(c);
    sa_execution_started(run->execution, c->pid);
    c->deadline.fire = on_deadline;
    sa_sandbox_timer_set(c->box->sandbox, &c->deadline, run->timeout_ms);
    if (run->request.input)
        run_send_input(run);
}

static struct run *run_new(struct sa_context *c, const struct sa_execute *execute,
                           int64_t output_max)
{
    struct run *run = sa_alloc(sizeof *run);
    struct sa_arena *a = run->arena = sa_arena_new();
    run->context = c;
    run->timeout_ms = execute->timeout_ms;
    run->output_max = output_max;
    run->result.exit_code = -1;
    run->input_open = execute->stdin_open;
    if (execute->stdin_text)
        sa_buf_adds(&run->input, execute->stdin_text);
    struct sa_kernel_request *r = &run->request;
    *r =
        (struct sa_kernel_request){.id = ++c->last_run_id,
                                   .code = sa_arena_strndup(a, execute->code, execute->code_length),
                                   .code_length = execute->code_length,
                                   .input = execute->stdin_text || execute->stdin_open};
    r->env.count = execute->env.count;
    r->env.items = sa_arena_alloc(a, (r->env.count + 1) * sizeof *r->env.items);
    run->bytes = r->code_length + run->input.length;
    for (size_t i = 0; i < r->env.count; i++) {
        r->env.items[i].key = sa_arena_strdup(a, execute->env.items[i].key);
        r->env.items[i].value = sa_arena_strdup(a, execute->env.items[i].value);
        run->bytes += strlen(r->env.items[i].key) + strlen(r->env.items[i].value);
    }
    return run;
}

static struct sa_context *check(struct sa_contexts *all, struct sa_sandbox *sandbox,
                                const struct sa_execute *execute, struct sa_error *err)
{
    struct sa_context *c = sa_context_find(all, sandbox, execute->context);
    if (!c || c->state == CONTEXT_STARTING)
        sa_error_at(err, SA_ENOTFOUND, "context", "no context \"%.40s\" in this sandbox",
                    execute->context);
    else if (execute->kind && strcmp(execute->kind, c->language->name) != 0)
        sa_error_at(err, SA_EINVALID, "language", "language: the context is %s, not %.20s",
                    c->language->name, execute->kind);
    else if (c->queued >= SA_CONTEXT_QUEUE_MAX)
        sa_error_at(err, SA_EQUOTA, "context", "%zu executions wait for this context already",
                    c->queued);
    else if (c->queued && c->queued_bytes + execute->code_length > SA_CONTEXT_QUEUE_BYTES)
        sa_error_at(err, SA_EQUOTA, "context",
                    "what waits for this context already has %zu bytes of code and input",
                    c->queued_bytes);
    else if (sa_sandbox_use(sandbox, err) == 0)
        return c;
    return NULL;
}

struct sa_execution *sa_context_execute(struct sa_contexts *all, struct sa_executions *executions,
                                        struct sa_sandbox *sandbox,
                                        const struct sa_execute *execute, int64_t output_max,
                                        struct sa_error *err)
{
    struct sa_context *c = check(all, sandbox, execute, err);
    if (!c)
        return NULL;
    struct run *run = run_new(c, execute, output_max);
    struct sa_execution_meta meta = {.kind = c->language->name,
                                     .summary = execute->summary,
                                     .context = c->id,
                                     .input_open = execute->stdin_open};
    run->execution = sa_execution_new(executions, sandbox, &meta, &ops, run, err);
    if (!run->execution) {
        run_free(run);
        return NULL;
    }
    struct sa_execution *execution = run->execution;
    DL_APPEND(c->queue, run);
    c->queued++;
    c->queued_bytes += run->bytes;
    run_next(c);
    return execution;
}
