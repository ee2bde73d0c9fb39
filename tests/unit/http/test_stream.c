/* Streaming both ways: correctness, back-pressure, clients that vanish. */
#include "fixture.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
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

/* The bytes of /down and of uploads. */
static char *pattern(size_t n)
{
    char *data = malloc(n);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)('a' + i % 10000 % 26);
    return data;
}

static void expect_download(const char *options, size_t n)
{
    struct client c = client_open(f);
    char request[200];
    sa_autofree char *expected = pattern(n);
    for (int i = 0; i < 2; i++) { /* twice: the connection stays usable */
        snprintf(request, sizeof request, "GET /down?n=%zu%s HTTP/1.1\r\nHost: h\r\n\r\n", n,
                 options);
        client_send(&c, request);
        struct reply r = client_read(&c, false);
        assert_true(r.complete);
        assert_int_equal(r.body.length, n);
        assert_memory_equal(r.body.data, expected, n);
        reply_deinit(&r);
    }
    client_close(&c);
}

static void test_downloads(void **state)
{
    (void)state;
    const char *const options[] = {
        "", "&chunked=1", "&owned=1", "&owned=1&chunked=1", "&reserve=1", "&reserve=1&chunked=1"};
    const size_t sizes[] = {0, 1, 9999, 40000, 3000001};
    for (size_t i = 0; i < SA_COUNT(options); i++)
        for (size_t k = 0; k < SA_COUNT(sizes); k++)
            expect_download(options[i], sizes[k]);
}

static void upload(struct client *c, const char *target, const char *data, size_t n, bool chunked)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_buf_printf(&out, "PUT %s HTTP/1.1\r\nHost: h\r\n", target);
    if (!chunked)
        sa_buf_printf(&out, "Content-Length: %zu\r\n\r\n", n);
    else
        sa_buf_adds(&out, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0, piece = 1; chunked && at < n; at += piece, piece = piece * 3 + 1) {
        piece = piece < n - at ? piece : n - at;
        sa_buf_printf(&out, "%zx\r\n", piece);
        sa_buf_add(&out, data + at, piece);
        sa_buf_adds(&out, "\r\n");
    }
    if (chunked)
        sa_buf_adds(&out, "0\r\n\r\n");
    else
        sa_buf_add(&out, data, n);
    client_send_bytes(c, out.data, out.length);
}

static void test_uploads(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 9999, 3000001};
    struct client c = client_open(f);
    for (size_t i = 0; i < SA_COUNT(sizes); i++) {
        for (int variant = 0; variant < 4; variant++) {
            sa_autofree char *data = pattern(sizes[i]);
            char expected[64];
            snprintf(expected, sizeof expected, "%zu %u", sizes[i], pattern_sum(0, data, sizes[i]));
            upload(&c, variant & 1 ? "/slow" : "/sink", data, sizes[i], variant & 2);
            client_expect(&c, "", 200, expected);
        }
    }
    client_close(&c);
}

/* A reader that takes 64 KiB each millisecond holds the sender to that. */
static void test_upload_back_pressure(void **state)
{
    (void)state;
    enum { BYTES = 30 * 1000 * 1000 };
    struct client c = client_open(f);
    sa_autofree char *data = pattern(BYTES);
    char head[100];
    size_t sent = 0, ahead_max = 0;
    snprintf(head, sizeof head, "PUT /slow HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n",
             BYTES);
    int small = 64 * 1024;
    setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    client_send(&c, head);
    while (sent < BYTES) {
        ssize_t n =
            send(c.fd, data + sent, BYTES - sent < 65536 ? BYTES - sent : 65536, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
        size_t taken = fixture_counters(f)->taken_bytes;
        if (sent > taken && sent - taken > ahead_max)
            ahead_max = sent - taken;
    }
    char expected[64];
    snprintf(expected, sizeof expected, "%d %u", BYTES, pattern_sum(0, data, BYTES));
    client_expect(&c, "", 200, expected);
    assert_true(ahead_max < 12 * 1024 * 1024); /* the kernel's buffers, and little of ours */
    client_close(&c);
}

/* A client that does not read: the handler is stopped at the high-water mark. */
static void test_download_back_pressure(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "GET /down?n=100000000&chunked=1 HTTP/1.1\r\nHost: h\r\n\r\n");
    usleep(300000);
    assert_true(fixture_counters(f)->queued_max < 300 * 1024);
    struct reply r = client_read(&c, false);
    assert_int_equal(r.body.length, 100000000);
    assert_true(fixture_counters(f)->queued_max >= 256 * 1024);
    assert_true(fixture_counters(f)->queued_max < 300 * 1024);
    reply_deinit(&r);
    client_close(&c);
}

/* However fast the client reads, a download gives others a turn. */
static void test_fairness(void **state)
{
    (void)state;
    struct client c = client_open(f);
    char block[262144];
    size_t got = 0;
    client_send(&c, "GET /down?n=300000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    for (ssize_t n; got < 300000000 && (n = recv(c.fd, block, sizeof block, 0)) > 0;)
        got += (size_t)n;
    assert_true(got >= 300000000);
    assert_true(fixture_counters(f)->burst_max <= 1100000);
    client_close(&c);
}

/* A client that pipelines without reading is not read beyond a bound. */
static void test_pipeline_bound(void **state)
{
    (void)state;
    struct client c = client_open(f);
    struct timeval brief = {.tv_usec = 300000};
    setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief);
    client_send(&c, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
    sa_autofree char *block = pattern(1 << 20);
    size_t sent = 0;
    for (ssize_t n; (n = send(c.fd, block, 1 << 20, MSG_NOSIGNAL)) > 0 && sent < (64u << 20);)
        sent += (size_t)n;
    assert_true(sent < (16u << 20)); /* what the kernel buffers */
    client_close(&c);
    /* Unread input hides the client's end; it shows when the answer is due or at the drain. */
    assert_int_equal(fixture_counters(f)->closed, 0);
}

static void reset(struct client *c)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    client_close(c);
}

/* In turn: while the handler works, in mid-upload, in mid-download; by FIN and by RST. */
static void vanish(int round)
{
    struct client c = client_open(f);
    char bytes[5000] = "";
    switch (round % 3) {
    case 0:
        client_send(&c, "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n");
        break;
    case 1:
        client_send(&c, "PUT /sink HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
        client_send_bytes(&c, bytes, sizeof bytes);
        break;
    case 2:
        client_send(&c, "GET /down?n=50000000&chunked=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_true(recv(c.fd, bytes, sizeof bytes, 0) > 0);
        break;
    }
    wait_for(&fixture_counters(f)->handled, round + 1);
    if (round % 2)
        reset(&c);
    else
        client_close(&c);
}

static void test_vanish(void **state)
{
    (void)state;
    enum { ROUNDS = 1000 };
    int before = open_descriptors();
    for (int i = 0; i < ROUNDS; i++)
        vanish(i);
    struct counters *c = fixture_counters(f);
    wait_for(&c->completed, ROUNDS);
    assert_int_equal(c->closed, ROUNDS); /* each handler was told, once */
    assert_int_equal(c->cleaned, ROUNDS);
    assert_int_equal(c->incomplete, ROUNDS);
    for (int i = 0; i < 60000 && open_descriptors() != before; i++)
        usleep(1000);
    assert_int_equal(open_descriptors(), before);
}

/* An answer that is complete before the client half-closes still arrives. */
static void test_half_close_after_answer(void **state)
{
    (void)state;
    struct client c = client_open(f);
    client_send(&c, "GET /down?n=3000000 HTTP/1.1\r\nHost: h\r\n\r\n");
    usleep(50000);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    struct reply r = client_read(&c, false);
    assert_int_equal(r.body.length, 3000000);
    reply_deinit(&r);
    shutdown(c.fd, SHUT_WR);
    client_expect(&c, "", 200, "hello");
    client_assert_closed(&c);
    client_close(&c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(test_downloads),
        TEST(test_uploads),
        TEST(test_upload_back_pressure),
        TEST(test_download_back_pressure),
        TEST(test_fairness),
        TEST(test_pipeline_bound),
        TEST(test_vanish),
        TEST(test_half_close_after_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
