/* What a scaling rule is told of the past. */
#include "controller/pool/demand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void rates_are_of_a_minute(void **state)
{
    struct sa_demand d = {.sampled_s = 0};
    struct sa_policy_demand rates;
    (void)state;
    for (int64_t s = 1000; s < 1010; s++)
        for (int i = 0; i < 6; i++)
            sa_demand_claim(&d, s, i > 0);
    sa_demand_claim(&d, 1009, true);
    sa_demand_rates(&d, 1010, &rates);
    assert_true(rates.claims_per_second > 61.0 / 60 - 1e-9);
    assert_true(rates.claims_per_second < 61.0 / 60 + 1e-9);
    assert_true(rates.misses_per_second > 10.0 / 60 - 1e-9);
    assert_int_equal(7, rates.claims_per_second_peak);
    sa_demand_rates(&d, 1064, &rates); /* the first five are older than a minute */
    assert_true(rates.claims_per_second > 31.0 / 60 - 1e-9);
    assert_true(rates.claims_per_second < 31.0 / 60 + 1e-9);
    sa_demand_rates(&d, 1070, &rates);
    assert_true(rates.claims_per_second < 1e-9);
}

static void samples_hold_each_claim_once(void **state)
{
    struct sa_demand d = {.sampled_s = 0};
    struct sa_policy_sample history[SA_DEMAND_SAMPLES];
    int64_t claims = 0, sum = 0, misses = 0;
    (void)state;
    for (int64_t s = 100; s < 400; s++) {
        sa_demand_sample(&d, s, (double)s, 3, 4, 5);
        for (int64_t i = 0; i < s % 3; i++, claims++)
            sa_demand_claim(&d, s, i == 0);
    }
    sa_demand_sample(&d, 400, 400, 3, 4, 5);
    size_t count = sa_demand_history(&d, history);
    assert_int_equal(31, count);
    for (size_t i = 0; i < count; i++) {
        sum += history[i].claims;
        misses += history[i].misses;
        assert_true(i == 0 || history[i].at > history[i - 1].at);
        assert_true(history[i].claims_peak <= 2);
    }
    assert_int_equal(claims, sum);
    assert_int_equal(100, misses);
    assert_int_equal(5, history[count - 1].size);
}

static void only_so_many_samples(void **state)
{
    struct sa_demand d = {.sampled_s = 0};
    struct sa_policy_sample history[SA_DEMAND_SAMPLES];
    (void)state;
    for (int64_t s = 10; s < 10000; s++)
        sa_demand_sample(&d, s, (double)s, 0, 0, 0);
    assert_int_equal(SA_DEMAND_SAMPLES, sa_demand_history(&d, history));
    assert_true(history[0].at < history[SA_DEMAND_SAMPLES - 1].at);
    assert_int_equal(9990, history[SA_DEMAND_SAMPLES - 1].at);
}

static void refills(void **state)
{
    struct sa_demand d = {.sampled_s = 0};
    (void)state;
    assert_int_equal(0, sa_demand_refill_ms(&d, 50));
    for (int i = 0; i < 1000; i++)
        sa_demand_refill(&d, 7); /* forgotten by what follows */
    for (int64_t ms = 1; ms <= SA_DEMAND_REFILLS; ms++)
        sa_demand_refill(&d, ms);
    assert_int_equal(SA_DEMAND_REFILLS / 2, sa_demand_refill_ms(&d, 50));
    assert_int_equal(SA_DEMAND_REFILLS * 95 / 100 + 1, sa_demand_refill_ms(&d, 95));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_of_a_minute),
        cmocka_unit_test(samples_hold_each_claim_once),
        cmocka_unit_test(only_so_many_samples),
        cmocka_unit_test(refills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
