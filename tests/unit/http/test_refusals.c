/* Forms that other HTTP software might read differently (request smuggling), and plain nonsense:
 * each is answered with 400 (or what the table says) and the connection is closed. */
#include "fixture.h"

#include "base/cleanup.h"

#include <string.h>

static struct fixture *f;

#define REQUEST(line, headers) line "\r\nHost: h\r\n" headers "\r\n\r\n"
#define CHUNKED(body) "PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" body
#define SMUGGLED "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"

#define REFUSED(name, request, status)                                                             \
    {                                                                                              \
        name, request, sizeof(request) - 1, status                                                 \
    }

static const struct refusal {
    const char *name, *request;
    size_t length; /* some hold NUL */
    int status;
} refusals[] = {
    REFUSED("CL and TE",
            REQUEST("PUT /sink HTTP/1.1",
                    "Content-Length: 5\r\nTransfer-Encoding: chunked") "0\r\n\r\n" SMUGGLED,
            400),
    REFUSED("TE and CL",
            REQUEST("PUT /sink HTTP/1.1",
                    "Transfer-Encoding: chunked\r\nContent-Length: 5") "0\r\n\r\n" SMUGGLED,
            400),
    REFUSED("CL twice, differing",
            REQUEST("PUT /sink HTTP/1.1", "Content-Length: 5\r\nContent-Length: 6") "hello!", 400),
    REFUSED("CL twice, equal",
            REQUEST("PUT /sink HTTP/1.1", "Content-Length: 5\r\nContent-Length: 5") "hello", 400),
    REFUSED("CL list", REQUEST("PUT /sink HTTP/1.1", "Content-Length: 5, 5") "hello", 400),
    REFUSED("CL signed", REQUEST("PUT /sink HTTP/1.1", "Content-Length: +5") "hello", 400),
    REFUSED("CL negative", REQUEST("PUT /sink HTTP/1.1", "Content-Length: -5") "hello", 400),
    REFUSED("CL hexadecimal", REQUEST("PUT /sink HTTP/1.1", "Content-Length: 0x5") "hello", 400),
    REFUSED("CL empty", REQUEST("PUT /sink HTTP/1.1", "Content-Length:"), 400),
    REFUSED("CL with a space inside", REQUEST("PUT /sink HTTP/1.1", "Content-Length: 1 2"), 400),
    REFUSED("CL overflowing", REQUEST("PUT /sink HTTP/1.1", "Content-Length: 18446744073709551621"),
            400),
    REFUSED("CL just too long",
            REQUEST("PUT /sink HTTP/1.1", "Content-Length: 9999999999999999999"), 400),
    REFUSED("TE identity", REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding: identity"), 400),
    REFUSED("TE list",
            REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding: gzip, chunked") "0\r\n\r\n", 400),
    REFUSED("TE wrong order", REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding: chunked, gzip"),
            400),
    REFUSED("TE look-alike", REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding: xchunked"), 400),
    REFUSED("TE with vertical tab", REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding: \vchunked"),
            400),
    REFUSED("TE twice",
            REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding: chunked\r\n"
                                          "Transfer-Encoding: chunked") "0\r\n\r\n",
            400),
    REFUSED("TE twice, differing",
            REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding: chunked\r\n"
                                          "Transfer-Encoding: identity") "0\r\n\r\n",
            400),
    REFUSED("TE in HTTP/1.0", "PUT /sink HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400),
    REFUSED("TE folded",
            REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding:\r\n chunked") "0\r\n\r\n", 400),
    REFUSED("white space before the colon",
            REQUEST("PUT /sink HTTP/1.1", "Content-Length : 5") "hello", 400),
    REFUSED("tab before the colon",
            REQUEST("PUT /sink HTTP/1.1", "Transfer-Encoding\t: chunked") "0\r\n\r\n", 400),
    REFUSED("white space before the first header", "GET /hello HTTP/1.1\r\n Host: h\r\n\r\n", 400),
    REFUSED("white space before the method", " GET /hello HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    REFUSED("folded header", REQUEST("GET /hello HTTP/1.1", "A: b\r\n c"), 400),
    REFUSED("folded header, tab", REQUEST("GET /hello HTTP/1.1", "A: b\r\n\tc"), 400),
    REFUSED("header without colon", REQUEST("GET /hello HTTP/1.1", "Nonsense"), 400),
    REFUSED("header without name", REQUEST("GET /hello HTTP/1.1", ": x"), 400),
    REFUSED("header name with a bracket", REQUEST("GET /hello HTTP/1.1", "A(b): x"), 400),
    REFUSED("bare LF all over", "GET /hello HTTP/1.1\nHost: h\n\n", 400),
    REFUSED("bare LF after the request line", "GET /hello HTTP/1.1\nHost: h\r\n\r\n", 400),
    REFUSED("bare LF after a header", "GET /hello HTTP/1.1\r\nHost: h\n\r\n", 400),
    REFUSED("bare LF at the end", "GET /hello HTTP/1.1\r\nHost: h\r\n\n", 400),
    REFUSED("bare LF first", "\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    REFUSED("bare CR after the request line", "GET /hello HTTP/1.1\rHost: h\r\n\r\n", 400),
    REFUSED("bare CR as header end", "GET /hello HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400),
    REFUSED("bare CR in a value", REQUEST("GET /hello HTTP/1.1", "A: b\rc"), 400),
    REFUSED("CR CR LF", "GET /hello HTTP/1.1\r\nHost: h\r\r\n\r\n", 400),
    REFUSED("NUL in a value", "GET /hello HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n", 400),
    REFUSED("NUL in a name", "GET /hello HTTP/1.1\r\nHost: h\r\nA\0b: c\r\n\r\n", 400),
    REFUSED("NUL in the target", "GET /he\0lo HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    REFUSED("NUL first", "\0GET /hello HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    REFUSED("control character in a value", REQUEST("GET /hello HTTP/1.1", "A: b\x01"), 400),
    REFUSED("delete character in a value", REQUEST("GET /hello HTTP/1.1", "A: b\x7f"), 400),
    REFUSED("no Host", "GET /hello HTTP/1.1\r\n\r\n", 400),
    REFUSED("Host twice", REQUEST("GET /hello HTTP/1.1", "Host: i"), 400),
    REFUSED("Host twice, equal", REQUEST("GET /hello HTTP/1.1", "Host: h"), 400),
    REFUSED("Host twice in HTTP/1.0", REQUEST("GET /hello HTTP/1.0", "Host: i"), 400),
    REFUSED("Host empty", "GET /hello HTTP/1.1\r\nHost:\r\n\r\n", 400),
    REFUSED("Host with a path", "GET /hello HTTP/1.1\r\nHost: h/x\r\n\r\n", 400),
    REFUSED("Host with a user", "GET /hello HTTP/1.1\r\nHost: a@h\r\n\r\n", 400),
    REFUSED("Host list", "GET /hello HTTP/1.1\r\nHost: h, i\r\n\r\n", 400),
    REFUSED("unknown method", REQUEST("FETCH /hello HTTP/1.1", "A: b"), 400),
    REFUSED("method in lower case", REQUEST("get /hello HTTP/1.1", "A: b"), 400),
    REFUSED("no method", REQUEST("/hello HTTP/1.1", "A: b"), 400),
    REFUSED("CONNECT", REQUEST("CONNECT h:443 HTTP/1.1", "A: b"), 400),
    REFUSED("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    REFUSED("target with a space", REQUEST("GET /he llo HTTP/1.1", "A: b"), 400),
    REFUSED("target with a tab", REQUEST("GET /he\tllo HTTP/1.1", "A: b"), 400),
    REFUSED("target not ASCII", REQUEST("GET /h\xc3\xa4llo HTTP/1.1", "A: b"), 400),
    REFUSED("target with a fragment", REQUEST("GET /hello#x HTTP/1.1", "A: b"), 400),
    REFUSED("relative target", REQUEST("GET hello HTTP/1.1", "A: b"), 400),
    REFUSED("target of another host", REQUEST("GET http://other/hello HTTP/1.1", "A: b"), 400),
    REFUSED("asterisk for GET", REQUEST("GET * HTTP/1.1", "A: b"), 400),
    REFUSED("encoded NUL", REQUEST("GET /he%00lo HTTP/1.1", "A: b"), 400),
    REFUSED("broken escape", REQUEST("GET /he%zzlo HTTP/1.1", "A: b"), 400),
    REFUSED("cut escape", REQUEST("GET /hello% HTTP/1.1", "A: b"), 400),
    REFUSED("broken escape in the query", REQUEST("GET /hello?a=%4 HTTP/1.1", "A: b"), 400),
    REFUSED("dots", REQUEST("GET /x/../hello HTTP/1.1", "A: b"), 400),
    REFUSED("encoded dots", REQUEST("GET /x/%2e%2E/hello HTTP/1.1", "A: b"), 400),
    REFUSED("version missing", "GET /hello\r\n\r\n", 505),
    REFUSED("version 2.0", REQUEST("GET /hello HTTP/2.0", "A: b"), 505),
    REFUSED("version 1.2", REQUEST("GET /hello HTTP/1.2", "A: b"), 400),
    REFUSED("version 1.10", REQUEST("GET /hello HTTP/1.10", "A: b"), 400),
    REFUSED("version in lower case", REQUEST("GET /hello http/1.1", "A: b"), 400),
    REFUSED("two spaces before the version", REQUEST("GET /hello  HTTP/1.1", "A: b"), 400),
    REFUSED("space after the version", REQUEST("GET /hello HTTP/1.1 ", "A: b"), 400),
    REFUSED("expectation unknown",
            REQUEST("PUT /sink HTTP/1.1", "Expect: magic\r\nContent-Length: 1"), 417),
    REFUSED("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    REFUSED("chunk size empty", CHUNKED("\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size not hexadecimal", CHUNKED("5x\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size with 0x", CHUNKED("0x5\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size signed", CHUNKED("+5\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size negative", CHUNKED("-1\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size overflowing", CHUNKED("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size with a leading space", CHUNKED(" 5\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size with a trailing space", CHUNKED("5 \r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size with bare LF", CHUNKED("5\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk size with bare CR", CHUNKED("5\rhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk longer than said", CHUNKED("4\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk shorter than said", CHUNKED("6\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk ended by bare LF", CHUNKED("5\r\nhello\n0\r\n\r\n"), 400),
    REFUSED("chunk extension with bare LF", CHUNKED("5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk extension with bare CR", CHUNKED("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk extension with NUL", CHUNKED("5;a\0b\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("chunk extension quoted, with LF", CHUNKED("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), 400),
    REFUSED("trailer with bare LF", CHUNKED("0\r\nA: b\n\r\n"), 400),
    REFUSED("trailer folded", CHUNKED("0\r\nA: b\r\n c\r\n\r\n"), 400),
    REFUSED("trailer with NUL", CHUNKED("0\r\nA: \0\r\n\r\n"), 400),
    REFUSED("last chunk ended by bare LF", CHUNKED("0\r\n\n"), 400),
};

/* test_parser.c cuts such things into pieces. */
static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < SA_COUNT(refusals); i++) {
        const struct refusal *r = &refusals[i];
        print_message("  %s\n", r->name);
        expect_refused(f, r->request, r->length, r->status);
    }
    print_message("%zu forms refused\n", SA_COUNT(refusals));
}

/* Nothing behind a refused request is believed: exactly one answer comes, and no handler ran
 * but those of requests with a sound head. */
static void test_nothing_after(void **state)
{
    (void)state;
    int before = fixture_counters(f)->handled;
    expect_refused(
        f,
        REQUEST("PUT /sink HTTP/1.1", "Content-Length: 0\r\nTransfer-Encoding: chunked")
            SMUGGLED SMUGGLED,
        strlen(REQUEST("PUT /sink HTTP/1.1", "Content-Length: 0\r\nTransfer-Encoding: chunked")
                   SMUGGLED SMUGGLED),
        400);
    assert_int_equal(fixture_counters(f)->handled, before);
}

/* A body that turns out bad while its handler reads it: the handler is told. */
static void test_bad_body_closes(void **state)
{
    (void)state;
    struct counters *c = fixture_counters(f);
    int closed = c->closed, cleaned = c->cleaned;
    const char *text = CHUNKED("5\r\nhello\r\nzzz\r\n");
    expect_refused(f, text, strlen(text), 400);
    wait_for(&c->closed, closed + 1);
    wait_for(&c->cleaned, cleaned + 1);
}

static int set_up(void **state)
{
    *state = f = fixture_start(NULL, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nothing_after),
        cmocka_unit_test(test_bad_body_closes),
    };
    return cmocka_run_group_tests(tests, set_up, fixture_end);
}
