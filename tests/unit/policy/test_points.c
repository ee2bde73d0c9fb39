/* core/policy over the real engine and worker: every decision point, allowed, denied, changed, and
 * with everything that can go wrong in a rule. */
#include "asking.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "policy/schema.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
    const char *first, *deny, *change, *default_, *unruled;
    const char *wrong; /* in the reason of what is of the wrong type */
} expected[SA_POINT_COUNT] = {
    [SA_POINT_PROFILE] = {"deny defaulted -", "deny -", "allow allowed uid=1000 /tmp",
                          "deny defaulted -", "deny defaulted -", "uid"},
    [SA_POINT_SECCOMP] = {"deny defaulted -", "deny -", "allow allowed allow=@io",
                          "deny defaulted -", "deny defaulted -", "allow"},
    [SA_POINT_ADMISSION] = {"allow allowed object a=[]", "deny -",
                            "allow allowed object a=[] timeout=5", "deny defaulted -",
                            "allow allowed object a=[]", "changes"},
    [SA_POINT_EXECUTE] = {"allow allowed timeoutMs=60000 openFiles=7", "deny -",
                          "allow allowed timeoutMs=5 openFiles=7", "deny defaulted -",
                          "allow allowed timeoutMs=60000 openFiles=7", "timeoutMs"},
    [SA_POINT_FILES] = {"allow allowed -", "deny -", "allow allowed -", "deny defaulted -",
                        "allow allowed -", "changes"},
    [SA_POINT_EGRESS] = {"allow allowed connections=2", "deny -", "allow allowed connections=5",
                         "deny defaulted -", "deny defaulted -", "connections"},
    [SA_POINT_PACKAGES] = {"allow allowed -", "deny -", "allow allowed -", "deny defaulted -",
                           "allow allowed -", "changes"},
    [SA_POINT_RECYCLE] = {"reuse allowed -", "replace -", "reuse allowed -", "replace defaulted -",
                          "replace defaulted -", "verdict"},
    [SA_POINT_SCALING] = {"sized allowed size=4", "sized allowed size=1", "sized allowed size=10",
                          "sized allowed defaulted size=7", "sized allowed defaulted size=7",
                          "size"},
    [SA_POINT_ANOMALY] = {"scored allowed score=0 action=0", "scored allowed score=90 action=3",
                          "scored allowed score=40.5 action=2",
                          "scored allowed defaulted score=0 action=1",
                          "scored allowed score=0 action=0", "action"},
    [SA_POINT_LIFECYCLE] = {"allow allowed pause 0", "decide allowed pause 0",
                            "allow allowed extend 60", "allow allowed defaulted pause 0",
                            "allow allowed pause 0", "extendSeconds"},
};

static void each_point(struct asking *a, const char *tenant)
{
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        asking_wait(a, (enum sa_point)i, tenant);
        asking_expect(a, expected[i].default_);
        assert_string_equal(a->rule, "default");
        assert_true(a->reason[0] != '\0');
    }
}

static void allowed_denied_changed(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        asking_wait(a, (enum sa_point)i, NULL);
        asking_expect(a, expected[i].first);
        asking_wait(a, (enum sa_point)i, "change");
        asking_expect(a, expected[i].change);
        const unsigned before = a->denials;
        asking_wait(a, (enum sa_point)i, "deny");
        asking_expect(a, expected[i].deny);
        const bool denial = strcmp(a->verdict, "deny") == 0;
        assert_int_equal(a->denials, before + denial);
        if (!a->allowed) {
            char rule[64];
            snprintf(rule, sizeof rule, "made-%s/r", sa_policy_points[i].name);
            assert_string_equal(a->rule, rule);
            assert_string_equal(a->reason, "no");
        }
        if (denial)
            assert_string_equal(a->denied, a->id);
    }
}

/* What is no answer is recorded and told as what it leads to. */
static void defaults_are_recorded(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    asking_wait(a, SA_POINT_PROFILE, NULL); /* allowed, but nothing completes the context */
    asking_expect(a, "deny defaulted -");
    assert_int_equal(a->denials, 1);
    assert_string_equal(a->denied, a->id);
    const struct sa_decision *decision = sa_engine_decision(sa_policy_engine(a->policy), a->id);
    assert_non_null(decision);
    assert_true(decision->denied);
    assert_int_equal(decision->verdict.type, SA_VALUE_NIL);
    assert_string_equal(decision->error, a->reason);
    assert_non_null(strstr(a->reason, "no rule completes the context"));
}

/* What is of the wrong type is said with its place. */
static void wrong_types(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    each_point(a, "unknown");
    each_point(a, "verdict");
    each_point(a, "text");
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        asking_wait(a, (enum sa_point)i, "wrong");
        asking_expect(a, expected[i].default_);
        if (!strstr(a->reason, expected[i].wrong))
            fail_msg("\"%s\" does not name %s", a->reason, expected[i].wrong);
    }
}

static void errors(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    each_point(a, "error");
    assert_non_null(strstr(a->reason, "boom"));
}

static void deadlines(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    each_point(a, "loop");
}

static void memory(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    each_point(a, "memory");
}

static void ask_all(struct asking *a)
{
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        asking_wait(a, (enum sa_point)i, "change");
        asking_expect(a, expected[i].default_);
    }
}

/* It cannot be started again either. */
static void no_worker(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    asking_wait(a, SA_POINT_EXECUTE, NULL);
    assert_true(a->allowed);
    assert_int_equal(unlink(a->worker), 0);
    assert_int_equal(kill(asking_worker(a), SIGKILL), 0);
    while (asking_worker(a) > 0)
        uv_run(a->loop, UV_RUN_ONCE);
    ask_all(a);
}

/* One that hangs where no hook reaches it is killed; what it had in hand is not allowed. */
static void a_slow_worker(void **state)
{
    struct asking *a = *state;
    a->options.limits.kill_wall_ms = 100;
    asking_start(a, true);
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        const pid_t worker = asking_worker(a);
        assert_true(worker > 0);
        assert_int_equal(kill(worker, SIGSTOP), 0);
        asking_wait(a, (enum sa_point)i, "change");
        asking_expect(a, expected[i].default_);
        while (asking_worker(a) <= 0 || asking_worker(a) == worker)
            uv_run(a->loop, UV_RUN_ONCE);
        for (int k = 0; k < 20; k++) { /* and life goes on; answers make it healthy again */
            asking_wait(a, SA_POINT_EXECUTE, "change");
            assert_true(a->allowed);
        }
    }
}

static void no_rules(void **state)
{
    struct asking *a = *state;
    asking_start(a, false);
    for (size_t i = 0; i < SA_POINT_COUNT; i++) {
        asking_wait(a, (enum sa_point)i, "deny");
        asking_expect(a, expected[i].unruled);
    }
}

/* ---- questions that cannot be asked, or that nobody waits for ---- */

static void on_object(void *user, const struct sa_policy_verdict *verdict, const char *object,
                      size_t length)
{
    struct asking *a = user;
    a->answered = true;
    a->allowed = verdict->allowed;
    snprintf(a->reason, sizeof a->reason, "%s", verdict->reason);
    assert_null(object);
    assert_int_equal(length, 0);
}

static void what_cannot_be_asked(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    char *large = sa_alloc(SA_VALUE_MAX + 64);
    memset(large, 'x', SA_VALUE_MAX + 60);
    memcpy(large, "{\"a\":\"", 6);
    memcpy(large + SA_VALUE_MAX + 60, "\"}", 3);
    const char *const objects[] = {"{\"a\":", large};
    for (size_t i = 0; i < SA_COUNT(objects); i++) {
        const struct sa_policy_admission_input input = {.operation = "CREATE",
                                                        .object = objects[i]};
        a->answered = false;
        sa_policy_admission(a->policy, &input, on_object, a);
        assert_false(a->answered);
        while (!a->answered) /* it comes from a timer: nothing is there to wait for */
            uv_run(a->loop, UV_RUN_NOWAIT);
        assert_false(a->allowed);
        assert_true(a->reason[0] != '\0');
    }
    /* Forgotten, and left behind at the end. */
    const struct sa_policy_admission_input broken = {.object = "{"};
    a->answered = false;
    sa_policy_forget(sa_policy_admission(a->policy, &broken, on_object, a));
    sa_policy_admission(a->policy, &broken, on_object, a);
    asking_stop(a);
    uv_run(a->loop, UV_RUN_DEFAULT);
    assert_false(a->answered);
    free(large);
}

static void forgotten(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    sa_policy_forget(NULL);
    sa_policy_forget(asking_ask(a, SA_POINT_ADMISSION, NULL));
    struct asking other = *a; /* its answer comes after that of the forgotten one would have */
    asking_wait(&other, SA_POINT_FILES, NULL);
    assert_false(a->answered);
    asking_ask(a, SA_POINT_FILES, NULL); /* left behind at the end */
}

static void on_long(void *user, const struct sa_policy_verdict *verdict,
                    const struct sa_policy_run *run)
{
    struct asking *a = user;
    assert_non_null(run);
    a->answered = true;
    snprintf(a->id, sizeof a->id, "%s", verdict->meta.id);
}

static struct sa_value asked_about(struct asking *a, const struct sa_policy_execute_input *input)
{
    a->answered = false;
    sa_policy_execute(a->policy, input, on_long, a);
    while (!a->answered)
        uv_run(a->loop, UV_RUN_ONCE);
    const struct sa_decision *decision = sa_engine_decision(sa_policy_engine(a->policy), a->id);
    assert_non_null(decision);
    return decision->input;
}

/* Code and arguments are cut to what fits, and rules are told. */
static void what_is_long_is_cut(void **state)
{
    struct asking *a = *state;
    asking_start(a, true);
    const size_t bytes = 200 * 1024;
    char *code = sa_alloc(bytes + 2);
    code[0] = 'x'; /* so that the cut is within a character */
    for (size_t i = 1; i < bytes; i += 2)
        memcpy(code + i, "\xc3\xa9", 2);
    const char *argv[] = {"sh", code, "end"}, *names[] = {"A", code};
    struct sa_policy_execute_input input = {.kind = "code", .code = "1+1", .argv = {argv, 1}};
    struct sa_value asked = asked_about(a, &input), item;
    assert_int_equal(sa_value_get(&asked, "truncated").type, SA_VALUE_FALSE);

    input.code = code;
    asked = asked_about(a, &input);
    assert_int_equal(sa_value_get(&asked, "truncated").type, SA_VALUE_TRUE);
    assert_int_equal(sa_value_get(&asked, "code").length, 48 * 1024 - 1);

    input = (struct sa_policy_execute_input){
        .kind = "command", .argv = {argv, 3}, .env_names = {names, 2}};
    asked = asked_about(a, &input);
    assert_int_equal(sa_value_get(&asked, "truncated").type, SA_VALUE_TRUE);
    const struct sa_value list = sa_value_get(&asked, "argv");
    struct sa_value_reader reader = sa_value_enter(&list);
    assert_true(sa_value_next(&reader, &item) && sa_value_is(&item, "sh"));
    assert_true(sa_value_next(&reader, &item));
    assert_in_range(item.length, 32 * 1024 - 16, 32 * 1024);
    assert_false(sa_value_next(&reader, &item));
    free(code);
}

/* ---- explain ---- */

struct explained {
    bool done;
    enum sa_code code;
    char text[2048];
};

static void on_explained(void *user, const struct sa_error *err, const struct sa_value *verdict,
                         const struct sa_verdict_meta *meta)
{
    struct explained *e = user;
    sa_autobuf json = SA_BUF_INIT;
    (void)meta;
    e->done = true;
    e->code = err ? err->code : SA_OK;
    if (verdict)
        sa_value_to_json(verdict, &json);
    snprintf(e->text, sizeof e->text, "%s", verdict ? json.data : err->message);
}

static void explained(void **state)
{
    struct asking *a = *state;
    struct explained e = {0};
    struct sa_error err = {0};
    const char good[] = "{\"kind\":\"code\",\"scope\":{\"tenant\":\"change\"}}";
    asking_start(a, true);
    assert_non_null(
        sa_policy_explain(a->policy, SA_POINT_EXECUTE, good, strlen(good), on_explained, &e, &err));
    while (!e.done)
        uv_run(a->loop, UV_RUN_ONCE);
    assert_int_equal(e.code, SA_OK);
    assert_non_null(strstr(e.text, "\"trace\":"));
    assert_non_null(strstr(e.text, "\"timeoutMs\":5"));
    /* A question of what would be: no decision, and no denial to be told of. */
    assert_null(sa_engine_decision_after(sa_policy_engine(a->policy), 0));
    const struct {
        const char *json, *path;
    } bad[] = {{"{\"kind\":\"dance\"}", "input.kind"},
               {"{\"kind\":7}", "input.kind"},
               {"{\"kid\":\"code\"}", "input.kid"},
               {"[1]", "input"}};
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        assert_null(sa_policy_explain(a->policy, SA_POINT_EXECUTE, bad[i].json, strlen(bad[i].json),
                                      on_explained, &e, &err));
        assert_int_equal(err.code, SA_EINVALID);
        assert_string_equal(err.path, bad[i].path);
    }
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, asking_setup, asking_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(allowed_denied_changed),
        TEST(defaults_are_recorded),
        TEST(wrong_types),
        TEST(errors),
        TEST(deadlines),
        TEST(memory),
        TEST(no_worker),
        TEST(a_slow_worker),
        TEST(no_rules),
        TEST(what_cannot_be_asked),
        TEST(forgotten),
        TEST(what_is_long_is_cut),
        TEST(explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
