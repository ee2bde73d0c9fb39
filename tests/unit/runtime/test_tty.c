/* EXEC at a terminal of its own. */
#include "box.h"

#include "base/arena.h"

#include <signal.h>

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, NULL);
    return 0;
}

static int64_t window(int rows, int columns)
{
    return (int64_t)rows << 16 | columns;
}

static struct reply *at_terminal(const char *shell_options, const char *script, const char *env)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "bash", "--norc", "--noprofile", shell_options, script, NULL);
    sa_fields_add_int(&body, SA_EXEC_TTY, window(30, 100));
    if (env)
        sa_fields_add_text(&body, SA_EXEC_ENV, env);
    return exec_body(&box, &body);
}

static void type(struct reply *r, const char *text)
{
    assert_int_equal(sa_stream_write(r->stream, SA_CHANNEL_IN, text, strlen(text)), strlen(text));
}

struct shown {
    struct reply *reply;
    const char *text;
};

static bool is_shown(void *arg)
{
    struct shown *s = arg;
    const struct sa_buf *out = &s->reply->out[SA_CHANNEL_OUT];
    return out->data && strstr(out->data, s->text);
}

/* Until the terminal shows it; what came up to there is forgotten then. */
static void expect(struct reply *r, const char *text)
{
    struct shown s = {r, text};
    if (!box_run(&box, 60000, is_shown, &s))
        fail_msg("\"%s\" is not shown: %s", text, r->out[1].data ? r->out[1].data : "");
    struct sa_buf *out = &r->out[SA_CHANNEL_OUT];
    sa_buf_consume(out, (size_t)(strstr(out->data, text) - out->data) + strlen(text));
}

static void resize(struct reply *r, int64_t to)
{
    sa_autobuf note = SA_BUF_INIT;
    sa_fields_add_int(&note, SA_EXEC_WINDOW, to);
    assert_int_equal(sa_stream_note(r->stream, note.data, note.length), 0);
}

static void test_is_a_terminal(void **state)
{
    (void)state;
    struct reply *r =
        at_terminal("-c",
                    "test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM && "
                    "echo over there >&2 && echo to the terminal >/dev/tty && "
                    "ps -o pid=,sid=,pgid=,tpgid= -p $$ | awk '{print ($1==$2 && $1==$4)}'; exit 6",
                    NULL);
    reply_wait(r);
    assert_exit(r, 6);
    assert_out(r, "30 100\r\nxterm-256color\r\nover there\r\nto the terminal\r\n1\r\n");
    assert_int_equal(r->got[SA_CHANNEL_ERR], 0);
    assert_true(r->eof[SA_CHANNEL_OUT]);
    reply_free(r);
}

static void test_term_can_be_given(void **state)
{
    (void)state;
    struct reply *r = at_terminal("-c", "echo $TERM", "TERM=vt100");
    reply_wait(r);
    assert_out(r, "vt100\r\n");
    reply_free(r);
}

/* Ctrl-C goes to the job in front, Ctrl-Z stops it, fg brings it back. */
static void test_job_control(void **state)
{
    (void)state;
    struct reply *r = at_terminal("-i", NULL, "PS1=ready> ");
    expect(r, "ready> ");
    type(r, "sh -c 'echo run\"\"ning; exec sleep 1000'\r");
    expect(r, "running");
    type(r, "\3");
    expect(r, "ready> ");
    type(r, "sh -c 'echo run\"\"ning; exec cat'\r");
    expect(r, "running");
    type(r, "\32");
    expect(r, "Stopped");
    expect(r, "ready> ");
    type(r, "fg; echo do''ne\r");
    expect(r, "exec cat'\r\n");
    type(r, "two\r");
    expect(r, "two\r\n");
    expect(r, "two\r\n");
    type(r, "\4");
    expect(r, "done");
    expect(r, "ready> ");
    type(r, "exit 3\r");
    reply_wait(r);
    assert_exit(r, 3);
    reply_free(r);
}

static void test_resize(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "python3", "-c",
             "import os, signal\n"
             "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})\n"
             "print('up', flush=True)\n"
             "while signal.sigwait({signal.SIGWINCH}):\n"
             "    print('size', *os.get_terminal_size(), flush=True)\n",
             NULL);
    sa_fields_add_int(&body, SA_EXEC_TTY, window(30, 100));
    struct reply *r = exec_body(&box, &body);
    expect(r, "up");
    resize(r, window(50, 132));
    expect(r, "size 132 50");
    resize(r, window(0, 80));
    resize(r, window(4097, 80));
    resize(r, -1);
    resize(r, window(24, 4096));
    expect(r, "size 4096 24");
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    reply_free(r);
}

static void test_resize_without_terminal(void **state)
{
    (void)state;
    struct reply *r = exec_start(&box, "sh", "-c", "echo up; sleep 0.1", NULL);
    reply_wait_bytes(r, SA_CHANNEL_OUT, 3);
    resize(r, window(50, 132));
    reply_wait(r);
    assert_exit(r, 0);
    reply_free(r);
}

static void test_bad_sizes(void **state)
{
    (void)state;
    const int64_t bad[] = {0, -1, window(0, 80), window(80, 0), window(4097, 80), INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sa_autobuf body = SA_BUF_INIT;
        add_argv(&body, "true", NULL);
        sa_fields_add_int(&body, SA_EXEC_TTY, bad[i]);
        struct reply *r = exec_body(&box, &body);
        reply_wait(r);
        assert_failed(r, SA_EINVALID, "rows and columns");
        reply_free(r);
    }
}

static void test_end_of_input_hangs_up(void **state)
{
    (void)state;
    struct reply *r = at_terminal("-c",
                                  "trap 'echo gone >hung-up; exit 9' HUP; echo set; "
                                  "while :; do sleep 0.02; done",
                                  NULL);
    expect(r, "set");
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    reply_wait(r);
    assert_exit(r, 9);
    reply_free(r);
    assert_string_equal(shell_out(&box, "cat hung-up"), "gone\n");
}

static void test_end_of_input_at_once(void **state)
{
    (void)state;
    struct reply *r = at_terminal("-c", "sleep 1000", NULL);
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    reply_wait(r);
    assert_status(r, "signaled");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGHUP);
    reply_free(r);
}

/* An interactive shell ignores TERM, and goes at the hangup before it would be killed. */
static void test_cancel(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "bash", "--norc", "-i", NULL);
    sa_fields_add_int(&body, SA_EXEC_TTY, window(24, 80));
    sa_fields_add_text(&body, SA_EXEC_ENV, "PS1=ready> ");
    sa_fields_add_int(&body, SA_EXEC_GRACE_MS, 19000);
    struct reply *r = exec_body(&box, &body);
    expect(r, "ready> ");
    type(r, "sleep 1000 & sleep 1001 &\r");
    expect(r, "ready> ");
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    assert_true(reply_int(r, SA_EXEC_EXIT_SIGNAL) != SIGKILL);
    reply_free(r);
    assert_string_equal(shell_out(&box, "pgrep -c sleep || true"), "0\n");
}

static void test_timeout(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sleep", "1000", NULL);
    sa_fields_add_int(&body, SA_EXEC_TTY, window(24, 80));
    sa_fields_add_int(&body, SA_EXEC_TIMEOUT_MS, 100);
    struct reply *r = exec_body(&box, &body);
    reply_wait(r);
    assert_status(r, "timeout");
    reply_free(r);
}

/* More than one window of output, with a reader that stops in between. */
static void test_flood(void **state)
{
    (void)state;
    struct reply *r = at_terminal("-c", "stty -opost; head -c 2000000 /dev/zero; exit 0", NULL);
    r->discard = r->hold = true;
    reply_wait_bytes(r, SA_CHANNEL_OUT, 400000);
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_exit(r, 0);
    assert_int_equal(r->got[SA_CHANNEL_OUT], 2000000);
    reply_free(r);
}

/* Typed ahead of a program that does not read: credit holds it back, nothing spins, and nothing
 * else is kept waiting. */
static void test_input_that_is_not_read(void **state)
{
    (void)state;
    static char bulk[400000];
    memset(bulk, 'x', sizeof bulk);
    struct reply *r = at_terminal("-c", "stty raw -echo; echo up; sleep 1000", NULL);
    expect(r, "up");
    reply_send(r, bulk, sizeof bulk, false);
    box_idle(&box, 50);
    assert_string_equal(shell_out(&box, "echo alive"), "alive\n");
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    reply_free(r);
}

static void test_background_of_a_terminal(void **state)
{
    (void)state;
    struct reply *r = at_terminal("-c", "trap '' HUP; sleep 1000 & echo left; exit 0", NULL);
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "left\r\n");
    assert_int_equal(reply_int(r, SA_EXEC_LEFT), 1);
    reply_free(r);
    reply_free(shell(&box, "pkill sleep", NULL));
}

static void test_many(void **state)
{
    (void)state;
    struct reply *replies[16];
    for (int i = 0; i < 16; i++)
        replies[i] = at_terminal("-c", "stty size; tty >/dev/null && echo yes", NULL);
    for (int i = 0; i < 16; i++) {
        reply_wait(replies[i]);
        assert_exit(replies[i], 0);
        assert_out(replies[i], "30 100\r\nyes\r\n");
        reply_free(replies[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_a_terminal),
        cmocka_unit_test(test_term_can_be_given),
        cmocka_unit_test(test_job_control),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_resize_without_terminal),
        cmocka_unit_test(test_bad_sizes),
        cmocka_unit_test(test_end_of_input_hangs_up),
        cmocka_unit_test(test_end_of_input_at_once),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_input_that_is_not_read),
        cmocka_unit_test(test_background_of_a_terminal),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
