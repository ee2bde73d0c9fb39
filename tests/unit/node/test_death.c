/* What is left when a node or a runtime ends the hard way. */
#include "harness.h"

#include "native/native.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 20 };

/* Processes whose command line holds this text. */
static int running(const char *text)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; (e = readdir(proc));) {
        char path[300], line[256];
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        size_t n = fread(line, 1, sizeof line - 1, file);
        line[n] = '\0';
        for (size_t i = 0; i + 1 < n; i++)
            if (!line[i])
                line[i] = ' ';
        count += strstr(line, text) != NULL;
        fclose(file);
    }
    closedir(proc);
    return count;
}

static bool soon(const char *text, int expected)
{
    for (int i = 0; i < 6000; i++, usleep(10000))
        if (running(text) == expected)
            return true;
    return false;
}

static void start_many(struct node *node, uid_t uid, char *mark, size_t size)
{
    static int number = 7000;
    struct sa_node_spec spec;
    node_start(node, uid, SA_TEST_RUNTIME);
    snprintf(mark, size, "sleep %d.%d", number++, (int)getpid());
    for (int i = 0; i < MANY; i++) {
        char command[128];
        spec_default(&spec);
        int link = node_create(node, &spec, NULL);
        snprintf(command, sizeof command, "setsid %s & echo", mark);
        run(link, NULL, 0, "%s", command);
        /* The link stays open: it must not be what ends them. */
    }
    assert_true(soon(mark, MANY));
}

/* The sandboxes outlive it; the next one has them, and takes them along. */
static void killed_node(uid_t uid)
{
    struct node node;
    struct reply r;
    char mark[64];
    start_many(&node, uid, mark, sizeof mark);
    node_restart(&node);
    node_answer(&node, node_send(&node, SA_NODE_INFO, NULL), &r);
    assert_int_equal(running(mark), MANY);
    node_finish(&node);
    assert_true(soon(mark, 0));
}

/* Version 1 does not let frozen processes die: the next node thaws them. */
static void test_killed_node_with_a_frozen_sandbox(void **state)
{
    struct node node, next;
    struct sa_node_spec spec;
    struct reply r;
    (void)state;
    if (geteuid() != 0)
        skip();
    node_start(&node, 0, SA_TEST_RUNTIME);
    spec_default(&spec);
    int link = node_create(&node, &spec, NULL);
    pid_t pid = host_pid(&node);
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    kill(node.pid, SIGKILL);
    waitpid(node.pid, NULL, 0);
    node_start_named(&next, 0, SA_TEST_RUNTIME, node.state);
    node_answer(&next, node_send(&next, SA_NODE_INFO, NULL), &r);
    char now[32] = "?";
    for (int i = 0; i < 6000 && *now && *now != 'Z'; i++, usleep(10000))
        status_line(pid, "State:", now, sizeof now);
    assert_true(!*now || *now == 'Z'); /* gone, or waiting for the host's init */
    close(link);
    node_forget(&node);
    node_finish(&next);
}

static void test_killed_node(void **state)
{
    (void)state;
    killed_node(0);
}

static void test_killed_node_unprivileged(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    killed_node(65534);
}

/* A name that nobody uses again: any later node of the user removes the empty groups. */
static void test_groups_of_another_name(void **state)
{
    struct node node, next;
    struct reply r;
    (void)state;
    node_start(&node, 0, SA_TEST_RUNTIME);
    node_answer(&node, node_send(&node, SA_NODE_INFO, NULL), &r);
    kill(node.pid, SIGKILL);
    waitpid(node.pid, NULL, 0);
    /* Who has no name any more may still be in its groups for a while. */
    node_start(&next, 0, SA_TEST_RUNTIME);
    node_answer(&next, node_send(&next, SA_NODE_INFO, NULL), &r);
    for (int i = 0; i < 100 && cgroups_left(node.state); i++) {
        node_finish(&next);
        usleep(100000);
        node_start(&next, 0, SA_TEST_RUNTIME);
        node_answer(&next, node_send(&next, SA_NODE_INFO, NULL), &r);
    }
    assert_int_equal(cgroups_left(node.state), 0);
    assert_int_equal(cgroups_left(next.state) > 0, geteuid() == 0);
    node_forget(&node);
    node_finish(&next);
}

static void on_failed(void *owner, const char *id, uint32_t call, const struct sa_error *why)
{
    (void)owner;
    (void)id;
    (void)call;
    (void)why;
}

/* A driver of another name, which looks at what others left all the time; its pid. */
static pid_t start_looking(struct node *folder)
{
    static const struct sa_native_events events = {.failed = on_failed};
    char state[64], path[128], state_dir[128];
    const pid_t pid = fork();
    if (pid)
        return pid;
    snprintf(state, sizeof state, "test-%d-looks", (int)getpid());
    snprintf(path, sizeof path, "%s/runtime", folder->folder);
    snprintf(state_dir, sizeof state_dir, "%s/looks", folder->folder);
    struct sa_error why = {0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    const struct sa_native_options options = {
        .runtime_path = path, .state = state, .state_dir = state_dir, .strays_ms = 50};
    if (!sa_native_start(&loop, &options, &events, NULL, &why))
        _exit(1);
    uv_run(&loop,
           UV_RUN_DEFAULT); /* nothing keeps it but the timer: it ends when nothing is left */
    _exit(0);
}

/* A node that never comes back: what is frozen could not even notice. Whoever comes next lets it
 * go on, so that it ends when it has been alone for too long; and then takes its groups away. */
static void test_frozen_sandbox_of_a_node_that_never_returns(void **state)
{
    struct node node, other;
    struct sa_node_spec spec;
    struct reply r;
    int status;
    (void)state;
    if (geteuid() != 0)
        skip();
    node_start(&node, 0, SA_TEST_RUNTIME);
    node_start(&other, 0, SA_TEST_RUNTIME); /* one that runs: what it has stays frozen */
    spec_default(&spec);
    const int link = node_create(&node, &spec, NULL);
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    struct sa_node_spec paused;
    spec_default(&paused);
    const int kept = node_create(&other, &paused, NULL);
    node_answer(&other, node_send_id(&other, SA_NODE_FREEZE, paused.id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    kill(node.pid, SIGKILL);
    waitpid(node.pid, NULL, 0);
    const pid_t looks = start_looking(&node);
    expect(link, "echo goes on", "goes on\n");
    assert_int_equal(waitpid(looks, &status, WNOHANG), 0); /* it has to look again */
    node_answer(&other, node_send_id(&other, SA_NODE_FACTS, paused.id), &r);
    assert_int_equal(r.values[SA_NODE_FROZEN], 1);
    assert_int_equal(write(link, "!end\n", 5), 5); /* as PID 1 does when it is an orphan */
    assert_int_equal(waitpid(looks, &status, 0), looks);
    assert_int_equal(status, 0);
    assert_int_equal(cgroups_of(node.state, spec.id), 0);
    node_answer(&other, node_send_id(&other, SA_NODE_FACTS, paused.id), &r);
    assert_int_equal(r.values[SA_NODE_FROZEN], 1);
    node_destroy(&other, paused.id);
    close(link);
    close(kept);
    node_finish(&other);
    node_start_named(&other, 0, SA_TEST_RUNTIME, node.state); /* takes the last folder along */
    node_finish(&other);
    node_forget(&node);
}

static void test_terminated_node(void **state)
{
    struct node node;
    char mark[64];
    (void)state;
    start_many(&node, 0, mark, sizeof mark);
    kill(node.pid, SIGTERM);
    assert_int_equal(node_wait(&node), 0);
    assert_int_equal(running(mark), 0); /* at once: it waited for them */
    assert_int_equal(cgroups_left(node.state), 0);
    node_forget(&node);
}

static void test_second_node_of_a_name(void **state)
{
    struct node node, second;
    struct reply r;
    (void)state;
    node_start(&node, 0, SA_TEST_RUNTIME);
    node_answer(&node, node_send(&node, SA_NODE_INFO, NULL), &r);
    assert_int_equal(r.type, SA_NODE_INFO_REPLY);
    node_start_named(&second, 0, SA_TEST_RUNTIME, node.state);
    assert_int_equal(node_wait(&second), 1);
    node_forget(&second);
    node_finish(&node);
}

/* A runtime that cannot be executed: the step is named, and nothing stays. */
static void test_runtime_that_is_no_program(void **state)
{
    struct node node;
    struct sa_node_spec spec;
    struct reply r;
    char path[] = "/tmp/sa-not-a-program-XXXXXX";
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "data\n", 5), 5);
    close(fd);
    node_start(&node, 0, path);
    unlink(path);
    spec_default(&spec);
    node_answer(&node, node_send_create(&node, &spec), &r);
    assert_int_equal(r.type, SA_NODE_FAILED);
    assert_string_equal(r.error.path, "exec");
    assert_int_equal(r.error.sys_errno, 8 /* ENOEXEC */);
    assert_int_equal(cgroups_of(node.state, spec.id), 0);
    node_finish(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_node),
        cmocka_unit_test(test_killed_node_unprivileged),
        cmocka_unit_test(test_groups_of_another_name),
        cmocka_unit_test(test_killed_node_with_a_frozen_sandbox),
        cmocka_unit_test(test_frozen_sandbox_of_a_node_that_never_returns),
        cmocka_unit_test(test_terminated_node),
        cmocka_unit_test(test_second_node_of_a_name),
        cmocka_unit_test(test_runtime_that_is_no_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
