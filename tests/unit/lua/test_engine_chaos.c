/*
 * The engine over the real policy-worker, under load: workers that are killed at random, and rules
 * that are swapped while thousands of questions are on their way.
 *
 * The rules of generation N allow even numbers, with N as a change, and deny odd ones, with N in
 * the rule's id: so a verdict tells whether a rule gave it, and of which generation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"
#include "policy/schema.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KILLS = 1000, IN_FLIGHT = 100, CONCURRENT = 10000, RELOADS = 20 };

static const char *names[SA_POINT_COUNT + 1];

static int setup(void **state)
{
    engine_fixture_setup(state);
    struct engine_fixture *f = *state;
    f->program = SA_TEST_POLICY_WORKER;
    for (int i = 0; i < SA_POINT_COUNT; i++)
        names[i] = sa_policy_points[i].name;
    f->point_names = names;
    sa_buf_deinit(&f->points);
    sa_policy_points_print(&f->points);
    return 0;
}

static void write_rules(struct engine_fixture *f, unsigned generation)
{
    sa_autofree char *text =
        sa_printf("return { name = \"parity\", version = %u, point = \"execute\",\n"
                  "  decide = function(input)\n"
                  "    if input.codeBytes %% 2 == 0 then\n"
                  "      return { verdict = \"allow\", changes = { timeoutMs = %u } }\n"
                  "    end\n"
                  "    return { verdict = \"deny\", rule = \"g%u\", reason = \"it is odd\" }\n"
                  "  end }\n",
                  generation, generation, generation);
    folder_write(&f->rules, "policies/parity.lua", text);
}

/* ---- load ---- */

struct load;
struct question {
    struct load *load;
    unsigned number;
    bool answered;
};

struct load {
    struct engine_fixture *fixture;
    struct question *questions;
    unsigned capacity, asked, answered, verdicts, failures;
    unsigned limit; /* ask no more than this many */
    uint64_t first_generation, last_generation;
    int64_t slowest_us;
};

static void ask_next(struct load *load);

static void check_verdict(const struct question *q, const struct sa_value *verdict,
                          uint64_t generation)
{
    char rule[64];
    struct sa_value word = sa_value_get(verdict, "verdict"), by = sa_value_get(verdict, "rule"),
                    result = sa_value_get(verdict, "result");
    snprintf(rule, sizeof rule, "parity/g%llu", (unsigned long long)generation);
    if (q->number % 2 == 0) {
        assert_true(sa_value_is(&word, "allow"));
        assert_int_equal(sa_value_get(&result, "timeoutMs").integer, generation);
    } else {
        assert_true(sa_value_is(&word, "deny"));
        assert_true(sa_value_is(&by, rule));
    }
}

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict,
                      const struct sa_verdict_meta *meta)
{
    struct question *q = user;
    struct load *load = q->load;
    assert_false(q->answered);
    assert_true(!err == !!verdict);
    q->answered = true;
    load->answered++;
    if (meta->micros > load->slowest_us)
        load->slowest_us = meta->micros;
    if (verdict) {
        load->verdicts++;
        check_verdict(q, verdict, meta->generation);
        if (!load->first_generation)
            load->first_generation = meta->generation;
        load->last_generation = meta->generation;
    } else {
        load->failures++;
    }
    if (load->asked < load->limit)
        ask_next(load);
}

static void ask_next(struct load *load)
{
    sa_autobuf input = SA_BUF_INIT;
    struct question *q = &load->questions[load->asked];
    *q = (struct question){.load = load, .number = load->asked++};
    sa_value_map(&input);
    sa_value_put_text(&input, "kind", "code");
    sa_value_put_int(&input, "codeBytes", q->number);
    sa_value_key(&input, "run");
    sa_value_map(&input);
    sa_value_end(&input);
    sa_value_end(&input);
    sa_engine_ask(load->fixture->engine, SA_POINT_EXECUTE, 0, &input, on_answer, q);
}

static void load_start(struct load *load, struct engine_fixture *f, unsigned capacity,
                       unsigned in_flight)
{
    *load = (struct load){.fixture = f, .capacity = capacity, .limit = capacity};
    load->questions = sa_alloc(capacity * sizeof *load->questions);
    for (unsigned i = 0; i < in_flight; i++)
        ask_next(load);
}

static void load_end(struct load *load)
{
    assert_int_equal(load->answered, load->asked);
    assert_int_equal(load->verdicts + load->failures, load->answered);
    free(load->questions);
}

/* ---- killed ---- */

/* Between two kills some questions are answered: a different number each time, sometimes none. */
static void test_killed_at_random(void **state)
{
    struct engine_fixture *f = *state;
    struct load load;
    unsigned seed = 1, kills = 0;
    write_rules(f, 1);
    engine_begin_good(f);
    load_start(&load, f, 4 * 1000 * 1000, IN_FLIGHT);
    pid_t last = 0;
    while (kills < KILLS) {
        unsigned more = (unsigned)(rand_r(&seed) % 400);
        until(f, &load.answered, load.answered + more);
        pid_t pid = worker_pid(f);
        if (pid <= 0 || pid == last) {
            uv_run(f->loop, UV_RUN_ONCE);
            continue;
        }
        assert_int_equal(kill(pid, kills % 10 == 9 ? SIGSEGV : SIGKILL), 0);
        last = pid;
        kills++;
    }
    until(f, &load.answered, load.answered + 1000);
    load.limit = 0;
    until(f, &load.answered, load.asked);
    print_message("%u kills: %u answered, %u without a verdict, slowest %lld ms\n", kills,
                  load.answered, load.failures, (long long)load.slowest_us / 1000);
    assert_true(load.failures > 0 && load.verdicts > load.failures);
    sa_autofree char *text = print(f);
    const char *restarts = strstr(text, "\"restarts\":");
    assert_in_range(strtoul(restarts + 11, NULL, 10), KILLS, KILLS);
    load_end(&load);
}

/* ---- swapped ---- */

/* All of them on their way at once, and one generation after the other meanwhile. */
static void test_swapped_under_load(void **state)
{
    struct engine_fixture *f = *state;
    struct load load;
    write_rules(f, 1);
    engine_begin_good(f);
    load_start(&load, f, 4 * 1000 * 1000, CONCURRENT);
    until(f, &load.answered, 1); /* by the first generation: there is no other yet */
    for (unsigned generation = 2; generation < 2 + RELOADS; generation++) {
        write_rules(f, generation);
        assert_int_equal(reload(f), SA_OK);
        assert_int_equal(sa_engine_generation(f->engine), generation);
    }
    load.limit = 0;
    until(f, &load.answered, load.asked);
    print_message("%u reloads: %u answered, slowest %lld ms\n", RELOADS, load.answered,
                  (long long)load.slowest_us / 1000);
    assert_int_equal(load.failures, 0);
    assert_int_equal(load.first_generation, 1);
    assert_int_equal(load.last_generation, 1 + RELOADS);
    load_end(&load);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, engine_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_killed_at_random),
        TEST(test_swapped_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
