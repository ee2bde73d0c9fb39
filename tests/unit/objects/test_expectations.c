/* Expectations: by name, fulfilled once, lapsing. */
#include "objects/expectations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t clock_ms;

static uint64_t now_ms(void)
{
    return clock_ms;
}

static void test_all(void **state)
{
    (void)state;
    struct sa_expectations *e = sa_expectations_new(100, now_ms);
    assert_int_equal(sa_expect_creates(e, "n/a"), 0);
    sa_expect_create(e, "n/a", "x");
    sa_expect_create(e, "n/a", "y");
    sa_expect_create(e, "n/a", "y"); /* the same one */
    sa_expect_delete(e, "n/a", "uid");
    sa_expect_create(e, "n/b", "x");
    assert_int_equal(sa_expect_creates(e, "n/a"), 2);
    assert_int_equal(sa_expect_deletes(e, "n/a"), 1);
    sa_expect_seen_create(e, "n/a", "x");
    sa_expect_seen_create(e, "n/a", "x"); /* doubled */
    sa_expect_seen_create(e, "n/a", "never");
    sa_expect_seen_create(e, "n/none", "x");
    sa_expect_seen_delete(e, "n/a", "x");
    assert_int_equal(sa_expect_creates(e, "n/a"), 1);
    assert_int_equal(sa_expect_deletes(e, "n/a"), 1);
    sa_expect_seen_delete(e, "n/a", "uid");
    sa_expect_seen_create(e, "n/a", "y");
    assert_int_equal(sa_expect_creates(e, "n/a") + sa_expect_deletes(e, "n/a"), 0);
    assert_int_equal(sa_expect_creates(e, "n/b"), 1);
    sa_expect_forget(e, "n/b");
    assert_int_equal(sa_expect_creates(e, "n/b"), 0);
    sa_expectations_free(e);
}

static void test_lapse(void **state)
{
    (void)state;
    struct sa_expectations *e = sa_expectations_new(100, now_ms);
    sa_expect_create(e, "n/a", "x");
    clock_ms += 60;
    sa_expect_delete(e, "n/a", "uid");
    clock_ms += 60;
    assert_int_equal(sa_expect_creates(e, "n/a"), 0);
    assert_int_equal(sa_expect_deletes(e, "n/a"), 1);
    sa_expect_create(e, "n/a", "x"); /* anew */
    assert_int_equal(sa_expect_creates(e, "n/a"), 1);
    clock_ms += 200;
    assert_int_equal(sa_expect_creates(e, "n/a") + sa_expect_deletes(e, "n/a"), 0);
    sa_expectations_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_lapse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
