/* Sandboxes from their creation to their end, over the embedded store; the test is the node. */
#include "life.h"

#include "base/clock.h"
#include "claim/pod_manifest.h"

#include <stdio.h>
#include <string.h>

#define FINALIZER "'finalizers':['" SA_FINALIZER_SANDBOX "'],"

static void make_running(struct life *life, const char *name)
{
    make_sandbox(life, name, "", "");
    wait_pod(life, name);
    pod_ready(life, name);
    wait_phase(life, name, SA_PHASE_RUNNING, NULL);
}

static void test_cold(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_sandbox(&life, "sb-a", "", "'env':{'A':'1'},'requiredControls':['seccomp'],");
    const struct sa_object *pod = wait_pod(&life, "sb-a");
    struct sa_pod_box box;
    assert_int_equal(0, sa_pod_box_of(pod, life.w->arena, &box, NULL));
    assert_string_equal(box.profile, life.options.profile_digest);
    wait_phase(&life, "sb-a", SA_PHASE_CREATING, "");
    pod_ready(&life, "sb-a");
    const struct sa_sandbox_status *status = wait_phase(&life, "sb-a", SA_PHASE_RUNNING, "");
    assert_int_equal(status->start, SA_START_COLD);
    assert_string_equal(status->pod, "sb-a");
    assert_string_equal(status->pod_uid, sa_object_meta(pod)->uid);
    assert_string_equal(status->node, "local");
    assert_string_equal(status->security_profile.digest, life.options.profile_digest);
    assert_int_equal(status->controls.count, 2);
    assert_true(status->ready_ms >= status->scheduled_ms && status->scheduled_ms);
    assert_int_equal(condition(status, "Ready")->status, SA_TRUE);
    assert_int_equal(condition(status, "PodReady")->status, SA_TRUE);
    assert_int_equal(status->observed_generation, 1);
    ok(delete_(life.w, &sa_kind_sandbox, "sb-a", NULL)); /* held by the finalizer */
    wait_phase(&life, "sb-a", SA_PHASE_TERMINATING, "Deleted");
    pod_removed(&life, "sb-a");
    wait_gone(life.w, &sa_kind_sandbox, "sb-a");
    assert_false(is_there(&life, &sa_kind_pod, "sb-a"));
    life_stop(&life);
}

static void claim(struct life *life, const char *name, const char *warm, const char *more)
{
    char metadata[512];
    snprintf(metadata, sizeof metadata,
             FINALIZER "'annotations':{%s'" SA_SANDBOX_WARM_POD "':'%s'},", more, warm);
    make_sandbox(life, name, metadata, "");
}

static void test_warm(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_claimed(&life, "wp-a", "sb-a");
    claim(&life, "sb-a", "wp-a", "");
    const struct sa_sandbox_status *status = wait_phase(&life, "sb-a", SA_PHASE_RUNNING, "");
    assert_int_equal(status->start, SA_START_WARM);
    assert_string_equal(status->pod, "wp-a");
    assert_string_equal(status->warm_pod, "wp-a");
    assert_string_equal(status->warm_pool, "p");
    assert_false(is_there(&life, &sa_kind_pod, "sb-a"));
    ok(delete_(life.w, &sa_kind_sandbox, "sb-a", NULL));
    wait_phase(&life, "sb-a", SA_PHASE_TERMINATING, "Deleted");
    ok(patch_(life.w, &sa_kind_warm_pod, "wp-a", SA_SUBRESOURCE_NONE, NULL,
              "{'spec':{'claim':null}}")); /* the pool has cleaned it */
    wait_gone(life.w, &sa_kind_sandbox, "sb-a");
    assert_true(is_there(&life, &sa_kind_pod, "wp-a"));
    life_stop(&life);
}

static void test_warm_pod_lost(void **state)
{
    struct life life;
    life_start(&life, *state);
    claim(&life, "sb-none", "wp-none", "");
    wait_phase(&life, "sb-none", SA_PHASE_FAILED, "PodLost");
    make_claimed(&life, "wp-b", "sb-other");
    claim(&life, "sb-b", "wp-b", ""); /* says so, but has it not */
    wait_phase(&life, "sb-b", SA_PHASE_FAILED, "PodLost");
    make_claimed(&life, "wp-c", "sb-c");
    claim(&life, "sb-c", "wp-c", "");
    wait_phase(&life, "sb-c", SA_PHASE_RUNNING, NULL);
    ok(delete_(life.w, &sa_kind_warm_pod, "wp-c", NULL));
    const struct sa_sandbox_status *status = wait_phase(&life, "sb-c", SA_PHASE_FAILED, "PodLost");
    assert_true(status->ended_ms);
    assert_int_equal(condition(status, "Ready")->status, SA_FALSE);
    ok(delete_(life.w, &sa_kind_sandbox, "sb-c", NULL));
    wait_gone(life.w, &sa_kind_sandbox, "sb-c");
    life_stop(&life);
}

static void test_pod_fails(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_sandbox(&life, "sb-a", "", "");
    wait_pod(&life, "sb-a");
    pod_failed(&life, "sb-a", "CreateFailed");
    const struct sa_sandbox_status *status =
        wait_phase(&life, "sb-a", SA_PHASE_FAILED, "CreateFailed");
    assert_string_equal(status->message, "why");
    pod_removed(&life, "sb-a"); /* at once; the sandbox stays to be looked at */
    wait_gone(life.w, &sa_kind_pod, "sb-a");
    turns(life.w, 20);
    assert_false(is_there(&life, &sa_kind_pod, "sb-a")); /* nothing is restarted */
    wait_phase(&life, "sb-a", SA_PHASE_FAILED, "CreateFailed");
    life_stop(&life);
}

static void test_pod_vanishes(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_running(&life, "sb-a");
    ok(delete_(life.w, &sa_kind_pod, "sb-a", NULL));
    wait_phase(&life, "sb-a", SA_PHASE_FAILED, "PodLost");
    life_stop(&life);
}

static void test_failed_are_removed(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_sandbox(&life, "sb-a", "", "'profileRef':'none',");
    wait_phase(&life, "sb-a", SA_PHASE_FAILED, "ProfileNotFound");
    char ended[SA_RFC3339_BYTES];
    sa_rfc3339(sa_wall_ms() - 6 * 60 * 1000, ended);
    ok(patch_(life.w, &sa_kind_sandbox, "sb-a", SA_SUBRESOURCE_STATUS, NULL,
              "{'status':{'endedAt':'%s'}}", ended));
    wait_gone(life.w, &sa_kind_sandbox, "sb-a");
    life_stop(&life);
}

static void test_paused(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_running(&life, "sb-a");
    ok(patch_(life.w, &sa_kind_sandbox, "sb-a", SA_SUBRESOURCE_STATUS, NULL,
              "{'status':{'pausedAt':'2026-01-01T00:00:00Z'}}"));
    const struct sa_sandbox_status *status = wait_phase(&life, "sb-a", SA_PHASE_PAUSED, NULL);
    assert_string_equal(condition(status, "Ready")->reason, "Paused");
    assert_true(status->paused_ms); /* the session's */
    ok(patch_(life.w, &sa_kind_sandbox, "sb-a", SA_SUBRESOURCE_STATUS, NULL,
              "{'status':{'pausedAt':null}}"));
    wait_phase(&life, "sb-a", SA_PHASE_RUNNING, NULL);
    life_stop(&life);
}

#define PERSONAL(who) "'annotations':{'" SA_SANDBOX_PERSONAL "':'" who "'},"

static void test_personal(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_sandbox(&life, "sb-a", PERSONAL(PROCESS), "");
    wait_pod(&life, "sb-a");
    pod_ready(&life, "sb-a");
    for (;;) {
        const struct sa_sandbox_status *status = wait_phase(&life, "sb-a", SA_PHASE_CREATING, NULL);
        if (strcmp(condition(status, "Ready")->reason, "AwaitingSetup") == 0)
            break;
    }
    ok(patch_(life.w, &sa_kind_sandbox, "sb-a", SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'annotations':{'" SA_SANDBOX_PERSONAL "':'" SA_PERSONAL_DELIVERED
              "'}}}"));
    wait_phase(&life, "sb-a", SA_PHASE_RUNNING, NULL);
    life_stop(&life);
}

static void test_interrupted(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_sandbox(&life, "sb-mine", PERSONAL(PROCESS), "");
    wait_pod(&life, "sb-mine");
    make_sandbox(&life, "sb-other", PERSONAL("another"), ""); /* which may live */
    wait_pod(&life, "sb-other");
    life.options.process = "process-2"; /* killed, and there again */
    life.options.started_ms = sa_wall_ms() + 1;
    life_restart(&life);
    wait_phase(&life, "sb-mine", SA_PHASE_FAILED, "Interrupted");
    wait_phase(&life, "sb-other", SA_PHASE_FAILED, "Interrupted");
    pod_removed(&life, "sb-mine");
    life_stop(&life);
}

static void test_overdue(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_running(&life, "sb-a");
    char due[SA_RFC3339_BYTES];
    sa_rfc3339(sa_wall_ms() - 31 * 1000, due);
    ok(patch_(life.w, &sa_kind_sandbox, "sb-a", SA_SUBRESOURCE_STATUS, NULL,
              "{'status':{'expiresAt':'%s'}}", due));
    wait_phase(&life, "sb-a", SA_PHASE_TERMINATING, "TimedOut");
    pod_removed(&life, "sb-a");
    wait_gone(life.w, &sa_kind_sandbox, "sb-a");
    life_stop(&life);
}

static void test_profile(void **state)
{
    struct life life;
    life_start(&life, *state);
    ok(create_(life.w, sa_resource_sandbox_profile.kind, false,
               "{'metadata':{'name':'strict'},'spec':{'securityLevel':'high','maxTimeout':60,"
               "'requiredControls':['landlock']}}"));
    make_sandbox(&life, "sb-a", "", "'profileRef':'strict','timeout':60,");
    struct sa_pod_box box;
    const struct sa_object *pod = wait_pod(&life, "sb-a");
    assert_int_equal(0, sa_pod_box_of(pod, life.w->arena, &box, NULL));
    assert_string_equal(box.required_controls.items[0], "landlock");
    assert_string_equal(sa_map_get(&sa_object_meta(pod)->annotations, SA_POD_SECURITY_LEVEL),
                        "high");
    make_sandbox(&life, "sb-b", "", "'profileRef':'strict','timeout':61,");
    wait_phase(&life, "sb-b", SA_PHASE_FAILED, "ProfileMismatch");
    life_stop(&life);
}

/* The API has asked already. */
static void test_security_of_the_api(void **state)
{
    struct life life;
    life_start(&life, *state);
    make_sandbox(&life, "sb-a",
                 "'annotations':{'" SA_SANDBOX_PROFILE "':'aabb','" SA_SANDBOX_GENERATION
                 "':'7','" SA_SANDBOX_REQUIRED "':'netns,seccomp'},",
                 "");
    struct sa_pod_box box;
    assert_int_equal(0, sa_pod_box_of(wait_pod(&life, "sb-a"), life.w->arena, &box, NULL));
    assert_string_equal(box.profile, "aabb");
    assert_int_equal(box.required_controls.count, 2);
    const struct sa_sandbox_status *status = wait_phase(&life, "sb-a", SA_PHASE_CREATING, NULL);
    assert_int_equal(status->security_profile.generation, 7);
    life_stop(&life);
}

static void test_cannot_be(void **state)
{
    static const struct {
        const char *name, *spec, *reason;
    } cases[] = {
        {"sb-storage", "'storage':{'persistent':true},", "NotSupported"},
        {"sb-secrets", "'secretsRef':['a'],", "NotSupported"},
        {"sb-pinned", "'resources':{'cpu':'1','cpuPinning':true},", "NotSupported"},
        {"sb-files", "'resources':{'memory':'64Mi','ephemeralStorage':'64Mi'},", "NotSupported"},
        {"sb-warm", "'warm':'require',", "NoWarmPod"},
        {"a-name-that-is-longer-than-what-a-node-takes", "", "InvalidName"},
    };
    struct life life;
    life_start(&life, *state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_sandbox(&life, cases[i].name, "", cases[i].spec);
        wait_phase(&life, cases[i].name, SA_PHASE_FAILED, cases[i].reason);
        assert_false(is_there(&life, &sa_kind_pod, cases[i].name));
    }
    ok(create_(life.w, &sa_kind_sandbox, false,
               "{'metadata':{'name':'sb-x'},'spec':{'runtime':'haskell'}}"));
    wait_phase(&life, "sb-x", SA_PHASE_FAILED, "RuntimeNotFound");
    ok(create_(life.w, sa_resource_runtime_environment.kind, false,
               "{'metadata':{'name':'stock'},'spec':{'language':'python','image':'python:3'}}"));
    ok(create_(life.w, &sa_kind_sandbox, false,
               "{'metadata':{'name':'sb-y'},'spec':{'runtime':'stock'}}"));
    wait_phase(&life, "sb-y", SA_PHASE_FAILED, "RuntimeUnavailable");
    life_stop(&life);
}

/* An earlier sandbox's pod is still going. */
static void test_name_taken(void **state)
{
    struct life life;
    life_start(&life, *state);
    ok(create_(life.w, &sa_kind_pod, false,
               "{'metadata':{'name':'sb-a','finalizers':['" SA_FINALIZER_NODE "']},"
               "'spec':{'containers':[{'name':'c'}]}}"));
    make_sandbox(&life, "sb-a", "", "");
    wait_phase(&life, "sb-a", SA_PHASE_PENDING, "PodNameTaken");
    ok(delete_(life.w, &sa_kind_pod, "sb-a", NULL));
    pod_removed(&life, "sb-a");
    wait_phase(&life, "sb-a", SA_PHASE_CREATING, NULL);
    life_stop(&life);
}

int main(void)
{
#define LIFE(test) cmocka_unit_test_setup_teardown(test, controllers_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        LIFE(test_cold),      LIFE(test_warm),         LIFE(test_warm_pod_lost),
        LIFE(test_pod_fails), LIFE(test_pod_vanishes), LIFE(test_failed_are_removed),
        LIFE(test_paused),    LIFE(test_personal),     LIFE(test_interrupted),
        LIFE(test_overdue),   LIFE(test_profile),      LIFE(test_security_of_the_api),
        LIFE(test_cannot_be), LIFE(test_name_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
