/* core/lua/worker.c: calls, their order, what ends them, and letting go of a worker. */
#include "fixture.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void answers_come_in_order(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    for (int i = 0; i < 4096; i++)
        assert_non_null(ask_json(f, i, "{\"n\":1}"));
    assert_int_equal(sa_worker_in_flight(f->worker), 4096);
    assert_null(ask(f, 4096, "ok"));
    assert_int_equal(f->answers[4096].err.code, SA_EQUOTA);
    until_answered(f, 4096);
    for (int i = 0; i < 4096; i++) {
        assert_int_equal(f->answers[i].times, 1);
        assert_int_equal(f->answers[i].order, i + 1);
        assert_string_equal(f->answers[i].text, "{\"n\":1}");
    }
    assert_int_equal(sa_worker_in_flight(f->worker), 0);
    assert_non_null(ask(f, 4096, "ok"));
    until_answered(f, 4097);
    assert_string_equal(f->answers[4096].text, "{\"verdict\":\"allow\"}");
}

/* More than the socket holds, so that it is refused in between. */
static void large_inputs_wait_their_turn(void **state)
{
    struct fixture *f = *state;
    sa_autobuf json = SA_BUF_INIT;
    begin_ready(f, NULL);
    sa_buf_adds(&json, "{\"x\":\"");
    for (int i = 0; i < 100 * 1024; i++)
        sa_buf_addc(&json, (char)('a' + i % 26));
    sa_buf_adds(&json, "\"}");
    int asked = 0;
    while (ask_json(f, asked, json.data))
        asked++;
    assert_in_range(asked, 38, 42); /* 4 MiB */
    assert_int_equal(f->answers[asked].err.code, SA_EQUOTA);
    until_answered(f, asked);
    for (int i = 0; i < asked; i++) {
        assert_int_equal(f->answers[i].order, i + 1);
        assert_memory_equal(f->answers[i].text, json.data, 500);
    }
}

static void bad_inputs_are_refused(void **state)
{
    struct fixture *f = *state;
    sa_autobuf broken = SA_BUF_INIT, large = SA_BUF_INIT;
    struct sa_error err;
    begin_ready(f, NULL);
    sa_value_map(&broken);
    assert_null(sa_worker_ask(f->worker, 0, 0, &broken, NULL, NULL, &err));
    assert_int_equal(err.code, SA_EINVALID);
    assert_null(sa_worker_ask(f->worker, 0, 0, &large, NULL, NULL, &err));
    assert_int_equal(err.code, SA_EINVALID);
    memset(sa_buf_reserve(&large, SA_VALUE_MAX + 1), SA_VALUE_NIL, SA_VALUE_MAX + 1);
    large.length = SA_VALUE_MAX + 1;
    assert_null(sa_worker_ask(f->worker, 0, 0, &large, NULL, NULL, &err));
    assert_int_equal(err.code, SA_ETOOLARGE);
    assert_non_null(ask(f, 0, "ok"));
    until_answered(f, 1);
}

static void failures_have_codes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *json;
        enum sa_code code;
        const char *path, *message;
    } cases[] = {
        {"{\"fail\":{\"kind\":\"deadline\",\"rule\":\"slow\",\"file\":\"policies/"
         "a.lua\",\"line\":7,"
         "\"message\":\"too long\"}}",
         SA_ETIMEOUT, "slow", "policies/a.lua:7: too long"},
        {"{\"fail\":{\"kind\":\"memory\",\"file\":\"policies/a.lua\",\"message\":\"full\"}}",
         SA_EQUOTA, "", "policies/a.lua: full"},
        {"{\"fail\":{\"kind\":\"error\",\"rule\":\"r\",\"message\":\"a\\nb\\u001b[31m\"}}",
         SA_EINTERNAL, "r", "a b [31m"},
        {"{\"fail\":{\"kind\":\"type\",\"message\":3,\"line\":\"x\",\"rule\":[]}}", SA_EINTERNAL,
         "", "the policy failed"},
        {"{\"fail\":{\"kind\":\"protocol\",\"message\":\"what?\"}}", SA_EPROTOCOL, "", "what?"},
        {"{\"fail\":{}}", SA_EPROTOCOL, "", "the policy failed"},
    };
    const int count = (int)SA_COUNT(cases);
    begin_ready(f, NULL);
    for (int i = 0; i < count; i++)
        assert_non_null(ask_json(f, i, cases[i].json));
    assert_non_null(ask(f, count, "ok"));
    until_answered(f, count + 1);
    for (int i = 0; i < count; i++) {
        assert_false(f->answers[i].verdict);
        assert_int_equal(f->answers[i].err.code, cases[i].code);
        assert_string_equal(f->answers[i].err.path, cases[i].path);
        assert_string_equal(f->answers[i].err.message, cases[i].message);
    }
    assert_true(f->answers[count].verdict); /* none of them is the worker's end */
}

static void forgotten_calls_are_not_answered(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    struct sa_worker_call *calls[3];
    for (int i = 0; i < 3; i++)
        calls[i] = ask(f, i, "ok");
    sa_worker_forget(calls[1]);
    until_answered(f, 2);
    assert_int_equal(f->answers[0].times, 1);
    assert_int_equal(f->answers[1].times, 0);
    assert_int_equal(f->answers[2].times, 1);
    assert_int_equal(sa_worker_in_flight(f->worker), 0);
}

static void nobody_is_asked_before_it_is_ready(void **state)
{
    struct fixture *f = *state;
    begin(f, "silent", false, NULL);
    assert_null(ask(f, 0, "ok"));
    assert_int_equal(f->answers[0].err.code, SA_EUNAVAILABLE);
}

static void a_death_fails_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    ask(f, 0, "ok");
    ask(f, 1, "crash");
    ask(f, 2, "ok");
    until(f, &f->died, 1);
    assert_int_equal(f->answered, 3);
    assert_true(f->answers[0].verdict); /* it was said before */
    assert_int_equal(f->answers[1].err.code, SA_EUNAVAILABLE);
    assert_int_equal(f->answers[2].err.code, SA_EUNAVAILABLE);
    assert_non_null(strstr(f->death.message, "signal 9"));
    assert_null(ask(f, 3, "ok"));
    assert_int_equal(sa_worker_pid(f->worker), -1);
}

static void what_was_said_before_a_death_counts(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    ask(f, 0, "answer and exit");
    until(f, &f->died, 1);
    assert_true(f->answers[0].verdict);
    assert_non_null(strstr(f->death.message, "status 3"));
}

static void a_socket_that_is_closed_is_the_end(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    ask(f, 0, "hang up");
    until(f, &f->died, 1);
    assert_int_equal(f->answers[0].err.code, SA_EUNAVAILABLE);
}

static void a_kill_from_outside_is_noticed_at_rest(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    kill(sa_worker_pid(f->worker), SIGKILL);
    until(f, &f->died, 1);
    assert_int_equal(f->death.code, SA_EUNAVAILABLE);
}

static void processor_time_is_watched(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, &(struct sa_worker_limits){.kill_cpu_ms = 30, .kill_wall_ms = 600000});
    ask(f, 0, "ok");
    ask(f, 1, "spin");
    ask(f, 2, "ok");
    until(f, &f->died, 1);
    assert_true(f->answers[0].verdict);
    assert_int_equal(f->answers[1].err.code, SA_ETIMEOUT);
    assert_non_null(strstr(f->answers[1].err.message, "processor time"));
    assert_int_equal(f->answers[2].err.code, SA_EUNAVAILABLE);
}

static void time_is_watched(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, &(struct sa_worker_limits){.kill_wall_ms = 50});
    ask(f, 0, "sleep");
    ask(f, 1, "ok");
    until(f, &f->died, 1);
    assert_int_equal(f->answered, 2);
    assert_int_equal(f->answers[0].err.code, SA_ETIMEOUT);
    assert_false(f->answers[1].verdict);
}

static void rest_is_not_watched(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, &(struct sa_worker_limits){.kill_wall_ms = 400, .kill_cpu_ms = 400});
    for (int i = 0; i < 4; i++) {
        uv_sleep(500); /* the loop is late: the answer that is there counts */
        ask(f, i, "ok");
        uv_run(f->loop, UV_RUN_NOWAIT);
        until_answered(f, i + 1);
        assert_true(f->answers[i].verdict);
    }
    assert_int_equal(f->died, 0);
}

static void it_closes_when_all_is_answered(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    pid_t pid = sa_worker_pid(f->worker);
    for (int i = 0; i < 100; i++)
        ask(f, i, "ok");
    sa_worker_close(f->worker);
    assert_null(ask(f, 100, "ok"));
    f->worker = NULL;
    until_answered(f, 100);
    until_gone(f, pid);
    for (int i = 0; i < 100; i++)
        assert_true(f->answers[i].verdict);
    assert_int_equal(f->died, 0);
}

static void closing_ends_what_hangs(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, &(struct sa_worker_limits){.kill_wall_ms = 50});
    pid_t pid = sa_worker_pid(f->worker);
    ask(f, 0, "sleep");
    sa_worker_close(f->worker);
    f->worker = NULL;
    until_answered(f, 1);
    until_gone(f, pid);
    assert_int_equal(f->answers[0].err.code, SA_ETIMEOUT);
    assert_int_equal(f->died, 0);
}

static void closing_does_not_wait_for_the_forgotten(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, &(struct sa_worker_limits){.kill_wall_ms = 600000});
    pid_t pid = sa_worker_pid(f->worker);
    struct sa_worker_call *call = ask(f, 0, "sleep");
    sa_worker_close(f->worker);
    f->worker = NULL;
    sa_worker_forget(call);
    until_gone(f, pid);
    assert_int_equal(f->answered, 0);
}

static void a_killed_worker_calls_nobody(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    pid_t pid = sa_worker_pid(f->worker);
    ask(f, 0, "ok");
    sa_worker_kill(f->worker);
    f->worker = NULL;
    until_gone(f, pid);
    assert_int_equal(f->answered, 0);
    assert_int_equal(f->died, 0);
}

static void kill_in_answer(struct fixture *f, int index)
{
    (void)index;
    if (f->worker)
        sa_worker_kill(f->worker);
    f->worker = NULL;
}

static void it_may_be_killed_in_an_answer(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    f->on_answer = kill_in_answer;
    for (int i = 0; i < 10; i++)
        ask(f, i, "ok");
    until_answered(f, 1);
    assert_int_equal(f->answered, 1);
}

static void it_may_be_killed_while_calls_fail(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    f->on_answer = kill_in_answer;
    for (int i = 0; i < 10; i++)
        ask(f, i, "garbage");
    until_answered(f, 1);
    assert_int_equal(f->answered, 1);
    assert_int_equal(f->died, 0);
}

static void ask_in_answer(struct fixture *f, int index)
{
    if (index < 20)
        assert_non_null(ask(f, index + 1, "ok"));
}

static void an_answer_may_ask(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    f->on_answer = ask_in_answer;
    ask(f, 0, "ok");
    until_answered(f, 21);
}

static void it_inherits_nothing(void **state)
{
    struct fixture *f = *state;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    begin_ready(f, NULL); /* SIGPIPE is ignored by the loop */
    sigprocmask(SIG_SETMASK, &before, NULL);
    ask(f, 0, "inspect");
    until_answered(f, 1);
    assert_string_equal(f->answers[0].text, "{\"descriptors\":4,\"environment\":0,\"leads\":true,"
                                            "\"blocked\":false,\"pipe\":true}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_come_in_order),
        TEST(large_inputs_wait_their_turn),
        TEST(bad_inputs_are_refused),
        TEST(failures_have_codes),
        TEST(forgotten_calls_are_not_answered),
        TEST(nobody_is_asked_before_it_is_ready),
        TEST(a_death_fails_what_is_in_flight),
        TEST(what_was_said_before_a_death_counts),
        TEST(a_socket_that_is_closed_is_the_end),
        TEST(a_kill_from_outside_is_noticed_at_rest),
        TEST(processor_time_is_watched),
        TEST(time_is_watched),
        TEST(rest_is_not_watched),
        TEST(it_closes_when_all_is_answered),
        TEST(closing_ends_what_hangs),
        TEST(closing_does_not_wait_for_the_forgotten),
        TEST(a_killed_worker_calls_nobody),
        TEST(it_may_be_killed_in_an_answer),
        TEST(it_may_be_killed_while_calls_fail),
        TEST(an_answer_may_ask),
        TEST(it_inherits_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
