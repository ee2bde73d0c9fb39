/* core/lua/worker.c and startup.c against workers that break the protocol: the worker is ended, all
 * calls in flight fail, and nothing is allowed. */
#include "fixture.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- at the start ---- */

static void starts(struct fixture *f, const char *mode)
{
    begin(f, mode, true, NULL);
    until(f, &f->started, 1);
    assert_int_equal(f->died, 0);
}

static void a_good_start(void **state)
{
    struct fixture *f = *state;
    starts(f, "good");
    assert_int_equal(f->start_error.code, SA_OK);
    assert_string_equal(f->compiled, "{\"rules\":[{\"name\":\"fake\"}],\"errors\":[]}");
    assert_string_equal(f->tested,
                        "{\"passed\":2,\"failed\":0,\"coverage\":{},\"tests\":[{\"name\":\"one\","
                        "\"ok\":true},{\"name\":\"two\",\"ok\":true}]}");
}

static void rules_that_do_not_compile(void **state)
{
    struct fixture *f = *state;
    starts(f, "errors");
    assert_int_equal(f->start_error.code, SA_EINVALID);
    assert_string_equal(f->start_error.message,
                        "2 errors, the first: policies/x.lua:3: what is this");
    assert_non_null(strstr(f->compiled, "\"more\""));
    assert_string_equal(f->tested, "null");
}

static void tests_that_fail(void **state)
{
    struct fixture *f = *state;
    starts(f, "tests fail");
    assert_int_equal(f->start_error.code, SA_EINVALID);
    assert_non_null(strstr(f->start_error.message, "1 of the tests"));
    assert_non_null(strstr(f->tested, "\"failed\":1"));
}

static void a_start_that_fails(void **state)
{
    struct fixture *f = *state;
    starts(f, "fails");
    assert_int_equal(f->start_error.code, SA_EQUOTA);
    assert_string_equal(f->start_error.message, "no room");
}

static void a_death_at_the_start(void **state)
{
    struct fixture *f = *state;
    starts(f, "dies");
    assert_int_equal(f->start_error.code, SA_EUNAVAILABLE);
    assert_non_null(strstr(f->start_error.message, "status 5"));
    assert_string_equal(f->compiled, "null");
}

static void a_start_that_takes_too_long(void **state)
{
    struct fixture *f = *state;
    begin(f, "silent", true, &(struct sa_worker_limits){.start_ms = 50});
    until(f, &f->started, 1);
    assert_int_equal(f->start_error.code, SA_ETIMEOUT);
    assert_int_equal(f->died, 0);
}

static void starts_that_break_the_protocol(void **state)
{
    static const char *const modes[] = {"unasked",  "list",       "nothing",      "compiled twice",
                                        "bad part", "no numbers", "tests unasked"};
    struct fixture *f = *state;
    for (size_t i = 0; i < SA_COUNT(modes); i++) {
        f->started = 0;
        f->start_error = (struct sa_error){0};
        starts(f, modes[i]);
        if (f->start_error.code != SA_EPROTOCOL)
            fail_msg("%s: %s", modes[i], f->start_error.message);
        assert_null(ask(f, 0, "ok"));
        sa_worker_kill(f->worker);
        f->worker = NULL;
    }
}

static void a_program_that_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct sa_error err;
    struct sa_worker_options options = {.loop = f->loop, .program = "/nowhere/policy-worker"};
    assert_null(sa_worker_start(&options, &err));
    assert_int_equal(err.code, SA_EUNAVAILABLE);
    assert_non_null(strstr(err.message, "/nowhere/policy-worker"));
}

/* ---- calls ---- */

/* One call behind it waits in vain, too; one before it was answered, in a packet of its own. */
static void breaks_with(void **state, const char *act)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    pid_t pid = sa_worker_pid(f->worker);
    ask(f, 0, "ok");
    until_answered(f, 1);
    ask(f, 1, act);
    ask(f, 2, "sleep");
    until(f, &f->died, 1);
    assert_int_equal(f->answered, 3);
    for (int i = 1; i < 3; i++) {
        if (f->answers[i].err.code != SA_EPROTOCOL)
            fail_msg("%s: %s", act, f->answers[i].err.message);
        assert_false(f->answers[i].verdict);
        assert_int_equal(f->answers[i].times, 1);
    }
    assert_int_equal(f->death.code, SA_EPROTOCOL);
    until_gone(f, pid);
}

#define BREAKS(name, act)                                                                          \
    static void name(void **state)                                                                 \
    {                                                                                              \
        breaks_with(state, act);                                                                   \
    }
BREAKS(an_answer_to_nobody, "stranger")
BREAKS(an_answer_out_of_order, "next first")
BREAKS(a_part_of_a_call, "part")
BREAKS(a_question, "question")
BREAKS(an_answer_that_is_no_map, "no map")
BREAKS(a_failure_that_is_no_map, "fail no map")
BREAKS(a_packet_of_garbage, "garbage")
BREAKS(a_packet_that_is_cut, "cut")
BREAKS(a_packet_too_large, "large")
BREAKS(a_number_that_is_none, "nan")

static void an_answer_twice(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    ask(f, 0, "twice");
    ask(f, 1, "ok");
    until(f, &f->died, 1);
    assert_true(f->answers[0].verdict);
    assert_int_equal(f->answers[0].times, 1);
    assert_int_equal(f->answers[1].err.code, SA_EPROTOCOL);
}

static void an_answer_when_nothing_is_asked(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    ask(f, 0, "twice");
    until(f, &f->died, 1);
    assert_int_equal(f->answers[0].times, 1);
    assert_int_equal(f->death.code, SA_EPROTOCOL);
}

/* It reads as the end of the socket. */
static void an_empty_packet(void **state)
{
    struct fixture *f = *state;
    begin_ready(f, NULL);
    ask(f, 0, "empty");
    until(f, &f->died, 1);
    assert_int_equal(f->answers[0].err.code, SA_EUNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_start),
        TEST(rules_that_do_not_compile),
        TEST(tests_that_fail),
        TEST(a_start_that_fails),
        TEST(a_death_at_the_start),
        TEST(a_start_that_takes_too_long),
        TEST(starts_that_break_the_protocol),
        TEST(a_program_that_is_not_there),
        TEST(an_answer_to_nobody),
        TEST(an_answer_out_of_order),
        TEST(a_part_of_a_call),
        TEST(a_question),
        TEST(an_answer_that_is_no_map),
        TEST(a_failure_that_is_no_map),
        TEST(a_packet_of_garbage),
        TEST(a_packet_that_is_cut),
        TEST(a_packet_too_large),
        TEST(a_number_that_is_none),
        TEST(an_answer_twice),
        TEST(an_answer_when_nothing_is_asked),
        TEST(an_empty_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
