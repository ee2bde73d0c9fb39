/* core/policy/answer.c: what a worker said, good and bad, for every decision point. */
#include "policy/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int take(enum sa_point point, const char *json, struct sa_arena *arena,
                struct policy_answer *answer, struct sa_error *err)
{
    struct sa_buf *value = sa_arena_alloc(arena, sizeof *value);
    if (sa_value_from_json(json, strlen(json), value, err) < 0)
        fail_msg("%s: %s", json, err->message);
    const struct sa_value map = sa_value_of(value->data, value->length);
    int rc = policy_answer_take(point, &map, arena, answer, err);
    if (rc == 0 && answer->changed && !sa_policy_points[point].changes &&
        !sa_policy_points[point].returns->name)
        answer->result.object = (struct sa_value){.type = answer->result.object.type};
    sa_buf_deinit(value);
    return rc;
}

static void allowed(enum sa_point point, const char *json, bool changed)
{
    struct sa_arena *arena = sa_arena_new();
    struct policy_answer answer;
    struct sa_error err = {0};
    if (take(point, json, arena, &answer, &err) < 0)
        fail_msg("%s: %s", json, err.message);
    assert_true(answer.allowed);
    assert_int_equal(answer.changed, changed);
    sa_arena_free(arena);
}

static void denied(enum sa_point point, const char *json, const char *rule, const char *reason)
{
    struct sa_arena *arena = sa_arena_new();
    struct policy_answer answer;
    struct sa_error err = {0};
    if (take(point, json, arena, &answer, &err) < 0)
        fail_msg("%s: %s", json, err.message);
    assert_false(answer.allowed);
    assert_string_equal(answer.rule, rule);
    assert_string_equal(answer.reason, reason);
    sa_arena_free(arena);
}

static void refused(enum sa_point point, const char *json, const char *message)
{
    struct sa_arena *arena = sa_arena_new();
    struct policy_answer answer;
    struct sa_error err = {0};
    if (take(point, json, arena, &answer, &err) == 0)
        fail_msg("%s was taken", json);
    assert_string_equal(err.message, message);
    sa_arena_free(arena);
}

#define RAN ",\"ran\":[\"a\"]}"
#define ALLOW "{\"verdict\":\"allow\""
#define DENY "{\"verdict\":\"deny\",\"rule\":\"a/b\",\"reason\":\"so\"" RAN
#define RUN                                                                                        \
    "{\"timeoutMs\":1,\"memoryBytes\":2,\"cpuSeconds\":3,\"fileSizeBytes\":4,\"openFiles\":5}"
#define CONTEXT_BUT_UID                                                                            \
    "\"runtimeClass\":\"native\",\"gid\":1000,\"capabilities\":[],\"noNewPrivs\":true,"            \
    "\"readOnlyRoot\":true,\"privateNetwork\":true,\"maskProc\":true,\"seccomp\":\"standard\","    \
    "\"landlock\":{\"enabled\":true,\"writable\":[\"/tmp\"]},\"writablePaths\":[\"/tmp\"],"        \
    "\"devices\":[\"null\"],\"limits\":{\"pids\":1,\"openFiles\":16,\"fileSizeBytes\":0,"          \
    "\"coreBytes\":0},\"requiredControls\":[]}"

static void profile(void **state)
{
    (void)state;
    allowed(SA_POINT_PROFILE, ALLOW ",\"result\":{\"uid\":1000," CONTEXT_BUT_UID RAN, true);
    denied(SA_POINT_PROFILE, DENY, "a/b", "so");
    refused(SA_POINT_PROFILE, ALLOW ",\"result\":{" CONTEXT_BUT_UID RAN, "context.uid: missing");
    refused(SA_POINT_PROFILE, ALLOW ",\"result\":{\"uid\":\"root\"," CONTEXT_BUT_UID RAN,
            "context.uid: expected integer, got string");
    refused(SA_POINT_PROFILE, ALLOW RAN, "no rule completes the context");
    refused(SA_POINT_PROFILE, ALLOW ",\"ran\":[]}", "there is no rule for profile");
}

static void seccomp(void **state)
{
    (void)state;
    allowed(SA_POINT_SECCOMP, ALLOW ",\"result\":{\"allow\":[\"@io\"],\"telling\":[\"mount\"]}" RAN,
            true);
    denied(SA_POINT_SECCOMP, DENY, "a/b", "so");
    refused(SA_POINT_SECCOMP, ALLOW ",\"result\":{\"allow\":[\"@io\"]}" RAN,
            "filter.telling: missing");
    refused(SA_POINT_SECCOMP, ALLOW ",\"result\":{\"allow\":true,\"telling\":[]}" RAN,
            "filter.allow: expected list, got boolean");
    refused(SA_POINT_SECCOMP, ALLOW RAN, "no rule completes the filter");
    refused(SA_POINT_SECCOMP, ALLOW ",\"ran\":[]}", "there is no rule for seccomp");
}

static void admission(void **state)
{
    (void)state;
    allowed(SA_POINT_ADMISSION, ALLOW RAN, false);
    allowed(SA_POINT_ADMISSION, ALLOW ",\"ran\":[]}", false);
    allowed(SA_POINT_ADMISSION, ALLOW ",\"changes\":{\"x\":1},\"result\":{\"x\":1}" RAN, true);
    denied(SA_POINT_ADMISSION, DENY, "a/b", "so");
    refused(SA_POINT_ADMISSION, ALLOW ",\"result\":[1]" RAN, "object: expected map, got list");
    refused(SA_POINT_ADMISSION, ALLOW ",\"changes\":{\"x\":1}" RAN,
            "result: missing, with changes");
}

static void execute(void **state)
{
    (void)state;
    allowed(SA_POINT_EXECUTE, ALLOW RAN, false);
    allowed(SA_POINT_EXECUTE, ALLOW ",\"ran\":[]}", false);
    allowed(SA_POINT_EXECUTE, ALLOW ",\"result\":" RUN RAN, true);
    denied(SA_POINT_EXECUTE, DENY, "a/b", "so");
    refused(SA_POINT_EXECUTE, ALLOW ",\"result\":{\"timeoutMs\":1}" RAN,
            "run.memoryBytes: missing");
    refused(SA_POINT_EXECUTE, "{\"verdict\":true" RAN, "verdict: \"\" is none of execute's");
    refused(SA_POINT_EXECUTE, "{\"verdict\":\"Allow\"" RAN,
            "verdict: \"Allow\" is none of execute's");
    refused(SA_POINT_EXECUTE, "{\"ran\":[\"a\"]}", "verdict: \"\" is none of execute's");
    refused(SA_POINT_EXECUTE, "{}", "verdict: \"\" is none of execute's");
    refused(SA_POINT_EXECUTE, "[]", "a verdict is a map, not a list");
    refused(SA_POINT_EXECUTE, "\"allow\"", "a verdict is a map, not a string");
    refused(SA_POINT_EXECUTE, "null", "a verdict is a map, not a nil");
}

static void files_and_packages(void **state)
{
    (void)state;
    static const enum sa_point points[] = {SA_POINT_FILES, SA_POINT_PACKAGES};
    for (size_t i = 0; i < 2; i++) {
        allowed(points[i], ALLOW RAN, false);
        allowed(points[i], ALLOW ",\"ran\":[]}", false);
        denied(points[i], DENY, "a/b", "so");
    }
    refused(SA_POINT_FILES, ALLOW ",\"result\":{}" RAN, "result: files has none");
    refused(SA_POINT_PACKAGES, "{\"verdict\":1" RAN, "verdict: \"\" is none of packages's");
}

static void egress(void **state)
{
    (void)state;
    allowed(SA_POINT_EGRESS, ALLOW RAN, false);
    allowed(SA_POINT_EGRESS, ALLOW ",\"result\":{\"bytesPerSecond\":9,\"connections\":2}" RAN,
            true);
    denied(SA_POINT_EGRESS, DENY, "a/b", "so");
    refused(SA_POINT_EGRESS, ALLOW ",\"result\":{\"bytesPerSecond\":-9,\"connections\":2}" RAN,
            "grant.bytesPerSecond: -9 is not in 0 to 9223372036854775807");
    refused(SA_POINT_EGRESS, ALLOW ",\"ran\":[]}", "there is no rule for egress");
    refused(SA_POINT_EGRESS, ALLOW "}", "there is no rule for egress");
}

static void recycle(void **state)
{
    (void)state;
    allowed(SA_POINT_RECYCLE, "{\"verdict\":\"reuse\"" RAN, false);
    denied(SA_POINT_RECYCLE, "{\"verdict\":\"replace\",\"rule\":\"a/b\",\"reason\":\"so\"" RAN,
           "a/b", "so");
    refused(SA_POINT_RECYCLE, ALLOW RAN, "verdict: \"allow\" is none of recycle's");
    refused(SA_POINT_RECYCLE, "{\"verdict\":\"reuse\",\"ran\":[]}", "there is no rule for recycle");
}

static void scaling(void **state)
{
    (void)state;
    allowed(SA_POINT_SCALING, "{\"size\":4,\"reason\":\"so\"" RAN, true);
    allowed(SA_POINT_SCALING, "{\"verdict\":\"sized\",\"size\":4,\"reason\":\"so\"" RAN, true);
    refused(SA_POINT_SCALING, "{\"size\":4.5" RAN, "verdict.size: expected integer, got number");
    refused(SA_POINT_SCALING, "{\"size\":-1" RAN, "verdict.size: -1 is not in 0 to 1000000");
    refused(SA_POINT_SCALING, "{\"reason\":\"so\"" RAN, "verdict.size: missing");
    refused(SA_POINT_SCALING, "{\"verdict\":\"sized\",\"ran\":[]}", "there is no rule for scaling");
}

static void anomaly(void **state)
{
    (void)state;
    allowed(SA_POINT_ANOMALY, "{\"score\":40.5,\"action\":\"pause\"" RAN, true);
    allowed(SA_POINT_ANOMALY, "{\"verdict\":\"scored\",\"ran\":[]}", true);
    refused(SA_POINT_ANOMALY, "{\"score\":40" RAN, "verdict.action: missing");
    refused(SA_POINT_ANOMALY, "{\"action\":\"kill\"" RAN, "verdict.score: missing");
    refused(SA_POINT_ANOMALY, "{\"score\":400,\"action\":\"kill\"" RAN,
            "verdict.score: 400 is not in 0 to 100");
    refused(SA_POINT_ANOMALY, "{\"score\":4,\"action\":\"explode\"" RAN,
            "verdict.action: \"explode\" is none of what there is");
}

static void lifecycle(void **state)
{
    (void)state;
    allowed(SA_POINT_LIFECYCLE, ALLOW RAN, false);
    allowed(SA_POINT_LIFECYCLE, ALLOW ",\"ran\":[]}", false);
    allowed(SA_POINT_LIFECYCLE,
            "{\"verdict\":\"decide\",\"result\":{\"action\":\"extend\",\"extendSeconds\":60}" RAN,
            true);
    refused(SA_POINT_LIFECYCLE, DENY, "verdict: \"deny\" is none of lifecycle's");
    refused(SA_POINT_LIFECYCLE, ALLOW ",\"result\":{\"action\":\"extend\"}" RAN,
            "outcome.extendSeconds: missing");
    refused(SA_POINT_LIFECYCLE,
            ALLOW ",\"result\":{\"action\":\"extend\",\"extendSeconds\":90000}" RAN,
            "outcome.extendSeconds: 90000 is not in 0 to 86400");
}

/* A denial needs nothing else to be one. */
static void denials_stand(void **state)
{
    (void)state;
    denied(SA_POINT_EXECUTE, "{\"verdict\":\"deny\"}", "unnamed", "no reason was given");
    denied(SA_POINT_EXECUTE, "{\"verdict\":\"deny\",\"rule\":7,\"reason\":[],\"result\":8}",
           "unnamed", "no reason was given");
    denied(SA_POINT_EXECUTE, "{\"verdict\":\"deny\",\"rule\":\"a\\nb\",\"reason\":\"x\\u0007y\"}",
           "a b", "x y");
}

static void texts_are_cut(void **state)
{
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    struct policy_answer answer;
    struct sa_error err = {0};
    char json[2048], reason[1001];
    for (size_t i = 0; i < 1000; i += 2)
        memcpy(reason + i, "\xc3\xa9", 2);
    reason[1000] = '\0';
    snprintf(json, sizeof json, "{\"verdict\":\"deny\",\"reason\":\"%s\"}", reason);
    assert_int_equal(take(SA_POINT_EXECUTE, json, arena, &answer, &err), 0);
    assert_int_equal(strlen(answer.reason), REASON_BYTES - 2);
    assert_memory_equal(answer.reason, reason, REASON_BYTES - 2);
    sa_arena_free(arena);
}

static void defaults(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [SA_POINT_PROFILE] = "deny",   [SA_POINT_SECCOMP] = "deny",
        [SA_POINT_ADMISSION] = "deny", [SA_POINT_EXECUTE] = "deny",
        [SA_POINT_FILES] = "deny",     [SA_POINT_EGRESS] = "deny",
        [SA_POINT_PACKAGES] = "deny",  [SA_POINT_RECYCLE] = "replace",
        [SA_POINT_SCALING] = "sized",  [SA_POINT_ANOMALY] = "scored",
        [SA_POINT_LIFECYCLE] = "allow"};
    for (size_t i = 0; i < SA_POINT_COUNT; i++)
        assert_string_equal(policy_default_verdict((enum sa_point)i), expected[i]);
}

static void errors_for_clients(void **state)
{
    (void)state;
    struct sa_error err = {0};
    struct sa_policy_verdict verdict = {.verdict = "deny",
                                        .rule = "deny-miners/miner",
                                        .reason = "mining is not allowed here",
                                        .meta = {.id = "dec-1"}};
    assert_int_equal(sa_policy_error(&verdict, &err), -1);
    assert_int_equal(err.code, SA_EPOLICY);
    assert_string_equal(err.path, "deny-miners/miner");
    assert_string_equal(err.message,
                        "deny-miners/miner: mining is not allowed here (decision dec-1)");
    verdict = (struct sa_policy_verdict){
        .verdict = "deny", .defaulted = true, .rule = "default", .reason = "the worker is gone"};
    assert_int_equal(sa_policy_error(&verdict, &err), -1);
    assert_int_equal(err.code, SA_EUNAVAILABLE);
    assert_string_equal(err.message, "the policy could not decide: the worker is gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile),
        cmocka_unit_test(seccomp),
        cmocka_unit_test(admission),
        cmocka_unit_test(execute),
        cmocka_unit_test(files_and_packages),
        cmocka_unit_test(egress),
        cmocka_unit_test(recycle),
        cmocka_unit_test(scaling),
        cmocka_unit_test(anomaly),
        cmocka_unit_test(lifecycle),
        cmocka_unit_test(denials_stand),
        cmocka_unit_test(texts_are_cut),
        cmocka_unit_test(defaults),
        cmocka_unit_test(errors_for_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
