/* core/lua/json.c: values as JSON and back. */
#include "base/arena.h"
#include "lua/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void round_trip(const char *json, const char *expected)
{
    sa_autobuf value = SA_BUF_INIT, text = SA_BUF_INIT;
    struct sa_error err = {0};
    if (sa_value_from_json(json, strlen(json), &value, &err) < 0)
        fail_msg("%s: %s", json, err.message);
    assert_int_equal(sa_value_check(value.data, value.length, &err), 0);
    struct sa_value top = sa_value_of(value.data, value.length);
    sa_value_to_json(&top, &text);
    assert_string_equal(text.data, expected);
}

static void json_there_and_back(void **state)
{
    (void)state;
    round_trip("{ \"a\": [1, -2.5, true, false, null, \"x\\n\"], \"gone\": null, \"\": {} }",
               "{\"a\":[1,-2.5,true,false,null,\"x\\n\"],\"\":{}}");
    round_trip("[]", "[]");
    round_trip("null", "null");
    round_trip("\"\xc3\xa9\"", "\"\xc3\xa9\"");
    round_trip("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]");
}

static void whole_numbers_are_integers(void **state)
{
    (void)state;
    sa_autobuf value = SA_BUF_INIT;
    const char json[] = "[1.0, 9007199254740992, 9007199254740994, 1e300, -0.5]";
    static const enum sa_value_type types[] = {SA_VALUE_INT, SA_VALUE_INT, SA_VALUE_NUMBER,
                                               SA_VALUE_NUMBER, SA_VALUE_NUMBER};
    assert_int_equal(sa_value_from_json(json, strlen(json), &value, NULL), 0);
    struct sa_value list = sa_value_of(value.data, value.length), item;
    struct sa_value_reader reader = sa_value_enter(&list);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_true(sa_value_next(&reader, &item));
        assert_int_equal(item.type, types[i]);
    }
}

static void bytes_become_valid_text(void **state)
{
    (void)state;
    sa_autobuf value = SA_BUF_INIT, text = SA_BUF_INIT;
    sa_value_map(&value);
    sa_value_keyn(&value, "k\xff", 2);
    sa_value_string(&value, "a\x80", 2);
    sa_value_end(&value);
    struct sa_value top = sa_value_of(value.data, value.length);
    sa_value_to_json(&top, &text);
    assert_string_equal(text.data, "{\"k\xef\xbf\xbd\":\"a\xef\xbf\xbd\"}");
}

static void refused(const char *json, size_t length, enum sa_code code)
{
    sa_autobuf value = SA_BUF_INIT;
    struct sa_error err = {0};
    assert_int_equal(sa_value_from_json(json, length, &value, &err), -1);
    assert_int_equal(err.code, code);
    assert_int_equal(value.length, 0);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    refused("{", 1, SA_EINVALID);
    refused("{\"a\":1,\"a\":2}", 13, SA_EINVALID);
    refused("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", 34, SA_EINVALID);
    sa_autobuf big = SA_BUF_INIT;
    sa_buf_addc(&big, '"');
    memset(sa_buf_reserve(&big, SA_VALUE_MAX), 'x', SA_VALUE_MAX);
    big.length += SA_VALUE_MAX;
    sa_buf_addc(&big, '"');
    refused(big.data, big.length, SA_ETOOLARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_there_and_back),
        cmocka_unit_test(whole_numbers_are_integers),
        cmocka_unit_test(bytes_become_valid_text),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
