/* Graceful drain. fixture_stop() asserts that the loop closes with nothing open. */
#include "fixture.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(target) "GET " target " HTTP/1.1\r\nHost: h\r\n\r\n"

static void test_nothing(void **state)
{
    (void)state;
    fixture_stop(fixture_start(NULL, NULL)); /* libuv opens a pair for good with its first loop */
    int before = open_descriptors();
    for (int i = 0; i < 20; i++)
        fixture_stop(fixture_start(NULL, NULL));
    assert_int_equal(open_descriptors(), before);
}

/* Idle connections close at once, the one at work is finished and told to close. */
static void test_in_flight(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    struct client idle = client_open(f), busy = client_open(f);
    client_expect(&idle, GET("/hello"), 200, "hello");
    client_send(&busy, GET("/later"));
    wait_for(&fixture_counters(f)->handled, 2);
    int64_t start = sa_monotonic_ms();
    fixture_drain(f, 60000);
    client_assert_closed(&idle);
    struct reply r = client_read(&busy, false);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.data, "later");
    assert_string_equal(reply_header(&r, "Connection"), "close");
    client_assert_closed(&busy);
    reply_deinit(&r);
    client_close(&idle);
    client_close(&busy);
    fixture_stop(f);
    assert_true(sa_monotonic_ms() - start < 30000); /* done when done, not at the deadline */
}

static void test_deadline(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    struct client c = client_open(f);
    client_send(&c, GET("/wait"));
    wait_for(&fixture_counters(f)->handled, 1);
    int64_t start = sa_monotonic_ms();
    fixture_drain(f, 200);
    client_assert_closed(&c);
    assert_in_range(sa_monotonic_ms() - start, 150, 30000);
    client_close(&c);
    fixture_stop(f);
}

static void test_listener_closes(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    struct client busy = client_open(f);
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    getpeername(busy.fd, (struct sockaddr *)&address, &length);
    client_send(&busy, GET("/wait"));
    wait_for(&fixture_counters(f)->handled, 1);
    fixture_drain(f, 300);
    usleep(50000);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, length), -1);
    close(fd);
    client_close(&busy);
    fixture_stop(f);
}

/* Connections in every state, cut at once. */
static void test_cut(void **state)
{
    (void)state;
    int before = open_descriptors();
    struct fixture *f = fixture_start(NULL, NULL);
    const char *const requests[] = {"",
                                    "GET /hel",
                                    GET("/wait"),
                                    "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
                                    "PUT /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx",
                                    GET("/down?n=100000000"),
                                    GET("/down?n=100000000&chunked=1&owned=1"),
                                    "NONSENSE\r\n\r\n"};
    enum { EACH = 10 };
    struct client c[EACH * 8];
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        c[i] = client_open(f);
        client_send(&c[i], requests[i % 8]);
    }
    wait_for(&fixture_counters(f)->handled, EACH * 5);
    fixture_stop(f);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        client_close(&c[i]);
    assert_int_equal(open_descriptors(), before);
}

static void on_drained(void *user)
{
    ++*(int *)user;
}

/* While its handles close, and when all is done: it opens nothing again. */
static void test_again(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct sa_error err;
    int drained = 0;
    uv_loop_init(&loop);
    struct sa_http_server *s =
        sa_http_server_new(&loop, &(struct sa_http_options){.handler = sa_router_dispatch}, &err);
    assert_int_equal(sa_http_server_listen(s, "127.0.0.1:0", &err), 0);
    sa_http_server_drain(s, 0, on_drained, &drained);
    sa_http_server_drain(s, 0, on_drained, &drained);
    do
        sa_http_server_drain(s, 0, on_drained, &drained);
    while (uv_run(&loop, UV_RUN_ONCE));
    assert_int_equal(drained, 1);
    sa_http_server_drain(s, 0, on_drained, &drained);
    assert_false(uv_run(&loop, UV_RUN_DEFAULT));
    sa_http_server_free(s);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(drained, 1);
}

static struct sa_http_server *server_on(uv_loop_t *loop, int fd)
{
    struct sa_error err;
    struct sa_http_server *s =
        sa_http_server_new(loop, &(struct sa_http_options){.handler = sa_router_dispatch}, &err);
    if (fd < 0)
        assert_int_equal(sa_http_server_listen(s, "127.0.0.1:0", &err), 0);
    else
        assert_int_equal(sa_http_server_listen_on(s, fd, &err), 0);
    return s;
}

static void end_server(uv_loop_t *loop, struct sa_http_server *s)
{
    sa_http_server_drain(s, 0, NULL, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    sa_http_server_free(s);
}

/* Who connects between two servers on one socket waits for the second. */
static void test_a_kept_listener(void **state)
{
    (void)state;
    const int before = open_descriptors();
    uv_loop_t loop;
    struct sa_error err;
    int ends[2];
    uv_loop_init(&loop);
    struct sa_http_server *first = server_on(&loop, -1);
    char address[64];
    snprintf(address, sizeof address, "%s", sa_http_server_address(first));
    const int kept = dup(sa_http_server_listener(first));
    assert_true(kept >= 0);
    end_server(&loop, first);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    struct sa_http_server *second = server_on(&loop, kept);
    assert_string_equal(sa_http_server_address(second), address);
    while (!sa_http_server_connections(second))
        uv_run(&loop, UV_RUN_ONCE);
    end_server(&loop, second);
    close(client);
    struct sa_http_server *none =
        sa_http_server_new(&loop, &(struct sa_http_options){.handler = sa_router_dispatch}, &err);
    assert_int_equal(sa_http_server_listener(none), -1);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(sa_http_server_listen_on(none, ends[0], &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
    close(ends[0]);
    close(ends[1]);
    end_server(&loop, none);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_listener_closes),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_a_kept_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
