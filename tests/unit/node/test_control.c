/*
 * Who controls a node: one control plane at a time, of one user, and how it learns what runs.
 */
#include "harness.h"

#include "base/cleanup.h"
#include "base/fdio.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRANGER = 65533, MANY = SA_NODE_LIST_MAX + 7 };

static struct node node;

static int start(void **state)
{
    (void)state;
    node_start(&node, 0, SA_TEST_RUNTIME);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    node_finish(&node);
    return 0;
}

/* ---- connections ---- */

/* ECONNRESET: what was sent on it was not read any more. */
static bool is_closed(int socket)
{
    char packet[SA_NODE_MESSAGE_MAX];
    ssize_t n;
    while ((n = recv(socket, packet, sizeof packet, 0)) > 0)
        ;
    return n == 0 || errno == ECONNRESET;
}

static int listed(void)
{
    struct reply r;
    node_answer(&node, node_send(&node, SA_NODE_LIST, NULL), &r);
    assert_int_equal(r.type, SA_NODE_LIST_REPLY);
    return r.ids;
}

/* What the older one asked for is done, and answered to nobody. */
static void test_the_newest_connection_wins(void **state)
{
    struct sa_node_spec first, second;
    struct reply r;
    (void)state;
    spec_default(&first);
    spec_default(&second);
    const int link = node_create(&node, &first, NULL);
    node_send_create(&node, &second);
    const int older = node.socket;
    const uint32_t number = node.call;
    node_connect(&node);
    node.call = 0;
    assert_true(is_closed(older));
    /* The same numbers mean other calls now. */
    for (uint32_t call = 1; call <= number; call++) {
        node_answer(&node, node_send(&node, SA_NODE_INFO, NULL), &r);
        assert_int_equal(r.type, SA_NODE_INFO_REPLY);
        assert_int_equal(r.call, call);
    }
    assert_int_equal(listed(), 2); /* each once */
    node_answer(&node, node_send_id(&node, SA_NODE_ATTACH, second.id), &r);
    assert_int_equal(r.type, SA_NODE_CREATED);
    expect(r.fd, "echo once", "once\n");
    close(r.fd);
    node_answer(&node, node_send_create(&node, &second), &r); /* again: it is there */
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_int_equal(r.error.code, SA_ECONFLICT);
    expect(link, "echo served", "served\n"); /* links do not go through the node */
    node_destroy(&node, first.id);
    node_destroy(&node, second.id);
    assert_int_equal(listed(), 0);
    close(older);
    close(link);
}

static void test_many_connections_in_a_row(void **state)
{
    struct reply r;
    int olds[16];
    (void)state;
    for (size_t i = 0; i < SA_COUNT(olds); i++) {
        olds[i] = node.socket;
        node_connect(&node);
    }
    for (size_t i = 0; i < SA_COUNT(olds); i++) {
        assert_true(is_closed(olds[i]));
        close(olds[i]);
    }
    node_answer(&node, node_send(&node, SA_NODE_INFO, NULL), &r);
    assert_int_equal(r.type, SA_NODE_INFO_REPLY);
}

/* The socket's mode keeps others away; who gets there all the same is refused, and told why. Who
 * has the connection keeps it. */
static void test_somebody_else_is_refused(void **state)
{
    struct reply r;
    (void)state;
    if (geteuid() != 0)
        skip();
    char path[96];
    int report[2];
    snprintf(path, sizeof path, "%s/node.sock", node.folder);
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(pipe(report), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        struct node own = node;
        char text[1024] = "no answer";
        if (setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
            setresuid(STRANGER, STRANGER, STRANGER) < 0)
            _exit(1);
        node_connect(&own);
        if (node_receive(&own, &r, 60000))
            snprintf(text, sizeof text, "%d %d %d %s", (int)r.type, (int)r.call, (int)r.error.code,
                     r.error.message);
        if (!is_closed(own.socket))
            snprintf(text, sizeof text, "it was not closed");
        _exit(sa_write_all(report[1], text, strlen(text) + 1) < 0);
    }
    close(report[1]);
    int status;
    char text[1024] = "", expected[64];
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(read(report[0], text, sizeof text - 1) > 0);
    close(report[0]);
    snprintf(expected, sizeof expected, "%d 0 %d user %d may not control this node", SA_NODE_FAILED,
             SA_EFORBIDDEN, STRANGER);
    if (strncmp(text, expected, strlen(expected)) != 0)
        fail_msg("%s", text);
    node_answer(&node, node_send(&node, SA_NODE_INFO, NULL), &r);
    assert_int_equal(r.type, SA_NODE_INFO_REPLY);
}

/* ---- what runs ---- */

static int list_from(int64_t after, struct reply *r)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_NODE_AFTER, after);
    node_answer(&node, node_send(&node, SA_NODE_LIST, &body), r);
    assert_int_equal(r->type, SA_NODE_LIST_REPLY);
    return r->ids;
}

/* More than one reply holds: in parts, and nobody is doubled or left out when some go meanwhile. */
static void test_list_comes_in_parts(void **state)
{
    static char ids[MANY][SA_ID_BYTES];
    struct reply r;
    (void)state;
    for (int i = 0; i < MANY; i++) {
        struct sa_node_spec spec;
        spec_default(&spec);
        memcpy(ids[i], spec.id, SA_ID_BYTES);
        close(node_create(&node, &spec, NULL));
    }
    assert_int_equal(list_from(0, &r), SA_NODE_LIST_MAX);
    const int64_t more = r.values[SA_NODE_MORE];
    assert_true(more > 0);
    assert_string_equal(r.id, ids[SA_NODE_LIST_MAX - 1]);
    node_destroy(&node, ids[SA_NODE_LIST_MAX - 1]); /* the very one that it stopped at */
    node_destroy(&node, ids[0]);
    assert_int_equal(list_from(more, &r), MANY - SA_NODE_LIST_MAX);
    assert_string_equal(r.id, ids[MANY - 1]);
    assert_int_equal(r.values[SA_NODE_MORE], -1);
    assert_int_equal(list_from(INT64_MAX, &r), 0);
    assert_int_equal(r.values[SA_NODE_MORE], -1);
    assert_int_equal(list_from(-1, &r), SA_NODE_LIST_MAX); /* from the first */
    node_restart(&node);
    int count = 0;
    for (int64_t after = 0; after >= 0; after = r.values[SA_NODE_MORE])
        count += list_from(after, &r);
    assert_int_equal(count, MANY - 2);
}

/* What is in force, after a node that came back, without a new link. */
static void test_facts(void **state)
{
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    spec_default(&spec);
    const int link = node_create(&node, &spec, NULL);
    node_answer(&node, node_send_id(&node, SA_NODE_FACTS, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_FACTS_REPLY);
    assert_string_equal(r.id, spec.id);
    assert_int_equal(r.fd, -1);
    assert_non_null(strstr(r.controls, " seccomp.notify "));
    assert_null(strstr(r.weaker, "seccomp.notify: "));
    node_restart(&node);
    node_answer(&node, node_send_id(&node, SA_NODE_FACTS, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_FACTS_REPLY);
    assert_null(strstr(r.controls, " seccomp.notify "));
    assert_non_null(strstr(r.controls, " seccomp "));
    assert_non_null(strstr(r.weaker, "seccomp.notify: "));
    expect(link, "echo the same link", "the same link\n");
    node_answer(&node, node_send_id(&node, SA_NODE_FACTS, "sb-nobody"), &r);
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_int_equal(r.error.code, SA_ENOTFOUND);
    close(link);
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(test_the_newest_connection_wins),
        WITH_NODE(test_many_connections_in_a_row),
        WITH_NODE(test_somebody_else_is_refused),
        WITH_NODE(test_list_comes_in_parts),
        WITH_NODE(test_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
