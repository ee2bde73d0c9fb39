/* The record of decisions: what it keeps, for how long, and whom it tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lua/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sa_record *record;

static int setup(void **state)
{
    (void)state;
    record = sa_record_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sa_record_free(record);
    return 0;
}

static void add(int number, bool denied, size_t bytes)
{
    sa_autobuf input = SA_BUF_INIT, verdict = SA_BUF_INIT;
    char id[32];
    char *filling = calloc(1, bytes + 1);
    sa_value_map(&input);
    sa_value_put_int(&input, "n", number);
    sa_value_key(&input, "filling");
    sa_value_string(&input, filling, bytes);
    sa_value_end(&input);
    sa_value_map(&verdict);
    sa_value_put_text(&verdict, "verdict", denied ? "deny" : "allow");
    sa_value_end(&verdict);
    snprintf(id, sizeof id, "dec-%d", number);
    struct sa_decision decision = {.id = id,
                                   .generation = 3,
                                   .point = 2,
                                   .verdict = sa_value_of(verdict.data, verdict.length),
                                   .denied = denied};
    sa_record_add(record, &decision, input.data, input.length);
    free(filling);
}

static void test_find(void **state)
{
    (void)state;
    add(1, false, 10);
    add(2, true, 0);
    struct sa_decision failed = {.id = "dec-3", .error = "gone", .verdict = {.type = SA_VALUE_NIL}};
    sa_record_add(record, &failed, "\x08\x00", 2);
    const struct sa_decision *d = sa_record_find(record, "dec-1");
    struct sa_value n = sa_value_get(&d->input, "n"),
                    verdict = sa_value_get(&d->verdict, "verdict");
    assert_int_equal(n.integer, 1);
    assert_true(sa_value_is(&verdict, "allow"));
    assert_int_equal(d->generation, 3);
    assert_null(d->error);
    d = sa_record_find(record, "dec-3");
    assert_string_equal(d->error, "gone");
    assert_int_equal(d->verdict.type, SA_VALUE_NIL);
    assert_int_equal(d->input.type, SA_VALUE_MAP);
    assert_null(sa_record_find(record, "dec-4"));
    assert_null(sa_record_find(record, ""));
}

static int number_of(const struct sa_decision *d)
{
    return d ? (int)strtol(d->id + 4, NULL, 10) : -1;
}

static void test_order(void **state)
{
    (void)state;
    uint64_t sequence = 0;
    for (int i = 1; i <= 100; i++)
        add(i, i % 3 == 0, 0);
    for (int i = 1; i <= 100; i++) {
        const struct sa_decision *d = sa_record_after(record, sequence);
        assert_int_equal(number_of(d), i);
        sequence = d->sequence;
    }
    assert_null(sa_record_after(record, sequence));
    sequence = UINT64_MAX;
    for (int i = 100; i >= 1; i--) {
        const struct sa_decision *d = sa_record_before(record, sequence);
        assert_int_equal(number_of(d), i);
        sequence = d->sequence;
    }
    assert_null(sa_record_before(record, sequence));
    assert_null(sa_record_before(record, 0));
}

static size_t count_kept(bool denied)
{
    size_t count = 0;
    uint64_t sequence = 0;
    for (const struct sa_decision *d; (d = sa_record_after(record, sequence));
         sequence = d->sequence)
        count += d->denied == denied;
    return count;
}

static void test_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * SA_RECORD_MAX; i++)
        add(i, false, 0);
    assert_int_equal(count_kept(false), SA_RECORD_MAX);
    assert_null(sa_record_find(record, "dec-0"));
    for (int i = 0; i < 500; i++)
        add(i, false, 100 * 1024);
    assert_in_range(count_kept(false), 70, SA_RECORD_BYTES / (100 * 1024));
}

static void test_denials_outlast_the_rest(void **state)
{
    (void)state;
    add(1, true, 0);
    for (int i = 2; i < 3 * SA_RECORD_MAX; i++)
        add(i, false, 0);
    assert_non_null(sa_record_find(record, "dec-1"));
    /* but they leave half of the room to the rest */
    for (int i = 0; i < 2 * SA_RECORD_MAX; i++)
        add(20000 + i, true, 0);
    assert_in_range(count_kept(true), SA_RECORD_MAX / 2, SA_RECORD_MAX / 2 + 1);
    assert_in_range(count_kept(false), SA_RECORD_MAX / 2 - 1, SA_RECORD_MAX / 2);
    assert_null(sa_record_find(record, "dec-1"));
}

static void test_outlives_its_place(void **state)
{
    (void)state;
    add(1, false, 50);
    struct sa_recorded *kept = sa_recorded_ref(sa_record_find(record, "dec-1"));
    for (int i = 2; i < 2 * SA_RECORD_MAX; i++)
        add(i, false, 0);
    assert_null(sa_record_find(record, "dec-1"));
    assert_string_equal(sa_recorded_decision(kept)->id, "dec-1");
    struct sa_buf input = sa_recorded_input(kept);
    assert_int_equal(sa_value_check(input.data, input.length, NULL), 0);
    sa_recorded_unref(kept);
}

struct ear {
    struct sa_engine_listener listener;
    int heard, leave_at;
};

static void on_decided(struct sa_engine_listener *listener, const struct sa_decision *decision)
{
    struct ear *ear = (struct ear *)listener;
    assert_ptr_equal(sa_record_find(record, decision->id), decision);
    if (++ear->heard == ear->leave_at)
        sa_record_unlisten(record, listener);
}

static void test_listeners(void **state)
{
    (void)state;
    struct ear one = {.listener.decided = on_decided, .leave_at = 2},
               two = {.listener.decided = on_decided};
    sa_record_listen(record, &one.listener);
    sa_record_listen(record, &two.listener);
    for (int i = 0; i < 5; i++)
        add(i, false, 0);
    assert_int_equal(one.heard, 2);
    assert_int_equal(two.heard, 5);
    sa_record_unlisten(record, &two.listener);
    add(6, false, 0);
    assert_int_equal(two.heard, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_denials_outlast_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outlives_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listeners, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
