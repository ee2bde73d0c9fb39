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

enum { TRIES_MAX = 8, RETRY_MS = 250, CANCEL_WITHIN_MS = 2000, SIGNALS = 4 };

struct session {
    const struct sa_session_options *options;
    uv_loop_t loop;
    struct sa_sockets *sockets;
    struct sa_socket *socket;
    struct sa_input *input;
    struct sa_run_stream stream;
    uv_signal_t signals[SIGNALS];
    uv_timer_t retry;
    struct sa_error failure;
    int64_t interrupted_ms;
    int tries, quit_signal;
    bool open, input_done, finished;
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
    for (size_t i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
    if (s->open)
        sa_socket_close(s->socket);
}

static void fail(struct session *s, const struct sa_error *error)
{
    if (!s->failure.code)
        s->failure = *error;
    shut(s);
}

/* ---- standard input ---- */

static bool on_input(void *user, const char *data, size_t length)
{
    struct session *s = user;
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = begin(&text, "stdin");
    if (length) {
        sa_json_put_base64(&w, "data", data, length);
        sa_json_put_string(&w, "encoding", "base64");
    } else {
        s->input_done = true;
        sa_json_put_bool(&w, "eof", true);
    }
    return finish_and_send(s, &text, &w);
}

/* ---- the connection ---- */

static void on_message(void *user, bool binary, const char *data, size_t length)
{
    struct session *s = user;
    if (binary || s->finished)
        return;
    bool started = s->stream.id[0];
    if (sa_run_stream_item(&s->stream, data, length) < 0) {
        if (s->stream.pipe_closed) {
            send_simple(s, "cancel", NULL, NULL);
            s->quit_signal = SIGPIPE;
            shut(s);
            return;
        }
        fail(s, &s->stream.error);
        return;
    }
    s->tries = 0;
    if (!started && s->stream.id[0] && s->options->input && !s->input_done)
        sa_input_resume(s->input);
    if (s->stream.ended)
        shut(s);
}

static void on_opened(void *user)
{
    struct session *s = user;
    s->open = true;
    send_start(s);
    if (s->stream.id[0] && s->options->input && !s->input_done)
        sa_input_resume(s->input);
}

static void on_drained(void *user)
{
    struct session *s = user;
    if (s->options->input && s->stream.id[0] && !s->input_done && !s->finished)
        sa_input_resume(s->input);
}

static void on_closed(void *user, const struct sa_error *error)
{
    struct session *s = user;
    static const struct sa_error early = {.code = SA_EUNAVAILABLE,
                                          .message = "the server ended the stream"};
    s->open = false;
    if (s->finished)
        return;
    sa_input_pause(s->input);
    /* What has an id runs on without us; what has none may not even have begun. */
    if (s->stream.id[0] && s->tries++ < TRIES_MAX)
        uv_timer_start(&s->retry, s->retry.timer_cb, (uint64_t)RETRY_MS << (s->tries - 1), 0);
    else
        fail(s, error ? error : &early);
}

static const struct sa_socket_events socket_events = {
    .opened = on_opened, .message = on_message, .drained = on_drained, .closed = on_closed};

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

static void on_signal(uv_signal_t *handle, int number)
{
    struct session *s = handle->data;
    int64_t now_ms = sa_monotonic_us() / 1000;
    if (!s->open)
        s->quit_signal = number;
    if (number == SIGWINCH) {
        sa_autobuf text = SA_BUF_INIT;
        struct sa_json_w w = begin(&text, "resize");
        put_size(&w);
        if (s->open && s->options->tty)
            finish_and_send(s, &text, &w);
        return;
    }
    bool again = s->interrupted_ms && now_ms - s->interrupted_ms < CANCEL_WITHIN_MS;
    if (s->open && number == SIGINT && !again) {
        s->interrupted_ms = now_ms;
        send_simple(s, "signal", "signal", "SIGINT");
        return;
    }
    s->quit_signal = number;
    if (s->open && !s->options->execution) /* what was only watched runs on */
        send_simple(s, "cancel", NULL, NULL);
    shut(s);
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
    s.retry.data = &s;
    s.input = sa_input_new(&s.loop, options->tty, on_input, &s);
    uv_timer_start(&s.retry, connect_again, 0, 0);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    sa_socket_free(s.socket);
    sa_sockets_free(s.sockets);
    sa_input_free(s.input);
    uv_loop_close(&s.loop);
    int status = -1;
    if (s.stream.ended)
        status = sa_run_stream_exit_status(&s.stream, options->timeout_s);
    else if (s.quit_signal)
        status = 128 + s.quit_signal;
    else
        *err = s.failure;
    sa_run_stream_deinit(&s.stream);
    return status;
}
