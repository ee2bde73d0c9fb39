/* Claims over the embedded store: warm, cold, refused; whose pod may be taken; what is written. */
#include "fixture.h"

#include "kinds/names.h"

#include <stdio.h>
#include <string.h>

#define HOW(...) (&(struct sa_claim_ask){__VA_ARGS__})

static void test_warm(void **state)
{
    struct world *w = *state;
    make_pod(w, "wp-1", "");
    struct outcome o = claim(w, "sb-1", HOW(.warm = SA_WARM_PREFER));
    assert_string_equal(o.sandbox, "sb-1");
    assert_string_equal(o.pod, "wp-1");
    assert_int_equal(w->unsure.writes, 2);
    const struct sa_claim *c = claim_of(w, "wp-1");
    assert_true(c->given);
    assert_string_equal(c->sandbox, "sb-1");
    assert_string_equal(c->tenant, "t");
    assert_true(c->at_ms > 0);
    const struct sa_object *sandbox = read_object(w, &sa_kind_sandbox, "sb-1");
    assert_string_equal(annotation(sandbox, SA_SANDBOX_WARM_POD), "wp-1");
    assert_string_equal(annotation(sandbox, SA_SANDBOX_POOL), "p");
    assert_string_equal(annotation(sandbox, "a"), "b");
    assert_non_null(annotation(sandbox, SA_SANDBOX_CLAIM));
    assert_true(sa_object_has_finalizer(sandbox, SA_FINALIZER_SANDBOX));
    assert_true(sa_object_has_finalizer(sandbox, "example.com/f"));
    assert_true(counted(&w->claimer, "secureagent_claims_total{result=\"warm\"}") == 1);
    assert_true(counted(&w->claimer, "secureagent_claim_seconds_count{result=\"warm\"}") == 1);
}

static void test_cold(void **state)
{
    struct world *w = *state;
    struct outcome o = claim(w, "sb-1", HOW(.warm = SA_WARM_PREFER));
    assert_string_equal(o.sandbox, "sb-1");
    assert_string_equal(o.pod, "");
    assert_int_equal(w->unsure.writes, 1);
    const struct sa_object *sandbox = read_object(w, &sa_kind_sandbox, "sb-1");
    assert_null(annotation(sandbox, SA_SANDBOX_WARM_POD));
    assert_null(annotation(sandbox, SA_SANDBOX_POOL)); /* there is none for it */
    assert_true(counted(&w->claimer, "secureagent_claims_total{result=\"cold\"}") == 1);
}

static void test_never(void **state)
{
    struct world *w = *state;
    make_pod(w, "wp-1", "");
    struct outcome o = claim(w, "sb-1", HOW(.warm = SA_WARM_NEVER));
    assert_string_equal(o.pod, "");
    assert_false(claim_of(w, "wp-1")->given);
    assert_null(annotation(read_object(w, &sa_kind_sandbox, "sb-1"), SA_SANDBOX_POOL));
}

/* A miss counts for one of the pools whose pods would have done, and the larger one more often. */
static void test_whose_miss(void **state)
{
    struct world *w = *state;
    enum { CLAIMS = 200 };
    unsigned of[2] = {0};
    make_pool(w, "a", "k", 9);
    make_pool(w, "b", "k", 0);
    make_pool(w, "c", "other", 50);
    for (int i = 0; i < CLAIMS; i++) {
        char name[16];
        snprintf(name, sizeof name, "sb-%d", i);
        claim(w, name, HOW(.warm = SA_WARM_PREFER));
        const char *pool = annotation(read_object(w, &sa_kind_sandbox, name), SA_SANDBOX_POOL);
        assert_true(pool && (strcmp(pool, "a") == 0 || strcmp(pool, "b") == 0));
        of[pool[0] - 'a']++;
    }
    assert_true(of[0] > of[1] && of[1] > 0); /* 180 and 20, but for once in millions */
    claim(w, "named", HOW(.pool = "b"));
    assert_string_equal(annotation(read_object(w, &sa_kind_sandbox, "named"), SA_SANDBOX_POOL),
                        "b");
    make_pod(w, "wp-1", ""); /* of "p": who had it is counted, not who was asked for */
    claim(w, "served", HOW(.pool = "b"));
    assert_string_equal(annotation(read_object(w, &sa_kind_sandbox, "served"), SA_SANDBOX_POOL),
                        "p");
}

static void test_require(void **state)
{
    struct world *w = *state;
    struct outcome o = claim(w, "sb-1", HOW(.warm = SA_WARM_REQUIRE));
    assert_int_equal(o.err.code, SA_EUNAVAILABLE);
    assert_string_equal(o.err.path, "warm");
    assert_int_equal(w->unsure.writes, 0);
    assert_null(read_object(w, &sa_kind_sandbox, "sb-1"));
    assert_true(counted(&w->claimer, "secureagent_claims_total{result=\"refused\"}") == 1);
    make_pod(w, "wp-1", "");
    o = claim(w, "sb-1", HOW(.warm = SA_WARM_REQUIRE));
    assert_string_equal(o.pod, "wp-1");
}

static bool not_the_first(void *user, const struct sa_object *pod)
{
    (void)user;
    return strcmp(sa_object_meta(pod)->name, "wp-1") != 0;
}

static void test_what_does_not_fit(void **state)
{
    struct world *w = *state;
    make_pod(w, "wp-1", "");
    const struct sa_claim_ask asks[] = {{.key = "other", .warm = SA_WARM_REQUIRE},
                                        {.pool = "other", .warm = SA_WARM_REQUIRE},
                                        {.namespace_ = "other", .warm = SA_WARM_REQUIRE},
                                        {.fits = not_the_first, .warm = SA_WARM_REQUIRE}};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        struct outcome o = claim(w, "sb-1", &asks[i]);
        assert_int_equal(o.err.code, SA_EUNAVAILABLE);
    }
    const char *const phases[] = {"Pending", "Assigned", "Recycling", "Terminating"};
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        char status[64];
        snprintf(status, sizeof status, "{'phase':'%s'}", phases[i]);
        set_status(w, "wp-1", status);
        assert_int_equal(claim(w, "sb-1", HOW(.warm = SA_WARM_REQUIRE)).err.code, SA_EUNAVAILABLE);
    }
    set_status(w, "wp-1", "{'phase':'Ready'}");
    make_pod(w, "wp-2", "");
    struct outcome o = claim(w, "sb-1", HOW(.pool = "p", .fits = not_the_first));
    assert_string_equal(o.pod, "wp-2");
    o = claim(w, "sb-2", HOW(.pool = "other")); /* rather from another than from none */
    assert_string_equal(o.pod, "wp-1");
}

static void test_kept_for_a_tenant(void **state)
{
    struct world *w = *state;
    make_pod(w, "wp-1", "owner");
    struct outcome o = claim(w, "sb-1", HOW(.tenant = "thief", .warm = SA_WARM_REQUIRE));
    assert_int_equal(o.err.code, SA_EUNAVAILABLE);
    make_pod(w, "wp-2", "");
    o = claim(w, "sb-2", HOW(.tenant = "owner")); /* rather than what anybody may have */
    assert_string_equal(o.pod, "wp-1");
    o = claim(w, "sb-3", HOW(.tenant = "thief"));
    assert_string_equal(o.pod, "wp-2");
}

static void test_name_is_taken(void **state)
{
    struct world *w = *state;
    claim(w, "sb-1", HOW(.warm = SA_WARM_NEVER));
    turns(w, 5);
    make_pod(w, "wp-1", "");
    w->unsure.writes = 0;
    struct outcome o = claim(w, "sb-1", HOW(.warm = SA_WARM_PREFER));
    assert_int_equal(o.err.code, SA_EEXISTS);
    assert_int_equal(w->unsure.writes, 0); /* the cache knew it */
    assert_false(claim_of(w, "wp-1")->given);
}

static void test_name_is_taken_meanwhile(void **state)
{
    struct world *w = *state;
    struct outcome first, second;
    make_pod(w, "wp-1", "");
    start_claim(&w->claimer, "sb-1", HOW(.warm = SA_WARM_NEVER), &first);
    start_claim(&w->claimer, "sb-1", HOW(.warm = SA_WARM_REQUIRE), &second);
    settle(w, &first);
    settle(w, &second);
    assert_string_equal(first.sandbox, "sb-1");
    assert_int_equal(second.err.code, SA_EEXISTS);
    /* The one that exists is not of this pod: so the controller knows. */
    assert_null(annotation(read_object(w, &sa_kind_sandbox, "sb-1"), SA_SANDBOX_WARM_POD));
}

static void test_bad_manifest(void **state)
{
    struct world *w = *state;
    make_pod(w, "wp-1", "");
    struct outcome o = claim(w, "sb-1",
                             HOW(.manifest = "{\"apiVersion\":\"secureagent.dev/v1\","
                                             "\"kind\":\"Sandbox\",\"metadata\":{"
                                             "\"name\":\"sb-1\"},\"spec\":{}}"));
    assert_int_equal(o.err.code, SA_EINVALID);
    assert_string_equal(o.err.path, "spec.runtime");
    assert_false(claim_of(w, "wp-1")->given);
}

static void test_one_pod_for_many(void **state)
{
    struct world *w = *state;
    enum { CALLS = 8, PODS = 3 };
    struct outcome o[CALLS];
    unsigned warm = 0;
    make_pod(w, "wp-1", "");
    make_pod(w, "wp-2", "");
    make_pod(w, "wp-3", "");
    for (int i = 0; i < CALLS; i++) {
        char name[16];
        snprintf(name, sizeof name, "sb-%d", i);
        start_claim(&w->claimer, name, HOW(.warm = SA_WARM_PREFER), &o[i]);
    }
    for (int i = 0; i < CALLS; i++) {
        settle(w, &o[i]);
        warm += o[i].pod[0] != '\0';
    }
    assert_int_equal(warm, PODS);
    assert_int_equal(w->unsure.writes, CALLS + PODS); /* nothing was tried twice */
    assert_true(counted(&w->claimer, "secureagent_claim_conflicts_total") == 0);
    turns(w, 5);
    assert_int_equal(sa_held_count(w->claimer.claims->held), 0);
}

static void test_forgotten(void **state)
{
    struct world *w = *state;
    struct outcome o;
    make_pod(w, "wp-1", "");
    sa_claim_forget(start_claim(&w->claimer, "sb-1", HOW(.warm = SA_WARM_PREFER), &o));
    sa_claim_forget(start_claim(&w->claimer, "sb-2", HOW(.warm = SA_WARM_NEVER), &o));
    sa_claim_forget(start_claim(&w->claimer, "sb-3", HOW(.warm = SA_WARM_REQUIRE), &o));
    turns(w, 20);
    assert_false(o.done);
    assert_null(w->claimer.claims->calls);
    assert_null(read_object(w, &sa_kind_sandbox, "sb-1")); /* not even begun */
    const struct sa_object *sandbox = read_object(w, &sa_kind_sandbox, "sb-2");
    assert_true(sandbox && sa_object_meta(sandbox)->deleted_ms);
}

static void test_freed_while_busy(void **state)
{
    struct world *w = *state;
    struct claimer other;
    struct outcome o[3];
    claimer_start(w, &other, w->store, w->store);
    make_pod(w, "wp-1", "");
    start_claim(&other, "sb-1", HOW(.warm = SA_WARM_PREFER), &o[0]);
    start_claim(&other, "sb-2", HOW(.warm = SA_WARM_NEVER), &o[1]);
    start_claim(&other, "sb-3", HOW(.warm = SA_WARM_REQUIRE), &o[2]);
    claimer_stop(&other);
    turns(w, 20);
    for (int i = 0; i < 3; i++)
        assert_false(o[i].done);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_warm),
                                       TEST(test_cold),
                                       TEST(test_never),
                                       TEST(test_whose_miss),
                                       TEST(test_require),
                                       TEST(test_what_does_not_fit),
                                       TEST(test_kept_for_a_tenant),
                                       TEST(test_name_is_taken),
                                       TEST(test_name_is_taken_meanwhile),
                                       TEST(test_bad_manifest),
                                       TEST(test_one_pod_for_many),
                                       TEST(test_forgotten),
                                       TEST(test_freed_while_busy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
