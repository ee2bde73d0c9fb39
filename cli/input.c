#include "input.h"

#include "base/arena.h"

#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 32 * 1024 };

struct sa_input {
    uv_loop_t *loop;
    sa_input_cb *callback;
    void *user;
    bool raw, active, stopped, opened, is_file, reading;
    union {
        uv_stream_t stream;
        uv_tty_t tty;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } handle;
    uv_fs_t read; /* of a file */
    char piece[PIECE];
};

static void deliver(struct sa_input *input, const char *data, ssize_t length)
{
    if (input->stopped)
        return;
    if (length <= 0)
        input->active = false;
    if (!input->callback(input->user, data, length > 0 ? (size_t)length : 0) || length <= 0)
        sa_input_pause(input);
}

static void read_file(struct sa_input *input);

static void on_file(uv_fs_t *request)
{
    struct sa_input *input = request->data;
    ssize_t n = request->result;
    input->reading = false;
    uv_fs_req_cleanup(request);
    if (input->active)
        deliver(input, input->piece, n);
    if (n > 0)
        read_file(input);
}

static void read_file(struct sa_input *input)
{
    uv_buf_t into = uv_buf_init(input->piece, PIECE);
    if (!input->active || input->reading || input->stopped)
        return;
    input->reading = true;
    input->read.data = input;
    uv_fs_read(input->loop, &input->read, 0, &into, 1, -1, on_file);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *into)
{
    struct sa_input *input = handle->data;
    (void)suggested;
    *into = uv_buf_init(input->piece, PIECE);
}

static void on_stream(uv_stream_t *stream, ssize_t n, const uv_buf_t *from)
{
    if (n != 0)
        deliver(stream->data, from->base, n);
}

/* True when it is a stream of libuv's. */
static bool open_stream(struct sa_input *input)
{
    switch (uv_guess_handle(0)) {
    case UV_TTY:
        if (uv_tty_init(input->loop, &input->handle.tty, 0, 1) < 0)
            return false;
        if (input->raw)
            uv_tty_set_mode(&input->handle.tty, UV_TTY_MODE_RAW);
        return true;
    case UV_NAMED_PIPE:
        uv_pipe_init(input->loop, &input->handle.pipe, 0);
        return uv_pipe_open(&input->handle.pipe, 0) == 0;
    case UV_TCP:
        uv_tcp_init(input->loop, &input->handle.tcp);
        return uv_tcp_open(&input->handle.tcp, 0) == 0;
    default:
        return false;
    }
}

struct sa_input *sa_input_new(uv_loop_t *loop, bool raw, sa_input_cb *callback, void *user)
{
    struct sa_input *input = sa_alloc(sizeof *input);
    input->loop = loop;
    input->raw = raw;
    input->callback = callback;
    input->user = user;
    return input;
}

void sa_input_resume(struct sa_input *input)
{
    if (input->active || input->stopped)
        return;
    input->active = true;
    if (!input->opened) {
        input->opened = true;
        input->is_file = !open_stream(input);
        input->handle.stream.data = input;
    }
    if (input->is_file)
        read_file(input);
    else
        uv_read_start(&input->handle.stream, on_alloc, on_stream);
}

void sa_input_pause(struct sa_input *input)
{
    input->active = false;
    if (input->opened && !input->is_file && !input->stopped)
        uv_read_stop(&input->handle.stream);
}

void sa_input_stop(struct sa_input *input)
{
    if (input->stopped)
        return;
    sa_input_pause(input);
    input->stopped = true;
    if (input->raw)
        uv_tty_reset_mode();
    if (input->opened && !input->is_file)
        uv_close((uv_handle_t *)&input->handle.stream, NULL);
    if (input->reading)
        uv_cancel((uv_req_t *)&input->read);
}

void sa_input_free(struct sa_input *input)
{
    free(input);
}
