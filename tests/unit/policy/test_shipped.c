/*
 * The shipped rules (lua/) in the production worker: their own tests pass and run through every
 * line of them. With arguments it does the same for other folders, as a reload would.
 */
#include "policy/tables.h"

#include "base/cleanup.h"
#include "loop/loop.h"
#include "lua/worker.h"
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *dirs[16] = {SA_SOURCE_DIR "/lua"};
static size_t dir_count = 1;

struct run {
    struct sa_worker *worker;
    bool done, failed;
    size_t rules, tests;
};

static void complain(struct run *run, const char *what, const struct sa_value *item)
{
    sa_autobuf json = SA_BUF_INIT;
    sa_value_to_json(item, &json);
    print_error("%s: %s\n", what, json.data);
    run->failed = true;
}

static void look_at_compiled(struct run *run, const struct sa_value *compiled)
{
    const struct sa_value errors = sa_value_get(compiled, "errors");
    const struct sa_value rules = sa_value_get(compiled, "rules");
    struct sa_value item;
    struct sa_value_reader reader = sa_value_enter(&errors);
    while (errors.type == SA_VALUE_LIST && sa_value_next(&reader, &item))
        complain(run, "does not compile", &item);
    reader = sa_value_enter(&rules);
    while (rules.type == SA_VALUE_LIST && sa_value_next(&reader, &item)) {
        run->rules++;
        if (sa_value_get(&item, "tests").integer == 0)
            complain(run, "has no test", &item);
    }
}

static void look_at_tests(struct run *run, const struct sa_value *tested)
{
    const struct sa_value tests = sa_value_get(tested, "tests");
    struct sa_value item;
    struct sa_value_reader reader = sa_value_enter(&tests);
    while (tests.type == SA_VALUE_LIST && sa_value_next(&reader, &item)) {
        run->tests++;
        if (sa_value_get(&item, "ok").type != SA_VALUE_TRUE)
            complain(run, "failed", &item);
    }
}

static void look_at_coverage(struct run *run, const struct sa_value *tested)
{
    const struct sa_value coverage = sa_value_get(tested, "coverage");
    struct sa_value file, lines;
    struct sa_value_reader reader = sa_value_enter(&coverage);
    assert_int_equal(coverage.type, SA_VALUE_MAP);
    while (sa_value_next_member(&reader, &file, &lines)) {
        const struct sa_value missed = sa_value_get(&lines, "missed");
        struct sa_value line;
        struct sa_value_reader missed_reader = sa_value_enter(&missed);
        if (missed.type != SA_VALUE_LIST || !sa_value_next(&missed_reader, &line))
            continue;
        complain(run, "lines that no test runs through", &lines);
        print_error("  of %.*s\n", (int)file.length, file.data);
    }
}

static void started(void *owner, const struct sa_error *err, const struct sa_value *compiled,
                    const struct sa_value *tested)
{
    struct run *run = owner;
    run->done = true;
    look_at_compiled(run, compiled);
    look_at_tests(run, tested);
    if (err)
        print_error("%s\n", err->message);
    run->failed = run->failed || err;
    if (!err)
        look_at_coverage(run, tested);
}

static void died(void *owner, const struct sa_error *why)
{
    struct run *run = owner;
    run->done = run->failed = true;
    print_error("the worker died: %s\n", why->message);
}

static void shipped_rules_pass_their_tests(void **state)
{
    (void)state;
    struct sa_error err = {0};
    struct run run = {0};
    sa_autobuf points = SA_BUF_INIT;
    uv_loop_t *loop = sa_loop_new(&err);
    struct sa_bundle *bundle = sa_bundle_read(dirs, dir_count, &err);
    if (!bundle)
        fail_msg("%s", err.message);
    sa_policy_points_print(&points);
    const struct sa_worker_options options = {.loop = loop,
                                              .program = SA_POLICY_WORKER,
                                              .points = &points,
                                              .bundle = bundle,
                                              .test = true,
                                              .started = started,
                                              .died = died,
                                              .owner = &run};
    run.worker = sa_worker_start(&options, &err);
    if (!run.worker)
        fail_msg("%s", err.message);
    while (!run.done)
        uv_run(loop, UV_RUN_ONCE);
    print_message("%zu rules, %zu tests\n", run.rules, run.tests);
    assert_true(run.rules > 0 && run.tests > 0);
    sa_worker_kill(run.worker);
    sa_bundle_unref(bundle);
    sa_loop_free(loop);
    assert_false(run.failed);
}

static void they_are_found(void **state)
{
    (void)state;
    char path[4096];
    assert_non_null(sa_policy_shipped(path, sizeof path));
    assert_null(sa_policy_shipped(path, 8)); /* no room */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_rules_pass_their_tests),
        cmocka_unit_test(they_are_found),
    };
    if (argc > 1) {
        dir_count = 0;
        for (int i = 1; i < argc && dir_count < SA_COUNT(dirs); i++)
            dirs[dir_count++] = argv[i];
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
