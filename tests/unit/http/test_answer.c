/* Answers of servers: events, however the bytes arrive; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/answer.h"

#include <stdio.h>
#include <string.h>

/* Everything that happens, as text; at the end the server closes. */
static void trace(const char *input, size_t step, bool to_head, struct sa_buf *out)
{
    struct sa_http_answer *a = sa_http_answer_new();
    enum sa_http_answer_event event = SA_HTTP_ANSWER_NEED_MORE;
    const char *why = NULL;
    size_t length = strlen(input), at = 0;
    sa_http_answer_begin(a, to_head);
    while (at < length && event != SA_HTTP_ANSWER_BAD && event != SA_HTTP_ANSWER_END) {
        size_t left = length - at < step ? length - at : step;
        const char *data = input + at;
        struct sa_http_text body;
        do {
            event = sa_http_answer_next(a, &data, &left, &body, &why);
            const struct sa_http_answer_head *h = sa_http_answer_head(a);
            if (event == SA_HTTP_ANSWER_HEAD) {
                sa_buf_printf(out, "[%d %lld%s", h->status, (long long)h->content_length,
                              h->keep_alive ? " keep" : "");
                for (size_t i = 0; i < h->header_count; i++)
                    sa_buf_printf(out, "|%s=%s", h->headers[i].name, h->headers[i].value);
                sa_buf_adds(out, "]");
            } else if (event == SA_HTTP_ANSWER_BODY) {
                sa_buf_add(out, body.data, body.length);
            }
        } while (event == SA_HTTP_ANSWER_HEAD || event == SA_HTTP_ANSWER_BODY);
        at = (size_t)(data - input);
    }
    if (event == SA_HTTP_ANSWER_NEED_MORE)
        event = sa_http_answer_eof(a, &why);
    sa_buf_printf(out, "<%s>", event == SA_HTTP_ANSWER_END ? "end" : why);
    if (at < length && event == SA_HTTP_ANSWER_END)
        sa_buf_printf(out, "+%zu", length - at);
    sa_http_answer_free(a);
}

static void expect(const char *input, const char *expected)
{
    for (size_t step = 1; step <= strlen(input); step++) {
        sa_autobuf out = SA_BUF_INIT;
        trace(input, step, false, &out);
        assert_string_equal(out.data, expected);
    }
}

#define OK "HTTP/1.1 200 OK\r\n"

static void test_framings(void **state)
{
    (void)state;
    expect(OK "Content-Length: 5\r\n\r\nhello", "[200 5 keep|Content-Length=5]hello<end>");
    expect(OK "Content-Length: 0\r\nA:  b c \t\r\nB:\r\n\r\n",
           "[200 0 keep|Content-Length=0|A=b c|B=]<end>");
    expect(OK
           "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: x\r\n\r\n",
           "[200 -1 keep|Transfer-Encoding=chunked]hello world<end>");
    expect(OK "\r\nuntil the end", "[200 -2]until the end<end>");
    expect("HTTP/1.0 404 Not Found\r\n\r\n", "[404 -2]<end>");
    expect("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", "[200 2|Content-Length=2]ab<end>");
    expect(OK "Connection: close\r\nContent-Length: 1\r\n\r\nx",
           "[200 1|Connection=close|Content-Length=1]x<end>");
    expect("HTTP/1.1 204 No Content\r\n\r\n", "[204 0 keep]<end>");
    expect("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
           "[304 0 keep|Content-Length=9]<end>");
    expect("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "[200 0 keep|Content-Length=0]<end>");
}

static void test_interim(void **state)
{
    (void)state;
    expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK
           "Content-Length: 1\r\n\r\nx",
           "[100 0 keep][103 0 keep|Link=x][200 1 keep|Content-Length=1]x<end>");
}

static void test_what_is_left_is_not_taken(void **state)
{
    sa_autobuf out = SA_BUF_INIT;
    (void)state;
    trace(OK "Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n", 1000, false, &out);
    assert_string_equal(out.data, "[200 1 keep|Content-Length=1]x<end>+19");
    sa_autobuf head = SA_BUF_INIT;
    trace(OK "Content-Length: 5\r\n\r\n", 1000, true, &head);
    assert_string_equal(head.data, "[200 0 keep|Content-Length=5]<end>");
}

static void test_one_after_another(void **state)
{
    const char *text = OK "Content-Length: 1\r\n\r\nx";
    const char *why;
    struct sa_http_text body;
    (void)state;
    struct sa_http_answer *a = sa_http_answer_new();
    for (int i = 0; i < 3; i++) {
        const char *data = text;
        size_t left = strlen(text);
        sa_http_answer_begin(a, false);
        assert_int_equal(sa_http_answer_next(a, &data, &left, &body, &why), SA_HTTP_ANSWER_HEAD);
        assert_int_equal(sa_http_answer_head(a)->header_count, 1);
        assert_int_equal(sa_http_answer_next(a, &data, &left, &body, &why), SA_HTTP_ANSWER_BODY);
        assert_int_equal(sa_http_answer_next(a, &data, &left, &body, &why), SA_HTTP_ANSWER_END);
    }
    sa_http_answer_free(a);
}

static void bad(const char *input, const char *words)
{
    for (size_t step = 1; step <= strlen(input); step++) {
        sa_autobuf out = SA_BUF_INIT;
        trace(input, step, false, &out);
        if (strstr(out.data, "<end>") || !strstr(out.data, words))
            fail_msg("%s: step %zu: %s, expected %s", input, step, out.data, words);
    }
}

static void test_refused(void **state)
{
    (void)state;
    bad("HTP/1.1 200 OK\r\n\r\n", "malformed");
    bad("hello\r\n\r\n", "malformed");
    bad("HTTP/2.0 200 OK\r\n\r\n", "");
    bad("HTTP/1.1 99 Low\r\n\r\n", "");
    bad("HTTP/1.1 600 High\r\n\r\n", "status");
    bad("HTTP/1.1 2000 High\r\n\r\n", "malformed");
    bad(OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "");
    bad(OK "Content-Length: 1, 1\r\n\r\nx", "");
    bad(OK "Content-Length: -1\r\n\r\n", "");
    bad(OK "Content-Length: 0x1\r\n\r\nx", "");
    bad(OK "Content-Length: +1\r\n\r\nx", "");
    bad(OK "Content-Length: 99999999999999999999\r\n\r\nx", "");
    bad(OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "");
    bad(OK "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding");
    bad(OK "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "");
    bad(OK "Transfer-Encoding: xchunked\r\n\r\n", "Transfer-Encoding");
    bad(OK "Transfer-Encoding: identity\r\n\r\n", "Transfer-Encoding");
    bad("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "");
    bad(OK "A: b\nB: c\r\n\r\n", "CR LF");
    bad(OK "A: b\rB: c\r\n\r\n", "CR LF");
    bad(OK " A: b\r\n\r\n", "white space");
    bad(OK "A: b\r\n c\r\n\r\n", "white space");
    bad(OK "A : b\r\n\r\n", "malformed");
    bad(OK ": b\r\n\r\n", "");
    bad(OK "A b: c\r\n\r\n", "malformed");
    bad(OK "nCotent-Lht eg:n5\r\n\r\n", "malformed");
    bad(OK "A: \x01\r\n\r\n", "control");
    bad(OK "Content-Length: 5\r\n\r\nhell", "in the middle");
    bad(OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "in the middle");
    bad(OK "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", "");
    bad(OK "Transfer-Encoding: chunked\r\n\r\nx\r\n", "chunk");
    bad(OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n", "chunk");
    bad(OK "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "chunk");
    bad(OK "A: b", "in the middle");
}

static void test_limits(void **state)
{
    sa_autobuf text = SA_BUF_INIT, out = SA_BUF_INIT, many = SA_BUF_INIT, chunk = SA_BUF_INIT;
    (void)state;
    sa_buf_adds(&text, OK "A: ");
    for (int i = 0; i < SA_HTTP_ANSWER_HEAD_BYTES_MAX; i++)
        sa_buf_addc(&text, 'a');
    trace(text.data, 4096, false, &out);
    assert_string_equal(out.data, "<the head is too long>");
    sa_buf_consume(&out, out.length);
    sa_buf_adds(&many, OK);
    for (int i = 0; i <= SA_HTTP_ANSWER_HEADERS_MAX; i++)
        sa_buf_adds(&many, "A: b\r\n");
    sa_buf_adds(&many, "\r\n");
    trace(many.data, 4096, false, &out);
    assert_string_equal(out.data, "<there are too many headers>");
    sa_buf_consume(&out, out.length);
    sa_buf_adds(&chunk, OK "Transfer-Encoding: chunked\r\n\r\n1;");
    for (int i = 0; i < 20000; i++)
        sa_buf_addc(&chunk, 'a');
    trace(chunk.data, 1000, false, &out);
    assert_non_null(strstr(out.data, "too long"));
    trace("", 1, false, &out);
    assert_non_null(strstr(out.data, "without an answer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_framings),
                                       cmocka_unit_test(test_interim),
                                       cmocka_unit_test(test_what_is_left_is_not_taken),
                                       cmocka_unit_test(test_one_after_another),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
