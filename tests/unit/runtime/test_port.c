/* PORT_CONNECT and PORT_LIST, with servers that run inside. */
#include "box.h"

#include "base/arena.h"

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, NULL);
    return 0;
}

static struct reply *connect_to(int64_t port)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_PORT_NUMBER, port);
    return box_open(&box, SA_METHOD_PORT_CONNECT, &body);
}

/* A server in Python: `body` has the listening socket s; it prints its port once it listens. */
static struct reply *serve(const char *family, const char *address, const char *body, int *port)
{
    char script[2000];
    snprintf(script, sizeof script,
             "import socket, sys, time\n"
             "s = socket.socket(socket.%s); s.bind(('%s', 0)); s.listen(8)\n"
             "print(s.getsockname()[1], flush=True)\n%s\n",
             family, address, body);
    struct reply *r = exec_start(&box, "python3", "-c", script, NULL);
    reply_wait_bytes(r, SA_CHANNEL_OUT, 2);
    while (!strchr(r->out[1].data, '\n'))
        reply_wait_bytes(r, SA_CHANNEL_OUT, r->got[1] + 1);
    *port = atoi(r->out[1].data);
    return r;
}

static void end(struct reply *server)
{
    if (!server->ended)
        sa_stream_cancel(server->stream);
    reply_wait(server);
    reply_free(server);
}

static const char echo[] = "c, _ = s.accept()\n"
                           "while True:\n"
                           "  d = c.recv(65536)\n"
                           "  if not d: break\n"
                           "  c.sendall(d)\n"
                           "c.sendall(b'bye'); c.close()";

static void echo_with(const char *family, const char *address)
{
    int port;
    struct reply *server = serve(family, address, echo, &port), *r = connect_to(port);
    reply_send(r, "hello ", 6, false);
    reply_wait_bytes(r, SA_CHANNEL_OUT, 6);
    assert_int_equal(body_int(&r->notes, SA_PORT_NUMBER), port);
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    reply_wait(r);
    assert_false(r->failed);
    assert_out(r, "hello bye");
    assert_true(r->eof[SA_CHANNEL_OUT]);
    reply_free(r);
    end(server);
}

static void test_echo(void **state)
{
    (void)state;
    echo_with("AF_INET", "127.0.0.1");
}

static void test_echo_on_ipv6(void **state)
{
    (void)state;
    echo_with("AF_INET6", "::1");
}

static void test_end_of_input_at_once(void **state)
{
    (void)state;
    int port;
    struct reply *server = serve("AF_INET", "127.0.0.1", echo, &port), *r = connect_to(port);
    reply_send(r, "x", 1, true); /* before it is connected */
    reply_wait(r);
    assert_false(r->failed);
    assert_out(r, "xbye");
    reply_free(r);
    end(server);
}

/* The server has said everything, and the opener goes on. */
static void test_half_close_by_the_server(void **state)
{
    (void)state;
    int port;
    struct reply *server = serve("AF_INET", "127.0.0.1",
                                 "c, _ = s.accept(); c.sendall(b'all'); c.shutdown(1)\n"
                                 "d = b''\n"
                                 "while len(d) < 300000: d += c.recv(65536)\n"
                                 "print('got', len(d), c.recv(1))",
                                 &port);
    static char bulk[300000];
    struct reply *r = connect_to(port);
    reply_wait_bytes(r, SA_CHANNEL_OUT, 3);
    reply_send(r, bulk, sizeof bulk, true);
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
    reply_wait(server);
    assert_non_null(strstr(server->out[1].data, "got 300000 b''"));
    reply_free(server);
}

static void test_back_pressure(void **state)
{
    (void)state;
    int port;
    struct reply *server = serve("AF_INET", "127.0.0.1",
                                 "c, _ = s.accept(); c.sendall(bytes(20000000)); c.close()", &port);
    struct reply *r = connect_to(port);
    r->hold = r->discard = true;
    reply_wait_bytes(r, SA_CHANNEL_OUT, 500000);
    box_idle(&box, 50);
    assert_true(r->got[SA_CHANNEL_OUT] <= SA_LINK_WINDOW_BYTES);
    assert_string_equal(shell_out(&box, "echo alive"), "alive\n");
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    sa_stream_eof(r->stream, SA_CHANNEL_IN);
    reply_wait(r);
    assert_false(r->failed);
    assert_int_equal(r->got[SA_CHANNEL_OUT], 20000000);
    reply_free(r);
    end(server);
}

static void test_server_that_does_not_read(void **state)
{
    (void)state;
    int port;
    static char bulk[8000000];
    struct reply *server = serve("AF_INET", "127.0.0.1",
                                 "c, _ = s.accept(); sys.stdin.readline()\n"
                                 "n = 0\n"
                                 "while d := c.recv(65536): n += len(d)\n"
                                 "c.sendall(b'%d' % n)",
                                 &port);
    struct reply *r = connect_to(port);
    reply_send(r, bulk, sizeof bulk, true);
    reply_wait(r);
    assert_out(r, "8000000");
    reply_free(r);
    end(server);
}

static void test_cancel_resets(void **state)
{
    (void)state;
    int port;
    struct reply *server = serve("AF_INET", "127.0.0.1",
                                 "c, _ = s.accept(); c.sendall(b'up')\n"
                                 "try: print(c.recv(1))\n"
                                 "except ConnectionResetError: print('reset')",
                                 &port);
    struct reply *r = connect_to(port);
    reply_wait_bytes(r, SA_CHANNEL_OUT, 2);
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_int_equal(r->error.code, SA_ECANCELED);
    reply_free(r);
    reply_wait(server);
    assert_non_null(strstr(server->out[1].data, "reset"));
    reply_free(server);
}

static void test_reset_by_the_server(void **state)
{
    (void)state;
    int port;
    struct reply *server = serve("AF_INET", "127.0.0.1",
                                 "import struct\nc, _ = s.accept()\n"
                                 "c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, "
                                 "struct.pack('ii', 1, 0)); c.close()",
                                 &port);
    struct reply *r = connect_to(port);
    reply_wait(r);
    assert_failed(r, SA_EUNAVAILABLE, "port "); /* already while it is made, or later */
    reply_free(r);
    end(server);
}

/* The server is gone altogether, and the opener still writes. */
static void test_writing_to_a_server_that_left(void **state)
{
    (void)state;
    int port;
    static char bulk[2000000];
    struct reply *server =
        serve("AF_INET", "127.0.0.1", "c, _ = s.accept(); c.sendall(b'x'); c.close()", &port);
    struct reply *r = connect_to(port);
    reply_wait_bytes(r, SA_CHANNEL_OUT, 1);
    reply_wait(server);
    reply_free(server);
    reply_send(r, bulk, sizeof bulk, false);
    reply_wait(r);
    assert_false(r->failed);
    reply_free(r);
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct reply *r = connect_to(1);
    reply_wait(r);
    assert_failed(r, SA_EUNAVAILABLE, "nobody listens");
    assert_int_equal(r->note_count, 0);
    reply_free(r);
}

static void test_bad_numbers(void **state)
{
    (void)state;
    const int64_t bad[] = {0, -1, 65536, INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct reply *r = connect_to(bad[i]);
        reply_wait(r);
        assert_failed(r, SA_EINVALID, "is not from 1 to 65535");
        reply_free(r);
    }
}

/* Its backlog is full and it accepts nobody: others are not kept waiting. */
static void test_server_that_does_not_accept(void **state)
{
    (void)state;
    int port;
    struct reply *many[64];
    struct reply *server = serve("AF_INET", "127.0.0.1", "s.listen(0)\ntime.sleep(1000)", &port);
    for (int i = 0; i < 64; i++)
        many[i] = connect_to(port);
    assert_string_equal(shell_out(&box, "echo alive"), "alive\n");
    for (int i = 0; i < 64; i++)
        sa_stream_cancel(many[i]->stream);
    for (int i = 0; i < 64; i++) {
        reply_wait(many[i]);
        assert_true(many[i]->failed);
        reply_free(many[i]);
    }
    end(server);
}

/* The entry of a port in a PORT_LIST; false when it is not there. */
static bool find_port(const struct reply *r, int port, struct sa_buf *out)
{
    struct sa_fields reader;
    struct sa_field f;
    sa_fields_init(&reader, r->result.data, r->result.length);
    while (sa_fields_next(&reader, &f, NULL) > 0) {
        assert_int_equal(f.tag, SA_PORT_LISTENER);
        out->length = 0;
        sa_buf_add(out, f.data, f.length);
        if (body_int(out, SA_PORT_NUMBER) == port)
            return true;
    }
    return false;
}

static void test_list(void **state)
{
    (void)state;
    int port, port6;
    sa_autobuf entry = SA_BUF_INIT;
    struct reply *server = serve("AF_INET", "127.0.0.1",
                                 "open('/proc/self/comm', 'w').write('na\\x01me')\n"
                                 "print('named', flush=True); time.sleep(1000)",
                                 &port);
    struct reply *server6 = serve("AF_INET6", "::", "time.sleep(1000)", &port6);
    while (!strstr(server->out[1].data, "named"))
        reply_wait_bytes(server, SA_CHANNEL_OUT, server->got[1] + 1);
    struct reply *r = box_open(&box, SA_METHOD_PORT_LIST, NULL);
    reply_wait(r);
    assert_true(find_port(r, port, &entry));
    assert_string_equal(body_text(&entry, SA_PORT_ADDRESS), "127.0.0.1");
    assert_string_equal(body_text(&entry, SA_PORT_PROGRAM), "na?me");
    assert_int_equal(body_int(&entry, SA_PORT_PID), body_int(&server->notes, SA_EXEC_PID));
    assert_true(find_port(r, port6, &entry));
    assert_string_equal(body_text(&entry, SA_PORT_ADDRESS), "::");
    reply_free(r);
    end(server);
    end(server6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_echo_on_ipv6),
        cmocka_unit_test(test_end_of_input_at_once),
        cmocka_unit_test(test_half_close_by_the_server),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_server_that_does_not_read),
        cmocka_unit_test(test_cancel_resets),
        cmocka_unit_test(test_reset_by_the_server),
        cmocka_unit_test(test_writing_to_a_server_that_left),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_bad_numbers),
        cmocka_unit_test(test_server_that_does_not_accept),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
