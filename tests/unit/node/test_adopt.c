/*
 * What the next node believes of the state folder: only the truth. As root, and when that is so,
 * again as an unprivileged user.
 */
#include "harness.h"

#include "profiles.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/unix.h"
#include "native/adopt.h"
#include "native/folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static struct node node;
static uid_t as_uid; /* 0: as we are */
static pid_t bystander;

static bool privileged(void)
{
    return geteuid() == 0 && as_uid == 0;
}

/* A process of the host that has nothing to do with sandboxes, of the node's user. */
static int start(void **state)
{
    (void)state;
    node_start(&node, as_uid, SA_TEST_RUNTIME);
    bystander = fork();
    if (bystander == 0) {
        if (as_uid && (setgid(as_uid) < 0 || setuid(as_uid) < 0))
            _exit(1);
        for (;;)
            pause();
    }
    return 0;
}

static int finish(void **state)
{
    (void)state;
    node_finish(&node);
    kill(bystander, SIGKILL);
    waitpid(bystander, NULL, 0);
    return 0;
}

static int state_folder(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/state", node.folder);
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void load(int folder, const char *id, struct sa_record *record)
{
    sa_autobuf body = SA_BUF_INIT;
    assert_int_equal(sa_read_file(folder, id, SA_RECORD_BYTES_MAX, &body, NULL), 0);
    assert_int_equal(sa_record_decode(body.data, body.length, record, NULL), 0);
}

static void put(int folder, const char *name, const void *data, size_t length)
{
    sa_autoclose int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(sa_write_all(fd, data, length), 0);
    if (as_uid)
        assert_int_equal(fchown(fd, as_uid, as_uid), 0);
}

static void save(int folder, const struct sa_record *record)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_record_encode(record, &body);
    put(folder, record->id, body.data, body.length);
}

static void await_end(pid_t pid)
{
    char now[32] = "?";
    for (int i = 0; i < 6000 && *now && *now != 'Z'; i++, usleep(10000))
        status_line(pid, "State:", now, sizeof now);
    assert_true(!*now || *now == 'Z'); /* gone, or waiting for the host's init */
}

static void lives(pid_t pid)
{
    char now[32];
    status_line(pid, "State:", now, sizeof now);
    assert_true(*now && *now != 'Z');
}

/* How many the node says it runs. */
static int listed(void)
{
    struct reply r;
    node_answer(&node, node_send(&node, SA_NODE_LIST, NULL), &r);
    assert_int_equal(r.type, SA_NODE_LIST_REPLY);
    return r.ids;
}

static bool is_there(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int create(struct sa_node_spec *spec, pid_t *pid)
{
    spec_default(spec);
    const int link = node_create(&node, spec, NULL);
    *pid = host_pid(&node);
    assert_true(*pid > 0);
    return link;
}

static void kill_node(void)
{
    kill(node.pid, SIGKILL);
    waitpid(node.pid, NULL, 0);
}

/* ---- pids ---- */

/* The record's process has ended, and its pid is somebody else's now: `forged` says whether even
 * the time of birth is that of the other. */
static void somebody_elses_pid(bool forged)
{
    struct sa_node_spec spec;
    struct sa_record record;
    pid_t pid;
    const int link = create(&spec, &pid);
    sa_autoclose int folder = state_folder();
    kill_node();
    load(folder, spec.id, &record);
    assert_int_equal(record.pid, pid);
    assert_int_equal(record.start, sa_process_start(pid));
    kill(pid, SIGKILL);
    await_end(pid);
    record.pid = bystander;
    if (forged)
        record.start = sa_process_start(bystander);
    else
        record.start = sa_process_start(bystander) + 1;
    save(folder, &record);
    node_restart(&node);
    assert_int_equal(listed(), 0);
    lives(bystander);
    assert_false(is_there(folder, spec.id));
    assert_int_equal(cgroups_of(node.state, spec.id), 0);
    close(link);
}

static void test_pid_that_was_used_again(void **state)
{
    (void)state;
    somebody_elses_pid(false);
}

static void test_pid_and_time_of_somebody_else(void **state)
{
    (void)state;
    somebody_elses_pid(true);
}

/* A sandbox whose record speaks of another time, life of the host, or range is not taken. */
static void test_record_that_is_not_its_own(void **state)
{
    (void)state;
    for (int what = 0; what < 3; what++) {
        struct sa_node_spec spec;
        struct sa_record record;
        pid_t pid;
        const int link = create(&spec, &pid);
        sa_autoclose int folder = state_folder();
        kill_node();
        load(folder, spec.id, &record);
        if (what == 0)
            record.start++;
        else if (what == 1)
            record.boot[0] = record.boot[0] == '0' ? '1' : '0';
        else
            record.uid_base = record.uid_base ? 0 : 0x60000000;
        save(folder, &record);
        node_restart(&node);
        assert_int_equal(listed(), 0);
        assert_false(is_there(folder, spec.id));
        lives(bystander);
        if (!privileged()) /* no group tells which processes were of a sandbox */
            kill(pid, SIGKILL);
        await_end(pid);
        assert_int_equal(cgroups_of(node.state, spec.id), 0);
        struct sa_profile profile;
        struct reply r;
        profile_default(&profile);
        node_profile(&node, &profile, &r);
        sa_profile_deinit(&profile);
        close(link);
    }
}

/* ---- bytes ---- */

static void make_strange(int folder, const struct sa_record *truth)
{
    static char much[2 * SA_RECORD_BYTES_MAX];
    sa_autobuf body = SA_BUF_INIT;
    char name[64];
    struct sa_record twin = *truth;
    sa_record_encode(truth, &body);
    for (size_t i = 0; i < 64; i++) { /* cut short, everywhere */
        snprintf(name, sizeof name, "sb-cut%zu", i);
        put(folder, name, body.data, body.length * i / 64);
    }
    for (size_t i = 0; i < 64; i++) { /* turned over */
        sa_autobuf bad = SA_BUF_INIT;
        sa_buf_add(&bad, body.data, body.length);
        bad.data[body.length * i / 64] ^= 0x55;
        snprintf(name, sizeof name, "sb-bad%zu", i);
        put(folder, name, bad.data, bad.length);
    }
    put(folder, "sb-much", much, sizeof much);
    put(folder, "sb-another", body.data, body.length); /* it says another id */
    put(folder, "no record", body.data, body.length);
    put(folder, "sb-half:new", body.data, body.length);
    snprintf(twin.id, sizeof twin.id, "sb-twin");
    twin.pid = bystander;
    save(folder, &twin);
    assert_int_equal(mkfifoat(folder, "sb-pipe", 0600), 0);
    assert_int_equal(symlinkat("/etc/passwd", folder, "sb-link"), 0);
    assert_int_equal(symlinkat(truth->id, folder, "sb-loop"), 0);
    sa_autoclose int door = sa_unix_bind(folder, "sb-nobody:door", SOCK_DGRAM);
    assert_true(door >= 0);
}

static int entries(int folder)
{
    sa_autofree struct sa_record *records = sa_alloc(SA_NATIVE_SANDBOXES_MAX * sizeof *records);
    return (int)sa_folder_load(folder, records, SA_NATIVE_SANDBOXES_MAX);
}

static void test_garbage_in_the_folder(void **state)
{
    static const char *const strange[] = {
        "sb-much", "sb-another", "no record",      "sb-half:new", "sb-twin", "sb-pipe",
        "sb-link", "sb-loop",    "sb-nobody:door", "sb-cut40",    "sb-bad3"};
    struct sa_node_spec spec;
    struct sa_record record;
    struct reply r;
    pid_t pid;
    (void)state;
    const int link = create(&spec, &pid);
    sa_autoclose int folder = state_folder();
    kill_node();
    load(folder, spec.id, &record);
    make_strange(folder, &record);
    node_restart(&node);
    assert_int_equal(listed(), 1); /* the true one */
    lives(pid);
    lives(bystander);
    for (size_t i = 0; i < SA_COUNT(strange); i++)
        if (is_there(folder, strange[i]))
            fail_msg("%s was left in the folder", strange[i]);
    assert_int_equal(entries(folder), 1);
    node_answer(&node, node_send_id(&node, SA_NODE_ATTACH, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_CREATED);
    expect(r.fd, "echo taken over", "taken over\n");
    close(r.fd);
    node_destroy(&node, spec.id);
    await_end(pid);
    close(link);
}

/* Two records of one process: at most one can be true, so at most one is taken, and what the next
 * node has it can destroy. */
static void test_two_records_of_one(void **state)
{
    struct sa_node_spec spec;
    struct sa_record record;
    pid_t pid;
    (void)state;
    const int link = create(&spec, &pid);
    sa_autoclose int folder = state_folder();
    kill_node();
    load(folder, spec.id, &record);
    snprintf(record.id, sizeof record.id, "sb-twin");
    save(folder, &record);
    node_restart(&node);
    assert_true(listed() <= 1);
    node_destroy(&node, spec.id);
    node_destroy(&node, "sb-twin");
    await_end(pid);
    assert_int_equal(entries(folder), 0);
    close(link);
}

/* ---- frozen ---- */

static int attach(const char *id, bool frozen)
{
    struct reply r;
    node_answer(&node, node_send_id(&node, SA_NODE_ATTACH, id), &r);
    assert_int_equal(r.type, SA_NODE_CREATED);
    assert_int_equal(r.values[SA_NODE_FROZEN], frozen);
    return r.fd;
}

static void test_frozen_ones_are_taken_over(void **state)
{
    struct sa_node_spec goes_on, ends;
    struct reply r;
    pid_t pid;
    (void)state;
    if (!privileged()) /* without control groups nothing is frozen */
        return;
    int first = create(&goes_on, &pid);
    expect(first, "echo kept >/workspace/a", "");
    spec_default(&ends);
    int second = node_create(&node, &ends, NULL);
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, goes_on.id), &r);
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, ends.id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    for (int i = 0; i < 2; i++) {
        node_restart(&node);
        assert_int_equal(listed(), 2);
        close(first);
        first = attach(goes_on.id, true);
    }
    node_destroy(&node, ends.id);
    assert_int_equal(listed(), 1);
    node_answer(&node, node_send_id(&node, SA_NODE_THAW, goes_on.id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    expect(first, "cat /workspace/a", "kept\n");
    close(first);
    first = attach(goes_on.id, false);
    expect(first, "echo again", "again\n");
    close(first);
    close(second);
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, start, finish)

static const struct CMUnitTest tests[] = {
    WITH_NODE(test_pid_that_was_used_again),    WITH_NODE(test_pid_and_time_of_somebody_else),
    WITH_NODE(test_record_that_is_not_its_own), WITH_NODE(test_garbage_in_the_folder),
    WITH_NODE(test_two_records_of_one),         WITH_NODE(test_frozen_ones_are_taken_over),
};

int main(void)
{
    int failures = cmocka_run_group_tests_name("as the caller", tests, NULL, NULL);
    if (geteuid() == 0) {
        as_uid = NOBODY;
        failures += cmocka_run_group_tests_name("unprivileged", tests, NULL, NULL);
    }
    return failures;
}
