/* The pool controller over a store in memory: the world is asserted, not the calls. */
#include "world.h"

#include "base/clock.h"

#include <stdio.h>

#define POOL(SPEC)                                                                                 \
    "{\"apiVersion\":\"secureagent.dev/v1\",\"kind\":\"WarmPool\",\"metadata\":{\"name\":\"p\"},"  \
    "\"spec\":{\"runtime\":\"python\"," SPEC "}}"
#define SIZES(MIN, MAX) "\"minSize\":" #MIN ",\"maxSize\":" #MAX

static int setup(void **state)
{
    *state = world_new();
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

static void settle(struct world *w, size_t ready)
{
    world_until(w, world_count(w, SA_WARM_POD_READY) == ready &&
                       sa_informer_count(w->caches.warm_pods) == ready &&
                       sa_informer_count(w->caches.pods) == ready && world_pool(w, "p") &&
                       world_pool(w, "p")->available == (int64_t)ready &&
                       world_condition(w, "p", "Progressing", "Complete"));
}

static void a_pool_fills(void **state)
{
    struct world *w = *state;
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(5, 10)));
    settle(w, 5);
    const struct sa_warm_pool_status *status = world_pool(w, "p");
    assert_int_equal(5, status->size);
    assert_int_equal(5, w->pods_made);
    assert_int_equal(64, strlen(status->key));
    assert_true(world_condition(w, "p", "Ready", "PodsReady"));
    assert_true(world_condition(w, "p", "Degraded", "AsExpected"));
    const struct sa_object *pod = world_any(w, SA_WARM_POD_READY);
    const struct sa_warm_pod_status *own = sa_object_status(pod);
    assert_string_equal(sa_object_meta(pod)->name, own->pod);
    assert_true(own->expires_ms > own->ready_ms + 3200 * 1000);
    assert_true(own->expires_ms <= own->ready_ms + 3600 * 1000);
}

static void it_follows_its_spec(void **state)
{
    struct world *w = *state;
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(2, 4)));
    settle(w, 2);
    world_patch(w, &sa_kind_warm_pool, "p", "{\"spec\":{\"minSize\":4}}", false);
    settle(w, 4);
    world_patch(w, &sa_kind_warm_pool, "p", "{\"spec\":{\"minSize\":1,\"maxSize\":2}}", false);
    settle(w, 2);
    /* Others are made, and nothing stays of the old ones. */
    int before = w->pods_made;
    world_patch(w, &sa_kind_warm_pool, "p", "{\"spec\":{\"resources\":{\"cpu\":\"2\"}}}", false);
    world_until(w, w->pods_made >= before + 2);
    settle(w, 2);
    before = w->pods_made;
    world_patch(w, &sa_kind_warm_pool, "p", "{\"spec\":{\"imports\":[\"json\"]}}", false);
    world_until(w, w->pods_made >= before + 2);
    settle(w, 2);
}

static void a_claim_is_counted_and_replaced(void **state)
{
    struct world *w = *state;
    char pod[64], second[64];
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(1, 3)));
    settle(w, 1);
    world_claim(w, "sb-1", pod, true);
    assert_string_not_equal("", pod);
    world_until(w, world_count(w, SA_WARM_POD_ASSIGNED) == 1 && world_pool(w, "p")->hits == 1 &&
                       world_pool(w, "p")->available == 1 && world_pool(w, "p")->assigned == 1);
    /* Its end: the pod goes with its Sandbox, the other one stays. */
    world_delete(w, &sa_kind_sandbox, "sb-1");
    world_until(w, sa_informer_count(w->caches.warm_pods) == 1);
    settle(w, 1);
    world_until(w, world_pool(w, "p")->assigned == 0);
    assert_int_equal(2, w->pods_made);
    /* One that has to start cold is a miss. */
    w->pods_fail = true;
    world_delete(w, &sa_kind_warm_pod, sa_object_meta(world_any(w, SA_WARM_POD_READY))->name);
    world_until(w, world_count(w, SA_WARM_POD_READY) == 0);
    world_claim(w, "sb-2", second, true);
    assert_string_equal("", second);
    world_until(w, world_pool(w, "p")->misses == 1);
    assert_int_equal(1, world_pool(w, "p")->hits);
    assert_true(world_pool(w, "p")->hit_ratio > 0.49 && world_pool(w, "p")->hit_ratio < 0.51);
}

/* What is as old as the pool, to the millisecond, or as what was counted by another process, is not
 * counted. */
static void let_time_pass(struct world *w)
{
    const int64_t now_ms = sa_wall_ms();
    world_until(w, sa_wall_ms() > now_ms);
}

/* Two pools with the same pods: what is missed counts for the one that the Sandbox names. */
static void a_miss_is_of_one_pool(void **state)
{
    struct world *w = *state;
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(0, 3)));
    world_create(w, &sa_kind_warm_pool,
                 "{\"apiVersion\":\"secureagent.dev/v1\",\"kind\":\"WarmPool\",\"metadata\":"
                 "{\"name\":\"q\"},\"spec\":{\"runtime\":\"python\"," SIZES(0, 3) "}}");
    world_until(w, world_pool(w, "p") && world_pool(w, "p")->key[0] && world_pool(w, "q") &&
                       world_pool(w, "q")->key[0]);
    assert_string_equal(world_pool(w, "p")->key, world_pool(w, "q")->key);
    let_time_pass(w);
    world_miss(w, "sb-1", "q");
    world_miss(w, "sb-2", "p");
    world_miss(w, "sb-3", "q");
    world_miss(w, "sb-4", "gone");
    world_until(w, world_pool(w, "p")->misses == 1 && world_pool(w, "q")->misses == 2);
    world_stop_controller(w);
    world_start_controller(w);
    let_time_pass(w);
    world_miss(w, "sb-5", "p");
    world_until(w, world_pool(w, "p")->misses == 2);
    assert_int_equal(2, world_pool(w, "q")->misses);
}

static void a_claim_without_a_sandbox_ends(void **state)
{
    struct world *w = *state;
    char pod[64], key[80];
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(1, 3)));
    settle(w, 1);
    world_claim(w, "sb-never", pod, false); /* a minute ago */
    snprintf(key, sizeof key, "default/%s", pod);
    world_until(w, !sa_informer_get(w->caches.warm_pods, key));
    settle(w, 1);
    assert_int_equal(0, world_pool(w, "p")->hits);
}

static void failures_are_told_and_not_repeated_at_once(void **state)
{
    struct world *w = *state;
    w->pods_fail = true;
    int64_t begin_ms = sa_monotonic_ms();
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(4, 4)));
    world_until(w, world_condition(w, "p", "Degraded", "CreateFailed"));
    assert_true(world_condition(w, "p", "Ready", "NoPodReady"));
    world_until(w, w->pods_made >= 12);
    /* 4, then at most half of 32 after 200 ms, a quarter 400 ms after that. */
    assert_true(sa_monotonic_ms() - begin_ms >= 500);
    w->pods_fail = false;
    settle(w, 4);
}

static void a_pod_that_dies_is_replaced(void **state)
{
    struct world *w = *state;
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(3, 3)));
    settle(w, 3);
    char name[64];
    snprintf(name, sizeof name, "%s", sa_object_meta(world_any(w, SA_WARM_POD_READY))->name);
    world_patch(
        w, &sa_kind_pod, name,
        "{\"status\":{\"phase\":\"Failed\",\"reason\":\"Exited\",\"message\":\"it ended\"}}", true);
    world_until(w, w->pods_made == 4);
    settle(w, 3);
    assert_true(world_condition(w, "p", "Degraded", "Exited"));
}

static void a_pool_that_goes_leaves_those_in_use(void **state)
{
    struct world *w = *state;
    char pod[64];
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(3, 5)));
    settle(w, 3);
    world_claim(w, "sb-1", pod, true);
    world_until(w, world_count(w, SA_WARM_POD_ASSIGNED) == 1);
    world_delete(w, &sa_kind_warm_pool, "p");
    world_until(w, sa_informer_count(w->caches.warm_pods) == 1 &&
                       sa_informer_count(w->caches.pods) == 1);
    assert_int_equal(1, world_count(w, SA_WARM_POD_ASSIGNED));
    world_delete(w, &sa_kind_sandbox, "sb-1");
    world_until(w, sa_informer_count(w->caches.warm_pods) == 0 &&
                       sa_informer_count(w->caches.pods) == 0);
}

static void another_process_goes_on(void **state)
{
    struct world *w = *state;
    char pod[64], next[64];
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(2, 5)));
    settle(w, 2);
    world_claim(w, "sb-1", pod, true);
    world_until(w, world_pool(w, "p")->hits == 1 && world_pool(w, "p")->available == 2);
    world_stop_controller(w);
    world_claim(w, "sb-2", next, true);
    world_delete(w, &sa_kind_sandbox, "sb-1");
    world_start_controller(w);
    /* Each counted once, although all appear anew. */
    world_until(w, world_pool(w, "p")->hits == 2 && world_pool(w, "p")->available == 2 &&
                       world_pool(w, "p")->assigned == 1 && sa_informer_count(w->caches.pods) == 3);
    assert_int_equal(0, world_pool(w, "p")->misses);
}

static void a_claim_that_was_taken_away(void **state)
{
    struct world *w = *state;
    char pod[64], key[80];
    world_create(w, &sa_kind_warm_pool, POOL(SIZES(1, 3)));
    settle(w, 1);
    world_claim(w, "sb-1", pod, true);
    world_until(w, world_count(w, SA_WARM_POD_ASSIGNED) == 1);
    snprintf(key, sizeof key, "default/%s", pod);
    world_patch(w, &sa_kind_warm_pod, pod, "{\"spec\":{\"claim\":null}}", false);
    world_until(w, !sa_informer_get(w->caches.warm_pods, key)); /* nobody gets it as it is */
    settle(w, 1);
}

static void what_it_cannot_make(void **state)
{
    struct world *w = *state;
    world_create(w, &sa_kind_warm_pool,
                 "{\"apiVersion\":\"secureagent.dev/v1\",\"kind\":\"WarmPool\",\"metadata\":"
                 "{\"name\":\"p\"},\"spec\":{\"runtime\":\"cobol\"}}");
    world_until(w, world_condition(w, "p", "Degraded", "RuntimeNotFound") &&
                       world_condition(w, "p", "Progressing", "CannotMake"));
    assert_int_equal(0, sa_informer_count(w->caches.warm_pods));
    world_create(w, &sa_kind_runtime_environment,
                 "{\"apiVersion\":\"secureagent.dev/v1\",\"kind\":\"RuntimeEnvironment\","
                 "\"metadata\":{\"name\":\"cobol\"},\"spec\":{\"language\":\"other\"}}");
    assert_int_equal(SA_OK, w->error.code);
    settle(w, 1);
    world_patch(w, &sa_kind_runtime_environment, "cobol", "{\"spec\":{\"image\":\"cobol:85\"}}",
                false);
    world_until(w, world_condition(w, "p", "Degraded", "RuntimeUnavailable"));
    world_patch(w, &sa_kind_runtime_environment, "cobol",
                "{\"spec\":{\"image\":null,\"requirements\":{\"memory\":\"1Ti\"}}}", false);
    world_until(w, world_condition(w, "p", "Degraded", "TooSmall"));
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_pool_fills),
        TEST(it_follows_its_spec),
        TEST(a_claim_is_counted_and_replaced),
        TEST(a_miss_is_of_one_pool),
        TEST(a_claim_without_a_sandbox_ends),
        TEST(failures_are_told_and_not_repeated_at_once),
        TEST(a_pod_that_dies_is_replaced),
        TEST(a_pool_that_goes_leaves_those_in_use),
        TEST(another_process_goes_on),
        TEST(a_claim_that_was_taken_away),
        TEST(what_it_cannot_make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
