/* The node is away and comes back, or was there before the agent. */
#include "puppet.h"

#include "agent/private.h"
#include "kinds/names.h"

#include <string.h>

static void came_back(struct puppet *p, const char *names)
{
    puppet_list(p, names);
    linger(p->w, 20);
}

/* What runs at the start is connected to, what belongs to nobody goes, what is missing has failed
 * if it ran, and is made if it did not. */
static void test_start(void **state)
{
    struct puppet *p = *state;
    static struct user ran, fresh, gone;
    static const char running[] = "{\"status\":{\"phase\":\"Running\",\"conditions\":[{\"type\":"
                                  "\"Ready\",\"status\":\"True\",\"lastTransitionTime\":"
                                  "\"2026-01-02T03:04:05Z\"}]}}";
    pod_create(p->w, "sb-ran", false, DEFAULT_PROFILE);
    patch_pod(p->w, "sb-ran", SA_SUBRESOURCE_STATUS, running);
    pod_create(p->w, "sb-half", false, DEFAULT_PROFILE); /* made, and nobody wrote so */
    pod_create(p->w, "sb-fresh", false, DEFAULT_PROFILE);
    pod_create(p->w, "sb-gone", false, DEFAULT_PROFILE);
    patch_pod(p->w, "sb-gone", SA_SUBRESOURCE_STATUS, running);
    pod_create(p->w, "sb-deleted", false, DEFAULT_PROFILE);
    pod_delete(p->w, "sb-deleted");
    puppet_start_agent(p);
    use(p->w, "sb-ran", &ran);
    use(p->w, "sb-fresh", &fresh);
    use(p->w, "sb-gone", &gone);
    puppet_list(p, "sb-ran sb-half sb-deleted sb-stray");
    puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-ran"), true);
    puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-half"), true);
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-fresh"), true);
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-stray"));
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-deleted"));
    wait_flag(p->w, &ran.is_ready, "what ran");
    wait_flag(p->w, &fresh.is_ready, "what is new");
    wait_flag(p->w, &gone.is_lost, "what is gone");
    assert_string_equal(gone.reason, "NodeLost");
    wait_gone(p->w, "sb-deleted");
    wait_phase(p->w, "sb-gone", SA_POD_FAILED);
    wait_ready_condition(p->w, "sb-half", SA_TRUE);
    wait_ready_condition(p->w, "sb-ran", SA_TRUE);
    assert_int_equal(p->count, 1 + 2 + 1 + 2);
    assert_string_equal(controls_of(p->w, "sb-ran"), "seccomp,landlock");
    /* It was ready all the time. */
    linger(p->w, 50);
    assert_int_equal(pod_status(p->w, "sb-ran")->conditions.items[0].transition_ms, 1767323045000);
}

/* A node that has more than one message holds: nothing is compared before all of it is there. */
static void test_list_in_parts(void **state)
{
    struct puppet *p = *state;
    static struct user first, last;
    pod_create(p->w, "sb-first", false, DEFAULT_PROFILE);
    pod_create(p->w, "sb-last", false, DEFAULT_PROFILE);
    puppet_start_agent(p);
    use(p->w, "sb-first", &first);
    use(p->w, "sb-last", &last);
    assert_int_equal(puppet_wait(p, SA_NODE_LIST, NULL)->after, 0);
    puppet_list_part(p, "sb-stray sb-first", 7);
    assert_int_equal(puppet_wait(p, SA_NODE_LIST, NULL)->after, 7);
    linger(p->w, 50);
    assert_false(sa_agent_ready(p->w->agent));
    assert_int_equal(puppet_open(p, SA_NODE_ATTACH) + puppet_open(p, SA_NODE_CREATE), 0);
    puppet_drop(p); /* in the midst of it: from the start again */
    assert_int_equal(puppet_wait(p, SA_NODE_LIST, NULL)->after, 0);
    puppet_list_part(p, "sb-first", 3);
    assert_int_equal(puppet_wait(p, SA_NODE_LIST, NULL)->after, 3);
    puppet_list_part(p, "", 4);
    puppet_list_part(p, "sb-last", 4); /* a place that does not move is the end */
    wait_agent(p->w);
    puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-first"), true);
    puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-last"), true);
    wait_flag(p->w, &first.is_ready, "what came first");
    wait_flag(p->w, &last.is_ready, "what came last");
    assert_int_equal(puppet_open(p, SA_NODE_DESTROY) + puppet_open(p, SA_NODE_CREATE), 0);
}

static bool has_changed(void *user)
{
    return ((struct user *)user)->changed > 0;
}

static bool says_less(void *world)
{
    return strcmp(controls_of(world, "sb-stays"), "seccomp") == 0;
}

/* Its link goes on, but what the next node can do for it is less: that is said. */
static void test_facts_of_the_next_node(void **state)
{
    struct puppet *p = *state;
    static struct user stays, same;
    puppet_start_agent(p);
    puppet_list(p, "");
    puppet_ready(p, "sb-stays", &stays);
    puppet_ready(p, "sb-same", &same);
    puppet_drop(p);
    puppet_list(p, "sb-stays sb-same");
    puppet_facts(p, puppet_wait(p, SA_NODE_FACTS, "sb-stays"), "seccomp", "landlock: it is gone");
    puppet_refuse(p, puppet_wait(p, SA_NODE_FACTS, "sb-same"), SA_ENOTFOUND, "");
    wait_until(p->w, has_changed, &stays, "the user to be told");
    const struct sa_agent_facts *facts = sa_agent_facts(p->w->agent, "sb-stays");
    assert_int_equal(facts->control_count, 1);
    assert_string_equal(facts->weaker[0], "landlock: it is gone");
    wait_until(p->w, says_less, p->w, "the Pod to say so");
    assert_true(stays.is_ready && same.is_ready);
    assert_int_equal(stays.ready + stays.unready + stays.lost, 1);
    assert_int_equal(stays.changed, 1);
    assert_int_equal(same.changed, 0);
    puppet_drop(p); /* the same node again: nothing is news */
    puppet_list(p, "sb-stays sb-same");
    puppet_facts(p, puppet_wait(p, SA_NODE_FACTS, "sb-stays"), "seccomp", "landlock: it is gone");
    linger(p->w, 50);
    assert_int_equal(stays.changed, 1);
}

/* A pod that is ready does not need its node. */
static void test_away_and_back(void **state)
{
    struct puppet *p = *state;
    static struct user stays, goes, next;
    puppet_start_agent(p);
    puppet_list(p, "");
    puppet_ready(p, "sb-stays", &stays);
    puppet_ready(p, "sb-goes", &goes);
    puppet_drop(p);
    assert_false(sa_agent_ready(p->w->agent) && p->socket >= 0);
    assert_true(stays.is_ready && goes.is_ready);
    use(p->w, "sb-next", &next);
    pod_create(p->w, "sb-next", false, DEFAULT_PROFILE);
    puppet_wait(p, SA_NODE_LIST, NULL);
    assert_int_equal(puppet_open(p, SA_NODE_CREATE), 0);
    came_back(p, "sb-stays sb-stray");
    puppet_wait(p, SA_NODE_DESTROY, "sb-stray");
    wait_flag(p->w, &goes.is_lost, "what the node does not have any more");
    assert_string_equal(goes.reason, "NodeLost");
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-next"), true);
    wait_flag(p->w, &next.is_ready, "what waited for the node");
    assert_true(stays.is_ready);
    assert_int_equal(stays.unready, 0);
    assert_int_equal(puppet_open(p, SA_NODE_ATTACH), 0);
}

/* The node went while it made them: one it had made, one not. */
static void test_away_while_made(void **state)
{
    struct puppet *p = *state;
    static struct user made, unmade;
    puppet_start_agent(p);
    puppet_list(p, "");
    use(p->w, "sb-made", &made);
    use(p->w, "sb-unmade", &unmade);
    pod_create(p->w, "sb-made", false, DEFAULT_PROFILE);
    pod_create(p->w, "sb-unmade", false, DEFAULT_PROFILE);
    puppet_wait(p, SA_NODE_CREATE, "sb-made");
    puppet_wait(p, SA_NODE_CREATE, "sb-unmade");
    puppet_drop(p);
    came_back(p, "sb-made");
    puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-made"), true);
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-unmade"), true);
    wait_flag(p->w, &made.is_ready, "what was made");
    wait_flag(p->w, &unmade.is_ready, "what was not");
}

/* The node went while it removed them, or before it could be told. */
static void test_away_while_removed(void **state)
{
    struct puppet *p = *state;
    static struct user users[3];
    puppet_start_agent(p);
    puppet_list(p, "");
    puppet_ready(p, "sb-told", &users[0]);
    puppet_ready(p, "sb-untold", &users[1]);
    puppet_ready(p, "sb-done", &users[2]);
    pod_delete(p->w, "sb-told");
    pod_delete(p->w, "sb-done");
    puppet_wait(p, SA_NODE_DESTROY, "sb-told");
    puppet_wait(p, SA_NODE_DESTROY, "sb-done");
    puppet_deaf(p, true);
    puppet_drop(p);
    linger(p->w, 20);
    pod_delete(p->w, "sb-untold");
    wait_flag(p->w, &users[1].is_lost, "lost");
    linger(p->w, 20);
    puppet_deaf(p, false);
    came_back(p, "sb-told sb-untold");
    wait_gone(p->w, "sb-done");
    assert_non_null(pod_get(p->w, "sb-told"));
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-told"));
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-untold"));
    wait_gone(p->w, "sb-told");
    wait_gone(p->w, "sb-untold");
    assert_int_equal(puppet_open(p, SA_NODE_DESTROY), 0);
}

/* It goes again before it has said what it runs. */
static void test_away_twice(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    pod_create(p->w, "sb-a", false, DEFAULT_PROFILE);
    puppet_start_agent(p);
    use(p->w, "sb-a", &user);
    puppet_wait(p, SA_NODE_LIST, NULL);
    puppet_drop(p);
    puppet_wait(p, SA_NODE_LIST, NULL);
    puppet_drop(p);
    came_back(p, "sb-a");
    puppet_wait(p, SA_NODE_ATTACH, "sb-a");
    puppet_drop(p);
    came_back(p, "sb-a");
    puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-a"), true);
    wait_flag(p->w, &user.is_ready, "ready");
}

/* Its link and its node are lost: the node knows whether it lives. */
static void test_both_lost(void **state)
{
    struct puppet *p = *state;
    static struct user lives, dead;
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_GRACE_TIMER] = 60 * 1000;
    puppet_list(p, "");
    puppet_unlink(p, puppet_ready(p, "sb-lives", &lives));
    puppet_unlink(p, puppet_ready(p, "sb-dead", &dead));
    wait_flag(p->w, &dead.is_unready, "unready");
    puppet_drop(p);
    came_back(p, "sb-lives");
    puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-lives"), true);
    wait_flag(p->w, &lives.is_ready, "ready again");
    wait_flag(p->w, &dead.is_lost, "lost");
    assert_string_equal(dead.reason, "NodeLost");
}

/* One that is frozen says HELLO when it is thawed, however long that takes. */
static void test_frozen(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    pod_create(p->w, "sb-a", false, DEFAULT_PROFILE);
    patch_pod(p->w, "sb-a", SA_SUBRESOURCE_STATUS, "{\"status\":{\"phase\":\"Running\"}}");
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_ATTACH_TIMER] = 30;
    use(p->w, "sb-a", &user);
    puppet_list(p, "sb-a");
    int link = puppet_link_frozen(p, puppet_wait(p, SA_NODE_ATTACH, "sb-a"));
    linger(p->w, 100);
    assert_false(user.is_lost);
    puppet_hello(link);
    wait_flag(p->w, &user.is_ready, "ready");
}

/* Failed before, and the node has it still. */
static void test_failed_but_there(void **state)
{
    struct puppet *p = *state;
    pod_create(p->w, "sb-a", false, DEFAULT_PROFILE);
    patch_pod(p->w, "sb-a", SA_SUBRESOURCE_STATUS,
              "{\"status\":{\"phase\":\"Failed\",\"reason\":\"LinkLost\",\"message\":\"m\"}}");
    puppet_start_agent(p);
    puppet_list(p, "sb-a");
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-a"));
    linger(p->w, 20);
    assert_string_equal(pod_status(p->w, "sb-a")->reason, "LinkLost");
    assert_true(metric(p->w, "secureagent_pod_failures_total{reason=\"LinkLost\"}") == -1);
    pod_delete(p->w, "sb-a");
    wait_gone(p->w, "sb-a");
}

#define ADOPT(function) cmocka_unit_test_setup_teardown(function, puppet_setup, puppet_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ADOPT(test_start),           ADOPT(test_away_and_back),
        ADOPT(test_away_while_made), ADOPT(test_away_while_removed),
        ADOPT(test_away_twice),      ADOPT(test_both_lost),
        ADOPT(test_frozen),          ADOPT(test_failed_but_there),
        ADOPT(test_list_in_parts),   ADOPT(test_facts_of_the_next_node)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
