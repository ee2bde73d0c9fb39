/* The state folder: a record is replaced in one step, whatever stands in its place and whoever
 * dies. */
#include "native/folder.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "sb-aaaaaaaaaaaaaaaaaaaa"

enum { DEATHS = 40 };

static const struct sa_record first = {.id = ID,
                                       .boot = "0f4ad7b3-3a5c-4e07-b4a7-0123456789ab",
                                       .pid = 4711,
                                       .start = 123456,
                                       .group = "spare-3",
                                       .profile = "0123456789abcdef",
                                       .in_force = 1 << SA_C_PIDNS};

struct place {
    char path[64];
    int folder;
};

static struct sa_record other(void)
{
    struct sa_record r = first;
    r.before.cpu_us = r.before.memory_peak = r.before.throttled_us = INT64_MAX;
    return r;
}

static int save(const struct place *p, const struct sa_record *r)
{
    struct sa_error err = {0};
    const int rc = sa_folder_save(p->folder, r, &err);
    assert_int_equal(err.code, rc < 0 ? SA_EUNAVAILABLE : SA_OK);
    return rc;
}

static int64_t loaded(const struct place *p)
{
    struct sa_record records[2];
    assert_int_equal(sa_folder_load(p->folder, records, 2), 1);
    assert_string_equal(records[0].id, ID);
    assert_int_equal(records[0].before.cpu_us, records[0].before.memory_peak);
    assert_int_equal(records[0].before.cpu_us, records[0].before.throttled_us);
    return records[0].before.cpu_us;
}

static ino_t inode(const struct place *p)
{
    struct stat st;
    assert_int_equal(fstatat(p->folder, ID, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISREG(st.st_mode));
    return st.st_ino;
}

static int set_up(void **state)
{
    static struct place place;
    struct sa_error err;
    snprintf(place.path, sizeof place.path, "/tmp/secureagent-test-XXXXXX");
    assert_non_null(mkdtemp(place.path));
    place.folder = sa_folder_open(place.path, &err);
    assert_true(place.folder >= 0);
    *state = &place;
    return save(&place, &first);
}

static int tear_down(void **state)
{
    const struct place *p = *state;
    unlinkat(p->folder, ID, 0);
    unlinkat(p->folder, ID, AT_REMOVEDIR);
    unlinkat(p->folder, ID ":new", 0);
    unlinkat(p->folder, "other", 0);
    close(p->folder);
    return rmdir(p->path);
}

static void test_in_its_place(void **state)
{
    const struct sa_record now = other();
    const ino_t before = inode(*state);
    assert_int_equal(save(*state, &now), 0);
    assert_int_equal(inode(*state), before);
    assert_int_equal(loaded(*state), now.before.cpu_us);
}

static void test_of_another_length(void **state)
{
    struct sa_record now = other();
    now.in_force |= 1 << SA_C_SECCOMP;
    assert_int_equal(save(*state, &now), 0);
    assert_int_equal(loaded(*state), now.before.cpu_us);
    assert_int_equal(save(*state, &first), 0);
    assert_int_equal(loaded(*state), 0);
}

/* What another name leads to is not written to. */
static void under_two_names(struct place *p, int (*name)(struct place *p))
{
    const struct sa_record now = other();
    char before[SA_RECORD_BYTES_MAX], after[SA_RECORD_BYTES_MAX];
    assert_int_equal(name(p), 0);
    sa_autoclose int fd = openat(p->folder, "other", O_RDONLY | O_CLOEXEC);
    const ssize_t length = pread(fd, before, sizeof before, 0);
    assert_true(length > 0);
    assert_int_equal(save(p, &now), 0);
    inode(p);
    assert_int_equal(pread(fd, after, sizeof after, 0), length);
    assert_memory_equal(before, after, (size_t)length);
    assert_int_equal(unlinkat(p->folder, "other", 0), 0);
    assert_int_equal(loaded(p), now.before.cpu_us);
}

static int hard_link(struct place *p)
{
    return linkat(p->folder, ID, p->folder, "other", 0);
}

static int symbolic_link(struct place *p)
{
    return renameat(p->folder, ID, p->folder, "other") < 0 ? -1 : symlinkat("other", p->folder, ID);
}

static void test_links(void **state)
{
    under_two_names(*state, hard_link);
    under_two_names(*state, symbolic_link);
}

static void test_a_pipe(void **state)
{
    struct place *p = *state;
    char byte;
    assert_int_equal(unlinkat(p->folder, ID, 0), 0);
    assert_int_equal(mkfifoat(p->folder, ID, 0600), 0);
    sa_autoclose int reader = openat(p->folder, ID, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(save(p, &first), 0);
    assert_true(read(reader, &byte, 1) <= 0);
    assert_int_equal(loaded(p), 0);
}

static void test_read_only(void **state)
{
    struct place *p = *state;
    const struct sa_record now = other();
    assert_int_equal(fchmodat(p->folder, ID, 0400, 0), 0);
    assert_int_equal(save(p, &now), 0);
    assert_int_equal(loaded(p), now.before.cpu_us);
}

static void test_a_folder(void **state)
{
    struct place *p = *state;
    assert_int_equal(unlinkat(p->folder, ID, 0), 0);
    assert_int_equal(mkdirat(p->folder, ID, 0700), 0);
    assert_int_equal(save(p, &first), -1);
}

/* As on a disk that is full: what was there stays. */
static void test_no_space(void **state)
{
    const struct sa_record now = other();
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    const int rc = save(*state, &now);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, -1);
    assert_int_equal(loaded(*state), 0);
}

/* The node is killed while it writes. */
static void test_killed(void **state)
{
    const struct place *p = *state;
    const struct sa_record now = other();
    for (int i = 0; i < DEATHS; i++) {
        const pid_t pid = fork();
        if (pid == 0) {
            alarm(10);
            for (;;) {
                sa_folder_save(p->folder, &now, NULL);
                sa_folder_save(p->folder, &first, NULL);
            }
        }
        assert_true(pid > 0);
        nanosleep(&(struct timespec){.tv_nsec = 1000000 + i * 50000}, NULL);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        const int64_t got = loaded(p);
        assert_true(got == 0 || got == now.before.cpu_us);
    }
}

int main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_in_its_place), TEST(test_of_another_length),
        TEST(test_links),        TEST(test_a_pipe),
        TEST(test_read_only),    TEST(test_a_folder),
        TEST(test_no_space),     TEST(test_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
