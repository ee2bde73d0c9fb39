/* Conditions: one of each type, and time that goes with the status alone. */
#include "objects/conditions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sa_arena *all; /* of the conditions of one test */

static int begin(void **state)
{
    (void)state;
    all = sa_arena_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    sa_arena_free(all);
    return 0;
}

static bool set(struct sa_conditions *c, const char *type, enum sa_truth status, const char *reason,
                int64_t now_ms)
{
    return sa_conditions_set(
        c, &(struct sa_condition){.type = type, .status = status, .reason = reason, .message = ""},
        now_ms, all);
}

static void test_set(void **state)
{
    struct sa_conditions c = {.count = 0};
    (void)state;
    assert_true(sa_conditions_is(&c, "Ready", SA_UNKNOWN));
    assert_true(set(&c, "Ready", SA_FALSE, "Starting", 10));
    assert_false(set(&c, "Ready", SA_FALSE, "Starting", 20));
    assert_int_equal(sa_conditions_get(&c, "Ready")->transition_ms, 10);
    assert_true(set(&c, "Ready", SA_FALSE, "Slow", 30)); /* another reason is no transition */
    assert_int_equal(sa_conditions_get(&c, "Ready")->transition_ms, 10);
    assert_true(set(&c, "Ready", SA_TRUE, "Ready", 40));
    assert_int_equal(sa_conditions_get(&c, "Ready")->transition_ms, 40);
    assert_true(sa_conditions_is(&c, "Ready", SA_TRUE));
    assert_true(set(&c, "Assigned", SA_TRUE, "", 50));
    assert_string_equal(c.items[0].type, "Assigned"); /* in order */
    assert_int_equal(c.count, 2);
    assert_null(sa_conditions_get(&c, "Read"));
}

/* What others have is not changed under their hands. */
static void test_copies_stay(void **state)
{
    struct sa_conditions c = {.count = 0};
    (void)state;
    assert_true(set(&c, "Ready", SA_FALSE, "Starting", 10));
    const struct sa_conditions before = c;
    assert_true(set(&c, "Ready", SA_TRUE, "Done", 20));
    assert_true(set(&c, "Assigned", SA_TRUE, "Taken", 30));
    assert_int_equal(before.count, 1);
    assert_string_equal(before.items[0].reason, "Starting");
    assert_int_equal(before.items[0].status, SA_FALSE);
}

static void test_copy(void **state)
{
    struct sa_conditions c = {.count = 0}, copy;
    struct sa_arena *arena = sa_arena_new();
    char type[] = "Ready", reason[] = "Why";
    (void)state;
    sa_conditions_copy(&c, arena, &copy);
    assert_int_equal(copy.count, 0);
    set(&c, type, SA_TRUE, reason, 7);
    sa_conditions_copy(&c, arena, &copy);
    memset(type, 'x', sizeof type - 1);
    memset(reason, 'x', sizeof reason - 1);
    assert_string_equal(copy.items[0].type, "Ready");
    assert_string_equal(copy.items[0].reason, "Why");
    assert_int_equal(copy.items[0].transition_ms, 7);
    sa_arena_free(arena);
}

static void test_full(void **state)
{
    struct sa_conditions c = {.count = 0};
    char types[SA_CONDITIONS_MAX + 1][8];
    (void)state;
    for (int i = 0; i <= SA_CONDITIONS_MAX; i++) {
        snprintf(types[i], sizeof types[i], "T%02d", i);
        assert_int_equal(set(&c, types[i], SA_TRUE, "", 1), i < SA_CONDITIONS_MAX);
    }
    assert_true(set(&c, types[3], SA_FALSE, "", 2));
}

static int decode(const char *json, struct sa_conditions *c, struct sa_arena *arena,
                  struct sa_error *err)
{
    struct sa_json_doc *doc = sa_json_parse(json, strlen(json), NULL, err);
    struct sa_json_obj root;
    assert_non_null(doc);
    assert_int_equal(0, sa_json_root(doc, arena, &root, err));
    int rc = sa_conditions_decode(&root, "conditions", c, err);
    sa_json_free(doc);
    return rc;
}

static void test_back_and_forth(void **state)
{
    struct sa_conditions c = {.count = 0}, again;
    struct sa_arena *arena = sa_arena_new();
    struct sa_buf text = SA_BUF_INIT;
    struct sa_error err;
    (void)state;
    set(&c, "Ready", SA_TRUE, "Why", 1700000000123);
    set(&c, "Ill", SA_UNKNOWN, "Lost", 1700000000000);
    c.items[1].observed_generation = 4;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_json_w_key(&w, "conditions");
    sa_conditions_print(&c, &w);
    sa_json_w_end_object(&w);
    assert_int_equal(0, decode(text.data, &again, arena, &err));
    assert_int_equal(again.count, 2);
    assert_string_equal(again.items[1].reason, "Why");
    assert_int_equal(again.items[1].transition_ms, 1700000000123);
    assert_int_equal(again.items[1].observed_generation, 4);
    assert_int_equal(again.items[0].status, SA_UNKNOWN);
    sa_buf_deinit(&text);
    sa_arena_free(arena);
}

static void test_refused(void **state)
{
    static const struct {
        const char *json, *path;
    } cases[] = {
        {"{\"conditions\":{}}", "conditions"},
        {"{\"conditions\":[{\"status\":\"True\"}]}", "conditions[0].type"},
        {"{\"conditions\":[{\"type\":\"A\",\"status\":\"Yes\"}]}", "conditions[0].status"},
        {"{\"conditions\":[{\"type\":\"A\",\"status\":\"True\"},{\"type\":\"A\",\"status\":"
         "\"True\"}]}",
         "conditions[1].type"},
        {"{\"conditions\":[{\"type\":\"A\",\"status\":\"True\",\"lastTransitionTime\":\"now\"}]}",
         "conditions[0].lastTransitionTime"},
    };
    struct sa_arena *arena = sa_arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sa_conditions c;
        struct sa_error err = {.path = ""};
        assert_int_equal(-1, decode(cases[i].json, &c, arena, &err));
        assert_string_equal(err.path, cases[i].path);
    }
    sa_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set, begin, end),
        cmocka_unit_test_setup_teardown(test_copies_stay, begin, end),
        cmocka_unit_test_setup_teardown(test_copy, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
        cmocka_unit_test_setup_teardown(test_back_and_forth, begin, end),
        cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
