/* Several processes' claims on one store, with caches that lag, lose and double: every pod has one
 * owner at most, and everybody who was told of a pod is that owner. */
#include "fixture.h"

#include "../objects/faulty.h"

#include "kinds/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOW(...) (&(struct sa_claim_ask){__VA_ARGS__})
enum { CLAIMERS = 4, PODS = 40, CALLS = 16 /* of each */ };

struct party {
    struct faulty faulty;
    struct claimer claimer;
};

static void make_pods(struct world *w)
{
    for (int i = 0; i < PODS; i++) {
        char name[16];
        snprintf(name, sizeof name, "wp-%d", i);
        make_pod(w, name, "");
    }
}

static bool all_shown(void *user)
{
    return sa_informer_find(((struct claimer *)user)->caches.warm_pods, SA_BY_KEY, "k").count ==
           PODS;
}

static unsigned check_told(struct world *w, struct outcome outcomes[CLAIMERS][CALLS])
{
    unsigned warm = 0;
    for (int c = 0; c < CLAIMERS; c++) {
        for (int i = 0; i < CALLS; i++) {
            struct outcome *o = &outcomes[c][i];
            settle(w, o);
            assert_int_equal(o->err.code, SA_OK);
            const struct sa_object *sandbox = read_object(w, &sa_kind_sandbox, o->sandbox);
            const char *pod = annotation(sandbox, SA_SANDBOX_WARM_POD);
            assert_string_equal(pod ? pod : "", o->pod);
            if (!pod)
                continue;
            warm++;
            assert_string_equal(claim_of(w, o->pod)->sandbox, o->sandbox);
        }
    }
    return warm;
}

static unsigned count_claimed(struct world *w)
{
    unsigned claimed = 0;
    for (int i = 0; i < PODS; i++) {
        char name[16];
        snprintf(name, sizeof name, "wp-%d", i);
        claimed += claim_of(w, name)->given;
    }
    return claimed;
}

static void contend(struct world *w, unsigned seed)
{
    static struct party parties[CLAIMERS];
    static struct outcome outcomes[CLAIMERS][CALLS];
    unsigned random = seed;
    double conflicts = 0;
    for (unsigned c = 0; c < CLAIMERS; c++) {
        struct party *p = &parties[c];
        faulty_init(&p->faulty, w->store, w->loop, seed + c);
        claimer_start(w, &p->claimer, w->store, &p->faulty.base);
        wait_until(w, all_shown, &p->claimer, "all pods in a cache");
    }
    for (int i = 0; i < CALLS; i++) {
        for (int c = 0; c < CLAIMERS; c++) {
            char name[32];
            snprintf(name, sizeof name, "sb-%d-%d", c, i);
            start_claim(&parties[c].claimer, name, HOW(.warm = SA_WARM_PREFER), &outcomes[c][i]);
        }
        turns(w, rand_r(&random) % 3 ? 0 : 2);
    }
    unsigned warm = check_told(w, outcomes);
    for (int c = 0; c < CLAIMERS; c++) {
        conflicts += counted(&parties[c].claimer, "secureagent_claim_conflicts_total");
        claimer_stop(&parties[c].claimer);
    }
    print_message("seed %u: %u of %d warm, %d pods, %.0f conflicts\n", seed, warm, CLAIMERS * CALLS,
                  PODS, conflicts);
    assert_int_equal(count_claimed(w), warm);
    assert_true(warm > PODS / 2);
}

static void test_contention(void **state)
{
    make_pods(*state);
    contend(*state, 1);
}

static void test_contention_again(void **state)
{
    make_pods(*state);
    contend(*state, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_contention), TEST(test_contention_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
