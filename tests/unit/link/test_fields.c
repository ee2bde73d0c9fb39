#include "link/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_round_trip(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_fields reader;
    struct sa_field f;
    int64_t number;
    char *text;
    sa_fields_add_text(&out, 1, "grüße");
    sa_fields_add_int(&out, 2, INT64_MIN);
    sa_fields_add_bytes(&out, 0xffff, "\0\1", 2);
    sa_fields_add_text(&out, 3, "");
    sa_fields_init(&reader, out.data, out.length);
    assert_int_equal(sa_fields_next(&reader, &f, NULL), 1);
    assert_int_equal(sa_field_text(&f, 10, &text, NULL), 0);
    assert_string_equal(text, "grüße");
    free(text);
    assert_int_equal(sa_fields_next(&reader, &f, NULL), 1);
    assert_int_equal(sa_field_int(&f, &number, NULL), 0);
    assert_true(number == INT64_MIN);
    assert_int_equal(sa_fields_next(&reader, &f, NULL), 1);
    assert_int_equal(f.tag, 0xffff);
    assert_int_equal(f.length, 2);
    assert_int_equal(sa_fields_next(&reader, &f, NULL), 1);
    assert_int_equal(f.length, 0);
    assert_int_equal(sa_fields_next(&reader, &f, NULL), 0);
}

static void test_wire_format(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    sa_fields_add_text(&out, 0x0102, "ab");
    sa_fields_add_int(&out, 3, 258);
    assert_int_equal(out.length, 8 + 14);
    assert_memory_equal(out.data, "\2\1\2\0\0\0ab\3\0\10\0\0\0\2\1\0\0\0\0\0\0", 22);
}

/* Every proper prefix of a body either ends between fields or is refused. */
static void test_every_cut(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    sa_fields_add_text(&out, 1, "one");
    sa_fields_add_int(&out, 2, 2);
    for (size_t cut = 0; cut < out.length; cut++) {
        struct sa_fields reader;
        struct sa_field f;
        struct sa_error err = {0};
        int more;
        sa_fields_init(&reader, out.data, cut);
        while ((more = sa_fields_next(&reader, &f, &err)) > 0)
            ;
        if (cut == 0 || cut == 9) {
            assert_int_equal(more, 0);
        } else {
            assert_int_equal(more, -1);
            assert_int_equal(err.code, SA_EPROTOCOL);
        }
    }
}

static void test_length_overflow(void **state)
{
    (void)state;
    struct sa_fields reader;
    struct sa_field f;
    sa_fields_init(&reader, "\1\0\377\377\377\377zz", 8);
    assert_int_equal(sa_fields_next(&reader, &f, NULL), -1);
}

static void test_wrong_types(void **state)
{
    (void)state;
    struct sa_error err;
    int64_t number;
    char *text, small[3];
    struct sa_field nul = {1, (const uint8_t *)"a\0b", 3};
    struct sa_field latin = {1, (const uint8_t *)"\xe9", 1};
    struct sa_field three = {7, (const uint8_t *)"abc", 3};
    assert_int_equal(sa_field_int(&three, &number, &err), -1);
    assert_non_null(strstr(err.message, "field 7"));
    assert_int_equal(sa_field_text(&nul, 10, &text, &err), -1);
    assert_int_equal(sa_field_text(&latin, 10, &text, &err), -1);
    assert_int_equal(sa_field_text(&three, 2, &text, &err), -1);
    assert_int_equal(sa_field_text_into(&three, small, sizeof small, &err), -1);
    three.length = 2;
    assert_int_equal(sa_field_text_into(&three, small, sizeof small, &err), 0);
    assert_string_equal(small, "ab");
}

static void test_errors(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error in = {.code = SA_EQUOTA, .sys_errno = 28, .path = "/a", .message = "full"};
    struct sa_error back, err;
    sa_fields_add_error(&out, 9, &in);
    struct sa_field f = {9, (const uint8_t *)out.data + 6, out.length - 6};
    assert_int_equal(sa_field_error(&f, &back, &err), 0);
    assert_int_equal(back.code, SA_EQUOTA);
    assert_int_equal(back.sys_errno, 28);
    assert_string_equal(back.path, "/a");
    assert_string_equal(back.message, "full");
    f.length--;
    assert_int_equal(sa_field_error(&f, &back, &err), -1);
}

static void test_error_of_unknown_code(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error back;
    sa_fields_add_int(&out, SA_ERRTAG_CODE, 4711);
    struct sa_field f = {1, (const uint8_t *)out.data, out.length};
    assert_int_equal(sa_field_error(&f, &back, NULL), 0);
    assert_int_equal(back.code, SA_EINTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wire_format),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_length_overflow),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_error_of_unknown_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
