/* The agent and its node: who was there first, and who is lost. */
#include "fixture.h"

#include <signal.h>
#include <string.h>

static bool is_away(void *user)
{
    return !sa_agent_ready(user);
}

/* The sandboxes of a node that is killed are lost, and the Pods say so. */
static void test_node_killed(void **state)
{
    struct world *w = *state;
    static struct user user;
    use(w, "sb-lost", &user);
    pod_create(w, "sb-lost", false, DEFAULT_PROFILE);
    wait_flag(w, &user.is_ready, "ready");
    world_kill_node(w);
    wait_until(w, is_away, w->agent, "the agent to notice");
    assert_false(user.is_lost);
    pod_create(w, "sb-next", false, DEFAULT_PROFILE);
    world_start_node(w);
    wait_flag(w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "NodeLost");
    wait_phase(w, "sb-lost", SA_POD_FAILED);
    assert_string_equal(pod_status(w, "sb-lost")->reason, "NodeLost");
    wait_ready_condition(w, "sb-next", SA_TRUE);
}

/* A Pod of which nothing runs any more when the agent starts, one that had not begun, one that is
 * being deleted, and one that had failed. */
static void test_start(void **state)
{
    struct world *w = *state;
    static struct user user;
    pod_create(w, "sb-ran", false, DEFAULT_PROFILE);
    patch_pod(w, "sb-ran", SA_SUBRESOURCE_STATUS, "{\"status\":{\"phase\":\"Running\"}}");
    pod_create(w, "sb-new", false, DEFAULT_PROFILE);
    pod_create(w, "sb-deleted", false, DEFAULT_PROFILE);
    pod_delete(w, "sb-deleted");
    pod_create(w, "sb-failed", false, DEFAULT_PROFILE);
    patch_pod(w, "sb-failed", SA_SUBRESOURCE_STATUS,
              "{\"status\":{\"phase\":\"Failed\",\"reason\":\"Exited\",\"message\":\"it was\"}}");
    world_start_node(w);
    world_connect(w);
    world_start_agent(w);
    wait_phase(w, "sb-ran", SA_POD_FAILED);
    assert_string_equal(pod_status(w, "sb-ran")->reason, "NodeLost");
    wait_ready_condition(w, "sb-new", SA_TRUE);
    wait_gone(w, "sb-deleted");
    use(w, "sb-failed", &user);
    wait_flag(w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "Exited");
    assert_string_equal(user.why.message, "it was");
    assert_true(metric(w, "secureagent_pod_failures_total{reason=\"Exited\"}") == -1);
}

/* Who uses a pod is told when the agent stops. */
static void test_stop(void **state)
{
    struct world *w = *state;
    static struct user user, other;
    pod_create(w, "sb-stay", false, DEFAULT_PROFILE);
    use(w, "sb-stay", &user);
    use(w, "sb-never", &other);
    wait_flag(w, &user.is_ready, "ready");
    world_stop_agent(w);
    assert_true(user.is_lost && other.is_lost);
    assert_string_equal(user.reason, "Stopped");
    linger(w, 20);
}

#define NODE(function) cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)
#define STORE(function) cmocka_unit_test_setup_teardown(function, world_setup_store, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {NODE(test_node_killed), STORE(test_start), NODE(test_stop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
