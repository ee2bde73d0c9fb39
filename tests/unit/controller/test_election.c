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

/* ---- two processes, each with caches of its own ---- */

enum { SANDBOXES = 40 };

/* All writes of a process go through this, which knows whether it led. */
struct process {
    struct sa_objects base;
    struct sa_objects *inner;
    struct sa_objects_ops ops;
    struct sa_caches caches;
    struct sa_controllers *controllers;
    int pods;
    bool may_act; /* else a write is one too many */
};

static struct process *of(struct sa_objects *objects)
{
    return (struct process *)objects;
}

static void expect_leader(const struct process *p, const struct sa_kind *kind)
{
    if (kind != &sa_kind_lease)
        assert_true(p->may_act && sa_controllers_lead(p->controllers));
}

static struct sa_objects_call *on_create(struct sa_objects *objects, const struct sa_kind *kind,
                                         const char *json, size_t length, bool lenient,
                                         sa_objects_cb done, void *user)
{
    expect_leader(of(objects), kind);
    of(objects)->pods += kind == &sa_kind_pod;
    return sa_objects_create(of(objects)->inner, kind, json, length, lenient, done, user);
}

static struct sa_objects_call *on_patch(struct sa_objects *objects, const struct sa_kind *kind,
                                        const struct sa_objects_patch *patch, sa_objects_cb done,
                                        void *user)
{
    expect_leader(of(objects), kind);
    return sa_objects_patch(of(objects)->inner, kind, patch, done, user);
}

static struct sa_objects_call *on_delete(struct sa_objects *objects, const struct sa_kind *kind,
                                         const struct sa_objects_delete *what, sa_objects_cb done,
                                         void *user)
{
    expect_leader(of(objects), kind);
    return sa_objects_delete(of(objects)->inner, kind, what, done, user);
}

static struct sa_objects_call *on_get(struct sa_objects *objects, const struct sa_kind *kind,
                                      const char *namespace_, const char *name, sa_objects_cb done,
                                      void *user)
{
    return sa_objects_get(of(objects)->inner, kind, namespace_, name, done, user);
}

static void begin(struct world *w, struct process *p, const char *identity)
{
    *p = (struct process){.inner = w->objects, .ops = *w->objects->ops, .may_act = true};
    p->base.ops = &p->ops;
    p->ops.create = on_create;
    p->ops.make = NULL;
    p->ops.patch = on_patch;
    p->ops.delete = on_delete;
    p->ops.get = on_get;
    sa_caches_start(&p->caches, w->loop, w->objects);
    struct sa_controllers_options options = options_for(w, &p->caches, identity);
    options.objects = &p->base;
    options.lease_ms = LEASE_MS;
    p->controllers = sa_controllers_start(&options);
}

static void make_more(struct world *w, int from)
{
    for (int i = from; i < from + SANDBOXES; i++)
        ok(create_(w, &sa_kind_sandbox, false,
                   "{'metadata':{'name':'sb-%d'},'spec':{'runtime':'python'}}", i));
}

static void wait_pods(struct world *w, size_t count)
{
    while (list_(w, &sa_kind_pod, NULL, 0, NULL).count < count)
        turns(w, 1);
}

static void test_one_acts(void **state)
{
    struct world *w = *state;
    struct process a, b;
    begin(w, &a, "a");
    while (!sa_controllers_lead(a.controllers))
        turns(w, 1);
    begin(w, &b, "b");
    make_more(w, 0);
    wait_pods(w, SANDBOXES);
    assert_int_equal(a.pods, SANDBOXES);
    assert_int_equal(b.pods, 0);
    make_more(w, SANDBOXES);
    a.may_act = false; /* it is stopped in the middle, and says nothing any more */
    stop_controllers(w, a.controllers);
    wait_pods(w, (size_t)2 * SANDBOXES);
    assert_int_equal(a.pods + b.pods, 2 * SANDBOXES); /* the same names: none was tried twice */
    assert_true(b.pods > 0);
    stop_controllers(w, b.controllers);
    sa_caches_stop(&a.caches);
    sa_caches_stop(&b.caches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_leads, controllers_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_same_identity, controllers_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_one_acts, controllers_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
