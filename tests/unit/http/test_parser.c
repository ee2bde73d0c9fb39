/* The parser layer without sockets: events, however the bytes arrive, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/parser.h"

#include <stdio.h>
#include <string.h>

static const struct sa_http_parser_limits limits = {20, 1000, 200, 10};

/* Everything that happens, as text. */
static void trace(const char *input, size_t length, size_t step, struct sa_buf *out)
{
    struct sa_http_parser *p = sa_http_parser_new(&limits);
    const char *why;
    bool bad = false;
    for (size_t at = 0; at < length && !bad; at += step) {
        const char *data = input + at;
        size_t left = length - at < step ? length - at : step;
        enum sa_http_event event;
        struct sa_http_text body;
        while (!bad && (event = sa_http_parser_next(p, &data, &left, &body)) != SA_HTTP_NEED_MORE) {
            const struct sa_http_head *h = sa_http_parser_head(p);
            if (event == SA_HTTP_HEAD) {
                sa_buf_printf(out, "[%s %s %lld", h->method, h->path, (long long)h->content_length);
                for (size_t i = 0; i < h->header_count; i++)
                    sa_buf_printf(out, "|%s=%s", h->headers[i].name, h->headers[i].value);
                sa_buf_adds(out, "]");
            } else if (event == SA_HTTP_BODY) {
                sa_buf_add(out, body.data, body.length);
            } else if (event == SA_HTTP_END) {
                sa_buf_adds(out, "<end>");
            } else {
                bad = true;
                sa_buf_printf(out, "<%d>", sa_http_parser_refusal(p, &why));
                assert_non_null(why);
            }
        }
        if (!bad)
            assert_int_equal(left, 0);
    }
    sa_http_parser_free(p);
}

/* The same, whatever the size of the pieces. */
static void expect_trace(const char *input, const char *expected)
{
    for (size_t step = 1; step <= strlen(input); step++) {
        sa_autobuf out = SA_BUF_INIT;
        trace(input, strlen(input), step, &out);
        assert_string_equal(out.data ? out.data : "", expected);
    }
}

static void test_events(void **state)
{
    (void)state;
    expect_trace("GET /a?b=c HTTP/1.1\r\nHost: h\r\nEmpty:\r\nSpaces:   x y  \r\n\r\n",
                 "[GET /a 0|Host=h|Empty=|Spaces=x y]");
    expect_trace("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
                 "GET /b HTTP/1.0\r\n\r\n",
                 "[PUT /a 5|Host=h|Content-Length=5]hello<end>[GET /b 0]");
    expect_trace("PUT /a HTTP/1.1\r\nhost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
                 "5\r\nhello\r\n00c;ext=\"v\"\r\n, wide world\r\n0\r\nTrailer: t\r\n\r\n"
                 "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
                 "[PUT /a -1|host=h|Transfer-Encoding=Chunked]hello, wide world<end>"
                 "[POST /b 0|Host=h|Content-Length=0]");
    expect_trace("\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
                 "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
                 "[GET / 0|Host=h|Connection=upgrade|Upgrade=x][GET /2 0|Host=h]");
}

static void test_bad_after_good(void **state)
{
    (void)state;
    expect_trace("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost : h\r\n\r\n",
                 "[GET / 0|Host=h]<400>");
    expect_trace("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "2\r\nab\r\nxyz\r\n",
                 "[PUT / -1|Host=h|Transfer-Encoding=chunked]ab<400>");
}

/* `prefix`, then `filler` n times, then `suffix` gives this status (0: a good head). */
static void expect_repeat(const char *prefix, const char *filler, unsigned n, const char *suffix,
                          int status)
{
    sa_autobuf in = SA_BUF_INIT;
    sa_buf_adds(&in, prefix);
    while (n--)
        sa_buf_adds(&in, filler);
    sa_buf_adds(&in, suffix);
    const size_t steps[] = {1, 7, in.length};
    for (size_t i = 0; i < SA_COUNT(steps); i++) {
        sa_autobuf out = SA_BUF_INIT;
        char expected[8];
        trace(in.data, in.length, steps[i], &out);
        sa_buf_reserve(&out, 0);
        int n_written = snprintf(expected, sizeof expected, "<%d>", status);
        assert_true(n_written > 0);
        if (status ? !strstr(out.data, expected) : strchr(out.data, '<') != NULL)
            fail_msg("expected %d: %s", status, out.data);
    }
}

static void test_limits(void **state)
{
    (void)state;
    const char *end = " HTTP/1.1\r\nHost: h\r\n\r\n", *head = "GET / HTTP/1.1\r\nHost: h\r\n";
    expect_repeat("GET /", "a", 199, end, 0);
    expect_repeat("GET /", "a", 200, end, 414);
    expect_repeat("GET /", "a", 100000, "", 414);
    expect_repeat(head, "A: b\r\n", 19, "\r\n", 0);
    expect_repeat(head, "A: b\r\n", 20, "\r\n", 431);
    expect_repeat("GET / HTTP/1.1\r\nHost: h\r\nX: ", "v", 900, "\r\n\r\n", 0);
    expect_repeat("GET / HTTP/1.1\r\nHost: h\r\nX: ", "v", 1000, "\r\n\r\n", 431);
    expect_repeat("GET / HTTP/1.1\r\nHost: h\r\n", "n", 100000, "", 431);
    expect_repeat("GET / HTTP/1.1\r\nHost: h\r\nX:", " ", 100000, "", 431);
    expect_repeat("", "\r\n", 100000, "", 431);
    expect_repeat("GET ", " ", 100000, "", 400);
    expect_repeat("GET /?a", "&a", 9, end, 0);
    expect_repeat("GET /?a", "&a", 10, end, 400);
    expect_repeat("GET /", "/", 126, end, 0);
    expect_repeat("GET /", "/", 130, end, 400);
}

static void test_chunk_limits(void **state)
{
    (void)state;
    const char *head = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    char text[200];
    snprintf(text, sizeof text, "%s1;", head);
    expect_repeat(text, "x", 100000, "", 400);
    snprintf(text, sizeof text, "%s", head);
    expect_repeat(text, "1;xxxxxxxxxxxxxxx\r\na\r\n", 1000, "", 400);
    expect_repeat(text, "0", 100000, "", 400);
    snprintf(text, sizeof text, "%s0\r\n", head);
    expect_repeat(text, "T: x\r\n", 21, "\r\n", 431);
    snprintf(text, sizeof text, "%s0\r\nT: ", head);
    expect_repeat(text, "x", 100000, "", 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_bad_after_good),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_chunk_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
