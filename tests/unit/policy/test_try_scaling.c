/* core/policy/try_scaling.c: what an answer says of a rule's name and its parameters. */
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void refused(const char *message, const char *path)
{
    struct sa_error err, why = {0};
    sa_error_set(&err, SA_EUNAVAILABLE, "%s", message);
    assert_int_equal(sa_policy_scaling_refusal(&err, NULL, &why), path ? -1 : 0);
    if (!path)
        return;
    assert_int_equal(why.code, SA_EINVALID);
    assert_string_equal(why.path, path);
    assert_memory_equal(why.message, path, strlen(path));
}

static void test_errors(void **state)
{
    (void)state;
    refused("there is no rule \"x\" for the point \"scaling\"", "rule");
    refused("params: there is no parameter \"x\"", "params");
    refused("params.spare: expected integer, got \"a\"", "params.spare");
    refused("params.times: 3: expected string, got boolean", "params.times");
    refused("the worker died", NULL); /* nobody can tell */
    refused("target-utilization.lua:7: attempt to index nil", NULL);
}

static void answered(const char *json, const char *path)
{
    sa_autobuf value = SA_BUF_INIT;
    struct sa_error err, why = {0};
    assert_int_equal(sa_value_from_json(json, strlen(json), &value, &err), 0);
    const struct sa_value verdict = sa_value_of(value.data, value.length);
    assert_int_equal(sa_policy_scaling_refusal(NULL, &verdict, &why), path ? -1 : 0);
    if (path)
        assert_string_equal(why.path, path);
}

static void test_verdicts(void **state)
{
    (void)state;
    answered("{\"verdict\":\"sized\",\"size\":1,\"ran\":[\"schedule\"]}", NULL);
    answered("{\"verdict\":\"sized\",\"ran\":[]}", "rule");
    answered("{\"verdict\":\"sized\"}", "rule");
}

static void test_long_names(void **state)
{
    char message[400] = "params.";
    struct sa_error err, why = {0};
    (void)state;
    memset(message + 7, 'a', 300);
    sa_error_set(&err, SA_EUNAVAILABLE, "%s", message);
    assert_int_equal(sa_policy_scaling_refusal(&err, NULL, &why), -1);
    assert_true(strlen(why.path) < sizeof why.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_verdicts),
                                       cmocka_unit_test(test_long_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
