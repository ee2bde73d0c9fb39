/*
 * Control groups: finding them, the files of each version against plain folders, and version 2
 * as far as a host without controllers in it goes (birth in a group, freeze, kill, removal).
 */
#include "native/cgroup.h"

#include "base/cleanup.h"
#include "base/fdio.h"
#include "native/cgroup_files.h"
#include "native/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char v1_mounts[] =
    "25 30 0:23 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"
    "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 25 0:28 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n"
    "33 25 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "34 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
static const char v1_groups[] = "4:memory:/a/b\n3:cpuset:/\n2:cpu,cpuacct:/\n0::/user.slice\n";

static void located(const char *mounts, const char *groups, enum sa_controller c,
                    const char *expected, bool expected_v2)
{
    char path[256];
    bool v2;
    if (!expected) {
        assert_false(sa_cgroup_locate(mounts, groups, c, path, sizeof path, &v2));
        return;
    }
    assert_true(sa_cgroup_locate(mounts, groups, c, path, sizeof path, &v2));
    assert_string_equal(path, expected);
    assert_int_equal(v2, expected_v2);
}

static void test_locate_v1(void **state)
{
    (void)state;
    located(v1_mounts, v1_groups, SA_CG_MEMORY, "/sys/fs/cgroup/memory/a/b", false);
    located(v1_mounts, v1_groups, SA_CG_CPU, "/sys/fs/cgroup/cpu,cpuacct", false);
    located(v1_mounts, v1_groups, SA_CG_CPUACCT, "/sys/fs/cgroup/cpu,cpuacct", false);
    /* Not in version 1 here: the unified hierarchy is what is left. */
    located(v1_mounts, v1_groups, SA_CG_PIDS, "/sys/fs/cgroup/unified/user.slice", true);
}

static void test_locate_v2(void **state)
{
    static const char mounts[] = "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    (void)state;
    located(mounts, "0::/user.slice/x.scope\n", SA_CG_MEMORY, "/sys/fs/cgroup/user.slice/x.scope",
            true);
    located(mounts, "0::/\n", SA_CG_PIDS, "/sys/fs/cgroup", true);
    /* A controller's name as a part of another word is not it. */
    located(mounts, "1:memoryx:/q\n0::/p\n", SA_CG_MEMORY, "/sys/fs/cgroup/p", true);
}

static void test_locate_in_a_container(void **state)
{
    static const char mounts[] =
        "32 25 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    (void)state;
    located(mounts, "4:memory:/docker/abc/x\n", SA_CG_MEMORY, "/sys/fs/cgroup/memory/x", false);
    located(mounts, "4:memory:/docker/abcd\n", SA_CG_MEMORY, "/sys/fs/cgroup/memory", false);
}

static void test_locate_nothing(void **state)
{
    (void)state;
    located("", "", SA_CG_MEMORY, NULL, false);
    located("garbage\n - \n", "garbage\n::\n", SA_CG_MEMORY, NULL, false);
    located(v1_mounts, "4:memory\n", SA_CG_MEMORY, NULL, false);
    located("25 30 0:23 /", v1_groups, SA_CG_MEMORY, NULL, false);
}

static void test_keyed_numbers(void **state)
{
    static const char text[] = "low 0\noom 3\noom_kill 2\nbroken x\nmax 9223372036854775807\n";
    (void)state;
    assert_int_equal(sa_cgroup_keyed_text(text, "oom_kill"), 2);
    assert_int_equal(sa_cgroup_keyed_text(text, "oom"), 3);
    assert_int_equal(sa_cgroup_keyed_text(text, "max"), INT64_MAX);
    assert_int_equal(sa_cgroup_keyed_text(text, "broken"), -1);
    assert_int_equal(sa_cgroup_keyed_text(text, "kill"), -1);
    assert_int_equal(sa_cgroup_keyed_text("", "x"), -1);
}

static void test_cpu_quota(void **state)
{
    static const struct {
        int64_t millicores, quota_us, period_us;
    } cases[] = {{1000, 100000, 100000},
                 {2500, 250000, 100000},
                 {10, 1000, 100000},
                 {9, 9000, 1000000},
                 {1, 1000, 1000000}};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(cases); i++) {
        int64_t quota, period;
        sa_cgroup_cpu_quota(cases[i].millicores, &quota, &period);
        assert_int_equal(quota, cases[i].quota_us);
        assert_int_equal(period, cases[i].period_us);
    }
}

/* ---- files, in a plain folder ---- */

static char folder[64];
static int folder_fd;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/sa-cgroup-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return mkdirat(folder_fd, "sb", 0755);
}

static int remove_folder(void **state)
{
    (void)state;
    close(folder_fd);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *file, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "sb/%s", file);
    int fd = openat(folder_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void holds(const char *file, const char *text)
{
    char path[64];
    struct sa_buf got = SA_BUF_INIT;
    snprintf(path, sizeof path, "sb/%s", file);
    assert_int_equal(sa_read_file(folder_fd, path, 4096, &got, NULL), 0);
    assert_string_equal(got.data ? got.data : "", text);
    sa_buf_deinit(&got);
}

static const struct sa_cgroup_limits limits = {
    .memory_bytes = 268435456, .pids = 64, .cpu_millicores = 1500};

static void set_limits(const struct sa_cgroup_version *v)
{
    for (int c = 0; c < SA_CG_COUNT; c++)
        assert_int_equal(v->limit(folder_fd, "sb", (enum sa_controller)c, &limits, NULL), 0);
}

static void test_limits_v1(void **state)
{
    (void)state;
    put("memory.limit_in_bytes", "");
    put("memory.memsw.limit_in_bytes", "");
    put("pids.max", "");
    put("cpu.cfs_quota_us", "");
    set_limits(&sa_cgroup_v1);
    holds("memory.limit_in_bytes", "268435456");
    holds("memory.memsw.limit_in_bytes", "268435456");
    holds("pids.max", "64");
    holds("cpu.cfs_quota_us", "150000");
}

static void test_limits_v1_without_swap_accounting(void **state)
{
    (void)state;
    put("memory.limit_in_bytes", "");
    put("memory.swappiness", "");
    assert_int_equal(sa_cgroup_v1.limit(folder_fd, "sb", SA_CG_MEMORY, &limits, NULL), 0);
    holds("memory.swappiness", "0");
}

static void test_limits_v2(void **state)
{
    (void)state;
    put("memory.max", "");
    put("memory.swap.max", "");
    put("pids.max", "");
    put("cpu.max", "");
    set_limits(&sa_cgroup_v2);
    holds("memory.max", "268435456");
    holds("memory.swap.max", "0");
    holds("pids.max", "64");
    holds("cpu.max", "150000 100000");
}

static void test_missing_limit_fails(void **state)
{
    struct sa_error err = {0};
    (void)state;
    assert_int_equal(sa_cgroup_v2.limit(folder_fd, "sb", SA_CG_MEMORY, &limits, &err), -1);
    assert_int_equal(err.sys_errno, ENOENT);
    assert_int_equal(sa_cgroup_v1.limit(folder_fd, "sb", SA_CG_PIDS, &limits, &err), -1);
}

static void test_stats(void **state)
{
    struct sa_native_stats one = {-1, -1, -1, -1, -1, -1, -1, -1}, two = one;
    (void)state;
    put("memory.usage_in_bytes", "100\n");
    put("memory.max_usage_in_bytes", "200\n");
    put("memory.limit_in_bytes", "300\n");
    put("pids.current", "4\n");
    put("pids.max", "64\n");
    put("cpuacct.usage", "5000000\n");
    put("cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 7000\n");
    for (int c = 0; c < SA_CG_COUNT; c++)
        sa_cgroup_v1.stats(folder_fd, "sb", (enum sa_controller)c, &one);
    assert_int_equal(one.memory_used, 100);
    assert_int_equal(one.memory_peak, 200);
    assert_int_equal(one.memory_limit, 300);
    assert_int_equal(one.processes, 4);
    assert_int_equal(one.cpu_us, 5000);
    assert_int_equal(one.throttled_us, 7);
    put("memory.current", "10\n");
    put("memory.max", "max\n");
    put("cpu.stat", "usage_usec 11\nuser_usec 1\nthrottled_usec 12\n");
    for (int c = 0; c < SA_CG_COUNT; c++)
        sa_cgroup_v2.stats(folder_fd, "sb", (enum sa_controller)c, &two);
    assert_int_equal(two.memory_used, 10);
    assert_int_equal(two.memory_peak, -1); /* no such file before 5.19 */
    assert_int_equal(two.memory_limit, -1);
    assert_int_equal(two.cpu_us, 11);
    assert_int_equal(two.throttled_us, 12);
    put("memory.events", "low 0\noom_kill 6\n");
    assert_int_equal(sa_cgroup_v2.oom_kills(folder_fd, "sb"), 6);
}

/* ---- version 2, for real ---- */

static const char *unified(void)
{
    static const char *const places[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    for (size_t i = 0; i < SA_COUNT(places); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/cgroup.controllers", places[i]);
        if (access(path, R_OK) == 0 && access(places[i], W_OK) == 0)
            return places[i];
    }
    return NULL;
}

static void test_v2_birth_freeze_kill(void **state)
{
    struct sa_native_stats stats = {-1, -1, -1, -1, -1, -1, -1, -1};
    char base[128], path[192], text[64];
    (void)state;
    if (geteuid() != 0 || !unified()) {
        print_message("skipped: no writable cgroup2 hierarchy\n");
        skip();
    }
    snprintf(base, sizeof base, "%s/secureagent-unit-%d", unified(), (int)getpid());
    assert_int_equal(mkdir(base, 0755), 0);
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(fd, "sb", 0755), 0);
    int group = openat(fd, "sb", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct clone_args args = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)group};
    pid_t pid = sa_clone3(&args);
    if (pid == 0)
        for (;;)
            pause();
    assert_true(pid > 0);
    snprintf(path, sizeof path, "%s/sb/cgroup.procs", base);
    FILE *procs = fopen(path, "re");
    assert_non_null(fgets(text, sizeof text, procs));
    assert_int_equal(atoi(text), pid);
    fclose(procs);
    assert_int_equal(sa_cgroup_v2.freeze(fd, "sb", true, NULL), 0);
    for (int i = 0; i < 2000 && !sa_cgroup_v2.is_frozen(fd, "sb"); i++)
        usleep(5000);
    assert_true(sa_cgroup_v2.is_frozen(fd, "sb"));
    assert_int_equal(sa_cgroup_v2.freeze(fd, "sb", false, NULL), 0);
    for (int i = 0; i < 2000 && sa_cgroup_v2.is_frozen(fd, "sb"); i++)
        usleep(5000);
    assert_false(sa_cgroup_v2.is_frozen(fd, "sb"));
    sa_cgroup_v2.stats(fd, "sb", SA_CG_CPUACCT, &stats);
    assert_true(stats.cpu_us >= 0);
    assert_int_equal(sa_cgroup_write(fd, "sb", "cgroup.kill", "1", NULL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(group);
    int tries = 0;
    while (unlinkat(fd, "sb", AT_REMOVEDIR) < 0 && tries++ < 6000)
        usleep(5000);
    assert_true(tries < 6000);
    close(fd);
    assert_int_equal(rmdir(base), 0);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locate_v1),
        cmocka_unit_test(test_locate_v2),
        cmocka_unit_test(test_locate_in_a_container),
        cmocka_unit_test(test_locate_nothing),
        cmocka_unit_test(test_keyed_numbers),
        cmocka_unit_test(test_cpu_quota),
        WITH_FOLDER(test_limits_v1),
        WITH_FOLDER(test_limits_v1_without_swap_accounting),
        WITH_FOLDER(test_limits_v2),
        WITH_FOLDER(test_missing_limit_fails),
        WITH_FOLDER(test_stats),
        cmocka_unit_test(test_v2_birth_freeze_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
