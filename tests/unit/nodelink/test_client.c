/*
 * The client over a server of the test's, in one loop: the node goes and comes back, or will not
 * have this user. Every call is answered once, and events keep their order.
 */
#include "nodelink/client.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_TICKS = 60000, HEARD_MAX = 64 };

struct world {
    uv_loop_t loop;
    uv_timer_t tick; /* so that waiting ends */
    char folder[64], path[96];
    int listener, socket; /* -1: none */
    struct sa_node_client *client;
    unsigned connected, closed;
    size_t heard_count;
    int64_t heard[HEARD_MAX]; /* of events: their numbers */
    int waiting;              /* calls that are not answered */
};

struct call {
    struct world *w;
    int answers;
    enum sa_code code; /* SA_OK: a reply */
    char message[512];
    int64_t value;
};

static void nothing(uv_timer_t *timer)
{
    (void)timer;
}

static void on_event(void *owner, enum sa_node_type type, struct sa_fields *fields)
{
    struct world *w = owner;
    struct sa_field f;
    assert_int_equal(type, SA_NODE_OOM);
    assert_true(w->heard_count < HEARD_MAX);
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_OOM_KILLS)
            assert_int_equal(sa_field_int(&f, &w->heard[w->heard_count], NULL), 0);
    w->heard_count++;
}

static void on_connected(void *owner)
{
    ((struct world *)owner)->connected++;
}

static void on_closed(void *owner)
{
    struct world *w = owner;
    w->closed++;
    assert_int_equal(w->waiting, 0);
}

static const struct sa_node_client_events events = {on_event, on_connected, on_closed};

static int setup(void **state)
{
    struct world *w = sa_alloc(sizeof *w);
    w->listener = w->socket = -1;
    snprintf(w->folder, sizeof w->folder, "/tmp/sa-client-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/node.sock", w->folder);
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->tick);
    uv_timer_start(&w->tick, nothing, 1, 1);
    w->client = sa_node_client_new(&w->loop, w->path, &events, w);
    *state = w;
    return 0;
}

static void hang_up(struct world *w)
{
    if (w->socket >= 0)
        close(sa_steal_fd(&w->socket));
}

/* The node is gone, and nobody holds its socket. */
static void stop_server(struct world *w)
{
    hang_up(w);
    if (w->listener >= 0)
        close(sa_steal_fd(&w->listener));
    unlink(w->path);
}

static int teardown(void **state)
{
    struct world *w = *state;
    sa_node_client_free(w->client);
    stop_server(w);
    uv_close((uv_handle_t *)&w->tick, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(w->waiting, 0);
    rmdir(w->folder);
    free(w);
    return 0;
}

static void turn(struct world *w)
{
    uv_run(&w->loop, UV_RUN_ONCE);
}

#define WAIT(w, condition)                                                                         \
    for (int ticks_ = 0; !(condition); turn(w))                                                    \
    assert_true(ticks_++ < PATIENCE_TICKS)

static void start_server(struct world *w)
{
    sa_autoclose int folder = open(w->folder, O_PATH | O_CLOEXEC);
    w->listener = sa_unix_bind(folder, "node.sock", SOCK_SEQPACKET | SOCK_NONBLOCK);
    assert_true(w->listener >= 0);
    assert_int_equal(listen(w->listener, 4), 0);
}

static void say(struct world *w, enum sa_node_type type, uint32_t call, const struct sa_buf *body)
{
    sa_autobuf out = SA_BUF_INIT;
    sa_node_message(&out, type, call);
    if (body)
        sa_buf_add(&out, body->data, body->length);
    assert_int_equal(send(w->socket, out.data, out.length, MSG_NOSIGNAL), out.length);
}

static void answer(struct world *w, uint32_t call, int64_t value)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_NODE_CPU_US, value);
    say(w, SA_NODE_STATS_REPLY, call, &body);
}

static void tell(struct world *w, int64_t number)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_NODE_OOM_KILLS, number);
    say(w, SA_NODE_OOM, 0, &body);
}

static void take_connection(struct world *w)
{
    WAIT(w, (w->socket = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
}

static void take_and_greet(struct world *w)
{
    const unsigned before = w->connected;
    take_connection(w);
    say(w, SA_NODE_READY, 0, NULL);
    WAIT(w, w->connected > before);
    assert_true(sa_node_client_is_open(w->client));
}

/* The number of the next request. */
static uint32_t request(struct world *w)
{
    char packet[SA_NODE_MESSAGE_MAX];
    enum sa_node_type type;
    struct sa_fields fields;
    uint32_t call;
    ssize_t n;
    WAIT(w, (n = recv(w->socket, packet, sizeof packet, MSG_DONTWAIT)) > 0);
    assert_int_equal(sa_node_parse(packet, (size_t)n, &type, &call, &fields, NULL), 0);
    assert_int_equal(type, SA_NODE_STATS);
    return call;
}

static void on_done(void *user, struct sa_node_reply *reply)
{
    struct call *call = user;
    struct sa_field f;
    call->answers++;
    call->w->waiting--;
    call->code = reply->error ? reply->error->code : SA_OK;
    snprintf(call->message, sizeof call->message, "%s", reply->error ? reply->error->message : "");
    while (sa_fields_next(&reply->fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_CPU_US)
            assert_int_equal(sa_field_int(&f, &call->value, NULL), 0);
}

static void ask(struct world *w, struct call *call)
{
    sa_autobuf body = SA_BUF_INIT;
    *call = (struct call){.w = w};
    w->waiting++;
    sa_fields_add_text(&body, SA_NODE_ID, "sb-aaaaaaaaaaaaaaaaaaaa");
    sa_node_call(w->client, SA_NODE_STATS, &body, on_done, call);
    assert_int_equal(call->answers, 0); /* never from within */
}

/* ---- tests ---- */

static void test_calls_while_nobody_is_there(void **state)
{
    struct world *w = *state;
    struct call calls[8];
    for (size_t i = 0; i < SA_COUNT(calls); i++)
        ask(w, &calls[i]);
    WAIT(w, w->waiting == 0);
    for (size_t i = 0; i < SA_COUNT(calls); i++) {
        assert_int_equal(calls[i].answers, 1);
        assert_int_equal(calls[i].code, SA_EUNAVAILABLE);
        assert_non_null(strstr(calls[i].message, "not reachable"));
    }
    assert_int_equal(w->connected, 0);
    assert_int_equal(w->closed, 0);
}

static void test_it_goes_and_comes_back(void **state)
{
    struct world *w = *state;
    for (unsigned round = 1; round <= 9; round++) {
        struct call open, away, after;
        start_server(w);
        take_and_greet(w);
        assert_int_equal(w->connected, round);
        ask(w, &open);
        request(w);
        stop_server(w);
        WAIT(w, w->closed == round);
        assert_int_equal(open.answers, 1); /* before `closed`, and never again */
        assert_int_equal(open.code, SA_EUNAVAILABLE);
        assert_false(sa_node_client_is_open(w->client));
        ask(w, &away);
        WAIT(w, away.answers == 1);
        assert_int_equal(away.code, SA_EUNAVAILABLE);
        start_server(w);
        take_and_greet(w);
        assert_int_equal(w->connected, ++round);
        ask(w, &after);
        const uint32_t number = request(w); /* nothing of before is sent again */
        answer(w, number - 1, 1);           /* to a call of the connection before */
        answer(w, number, 42);
        answer(w, number, 43);
        WAIT(w, after.answers);
        assert_int_equal(after.value, 42);
        tell(w, 1);
        WAIT(w, w->heard_count == round / 2);
        assert_int_equal(after.answers + away.answers + open.answers, 3);
        stop_server(w);
        WAIT(w, w->closed == round);
    }
}

static void test_events_keep_their_order(void **state)
{
    struct world *w = *state;
    struct call call;
    start_server(w);
    take_and_greet(w);
    for (int i = 0; i < 20; i++)
        tell(w, i);
    ask(w, &call);
    answer(w, request(w), 7);
    for (int i = 20; i < 40; i++)
        tell(w, i);
    hang_up(w); /* what was sent before the end is heard before `closed` */
    WAIT(w, w->closed == 1);
    assert_int_equal(w->heard_count, 40);
    take_and_greet(w); /* the same server: somebody restarted the node */
    for (int i = 40; i < 60; i++)
        tell(w, i);
    WAIT(w, w->heard_count == 60);
    for (int i = 0; i < 60; i++)
        assert_int_equal(w->heard[i], i);
    assert_int_equal(call.value, 7);
}

/* A socket that takes connections is no node before it says READY. */
static void test_nothing_counts_before_ready(void **state)
{
    struct world *w = *state;
    struct call call;
    start_server(w);
    take_connection(w);
    tell(w, 1);
    answer(w, 1, 5);
    ask(w, &call);
    WAIT(w, call.answers == 1);
    assert_int_equal(call.code, SA_EUNAVAILABLE);
    hang_up(w);
    take_and_greet(w);
    assert_int_equal(w->connected, 1);
    assert_int_equal(w->closed, 0);
    assert_int_equal(w->heard_count, 0);
}

static void test_a_refusal_is_told(void **state)
{
    struct world *w = *state;
    struct call call;
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error why = {0};
    start_server(w);
    take_connection(w);
    sa_error_set(&why, SA_EFORBIDDEN, "user 7 may not control this node");
    sa_fields_add_error(&body, SA_NODE_ERROR, &why);
    say(w, SA_NODE_FAILED, 0, &body);
    hang_up(w);
    take_connection(w); /* it tries again; what was said before has been read */
    ask(w, &call);
    WAIT(w, call.answers == 1);
    assert_int_equal(call.code, SA_EUNAVAILABLE);
    assert_non_null(strstr(call.message, "user 7 may not control this node"));
    assert_int_equal(w->connected, 0);
    say(w, SA_NODE_READY, 0, NULL); /* and is taken in the end */
    WAIT(w, w->connected == 1);
    hang_up(w);
    WAIT(w, w->closed == 1);
    ask(w, &call);
    WAIT(w, call.answers == 1);
    assert_null(strstr(call.message, "user 7"));
}

static void test_forgotten_and_freed(void **state)
{
    struct world *w = *state;
    struct call forgotten, open;
    start_server(w);
    take_and_greet(w);
    ask(w, &forgotten);
    ask(w, &open);
    sa_node_forget(w->client, &forgotten);
    w->waiting--;
    answer(w, request(w), 1);
    request(w);
    sa_node_client_free(w->client);
    w->client = NULL;
    assert_int_equal(open.answers, 1); /* at its end, not later */
    assert_int_equal(open.code, SA_EUNAVAILABLE);
    assert_int_equal(forgotten.answers, 0);
    assert_int_equal(w->closed, 0);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_calls_while_nobody_is_there), IN_WORLD(test_it_goes_and_comes_back),
        IN_WORLD(test_events_keep_their_order),     IN_WORLD(test_nothing_counts_before_ready),
        IN_WORLD(test_a_refusal_is_told),           IN_WORLD(test_forgotten_and_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
