/* What becomes of questions when their worker dies, at once or always. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALLOW "{\"verdict\":\"allow\"}"

/* What kills its worker has no verdict; all that was near it is answered by a new one. */
static void test_crash(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answers[10] = {0}, after;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    pid_t before = worker_pid(f);
    for (unsigned i = 0; i < 10; i++)
        ask(f, EXECUTE, i == 3 ? "{\"act\":\"crash\"}" : "{}", &answers[i]);
    until(f, &f->answered, 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(answers[i].code, i == 3 ? SA_EUNAVAILABLE : SA_OK);
    ask_and_wait(f, EXECUTE, "{}", &after);
    assert_int_equal(after.code, SA_OK);
    assert_int_equal(after.meta.generation, 1);
    assert_int_not_equal(worker_pid(f), before);
    sa_autofree char *text = print(f);
    assert_has(text, "\"restarts\":2,");
    assert_int_equal(f->changed_error.code, SA_EUNAVAILABLE);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(answers[i].times, 1);
}

/* What waits longer than it may is told so, and not for ever. */
static void test_never_up_again(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    folder_write(&f->rules, "policies/a.lua", "{\"point\":\"execute\",\"die\":\"call\"}");
    engine_begin_good(f);
    unsigned denied = 0;
    while (denied < 8) { /* each is the end of a worker, or comes while none is up */
        ask_and_wait(f, EXECUTE, "{}", &answer);
        assert_int_equal(answer.code, SA_EUNAVAILABLE);
        denied++;
    }
    sa_autofree char *text = print(f);
    assert_has(text, "\"restarts\":");
    rule(f, "a", "execute", ALLOW); /* new rules do not wait for the old ones' pause */
    assert_int_equal(reload(f), SA_OK);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    assert_int_equal(answer.code, SA_OK);
}

static void test_overrun(void **state)
{
    struct engine_fixture *f = *state;
    struct answer slow = {0}, behind = {0}, after;
    f->limits = (struct sa_worker_limits){.kill_wall_ms = 200};
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    ask(f, EXECUTE, "{\"act\":\"sleep\"}", &slow);
    ask(f, EXECUTE, "{}", &behind);
    until(f, &f->answered, 2);
    assert_int_equal(slow.code, SA_ETIMEOUT);
    assert_int_equal(behind.times, 1);
    ask_and_wait(f, EXECUTE, "{}", &after);
    assert_int_equal(after.code, SA_OK);
}

/* More than a worker takes at a time waits; nothing is refused or lost. */
static void test_many(void **state)
{
    struct engine_fixture *f = *state;
    enum { MANY = 10000 };
    struct answer *answers = calloc(MANY, sizeof *answers);
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    for (int i = 0; i < MANY; i++) {
        char json[32];
        snprintf(json, sizeof json, "{\"n\":%d}", i);
        ask(f, EXECUTE, json, &answers[i]);
    }
    until(f, &f->answered, MANY);
    for (int i = 0; i < MANY; i++) {
        char part[32];
        snprintf(part, sizeof part, "\"n\":%d,", i);
        assert_int_equal(answers[i].times, 1);
        assert_has(answers[i].text, part);
    }
    free(answers);
}

/* But not without bound. */
static void test_too_many(void **state)
{
    struct engine_fixture *f = *state;
    enum { MANY = 700, BIG = 100 * 1024 };
    struct answer *answers = calloc(MANY, sizeof *answers);
    sa_autofree char *big = malloc(BIG + 32);
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    snprintf(big, BIG + 32, "{\"x\":\"%0*d\"}", BIG, 1);
    for (int i = 0; i < MANY; i++)
        ask(f, EXECUTE, big, &answers[i]);
    until(f, &f->answered, MANY);
    unsigned refused = 0;
    for (int i = 0; i < MANY; i++)
        refused += answers[i].code != SA_OK;
    assert_in_range(refused, MANY - 32 * 1024 * 1024 / BIG - 10, MANY - 1);
    assert_int_equal(answers[MANY - 1].code, SA_EUNAVAILABLE);
    free(answers);
}

/* A reload while the worker in force is down and waits for its next start. */
static void test_swap_while_down(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer = {0};
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    for (int i = 0; i < 5; i++) {
        pid_t pid;
        while ((pid = worker_pid(f)) <= 0)
            uv_run(f->loop, UV_RUN_ONCE);
        kill(pid, SIGKILL);
        while (worker_pid(f) == pid)
            uv_run(f->loop, UV_RUN_ONCE);
    }
    rule(f, "a", "execute", "{\"verdict\":\"deny\"}");
    ask(f, EXECUTE, "{}", &answer);
    assert_int_equal(reload(f), SA_OK);
    until(f, &answer.times, 1);
    assert_int_equal(answer.code, SA_OK);
}

#define TEST(NAME)                                                                                 \
    cmocka_unit_test_setup_teardown(NAME, engine_fixture_setup, engine_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_crash), TEST(test_never_up_again), TEST(test_overrun),
        TEST(test_many),  TEST(test_too_many),       TEST(test_swap_while_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
