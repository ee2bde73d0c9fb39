/* A policy-worker's parent side: its life and its calls. */
#include "base/arena.h"
#include "base/utf8.h"
#include "loop/loop.h"
#include "lua/worker_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- end of life ---- */

static void free_when_over(struct sa_worker *worker)
{
    if (!worker->released || !worker->handles_closed || !worker->reaped)
        return;
    sa_startup_end(worker);
    sa_buf_deinit(&worker->out);
    free(worker->in);
    free(worker);
}

static void on_closed(uv_handle_t *handle)
{
    struct sa_worker *worker = handle->data;
    if (--worker->open)
        return;
    close(worker->socket);
    worker->handles_closed = true;
    free_when_over(worker);
}

static void on_reaped(uv_handle_t *handle)
{
    struct sa_worker *worker = handle->data;
    close(worker->process.pidfd);
    worker->process = (struct sa_process){-1, -1};
    worker->reaped = true;
    sa_loop_release(worker->options.loop);
    free_when_over(worker);
}

/* Calls nobody. */
static void drop_calls(struct sa_worker *worker)
{
    while (worker->oldest) {
        struct sa_worker_call *call = worker->oldest;
        worker->oldest = call->next;
        free(call);
    }
    worker->newest = &worker->oldest;
    worker->in_flight = worker->wanted = 0;
}

static void stop(struct sa_worker *worker)
{
    worker->state = SA_WORKER_GONE;
    sa_process_kill(&worker->process);
    uv_poll_stop(&worker->socket_poll);
    uv_prepare_stop(&worker->flush);
    uv_timer_stop(&worker->watchdog);
}

void sa_worker_kill(struct sa_worker *worker)
{
    if (worker->released)
        return;
    worker->released = true;
    stop(worker);
    drop_calls(worker);
    uv_close((uv_handle_t *)&worker->socket_poll, on_closed);
    uv_close((uv_handle_t *)&worker->flush, on_closed);
    uv_close((uv_handle_t *)&worker->watchdog, on_closed);
}

void sa_worker_close(struct sa_worker *worker)
{
    if (worker->state != SA_WORKER_READY || !worker->wanted) {
        sa_worker_kill(worker);
        return;
    }
    worker->state = SA_WORKER_CLOSING;
    worker->close_ms = uv_now(worker->options.loop) + (uint64_t)worker->options.limits.kill_wall_ms;
}

void sa_worker_tell(struct sa_worker_call *call, const struct sa_error *err,
                    const struct sa_value *verdict)
{
    sa_worker_cb done = call->done;
    if (!done)
        return;
    call->done = NULL;
    call->worker->wanted--;
    done(call->user, err, verdict);
}

static struct sa_worker_call *take_oldest(struct sa_worker *worker)
{
    struct sa_worker_call *call = worker->oldest;
    worker->oldest = call->next;
    if (!worker->oldest)
        worker->newest = &worker->oldest;
    worker->in_flight--;
    return call;
}

void sa_worker_lost(struct sa_worker *worker, const struct sa_error *first,
                    const struct sa_error *others)
{
    bool starting = worker->state == SA_WORKER_STARTING;
    bool closing = worker->state == SA_WORKER_CLOSING;
    const struct sa_error *why = first;
    if (worker->state == SA_WORKER_GONE)
        return;
    stop(worker);
    while (worker->oldest) {
        struct sa_worker_call *call = take_oldest(worker);
        sa_worker_tell(call, why, NULL);
        free(call);
        why = others;
    }
    if (worker->released)
        return;
    if (closing)
        sa_worker_kill(worker);
    else if (starting)
        sa_startup_tell(worker, first);
    else
        worker->options.died(worker->options.owner, first);
}

void sa_worker_broke(struct sa_worker *worker, const struct sa_error *why)
{
    struct sa_error err = *why;
    err.code = SA_EPROTOCOL;
    sa_error_wrap(&err, "a policy-worker broke the protocol");
    sa_worker_lost(worker, &err, &err);
}

/* It is dead. What it said before still counts. */
static void on_exit_event(uv_poll_t *poll, int status, int events)
{
    struct sa_worker *worker = poll->data;
    struct sa_error why;
    (void)status, (void)events;
    bool live = worker->state != SA_WORKER_GONE && sa_worker_receive(worker);
    sa_process_reap(&worker->process, &why);
    uv_poll_stop(poll);
    uv_close((uv_handle_t *)poll, on_reaped);
    if (live)
        sa_worker_lost(worker, &why, &why);
}

/* ---- start ---- */

static void on_flush(uv_prepare_t *prepare)
{
    sa_worker_flush(prepare->data);
}

static void watch_exit(struct sa_worker *worker)
{
    if (worker->process.pidfd < 0) {
        worker->reaped = true;
        return;
    }
    uv_poll_init(worker->options.loop, &worker->exit_poll, worker->process.pidfd);
    worker->exit_poll.data = worker;
    uv_poll_start(&worker->exit_poll, UV_READABLE, on_exit_event);
    sa_loop_hold(worker->options.loop);
}

struct sa_worker *sa_worker_on(const struct sa_worker_options *options, int socket,
                               const struct sa_process *process, struct sa_error *err)
{
    struct sa_worker *worker = sa_alloc(sizeof *worker);
    worker->options = *options;
    sa_watchdog_limits(&worker->options.limits);
    worker->process = *process;
    worker->socket = socket;
    worker->newest = &worker->oldest;
    worker->in = sa_realloc(NULL, SA_WIRE_PACKET_MAX + 1);
    worker->open = 3;
    uv_poll_init(options->loop, &worker->socket_poll, socket);
    uv_prepare_init(options->loop, &worker->flush);
    uv_timer_init(options->loop, &worker->watchdog);
    worker->socket_poll.data = worker->flush.data = worker->watchdog.data = worker;
    worker->events = UV_READABLE;
    uv_poll_start(&worker->socket_poll, UV_READABLE, sa_worker_on_socket);
    watch_exit(worker);
    if (sa_startup_begin(worker, err) < 0) {
        sa_worker_kill(worker);
        return NULL;
    }
    uv_prepare_start(&worker->flush, on_flush);
    sa_watchdog_wake(worker);
    return worker;
}

struct sa_worker *sa_worker_start(const struct sa_worker_options *options, struct sa_error *err)
{
    struct sa_process process;
    int socket;
    if (sa_process_start(options->program, &process, &socket, err) < 0)
        return NULL;
    return sa_worker_on(options, socket, &process, err);
}

/* ---- calls ---- */

uint32_t sa_worker_next_id(struct sa_worker *worker)
{
    worker->last_id = worker->last_id == UINT32_MAX ? 1 : worker->last_id + 1;
    return worker->last_id;
}

static int may_ask(const struct sa_worker *worker, const struct sa_buf *input, struct sa_error *err)
{
    if (worker->state != SA_WORKER_READY)
        return sa_error_set(err, SA_EUNAVAILABLE, "the policy-worker is not ready");
    if (worker->in_flight >= SA_WORKER_CALLS_MAX || worker->out.length >= SA_WORKER_OUT_MAX)
        return sa_error_set(err, SA_EQUOTA, "%zu policy questions wait already: ask later",
                            worker->in_flight);
    if (input->length > SA_VALUE_MAX)
        return sa_error_set(err, SA_ETOOLARGE,
                            "the policy's input takes %zu bytes: at most %d are taken",
                            input->length, SA_VALUE_MAX);
    if (sa_value_check(input->data, input->length, err) < 0) {
        if (err)
            err->code = SA_EINVALID;
        return sa_error_wrap(err, "a policy's input");
    }
    return 0;
}

struct sa_worker_call *sa_worker_ask(struct sa_worker *worker, unsigned point, unsigned flags,
                                     const struct sa_buf *input, sa_worker_cb done, void *user,
                                     struct sa_error *err)
{
    if (may_ask(worker, input, err) < 0)
        return NULL;
    struct sa_worker_call *call = sa_alloc(sizeof *call);
    *call = (struct sa_worker_call){.worker = worker,
                                    .id = sa_worker_next_id(worker),
                                    .asked_at = worker->looks,
                                    .done = done,
                                    .user = user};
    *worker->newest = call;
    worker->newest = &call->next;
    worker->in_flight++;
    worker->wanted++;
    sa_wire_add(&worker->out, &(struct sa_wire_message){.type = SA_WIRE_CALL,
                                                        .flags = (uint8_t)flags,
                                                        .point = (uint16_t)point,
                                                        .call = call->id,
                                                        .body = input->data,
                                                        .length = input->length});
    uv_prepare_start(&worker->flush, on_flush); /* with what else this turn brings */
    sa_watchdog_wake(worker);
    return call;
}

void sa_worker_forget(struct sa_worker_call *call)
{
    struct sa_worker *worker = call->worker;
    if (!call->done)
        return;
    call->done = NULL;
    if (--worker->wanted == 0 && worker->state == SA_WORKER_CLOSING)
        sa_worker_kill(worker);
}

size_t sa_worker_in_flight(const struct sa_worker *worker)
{
    return worker->in_flight;
}

pid_t sa_worker_pid(const struct sa_worker *worker)
{
    return worker->process.pid;
}

/* ---- answers ---- */

/* A piece of outside text: valid UTF-8 without control characters. */
static void clean_text(const struct sa_value *text, char *to, size_t size)
{
    size_t length = 0;
    if (text->type == SA_VALUE_STRING)
        length = text->length < size - 1 ? text->length : size - 1;
    length = length ? sa_utf8_prefix(text->data, length) : 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text->data[i];
        to[i] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
    }
    to[length] = '\0';
}

static enum sa_code code_of(const struct sa_value *kind)
{
    if (sa_value_is(kind, "deadline"))
        return SA_ETIMEOUT;
    if (sa_value_is(kind, "memory"))
        return SA_EQUOTA;
    if (sa_value_is(kind, "error") || sa_value_is(kind, "type"))
        return SA_EINTERNAL;
    return SA_EPROTOCOL;
}

void sa_worker_failure(const struct sa_value *body, struct sa_error *err)
{
    char rule[80], file[80], message[300];
    struct sa_value kind = sa_value_get(body, "kind"), member;
    clean_text((member = sa_value_get(body, "rule"), &member), rule, sizeof rule);
    clean_text((member = sa_value_get(body, "file"), &member), file, sizeof file);
    clean_text((member = sa_value_get(body, "message"), &member), message, sizeof message);
    member = sa_value_get(body, "line");
    long long line = member.type == SA_VALUE_INT ? member.integer : 0;
    const char *said = message[0] ? message : "the policy failed";
    if (file[0] && line > 0)
        sa_error_at(err, code_of(&kind), rule, "%s:%lld: %s", file, line, said);
    else if (file[0])
        sa_error_at(err, code_of(&kind), rule, "%s: %s", file, said);
    else
        sa_error_at(err, code_of(&kind), rule, "%s", said);
}

static void answer(struct sa_worker *worker, const struct sa_wire_message *message)
{
    struct sa_worker_call *call = worker->oldest;
    struct sa_value body = sa_value_of(message->body, message->length);
    struct sa_error err;
    if (!call || call->id != message->call)
        sa_error_set(&err, SA_EPROTOCOL, "an answer that is not the next one");
    else if (message->type != SA_WIRE_DONE && message->type != SA_WIRE_FAIL)
        sa_error_set(&err, SA_EPROTOCOL, "a message of type %d", (int)message->type);
    else if (body.type != SA_VALUE_MAP)
        sa_error_set(&err, SA_EPROTOCOL, "an answer that is no map");
    else {
        take_oldest(worker);
        if (message->type == SA_WIRE_FAIL) {
            sa_worker_failure(&body, &err);
            sa_worker_tell(call, &err, NULL);
        } else {
            sa_worker_tell(call, NULL, &body);
        }
        free(call);
        if (worker->state == SA_WORKER_CLOSING && !worker->wanted)
            sa_worker_kill(worker);
        return;
    }
    sa_worker_broke(worker, &err);
}

void sa_worker_message(struct sa_worker *worker, const struct sa_wire_message *message)
{
    if (worker->state == SA_WORKER_STARTING)
        sa_startup_message(worker, message);
    else
        answer(worker, message);
}
