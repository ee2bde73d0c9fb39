/* Requests and answers over real sockets: what a well-behaved client sees. */
#include "fixture.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fixture *f;

static int set_up(void **state)
{
    *state = f = fixture_start(NULL, NULL);
    return 0;
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

static void test_headers(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, GET("/hello"));
    struct reply r = client_read(&c, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "hello");
    assert_string_equal(reply_header(&r, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(reply_header(&r, "Cache-Control"), "no-store");
    assert_string_equal(reply_header(&r, "Server"), "secureagent");
    assert_string_equal(reply_header(&r, "Content-Length"), "5");
    assert_int_equal(strlen(reply_header(&r, "Date")), 29);
    assert_int_equal(strncmp(reply_header(&r, "X-Request-Id"), "req-", 4), 0);
    assert_null(reply_header(&r, "Connection"));
    reply_deinit(&r);
    client_close(&c);
}

static void test_request_id(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: h\r\nX-Request-Id: my.id-1_A\r\n\r\n");
    struct reply r = client_read(&c, false);
    assert_string_equal(reply_header(&r, "X-Request-Id"), "my.id-1_A");
    reply_deinit(&r);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\"b\r\n\r\n");
    r = client_read(&c, false);
    assert_int_equal(strncmp(reply_header(&r, "X-Request-Id"), "req-", 4), 0);
    reply_deinit(&r);
    client_close(&c);
}

static void test_keep_alive(void **state)
{
    (void)state;
    struct client c = client_open(f);
    for (int i = 0; i < 100; i++)
        client_expect(&c, i % 2 ? GET("/hello") : GET("/later"), 200, i % 2 ? "hello" : "later");
    client_close(&c);
}

static void test_close_asked(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    struct reply r = client_read(&c, false);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    assert_string_equal(r.body.data, "hello");
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
}

static void test_http_1_0(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct reply r = client_read(&c, false);
    assert_string_equal(reply_header(&r, "Connection"), "keep-alive");
    reply_deinit(&r);
    /* A stream of unknown length ends with the connection. */
    client_send(&c, "GET /down?n=100000&chunked=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    r = client_read(&c, false);
    assert_null(reply_header(&r, "Transfer-Encoding"));
    assert_string_equal(reply_header(&r, "Connection"), "close");
    assert_int_equal(r.body.length, 100000);
    reply_deinit(&r);
    client_assert_closed(&c);
    client_close(&c);
}

static void test_pipelining(void **state)
{
    (void)state;
    struct client c = client_open(f);
    sa_autobuf all = SA_BUF_INIT;
    for (int i = 0; i < 500; i++)
        sa_buf_printf(&all, "GET /info/%d/x HTTP/1.1\r\nHost: h\r\n\r\n%s", i,
                      i % 100 ? "" : GET("/later"));
    client_send_bytes(&c, all.data, all.length);
    for (int i = 0; i < 500; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "GET id=%d path=x", i);
        client_expect(&c, "", 200, expected);
        if (i % 100 == 0)
            client_expect(&c, "", 200, "later");
    }
    client_close(&c);
}

static void test_pipelined_bodies(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                    "POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
                    "POST /ignore HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n0\r\n\r\n"
                    "POST /collect HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\ndef\r\n1\r\ng\r\n0\r\nX: y\r\n\r\n"
                    "POST /collect HTTP/1.1\r\nHost: h\r\n\r\n" GET("/hello"));
    client_expect(&c, "", 200, "abc");
    client_expect(&c, "", 200, "ignored");
    client_expect(&c, "", 200, "ignored");
    client_expect(&c, "", 200, "defg");
    client_expect(&c, "", 200, "");
    client_expect(&c, "", 200, "hello");
    client_close(&c);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct client c = client_open(f);
    const char *text = "POST /collect HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n0\r\n\r\n" GET("/hello");
    for (const char *p = text; *p; p++)
        client_send_bytes(&c, p, 1);
    client_expect(&c, "", 200, "abc");
    client_expect(&c, "", 200, "hello");
    client_close(&c);
}

static void test_head(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    struct reply r = client_read(&c, true);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Content-Length"), "5");
    reply_deinit(&r);
    client_expect(&c, "HEAD /down?n=1000000 HTTP/1.1\r\nHost: h\r\n\r\n", 200, "");
    client_expect(&c, "HEAD /down?n=1000000&chunked=1&owned=1 HTTP/1.1\r\nHost: h\r\n\r\n", 200,
                  "");
    client_expect(&c, "HEAD /nothing HTTP/1.1\r\nHost: h\r\n\r\n", 404, "");
    client_expect(&c, GET("/hello"), 200, "hello");
    client_close(&c);
}

static void test_continue(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                    "Expect: 100-continue\r\n\r\n");
    struct reply r = client_read(&c, false);
    assert_int_equal(r.status, 100);
    reply_deinit(&r);
    client_expect(&c, "abc", 200, "abc");
    client_expect(&c, GET("/hello"), 200, "hello");
    /* Too large by its own account: told before the body is sent. */
    client_send(&c, "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n"
                    "Expect: 100-continue\r\n\r\n");
    r = client_read(&c, false);
    assert_int_equal(r.status, 413);
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
    /* Not asked for: a final answer, and nobody knows what comes next. */
    c = client_open(f);
    client_send(&c, "POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
                    "Expect: 100-continue\r\n\r\n");
    r = client_read(&c, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
}

static void test_router(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_expect(&c, GET("/info/a%20b/x/y?q=1+2"), 200, "GET id=a b path=x/y q=1 2");
    client_expect(&c, GET("/info/a%2Fb//tmp/x"), 200, "GET id=a/b path=/tmp/x");
    client_expect(&c, "DELETE /info/a/b HTTP/1.1\r\nHost: h\r\n\r\n", 200, "DELETE id=a path=b");
    client_expect(&c, GET("/info/a/x%2Fy"), 400, NULL);
    client_expect(&c, GET("/info/a"), 404, NULL);
    client_expect(&c, GET("/info/a/"), 404, NULL);
    client_expect(&c, GET("/info//b"), 404, NULL);
    client_expect(&c, GET("/hello/"), 404, NULL);
    client_expect(&c, GET("/"), 404, NULL);
    client_send(&c, "PUT /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    struct reply r = client_read(&c, false);
    assert_int_equal(r.status, 405);
    assert_string_equal(reply_header(&r, "Allow"), "GET, HEAD, OPTIONS");
    reply_deinit(&r);
    client_expect(&c, "OPTIONS /hello HTTP/1.1\r\nHost: h\r\n\r\n", 204, "");
    client_expect(&c, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 204, "");
    client_expect(&c, "GET http://h/hello HTTP/1.1\r\nHost: h\r\n\r\n", 200, "hello");
    client_close(&c);
}

/* Literals win over parameters, those over the rest, from the left. */
static void test_precedence(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_expect(&c, GET("/info/me/x"), 200, "hello");
    client_expect(&c, GET("/info/me/self"), 200, "hello");
    client_expect(&c, GET("/info/you/self"), 200, "later");
    client_expect(&c, GET("/info/you/self/x"), 200, "GET id=you path=self/x");
    client_expect(&c, "DELETE /info/me/x HTTP/1.1\r\nHost: h\r\n\r\n", 405, NULL);
    client_close(&c);
}

static void test_routes_listed(void **state)
{
    (void)state;
    struct sa_router *router = sa_router_new();
    const char *const patterns[] = {"/", "/a/{b}/c", "/a/{b}/{c...}", "/a/{x}/c"};
    const char *const methods[] = {"GET", "PUT", "*", "GET"};
    const char *method, *pattern;
    for (size_t i = 0; i < 4; i++)
        sa_router_add(router, methods[i], patterns[i], sa_router_dispatch, NULL);
    for (size_t i = 0; i < 4; i++) {
        assert_true(sa_router_at(router, i, &method, &pattern));
        assert_string_equal(method, methods[i]);
        assert_string_equal(pattern, patterns[i]);
    }
    assert_false(sa_router_at(router, 4, &method, &pattern));
    sa_router_free(router);
}

static void test_error_json(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "GET /error?code=5 HTTP/1.1\r\nHost: h\r\nX-Request-Id: r1\r\n\r\n");
    struct reply r = client_read(&c, false);
    assert_int_equal(r.status, 409);
    assert_string_equal(r.body.data,
                        "{\"error\":{\"code\":\"conflict\",\"message\":\"tab\\u0009, line\\u000a, "
                        "quote \\\", byte \\ufffd, umlaut \xc3\xa4\",\"details\":[{\"path\":"
                        "\"a\\\"b\\\\c\",\"rule\":\"a-rule\"}],\"requestId\":\"r1\"}}\n");
    reply_deinit(&r);
    client_send(&c, GET("/error?code=6"));
    r = client_read(&c, false);
    assert_int_equal(r.status, 429);
    assert_string_equal(reply_header(&r, "Retry-After"), "1");
    reply_deinit(&r);
    client_close(&c);
}

static void test_wrong_length(void **state)
{
    (void)state;
    const char *const targets[] = {GET("/short"), GET("/over"), GET("/cut")};
    for (size_t i = 0; i < SA_COUNT(targets); i++) {
        struct client c = client_open(f);
        client_send(&c, targets[i]);
        struct reply r = client_read(&c, false);
        assert_false(r.complete); /* never an answer that looks whole */
        reply_deinit(&r);
        client_close(&c);
    }
}

#define UPGRADE                                                                                    \
    "GET /take HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"   \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void test_take_socket(void **state)
{
    (void)state;
    struct client c = client_open(f);
    char *unread, answer[4] = "";
    size_t length;
    int fd = -1;
    client_expect(&c, GET("/take"), 200, "no upgrade");
    client_send(&c, UPGRADE "frames");
    for (int i = 0; i < 60000 && fd < 0; i++, usleep(1000))
        fd = fixture_taken(f, &unread, &length);
    assert_true(fd >= 0);
    assert_int_equal(length, 6);
    assert_memory_equal(unread, "frames", 6);
    free(unread);
    assert_int_equal(send(fd, "pong", 4, 0), 4); /* still connected, and ours alone */
    assert_int_equal(recv(c.fd, answer, 4, MSG_WAITALL), 4);
    assert_memory_equal(answer, "pong", 4);
    client_send(&c, "ping");
    usleep(20000);
    assert_int_equal(recv(fd, answer, 4, 0), 4);
    assert_memory_equal(answer, "ping", 4);
    close(fd);
    client_assert_closed(&c);
    client_close(&c);
    assert_int_equal(fixture_counters(f)->closed, 0);
}

/* An upgrade that nobody takes is a request like any other. */
static void test_upgrade_ignored(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_expect(
        &c,
        "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" GET(
            "/later"),
        200, "hello");
    client_expect(&c, "", 200, "later");
    client_close(&c);
}

static void test_ipv6(void **state)
{
    (void)state;
    struct fixture *six = fixture_start(NULL, "[::1]:0");
    assert_int_equal(strncmp(fixture_address(six), "[::1]:", 6), 0);
    struct client c = client_open(six);
    client_expect(&c, GET("/hello"), 200, "hello");
    client_close(&c);
    fixture_stop(six);
}

static void test_bad_addresses(void **state)
{
    (void)state;
    const char *const bad[] = {"",        "8080",      ":80",       "127.0.0.1:",     "127.0.0.1:x",
                               "[::1:80", "1.2.3:80x", "host.x:80", "127.0.0.1:70000"};
    uv_loop_t loop;
    struct sa_error err;
    uv_loop_init(&loop);
    struct sa_http_server *s =
        sa_http_server_new(&loop, &(struct sa_http_options){.handler = sa_router_dispatch}, &err);
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        assert_int_equal(sa_http_server_listen(s, bad[i], &err), -1);
        assert_int_equal(err.code, SA_EINVALID);
        assert_string_equal(err.path, "listen");
    }
    assert_int_equal(sa_http_server_listen(s, fixture_address(f), &err), -1);
    assert_int_equal(err.code, SA_ECONFLICT); /* in use */
    assert_non_null(strstr(err.message, fixture_address(f)));
    assert_non_null(strstr(err.message, "address already in use") ?: strstr(err.message, "in use"));
    sa_http_server_drain(s, 0, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    sa_http_server_free(s);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(test_headers),
        TEST(test_request_id),
        TEST(test_keep_alive),
        TEST(test_close_asked),
        TEST(test_http_1_0),
        TEST(test_pipelining),
        TEST(test_byte_by_byte),
        TEST(test_pipelined_bodies),
        TEST(test_head),
        TEST(test_continue),
        TEST(test_router),
        TEST(test_precedence),
        cmocka_unit_test(test_routes_listed),
        TEST(test_error_json),
        TEST(test_wrong_length),
        TEST(test_take_socket),
        TEST(test_upgrade_ignored),
        TEST(test_ipv6),
        TEST(test_bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
