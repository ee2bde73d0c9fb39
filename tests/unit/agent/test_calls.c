/* What the agent asks of its node, and what it makes of the answers and of none. */
#include "puppet.h"

#include "agent/private.h"
#include "kinds/names.h"

#include <stdio.h>
#include <string.h>

/* ---- the profiles, as far as the agent needs them ---- */

static struct {
    sa_security_cb done;
    void *user;
    bool known;
    unsigned asked, forgotten;
} security;

struct sa_security_call *sa_security_again(struct sa_security *s, const char *profile,
                                           sa_security_cb done, void *user)
{
    (void)s;
    assert_string_equal(profile, DEFAULT_PROFILE);
    security.asked++;
    security.done = done;
    security.user = user;
    return security.known ? (struct sa_security_call *)(uintptr_t)&security : NULL;
}

void sa_security_forget(struct sa_security_call *call)
{
    if (call)
        security.forgotten++;
}

static void begin_with_profiles(struct puppet *p)
{
    puppet_start_agent(p);
    p->w->agent->options.security = (struct sa_security *)(uintptr_t)&security;
    memset(&security, 0, sizeof security);
    security.known = true;
    puppet_list(p, "");
}

/* The node does not know its profile. */
static void create_unknown(struct puppet *p, const char *name)
{
    pod_create(p->w, name, false, DEFAULT_PROFILE);
    puppet_refuse(p, puppet_wait(p, SA_NODE_CREATE, name), SA_ENOTFOUND, "profile");
    linger(p->w, 20);
}

/* ---- creating ---- */

static void create_used(struct puppet *p, const char *name, struct user *user)
{
    use(p->w, name, user);
    pod_create(p->w, name, false, DEFAULT_PROFILE);
}

static void test_bounds(void **state)
{
    struct puppet *p = *state;
    char name[16];
    puppet_start_agent(p);
    puppet_list(p, "");
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "wp-%d", i);
        pod_create(p->w, name, true, DEFAULT_PROFILE);
    }
    linger(p->w, 20);
    const size_t of_pools = puppet_open(p, SA_NODE_CREATE);
    assert_in_range(of_pools, 1, 7);
    for (int i = 0; i < 10; i++) { /* somebody waits for these: there is room */
        snprintf(name, sizeof name, "sb-%d", i);
        pod_create(p->w, name, false, DEFAULT_PROFILE);
    }
    linger(p->w, 20);
    const size_t most = puppet_open(p, SA_NODE_CREATE);
    assert_true(most > of_pools);
    assert_true(puppet_asked(p, SA_NODE_CREATE, "sb-0"));
    /* One of a pool is ready; the next is not of a pool. */
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "wp-0"), true);
    linger(p->w, 20);
    assert_int_equal(puppet_open(p, SA_NODE_CREATE), most);
    snprintf(name, sizeof name, "sb-%zu", most - of_pools);
    assert_true(puppet_asked(p, SA_NODE_CREATE, name));
    /* Ended where it waited: nothing is asked for it. */
    pod_delete(p->w, "wp-9");
    wait_gone(p->w, "wp-9");
    for (int i = 0; i < 18; i++)
        puppet_refuse(p, puppet_wait(p, SA_NODE_CREATE, NULL), SA_EINTERNAL, "");
    linger(p->w, 20);
    assert_int_equal(puppet_open(p, SA_NODE_CREATE), 0);
    assert_true(metric(p->w, "secureagent_pods{state=\"Failed\"}") == 18);
}

static void test_control_unavailable(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    puppet_list(p, "");
    create_used(p, "sb-a", &user);
    puppet_refuse(p, puppet_wait(p, SA_NODE_CREATE, "sb-a"), SA_ECONTROL, "landlock");
    wait_flag(p->w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "ControlUnavailable");
    assert_int_equal(user.why.code, SA_ECONTROL);
    assert_string_equal(user.why.path, "landlock");
    wait_phase(p->w, "sb-a", SA_POD_FAILED);
    assert_false(puppet_asked(p, SA_NODE_DESTROY, NULL));
}

static void test_profile_again(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    begin_with_profiles(p);
    use(p->w, "sb-a", &user);
    create_unknown(p, "sb-a");
    assert_int_equal(security.asked, 1);
    security.done(security.user, NULL, NULL);
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-a"), true);
    wait_flag(p->w, &user.is_ready, "ready");
    /* Twice is too often. */
    use(p->w, "sb-b", &user);
    create_unknown(p, "sb-b");
    security.done(security.user, NULL, NULL);
    puppet_refuse(p, puppet_wait(p, SA_NODE_CREATE, "sb-b"), SA_ENOTFOUND, "profile");
    wait_flag(p->w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "CreateFailed");
    /* The rules say no now. */
    struct sa_denial denial = {.error = {.code = SA_EPOLICY, .message = "no"}};
    use(p->w, "sb-c", &user);
    create_unknown(p, "sb-c");
    security.done(security.user, &denial, NULL);
    wait_flag(p->w, &user.is_lost, "lost");
    assert_int_equal(user.why.code, SA_EPOLICY);
    /* Deleted while it is asked. */
    create_unknown(p, "sb-d");
    pod_delete(p->w, "sb-d");
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-d"));
    wait_gone(p->w, "sb-d");
    assert_int_equal(security.forgotten, 1);
}

static void on_node_gone(void *user, struct sa_node_reply *reply)
{
    struct sa_denial denial = {.error = *reply->error};
    (void)user;
    assert_int_equal(denial.error.code, SA_EUNAVAILABLE);
    security.done(security.user, &denial, NULL);
}

/* The node goes while it is sent the profile: it is made when the node is back. */
static void test_profile_and_away(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    begin_with_profiles(p);
    use(p->w, "sb-a", &user);
    create_unknown(p, "sb-a");
    sa_node_call(p->w->client, SA_NODE_INFO, &(struct sa_buf)SA_BUF_INIT, on_node_gone, NULL);
    puppet_wait(p, SA_NODE_INFO, NULL);
    puppet_drop(p);
    puppet_list(p, "");
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-a"), true);
    wait_flag(p->w, &user.is_ready, "ready");
}

/* Those of pools have time from when their turn comes. */
static void test_patience_of_pools(void **state)
{
    struct puppet *p = *state;
    static struct user users[12];
    char name[16];
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_START_TIMER] = 200;
    puppet_list(p, "");
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "wp-%d", i);
        use(p->w, name, &users[i]);
        pod_create(p->w, name, true, DEFAULT_PROFILE);
    }
    wait_flag(p->w, &users[0].is_lost, "the first to be late");
    assert_false(users[11].is_lost);
    wait_flag(p->w, &users[11].is_lost, "the last to be late");
    assert_int_equal(puppet_open(p, SA_NODE_CREATE), 12);
}

/* One of that name is there still: it goes first. */
static void test_twin_at_node(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    puppet_list(p, "");
    create_used(p, "sb-a", &user);
    puppet_refuse(p, puppet_wait(p, SA_NODE_CREATE, "sb-a"), SA_ECONFLICT, "");
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-a"));
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-a"), true);
    wait_flag(p->w, &user.is_ready, "ready");
}

/* The name is taken by a Pod of another namespace. */
static void test_twin_pods(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    puppet_list(p, "");
    puppet_ready(p, "sb-a", &user);
    pod_create_in(p->w, "other", "sb-a", false, DEFAULT_PROFILE);
    wait_phase(p->w, "other/sb-a", SA_POD_FAILED);
    pod_delete_in(p->w, "other", "sb-a");
    wait_gone(p->w, "other/sb-a");
    assert_true(user.is_ready && sa_agent_conn(p->w->agent, "sb-a"));
}

static void test_no_hello(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_START_TIMER] = 100;
    puppet_list(p, "");
    create_used(p, "sb-a", &user);
    puppet_link(p, puppet_wait(p, SA_NODE_CREATE, "sb-a"), false);
    wait_flag(p->w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "StartTimeout");
    assert_int_equal(user.why.code, SA_ETIMEOUT);
    assert_int_equal(pod_status(p->w, "sb-a")->phase, SA_POD_PENDING); /* it is still there */
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-a"));
    wait_phase(p->w, "sb-a", SA_POD_FAILED);
    assert_string_equal(pod_status(p->w, "sb-a")->reason, "StartTimeout");
    /* No answer at all; deleted while it is being destroyed. */
    create_used(p, "sb-b", &user);
    wait_flag(p->w, &user.is_lost, "lost");
    puppet_wait(p, SA_NODE_DESTROY, "sb-b");
    pod_delete(p->w, "sb-b");
    linger(p->w, 20);
    assert_non_null(pod_get(p->w, "sb-b"));
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-b"));
    wait_gone(p->w, "sb-b");
    assert_int_equal(puppet_open(p, SA_NODE_DESTROY), 0);
}

/* A link that comes too late is not kept. */
static void test_deleted_while_made(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    puppet_list(p, "");
    create_used(p, "sb-a", &user);
    struct request *create = puppet_wait(p, SA_NODE_CREATE, "sb-a");
    pod_delete(p->w, "sb-a");
    wait_flag(p->w, &user.is_lost, "lost");
    puppet_wait(p, SA_NODE_DESTROY, "sb-a");
    puppet_link(p, create, true);
    linger(p->w, 20);
    assert_non_null(pod_get(p->w, "sb-a"));
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-a"));
    wait_gone(p->w, "sb-a");
    assert_int_equal(user.ready, 0);
}

/* ---- links ---- */

static void test_attach(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_GRACE_TIMER] = 20;
    puppet_list(p, "");
    int link = puppet_ready(p, "sb-a", &user);
    for (unsigned i = 0; i < 2; i++) {
        user.is_unready = false;
        puppet_unlink(p, link);
        wait_flag(p->w, &user.is_unready, "unready");
        assert_null(sa_agent_conn(p->w->agent, "sb-a"));
        wait_ready_condition(p->w, "sb-a", SA_FALSE);
        link = puppet_link(p, puppet_wait(p, SA_NODE_ATTACH, "sb-a"), true);
        wait_flag(p->w, &user.is_ready, "ready again");
        assert_non_null(sa_agent_conn(p->w->agent, "sb-a"));
        wait_ready_condition(p->w, "sb-a", SA_TRUE);
    }
    puppet_unlink(p, link);
    wait_flag(p->w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "LinkLost");
    assert_int_equal(user.ready, 3);
    assert_int_equal(user.unready, 3);
    puppet_destroyed(p, puppet_wait(p, SA_NODE_DESTROY, "sb-a"));
    wait_phase(p->w, "sb-a", SA_POD_FAILED);
    assert_string_equal(pod_status(p->w, "sb-a")->reason, "LinkLost");
    /* The start of a pod is counted once. */
    assert_true(metric(p->w, "secureagent_pod_start_seconds_count") == 1);
}

static void test_attach_refused(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_GRACE_TIMER] = 20;
    puppet_list(p, "");
    puppet_unlink(p, puppet_ready(p, "sb-a", &user));
    puppet_refuse(p, puppet_wait(p, SA_NODE_ATTACH, "sb-a"), SA_EUNAVAILABLE, "");
    puppet_refuse(p, puppet_wait(p, SA_NODE_ATTACH, "sb-a"), SA_EUNAVAILABLE, "");
    wait_flag(p->w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "LinkLost");
    puppet_wait(p, SA_NODE_DESTROY, "sb-a");
}

/* The node does not have it any more: there is no use in asking again. */
static void test_attach_unknown(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_GRACE_TIMER] = 20;
    puppet_list(p, "");
    puppet_unlink(p, puppet_ready(p, "sb-a", &user));
    puppet_refuse(p, puppet_wait(p, SA_NODE_ATTACH, "sb-a"), SA_ENOTFOUND, "");
    wait_flag(p->w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "NodeLost");
    wait_phase(p->w, "sb-a", SA_POD_FAILED);
    assert_false(puppet_asked(p, SA_NODE_DESTROY, NULL));
}

/* The node's word on why comes after the link is lost. */
static void test_exited(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    puppet_start_agent(p);
    p->w->agent->lengths_ms[SA_AGENT_GRACE_TIMER] = 60 * 1000;
    puppet_list(p, "");
    puppet_unlink(p, puppet_ready(p, "sb-a", &user));
    wait_flag(p->w, &user.is_unready, "unready");
    puppet_exited(p, "sb-a");
    puppet_exited(p, "sb-a"); /* twice is once */
    puppet_exited(p, "sb-unknown");
    wait_flag(p->w, &user.is_lost, "lost");
    assert_string_equal(user.reason, "Exited");
    assert_string_equal(user.why.message, "the sandbox ended: the strings were cut");
    wait_phase(p->w, "sb-a", SA_POD_FAILED);
    assert_false(puppet_asked(p, SA_NODE_DESTROY, NULL));
}

struct counted {
    int times;
    struct sa_agent_counts counts;
};

static void on_counted(void *user, const struct sa_agent_counts *counts)
{
    struct counted *c = user;
    c->times++;
    c->counts = *counts;
}

static bool is_counted(void *user)
{
    return ((struct counted *)user)->times > 0;
}

/* Each is answered once, whatever the node does, but to whom has forgotten it. */
static void test_recount(void **state)
{
    struct puppet *p = *state;
    static struct user user;
    static struct counted known, unknown, cut, forgotten, open;
    puppet_start_agent(p);
    puppet_list(p, "");
    puppet_ready(p, "sb-a", &user);
    sa_agent_recount(p->w->agent, "sb-a", on_counted, &known);
    assert_int_equal(known.times, 0);
    puppet_counts(p, puppet_wait(p, SA_NODE_RECOUNT, "sb-a"), 7, 1 << 20);
    wait_until(p->w, is_counted, &known, "what was counted");
    assert_int_equal(known.counts.cpu_us, 7);
    assert_int_equal(known.counts.memory_peak_bytes, 1 << 20);
    assert_int_equal(known.counts.oom_kills, -1);
    sa_agent_recount(p->w->agent, "sb-b", on_counted, &unknown);
    puppet_refuse(p, puppet_wait(p, SA_NODE_RECOUNT, "sb-b"), SA_ENOTFOUND, "");
    wait_until(p->w, is_counted, &unknown, "a refusal");
    assert_int_equal(unknown.counts.memory_peak_bytes, -1);
    sa_agent_recount(p->w->agent, "sb-a", on_counted, &forgotten);
    sa_agent_recount(p->w->agent, "sb-a", on_counted, &cut);
    sa_agent_recount_forget(p->w->agent, &forgotten);
    puppet_wait(p, SA_NODE_RECOUNT, "sb-a");
    puppet_drop(p);
    wait_until(p->w, is_counted, &cut, "the end of the connection");
    assert_int_equal(cut.counts.cpu_us, -1);
    puppet_list(p, "sb-a");
    sa_agent_recount(p->w->agent, "sb-a", on_counted, &open); /* and then the agent ends */
    puppet_wait(p, SA_NODE_RECOUNT, "sb-a");
    assert_int_equal(known.times + unknown.times + cut.times, 3);
    assert_int_equal(forgotten.times + open.times, 0);
}

#define CALLS(function) cmocka_unit_test_setup_teardown(function, puppet_setup, puppet_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALLS(test_bounds),           CALLS(test_control_unavailable),
        CALLS(test_profile_again),    CALLS(test_twin_at_node),
        CALLS(test_twin_pods),        CALLS(test_no_hello),
        CALLS(test_attach),           CALLS(test_deleted_while_made),
        CALLS(test_attach_refused),   CALLS(test_attach_unknown),
        CALLS(test_profile_and_away), CALLS(test_patience_of_pools),
        CALLS(test_exited),           CALLS(test_recount)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
