/* Targets: splitting, decoding, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "http/target.h"

#include <string.h>

static const char *parse(struct sa_http_target *t, const char *raw)
{
    return sa_http_target_parse(t, "GET", raw, strlen(raw), "h:80", 6);
}

/* Segments joined with '|', then name=value pairs. */
static void expect_parts(const char *raw, const char *expected)
{
    struct sa_http_target t = {0};
    sa_autobuf out = SA_BUF_INIT;
    const char *why = parse(&t, raw);
    if (why)
        fail_msg("%s: %s", raw, why);
    for (size_t i = 0; i < t.segment_count; i++) {
        assert_int_equal(strlen(t.segments[i].data), t.segments[i].length);
        sa_buf_printf(&out, "%s%s", i ? "|" : "", t.segments[i].data);
    }
    for (size_t i = 0; i < t.query_count; i++)
        sa_buf_printf(&out, " %s=%s", t.query[i].name, t.query[i].value);
    sa_buf_reserve(&out, 0);
    assert_string_equal(out.data, expected);
    sa_http_target_deinit(&t);
}

static void test_parts(void **state)
{
    (void)state;
    expect_parts("/", "");
    expect_parts("/a/b", "a|b");
    expect_parts("/a/b/", "a|b|");
    expect_parts("//a//b", "|a||b");
    expect_parts("/a%20b%2Fc/%C3%a4", "a b/c|\xc3\xa4");
    expect_parts("/a+b", "a+b");
    expect_parts("/...", "...");
    expect_parts("/%252e%252e", "%2e%2e");
    expect_parts("/a?x=1&y=a%26b+c&z&=v&&q==", "a x=1 y=a&b c z= =v q==");
    expect_parts("/a?", "a");
    expect_parts("/a?b?c/d=/", "a b?c/d=/");
    expect_parts("http://h:80/a?b", "a b=");
    expect_parts("HTTPS://H:80", "");
    expect_parts("http://h:80?x=y", " x=y");
}

static void test_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "",
        "a",
        "*",
        "/%",
        "/%4",
        "/%g0",
        "/%00",
        "/a?b=%00",
        "/a?%",
        "/.",
        "/a/..",
        "/a/../b",
        "/%2e%2e",
        "/.%2E/a",
        "/a#b",
        "/a b",
        "/\x01",
        "/\x7f",
        "/\xc3",
        "http://x/",
        "http://h/a",
        "ftp://h:80/",
        "http://h:80@evil/",
        "h:80",
        "http:///a",
        "/a?1&2&3&4&5&6&7",
    };
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        struct sa_http_target t = {0};
        if (!parse(&t, bad[i]))
            fail_msg("\"%s\" was accepted", bad[i]);
        sa_http_target_deinit(&t);
    }
}

static void test_options_asterisk(void **state)
{
    (void)state;
    struct sa_http_target t = {0};
    assert_null(sa_http_target_parse(&t, "OPTIONS", "*", 1, "h", 1));
    assert_string_equal(t.path, "*");
    assert_int_equal(t.segment_count, 0);
    sa_http_target_deinit(&t);
}

static void test_host(void **state)
{
    (void)state;
    const char *const good[] = {"h", "h:80", "127.0.0.1:1", "[::1]", "[::1]:8080", "a.b-c_d:"};
    const char *const bad[] = {"",     "h h", "h/a", "a@b",   "h:port", "h:123456", "[]",
                               "[::1", "::1", "h,i", "h:1:2", "[::1]x", ":80"};
    for (size_t i = 0; i < SA_COUNT(good); i++)
        if (!sa_http_host_valid(good[i]))
            fail_msg("\"%s\" was refused", good[i]);
    for (size_t i = 0; i < SA_COUNT(bad); i++)
        if (sa_http_host_valid(bad[i]))
            fail_msg("\"%s\" was accepted", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_options_asterisk),
        cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
