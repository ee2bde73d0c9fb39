/* Prints the runtime's figures: memory, start, latency of an execution, throughput. */
#include "box.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct box box;

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_us(const char *what, int64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    printf("%-34s p50 %5lld us  p95 %5lld us  p99 %5lld us  min %5lld us\n", what,
           (long long)values[count / 2], (long long)values[count * 95 / 100],
           (long long)values[count * 99 / 100], (long long)values[0]);
}

/* exec of the runtime until its HELLO can be read. */
static void boot_to_hello(void)
{
    enum { RUNS = 300 };
    static int64_t us[RUNS];
    for (int i = 0; i < RUNS; i++) {
        sa_autobuf boot = SA_BUF_INIT;
        int pair[2], fd = memfd_create("boot", 0);
        char buffer[4096];
        sa_fields_add_text(&boot, SA_BOOT_ROOT, "/tmp");
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ||
            sa_write_all(fd, boot.data, boot.length) < 0)
            abort();
        int go[2];
        if (pipe2(go, O_CLOEXEC) < 0)
            abort();
        pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, NULL, NULL,
                                   NULL, NULL);
        if (pid == 0) {
            dup2(pair[1], 20);
            dup2(fd, 21);
            dup2(go[0], 22);
            dup2(20, 3);
            dup2(21, 4);
            if (read(22, buffer, 1) != 1)
                _exit(98);
            execl(RUNTIME_PATH, "execution-runtime", NULL);
            _exit(99);
        }
        usleep(1000); /* it waits at the read now */
        int64_t begin = sa_monotonic_us();
        if (write(go[1], "x", 1) != 1)
            abort();
        if (recv(pair[0], buffer, sizeof buffer, 0) <= 0)
            abort();
        us[i] = sa_monotonic_us() - begin;
        close(pair[0]);
        close(pair[1]);
        close(fd);
        close(go[0]);
        close(go[1]);
        waitpid(pid, NULL, 0);
    }
    print_us("exec of the runtime to HELLO", us, RUNS);
}

static void idle_memory(void)
{
    char path[64];
    sa_autobuf status = SA_BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/status", box.pid);
    if (sa_read_file(AT_FDCWD, path, 65536, &status, NULL) < 0)
        abort();
    for (const char *key = "VmRSS:\0RssAnon:\0RssFile:\0RssShmem:\0"; *key; key += strlen(key) + 1)
        printf("%s %ld KiB  ", key, strtol(strstr(status.data, key) + strlen(key), NULL, 10));
    printf("\n");
}

static void true_latency(void)
{
    enum { RUNS = 1000 };
    static int64_t us[RUNS], inside[RUNS];
    for (int i = 0; i < RUNS; i++) {
        int64_t begin = sa_monotonic_us();
        struct reply *r = exec_start(&box, "/usr/bin/true", NULL);
        reply_wait(r);
        us[i] = sa_monotonic_us() - begin;
        inside[i] = reply_int(r, SA_EXEC_DURATION_US);
        reply_free(r);
    }
    print_us("EXEC true: OPEN to END", us, RUNS);
    print_us("  of that fork to wait", inside, RUNS);
    static int64_t plain[RUNS];
    for (int i = 0; i < RUNS; i++) {
        int64_t begin = sa_monotonic_us();
        pid_t pid;
        char *argv[] = {"true", NULL};
        if (posix_spawn(&pid, "/usr/bin/true", NULL, NULL, argv, argv + 1) != 0)
            abort();
        waitpid(pid, NULL, 0);
        plain[i] = sa_monotonic_us() - begin;
    }
    print_us("  (posix_spawn and wait, here)", plain, RUNS);
}

/* Python that prints 1, in the ordinary way and from the template. */
static void python_latency(bool template)
{
    enum { RUNS = 200 };
    static int64_t us[RUNS], inside[RUNS];
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "python3", "-c", "exec(open(3).read())", NULL);
    sa_fields_add_int(&body, SA_EXEC_CODE_BYTES, 8);
    if (template)
        sa_fields_add_text(&body, SA_EXEC_TEMPLATE, "python");
    for (int i = -1; i < RUNS; i++) {
        int64_t begin = sa_monotonic_us();
        struct reply *r = exec_body(&box, &body);
        sa_stream_write(r->stream, SA_CHANNEL_IN, "print(1)", 8);
        reply_wait(r);
        if (i >= 0)
            us[i] = sa_monotonic_us() - begin;
        if (i >= 0)
            inside[i] = reply_int(r, SA_EXEC_DURATION_US);
        reply_free(r);
        box_idle(&box, i < 0 ? 200 : 5);
    }
    print_us(template ? "EXEC print(1), template" : "EXEC print(1)", us, RUNS);
    print_us("  of that start to wait", inside, RUNS);
    if (template)
        printf("%s", shell_out(&box, "for p in $(pgrep -f '[t]emplate.py'); do "
                                     "grep -h -e RssAnon -e VmRSS /proc/$p/status; done"));
}

static void stdout_rate(void)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "dd", "if=/dev/zero", "bs=256k", "count=8192", "status=none", NULL);
    sa_fields_add_int(&body, SA_EXEC_OUT_MAX, INT64_C(4) << 30);
    int64_t begin = sa_monotonic_us();
    struct reply *r = exec_body(&box, &body);
    r->discard = true;
    reply_wait(r);
    int64_t us = sa_monotonic_us() - begin;
    printf("%-34s %lld MB/s\n", "stdout", (long long)((int64_t)r->got[1] / us));
    reply_free(r);
}

static void stdin_rate(void)
{
    size_t length = 500000000;
    sa_autobuf body = SA_BUF_INIT;
    char *data = calloc(1, length);
    memset(data, 'x', length);
    add_argv(&body, "dd", "of=/dev/null", "bs=256k", "status=none", NULL);
    sa_fields_add_int(&body, SA_EXEC_STDIN, 1);
    int64_t begin = sa_monotonic_us();
    struct reply *r = exec_body(&box, &body);
    reply_send(r, data, length, true);
    reply_wait(r);
    int64_t us = sa_monotonic_us() - begin;
    printf("%-34s %lld MB/s\n", "stdin", (long long)((int64_t)length / us));
    reply_free(r);
    free(data);
}

static void file_rates(void)
{
    size_t length = 200000000;
    char *data = calloc(1, length);
    memset(data, 'x', length);
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, "big");
    for (int i = 0; i < 2; i++) {
        int64_t begin = sa_monotonic_us();
        struct reply *w = box_open(&box, SA_METHOD_FILE_WRITE, &body);
        reply_send(w, data, length, true);
        reply_wait(w);
        int64_t us = sa_monotonic_us() - begin;
        printf("%-34s %lld MB/s\n", "file write", (long long)((int64_t)length / us));
        reply_free(w);
        begin = sa_monotonic_us();
        struct reply *r = box_open(&box, SA_METHOD_FILE_READ, &body);
        r->discard = true;
        reply_wait(r);
        us = sa_monotonic_us() - begin;
        printf("%-34s %lld MB/s\n", "file read", (long long)((int64_t)r->got[0] / us));
        reply_free(r);
    }
    free(data);
}

int main(void)
{
    boot_to_hello();
    box_start(&box, &(struct box_options){.ws_size = "600m", .kernels = true});
    idle_memory();
    true_latency();
    python_latency(false);
    python_latency(true);
    stdout_rate();
    stdin_rate();
    file_rates();
    box_idle(&box, 1500); /* until it has given its memory back */
    idle_memory();
    box_stop(&box, 0);
    return 0;
}
