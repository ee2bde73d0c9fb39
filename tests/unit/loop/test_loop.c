/* The loop helpers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "loop/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct stopped {
    uv_timer_t alive; /* the signals do not keep the loop alive */
    int count, last;
};

static void on_stop(int signum, void *user)
{
    struct stopped *s = user;
    s->last = signum;
    if (++s->count == 1)
        kill(getpid(), SIGINT);
    else
        uv_close((uv_handle_t *)&s->alive, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

static void test_signals(void **state)
{
    (void)state;
    struct sa_error err;
    struct stopped s = {0};
    uv_loop_t *loop = sa_loop_new(&err);
    struct sa_signals *signals = sa_signals_start(loop, on_stop, &s, &err);
    assert_non_null(signals);
    uv_run(loop, UV_RUN_DEFAULT); /* returns at once */
    uv_timer_init(loop, &s.alive);
    uv_timer_start(&s.alive, on_timer, 5000, 0);
    kill(getpid(), SIGTERM);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.last, SIGINT);
    sa_signals_stop(signals);
    sa_loop_free(loop);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    static char memory[100];
    (void)handle, (void)size;
    *buffer = uv_buf_init(memory, sizeof memory);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    if (n > 0)
        assert_memory_equal(buffer->base, "hello", 5);
    else if (n == UV_EOF)
        uv_close((uv_handle_t *)stream, NULL);
    *(ssize_t *)stream->data += n > 0 ? n : 0;
}

static void test_adopt(void **state)
{
    (void)state;
    struct sa_error err;
    int fds[2];
    ssize_t got = 0;
    uv_pipe_t pipe = {.data = &got};
    uv_loop_t *loop = sa_loop_new(&err);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(sa_loop_adopt(loop, &pipe, fds[0], &err), 0);
    assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(write(fds[1], "hello", 5), 5);
    close(fds[1]);
    uv_read_start((uv_stream_t *)&pipe, on_alloc, on_read);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(got, 5);
    assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* the handle owned it */
    sa_loop_free(loop);
}

static void test_adopt_bad(void **state)
{
    (void)state;
    struct sa_error err;
    uv_pipe_t pipe;
    uv_loop_t *loop = sa_loop_new(&err);
    assert_int_equal(sa_loop_adopt(loop, &pipe, 9999, &err), -1);
    assert_int_equal(err.code, SA_EINTERNAL);
    uv_close((uv_handle_t *)&pipe, NULL);
    sa_loop_free(loop);
}

static void test_sigpipe(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    assert_int_equal(write(fds[1], "x", 1), -1); /* and we are still here */
    close(fds[1]);
}

/* A loop with something left open is a bug, and says so. */
static void test_left_open(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (!child) {
        struct sa_error err;
        uv_timer_t timer;
        close(2);
        uv_loop_t *loop = sa_loop_new(&err);
        signal(SIGABRT, SIG_DFL);
        uv_timer_init(loop, &timer);
        sa_loop_free(loop);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),   cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_adopt_bad), cmocka_unit_test(test_sigpipe),
        cmocka_unit_test(test_left_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
