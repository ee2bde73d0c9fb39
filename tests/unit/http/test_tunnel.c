/* Tunnels: the filter, ends of either direction, what is held for a slow side, drain. */
#include "fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TUNNEL "GET /tunnel HTTP/1.1\r\nHost: h\r\n\r\n"

static void expect_bytes(int fd, const char *expected)
{
    char text[64] = "";
    size_t length = strlen(expected);
    assert_int_equal(recv(fd, text, length, MSG_WAITALL), (ssize_t)length);
    assert_string_equal(text, expected);
}

static void test_through(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    struct client c = client_open(f);
    client_send(&c, TUNNEL "early 1 ");
    int fd = fixture_wait_taken(f);
    expect_bytes(fd, "EARLY  ");
    client_send(&c, "22late333");
    expect_bytes(fd, "LATE");
    assert_int_equal(send(fd, "as it is 1", 10, 0), 10);
    expect_bytes(c.fd, "as it is 1");
    close(fd);
    client_assert_closed(&c);
    client_close(&c);
    wait_for(&fixture_counters(f)->tunnels_gone, 1);
    assert_int_equal(fixture_counters(f)->last_status, 101);
    assert_int_equal(fixture_counters(f)->closed, 0);
    fixture_stop(f);
}

static void test_half_close(void **state)
{
    (void)state;
    char text[4];
    struct fixture *f = fixture_start(NULL, NULL);
    struct client c = client_open(f);
    client_send(&c, TUNNEL "last");
    shutdown(c.fd, SHUT_WR);
    int fd = fixture_wait_taken(f);
    expect_bytes(fd, "LAST");
    assert_int_equal(recv(fd, text, 1, 0), 0);
    assert_int_equal(send(fd, "answer", 6, 0), 6);
    expect_bytes(c.fd, "answer");
    close(fd);
    client_assert_closed(&c);
    client_close(&c);

    c = client_open(f); /* the other way round */
    client_send(&c, TUNNEL);
    fd = fixture_wait_taken(f);
    shutdown(fd, SHUT_WR);
    assert_int_equal(recv(c.fd, text, 1, 0), 0);
    client_send(&c, "still");
    expect_bytes(fd, "STILL");
    client_close(&c);
    assert_int_equal(recv(fd, text, 1, 0), 0);
    close(fd);
    wait_for(&fixture_counters(f)->tunnels_gone, 2);
    fixture_stop(f);
}

/* Bytes that fd's kernel buffers and the tunnel take while nobody reads at the other side. */
static size_t stuff(int fd)
{
    static char block[64 * 1024];
    size_t total = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (int idle = 0; idle < 100;) {
        ssize_t n = send(fd, block, sizeof block, 0);
        idle = n > 0 ? 0 : idle + 1;
        total += n > 0 ? (size_t)n : 0;
        usleep(n > 0 ? 0 : 2000);
    }
    fcntl(fd, F_SETFL, 0);
    return total;
}

static size_t read_to_end(int fd)
{
    static char block[64 * 1024];
    size_t total = 0;
    ssize_t n;
    while ((n = recv(fd, block, sizeof block, 0)) > 0)
        total += (size_t)n;
    return total;
}

/* Each side stops when the other does not read, and nothing is lost. */
static void test_slow_sides(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    struct client c = client_open(f);
    client_send(&c, TUNNEL);
    int fd = fixture_wait_taken(f);
    size_t in = stuff(c.fd), out = stuff(fd);
    assert_true(in < 32u * 1024 * 1024 && out < 32u * 1024 * 1024);
    shutdown(c.fd, SHUT_WR);
    assert_int_equal(read_to_end(fd), in);
    shutdown(fd, SHUT_WR);
    assert_int_equal(read_to_end(c.fd), out);
    close(fd);
    client_close(&c);
    wait_for(&fixture_counters(f)->tunnels_gone, 1);
    fixture_stop(f);
}

static void test_vanish(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    int before = open_descriptors();
    struct linger hard = {.l_onoff = 1};
    for (int i = 0; i < 50; i++) {
        struct client c = client_open(f);
        client_send(&c, TUNNEL);
        int fd = fixture_wait_taken(f);
        if (i % 2) {
            setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            client_close(&c);
            assert_true(recv(fd, &(char){0}, 1, 0) <= 0);
            close(fd);
        } else {
            close(fd);
            client_assert_closed(&c);
            client_close(&c);
        }
        wait_for(&fixture_counters(f)->tunnels_gone, i + 1);
    }
    for (int i = 0; i < 60000 && open_descriptors() != before; i++)
        usleep(1000);
    assert_int_equal(open_descriptors(), before);
    fixture_stop(f);
}

static void test_drain(void **state)
{
    (void)state;
    struct fixture *f = fixture_start(NULL, NULL);
    struct client c = client_open(f);
    client_send(&c, TUNNEL);
    int fd = fixture_wait_taken(f);
    fixture_drain(f, 100);
    assert_int_equal(send(fd, "bye", 3, 0), 3);
    expect_bytes(c.fd, "bye");
    assert_int_equal(recv(fd, &(char){0}, 1, 0), 0); /* at the deadline */
    fixture_stop(f);
    close(fd);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_through),    cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_slow_sides), cmocka_unit_test(test_vanish),
        cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
