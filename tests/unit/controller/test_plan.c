/* What is done next, by worlds: a table of those that matter. */
#include "controller/sandbox/plan.h"

#include "base/clock.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/warm_pod.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CREATED "2026-01-01T00:00:00Z"
#define CREATED_MS INT64_C(1767225600000)
#define UID "00000000-0000-0000-0000-00000000000a"
#define WARM_UID "00000000-0000-0000-0000-00000000000b"
#define HELD "'finalizers':['" SA_FINALIZER_SANDBOX "'],"
#define GOING "'deletionTimestamp':'" CREATED "',"
#define NOTE(key, value) "'annotations':{'" key "':'" value "'},"
#define CLAIMED NOTE(SA_SANDBOX_WARM_POD, "wp-a")

enum { S = 1, P = 2, W = 4, R = 8, F = 16 /* which of them is fresh: F the profile */ };

struct row {
    const char *name;
    const char *meta, *spec, *status; /* members of the sandbox; NULL: there is none */
    const char *pod, *pod_meta;       /* its status; NULL: none. Owned by what should own it */
    const char *claim;                /* of its WarmPod; NULL: none */
    unsigned fresh;
    int64_t after_ms; /* since its creation */
    enum sa_sandbox_step step;
    const char *reason; /* of the status to be written; NULL: any */
    enum sa_phase phase;
    int64_t again_ms; /* with NOTHING */
};

#define READY                                                                                      \
    "'phase':'Running','conditions':[{'type':'Ready','status':'True','reason':'x',"                \
    "'lastTransitionTime':'" CREATED "'}]"
#define STARTED "'phase':'Creating','podUid':'" UID "','podName':'sb-a','scheduledAt':'" CREATED "'"
#define FAILED "'phase':'Failed','reason':'Exited','endedAt':'" CREATED "'"

static const struct row rows[] = {
    {"none there", .step = SA_STEP_NOTHING},
    /* a cold start */
    {"nothing yet", "", "", "", .step = SA_STEP_ASK_SECURITY},
    {"decided already", NOTE(SA_SANDBOX_PROFILE, "aa"), "", "", .step = SA_STEP_READ_SANDBOX},
    {"a manifest's", NOTE(SA_SANDBOX_PROFILE, "aa"), "", "", .fresh = S,
     .step = SA_STEP_ADD_FINALIZER},
    {"held", HELD NOTE(SA_SANDBOX_PROFILE, "aa"), "", "", .fresh = S, .step = SA_STEP_CREATE_POD},
    {"a profile not seen", "", "'profileRef':'p',", "", .step = SA_STEP_READ_PROFILE},
    {"no profile", "", "'profileRef':'p',", "", .fresh = F, .step = SA_STEP_WRITE_STATUS,
     .reason = "ProfileNotFound", .phase = SA_PHASE_FAILED},
    {"a pod not seen", HELD, "", STARTED, .step = SA_STEP_READ_POD},
    {"no pod", HELD, "", STARTED, .fresh = P, .step = SA_STEP_WRITE_STATUS, .reason = "PodLost",
     .phase = SA_PHASE_FAILED},
    {"a pod that starts", HELD, "", "", .pod = "", .step = SA_STEP_WRITE_STATUS, .reason = "",
     .phase = SA_PHASE_CREATING},
    {"ready", HELD, "", STARTED, .pod = READY, .step = SA_STEP_WRITE_STATUS, .reason = "",
     .phase = SA_PHASE_RUNNING},
    {"paused", HELD, "", STARTED ",'readyAt':'" CREATED "','pausedAt':'" CREATED "'", .pod = READY,
     .step = SA_STEP_WRITE_STATUS, .phase = SA_PHASE_PAUSED},
    {"a link that is lost for a while", HELD, "", "'phase':'Running','readyAt':'" CREATED "'",
     .pod = "'phase':'Running'", .step = SA_STEP_WRITE_STATUS, .reason = "",
     .phase = SA_PHASE_RUNNING},
    {"its pod failed", HELD, "", STARTED, .pod = "'phase':'Failed','reason':'CreateFailed'",
     .step = SA_STEP_WRITE_STATUS, .reason = "CreateFailed", .phase = SA_PHASE_FAILED},
    {"its pod ended", HELD, "", STARTED, .pod = "'phase':'Succeeded'", .step = SA_STEP_WRITE_STATUS,
     .reason = "Exited", .phase = SA_PHASE_FAILED},
    {"its pod is deleted", HELD, "", STARTED, .pod = READY, .pod_meta = GOING,
     .step = SA_STEP_WRITE_STATUS, .reason = "PodLost", .phase = SA_PHASE_FAILED},
    /* a warm one */
    {"a claim not seen", HELD CLAIMED, "", "", .step = SA_STEP_READ_WARM_POD},
    {"no warm pod", HELD CLAIMED, "", "", .fresh = W, .step = SA_STEP_WRITE_STATUS,
     .reason = "PodLost", .phase = SA_PHASE_FAILED},
    {"somebody else's", HELD CLAIMED, "", "", .claim = "'sandbox':'sb-b'", .fresh = W,
     .step = SA_STEP_WRITE_STATUS, .reason = "PodLost", .phase = SA_PHASE_FAILED},
    {"of an earlier one of its name", HELD CLAIMED, "", "",
     .claim = "'sandbox':'sb-a','uid':'" WARM_UID "'", .fresh = W, .step = SA_STEP_WRITE_STATUS,
     .reason = "PodLost", .phase = SA_PHASE_FAILED},
    {"claimed just now", HELD CLAIMED, "", "", .claim = "'sandbox':'sb-a'", .pod = READY,
     .step = SA_STEP_NOTHING, .again_ms = SA_SANDBOX_TELL_MS},
    {"claimed", HELD CLAIMED, "", "", .claim = "'sandbox':'sb-a','uid':'" UID "'", .pod = READY,
     .after_ms = SA_SANDBOX_TELL_MS, .step = SA_STEP_WRITE_STATUS, .reason = "",
     .phase = SA_PHASE_RUNNING},
    {"claimed, its pod not seen", HELD CLAIMED, "", "", .claim = "'sandbox':'sb-a'",
     .step = SA_STEP_READ_POD},
    {"claimed, without a pod", HELD CLAIMED, "", "", .claim = "'sandbox':'sb-a'", .fresh = P,
     .step = SA_STEP_WRITE_STATUS, .reason = "PodLost", .phase = SA_PHASE_FAILED},
    /* who delivers */
    {"about to be delivered", HELD NOTE(SA_SANDBOX_PERSONAL, "me"), "", "", .pod = READY,
     .step = SA_STEP_NOTHING, .again_ms = SA_SANDBOX_SOON_MS},
    {"to be delivered", HELD NOTE(SA_SANDBOX_PERSONAL, "me"), "", "", .pod = READY,
     .after_ms = SA_SANDBOX_SOON_MS, .step = SA_STEP_WRITE_STATUS, .reason = "",
     .phase = SA_PHASE_CREATING},
    {"delivered", HELD NOTE(SA_SANDBOX_PERSONAL, SA_PERSONAL_DELIVERED), "", "", .pod = READY,
     .step = SA_STEP_WRITE_STATUS, .reason = "", .phase = SA_PHASE_RUNNING},
    {"nobody delivers, perhaps", HELD NOTE(SA_SANDBOX_PERSONAL, "other"), "", "", .pod = READY,
     .after_ms = 61000, .step = SA_STEP_READ_SANDBOX},
    {"nobody delivers", HELD NOTE(SA_SANDBOX_PERSONAL, "other"), "", "", .pod = READY, .fresh = S,
     .after_ms = 61000, .step = SA_STEP_WRITE_STATUS, .reason = "Interrupted",
     .phase = SA_PHASE_FAILED},
    {"somebody may deliver", HELD NOTE(SA_SANDBOX_PERSONAL, "other"), "", "", .pod = READY,
     .fresh = S, .after_ms = 59000, .step = SA_STEP_WRITE_STATUS, .phase = SA_PHASE_CREATING},
    /* timeouts */
    {"in time", HELD, "", "'phase':'Running','readyAt':'" CREATED "'", .pod = READY,
     .after_ms = 329999, .step = SA_STEP_WRITE_STATUS, .phase = SA_PHASE_RUNNING},
    {"overdue, perhaps", HELD, "", "'phase':'Running','readyAt':'" CREATED "'", .pod = READY,
     .after_ms = 330000, .step = SA_STEP_READ_SANDBOX},
    {"overdue", HELD, "", "'phase':'Running','readyAt':'" CREATED "'", .pod = READY,
     .after_ms = 330000, .fresh = S, .step = SA_STEP_WRITE_STATUS, .reason = "TimedOut",
     .phase = SA_PHASE_TERMINATING},
    {"paused, whatever the time", HELD, "",
     "'phase':'Paused','readyAt':'" CREATED "','pausedAt':'" CREATED "'", .pod = READY,
     .after_ms = 999999, .step = SA_STEP_WRITE_STATUS, .phase = SA_PHASE_PAUSED},
    /* failed */
    {"failed, with a pod", HELD, "", FAILED, .pod = READY, .step = SA_STEP_DELETE_POD},
    {"failed, its pod going", HELD, "", FAILED, .pod = READY, .pod_meta = GOING,
     .step = SA_STEP_NOTHING, .again_ms = SA_SANDBOX_KEPT_MS},
    {"failed of late", HELD, "", FAILED, .after_ms = 1000, .step = SA_STEP_NOTHING,
     .again_ms = SA_SANDBOX_KEPT_MS - 1000},
    {"failed long ago", HELD, "", FAILED, .after_ms = SA_SANDBOX_KEPT_MS,
     .step = SA_STEP_DELETE_SANDBOX},
    {"failed, its WarmPod is its pool's", HELD CLAIMED, "", FAILED, .claim = "'sandbox':'sb-a'",
     .pod = READY, .step = SA_STEP_NOTHING, .again_ms = SA_SANDBOX_KEPT_MS},
    /* deleted */
    {"deleted, not held", GOING, "", "", .pod = READY, .step = SA_STEP_NOTHING},
    {"deleted", HELD GOING, "", "", .step = SA_STEP_READ_POD},
    {"deleted, before it had a pod", HELD GOING, "", "", .fresh = P,
     .step = SA_STEP_REMOVE_FINALIZER},
    {"deleted, with a pod", HELD GOING, "", "", .pod = READY, .step = SA_STEP_DELETE_POD},
    {"deleted just now", HELD GOING, "", "", .pod = READY, .pod_meta = GOING,
     .step = SA_STEP_NOTHING, .again_ms = SA_SANDBOX_TELL_MS},
    {"deleted, by a clock that was set back", HELD GOING, "", "", .pod = READY, .pod_meta = GOING,
     .after_ms = -1, .step = SA_STEP_WRITE_STATUS, .phase = SA_PHASE_TERMINATING},
    {"deleted, its pod going", HELD GOING, "", "", .pod = READY, .pod_meta = GOING,
     .after_ms = SA_SANDBOX_TELL_MS, .step = SA_STEP_WRITE_STATUS, .reason = "Deleted",
     .phase = SA_PHASE_TERMINATING},
    {"deleted, claimed", HELD GOING CLAIMED, "", "", .claim = "'sandbox':'sb-a'",
     .after_ms = SA_SANDBOX_TELL_MS, .step = SA_STEP_WRITE_STATUS, .reason = "Deleted",
     .phase = SA_PHASE_TERMINATING},
    {"going, with a pod", HELD GOING, "", "'phase':'Terminating'", .pod = READY,
     .step = SA_STEP_DELETE_POD},
    {"going, as its pod", HELD GOING, "", "'phase':'Terminating'", .pod = READY, .pod_meta = GOING,
     .step = SA_STEP_NOTHING, .again_ms = SA_SANDBOX_DOUBT_MS},
    {"going for long", HELD GOING, "", "'phase':'Terminating'", .pod = READY, .pod_meta = GOING,
     .after_ms = SA_SANDBOX_DOUBT_MS, .step = SA_STEP_READ_POD},
    {"going, its pod not seen", HELD GOING, "", "'phase':'Terminating'", .step = SA_STEP_READ_POD},
    {"gone", HELD GOING, "", "'phase':'Terminating'", .fresh = P, .step = SA_STEP_REMOVE_FINALIZER},
    {"failed and going", HELD GOING, "", FAILED, .fresh = P, .step = SA_STEP_REMOVE_FINALIZER},
    {"going, claimed", HELD GOING CLAIMED, "", "'phase':'Terminating'", .claim = "'sandbox':'sb-a'",
     .step = SA_STEP_NOTHING, .again_ms = SA_SANDBOX_DOUBT_MS},
    {"going, claimed for long", HELD GOING CLAIMED, "", "'phase':'Terminating'",
     .claim = "'sandbox':'sb-a'", .after_ms = SA_SANDBOX_DOUBT_MS, .step = SA_STEP_READ_WARM_POD},
    {"going, given back perhaps", HELD GOING CLAIMED, "", "'phase':'Terminating'", .claim = "",
     .step = SA_STEP_READ_WARM_POD},
    {"going, given back", HELD GOING CLAIMED, "", "'phase':'Terminating'", .claim = "", .fresh = W,
     .step = SA_STEP_REMOVE_FINALIZER},
    {"going, its WarmPod is gone", HELD GOING CLAIMED, "", "'phase':'Terminating'", .fresh = W,
     .step = SA_STEP_REMOVE_FINALIZER},
};

/* ---- worlds ---- */

static const struct sa_object *object(const struct sa_kind *kind, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static const struct sa_object *object(const struct sa_kind *kind, const char *fmt, ...)
{
    struct sa_error err = {.message = ""};
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    const int length = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert_true(length > 0 && (size_t)length < sizeof text);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    const struct sa_object *made = sa_object_decode(kind, text, (size_t)length, false, &err);
    if (!made)
        fail_msg("%s: %s", text, err.message);
    return made;
}

static void make(const struct row *row, struct sa_sandbox_world *world)
{
    const bool claimed = row->meta && strstr(row->meta, SA_SANDBOX_WARM_POD);
    const char *name = claimed ? "wp-a" : "sb-a";
    *world = (struct sa_sandbox_world){.now_ms = CREATED_MS + row->after_ms, .process = "me"};
    if (row->meta)
        world->sandbox.object = object(
            &sa_kind_sandbox,
            "{'apiVersion':'secureagent.dev/v1','kind':'Sandbox','metadata':{%s'name':'sb-a',"
            "'uid':'" UID "','creationTimestamp':'" CREATED "'},'spec':{%s'runtime':'python'},"
            "'status':{%s}}",
            row->meta, row->spec, row->status);
    if (row->claim)
        world->warm_pod.object = object(
            &sa_kind_warm_pod,
            "{'apiVersion':'secureagent.dev/v1','kind':'WarmPod','metadata':{'name':'wp-a','uid':"
            "'" WARM_UID "'},'spec':{'pool':'p','key':'k','runtime':'python'%s%s%s}}",
            row->claim[0] ? ",'claim':{" : "", row->claim, row->claim[0] ? "}" : "");
    if (row->pod)
        world->pod.object = object(
            &sa_kind_pod,
            "{'apiVersion':'v1','kind':'Pod','metadata':{%s'name':'%s','uid':'" UID
            "','ownerReferences':[{'apiVersion':'secureagent.dev/v1','kind':'%s','name':'%s',"
            "'uid':'%s','controller':true}]},'spec':{'containers':[{'name':'c'}]},'status':{%s}}",
            row->pod_meta ? row->pod_meta : "", name, claimed ? "WarmPod" : "Sandbox", name,
            claimed ? WARM_UID : UID, row->pod);
    world->sandbox.fresh = row->fresh & S;
    world->pod.fresh = row->fresh & P;
    world->warm_pod.fresh = row->fresh & W;
    world->runtime.fresh = row->fresh & R;
    world->profile.fresh = row->fresh & F;
}

static void check(const struct row *row, const struct sa_sandbox_plan *plan)
{
    if (plan->step != row->step)
        fail_msg("%s: step %d, expected %d", row->name, (int)plan->step, (int)row->step);
    if (plan->step == SA_STEP_WRITE_STATUS && plan->status.phase != row->phase)
        fail_msg("%s: phase %s, expected %s", row->name, sa_phase_name(plan->status.phase),
                 sa_phase_name(row->phase));
    if (row->reason && strcmp(plan->status.reason, row->reason) != 0)
        fail_msg("%s: reason %s, expected %s", row->name, plan->status.reason, row->reason);
    if (plan->step == SA_STEP_NOTHING && plan->again_ms != row->again_ms)
        fail_msg("%s: again after %lld ms, expected %lld", row->name, (long long)plan->again_ms,
                 (long long)row->again_ms);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sa_arena *arena = sa_arena_new();
        struct sa_sandbox_world world;
        struct sa_sandbox_plan plan;
        make(&rows[i], &world);
        sa_sandbox_plan(&world, arena, &plan);
        check(&rows[i], &plan);
        sa_object_unref(world.sandbox.object);
        sa_object_unref(world.warm_pod.object);
        sa_object_unref(world.pod.object);
        sa_arena_free(arena);
    }
}

/* A security context that is denied, and one that cannot be had just now. */
static void test_security(void **state)
{
    const struct row row = {"", HELD, "", "", .fresh = S};
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_world world;
    struct sa_sandbox_plan plan;
    (void)state;
    make(&row, &world);
    sa_error_set(&world.security.error, SA_EPOLICY, "no");
    world.security.state = SA_SECURITY_DENIED;
    sa_sandbox_plan(&world, arena, &plan);
    assert_int_equal(plan.step, SA_STEP_WRITE_STATUS);
    assert_int_equal(plan.status.phase, SA_PHASE_FAILED);
    assert_string_equal(plan.status.message, "no");
    world.security.state = SA_SECURITY_UNAVAILABLE;
    sa_sandbox_plan(&world, arena, &plan);
    assert_int_equal(plan.step, SA_STEP_WRITE_STATUS);
    assert_int_equal(plan.status.phase, SA_PHASE_PENDING);
    world.security.state = SA_SECURITY_KNOWN;
    world.security.digest = "dd";
    sa_sandbox_plan(&world, arena, &plan);
    assert_int_equal(plan.step, SA_STEP_CREATE_POD);
    assert_string_equal(plan.digest, "dd");
    sa_error_set(&world.pod_refused, SA_EINVALID, "bad");
    sa_sandbox_plan(&world, arena, &plan);
    assert_string_equal(plan.status.reason, "PodRefused");
    sa_object_unref(world.sandbox.object);
    sa_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_security)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
