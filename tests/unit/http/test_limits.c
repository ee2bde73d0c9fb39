/* Limits and timeouts: each is met by its own answer, and nothing stays open. */
#include "fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

static void test_slow_head(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(&(struct sa_http_options){.header_timeout_ms = 200}, NULL);
    struct client c = client_open(f);
    int64_t start = sa_monotonic_ms();
    client_send(&c, "GET /hello HTTP/1.1\r\n");
    for (int i = 0; i < 30; i++) { /* a byte now and then does not help */
        usleep(10000);
        client_try_send(&c, "A", 1);
    }
    struct reply r = client_read(&c, false);
    assert_int_equal(r.status, 408);
    assert_in_range(sa_monotonic_ms() - start, 200, 30000);
    assert_non_null(strstr(r.body.data, "\"code\":\"timeout\""));
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
    fixture_stop(f);
}

static void test_slow_body(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(&(struct sa_http_options){.body_timeout_ms = 1500}, NULL);
    const char *head = "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n";
    struct client c = client_open(f);
    client_send(&c, head);
    for (int i = 0; i < 8; i++, usleep(250000))
        client_send(&c, "x"); /* slow, but it comes */
    struct reply r = client_read(&c, false);
    assert_int_equal(r.status, 408);
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
    assert_int_equal(fixture_counters(f)->closed, 1);
    /* A handler that is slow to read is no fault of the client. */
    c = client_open(f);
    client_send(&c, GET("/wait"));
    usleep(2000000);
    assert_int_equal(fixture_counters(f)->closed, 1);
    client_close(&c);
    wait_for(&fixture_counters(f)->closed, 2);
    fixture_stop(f);
}

static void test_idle(void **state)
{
    (void)state;
    struct fixture *f =
        fixture_start(&(struct sa_http_options){.keepalive_timeout_ms = 1500}, NULL);
    struct client silent = client_open(f), used = client_open(f);
    client_expect(&used, GET("/hello"), 200, "hello");
    int64_t start = sa_monotonic_ms();
    client_assert_closed(&silent);
    client_assert_closed(&used);
    assert_true(sa_monotonic_ms() - start < 30000);
    client_close(&silent);
    client_close(&used);
    fixture_stop(f);
}

static void test_write_stall(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(&(struct sa_http_options){.write_timeout_ms = 2000}, NULL);
    struct client c = client_open(f);
    client_send(&c, GET("/down?n=100000000"));
    wait_for(&fixture_counters(f)->closed, 1);
    client_close(&c);
    /* A slow reader that does read is served. */
    c = client_open(f);
    char block[200000];
    client_send(&c, GET("/down?n=12000000"));
    size_t got = 0;
    for (ssize_t n; got < 12000000 && (n = recv(c.fd, block, sizeof block, 0)) > 0;) {
        got += (size_t)n;
        usleep(5000);
    }
    assert_true(got >= 12000000);
    client_close(&c);
    fixture_stop(f);
}

static void test_connections(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(&(struct sa_http_options){.connections_max = 3}, NULL);
    struct client c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = client_open(f);
        client_expect(&c[i], GET("/hello"), 200, "hello");
    }
    expect_refused(f, GET("/hello"), strlen(GET("/hello")), 503);
    client_close(&c[0]);
    for (int i = 0; i < 5000; i++) { /* once the server has noticed, there is room again */
        usleep(2000);
        c[0] = client_open(f);
        client_send(&c[0], GET("/hello"));
        struct reply r = client_read(&c[0], false);
        int status = r.status;
        reply_deinit(&r);
        if (status == 200)
            break;
        client_close(&c[0]);
        assert_int_equal(status, 503);
    }
    for (int i = 0; i < 3; i++)
        client_expect(&c[i], GET("/hello"), 200, "hello");
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    fixture_stop(f);
}

static void test_requests(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(&(struct sa_http_options){.requests_max = 3}, NULL);
    struct client c = client_open(f);
    client_expect(&c, GET("/hello"), 200, "hello");
    client_send(&c, GET("/hello") GET("/hello") GET("/hello"));
    client_expect(&c, "", 200, "hello");
    struct reply r = client_read(&c, false);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
    fixture_stop(f);
}

static void test_sizes(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(&(struct sa_http_options){.target_bytes_max = 100,
                                                                .header_bytes_max = 500,
                                                                .headers_max = 5,
                                                                .body_bytes_max = 2000,
                                                                .query_max = 2},
                                      NULL);
    char text[3000];
    memset(text, 0, sizeof text);
    snprintf(text, sizeof text, "GET /%0200d HTTP/1.1\r\nHost: h\r\n\r\n", 0);
    expect_refused(f, text, strlen(text), 414);
    snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: h\r\nA: %0600d\r\n\r\n", 0);
    expect_refused(f, text, strlen(text), 431);
    strcpy(text, "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n");
    expect_refused(f, text, strlen(text), 431);
    strcpy(text, GET("/hello?a&b&c"));
    expect_refused(f, text, strlen(text), 400);
    strcpy(text, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 2001\r\n\r\n");
    expect_refused(f, text, strlen(text), 413);
    snprintf(text, sizeof text,
             "PUT /sink HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
             "7d1\r\n%02001d\r\n0\r\n\r\n",
             0);
    expect_refused(f, text, strlen(text), 413);
    snprintf(text, sizeof text,
             "POST /collect HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
             "\r\n3e9\r\n%01001d\r\n0\r\n\r\n",
             0);
    expect_refused(f, text, strlen(text), 413);
    assert_int_equal(fixture_counters(f)->handled, 2);
    assert_int_equal(fixture_counters(f)->closed, 2);
    struct client c = client_open(f);
    snprintf(text, sizeof text,
             "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
             "%01000d",
             0);
    client_expect(&c, text, 200, strstr(text, "\r\n\r\n") + 4);
    client_close(&c);
    fixture_stop(f);
}

/* A refusal reaches a client that is still sending: no reset in between. */
static void test_refusal_while_sending(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(&(struct sa_http_options){.body_bytes_max = 1000}, NULL);
    for (int i = 0; i < 20; i++) {
        struct client c = client_open(f);
        char block[10000] = "";
        client_send(&c, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n");
        for (int k = 0; k < 300; k++)
            client_send_bytes(&c, block, sizeof block);
        struct reply r = client_read(&c, false);
        assert_int_equal(r.status, 413);
        assert_true(r.complete);
        reply_deinit(&r);
        client_close(&c);
    }
    fixture_stop(f);
}

/* A handler that answers without reading a large body: the answer arrives, then the end. */
static void test_ignored_body(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    struct client c = client_open(f);
    char block[10000] = "";
    client_send(&c, "POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n");
    for (int k = 0; k < 200; k++)
        client_send_bytes(&c, block, sizeof block);
    struct reply r = client_read(&c, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    assert_string_equal(r.body.data, "ignored");
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
    fixture_stop(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slow_head),    cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_idle),         cmocka_unit_test(test_write_stall),
        cmocka_unit_test(test_connections),  cmocka_unit_test(test_requests),
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_refusal_while_sending),
        cmocka_unit_test(test_ignored_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
