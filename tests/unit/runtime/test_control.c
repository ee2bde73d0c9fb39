/* EXEC with a control channel: a socket of the program's own, in order with its output. */
#include "box.h"

#include "base/arena.h"

#include <unistd.h>

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, NULL);
    return 0;
}

static struct reply *controlled(const char *script)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "bash", "-c", script, NULL);
    sa_fields_add_int(&body, SA_EXEC_CONTROL, 1);
    return exec_body(&box, &body);
}

static void test_both_ways(void **state)
{
    (void)state;
    struct reply *r = controlled("read x <&3; echo \"got $x\" >&3; exit 4");
    assert_int_equal(sa_stream_write(r->stream, SA_CHANNEL_CONTROL, "ping\n", 5), 5);
    reply_wait(r);
    assert_exit(r, 4);
    assert_string_equal(r->out[SA_CHANNEL_CONTROL].data, "got ping\n");
    assert_true(r->eof[SA_CHANNEL_CONTROL]);
    assert_int_equal(r->got[SA_CHANNEL_OUT] + r->got[SA_CHANNEL_ERR], 0);
    reply_free(r);
}

static void test_program_may_close_it(void **state)
{
    (void)state;
    struct reply *r = controlled("exec 3>&-; read x; echo still here");
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "still here\n");
    assert_true(r->eof[SA_CHANNEL_CONTROL]);
    reply_free(r);
}

static void test_opener_may_end_it(void **state)
{
    (void)state;
    struct reply *r = controlled("cat <&3 >/dev/null; echo end seen >&3");
    sa_stream_eof(r->stream, SA_CHANNEL_CONTROL);
    reply_wait(r);
    assert_exit(r, 0);
    assert_string_equal(r->out[SA_CHANNEL_CONTROL].data, "end seen\n");
    reply_free(r);
}

/* Notes how much had come on 1 and 2 when each line of control came. */
static struct sa_buf seen;

static void tap(struct reply *r, int channel, const char *data, size_t length)
{
    if (channel != SA_CHANNEL_CONTROL)
        return;
    for (size_t i = 0; i < length; i++)
        if (data[i] == '\n') {
            size_t numbers[2] = {r->got[SA_CHANNEL_OUT], r->got[SA_CHANNEL_ERR]};
            sa_buf_add(&seen, numbers, sizeof numbers);
        }
}

/* Each line of control says how many bytes were put out before it. */
static void test_what_was_written_before_comes_before(void **state)
{
    (void)state;
    sa_buf_deinit(&seen);
    struct reply *r = controlled("n=0; for i in {1..400}; do printf %0*d $((i * 7 % 900 + 1)) 0; "
                                 "printf . >&2; n=$((n + i * 7 % 900 + 1)); echo $n >&3; done");
    r->tap = tap;
    reply_wait(r);
    assert_exit(r, 0);
    const char *line = r->out[SA_CHANNEL_CONTROL].data;
    const size_t *numbers = (const void *)seen.data;
    assert_int_equal(seen.length, 400 * sizeof numbers[0] * 2);
    for (size_t i = 0; i < 400; i++) {
        char *end;
        assert_true(numbers[2 * i] >= strtoull(line, &end, 10));
        assert_true(numbers[2 * i + 1] >= i + 1);
        line = end + 1;
    }
    reply_free(r);
    sa_buf_deinit(&seen);
}

static void test_flood_does_not_starve_it(void **state)
{
    (void)state;
    struct reply *r = controlled("yes & yes >&2 & for i in {1..20}; do read x <&3; "
                                 "echo \"$x\" >&3; done; kill %1 %2");
    r->discard = true;
    for (size_t i = 1; i <= 20; i++) {
        assert_int_equal(sa_stream_write(r->stream, SA_CHANNEL_CONTROL, "turn\n", 5), 5);
        reply_wait_bytes(r, SA_CHANNEL_CONTROL, i * 5);
    }
    reply_wait(r);
    assert_status(r, "exited");
    reply_free(r);
}

static void test_back_pressure_from_the_program(void **state)
{
    (void)state;
    struct reply *r = controlled("head -c 3000000 /dev/zero >&3");
    r->hold = r->discard = true;
    reply_wait_bytes(r, SA_CHANNEL_CONTROL, 500000);
    box_idle(&box, 100);
    assert_true(r->got[SA_CHANNEL_CONTROL] <= SA_LINK_WINDOW_BYTES);
    assert_false(r->ended);
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_exit(r, 0);
    assert_int_equal(r->got[SA_CHANNEL_CONTROL], 3000000);
    reply_free(r);
}

static void test_back_pressure_to_the_program(void **state)
{
    (void)state;
    static char bulk[3000000];
    struct reply *r = controlled("echo up; read x; head -c 2999999 <&3 | wc -c; wc -c <&3");
    reply_wait_bytes(r, SA_CHANNEL_OUT, 3);
    r->send_channel = SA_CHANNEL_CONTROL;
    reply_send(r, bulk, sizeof bulk, true);
    box_idle(&box, 50);
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "up\n2999999\n1\n");
    reply_free(r);
}

static void test_not_with_code(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "true", NULL);
    sa_fields_add_int(&body, SA_EXEC_CONTROL, 1);
    sa_fields_add_int(&body, SA_EXEC_CODE_BYTES, 3);
    struct reply *r = exec_body(&box, &body);
    reply_wait(r);
    assert_failed(r, SA_EINVALID, "cannot be combined");
    reply_free(r);
}

/* Who did not ask for it gets nothing of it. */
static void test_without_asking(void **state)
{
    (void)state;
    struct reply *r = exec_start(&box, "sh", "-c", "ls -l /proc/self/fd/3; sleep 0.2", NULL);
    sa_stream_write(r->stream, SA_CHANNEL_CONTROL, "lost", 4);
    sa_stream_eof(r->stream, SA_CHANNEL_CONTROL);
    reply_wait(r);
    assert_exit(r, 0);
    assert_false(r->eof[SA_CHANNEL_CONTROL]);
    reply_free(r);
}

static void test_cancel(void **state)
{
    (void)state;
    struct reply *r = controlled("echo up >&3; sleep 100");
    reply_wait_bytes(r, SA_CHANNEL_CONTROL, 3);
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    reply_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_program_may_close_it),
        cmocka_unit_test(test_opener_may_end_it),
        cmocka_unit_test(test_what_was_written_before_comes_before),
        cmocka_unit_test(test_flood_does_not_starve_it),
        cmocka_unit_test(test_back_pressure_from_the_program),
        cmocka_unit_test(test_back_pressure_to_the_program),
        cmocka_unit_test(test_not_with_code),
        cmocka_unit_test(test_without_asking),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
