/* JSON merge patch: the examples of RFC 7396 (appendix A) that are objects, and limits. */
#include "json/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_examples(void **state)
{
    static const struct {
        const char *target, *patch, *result;
    } cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        {"{\"a\":\"x\"}", "{\"a\":{\"b\":null,\"c\":true}}", "{\"a\":{\"c\":true}}"},
        {"{\"z\":1,\"y\":2,\"x\":3}", "{\"w\":0,\"y\":[null],\"a\":-1.5}",
         "{\"z\":1,\"y\":[null],\"x\":3,\"w\":0,\"a\":-1.5}"},
        {"{\"a\":\"\\u0001\\n\\\"\"}", "{}", "{\"a\":\"\\u0001\\n\\\"\"}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_autobuf out = SA_BUF_INIT;
        struct sa_error err;
        if (sa_json_merge_patch(cases[i].target, strlen(cases[i].target), cases[i].patch,
                                strlen(cases[i].patch), NULL, &out, &err) < 0)
            fail_msg("%s", err.message);
        assert_string_equal(out.data, cases[i].result);
    }
}

static void test_refused(void **state)
{
    static const char *const patches[] = {"[]", "null", "1", "{", "", "{\"a\":1,\"a\":2}"};
    const struct sa_json_limits limits = {.max_bytes = 20};
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error err;
    (void)state;
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        assert_int_equal(
            -1, sa_json_merge_patch("{}", 2, patches[i], strlen(patches[i]), NULL, &out, &err));
        assert_int_equal(err.code, SA_EINVALID);
    }
    assert_int_equal(-1, sa_json_merge_patch("{\"aaaa\":\"bbbb\"}", 15, "{\"cccc\":\"dddd\"}", 15,
                                             &limits, &out, &err));
    assert_int_equal(err.code, SA_ETOOLARGE);
}

/* Many members on many: not each against each. */
static void test_many(void **state)
{
    enum { MEMBERS = 12000 };
    sa_autobuf target = SA_BUF_INIT;
    sa_autobuf patch = SA_BUF_INIT;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error err;
    (void)state;
    for (int i = 0; i < MEMBERS; i++) {
        sa_buf_printf(&target, "%c\"t%d\":1", i ? ',' : '{', i);
        sa_buf_printf(&patch, "%c\"t%d\":2", i ? ',' : '{', MEMBERS - 1 - i);
    }
    sa_buf_adds(&target, "}");
    sa_buf_adds(&patch, "}");
    assert_int_equal(0, sa_json_merge_patch(target.data, target.length, patch.data, patch.length,
                                            NULL, &out, &err));
    assert_int_equal(out.length, target.length);
    assert_null(strstr(out.data, ":1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
