#include "session.h"

#include "input.h"
#include "socket.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "json/write.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    TRIES_MAX = 8,
    RETRY_MS = 250,
    RETRY_MAX_MS = 4000,
    REFUSED_MS = 100,   /* input is offered again after so long */
    CANCELED_MS = 5000, /* a program that was canceled has ended by then */
    CANCEL_WITHIN_MS = 2000,
    SIGNALS = 4,
};

struct session {
    const struct sa_session_options *options;
    uv_loop_t loop;
    struct sa_sockets *sockets;
    struct sa_socket *socket;
    struct sa_input *input;
    struct sa_run_stream stream;
    uv_signal_t signals[SIGNALS];
    uv_timer_t retry, offer, leave;
    struct sa_error failure;
    int64_t interrupted_ms;
    int tries, quit_signal;
    bool open, welcome; /* welcome: the execution's messages come over this connection */
    bool input_done, canceling, finished;
    /*
     * Input. The server takes a message of it whole or, while the program does not read, not at
     * all (`error` with code rate_limited). So each is followed by a ping, and the next is sent
     * once the pong is here; what was refused in between is offered again.
     */
    struct sa_buf unanswered;
    bool input_refused;
};

/* ---- messages to the server ---- */

static struct sa_json_w begin(struct sa_buf *text, const char *type)
{
    struct sa_json_w w = sa_json_w_start(text);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "type", type);
    sa_json_put_string(&w, "id", "1");
    return w;
}

static bool finish_and_send(struct session *s, struct sa_buf *text, struct sa_json_w *w)
{
    sa_json_w_end_object(w);
    return sa_socket_send(s->socket, false, text->data, text->length);
}

static void put_size(struct sa_json_w *w)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (ioctl(1, TIOCGWINSZ, &size) < 0)
        ioctl(0, TIOCGWINSZ, &size);
    sa_json_put_int(w, "rows", size.ws_row ? size.ws_row : 24);
    sa_json_put_int(w, "cols", size.ws_col ? size.ws_col : 80);
}

static void send_simple(struct session *s, const char *type, const char *key, const char *value)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = begin(&text, type);
    if (key)
        sa_json_put_string(&w, key, value);
    finish_and_send(s, &text, &w);
}

static void send_start(struct session *s)
{
    s->welcome = false;
    sa_autobuf text = SA_BUF_INIT;
    const struct sa_session_options *o = s->options;
    const char *execution = s->stream.id[0] ? s->stream.id : o->execution;
    struct sa_json_w w = begin(&text, execution ? "resume" : "execute");
    if (execution) {
        sa_json_put_string(&w, "execution", execution);
        sa_json_put_int(&w, "offset", s->stream.next_offset);
    } else {
        o->describe(o->user, &w);
        if (o->tty) {
            sa_json_put_object(&w, "tty");
            put_size(&w);
            sa_json_w_end_object(&w);
        }
    }
    finish_and_send(s, &text, &w);
}

/* ---- the end ---- */

static void shut(struct session *s)
{
    if (s->finished)
        return;
    s->finished = true;
    sa_input_stop(s->input);
    uv_close((uv_handle_t *)&s->retry, NULL);
    uv_close((uv_handle_t *)&s->offer, NULL);
    uv_close((uv_handle_t *)&s->leave, NULL);
    for (size_t i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    if (s->open)
        sa_socket_close(s->socket); /* after what is queued; on_closed() stops the loop */
    else
        uv_stop(&s->loop);
}

static void on_leave(uv_timer_t *timer)
{
    shut(timer->data);
}

/* End the program, and then ourselves: its end is waited for, lest the message be lost with a
 * connection that is closed in haste. */
static void cancel(struct session *s)
{
    if (!s->open || !s->welcome || s->canceling || s->options->execution) {
        shut(s); /* what was only watched runs on */
        return;
    }
    s->canceling = true;
    sa_input_pause(s->input);
    send_simple(s, "cancel", NULL, NULL);
    uv_timer_start(&s->leave, on_leave, CANCELED_MS, 0);
}

static void fail(struct session *s, const struct sa_error *error)
{
    if (!s->failure.code)
        s->failure = *error;
    shut(s);
}

/* ---- standard input ---- */

static void offer_input(struct session *s)
{
    s->input_refused = false;
    sa_socket_send(s->socket, false, s->unanswered.data, s->unanswered.length);
    send_simple(s, "ping", NULL, NULL);
}

static void offer_again(uv_timer_t *timer)
{
    struct session *s = timer->data;
    if (s->open && s->unanswered.length)
        offer_input(s);
}

/* Goes on once the pong is here. */
static bool on_input(void *user, const char *data, size_t length)
{
    struct session *s = user;
    s->unanswered.length = 0;
    struct sa_json_w w = begin(&s->unanswered, "stdin");
    if (length) {
        sa_json_put_base64(&w, "data", data, length);
        sa_json_put_string(&w, "encoding", "base64");
    } else {
        s->input_done = true;
        sa_json_put_bool(&w, "eof", true);
    }
    sa_json_w_end_object(&w);
    offer_input(s);
    return false;
}

static void read_input(struct session *s)
{
    if (s->open && s->stream.id[0] && s->options->input && !s->input_done && !s->finished &&
        !s->canceling && !s->unanswered.length)
        sa_input_resume(s->input);
}

static void on_pong(struct session *s)
{
    if (s->input_refused) {
        uv_timer_start(&s->offer, offer_again, REFUSED_MS, 0);
        return;
    }
    s->unanswered.length = 0;
    read_input(s);
}

/* The code waits for a line. */
static void on_prompt(struct session *s)
{
    sa_autofree char *line =
        s->options->answer ? s->options->answer(s->options->user, s->stream.prompt) : NULL;
    sa_autofree char *text = line ? sa_printf("%s\n", line) : NULL;
    sa_autobuf message = SA_BUF_INIT;
    struct sa_json_w w = begin(&message, "stdin");
    if (text) {
        sa_json_put_base64(&w, "data", text, strlen(text));
        sa_json_put_string(&w, "encoding", "base64");
    } else {
        sa_json_put_bool(&w, "eof", true);
    }
    finish_and_send(s, &message, &w);
}

/* ---- the connection ---- */

/* The server took a message of ours amiss. */
static void on_refused(struct session *s)
{
    const struct sa_error *error = &s->stream.error;
    if (!s->welcome)
        fail(s, error);
    else if (error->code == SA_ERATELIMITED && s->unanswered.length)
        s->input_refused = true;
    else if (s->unanswered.length)
        s->input_done = true; /* the program has closed its input, or ended */
}

static void on_item_failed(struct session *s)
{
    if (s->stream.refused) {
        on_refused(s);
    } else if (s->stream.pipe_closed) {
        s->quit_signal = SIGPIPE;
        cancel(s);
    } else {
        fail(s, &s->stream.error);
    }
}

static void on_message(void *user, bool binary, const char *data, size_t length)
{
    struct session *s = user;
    if (binary || s->finished)
        return;
    s->tries = 0;
    if (sa_run_stream_item(&s->stream, data, length) < 0) {
        on_item_failed(s);
        return;
    }
    switch (s->stream.last) {
    case SA_RUN_STREAM_PONG:
        on_pong(s);
        break;
    case SA_RUN_STREAM_PROMPT:
        on_prompt(s);
        break;
    case SA_RUN_STREAM_STARTED:
        s->welcome = true;
        read_input(s);
        break;
    case SA_RUN_STREAM_OTHER:
        break;
    }
    if (s->stream.ended)
        shut(s);
}

static void on_opened(void *user)
{
    struct session *s = user;
    s->open = true;
    send_start(s);
}

/* What was typed is lost with a connection; what comes from a file must be whole. */
static bool input_is_lost(struct session *s)
{
    struct sa_error error;
    bool lost = s->unanswered.length && !s->input_refused;
    if (lost && !s->options->tty) {
        sa_error_set(&error, SA_EUNAVAILABLE,
                     "the connection broke while input was on its way, and it is not known "
                     "whether it arrived; %s runs on",
                     s->stream.id);
        fail(s, &error);
        return true;
    }
    if (!s->input_refused)
        s->unanswered.length = 0;
    return false;
}

/* Would the server open it at all? */
static bool is_hopeless(struct session *s, struct sa_error *error)
{
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s/stream", s->options->sandbox_id);
    return sa_socket_check(s->options->client, path, error) < 0 && error->code != SA_EUNAVAILABLE;
}

static void on_closed(void *user, const struct sa_error *error)
{
    struct session *s = user;
    struct sa_error failure = {.code = SA_EUNAVAILABLE, .message = "the server ended the stream"};
    bool was_open = s->open;
    s->open = false;
    if (s->finished) {
        uv_stop(&s->loop);
        return;
    }
    sa_input_pause(s->input);
    if (error)
        failure = *error;
    /* What has an id runs on without us; what has none may not even have begun. */
    if ((!was_open && is_hopeless(s, &failure)) || !s->stream.id[0] || s->tries++ >= TRIES_MAX) {
        fail(s, &failure);
        return;
    }
    if (input_is_lost(s))
        return;
    uint64_t delay_ms = (uint64_t)RETRY_MS << (s->tries - 1);
    uv_timer_start(&s->retry, s->retry.timer_cb, delay_ms < RETRY_MAX_MS ? delay_ms : RETRY_MAX_MS,
                   0);
}

static const struct sa_socket_events socket_events = {
    .opened = on_opened, .message = on_message, .closed = on_closed};

static void connect_again(uv_timer_t *timer)
{
    struct session *s = timer->data;
    struct sa_error error;
    sa_autofree char *path = sa_printf("/api/v1/sandboxes/%s/stream", s->options->sandbox_id);
    sa_socket_free(s->socket);
    s->socket = NULL;
    if (!s->sockets)
        s->sockets = sa_sockets_new(&s->loop, s->options->client, &error);
    if (s->sockets)
        s->socket = sa_socket_open(s->sockets, path, &socket_events, s, &error);
    if (!s->socket)
        fail(s, &error);
}

/* ---- signals ---- */

static void on_resized(struct session *s)
{
    sa_autobuf text = SA_BUF_INIT;
    if (!s->welcome || !s->open || !s->options->tty)
        return;
    struct sa_json_w w = begin(&text, "resize");
    put_size(&w);
    finish_and_send(s, &text, &w);
}

/* Once for the program; again within a while cancels it, and its end is waited for. */
static bool on_interrupt(struct session *s)
{
    int64_t now_ms = sa_monotonic_us() / 1000;
    bool again = s->interrupted_ms && now_ms - s->interrupted_ms < CANCEL_WITHIN_MS;
    if (!s->open || !s->welcome || s->options->execution || s->canceling)
        return false;
    s->interrupted_ms = now_ms;
    if (again)
        cancel(s);
    else
        send_simple(s, "signal", "signal", "SIGINT");
    return true;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct session *s = handle->data;
    if (number == SIGWINCH) {
        on_resized(s);
        return;
    }
    if (number == SIGINT && on_interrupt(s))
        return;
    s->quit_signal = number;
    cancel(s);
}

static void watch_signals(struct session *s)
{
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    for (size_t i = 0; i < SIGNALS; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
}

int sa_session_run(const struct sa_session_options *options, struct sa_error *err)
{
    struct session s = {.options = options, .stream = {.exit_code = -1}};
    s.stream.next_offset = options->offset;
    s.stream.command = options->command;
    s.stream.show_results = options->show_results;
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&s.loop);
    watch_signals(&s);
    uv_timer_init(&s.loop, &s.retry);
    uv_timer_init(&s.loop, &s.offer);
    uv_timer_init(&s.loop, &s.leave);
    s.retry.data = s.offer.data = s.leave.data = &s;
    s.input = sa_input_new(&s.loop, options->tty, on_input, &s);
    uv_timer_start(&s.retry, connect_again, 0, 0);
    uv_run(&s.loop, UV_RUN_DEFAULT); /* until it is stopped: libwebsockets keeps handles */
    sa_socket_free(s.socket);
    sa_sockets_free(s.sockets);
    sa_input_free(s.input);
    uv_loop_close(&s.loop);
    int status = -1;
    if (s.quit_signal)
        status = 128 + s.quit_signal;
    else if (s.stream.ended)
        status = sa_run_stream_exit_status(&s.stream, options->timeout_s);
    else
        *err = s.failure;
    sa_run_stream_deinit(&s.stream);
    sa_buf_deinit(&s.unanswered);
    return status;
}
