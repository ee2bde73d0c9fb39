/* What a pool needs: each rule of controller/pool/plan.h. */
#include "controller/pool/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 200 };
static struct sa_pool_pod pods[MOST];
static struct sa_pool_observed world;
static struct sa_pool_plan plan;

#define PODS(COUNT, ...) add(COUNT, (struct sa_pool_pod){__VA_ARGS__})
#define READY .state = SA_POOL_POD_READY
#define PENDING .state = SA_POOL_POD_PENDING
#define ASSIGNED .state = SA_POOL_POD_ASSIGNED

static int setup(void **state)
{
    (void)state;
    memset(pods, 0, sizeof pods);
    world = (struct sa_pool_observed){
        .exists = true, .able = true, .wanted = 4, .max = 10, .pods = pods, .now_ms = 1000};
    return 0;
}

static void add(size_t count, struct sa_pool_pod pod)
{
    while (count--) {
        pods[world.count] = pod;
        pods[world.count].created_ms = (int64_t)world.count;
        world.count++;
    }
}

static void forget(void)
{
    memset(pods, 0, sizeof pods);
    world.count = 0;
}

static size_t deleted(enum sa_pool_why why)
{
    size_t count = 0;
    for (size_t i = 0; i < plan.delete_count; i++)
        count += plan.deletes[i].why == why;
    return count;
}

static void expect(size_t creates, size_t deletes)
{
    sa_pool_plan(&world, &plan);
    assert_int_equal(creates, plan.creates);
    assert_int_equal(deletes, plan.delete_count);
    for (size_t i = 0; i < plan.delete_count; i++) /* never one that is in use */
        assert_true(pods[plan.deletes[i].pod].state == SA_POOL_POD_READY ||
                    pods[plan.deletes[i].pod].state == SA_POOL_POD_PENDING ||
                    pods[plan.deletes[i].pod].state == SA_POOL_POD_FAILED);
}

static void missing_ones_are_made(void **state)
{
    (void)state;
    expect(4, 0);
    PODS(1, READY);
    PODS(1, PENDING);
    expect(2, 0);
    PODS(30, ASSIGNED); /* those in use do not count */
    expect(2, 0);
    world.creates_due = 1; /* what was ordered does */
    expect(1, 0);
    PODS(2, .state = SA_POOL_POD_RECYCLING); /* nor do those that may come back */
    expect(1, 0);
    world.max = 6; /* but for the room that they need */
    expect(1, 0);
    world.max = 5;
    expect(0, 0);
    PODS(5, .state = SA_POOL_POD_TERMINATING);
    expect(0, 0);
}

static void not_all_at_once(void **state)
{
    (void)state;
    world.wanted = world.max = 100;
    expect(SA_POOL_AT_ONCE, 0);
    PODS(30, PENDING);
    expect(SA_POOL_AT_ONCE - 30, 0);
}

static void claims_go_first(void **state)
{
    (void)state;
    world.wanted = 8;
    PODS(2, READY);
    world.claim_ms = world.now_ms - 1;
    expect(0, 0);
    assert_int_equal(world.claim_ms + SA_POOL_RUSH_MS, plan.again_ms);
    pods[0].state = SA_POOL_POD_ASSIGNED; /* too few are left */
    expect(7, 0);
    pods[0].state = SA_POOL_POD_READY;
    world.claim_ms = world.now_ms - SA_POOL_RUSH_MS;
    expect(6, 0);
}

static void nothing_that_is_not_known(void **state)
{
    (void)state;
    world.able = false;
    expect(0, 0);
}

static void failures_slow_it_down(void **state)
{
    (void)state;
    world.wanted = world.max = 100;
    world.failures = 3;
    world.retry_ms = 1500;
    PODS(2, .state = SA_POOL_POD_FAILED);
    expect(0, 0); /* the failed ones tell why meanwhile */
    assert_int_equal(1500, plan.again_ms);
    world.now_ms = 1500;
    expect(SA_POOL_AT_ONCE / 8, 2);
    world.failures = 16;
    expect(1, 2);
    assert_true(sa_pool_pause_ms(1) < sa_pool_pause_ms(2));
    assert_int_equal(sa_pool_pause_ms(16), sa_pool_pause_ms(1000));
}

static void surplus_goes_oldest_first(void **state)
{
    (void)state;
    PODS(6, READY);
    expect(0, 2);
    assert_int_equal(0, plan.deletes[0].pod);
    assert_int_equal(1, plan.deletes[1].pod);
    PODS(1, PENDING); /* which is not ready yet goes before */
    expect(0, 3);
    assert_int_equal(6, plan.deletes[0].pod);
    world.deletes_due = 1; /* what is shown is of before */
    expect(0, 0);
}

static void used_ones_may_stay(void **state)
{
    (void)state;
    PODS(4, READY);
    PODS(3, READY, .tolerated = true);
    expect(0, 0);
    PODS(1, READY);
    expect(0, 1);
    world.max = 6; /* but not above it */
    expect(0, 4);
    world.wanted = 2, world.max = 10;
    expect(0, 3);
    assert_int_equal(0, plan.deletes[0].pod);
}

static void reserved_ones_are_not_for_all(void **state)
{
    (void)state;
    PODS(3, READY, .reserved = true, .tolerated = true);
    expect(2, 0); /* at least half of the wanted ones are */
    PODS(4, READY);
    expect(0, 0);
    pods[1].tolerated = false;
    expect(0, 1);
    assert_int_equal(1, plan.deletes[0].pod);
}

static void reserved_ones_make_room(void **state)
{
    (void)state;
    world.max = 5;
    PODS(4, READY, .reserved = true, .tolerated = true);
    expect(1, 1);
    assert_int_equal(1, deleted(SA_POOL_WHY_SURPLUS));
    forget();
    world.max = 4;
    PODS(4, READY);
    PODS(2, READY, .reserved = true, .tolerated = true);
    expect(0, 2); /* of those for all, two are helped out by the reserved ones */
    assert_int_equal(0, plan.deletes[0].pod);
}

static void those_in_use_come_back(void **state)
{
    (void)state;
    world.max = 4;
    PODS(3, READY);
    PODS(1, ASSIGNED, .returning = true);
    expect(0, 0);
    pods[3].returning = false;
    expect(1, 0);
    forget();
    PODS(1, READY);
    PODS(3, ASSIGNED, .returning = true);
    expect(0, 0); /* there is no room for them and another one */
    world.max = 10;
    expect(1, 0);
    pods[1].state = pods[2].state = SA_POOL_POD_RECYCLING;
    expect(1, 0);
}

static void useless_ones_go_at_once(void **state)
{
    (void)state;
    PODS(4, READY, .useless = true);
    PODS(2, PENDING, .useless = true);
    PODS(1, ASSIGNED, .useless = true);
    expect(4, 6);
    assert_int_equal(6, deleted(SA_POOL_WHY_USELESS));
    world.max = 6; /* no more beside them than fit */
    expect(0, 6);
}

static void old_ones_wait_for_new_ones(void **state)
{
    (void)state;
    PODS(4, READY, .old = true);
    expect(4, 0);
    PODS(4, PENDING);
    expect(0, 0);
    pods[4].state = pods[5].state = SA_POOL_POD_READY;
    expect(0, 2);
    assert_int_equal(2, deleted(SA_POOL_WHY_OLD));
    pods[6].state = pods[7].state = SA_POOL_POD_READY;
    expect(0, 4);
    PODS(1, PENDING, .old = true);
    expect(0, 5);
}

static void old_ones_where_there_is_no_room(void **state)
{
    (void)state;
    world.wanted = world.max = 8;
    PODS(8, READY, .old = true);
    expect(0, 2);
    pods[0].state = pods[1].state = SA_POOL_POD_TERMINATING;
    expect(2, 0);
    pods[0] = pods[1] = (struct sa_pool_pod){PENDING};
    expect(0, 0);
    pods[0].state = pods[1].state = SA_POOL_POD_READY;
    expect(0, 2);
}

static void a_smaller_max(void **state)
{
    (void)state;
    PODS(3, READY, .old = true);
    PODS(3, READY);
    world.wanted = world.max = 2;
    expect(0, 4);
}

static void without_the_pool(void **state)
{
    (void)state;
    world.exists = false;
    PODS(2, READY);
    PODS(2, PENDING);
    PODS(2, ASSIGNED);
    PODS(1, .state = SA_POOL_POD_FAILED);
    PODS(1, .state = SA_POOL_POD_RECYCLING);
    expect(0, 5);
    assert_int_equal(5, deleted(SA_POOL_WHY_GONE));
}

static void bounded(void **state)
{
    (void)state;
    PODS(MOST, READY);
    expect(0, SA_POOL_DELETES_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(missing_ones_are_made, setup),
        cmocka_unit_test_setup(not_all_at_once, setup),
        cmocka_unit_test_setup(claims_go_first, setup),
        cmocka_unit_test_setup(nothing_that_is_not_known, setup),
        cmocka_unit_test_setup(failures_slow_it_down, setup),
        cmocka_unit_test_setup(surplus_goes_oldest_first, setup),
        cmocka_unit_test_setup(used_ones_may_stay, setup),
        cmocka_unit_test_setup(reserved_ones_are_not_for_all, setup),
        cmocka_unit_test_setup(reserved_ones_make_room, setup),
        cmocka_unit_test_setup(those_in_use_come_back, setup),
        cmocka_unit_test_setup(useless_ones_go_at_once, setup),
        cmocka_unit_test_setup(old_ones_wait_for_new_ones, setup),
        cmocka_unit_test_setup(old_ones_where_there_is_no_room, setup),
        cmocka_unit_test_setup(a_smaller_max, setup),
        cmocka_unit_test_setup(without_the_pool, setup),
        cmocka_unit_test_setup(bounded, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
