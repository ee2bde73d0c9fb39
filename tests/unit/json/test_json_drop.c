/* Empty objects and lists go, at any depth; elements of lists stay where they are. */
#include "json/drop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_examples(void **state)
{
    static const struct {
        const char *text, *result;
    } cases[] = {
        {"{}", "{}"},
        {"{\"a\":{}}", "{}"},
        {"{\"a\":[]}", "{}"},
        {"{\"a\":{\"b\":{\"c\":[]}},\"d\":1}", "{\"d\":1}"},
        {"{\"a\":{\"b\":{},\"c\":null}}", "{\"a\":{\"c\":null}}"},
        {"{\"a\":[[],{},{\"b\":[]}]}", "{\"a\":[[],{},{}]}"},
        {"{\"a\":\"\",\"b\":0,\"c\":false}", "{\"a\":\"\",\"b\":0,\"c\":false}"},
        {"{\"a\":-1.5,\"b\":9007199254740991}", "{\"a\":-1.5,\"b\":9007199254740991}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_autobuf out = SA_BUF_INIT;
        struct sa_error err;
        if (sa_json_drop_empty(cases[i].text, strlen(cases[i].text), &out, &err) < 0)
            fail_msg("%s", err.message);
        assert_string_equal(out.data, cases[i].result);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {"", "[]", "1", "{", "{\"a\":{},}"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_autobuf out = SA_BUF_INIT;
        struct sa_error err;
        assert_int_equal(sa_json_drop_empty(cases[i], strlen(cases[i]), &out, &err), -1);
        assert_int_equal(err.code, SA_EINVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
