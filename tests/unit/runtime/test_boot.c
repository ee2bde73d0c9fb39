/* The beginning and the end of the runtime: the boot block, the link, its own protection. */
#include "box.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef RUNTIME_SANITIZED /* its shadow memory counts, too */
enum { IDLE_KIB_MAX = 200 * 1024 };
#else
enum { IDLE_KIB_MAX = 1024 };
#endif

/* Runs the binary, not as process 1, on a boot block; returns its exit status and what it said. */
static int run_bad(const struct sa_buf *boot, bool with_link, char *said, size_t size)
{
    int out[2], pair[2], status, fd = memfd_create("boot", 0);
    assert_int_equal(pipe(out), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    if (boot)
        assert_int_equal(sa_write_all(fd, boot->data, boot->length), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int high_boot = fcntl(fd, F_DUPFD, 20), high_link = fcntl(pair[1], F_DUPFD, 20);
        dup2(out[1], 2);
        close(3);
        close(4);
        if (boot)
            dup2(high_boot, 4);
        if (with_link)
            dup2(high_link, 3);
        execl(RUNTIME_PATH, "execution-runtime", NULL);
        _exit(99);
    }
    close(out[1]);
    close(pair[1]);
    close(fd);
    size_t used = 0;
    for (ssize_t n; used < size - 1 && (n = read(out[0], said + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    said[used] = '\0';
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(pair[0]);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_refusal(const struct sa_buf *boot, const char *text)
{
    char said[1000];
    assert_int_equal(run_bad(boot, true, said, sizeof said), 1);
    if (!strstr(said, text) || strncmp(said, "execution-runtime: boot block: ", 31) != 0)
        fail_msg("expected \"%s\" in: %s", text, said);
}

static void test_bad_boot_blocks(void **state)
{
    (void)state;
    struct sa_buf boot = SA_BUF_INIT;
    expect_refusal(NULL, "descriptor 4 is not open");
    sa_buf_addc(&boot, 'x');
    expect_refusal(&boot, "cut short");
    boot.length = 0;
    sa_fields_add_text(&boot, SA_BOOT_ENV, "A=b");
    expect_refusal(&boot, "first root must be a writable one");
    boot.length = 0;
    sa_fields_add_text(&boot, SA_BOOT_READ_ROOT, "/usr");
    expect_refusal(&boot, "first root must be a writable one");
    boot.length = 0;
    sa_fields_add_text(&boot, SA_BOOT_ROOT, "workspace");
    expect_refusal(&boot, "not absolute");
    boot.length = 0;
    sa_fields_add_text(&boot, SA_BOOT_ROOT, "/does/not/exist");
    expect_refusal(&boot, "/does/not/exist");
    boot.length = 0;
    sa_fields_add_text(&boot, SA_BOOT_ENV, "NOVALUE");
    expect_refusal(&boot, "NAME=value");
    boot.length = 0;
    sa_fields_add_text(&boot, SA_BOOT_RLIMIT, "bananas=3");
    expect_refusal(&boot, "unknown limit");
    boot.length = 0;
    sa_fields_add_int(&boot, SA_BOOT_OOM_SCORE, 4000);
    expect_refusal(&boot, "oom score 4000");
    boot.length = 0;
    sa_fields_add_int(&boot, SA_BOOT_ORPHAN_MS, 0);
    expect_refusal(&boot, "orphan after 0 ms");
    boot.length = 0;
    sa_fields_add_text(&boot, SA_BOOT_FILTER, "");
    expect_refusal(&boot, "without name or program");
    boot.length = 0;
    sa_fields_add_int(&boot, SA_FIELD_CRITICAL | 99, 1);
    expect_refusal(&boot, "critical");
    sa_buf_deinit(&boot);
}

static void test_bad_filter(void **state)
{
    (void)state;
    sa_autobuf boot = SA_BUF_INIT, filter = SA_BUF_INIT;
    sa_fields_add_text(&filter, SA_FILTER_NAME, "f");
    sa_fields_add_text(&filter, SA_FILTER_PROGRAM, "1234567");
    sa_fields_add_bytes(&boot, SA_BOOT_FILTER, filter.data, filter.length);
    expect_refusal(&boot, "filter program of 7 bytes");
}

static void test_huge_boot_block(void **state)
{
    (void)state;
    static char big[2 * 1024 * 1024];
    struct sa_buf boot = {big, sizeof big, sizeof big};
    expect_refusal(&boot, "longer than");
}

static void test_no_link(void **state)
{
    (void)state;
    char said[1000];
    struct sa_buf boot = SA_BUF_INIT;
    sa_fields_add_text(&boot, SA_BOOT_ROOT, "/tmp");
    assert_int_equal(run_bad(&boot, false, said, sizeof said), 1);
    assert_string_equal(said, "execution-runtime: door: descriptor 3 is not open\n");
    sa_buf_deinit(&boot);
}

/* Outside of a pid namespace its SHUTDOWN would be everybody's. */
static void test_not_process_1(void **state)
{
    (void)state;
    char said[1000];
    struct sa_buf boot = SA_BUF_INIT;
    sa_fields_add_text(&boot, SA_BOOT_ROOT, "/tmp");
    assert_int_equal(run_bad(&boot, true, said, sizeof said), 1);
    assert_non_null(strstr(said, "must be process 1"));
    sa_buf_deinit(&boot);
}

static void test_start_and_close(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, NULL);
    box_stop(&box, 0);
}

/* The link dies: every process dies with it, whatever it did to escape. */
static void test_link_death_kills_all(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, NULL);
    struct reply *r =
        exec_start(&box, "sh", "-c",
                   "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; sleep 1000' & done; "
                   "echo up; exec sleep 1000",
                   NULL);
    reply_wait_bytes(r, 1, 3);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", box.pid, box.pid);
    int children = open(path, O_RDONLY);
    char text[256] = "";
    assert_true(read(children, text, sizeof text - 1) > 0);
    pid_t main_pid = (pid_t)strtol(text, NULL, 10);
    assert_true(main_pid > 0 && kill(main_pid, 0) == 0);
    r->ended = true; /* it will never */
    box_stop(&box, 0);
    assert_int_equal(kill(main_pid, 0), -1);
    reply_free(r);
    close(children);
}

static void test_protocol_violation(void **state)
{
    (void)state;
    struct box box;
    int status;
    box_start(&box, NULL);
    assert_int_equal(write(box.socket, "garbage garbage garbage", 23), 23);
    assert_int_equal(waitpid(box.pid, &status, 0), box.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* an orphan */
    char reply[2000];
    ssize_t n = recv(box.socket, reply, sizeof reply, 0);
    assert_true(n > 12);
    assert_int_equal(reply[8], SA_LINK_GOAWAY);
    box_disconnect(&box);
    close(box.door);
    rmdir(box.ws);
    rmdir(box.tmp);
    rmdir(box.dir);
}

static void test_unknown_method(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, NULL);
    struct reply *r = box_open(&box, 999, NULL);
    reply_wait(r);
    assert_failed(r, SA_EINVALID, "unknown method 999");
    reply_free(r);
    box_stop(&box, 0);
}

/* Programs of the same user can neither read nor disturb process 1. */
static void test_own_protection(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, NULL);
    assert_string_equal(shell_out(&box, "cat /proc/1/environ 2>&1 | grep -c denied"), "1\n");
    assert_string_equal(shell_out(&box, "ls /proc/1/fd 2>&1 | grep -c denied"), "1\n");
    assert_string_equal(shell_out(&box, "(: < /proc/1/mem) 2>&1 | grep -c denied"), "1\n");
    assert_string_equal(shell_out(&box, "for s in TERM INT HUP KILL STOP SEGV PIPE CHLD USR1 34 "
                                        "64; do kill -$s 1; done; echo still here"),
                        "still here\n");
    assert_string_equal(shell_out(&box, "grep -E 'NoNewPrivs|CapEff|CapPrm|CapAmb' "
                                        "/proc/self/status | tr -d '\\n\\t'"),
                        "CapPrm:0000000000000000CapEff:0000000000000000CapAmb:0000000000000000"
                        "NoNewPrivs:1");
    box_stop(&box, 0);
}

static void test_usage(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, &(struct box_options){.ws_size = "8m"});
    struct reply *before = box_open(&box, SA_METHOD_USAGE, NULL);
    reply_wait(before);
    assert_int_equal(reply_int(before, SA_USAGE_PROCESSES), 1);
    assert_int_equal(reply_int(before, SA_USAGE_DISK_LIMIT), 8 * 1024 * 1024);
    assert_true(reply_int(before, SA_USAGE_INODES_LIMIT) > 0);
    assert_in_range(reply_int(before, SA_USAGE_MEMORY_BYTES), 4096, IDLE_KIB_MAX * 1024);
    struct reply *r = exec_start(&box, "sh", "-c",
                                 "head -c 3000000 /dev/zero > f; x=$(head -c 9000000 /dev/zero | "
                                 "tr '\\0' x); sleep 1000 & echo up; wait",
                                 NULL);
    reply_wait_bytes(r, 1, 3);
    struct reply *after = box_open(&box, SA_METHOD_USAGE, NULL);
    reply_wait(after);
    assert_int_equal(reply_int(after, SA_USAGE_PROCESSES), 3);
    assert_in_range(reply_int(after, SA_USAGE_DISK_BYTES) - reply_int(before, SA_USAGE_DISK_BYTES),
                    3000000, 3100000);
    assert_int_equal(reply_int(after, SA_USAGE_INODES) - reply_int(before, SA_USAGE_INODES), 1);
    assert_true(reply_int(after, SA_USAGE_MEMORY_BYTES) > 9000000);
    assert_true(reply_int(after, SA_USAGE_CPU_US) > reply_int(before, SA_USAGE_CPU_US));
    sa_stream_cancel(r->stream);
    reply_wait(r);
    reply_free(before);
    reply_free(after);
    reply_free(r);
    box_stop(&box, 0);
}

static void test_shutdown(void **state)
{
    (void)state;
    struct box box;
    int status;
    box_start(&box, NULL);
    struct reply *r = exec_start(&box, "sh", "-c",
                                 "trap 'echo bye; exit 7' TERM; echo up; "
                                 "while :; do sleep 0.01; done",
                                 NULL);
    reply_wait_bytes(r, 1, 3);
    struct reply *s = box_open(&box, SA_METHOD_SHUTDOWN, NULL);
    reply_wait(s);
    assert_false(s->failed);
    assert_exit(r, 7);
    assert_out(r, "up\nbye\n");
    assert_int_equal(waitpid(box.pid, &status, 0), box.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    reply_free(r);
    reply_free(s);
    box_disconnect(&box);
    close(box.door);
    rmdir(box.ws);
    rmdir(box.tmp);
    rmdir(box.dir);
}

static void test_shutdown_of_the_stubborn(void **state)
{
    (void)state;
    struct box box;
    int status;
    box_start(&box, NULL);
    struct reply *r =
        exec_start(&box, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done", NULL);
    reply_wait_bytes(r, 1, 3);
    int64_t begin = sa_monotonic_ms();
    struct reply *s = box_open(&box, SA_METHOD_SHUTDOWN, NULL);
    reply_wait(s);
    assert_in_range(sa_monotonic_ms() - begin, 400, 30000);
    assert_int_equal(waitpid(box.pid, &status, 0), box.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    r->ended = true;
    reply_free(r);
    reply_free(s);
    box_disconnect(&box);
    close(box.door);
    rmdir(box.ws);
    rmdir(box.tmp);
    rmdir(box.dir);
}

static long resident_kib(const struct box *box)
{
    char path[64];
    sa_autobuf status = SA_BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/status", box->pid);
    assert_int_equal(sa_read_file(AT_FDCWD, path, 65536, &status, NULL), 0);
    return strtol(strstr(status.data, "VmRSS:") + 6, NULL, 10);
}

/* At most 1 MiB when idle, also after a lot of work. */
static void test_idle_memory(void **state)
{
    (void)state;
    struct box box;
    box_start(&box, NULL);
    long fresh = resident_kib(&box);
    assert_in_range(fresh, 1, IDLE_KIB_MAX);
    struct reply *r[20];
    for (int i = 0; i < 20; i++) {
        sa_autobuf body = SA_BUF_INIT;
        add_argv(&body, "sh", "-c", "tee copy | head -c 20000000 /dev/zero", NULL);
        sa_fields_add_int(&body, SA_EXEC_STDIN, 1);
        r[i] = exec_body(&box, &body);
        r[i]->discard = true;
        static const char data[2000000];
        reply_send(r[i], data, sizeof data, true);
    }
    for (int i = 0; i < 20; i++) {
        reply_wait(r[i]);
        reply_free(r[i]);
    }
    box_idle(&box, 1500);
    long rested = resident_kib(&box);
    print_message("idle: VmRSS %ld KiB fresh, %ld KiB after work\n", fresh, rested);
    assert_in_range(rested, 1, IDLE_KIB_MAX);
    box_stop(&box, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_boot_blocks),
        cmocka_unit_test(test_bad_filter),
        cmocka_unit_test(test_huge_boot_block),
        cmocka_unit_test(test_no_link),
        cmocka_unit_test(test_not_process_1),
        cmocka_unit_test(test_start_and_close),
        cmocka_unit_test(test_link_death_kills_all),
        cmocka_unit_test(test_protocol_violation),
        cmocka_unit_test(test_unknown_method),
        cmocka_unit_test(test_own_protection),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_shutdown_of_the_stubborn),
        cmocka_unit_test(test_idle_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
