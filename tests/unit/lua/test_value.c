/* core/lua/value.c: what is written is read again, and nothing else passes the check. */
#include "lua/value.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* At the end of memory of its own, so that a sanitizer sees a read too far. */
static int check(const void *data, size_t length, struct sa_error *err)
{
    char *copy = malloc(length + 1);
    memcpy(copy + 1, data, length);
    int result = sa_value_check(copy + 1, length, err);
    free(copy);
    return result;
}

static void refused(const char *bytes, size_t length, const char *why)
{
    struct sa_error err = {0};
    assert_int_equal(check(bytes, length, &err), -1);
    assert_int_equal(err.code, SA_EPROTOCOL);
    if (!strstr(err.message, why))
        fail_msg("expected \"%s\", got \"%s\"", why, err.message);
}

static struct sa_value whole(const struct sa_buf *buf)
{
    struct sa_error err = {0};
    if (check(buf->data, buf->length, &err) < 0)
        fail_msg("%s", err.message);
    return sa_value_of(buf->data, buf->length);
}

static void integers_come_back(void **state)
{
    (void)state;
    const int64_t all[] = {0,         1,         -1,        63,       -64, 64, INT64_C(1) << 53,
                           INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sa_autobuf buf = SA_BUF_INIT;
        sa_value_int(&buf, all[i]);
        struct sa_value value = whole(&buf);
        assert_int_equal(value.type, SA_VALUE_INT);
        assert_true(value.integer == all[i]);
        assert_true(value.number == (double)all[i]);
    }
}

static void numbers_come_back(void **state)
{
    (void)state;
    const double all[] = {0.0, -0.0, 0.1, -1e300, 5e-324, 1.7976931348623157e308};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sa_autobuf buf = SA_BUF_INIT;
        sa_value_number(&buf, all[i]);
        struct sa_value value = whole(&buf);
        assert_int_equal(value.type, SA_VALUE_NUMBER);
        assert_memory_equal(&value.number, &all[i], sizeof(double));
    }
    const double none[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        sa_autobuf buf = SA_BUF_INIT;
        sa_value_number(&buf, none[i]);
        assert_true(whole(&buf).number == 0);
    }
}

static void sample(struct sa_buf *out)
{
    sa_value_map(out);
    sa_value_put_text(out, "", "no name");
    sa_value_put_text(out, "name", "x");
    sa_value_put_text(out, "absent", NULL);
    sa_value_put_int(out, "n", -300);
    sa_value_put_number(out, "f", 2.5);
    sa_value_put_bool(out, "yes", true);
    sa_value_put_bool(out, "no", false);
    sa_value_key(out, "list");
    sa_value_list(out);
    sa_value_nil(out);
    sa_value_string(out, "a\0b", 3);
    sa_value_list(out);
    sa_value_end(out);
    sa_value_map(out);
    sa_value_put_int(out, "deep", 7);
    sa_value_end(out);
    sa_value_int(out, 9);
    sa_value_end(out);
    sa_value_put_text(out, "last", "");
    sa_value_end(out);
}

static void members_are_found(void **state)
{
    (void)state;
    sa_autobuf buf = SA_BUF_INIT;
    sample(&buf);
    struct sa_value map = whole(&buf), value;
    assert_int_equal(map.type, SA_VALUE_MAP);
    value = sa_value_get(&map, "name");
    assert_true(sa_value_is(&value, "x"));
    assert_false(sa_value_is(&value, "xy"));
    value = sa_value_get(&map, "");
    assert_true(sa_value_is(&value, "no name"));
    assert_int_equal(sa_value_get(&map, "n").integer, -300);
    assert_true(sa_value_get(&map, "f").number == 2.5);
    assert_int_equal(sa_value_get(&map, "yes").type, SA_VALUE_TRUE);
    assert_int_equal(sa_value_get(&map, "no").type, SA_VALUE_FALSE);
    assert_int_equal(sa_value_get(&map, "absent").type, SA_VALUE_NIL);
    assert_int_equal(sa_value_get(&map, "nam").type, SA_VALUE_NIL);
    value = sa_value_get(&map, "last");
    assert_true(sa_value_is(&value, ""));
    assert_int_equal(sa_value_get(&value, "of no map").type, SA_VALUE_NIL);
}

static bool equal(const char *a, const char *b)
{
    sa_autobuf left = SA_BUF_INIT, right = SA_BUF_INIT;
    assert_int_equal(sa_value_from_json(a, strlen(a), &left, NULL), 0);
    assert_int_equal(sa_value_from_json(b, strlen(b), &right, NULL), 0);
    const struct sa_value x = whole(&left), y = whole(&right);
    assert_int_equal(sa_value_equal(&x, &y), sa_value_equal(&y, &x));
    return sa_value_equal(&x, &y);
}

static void values_are_compared(void **state)
{
    (void)state;
    static const char *const all[] = {"{}",
                                      "[]",
                                      "true",
                                      "false",
                                      "0",
                                      "1",
                                      "0.5",
                                      "\"\"",
                                      "\"a\"",
                                      "\"b\"",
                                      "[1,2]",
                                      "[2,1]",
                                      "[1]",
                                      "[[]]",
                                      "[{}]",
                                      "{\"a\":1}",
                                      "{\"a\":2}",
                                      "{\"b\":1}",
                                      "{\"a\":1,\"b\":1}",
                                      "{\"a\":{\"b\":[]}}",
                                      "{\"a\":{\"b\":[{}]}}",
                                      "{\"ab\":1}",
                                      "9007199254740993.5"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++)
            assert_int_equal(equal(all[i], all[j]), i == j);
    assert_true(
        equal("{\"b\":{\"y\":2,\"x\":1},\"a\":[1]}", "{\"a\":[1],\"b\":{\"x\":1,\"y\":2}}"));
    assert_false(equal("{\"b\":{\"y\":2,\"x\":1}}", "{\"b\":{\"x\":2,\"y\":1}}"));
}

static void numbers_are_compared_by_value(void **state)
{
    (void)state;
    sa_autobuf one = SA_BUF_INIT, same = SA_BUF_INIT;
    sa_value_int(&one, 1);
    sa_value_number(&same, 1.0);
    const struct sa_value x = whole(&one), y = whole(&same);
    assert_true(sa_value_equal(&x, &y) && sa_value_equal(&y, &x));
}

/* As many as fit a value; each pair of them looked at would take minutes. */
static void large_maps_are_compared_soon(void **state)
{
    (void)state;
    enum { MEMBERS = 15000 };
    sa_autobuf up = SA_BUF_INIT, down = SA_BUF_INIT;
    char key[16];
    sa_value_map(&up);
    sa_value_map(&down);
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(key, sizeof key, "%d", i);
        sa_value_put_bool(&up, key, true);
        snprintf(key, sizeof key, "%d", MEMBERS - 1 - i);
        sa_value_put_bool(&down, key, true);
    }
    sa_value_end(&up);
    sa_value_end(&down);
    const struct sa_value x = whole(&up), y = whole(&down);
    for (int i = 0; i < 20; i++)
        assert_true(sa_value_equal(&x, &y));
}

static void lists_are_walked(void **state)
{
    (void)state;
    static const enum sa_value_type types[] = {SA_VALUE_NIL, SA_VALUE_STRING, SA_VALUE_LIST,
                                               SA_VALUE_MAP, SA_VALUE_INT};
    sa_autobuf buf = SA_BUF_INIT;
    sample(&buf);
    struct sa_value map = whole(&buf), list = sa_value_get(&map, "list"), value;
    struct sa_value_reader reader = sa_value_enter(&list), inner;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_true(sa_value_next(&reader, &value));
        assert_int_equal(value.type, types[i]);
        if (value.type == SA_VALUE_STRING) {
            assert_int_equal(value.length, 3);
            assert_memory_equal(value.data, "a\0b", 3);
        } else if (value.type == SA_VALUE_LIST) {
            inner = sa_value_enter(&value);
            assert_false(sa_value_next(&inner, &value));
        } else if (value.type == SA_VALUE_MAP) {
            assert_int_equal(sa_value_get(&value, "deep").integer, 7);
        }
    }
    assert_int_equal(value.integer, 9);
    assert_false(sa_value_next(&reader, &value));
    inner = sa_value_enter(&value);
    assert_false(sa_value_next(&inner, &value)); /* of an integer: nothing */
}

/* A map's bytes read as those of a list would lead out of it. */
static void what_is_no_list_is_not_walked_as_one(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_value key, value;
    sa_value_map(&out);
    sa_value_put_text(&out, "rules", "all");
    sa_value_end(&out);
    struct sa_value map = sa_value_of(out.data, out.length);
    struct sa_value_reader reader = sa_value_enter(&map);
    assert_false(sa_value_next(&reader, &value));
    assert_true(sa_value_next_member(&reader, &key, &value));
    out.length = 0;
    sa_value_list(&out);
    sa_value_text(&out, "all");
    sa_value_end(&out);
    struct sa_value list = sa_value_of(out.data, out.length);
    reader = sa_value_enter(&list);
    assert_false(sa_value_next_member(&reader, &key, &value));
    assert_true(sa_value_next(&reader, &value));
    struct sa_value text = value;
    reader = sa_value_enter(&text);
    assert_false(sa_value_next(&reader, &value) || sa_value_next_member(&reader, &key, &value));
}

static void what_is_cut_or_longer_is_refused(void **state)
{
    (void)state;
    sa_autobuf buf = SA_BUF_INIT;
    sample(&buf);
    for (size_t i = 0; i < buf.length; i++)
        assert_int_equal(check(buf.data, i, NULL), -1);
    sa_buf_addc(&buf, SA_VALUE_NIL);
    refused(buf.data, buf.length, "bytes behind a value");
}

static void broken_values_are_refused(void **state)
{
    (void)state;
    refused("", 0, "no value");
    refused("\0", 1, "an unknown type"); /* an end of nothing */
    refused("\x09", 1, "an unknown type");
    refused("\xff", 1, "an unknown type");
    refused("\x04", 1, "a broken integer");
    refused("\x04\x80", 2, "a broken integer");
    refused("\x04\x80\x00", 3, "a broken integer");                /* longer than it must be */
    refused("\x08\x02k\x04Q\x80\x00", 7, "a key that is cut off"); /* an end of two bytes */
    refused("\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "a broken integer");
    refused("\x04\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, "a broken integer");
    refused("\x05\0\0\0\0\0\0\0", 8, "a number that is cut off");
    refused("\x05\0\0\0\0\0\0\xf0\x7f", 9, "not finite");
    refused("\x05\1\0\0\0\0\0\xf8\xff", 9, "not finite");
    refused("\x06\x02x", 3, "a string that is cut off");
    refused("\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "a string that is cut off");
    refused("\x07", 1, "no value");
    refused("\x07\x02", 2, "no value");
    refused("\x08", 1, "a key that is cut off");
    refused("\x08\x02", 2, "a key that is cut off");
    refused("\x08\x02k", 3, "no value");
    refused("\x08\x02k\x01\x00", 5, "nil in a map");
    refused("\x08\x02k\x00\x00", 5, "an unknown type"); /* an end where a value belongs */
    refused("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "a key that is cut off");
}

static void depth_is_capped(void **state)
{
    (void)state;
    sa_autobuf buf = SA_BUF_INIT;
    for (int i = 0; i < SA_VALUE_DEPTH; i++)
        sa_value_list(&buf);
    for (int i = 0; i < SA_VALUE_DEPTH; i++)
        sa_value_end(&buf);
    assert_int_equal(check(buf.data, buf.length, NULL), 0);
    buf.length = 0;
    for (int i = 0; i < SA_VALUE_DEPTH + 1; i++)
        sa_value_list(&buf);
    for (int i = 0; i < SA_VALUE_DEPTH + 1; i++)
        sa_value_end(&buf);
    refused(buf.data, buf.length, "too many levels");
}

static void size_is_capped(void **state)
{
    (void)state;
    sa_autobuf buf = SA_BUF_INIT;
    static const char text[SA_VALUE_MAX];
    sa_value_string(&buf, text, SA_VALUE_MAX - 4);
    assert_int_equal(buf.length, SA_VALUE_MAX);
    assert_int_equal(check(buf.data, buf.length, NULL), 0);
    buf.length = 0;
    sa_value_string(&buf, text, SA_VALUE_MAX - 3);
    refused(buf.data, buf.length, "at most 122880");
}

static void types_have_names(void **state)
{
    (void)state;
    assert_string_equal(sa_value_type_name(SA_VALUE_TRUE), "boolean");
    assert_string_equal(sa_value_type_name(SA_VALUE_MAP), "map");
    assert_string_equal(sa_value_type_name((enum sa_value_type)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_come_back),
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(members_are_found),
        cmocka_unit_test(values_are_compared),
        cmocka_unit_test(numbers_are_compared_by_value),
        cmocka_unit_test(large_maps_are_compared_soon),
        cmocka_unit_test(lists_are_walked),
        cmocka_unit_test(what_is_no_list_is_not_walked_as_one),
        cmocka_unit_test(what_is_cut_or_longer_is_refused),
        cmocka_unit_test(broken_values_are_refused),
        cmocka_unit_test(depth_is_capped),
        cmocka_unit_test(size_is_capped),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
