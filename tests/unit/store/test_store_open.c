/* Opening: creation, migration, permissions, and each way in which it cannot be done. */
#include "base/fdio.h"
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void path_in(const struct fixture *f, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", f->dir, name);
}

static void write_file(const struct fixture *f, const char *name, const char *text, size_t length)
{
    char path[128];
    path_in(f, name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void assert_mode(const struct fixture *f, const char *name, unsigned mode)
{
    char path[128];
    struct stat st;
    path_in(f, name, path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

/* Opening fails thus, and leaves no descriptor and nothing on the loop. */
static void assert_refused(struct fixture *f, const char *dir, enum sa_code code, int sys_errno,
                           const char *says)
{
    struct sa_error err = {.code = SA_OK};
    int before = count_descriptors();
    assert_null(sa_store_open(dir, &f->loop, &f->options, &err));
    assert_int_equal(count_descriptors(), before);
    assert_int_equal(uv_loop_alive(&f->loop), 0);
    if (err.code != code || err.sys_errno != sys_errno || !strstr(err.message, says))
        fail_msg("unexpected: %s (%s, errno %d)", err.message, sa_code_name(err.code),
                 err.sys_errno);
    assert_true(err.path[0] != '\0');
}

static void creates(void **state)
{
    struct fixture *f = *state;
    mode_t old = umask(0);
    fixture_open(f);
    umask(old);
    assert_mode(f, "secureagent.db", 0600);
    assert_mode(f, "secureagent.lock", 0600);
    assert_mode(f, "secureagent.db-wal", 0600);
    assert_true(sa_store_healthy(f->store, NULL, 0));
    fixture_close(f);
    assert_int_equal(sql_number(f->dir, "PRAGMA user_version"), 5);
    char wal[128];
    path_in(f, "secureagent.db-wal", wal);
    assert_int_equal(access(wal, F_OK), -1); /* checkpointed and gone */
}

static void makes_the_directory(void **state)
{
    struct fixture *f = *state;
    char dir[128];
    path_in(f, "data", dir);
    struct sa_store *store = sa_store_open(dir, &f->loop, NULL, NULL);
    assert_non_null(store);
    assert_mode(f, "data", 0700);
    sa_store_close(store, NULL, NULL);
    fixture_run(f);
    path_in(f, "no/such", dir);
    assert_refused(f, dir, SA_EINVALID, ENOENT, "create the one above it");
}

static void tightens_permissions(void **state)
{
    struct fixture *f = *state;
    char path[128];
    fixture_open(f);
    fixture_close(f);
    path_in(f, "secureagent.db", path);
    assert_int_equal(chmod(path, 0644), 0);
    fixture_open(f);
    assert_mode(f, "secureagent.db", 0600);
}

static void migrates_an_older_schema(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct sa_key_info info;
    char text[SA_KEY_TEXT_BYTES];
    struct sa_key_params params = {.name = "old", .role = SA_ROLE_VIEWER};
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &info, text, NULL), 0);
    fixture_close(f);
    sql(f->dir, "DROP TABLE idempotency; DROP TABLE outputs; DROP TABLE events;"
                "DROP TABLE executions; DROP TABLE sandbox_labels;"
                "DROP TABLE sandboxes; DROP TABLE journal; PRAGMA user_version=1");
    fixture_open(f);
    const struct sa_key_info *found;
    assert_int_equal(sa_store_key_check(f->store, text, strlen(text), &found, NULL), 0);
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
    put_sandbox(f, &sandbox);
    fixture_close(f);
    assert_int_equal(sql_number(f->dir, "PRAGMA user_version"), 5);
}

static void failed_migration_changes_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    fixture_close(f);
    /* Number 3 makes `executions` first and trips over `events`. */
    sql(f->dir, "DROP TABLE executions; PRAGMA user_version=2");
    assert_refused(f, f->dir, SA_EINTERNAL, 0, "migration to schema 3");
    assert_int_equal(
        sql_number(f->dir, "SELECT count(*) FROM sqlite_schema WHERE name='executions'"), 0);
    assert_int_equal(sql_number(f->dir, "PRAGMA user_version"), 2);
}

static void refuses_newer_schema(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    fixture_close(f);
    sql(f->dir, "PRAGMA user_version=99");
    assert_refused(f, f->dir, SA_ECONFLICT, ENOTSUP, "newer version (schema 99");
    assert_int_equal(sql_number(f->dir, "PRAGMA user_version"), 99);
}

static void refuses_other_programs_database(void **state)
{
    struct fixture *f = *state;
    sql(f->dir, "CREATE TABLE precious(x); INSERT INTO precious VALUES(1)");
    assert_refused(f, f->dir, SA_EINVALID, EBADMSG, "another program");
    assert_int_equal(sql_number(f->dir, "SELECT x FROM precious"), 1);
}

static void refuses_what_is_no_database(void **state)
{
    struct fixture *f = *state;
    char junk[8192];
    memset(junk, 'x', sizeof junk);
    write_file(f, "secureagent.db", junk, sizeof junk);
    assert_refused(f, f->dir, SA_EINVALID, EBADMSG, "not a database");
}

static void refuses_damage(void **state)
{
    struct fixture *f = *state;
    char path[128], junk[4096];
    fixture_open(f);
    fixture_close(f);
    path_in(f, "secureagent.db", path);
    int fd = open(path, O_RDWR);
    memset(junk, 0xee, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk - 100, 100), sizeof junk - 100);
    close(fd);
    assert_refused(f, f->dir, SA_EINVALID, EBADMSG, "damaged");
}

static void refuses_odd_files(void **state)
{
    struct fixture *f = *state;
    char path[128];
    write_file(f, "file", "x", 1);
    path_in(f, "file", path);
    assert_refused(f, path, SA_EINVALID, ENOTDIR, "not a directory");
    path_in(f, "secureagent.db", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(f, f->dir, SA_EINVALID, EISDIR, "a directory is in the place");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("file", path), 0);
    assert_refused(f, f->dir, SA_EINVALID, ELOOP, "symbolic link");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(f, f->dir, SA_EINVALID, EINVAL, "not a regular file");
}

/* In a child: report how opening went and hold the store until told to end. */
static pid_t child_holding(struct fixture *f, int *hold)
{
    int ready[2], end[2];
    char ok = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(end[1]);
        uv_loop_t loop;
        uv_loop_init(&loop);
        ok = sa_store_open(f->dir, &loop, NULL, NULL) ? 'y' : 'n';
        if (write(ready[1], &ok, 1) != 1 || read(end[0], &ok, 1) < 0)
            _exit(2);
        _exit(0); /* as a crash: nothing is closed */
    }
    close(ready[1]);
    close(end[0]);
    assert_int_equal(read(ready[0], &ok, 1), 1);
    assert_int_equal(ok, 'y');
    close(ready[0]);
    *hold = end[1];
    return pid;
}

static void one_process_only(void **state)
{
    struct fixture *f = *state;
    int hold;
    char who[64];
    pid_t pid = child_holding(f, &hold);
    snprintf(who, sizeof who, "in use by process %d", (int)pid);
    assert_refused(f, f->dir, SA_ECONFLICT, EWOULDBLOCK, who);
    close(hold);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    fixture_open(f); /* the lock went with the process */
    assert_refused(f, f->dir, SA_ECONFLICT, EWOULDBLOCK, "in use by process");
}

/* Another program that holds a lock on the database until `hold` is closed. A process of its
 * own, since POSIX locks do not stop one's own. */
static pid_t tool_holding(const struct fixture *f, const char *begin, int *hold)
{
    char path[128], ok = 0;
    int ready[2], end[2];
    path_in(f, "secureagent.db", path);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(end, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ready[1], 1);
        dup2(end[0], 0);
        execl("/usr/bin/python3", "python3", "-c",
              "import sqlite3,sys\n"
              "d=sqlite3.connect(sys.argv[1],isolation_level=None)\n"
              "for s in sys.argv[2].split(';'): d.execute(s)\n"
              "sys.stdout.write('y'); sys.stdout.flush(); sys.stdin.read()\n",
              path, begin, NULL);
        _exit(127);
    }
    close(ready[1]);
    close(end[0]);
    assert_int_equal(read(ready[0], &ok, 1), 1);
    close(ready[0]);
    *hold = end[1];
    return pid;
}

static void locked_by_a_tool(void **state)
{
    struct fixture *f = *state;
    int hold;
    fixture_open(f);
    fixture_close(f);
    f->options.busy_timeout_ms = 50;
    pid_t pid = tool_holding(
        f, "PRAGMA locking_mode=EXCLUSIVE;BEGIN EXCLUSIVE;PRAGMA user_version=4", &hold);
    assert_refused(f, f->dir, SA_EUNAVAILABLE, EBUSY, "locked by another program");
    close(hold);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    fixture_open(f);
}

static bool wait_healthy(struct fixture *f)
{
    for (int i = 0; i < 100; i++) {
        if (sa_store_healthy(f->store, NULL, 0))
            return true;
        usleep(50 * 1000);
    }
    return false;
}

/* While it runs: writes fail, reads go on, readiness tells; it heals when the lock goes. */
static void locked_while_running(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    int hold;
    char message[256];
    f->options.busy_timeout_ms = 50;
    fixture_open(f);
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
    put_sandbox(f, &sandbox);
    pid_t pid = tool_holding(f, "BEGIN IMMEDIATE", &hold);
    for (int i = 0; i < 500; i++)
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &o, NULL), 0);
    fixture_run(f);
    assert_int_equal(o.calls, 500);
    assert_int_equal(o.failures, 500);
    assert_int_equal(o.err.code, SA_EUNAVAILABLE);
    assert_int_equal(o.err.sys_errno, EBUSY);
    assert_false(sa_store_healthy(f->store, message, sizeof message));
    assert_non_null(strstr(message, "locked by another program"));
    close(hold);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(wait_healthy(f));
    put_sandbox(f, &sandbox);
    /* Closing against a lock fails what is left, and ends. */
    pid = tool_holding(f, "BEGIN IMMEDIATE", &hold);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &o, NULL), 0);
    fixture_close(f);
    assert_int_equal(o.calls, 3500);
    assert_int_equal(o.failures, 3500);
    close(hold);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- with file systems of their own ---- */

static int map_ids(void)
{
    char uids[64], gids[64];
    unsigned uid = geteuid(), gid = getegid(); /* both are others after unshare */
    snprintf(uids, sizeof uids, "%u %u 1", uid, uid);
    snprintf(gids, sizeof gids, "%u %u 1", gid, gid);
    if (unshare(CLONE_NEWUSER) < 0 ||
        sa_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", NULL) < 0 ||
        sa_write_file(AT_FDCWD, "/proc/self/uid_map", uids, NULL) < 0)
        return -1;
    return sa_write_file(AT_FDCWD, "/proc/self/gid_map", gids, NULL);
}

static int own_mounts(void)
{
    if ((geteuid() != 0 && map_ids() < 0) || unshare(CLONE_NEWNS) < 0)
        return -1;
    return mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* Run `body` in a child with a tmpfs on the fixture's directory; skip visibly where the kernel
 * gives no mounts. The child's assertions end it with a status other than 0. */
static void in_tmpfs(struct fixture *f, const char *data, void (*body)(struct fixture *f))
{
    enum { NO_MOUNTS = 77 };
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (own_mounts() < 0 || mount("tmpfs", f->dir, "tmpfs", 0, data) < 0)
            _exit(NO_MOUNTS);
        body(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_MOUNTS) {
        print_message("SKIP: no mount namespace to be had here\n");
        skip();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* cmocka's assertions would jump into the parent's runner. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void read_only_body(struct fixture *f)
{
    struct sa_error err = {.code = SA_OK};
    REQUIRE(mount("", f->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    REQUIRE(!sa_store_open(f->dir, &f->loop, NULL, &err));
    REQUIRE(err.code == SA_EUNAVAILABLE && err.sys_errno == EROFS);
    REQUIRE(strstr(err.message, "read-only"));
}

static void read_only_directory(void **state)
{
    in_tmpfs(*state, "size=1m", read_only_body);
}

static void full_at_open_body(struct fixture *f)
{
    struct sa_error err = {.code = SA_OK};
    REQUIRE(!sa_store_open(f->dir, &f->loop, NULL, &err));
    REQUIRE(err.code == SA_EUNAVAILABLE && err.sys_errno == ENOSPC);
    REQUIRE(strstr(err.message, "disk is full"));
}

static void disk_full_at_open(void **state)
{
    in_tmpfs(*state, "size=12k", full_at_open_body);
}

/* Fill the disk with records, see the errors, make room, see it heal; nothing written is lost. */
static void fills_up_body(struct fixture *f)
{
    enum { COUNT = 60, SPEC = 32 * 1024 };
    static char spec[SPEC + 1], ids[COUNT][16];
    char ballast[128], message[256];
    struct outcome outcomes[COUNT] = {{0}};
    memset(spec, 's', SPEC);
    path_in(f, "ballast", ballast);
    int fd = open(ballast, O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0 && posix_fallocate(fd, 0, 6 * 1024 * 1024) == 0);
    f->store = sa_store_open(f->dir, &f->loop, NULL, NULL);
    REQUIRE(f->store);
    for (int i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof ids[i], "sb-%d", i);
        struct sa_store_sandbox sandbox = a_sandbox(ids[i], i);
        sandbox.spec = spec;
        REQUIRE(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &outcomes[i], NULL) == 0);
        if (i % 10 == 9)
            uv_run(&f->loop, UV_RUN_DEFAULT);
    }
    int failed = 0;
    for (int i = 0; i < COUNT; i++) {
        REQUIRE(outcomes[i].calls == 1);
        failed += outcomes[i].failures;
        REQUIRE(!outcomes[i].failures ||
                (outcomes[i].err.code == SA_EUNAVAILABLE && outcomes[i].err.sys_errno == ENOSPC &&
                 strstr(outcomes[i].err.message, "disk is full")));
    }
    REQUIRE(failed > 0 && failed < COUNT);
    REQUIRE(!sa_store_healthy(f->store, message, sizeof message));
    REQUIRE(strstr(message, "disk is full"));
    REQUIRE(unlink(ballast) == 0 && close(fd) == 0);
    REQUIRE(wait_healthy(f));
    struct outcome again = {0};
    struct sa_store_sandbox sandbox = a_sandbox("sb-again", 1);
    sandbox.spec = spec;
    REQUIRE(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &again, NULL) == 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    REQUIRE(again.calls == 1 && again.failures == 0);
    sa_store_close(f->store, NULL, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    REQUIRE(uv_loop_close(&f->loop) == 0);
    REQUIRE(sql_number(f->dir, "SELECT count(*) FROM sandboxes") == COUNT - failed + 1);
    REQUIRE(sql_number(f->dir, "SELECT count(*)=0 FROM pragma_integrity_check"
                               " WHERE integrity_check<>'ok'"));
    for (int i = 0; i < COUNT; i++) {
        char query[96 + sizeof ids[0]];
        snprintf(query, sizeof query, "SELECT count(*) FROM sandboxes WHERE id='%.15s'", ids[i]);
        REQUIRE(sql_number(f->dir, query) == !outcomes[i].failures);
    }
}

static void disk_fills_up(void **state)
{
    in_tmpfs(*state, "size=8m", fills_up_body);
}

/* A limit on the size of files is a full disk, not the end (SIGXFSZ). */
static void file_size_limit(void **state)
{
    struct fixture *f = *state;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        enum { COUNT = 40, SPEC = 64 * 1024 };
        static char spec[SPEC + 1];
        struct outcome o = {0};
        struct rlimit limit = {1024 * 1024, RLIM_INFINITY};
        memset(spec, 's', SPEC);
        f->store = sa_store_open(f->dir, &f->loop, NULL, NULL);
        REQUIRE(f->store && setrlimit(RLIMIT_FSIZE, &limit) == 0);
        for (int i = 0; i < COUNT; i++) {
            char id[24];
            snprintf(id, sizeof id, "sb-%d", i);
            struct sa_store_sandbox sandbox = a_sandbox(id, 1);
            sandbox.spec = spec;
            REQUIRE(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &o, NULL) == 0);
        }
        uv_run(&f->loop, UV_RUN_DEFAULT);
        REQUIRE(o.calls == COUNT && o.failures > 0);
        /* A write that is cut short at the limit looks like a full disk to SQLite, and now and
         * then it has forgotten the errno by the time that it is asked for it. */
        REQUIRE(o.err.code == SA_EUNAVAILABLE);
        REQUIRE(o.err.sys_errno == EFBIG || o.err.sys_errno == ENOSPC || o.err.sys_errno == EIO);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void no_permission(void **state)
{
    struct fixture *f = *state;
    fflush(NULL);
    assert_int_equal(chmod(f->dir, 0555), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sa_error err = {.code = SA_OK};
        if (geteuid() == 0)
            REQUIRE(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        REQUIRE(!sa_store_open(f->dir, &f->loop, NULL, &err));
        REQUIRE(err.code == SA_EUNAVAILABLE && err.sys_errno == EACCES);
        REQUIRE(strstr(err.message, "permission denied"));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(f->dir, 0700), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_closed, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(creates),
        CASE(makes_the_directory),
        CASE(tightens_permissions),
        CASE(migrates_an_older_schema),
        CASE(failed_migration_changes_nothing),
        CASE(refuses_newer_schema),
        CASE(refuses_other_programs_database),
        CASE(refuses_what_is_no_database),
        CASE(refuses_damage),
        CASE(refuses_odd_files),
        CASE(one_process_only),
        CASE(locked_by_a_tool),
        CASE(locked_while_running),
        CASE(file_size_limit),
        CASE(read_only_directory),
        CASE(disk_full_at_open),
        CASE(disk_fills_up),
        CASE(no_permission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
