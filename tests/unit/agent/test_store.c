/* Writes that fail, and events that come twice, late or never. */
#include "puppet.h"

#include "../claim/unsure.h"
#include "kinds/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every write of a pod's life fails once, having happened or not. */
static void test_writes_fail(void **state)
{
    static const enum fate fates[] = {FATE_NOT, FATE_DONE, FATE_REFUSED};
    struct puppet *p = *state;
    static struct user user;
    static struct unsure unsure;
    unsure_init(&unsure, p->w->objects);
    p->w->written = &unsure.base;
    puppet_start_agent(p);
    puppet_list(p, "");
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        use(p->w, "sb-a", &user);
        pod_create(p->w, "sb-a", false, DEFAULT_PROFILE);
        unsure.patch = fates[i]; /* the controls */
        puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-a"), true);
        wait_flag(p->w, &user.is_ready, "ready");
        wait_ready_condition(p->w, "sb-a", SA_TRUE);
        while (unsure.patch != FATE_TOLD || !controls_of(p->w, "sb-a"))
            linger(p->w, 5);
        assert_string_equal(controls_of(p->w, "sb-a"), "seccomp,landlock");
        linger(p->w, 100);       /* what was said is said once more where it was not known */
        unsure.patch = fates[i]; /* the status */
        puppet_exited(p, "sb-a");
        wait_phase(p->w, "sb-a", SA_POD_FAILED);
        linger(p->w, 100);
        unsure.patch = fates[i]; /* the finalizer */
        pod_delete(p->w, "sb-a");
        wait_gone(p->w, "sb-a");
        assert_int_equal(unsure.patch, FATE_TOLD);
    }
}

/* An ordinary life takes two writes, and one for its end. */
static void test_writes_are_few(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    static struct unsure unsure;
    unsure_init(&unsure, p->w->objects);
    p->w->written = &unsure.base;
    puppet_start_agent(p);
    puppet_list(p, "");
    puppet_ready(p, "sb-a", &user);
    linger(p->w, 100);
    assert_int_equal(unsure.writes, 2);
    patch_pod(p->w, "sb-a", SA_SUBRESOURCE_NONE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    linger(p->w, 50);
    assert_int_equal(unsure.writes, 2);
    pod_delete(p->w, "sb-a");
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-a"));
    wait_gone(p->w, "sb-a");
    assert_int_equal(unsure.writes, 3);
}

/* Whatever becomes of the events: in the end the Pods that are there run, and no others. */
static void test_faulty_watch(void **state)
{
    enum { PODS = 12, STEPS = 120 };
    struct world *w = *state;
    bool there[PODS] = {false};
    char name[16];
    unsigned seed = 7;
    for (int i = 0; i < STEPS; i++) {
        const int which = rand_r(&seed) % PODS;
        snprintf(name, sizeof name, "sb-%d", which);
        if (there[which])
            pod_delete(w, name);
        else if (!is_stored(w, name)) /* the one before may be on its way out */
            pod_create(w, name, which % 2, DEFAULT_PROFILE);
        else
            continue;
        there[which] = !there[which];
        linger(w, rand_r(&seed) % 20);
    }
    w->faulty.kind = true;
    for (int i = 0; i < PODS; i++) {
        snprintf(name, sizeof name, "sb-%d", i);
        if (there[i])
            wait_ready_condition(w, name, SA_TRUE);
        else
            wait_gone(w, name);
        assert_int_equal(!!cgroups_of(w->node.state, name), there[i]);
        assert_int_equal(!!sa_agent_conn(w->agent, name), there[i]);
    }
    assert_true(w->faulty.doubled + w->faulty.late + w->faulty.lost + w->faulty.ended > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_writes_fail, puppet_setup, puppet_teardown),
        cmocka_unit_test_setup_teardown(test_writes_are_few, puppet_setup, puppet_teardown),
        cmocka_unit_test_setup_teardown(test_faulty_watch, world_setup_faulty, world_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
