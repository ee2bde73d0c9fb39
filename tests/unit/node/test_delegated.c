/*
 * An unprivileged node in control groups that were delegated to its user, in version 1 and, in a
 * mount namespace without version 1, in version 2 (where a host without controllers still
 * shows the birth in a group, the freezer and cgroup.kill). Needs root to delegate.
 */
#include "harness.h"

#include "profiles.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* A folder of a hierarchy that belongs to NOBODY, and where we came from. */
struct delegated {
    char path[256], before[256];
};

static bool locate(enum sa_controller c, char *path, size_t size, bool *v2)
{
    struct sa_buf mounts = SA_BUF_INIT, groups = SA_BUF_INIT;
    assert_int_equal(sa_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &mounts, NULL), 0);
    assert_int_equal(sa_read_file(AT_FDCWD, "/proc/self/cgroup", 1 << 16, &groups, NULL), 0);
    bool found = sa_cgroup_locate(mounts.data, groups.data, c, path, size, v2);
    sa_buf_deinit(&mounts);
    sa_buf_deinit(&groups);
    return found;
}

/* Other tests' nodes look for what killed ones left, as this folder may be, too, when this test is
 * killed: the lock of its name tells them that somebody is there. */
static int lock_slice(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1,
                     "secureagent-node/%u/test-%d.slice", (unsigned)geteuid(), (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
                     0);
    return fd;
}

static void enter(const char *path)
{
    char file[300], pid[16];
    snprintf(file, sizeof file, "%s/cgroup.procs", path);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(sa_write_file(AT_FDCWD, file, pid, NULL), 0);
}

static void delegate(struct delegated *d, const char *parent)
{
    static const char *const files[] = {"", "/cgroup.procs", "/tasks", "/cgroup.subtree_control",
                                        "/cgroup.threads"};
    snprintf(d->before, sizeof d->before, "%s", parent);
    snprintf(d->path, sizeof d->path, "%.200s/secureagent-test-%d.slice", parent, (int)getpid());
    assert_int_equal(mkdir(d->path, 0755), 0);
    for (size_t i = 0; i < SA_COUNT(files); i++) {
        char file[300];
        snprintf(file, sizeof file, "%s%s", d->path, files[i]);
        assert_true(chown(file, NOBODY, NOBODY) == 0 || errno == ENOENT);
    }
    enter(d->path);
}

static void give_back(struct delegated *d)
{
    char leaf[300];
    enter(d->before);
    snprintf(leaf, sizeof leaf, "%s/secureagent-leaf", d->path);
    rmdir(leaf);
    assert_int_equal(rmdir(d->path), 0);
}

static void test_version_1(void **state)
{
    struct delegated all[SA_CG_COUNT];
    struct node node;
    struct sa_node_spec spec;
    struct reply r;
    int count = 0;
    (void)state;
    if (geteuid() != 0)
        skip();
    int lock = lock_slice();
    for (int c = 0; c < SA_CG_COUNT; c++) {
        char path[256];
        bool v2, known = false;
        assert_true(locate((enum sa_controller)c, path, sizeof path, &v2));
        if (v2) {
            print_message("skipped: not every controller is in version 1 here\n");
            while (count)
                give_back(&all[--count]);
            close(lock);
            skip();
        }
        for (int i = 0; i < count; i++)
            known = known || strcmp(all[i].path, path) == 0; /* cpu,cpuacct */
        if (!known)
            delegate(&all[count++], path);
    }
    node_start(&node, NOBODY, SA_TEST_RUNTIME);
    spec_default(&spec);
    int link = node_create(&node, &spec, &r);
    assert_non_null(strstr(r.controls, " cgroup.memory "));
    assert_non_null(strstr(r.controls, " cgroup.pids "));
    assert_non_null(strstr(r.controls, " cgroup.cpu "));
    assert_null(strstr(r.controls, "watchdog"));
    assert_null(strstr(r.weaker, "cgroup."));
    run(link, NULL, 0, "head -c 400M /dev/zero | tail | wc -c");
    node_event(&node, SA_NODE_OOM, &r);
    expect(link, "echo alive", "alive\n"); /* only the culprit died */
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, spec.id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    node_destroy(&node, spec.id);
    close(link);
    node_finish(&node);
    while (count)
        give_back(&all[--count]);
    close(lock);
}

/* Nothing of version 1 can be seen from here on. */
static bool leave_version_1(void)
{
    struct sa_buf mounts = SA_BUF_INIT;
    char path[256];
    bool v2;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    assert_int_equal(sa_read_file(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &mounts, NULL), 0);
    for (char *line = strtok(mounts.data, "\n"); line; line = strtok(NULL, "\n")) {
        char at[256];
        if (strstr(line, " - cgroup ") && sscanf(line, "%*d %*d %*s %*s %255s", at) == 1)
            assert_int_equal(umount2(at, MNT_DETACH), 0);
    }
    sa_buf_deinit(&mounts);
    return locate(SA_CG_FREEZER, path, sizeof path, &v2) && v2;
}

static void test_version_2(void **state)
{
    struct delegated d;
    struct node node;
    struct sa_node_spec spec;
    struct reply r;
    char path[256], group[400];
    bool v2;
    (void)state;
    if (geteuid() != 0 || !leave_version_1()) {
        print_message("skipped: no cgroup2 hierarchy to delegate\n");
        skip();
    }
    assert_true(locate(SA_CG_FREEZER, path, sizeof path, &v2));
    int lock = lock_slice();
    delegate(&d, path);
    node_start(&node, NOBODY, SA_TEST_RUNTIME);
    for (int i = 0; i < 3; i++) { /* the second and third begin as spares */
        spec_default(&spec);
        int link = node_create(&node, &spec, &r);
        assert_non_null(strstr(r.controls, " cgroup.freezer "));
        pid_t pid = host_pid(&node);
        struct sa_buf text = SA_BUF_INIT;
        snprintf(group, sizeof group, "/proc/%d/cgroup", (int)pid);
        assert_int_equal(sa_read_file(AT_FDCWD, group, 4096, &text, NULL), 0);
        assert_non_null(strstr(text.data, node.state));
        sa_buf_deinit(&text);
        node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, spec.id), &r);
        assert_int_equal(r.type, SA_NODE_DONE);
        node_answer(&node, node_send_id(&node, SA_NODE_THAW, spec.id), &r);
        assert_int_equal(r.type, SA_NODE_DONE);
        expect(link, "echo alive", "alive\n");
        node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, spec.id), &r);
        node_destroy(&node, spec.id);
        close(link);
        usleep(20000); /* time for the next spare */
    }
    node_finish(&node);
    give_back(&d);
    close(lock);
}

static void again(struct node *node)
{
    struct sa_profile profile;
    struct reply r;
    node_restart(node);
    profile_default(&profile);
    node_profile(node, &profile, &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    sa_profile_deinit(&profile);
}

static int attach(struct node *node, const char *id, bool frozen)
{
    struct reply r;
    node_answer(node, node_send_id(node, SA_NODE_ATTACH, id), &r);
    assert_int_equal(r.type, SA_NODE_CREATED);
    assert_int_equal(r.values[SA_NODE_FROZEN], frozen);
    return r.fd;
}

/* Groups of version 2 keep the name of the spare that they were made for: the next node finds them
 * by their records, and gives no name twice. */
static void test_version_2_is_taken_over(void **state)
{
    enum { BOXES = 4 };
    struct delegated d;
    struct node node;
    struct sa_node_spec specs[BOXES + 1];
    struct reply r;
    char path[256];
    bool v2;
    (void)state;
    if (geteuid() != 0 || !leave_version_1()) {
        print_message("skipped: no cgroup2 hierarchy to delegate\n");
        skip();
    }
    assert_true(locate(SA_CG_FREEZER, path, sizeof path, &v2));
    int lock = lock_slice();
    delegate(&d, path);
    node_start(&node, NOBODY, SA_TEST_RUNTIME);
    for (int i = 0; i < BOXES; i++) {
        spec_default(&specs[i]);
        close(node_create(&node, &specs[i], NULL));
        usleep(20000); /* time for the next spare */
    }
    node_answer(&node, node_send_id(&node, SA_NODE_FREEZE, specs[1].id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    for (int round = 0; round < 2; round++) {
        again(&node);
        node_answer(&node, node_send(&node, SA_NODE_LIST, NULL), &r);
        assert_int_equal(r.ids, BOXES);
        for (int i = 0; i < BOXES; i++) {
            const int link = attach(&node, specs[i].id, i == 1);
            if (i != 1)
                expect(link, "echo taken over", "taken over\n");
            close(link);
        }
        spec_default(&specs[BOXES]);
        const int link = node_create(&node, &specs[BOXES], NULL);
        expect(link, "echo new", "new\n");
        node_destroy(&node, specs[BOXES].id);
        close(link);
    }
    const int link = attach(&node, specs[1].id, true);
    node_answer(&node, node_send_id(&node, SA_NODE_THAW, specs[1].id), &r);
    assert_int_equal(r.type, SA_NODE_DONE);
    expect(link, "echo goes on", "goes on\n");
    close(link);
    for (int i = 0; i < BOXES; i++)
        node_destroy(&node, specs[i].id);
    node_finish(&node);
    give_back(&d);
    close(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_version_2), /* it leaves version 1 behind */
        cmocka_unit_test(test_version_2_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
