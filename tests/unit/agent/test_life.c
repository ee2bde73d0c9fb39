/* Pods with a real node: from ADDED to gone. */
#include "fixture.h"

#include "kinds/names.h"

#include <signal.h>
#include <string.h>

static void test_one(void **state)
{
    struct world *w = *state;
    static struct user user;
    use(w, "sb-one", &user);
    pod_create(w, "sb-one", false, DEFAULT_PROFILE);
    wait_flag(w, &user.is_ready, "ready");
    const struct sa_agent_facts *facts = sa_agent_facts(w->agent, "sb-one");
    assert_non_null(facts);
    assert_true(facts->control_count > 5);
    assert_string_equal(shell(w, "sb-one", "echo $FROM_POD; hostname"), "yes\nsb-one\n");
    wait_ready_condition(w, "sb-one", SA_TRUE);
    const struct sa_pod_status *status = pod_status(w, "sb-one");
    assert_int_equal(status->phase, SA_POD_RUNNING);
    assert_int_equal(status->containers.count, 1);
    assert_true(status->containers.items[0].ready);
    assert_true(status->start_ms > 0);
    assert_non_null(strstr(sa_object_meta(pod_get(w, "sb-one"))->annotations.items[0].key, "dev/"));
    assert_true(metric(w, "secureagent_pods{state=\"Ready\"}") == 1);
    assert_true(metric(w, "secureagent_pod_start_seconds_count") == 1);
    pod_delete(w, "sb-one");
    wait_flag(w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "Deleted");
    assert_null(sa_agent_conn(w->agent, "sb-one"));
    wait_gone(w, "sb-one");
    assert_int_equal(cgroups_of(w->node.state, "sb-one"), 0);
    assert_true(metric(w, "secureagent_pods{state=\"Ready\"}") == 0);
    assert_int_equal(user.ready, 1);
    assert_int_equal(user.lost, 1);
}

/* Who comes later is told as well, but not from within the call. */
static void test_users(void **state)
{
    struct world *w = *state;
    static struct user first, second, third;
    pod_create(w, "sb-a", false, DEFAULT_PROFILE);
    wait_ready_condition(w, "sb-a", SA_TRUE);
    use(w, "sb-a", &first);
    use(w, "sb-a", &second);
    sa_agent_unuse(w->agent, &second.user);
    wait_flag(w, &first.is_ready, "ready");
    assert_false(second.is_ready);
    pod_delete(w, "sb-a");
    wait_flag(w, &first.is_lost, "lost");
    use(w, "sb-a", &third);
    sa_agent_unuse(w->agent, &third.user);
    wait_gone(w, "sb-a");
    use(w, "sb-never", &third);
    linger(w, 20);
    assert_false(third.is_ready || third.is_lost || second.is_lost);
    sa_agent_unuse(w->agent, &third.user);
    assert_true(metric(w, "secureagent_pods{state=\"Absent\"}") == 0);
}

static void test_exit(void **state)
{
    struct world *w = *state;
    static struct user user;
    use(w, "sb-exit", &user);
    pod_create(w, "sb-exit", false, DEFAULT_PROFILE);
    wait_flag(w, &user.is_ready, "ready");
    const pid_t first = host_pid(&w->node);
    assert_true(first > 1);
    assert_int_equal(kill(first, SIGKILL), 0);
    wait_flag(w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "Exited");
    wait_phase(w, "sb-exit", SA_POD_FAILED);
    const struct sa_pod_status *status = pod_status(w, "sb-exit");
    assert_string_equal(status->reason, "Exited");
    assert_true(status->message[0]);
    assert_true(status->containers.items[0].state.terminated.given);
    assert_true(metric(w, "secureagent_pod_failures_total{reason=\"Exited\"}") == 1);
    assert_int_equal(events_of(w, "sb-exit", "Exited"), 1);
    pod_delete(w, "sb-exit");
    wait_gone(w, "sb-exit");
}

static void test_refused(void **state)
{
    struct world *w = *state;
    static struct user user;
    use(w, "sb-bad", &user);
    pod_create(w, "sb-bad", false, "ffffffffffffffff"); /* nobody knows it */
    wait_flag(w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "CreateFailed");
    assert_string_equal(user.why.path, "profile");
    wait_phase(w, "sb-bad", SA_POD_FAILED);
    assert_string_equal(pod_status(w, "sb-bad")->reason, "CreateFailed");
    pod_delete(w, "sb-bad");
    wait_gone(w, "sb-bad");
}

/* A name that the node cannot take fails, and does not stop the others. */
static void test_bad_name(void **state)
{
    struct world *w = *state;
    static const char name[] = "abcdefghijabcdefghijabcdefghijab";
    pod_create(w, name, false, DEFAULT_PROFILE);
    wait_phase(w, name, SA_POD_FAILED);
    assert_string_equal(pod_status(w, name)->reason, "CreateFailed");
    pod_delete(w, name);
    wait_gone(w, name);
}

static void test_oom(void **state)
{
    struct world *w = *state;
    static struct user user;
    use(w, "sb-oom", &user);
    pod_create(w, "sb-oom", false, DEFAULT_PROFILE);
    wait_flag(w, &user.is_ready, "ready");
    shell(w, "sb-oom", "tail /dev/zero");
    for (int i = 0; i < 600 && !user.oom_kills; i++)
        linger(w, 100);
    assert_true(user.oom_kills > 0);
    assert_true(user.is_ready); /* PID 1 lives */
}

static void test_denied(void **state)
{
    struct world *w = *state;
    static struct user user;
    use(w, "sb-denied", &user);
    pod_create(w, "sb-denied", false, DEFAULT_PROFILE);
    wait_flag(w, &user.is_ready, "ready");
    shell(w, "sb-denied", "mount -t tmpfs x /tmp; true");
    wait_flag(w, &user.was_denied, "the security event");
}

static void test_delete_at_once(void **state)
{
    struct world *w = *state;
    static struct user user;
    for (int i = 0; i < 10; i++) {
        use(w, "sb-brief", &user);
        pod_create(w, "sb-brief", i % 2, DEFAULT_PROFILE);
        linger(w, i);
        pod_delete(w, "sb-brief");
        wait_gone(w, "sb-brief");
        wait_flag(w, &user.is_lost, "lost");
        assert_int_equal(user.lost, 1);
    }
    assert_int_equal(cgroups_of(w->node.state, "sb-brief"), 0);
}

/* Many at once, and one that somebody waits for is not the last. */
static void test_many(void **state)
{
    struct world *w = *state;
    enum { MANY = 24 };
    char name[32];
    static struct user users[MANY], urgent;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "wp-%d", i);
        use(w, name, &users[i]);
        pod_create(w, name, true, DEFAULT_PROFILE);
    }
    use(w, "sb-urgent", &urgent);
    pod_create(w, "sb-urgent", false, DEFAULT_PROFILE);
    wait_flag(w, &urgent.is_ready, "the urgent one");
    for (int i = 0; i < MANY; i++)
        wait_flag(w, &users[i].is_ready, "one of many");
    assert_true(metric(w, "secureagent_pods{state=\"Ready\"}") == MANY + 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "wp-%d", i);
        pod_delete(w, name);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "wp-%d", i);
        wait_gone(w, name);
        assert_true(users[i].is_lost);
    }
}

/* Finalizers of others stay. */
static void test_finalizers(void **state)
{
    struct world *w = *state;
    pod_create(w, "sb-fin", false, DEFAULT_PROFILE);
    patch_pod(w, "sb-fin", SA_SUBRESOURCE_NONE,
              "{\"metadata\":{\"finalizers\":[\"a.example/x\",\"" SA_FINALIZER_NODE
              "\",\"a.example/y\"]}}");
    wait_ready_condition(w, "sb-fin", SA_TRUE);
    pod_delete(w, "sb-fin");
    const struct sa_object_meta *meta;
    do {
        linger(w, 5);
        meta = sa_object_meta(pod_get(w, "sb-fin"));
    } while (meta->finalizers.count == 3);
    assert_int_equal(meta->finalizers.count, 2);
    assert_string_equal(meta->finalizers.items[0], "a.example/x");
    assert_string_equal(meta->finalizers.items[1], "a.example/y");
    assert_int_equal(cgroups_of(w->node.state, "sb-fin"), 0);
    patch_pod(w, "sb-fin", SA_SUBRESOURCE_NONE, "{\"metadata\":{\"finalizers\":[]}}");
    wait_gone(w, "sb-fin");
}

/* The status is the node's: what somebody else writes there is written over. */
static void test_status_is_ours(void **state)
{
    struct world *w = *state;
    pod_create(w, "sb-st", false, DEFAULT_PROFILE);
    wait_ready_condition(w, "sb-st", SA_TRUE);
    linger(w, 50);
    patch_pod(w, "sb-st", SA_SUBRESOURCE_STATUS,
              "{\"status\":{\"phase\":\"Pending\",\"conditions\":[]}}");
    wait_ready_condition(w, "sb-st", SA_TRUE);
    assert_int_equal(pod_status(w, "sb-st")->phase, SA_POD_RUNNING);
}

#define LIFE(function) cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIFE(test_one),        LIFE(test_users),          LIFE(test_exit),
        LIFE(test_refused),    LIFE(test_bad_name),       LIFE(test_oom),
        LIFE(test_denied),     LIFE(test_delete_at_once), LIFE(test_many),
        LIFE(test_finalizers), LIFE(test_status_is_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
