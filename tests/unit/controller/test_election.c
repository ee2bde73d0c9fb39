/* Several controllers on one store: one acts. */
#include "fixture.h"

enum { LEASE_MS = 600 };

static void test_one_leads(void **state)
{
    struct world *w = *state;
    struct sa_caches caches;
    sa_caches_start(&caches, w->loop, w->objects);
    struct sa_controllers_options options = options_for(w, &caches, "a");
    options.lease_ms = LEASE_MS;
    struct sa_controllers *a = sa_controllers_start(&options);
    while (!sa_controllers_lead(a))
        turns(w, 1);
    options.identity = "b";
    struct sa_controllers *b = sa_controllers_start(&options);
    for (int i = 0; i < 20; i++) {
        turns(w, 1);
        assert_false(sa_controllers_lead(a) && sa_controllers_lead(b));
    }
    stop_controllers(w, a);
    while (!sa_controllers_lead(b))
        turns(w, 1);
    stop_controllers(w, b);
    sa_caches_stop(&caches);
}

/* Who has the store for itself takes up where it was killed. */
static void test_same_identity(void **state)
{
    struct world *w = *state;
    struct sa_caches caches;
    sa_caches_start(&caches, w->loop, w->objects);
    wait_synced(w, &caches);
    ok(create_(w, &sa_kind_lease, false,
               "{'metadata':{'name':'sandbox-controller'},"
               "'spec':{'holderIdentity':'embedded','leaseDurationSeconds':86400}}"));
    const struct sa_controllers_options options = options_for(w, &caches, "embedded");
    struct sa_controllers *controllers = sa_controllers_start(&options);
    while (!sa_controllers_lead(controllers))
        turns(w, 1);
    stop_controllers(w, controllers);
    sa_caches_stop(&caches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_leads, controllers_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_same_identity, controllers_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
