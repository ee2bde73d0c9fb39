/* Conditions, dates, ranges and dispositions: pure functions over header texts. */
#include "api/files_type.h"
#include "api/preconditions.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_ranges(void **state)
{
    static const struct {
        const char *text;
        int64_t size, offset, length; /* length 0: none; -1: ignored */
    } cases[] = {{"bytes=0-0", 10, 0, 1},
                 {"bytes=0-", 10, 0, 10},
                 {"bytes=3-5", 10, 3, 3},
                 {"bytes=3-500", 10, 3, 7},
                 {"bytes=9-", 10, 9, 1},
                 {"bytes=10-", 10, 0, 0},
                 {"bytes=-3", 10, 7, 3},
                 {"bytes=-30", 10, 0, 10},
                 {"bytes=-0", 10, 0, 0},
                 {"bytes=0-0", 0, 0, 0},
                 {"bytes=-1", 0, 0, 0},
                 {"bytes=999999999999999999-", INT64_MAX, 999999999999999999,
                  INT64_MAX - 999999999999999999},
                 {"bytes=0-999999999999999999", 10, 0, 10},
                 {"bytes=1000000000000000000-", 10, 0, -1},
                 {"bytes=5-4", 10, 0, -1},
                 {"bytes=", 10, 0, -1},
                 {"bytes=-", 10, 0, -1},
                 {"bytes=1-2,3-4", 10, 0, -1},
                 {"bytes=1", 10, 0, -1},
                 {"bytes=--1", 10, 0, -1},
                 {"byte=0-1", 10, 0, -1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sa_range range;
        int64_t offset = 0, length = 0;
        bool taken = sa_range_parse(cases[i].text, &range);
        if (taken != (cases[i].length >= 0))
            fail_msg("%s", cases[i].text);
        if (!taken)
            continue;
        bool some = sa_range_of(&range, cases[i].size, &offset, &length);
        if (some != (cases[i].length > 0) ||
            (some && (offset != cases[i].offset || length != cases[i].length)))
            fail_msg("%s: %lld+%lld", cases[i].text, (long long)offset, (long long)length);
    }
}

static void test_dates(void **state)
{
    char text[SA_HTTP_DATE_BYTES];
    (void)state;
    assert_int_equal(sa_http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    assert_int_equal(sa_http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    assert_int_equal(sa_http_date_parse("Sun Nov  6 08:49:37 1994"), 784111777);
    sa_http_date(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    static const char *const none[] = {"",
                                       "x",
                                       "Sun, 06 Nov 1994 08:49:37",
                                       "1994-11-06T08:49:37Z",
                                       "Sun, 06 Nov 1994 08:49:37 GMT x",
                                       "Sun, 46 Nov 1994 08:49:37 GMT"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_true(sa_http_date_parse(none[i]) == SA_NO_TIME);
}

/* "a W/b *" for the list; "!" at the end when it is malformed. */
static const char *spelled(const char *list)
{
    static char out[200];
    struct sa_etag e;
    size_t used = 0;
    int more;
    out[0] = '\0';
    while ((more = sa_etag_next(&list, &e)) > 0)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s%.*s", used ? " " : "",
                                 e.any    ? "any:"
                                 : e.weak ? "W/"
                                          : "",
                                 (int)e.length, e.tag);
    if (more < 0)
        snprintf(out + used, sizeof out - used, "!");
    return out;
}

static void test_lists(void **state)
{
    (void)state;
    assert_string_equal(spelled("\"a\""), "a");
    assert_string_equal(spelled(" \"a\" , W/\"b\",,\"\" ,"), "a W/b ");
    assert_string_equal(spelled("*"), "any:*");
    assert_string_equal(spelled("\"*\""), "*");
    assert_string_equal(spelled("\"a,b\",\"c\""), "a,b c");
    assert_string_equal(spelled(""), "");
    assert_string_equal(spelled("a"), "!");
    assert_string_equal(spelled("\"a"), "!");
    assert_string_equal(spelled("\"a\" b"), "!");
    assert_string_equal(spelled("w/\"a\""), "!");
    assert_string_equal(spelled("\"a b\""), "!");
}

static void test_checks(void **state)
{
    struct sa_error err;
    const struct sa_preconditions none = {.if_modified_since_s = SA_NO_TIME,
                                          .if_unmodified_since_s = SA_NO_TIME};
    struct sa_preconditions c = none;
    (void)state;
    assert_int_equal(sa_preconditions_check(&c, "\"a\"", 5, &err), SA_PRECONDITION_GO);
    c.if_match = "W/\"a\"";
    assert_int_equal(sa_preconditions_check(&c, "\"a\"", 5, &err), SA_PRECONDITION_FAILED);
    c.if_match = "\"b\",\"a\"";
    c.if_unmodified_since_s = 1; /* does not count beside If-Match */
    assert_int_equal(sa_preconditions_check(&c, "\"a\"", 5, &err), SA_PRECONDITION_GO);
    c = none;
    c.if_none_match = "W/\"a\"";
    assert_int_equal(sa_preconditions_check(&c, "\"a\"", 5, &err), SA_PRECONDITION_NOT_MODIFIED);
    c.if_none_match = "\"ab\"";
    c.if_modified_since_s = 9; /* does not count beside If-None-Match */
    assert_int_equal(sa_preconditions_check(&c, "\"a\"", 5, &err), SA_PRECONDITION_GO);
    c = none;
    c.if_range = "\"a\"";
    assert_true(sa_preconditions_allow_range(&c, "\"a\"", 5));
    assert_false(sa_preconditions_allow_range(&c, "\"b\"", 5));
    c.if_range = "W/\"a\"";
    assert_false(sa_preconditions_allow_range(&c, "\"a\"", 5));
    c.if_range = "Thu, 01 Jan 1970 00:00:05 GMT";
    assert_true(sa_preconditions_allow_range(&c, "\"a\"", 5));
    assert_false(sa_preconditions_allow_range(&c, "\"a\"", 6));
}

static void test_names(void **state)
{
    sa_autobuf out = SA_BUF_INIT;
    (void)state;
    sa_content_disposition("a\"\r\nb\xc3\xbc.txt", &out);
    assert_string_equal(out.data, "attachment; filename=\"a___b__.txt\"; "
                                  "filename*=UTF-8''a%22%0D%0Ab%C3%BC.txt");
    assert_string_equal(sa_media_type("x.tar.GZ"), "application/gzip");
    assert_string_equal(sa_media_type("x."), "application/octet-stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges), cmocka_unit_test(test_dates),
                                       cmocka_unit_test(test_lists), cmocka_unit_test(test_checks),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
