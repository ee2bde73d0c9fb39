/* Writes whose outcome the store does not tell: what is committed is found and kept, what is not is
 * made again, and never is there a second pod. */
#include "fixture.h"

#include "kinds/names.h"

#include <stdio.h>
#include <string.h>

#define HOW(...) (&(struct sa_claim_ask){__VA_ARGS__})
enum { PODS = 3 };

static void make_pods(struct world *w)
{
    make_pod(w, "wp-1", "");
    make_pod(w, "wp-2", "");
    make_pod(w, "wp-3", "");
}

static unsigned claimed(struct world *w)
{
    unsigned count = 0;
    for (int i = 1; i <= PODS; i++) {
        char name[16];
        snprintf(name, sizeof name, "wp-%d", i);
        count += claim_of(w, name)->given;
    }
    return count;
}

/* One pod, one sandbox, and they know each other. */
static void is_right(struct world *w, const struct outcome *o, const char *name)
{
    assert_string_equal(o->sandbox, name);
    assert_true(o->pod[0]);
    assert_int_equal(claimed(w), 1);
    assert_string_equal(claim_of(w, o->pod)->sandbox, name);
    assert_string_equal(annotation(read_object(w, &sa_kind_sandbox, name), SA_SANDBOX_WARM_POD),
                        o->pod);
}

static void test_fates(void **state)
{
    struct world *w = *state;
    const enum fate fates[] = {FATE_TOLD, FATE_DONE, FATE_NOT, FATE_LATE};
    enum { COUNT = sizeof fates / sizeof *fates };
    make_pods(w);
    for (unsigned i = 0; i < COUNT * COUNT * 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "sb-%u", i);
        w->unsure.patch = fates[i % COUNT];
        w->unsure.create = fates[i / COUNT % COUNT];
        w->unsure.blind = i / COUNT / COUNT ? 2 : 0;
        struct outcome o = claim(w, name, HOW(.warm = SA_WARM_PREFER));
        is_right(w, &o, name);
        /* Free it for the next round, as the controller would. */
        static const char freed[] = "{\"spec\":{\"claim\":null}}";
        sa_objects_patch(
            w->store, &sa_kind_warm_pod,
            &(struct sa_objects_patch){.name = o.pod, .json = freed, .length = sizeof freed - 1},
            NULL, NULL);
        turns(w, 10);
    }
}

static void test_cold_fates(void **state)
{
    struct world *w = *state;
    const enum fate fates[] = {FATE_DONE, FATE_NOT, FATE_LATE};
    for (unsigned i = 0; i < sizeof fates / sizeof *fates; i++) {
        char name[16];
        snprintf(name, sizeof name, "sb-%u", i);
        w->unsure.create = fates[i];
        struct outcome o = claim(w, name, HOW(.warm = SA_WARM_NEVER));
        assert_string_equal(o.sandbox, name);
    }
}

/* It is not known what became of our create, and there is a sandbox of that name: not ours. */
static void test_somebody_elses(void **state)
{
    struct world *w = *state;
    struct claimer other;
    struct outcome first, second;
    claimer_start(w, &other, w->store, w->store);
    w->unsure.create = FATE_NOT;
    start_claim(&w->claimer, "sb-1", HOW(.warm = SA_WARM_NEVER), &first);
    start_claim(&other, "sb-1", HOW(.warm = SA_WARM_NEVER), &second);
    settle(w, &first);
    settle(w, &second);
    assert_int_equal(first.err.code, SA_EEXISTS);
    assert_string_equal(second.sandbox, "sb-1");
    claimer_stop(&other);
}

static void test_refused(void **state)
{
    struct world *w = *state;
    make_pods(w);
    w->unsure.patch = FATE_REFUSED;
    assert_int_equal(claim(w, "sb-1", HOW(.warm = SA_WARM_PREFER)).err.code, SA_EQUOTA);
    assert_int_equal(claimed(w), 0);
    assert_int_equal(sa_held_count(w->claimer.claims->held), 0); /* may be tried again */
    w->unsure.create = FATE_REFUSED;
    assert_int_equal(claim(w, "sb-2", HOW(.warm = SA_WARM_PREFER)).err.code, SA_EQUOTA);
    assert_int_equal(claimed(w), 1); /* the pool controller recycles it */
}

static void test_forgotten_while_unknown(void **state)
{
    struct world *w = *state;
    struct outcome o;
    w->unsure.create = FATE_DONE;
    sa_claim_forget(start_claim(&w->claimer, "sb-1", HOW(.warm = SA_WARM_NEVER), &o));
    while (w->claimer.claims->calls)
        turns(w, 1);
    turns(w, 5);
    assert_false(o.done);
    const struct sa_object *sandbox = read_object(w, &sa_kind_sandbox, "sb-1");
    assert_true(sandbox && sa_object_meta(sandbox)->deleted_ms);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_fates), TEST(test_cold_fates),
                                       TEST(test_somebody_elses), TEST(test_refused),
                                       TEST(test_forgotten_while_unknown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
