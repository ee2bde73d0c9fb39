/*
 * The life of a context's kernel:
 *
 *     start   EXEC with a control channel; `init` is the first thing that is said to it
 *     ready   it said so in time: what waits may run
 *     dies    by itself, or because it was killed: the end of what ran is told, and another is
 *             started, at once the first time, after a pause when it happens again and again
 */
#include "api/context_private.h"
#include "api/exec_source.h"

#include "base/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    START_MS = 60 * 1000,
    GRACE_MS = 100, /* between TERM and KILL; the kernel itself has nothing to do then */
    AGAIN_MS = 250, /* doubled each time */
    AGAIN_MAX_MS = 30 * 1000,
    START_TRIES = 6, /* then what waits is told that it is no use */
};

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields);

/* ---- what goes to it ---- */

void kernel_write(struct sa_context *c)
{
    if (!c->call)
        return;
    size_t left = c->out.length - c->out_at;
    if (left)
        c->out_at += sa_call_write_control(c->call, c->out.data + c->out_at, left);
    if (c->out_at < c->out.length)
        return;
    c->out.length = c->out_at = 0;
    if (c->out.capacity > 65536)
        sa_buf_deinit(&c->out);
}

static int send_signal(struct sa_context *c, int number)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_EXEC_SIGNAL, number);
    return sa_call_note(c->call, &body);
}

int kernel_signal(struct sa_context *c, int number, struct sa_error *err)
{
    if (!c->call || c->leaves)
        return sa_error_set(err, SA_ECONFLICT, "the context is restarting");
    if (send_signal(c, number) == 0)
        return 0;
    c->interrupt_due = c->interrupt_due || number == SIGINT;
    return number == SIGINT
               ? 0
               : sa_error_set(err, SA_EUNAVAILABLE, "the context takes no signal now; try again");
}

void kernel_interrupt(struct sa_context *c)
{
    if (kernel_signal(c, SIGINT, NULL) < 0 || !c->language->interrupt_frame || !c->current)
        return;
    sa_kernel_put_interrupt(c->current->request.id, &c->out);
    kernel_write(c);
}

static void on_writable(void *user)
{
    struct sa_context *c = user;
    if (c->interrupt_due && c->current)
        c->interrupt_due = send_signal(c, SIGINT) < 0;
    kernel_write(c);
    if (c->current && c->out.length == 0)
        run_send_input(c->current);
}

void kernel_kill(struct sa_context *c)
{
    if (!c->call || c->leaves)
        return;
    c->leaves = true;
    c->ready = false;
    c->blocked = false;
    c->held = 0;
    sa_call_cancel(c->call);
}

void kernel_unblock(struct sa_context *c)
{
    size_t held = c->held;
    c->blocked = false;
    c->held = 0;
    if (held && c->call && !c->leaves)
        sa_call_consume(c->call, held);
}

/* ---- what comes from it ---- */

static void on_ready(struct sa_context *c)
{
    sa_sandbox_timer_clear(c->box->sandbox, &c->deadline);
    c->ready = true;
    c->message[0] = '\0';
    c->state = CONTEXT_IDLE;
    context_created(c, NULL);
    run_next(c);
}

/* Something could not be imported. */
static void on_failed(struct sa_context *c, const struct sa_kernel_frame *f)
{
    sa_error_at(&c->start_error, SA_EINVALID, "imports", "imports: %.100s: %.100s: %.250s",
                f->import, f->name, f->value);
    kernel_kill(c);
}

static bool on_frame(void *user, const struct sa_kernel_frame *f)
{
    struct sa_context *c = user;
    struct run *run = c->current;
    if (c->leaves)
        return false;
    if (!c->ready) {
        if (f->kind == SA_KERNEL_READY)
            on_ready(c);
        else if (f->kind == SA_KERNEL_FAILED)
            on_failed(c, f);
        return !c->leaves;
    }
    if (!run) /* threads and timers print between executions, too: nobody wants it */
        return true;
    if (f->kind == SA_KERNEL_STDOUT)
        run_output(run, SA_CHANNEL_OUT, f->data, f->length);
    else if (f->kind == SA_KERNEL_STDERR)
        run_output(run, SA_CHANNEL_ERR, f->data, f->length);
    else if (f->kind == SA_KERNEL_RESULT)
        run_item(run, SA_ITEM_RESULT, f->data, f->length);
    else if (f->kind == SA_KERNEL_ERROR)
        run_item(run, SA_ITEM_ERROR, f->data, f->length);
    else if (f->kind == SA_KERNEL_INPUT)
        run_wants_input(run, f);
    else if (f->kind == SA_KERNEL_DONE && f->id == run->request.id)
        run_done(run, f);
    return !c->leaves;
}

static void on_data(void *user, enum sa_link_channel channel, const void *data, size_t length)
{
    struct sa_context *c = user;
    struct sa_error error;
    if (channel == SA_CHANNEL_CONTROL) {
        if (sa_kernel_reader_feed(&c->reader, data, length, on_frame, c, &error) < 0) {
            c->broke_protocol = true;
            kernel_kill(c);
        }
    } else if (c->current && (channel == SA_CHANNEL_OUT || channel == SA_CHANNEL_ERR)) {
        run_output(c->current, channel, data, length);
    }
    if (c->leaves)
        return; /* then the link returns the credit */
    if (c->blocked)
        c->held += length;
    else
        sa_call_consume(c->call, length);
}

static void on_note(void *user, struct sa_fields *fields)
{
    struct sa_context *c = user;
    struct sa_field f;
    int64_t pid;
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_EXEC_PID && sa_field_int(&f, &pid, NULL) == 0 && pid > 0)
            c->pid = pid;
}

/* ---- the start ---- */

static void encode(const struct sa_context *c, struct sa_buf *body)
{
    for (const char *const *arg = c->language->argv; *arg; arg++)
        sa_fields_add_text(body, SA_EXEC_ARGV, *arg);
    for (size_t i = 0; i < c->spec.env.count; i++) {
        sa_autobuf pair = SA_BUF_INIT;
        sa_buf_printf(&pair, "%s=%s", c->spec.env.items[i].key, c->spec.env.items[i].value);
        sa_fields_add_text(body, SA_EXEC_ENV, pair.data);
    }
    if (c->spec.cwd)
        sa_fields_add_text(body, SA_EXEC_CWD, c->spec.cwd);
    sa_encode_limits(&c->spec.limits, body);
    sa_fields_add_text(body, SA_EXEC_FILTER, c->language->name);
    sa_fields_add_int(body, SA_EXEC_CONTROL, 1);
    if (strcmp(c->language->name, "python") == 0)
        sa_fields_add_text(body, SA_EXEC_TEMPLATE, "python"); /* a warm pod has imported IPython */
    sa_fields_add_int(body, SA_EXEC_GRACE_MS, GRACE_MS);
    sa_fields_add_int(body, SA_EXEC_OUT_MAX, INT64_MAX); /* counted for each execution here */
}

static void on_start_deadline(struct sa_sandbox_timer *timer)
{
    struct sa_context *c = sa_container_of(timer, struct sa_context, deadline);
    sa_error_set(&c->start_error, SA_ETIMEOUT, "the kernel was not ready within %d s",
                 START_MS / 1000);
    kernel_kill(c);
}

int kernel_start(struct sa_context *c, struct sa_error *err)
{
    static const struct sa_call_events events = {
        .data = on_data, .note = on_note, .writable = on_writable, .ended = on_ended};
    struct sa_sandbox *sandbox = c->box->sandbox;
    struct sa_runtime_conn *conn = sa_sandbox_conn(sandbox, err);
    sa_autobuf body = SA_BUF_INIT;
    if (!conn)
        return -1;
    encode(c, &body);
    c->call = sa_call_open(conn, SA_METHOD_EXEC, &body, &events, c, err);
    if (!c->call)
        return -1;
    c->ready = c->leaves = c->broke_protocol = c->interrupt_due = c->blocked = false;
    c->held = c->out_at = c->out.length = 0;
    c->pid = 0;
    c->start_error = (struct sa_error){0};
    c->oom_kills = sa_sandbox_oom_kills(sandbox);
    sa_kernel_reader_reset(&c->reader);
    sa_kernel_put_init(c->language->codec, c->reader.token, &c->spec.imports, &c->out);
    kernel_write(c);
    c->deadline.fire = on_start_deadline;
    sa_sandbox_timer_set(sandbox, &c->deadline, START_MS);
    return 0;
}

/* ---- the end ---- */

struct death {
    char status[16];
    int64_t exit_code, signal;
    bool oom;
};

static void read_death(struct sa_fields *fields, struct death *d)
{
    struct sa_field f;
    *d = (struct death){.exit_code = -1};
    while (sa_fields_next(fields, &f, NULL) > 0) {
        if (f.tag == SA_EXEC_STATUS)
            sa_field_text_into(&f, d->status, sizeof d->status, NULL);
        else if (f.tag == SA_EXEC_EXIT_CODE)
            sa_field_int(&f, &d->exit_code, NULL);
        else if (f.tag == SA_EXEC_EXIT_SIGNAL)
            sa_field_int(&f, &d->signal, NULL);
    }
    if (d->exit_code < -1 || d->exit_code > 255)
        d->exit_code = -1;
    if (d->signal < 0 || d->signal > 64)
        d->signal = 0;
}

static void on_again(struct sa_sandbox_timer *timer);

/* Start another, now or later. */
static void start_again(struct sa_context *c)
{
    struct sa_sandbox *sandbox = c->box->sandbox;
    struct sa_error error;
    c->state = CONTEXT_RESTARTING;
    if (sa_phase_ended(sa_sandbox_phase(sandbox)) ||
        sa_sandbox_phase(sandbox) == SA_PHASE_TERMINATING)
        return; /* it is freed with the sandbox */
    if (c->deaths <= 1 && kernel_start(c, &error) == 0)
        return;
    unsigned doublings = c->deaths > 1 ? c->deaths - 2 : 0;
    int64_t delay = doublings > 7 ? AGAIN_MAX_MS : (int64_t)AGAIN_MS << doublings;
    if (c->deaths >= START_TRIES) {
        sa_error_set(&error, SA_EUNAVAILABLE, "the context's kernel cannot be kept alive: %.200s",
                     c->message);
        while (c->queue)
            run_finish(c->queue, "failed", &error);
    }
    c->again.fire = on_again;
    sa_sandbox_timer_set(sandbox, &c->again, delay > AGAIN_MAX_MS ? AGAIN_MAX_MS : delay);
}

static void on_again(struct sa_sandbox_timer *timer)
{
    struct sa_context *c = sa_container_of(timer, struct sa_context, again);
    struct sa_error error;
    if (c->call || kernel_start(c, &error) == 0)
        return;
    c->deaths++;
    snprintf(c->message, sizeof c->message, "%.200s", error.message);
    start_again(c);
}

/* It never became ready: nobody has the context yet. */
static void never_ready(struct sa_context *c, const struct sa_error *error)
{
    struct sa_error told = c->start_error;
    if (error && !told.code)
        told = *error;
    if (strcmp(told.path, "command") == 0)
        sa_error_at(&told, SA_EINVALID, "language", "language: %s is not installed in this sandbox",
                    c->language->name);
    if (strcmp(told.path, "cwd") == 0)
        told.code = SA_EINVALID;
    if (!told.code)
        sa_error_set(&told, SA_EUNAVAILABLE, "the kernel did not start: it %s", c->message);
    context_created(c, &told);
}

static void died(struct sa_context *c, const struct death *d, const struct sa_error *error)
{
    char how[200];
    const char *status = "failed", *name = "KernelDied";
    if (c->broke_protocol)
        snprintf(how, sizeof how, "something was written to the kernel's control socket");
    else if (c->start_error.code)
        snprintf(how, sizeof how, "%.190s", c->start_error.message);
    else if (error)
        snprintf(how, sizeof how, "%.190s", error->message);
    else if (d->oom)
        snprintf(how, sizeof how, "it was killed, as the sandbox's memory was used up");
    else if (d->signal)
        snprintf(how, sizeof how, "it was killed by signal %d (%s)", (int)d->signal,
                 strsignal((int)d->signal));
    else
        snprintf(how, sizeof how, "it exited with status %d", (int)d->exit_code);
    if (!c->broke_protocol && !error)
        status = d->oom ? "oom" : d->signal ? "signaled" : "exited";
    if (strcmp(status, "exited") == 0 && c->language->codec == SA_KERNEL_FIELDS)
        name = "ShellExited"; /* as `exit` is meant to */
    bool asked = c->leaves && !c->broke_protocol && !c->start_error.code;
    if (!asked)
        snprintf(c->message, sizeof c->message, "%s", how);
    if (c->current) {
        c->current->result.exit_code = d->signal ? -1 : (int)d->exit_code;
        c->current->result.signal = (int)d->signal;
        run_died(c->current, status, name, how);
    }
    if (c->state == CONTEXT_STARTING) {
        never_ready(c, error);
        return;
    }
    if (!asked)
        c->deaths++;
    start_again(c);
}

static void on_oom_stats(void *user, struct sa_node_reply *reply)
{
    struct sa_context *c = user;
    struct sa_field f;
    int64_t kills = 0;
    struct death d = {.exit_code = -1, .signal = SIGKILL};
    while (!reply->error && sa_fields_next(&reply->fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_OOM_KILLS)
            sa_field_int(&f, &kills, NULL);
    d.oom = kills > c->oom_kills;
    died(c, &d, NULL);
}

static void on_ended(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct sa_context *c = user;
    struct death d;
    c->call = NULL;
    c->ready = false;
    sa_sandbox_timer_clear(c->box->sandbox, &c->deadline);
    read_death(fields, &d);
    /* A kill that nobody here asked for may be the kernel's that is out of memory; the node knows.
     */
    if (!error && !c->leaves && d.signal == SIGKILL)
        sa_sandbox_stats(c->box->sandbox, on_oom_stats, c);
    else
        died(c, &d, error);
}
