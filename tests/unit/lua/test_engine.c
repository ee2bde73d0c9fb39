/* Generations: the first, reloads, rollbacks, what stays when something fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine_fixture.h"

#include "base/cleanup.h"
#include "base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALLOW "{\"verdict\":\"allow\"}"
#define DENY "{\"verdict\":\"deny\",\"rule\":\"b/no\",\"reason\":\"no\"}"

static void test_ask(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    rule(f, "a", "execute", "{\"verdict\":\"deny\",\"rule\":\"a/x\",\"reason\":\"so\"}");
    engine_begin_good(f);
    assert_int_equal(sa_engine_generation(f->engine), 1);
    assert_true(sa_engine_has_rules(f->engine, EXECUTE));
    assert_false(sa_engine_has_rules(f->engine, FILES));
    ask_and_wait(f, EXECUTE, "{\"n\":5}", &answer);
    assert_int_equal(answer.code, SA_OK);
    assert_string_equal(answer.text, "{\"verdict\":\"deny\",\"rule\":\"a/x\",\"reason\":\"so\","
                                     "\"n\":5,\"ran\":[\"a\"]}");
    assert_int_equal(answer.meta.generation, 1);
    assert_true(sa_id_valid("dec-", answer.meta.id));
    sa_autofree char *text = print(f);
    assert_has(text, "\"generation\":1,");
    assert_has(text, "\"source\":\"files\"");
    assert_has(text, "\"calls\":1,\"denials\":1");
    assert_has(text, "\"lastReload\":{");
}

static void test_point_without_rules(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    rule(f, "a", "execute", DENY);
    engine_begin_good(f);
    ask_and_wait(f, FILES, "{}", &answer);
    assert_string_equal(answer.text, "{\"verdict\":\"allow\",\"ran\":[]}");
    assert_int_equal(answer.meta.generation, 1); /* which has no rule to say so */
    ask_and_wait(f, SCALING, "{}", &answer);
    assert_string_equal(answer.text, "{\"ran\":[]}");
}

static void test_forgotten(void **state)
{
    struct engine_fixture *f = *state;
    struct answer first = {0}, second;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    sa_engine_forget(ask(f, EXECUTE, "{}", &first));
    sa_engine_forget(ask(f, FILES, "{}", &first));
    ask_and_wait(f, EXECUTE, "{}", &second);
    ask_and_wait(f, FILES, "{}", &second);
    assert_int_equal(first.times, 0);
}

static void test_bad_input(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    static char big[SA_VALUE_MAX + 100];
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    snprintf(big, sizeof big, "{\"x\":\"%0*d\"}", SA_VALUE_MAX, 1);
    ask_and_wait(f, EXECUTE, "{\"act\":\"fail\"}", &answer);
    assert_int_equal(answer.code, SA_EINTERNAL);
    assert_has(answer.text, "policies/x.lua:3");
    const struct sa_decision *decision = sa_engine_decision(f->engine, answer.meta.id);
    assert_true(decision->denied);
    assert_int_equal(decision->verdict.type, SA_VALUE_NIL);
    assert_has(decision->error, "nil value");
}

/* ---- reloads ---- */

static void test_reload(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    pid_t before = worker_pid(f);
    rule(f, "b", "files", DENY);
    assert_int_equal(reload(f), SA_OK);
    assert_int_equal(sa_engine_generation(f->engine), 2);
    assert_int_not_equal(worker_pid(f), before);
    ask_and_wait(f, FILES, "{}", &answer);
    assert_has(answer.text, "deny");
    assert_int_equal(answer.meta.generation, 2);
    sa_autofree char *text = print(f);
    assert_has(text, "\"history\":[{\"generation\":1,");
    assert_has(text, "\"ok\":true,\"changed\":true,\"generation\":2,");
}

static void test_reload_of_the_same(void **state)
{
    struct engine_fixture *f = *state;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    pid_t before = worker_pid(f);
    rule(f, "a", "execute", ALLOW); /* written anew, the same */
    assert_int_equal(reload(f), SA_OK);
    assert_int_equal(sa_engine_generation(f->engine), 1);
    assert_int_equal(worker_pid(f), before);
    sa_autofree char *text = print(f);
    assert_has(text, "\"ok\":true,\"changed\":false,\"generation\":1,");
}

static void stays(struct engine_fixture *f, enum sa_code code, const char *message)
{
    struct answer answer;
    unsigned changed = f->changed;
    assert_int_equal(reload(f), code);
    assert_has(f->reload_error.message, message);
    assert_int_equal(f->changed, changed + 1);
    assert_int_equal(f->changed_error.code, code);
    assert_int_equal(sa_engine_generation(f->engine), 1);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    assert_has(answer.text, "allow");
    assert_int_equal(answer.meta.generation, 1);
}

static void test_broken_files_change_nothing(void **state)
{
    struct engine_fixture *f = *state;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    folder_write(&f->rules, "policies/b.lua", "{\"error\":\"unexpected symbol\"}");
    stays(f, SA_EINVALID, "policies/b.lua:7: unexpected symbol");
    assert_string_equal(f->reload_error.path, "policies/b.lua:7");
    sa_autofree char *text = print(f);
    assert_has(text, "\"ok\":false,\"changed\":false,\"generation\":1,");
    assert_has(text, "\"file\":\"policies/b.lua\",\"path\":\"/");
    assert_has(text, "\"line\":7,\"message\":\"unexpected symbol\"");
    folder_write(&f->rules, "policies/b.lua",
                 "{\"tests\":[{\"name\":\"one\",\"ok\":true},"
                 "{\"name\":\"two\",\"ok\":false,\"message\":\"expected deny\"}]}");
    stays(f, SA_EINVALID, "policies/b.lua: test \"two\" failed: expected deny");
    sa_autofree char *tested = print(f);
    assert_has(tested, "\"tests\":{\"passed\":1,\"failed\":1,\"failures\":[{");
    folder_write(&f->rules, "policies/b.lua", "{\"die\":\"compile\"}");
    stays(f, SA_EUNAVAILABLE, "");
    folder_write(&f->rules, "policies/b.lua", "{\"die\":\"test\",\"tests\":[]}");
    stays(f, SA_EUNAVAILABLE, "");
    folder_rename(&f->rules, "policies", "gone");
    stays(f, SA_EINVALID, "holds no rules");
    folder_rename(&f->rules, "gone", "policies");
    folder_delete(&f->rules, "policies/b.lua");
    assert_int_equal(reload(f), SA_OK);
    sa_autofree char *healed = print(f);
    assert_has(healed, "\"errors\":[],");
}

/* Those that are asked for during one follow it, together. */
static void on_one_reloaded(void *user, const struct sa_error *err)
{
    assert_null(err);
    ++*(unsigned *)user;
}

static void test_reloads_share(void **state)
{
    struct engine_fixture *f = *state;
    unsigned done = 0, forgotten = 0;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    unsigned changed = f->changed;
    for (int i = 0; i < 10; i++)
        sa_engine_reload(f->engine, on_one_reloaded, &done);
    sa_engine_reload(f->engine, on_one_reloaded, &forgotten);
    sa_engine_reload_forget(f->engine, &forgotten);
    assert_int_equal(done, 0);
    until(f, &done, 10);
    assert_int_equal(f->changed, changed + 2);
    assert_int_equal(forgotten, 0);
}

/* ---- rollback ---- */

static void test_rollback(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    assert_int_equal(rollback(f, 0), SA_ENOTFOUND);
    rule(f, "a", "execute", DENY);
    assert_int_equal(reload(f), SA_OK);
    assert_int_equal(rollback(f, 0), SA_OK);
    assert_int_equal(sa_engine_generation(f->engine), 3);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    assert_has(answer.text, "allow");
    sa_autofree char *text = print(f);
    assert_has(text, "\"source\":\"rollback\"");
    assert_int_equal(rollback(f, 2), SA_OK);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    assert_has(answer.text, "deny");
    assert_int_equal(rollback(f, 99), SA_ENOTFOUND);
    assert_int_equal(sa_engine_generation(f->engine), 4);
    assert_int_equal(reload(f), SA_OK); /* the files are what is in force */
    sa_autofree char *again = print(f);
    assert_has(again, "\"source\":\"files\"");
}

static void test_history_is_bounded(void **state)
{
    struct engine_fixture *f = *state;
    char answer[64];
    for (int i = 1; i <= 12; i++) {
        snprintf(answer, sizeof answer, "{\"verdict\":\"allow\",\"size\":%d}", i);
        rule(f, "a", "execute", answer);
        if (i == 1)
            engine_begin_good(f);
        else
            assert_int_equal(reload(f), SA_OK);
    }
    assert_int_equal(rollback(f, 3), SA_ENOTFOUND);
    assert_int_equal(rollback(f, 4), SA_OK); /* the eighth before the twelfth */
}

/* ---- the kept generation ---- */

static void test_broken_first(void **state)
{
    struct engine_fixture *f = *state;
    folder_write(&f->rules, "policies/b.lua", "{\"error\":\"bad\"}");
    engine_begin(f);
    assert_int_equal(f->ready_error.code, SA_EINVALID);
    assert_has(f->ready_error.message, "policies/b.lua:7: bad");
}

static void test_kept(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    f->keep = true;
    rule(f, "a", "execute", DENY);
    engine_begin_good(f);
    while (access(f->state_path, R_OK) < 0) /* it is written on a thread */
        uv_run(f->loop, UV_RUN_ONCE);
    engine_end(f);
    sa_metrics_free(f->metrics);
    f->metrics = NULL;
    folder_write(&f->rules, "policies/b.lua", "{\"error\":\"bad\"}");
    engine_begin_good(f);
    assert_int_equal(f->changed_error.code, SA_EINVALID);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    assert_has(answer.text, "deny");
    sa_autofree char *text = print(f);
    assert_has(text, "\"source\":\"lastGood\"");
    assert_has(text, "\"ok\":false");
    assert_has(text, "\"message\":\"bad\"");
    folder_delete(&f->rules, "policies/b.lua");
    assert_int_equal(reload(f), SA_OK);
    sa_autofree char *good = print(f);
    assert_has(good, "\"source\":\"files\"");
}

static void test_kept_is_broken_too(void **state)
{
    struct engine_fixture *f = *state;
    f->keep = true;
    folder_write(&f->state, "rules", "sarules1 and more that is none");
    folder_write(&f->rules, "policies/b.lua", "{\"error\":\"bad\"}");
    engine_begin(f);
    assert_has(f->ready_error.message, "policies/b.lua:7: bad");
    assert_int_equal(sa_engine_generation(f->engine), 0);
}

/* ---- what others see ---- */

static void test_watched(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    f->watch = true;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    rule(f, "a", "execute", DENY);
    until_generation(f, 2);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    assert_has(answer.text, "deny");
    folder_replace(&f->rules, "policies/b.lua", "{\"error\":\"bad\"}");
    unsigned changed = f->changed;
    until(f, &f->changed, changed + 1);
    assert_int_equal(f->changed_error.code, SA_EINVALID);
    assert_int_equal(sa_engine_generation(f->engine), 2);
    assert_int_equal(rollback(f, 1), SA_OK); /* the files say otherwise; it stays */
    folder_replace(&f->rules, "policies/b.lua", "{\"point\":\"files\",\"answer\":{}}");
    until_generation(f, 4); /* until they change */
}

static void test_metrics(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    sa_autobuf text = SA_BUF_INIT;
    rule(f, "a", "execute", "{\"verdict\":\"deny\",\"rule\":\"a/x\",\"reason\":\"so\"}");
    engine_begin_good(f);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    ask_and_wait(f, EXECUTE, "{\"act\":\"fail\"}", &answer);
    ask_and_wait(f, FILES, "{}", &answer);
    assert_int_equal(reload(f), SA_OK);
    folder_write(&f->rules, "policies/b.lua", "{\"error\":\"bad\"}");
    assert_int_equal(reload(f), SA_EINVALID);
    sa_metrics_write(f->metrics, &text);
    static const char *const lines[] = {
        "secureagent_policy_decisions_total{point=\"execute\",verdict=\"deny\"} 1\n",
        "secureagent_policy_decisions_total{point=\"execute\",verdict=\"error\"} 1\n",
        "secureagent_policy_decisions_total{point=\"files\",verdict=\"allow\"} 1\n",
        "secureagent_policy_decision_seconds_count{point=\"execute\"} 2\n",
        "secureagent_policy_denials_total{point=\"execute\",rule=\"a/x\"} 1\n",
        "secureagent_policy_denials_total{point=\"execute\",rule=\"default\"} 1\n",
        "secureagent_policy_reloads_total{outcome=\"swapped\"} 1\n",
        "secureagent_policy_reloads_total{outcome=\"unchanged\"} 1\n",
        "secureagent_policy_reloads_total{outcome=\"failed\"} 1\n",
        "secureagent_policy_generation 1\n",
        "secureagent_policy_worker_restarts_total 0\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_has(text.data, lines[i]);
    assert_null(strstr(text.data, "secureagent_policy_worker_resident_bytes 0\n"));
}

/* ---- the canary ---- */

static void test_canary(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answers[20] = {0};
    rule(f, "a", "execute", ALLOW);
    rule(f, "s", "scaling", "{\"size\":3,\"reason\":\"words\"}");
    engine_begin_good(f);
    for (unsigned i = 0; i < 20; i++)
        ask(f, i < 15 ? EXECUTE : i < 18 ? SCALING : FILES, "{}", &answers[i]);
    until(f, &f->answered, 20);
    rule(f, "a", "execute", "{\"verdict\":\"deny\",\"rule\":\"a/x\",\"reason\":\"new\"}");
    rule(f, "s", "scaling", "{\"size\":3,\"reason\":\"other words\"}");
    assert_int_equal(reload(f), SA_OK);
    sa_autofree char *text = print(f);
    assert_has(text, "\"canary\":{\"inputs\":18,\"changed\":15,\"errors\":0,\"diff\":[{");
    char diff[256];
    snprintf(diff, sizeof diff,
             "{\"point\":\"execute\",\"decision\":\"%s\",\"before\":{\"verdict\":\"allow\"},"
             "\"after\":{\"verdict\":\"deny\",\"rule\":\"a/x\",\"reason\":\"new\"}}",
             answers[7].meta.id);
    assert_has(text, diff);
}

/* Lua's tables have no order, and words are no decisions. */
static void test_canary_and_order(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answers[3] = {0};
    rule(f, "a", "execute",
         "{\"verdict\":\"allow\",\"result\":{\"x\":1,\"m\":{\"p\":[1,2],\"q\":\"r\"}}}");
    engine_begin_good(f);
    for (unsigned i = 0; i < 3; i++)
        ask(f, EXECUTE, "{}", &answers[i]);
    until(f, &f->answered, 3);
    rule(f, "a", "execute",
         "{\"result\":{\"m\":{\"q\":\"r\",\"p\":[1,2]},\"x\":1.0},\"verdict\":\"allow\"}");
    assert_int_equal(reload(f), SA_OK);
    sa_autofree char *same = print(f);
    assert_has(same, "\"canary\":{\"inputs\":3,\"changed\":0,\"errors\":0,\"diff\":[]}");
    rule(f, "a", "execute",
         "{\"result\":{\"m\":{\"q\":\"r\",\"p\":[2,1]},\"x\":1},\"verdict\":\"allow\"}");
    assert_int_equal(reload(f), SA_OK);
    sa_autofree char *other = print(f);
    assert_has(other, "\"canary\":{\"inputs\":3,\"changed\":3,");
}

/* An input that made a rule fail keeps no new rules out; one that kills the new worker does. */
static void test_canary_that_dies(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answer;
    rule(f, "a", "execute", ALLOW);
    engine_begin_good(f);
    ask_and_wait(f, EXECUTE, "{}", &answer);
    folder_write(&f->rules, "policies/b.lua", "{\"die\":\"call\"}");
    assert_int_equal(reload(f), SA_EUNAVAILABLE);
    assert_has(f->reload_error.message, "died while they were compared");
    assert_int_equal(sa_engine_generation(f->engine), 1);
    folder_delete(&f->rules, "policies/b.lua");
    ask_and_wait(f, EXECUTE, "{\"act\":\"fail\"}", &answer);
    rule(f, "a", "execute", DENY);
    assert_int_equal(reload(f), SA_OK);
    sa_autofree char *text = print(f);
    assert_has(text, "\"canary\":{\"inputs\":2,\"changed\":1,\"errors\":0,");
}

static void test_stop_at_any_time(void **state)
{
    struct engine_fixture *f = *state;
    struct answer answers[64] = {0};
    rule(f, "a", "execute", ALLOW);
    for (int turns = 0; turns < 60; turns++) {
        char verdict[64];
        engine_begin_good(f);
        for (unsigned i = 0; i < 64; i++)
            sa_engine_forget(ask(f, i % 3, i % 7 ? "{}" : "{\"act\":\"fail\"}", &answers[i]));
        snprintf(verdict, sizeof verdict, "{\"verdict\":\"allow\",\"size\":%d}", turns);
        rule(f, "a", "execute", verdict);
        sa_engine_reload(f->engine, NULL, NULL);
        sa_engine_rollback(f->engine, 0, NULL, NULL);
        for (int i = 0; i < turns; i++)
            uv_run(f->loop, UV_RUN_NOWAIT);
        engine_end(f);
        sa_metrics_free(f->metrics);
        f->metrics = NULL;
    }
}

#define TEST(NAME)                                                                                 \
    cmocka_unit_test_setup_teardown(NAME, engine_fixture_setup, engine_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ask),
        TEST(test_point_without_rules),
        TEST(test_forgotten),
        TEST(test_bad_input),
        TEST(test_reload),
        TEST(test_reload_of_the_same),
        TEST(test_broken_files_change_nothing),
        TEST(test_reloads_share),
        TEST(test_rollback),
        TEST(test_history_is_bounded),
        TEST(test_broken_first),
        TEST(test_kept),
        TEST(test_kept_is_broken_too),
        TEST(test_watched),
        TEST(test_metrics),
        TEST(test_canary),
        TEST(test_canary_and_order),
        TEST(test_canary_that_dies),
        TEST(test_stop_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
