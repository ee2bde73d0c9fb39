/* EXEC: what a program gets, what comes back. */
#include "box.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct box box;

/* What is left for output of a new stream: the NOTE with the pid (one integer) has cost some. */
enum { CREDIT = SA_LINK_WINDOW_BYTES - SA_FIELD_HEADER_BYTES - 8 };

/* Denies getsid(2), which the programs here do not need, with an error of its own. */
static void add_filter(struct sa_buf *boot)
{
    static const struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* the number of the system call */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sa_autobuf filter = SA_BUF_INIT;
    sa_fields_add_text(&filter, SA_FILTER_NAME, "strict");
    sa_fields_add_bytes(&filter, SA_FILTER_PROGRAM, program, sizeof program);
    sa_fields_add_bytes(boot, SA_BOOT_FILTER, filter.data, filter.length);
    sa_fields_add_text(boot, SA_BOOT_RLIMIT, "core=0");
    sa_fields_add_text(boot, SA_BOOT_RLIMIT, "nofile=512:1024");
}

static int start(void **state)
{
    *state = &box;
    box_start(&box, &(struct box_options){.add_boot = add_filter});
    return 0;
}

/* Runs "sh -c" with one more text field. */
static struct reply *shell_with(const char *script, int tag, const char *text)
{
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_text(&extra, (uint16_t)tag, text);
    return shell(&box, script, &extra);
}

static struct reply *shell_with_int(const char *script, int tag, int64_t value)
{
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_int(&extra, (uint16_t)tag, value);
    return shell(&box, script, &extra);
}

static void test_output_and_result(void **state)
{
    (void)state;
    struct reply *r = shell(&box, "echo to out; echo to err >&2; exit 3", NULL);
    assert_exit(r, 3);
    assert_out(r, "to out\n");
    assert_string_equal(r->out[2].data, "to err\n");
    assert_true(r->eof[1] && r->eof[2]);
    assert_true(body_int(&r->notes, SA_EXEC_PID) > 1);
    assert_int_equal(reply_int(r, SA_EXEC_OUT_TOTAL), 7);
    assert_int_equal(reply_int(r, SA_EXEC_ERR_TOTAL), 7);
    assert_in_range(reply_int(r, SA_EXEC_DURATION_US), 100, 5000000);
    assert_in_range(reply_int(r, SA_EXEC_MEMORY_PEAK), 100000, 50000000);
    assert_true(reply_int(r, SA_EXEC_CPU_US) > 0);
    assert_int_equal(reply_int(r, SA_EXEC_LEFT), -1);
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), -1);
    reply_free(r);
}

static void test_every_exit_code(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code += 51) {
        char script[20];
        snprintf(script, sizeof script, "exit %d", code);
        struct reply *r = shell(&box, script, NULL);
        assert_exit(r, code);
        reply_free(r);
    }
}

static void test_signaled(void **state)
{
    (void)state;
    struct reply *r = shell(&box, "kill -SEGV $$", NULL);
    assert_status(r, "signaled");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGSEGV);
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_CODE), -1);
    reply_free(r);
}

static void test_signal_note(void **state)
{
    (void)state;
    sa_autobuf note = SA_BUF_INIT;
    struct reply *r = exec_start(&box, "sh", "-c",
                                 "trap 'echo got it; exit 5' USR1; echo up; "
                                 "while :; do sleep 0.01; done",
                                 NULL);
    reply_wait_bytes(r, 1, 3);
    sa_fields_add_int(&note, SA_EXEC_SIGNAL, SIGUSR1);
    assert_int_equal(sa_stream_note(r->stream, note.data, note.length), 0);
    reply_wait(r);
    assert_exit(r, 5);
    assert_out(r, "up\ngot it\n");
    reply_free(r);
}

static void test_bad_signal_note_is_ignored(void **state)
{
    (void)state;
    struct reply *r = exec_start(&box, "cat", NULL);
    static const int64_t numbers[] = {0, -9, 65, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sa_autobuf note = SA_BUF_INIT;
        sa_fields_add_int(&note, SA_EXEC_SIGNAL, numbers[i]);
        assert_int_equal(sa_stream_note(r->stream, note.data, note.length), 0);
    }
    assert_int_equal(sa_stream_note(r->stream, "garbage", 7), 0);
    reply_wait(r);
    assert_exit(r, 0);
    reply_free(r);
}

/* --- surroundings --- */

static void test_environment(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_text(&extra, SA_EXEC_ENV, "OWN=first");
    sa_fields_add_text(&extra, SA_EXEC_ENV, "OWN=second = more");
    sa_fields_add_text(&extra, SA_EXEC_ENV, "FROM_BOOT=replaced");
    sa_fields_add_text(&extra, SA_EXEC_ENV, "FROM_BOOT2=");
    struct reply *r = shell(&box, "env | grep -v PWD= | sort", &extra);
    assert_exit(r, 0);
    assert_out(r, "FROM_BOOT2=\nFROM_BOOT=replaced\nOWN=second = more\nPATH=/usr/bin:/bin\n");
    reply_free(r);
    assert_string_equal(shell_out(&box, "echo $FROM_BOOT"), "yes\n");
}

static void test_cwd(void **state)
{
    (void)state;
    char expected[200];
    snprintf(expected, sizeof expected, "%s\n", box.ws);
    assert_string_equal(shell_out(&box, "pwd; mkdir -p sub/deep"), expected);
    struct reply *r = shell_with("pwd", SA_EXEC_CWD, "/usr/lib");
    assert_out(r, "/usr/lib\n");
    reply_free(r);
    snprintf(expected, sizeof expected, "%s/sub/deep\n", box.ws);
    r = shell_with("pwd", SA_EXEC_CWD, "sub/deep");
    assert_out(r, expected);
    reply_free(r);
    r = shell_with("pwd", SA_EXEC_CWD, "/nowhere");
    assert_failed(r, SA_ENOTFOUND, "/nowhere");
    assert_string_equal(r->error.path, "cwd");
    reply_free(r);
    r = shell_with("pwd", SA_EXEC_CWD, "/usr/bin/env");
    assert_failed(r, SA_ENOTFOUND, "cwd");
    reply_free(r);
}

static void test_descriptors(void **state)
{
    (void)state;
    /* ls itself has the folder open. */
    assert_string_equal(shell_out(&box, "ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
    assert_string_equal(shell_out(&box, "readlink /proc/self/fd/0"), "/dev/null\n");
}

static void test_own_session_and_defaults(void **state)
{
    (void)state;
    assert_string_equal(shell_out(&box, "test $(cut -d' ' -f5 /proc/$$/stat) = $$ && "
                                        "test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leader"),
                        "leader\n");
    assert_string_equal(shell_out(&box, "grep -E 'SigBlk|SigIgn' /proc/self/status | "
                                        "tr -d '\\n\\t'"),
                        "SigBlk:0000000000000000SigIgn:0000000000000000");
    assert_string_equal(shell_out(&box, "umask; cat /proc/self/oom_score_adj"), "0022\n500\n");
    assert_string_equal(shell_out(&box, "cat /proc/$PPID/comm"), "execution-runti\n");
}

static void test_rlimits(void **state)
{
    (void)state;
    assert_string_equal(shell_out(&box, "ulimit -Sn; ulimit -Hn; ulimit -c"), "512\n1024\n0\n");
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_text(&extra, SA_EXEC_RLIMIT, "nofile=64");
    sa_fields_add_text(&extra, SA_EXEC_RLIMIT, "fsize=4096:8192");
    struct reply *r = shell(&box, "ulimit -Sn; ulimit -Hn; ulimit -Sf; ulimit -Hf", &extra);
    assert_out(r, "64\n64\n8\n16\n");
    reply_free(r);
    r = shell_with("true", SA_EXEC_RLIMIT, "nofile=4000:8000");
    assert_failed(r, SA_EFORBIDDEN, "nofile");
    reply_free(r);
    static const char *const bad[] = {"nofile",    "nofile=",    "nofile=1:",
                                      "nofile=-1", "nofile=2:1", "nofile=1x",
                                      "rttime=5",  "=5",         "nofile=99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        r = shell_with("true", SA_EXEC_RLIMIT, bad[i]);
        assert_failed(r, SA_EINVALID, bad[i]);
        reply_free(r);
    }
}

static void test_filter(void **state)
{
    (void)state;
    static const char script[] = "perl -e '$p = getpriority(0, 0); print $!+0'";
    struct reply *r = shell_with(script, SA_EXEC_FILTER, "strict");
    assert_exit(r, 0);
    assert_out(r, "77");
    reply_free(r);
    r = shell_with(script, SA_EXEC_FILTER, "default");
    assert_out(r, "0");
    reply_free(r);
    r = shell_with("grep Seccomp: /proc/self/status", SA_EXEC_FILTER, "strict");
    assert_out(r, "Seccomp:\t2\n");
    reply_free(r);
    r = shell_with(script, SA_EXEC_FILTER, "absent");
    assert_failed(r, SA_ECONTROL, "absent");
    reply_free(r);
}

static void test_no_default_filter(void **state)
{
    (void)state;
    struct box bare;
    box_start(&bare, &(struct box_options){.no_filter = true, .add_boot = add_filter});
    struct reply *r = shell(&bare, "true", NULL);
    assert_failed(r, SA_ECONTROL, "default");
    reply_free(r);
    box_stop(&bare, 0);
}

/* Run `sh SCRIPT-ARGS` with code, whatever follows it being stdin. */
static struct reply *with_code(const char *command, const char *code, const char *input)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sh", "-c", command, NULL);
    sa_fields_add_int(&body, SA_EXEC_CODE_BYTES, (int64_t)strlen(code));
    sa_fields_add_int(&body, SA_EXEC_STDIN, 1);
    sa_autobuf all = SA_BUF_INIT;
    sa_buf_adds(&all, code);
    sa_buf_adds(&all, input);
    struct reply *r = exec_body(&box, &body);
    reply_send(r, all.data, all.length, true);
    reply_wait(r);
    return r;
}

static void test_code(void **state)
{
    (void)state;
    const char *code = "echo from code $((6*7)); cat <&3; echo x >&3";
    struct reply *r = with_code("exec sh /dev/fd/3", code, "");
    assert_int_not_equal(reply_int(r, SA_EXEC_EXIT_CODE), 0); /* it cannot be written */
    assert_non_null(strstr(r->out[1].data, "from code 42\n"));
    reply_free(r);
    r = with_code("ls /proc/self/fd | tr '\\n' ' '; cat <&3", code, "");
    assert_out(r, "0 1 2 3 4 echo from code $((6*7)); cat <&3; echo x >&3");
    reply_free(r);
    r = with_code("cat <&3; echo; cat", "the code", "the input");
    assert_out(r, "the code\nthe input");
    reply_free(r);
}

static void test_large_code(void **state)
{
    (void)state;
    const size_t length = 3 * 1024 * 1024; /* many frames, more than the window */
    char *code = sa_alloc(length + 1);
    memset(code, 'c', length);
    struct reply *r = with_code("wc -c <&3; cat", code, "input");
    assert_out(r, "3145728\ninput");
    reply_free(r);
    free(code);
}

static void test_code_that_does_not_come(void **state)
{
    (void)state;
    for (int cancel = 0; cancel < 2; cancel++) {
        sa_autobuf body = SA_BUF_INIT;
        add_argv(&body, "true", NULL);
        sa_fields_add_int(&body, SA_EXEC_CODE_BYTES, 10);
        struct reply *r = exec_body(&box, &body);
        reply_send(r, "short", 5, !cancel);
        if (cancel) {
            box_idle(&box, 20);
            sa_stream_cancel(r->stream);
        }
        reply_wait(r);
        if (cancel)
            assert_failed(r, SA_ECANCELED, "before it started");
        else
            assert_failed(r, SA_EPROTOCOL, "5 bytes too early");
        reply_free(r);
    }
    struct reply *r = shell_with_int("true", SA_EXEC_CODE_BYTES, SA_EXEC_CODE_MAX + 1);
    assert_failed(r, SA_EINVALID, "is not from");
    reply_free(r);
}

/* --- what cannot be started --- */

static void test_cannot_start(void **state)
{
    (void)state;
    assert_string_equal(shell_out(&box, "echo data > plain; printf '\\1\\2\\3' > junk; "
                                        "chmod +x junk; mkdir -p folder"),
                        "");
    static const struct {
        const char *program;
        enum sa_code code;
        const char *text;
    } cases[] = {{"no-such-program", SA_ENOTFOUND, "was not found in PATH"},
                 {"./no-such-program", SA_ENOTFOUND, "was not found"},
                 {"/usr/bin/env/x", SA_ENOTFOUND, "was not found"},
                 {"./plain", SA_EFORBIDDEN, "may not be executed"},
                 {"./folder", SA_EFORBIDDEN, "may not be executed"},
                 {"./junk", SA_EINVALID, "is not a program"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reply *r = exec_start(&box, cases[i].program, NULL);
        reply_wait(r);
        assert_failed(r, cases[i].code, cases[i].text);
        assert_string_equal(r->error.path, "command");
        assert_int_equal(r->note_count, 0); /* it never ran */
        reply_free(r);
    }
}

static void test_bad_requests(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    struct reply *r = exec_body(&box, &body);
    reply_wait(r);
    assert_failed(r, SA_EINVALID, "no program");
    reply_free(r);
    r = exec_start(&box, "", NULL);
    reply_wait(r);
    assert_failed(r, SA_EINVALID, "no program");
    reply_free(r);
    r = shell_with("true", SA_EXEC_ENV, "NOVALUE");
    assert_failed(r, SA_EINVALID, "NAME=value");
    reply_free(r);
    r = shell_with("true", SA_EXEC_ENV, "=value");
    assert_failed(r, SA_EINVALID, "NAME=value");
    reply_free(r);
    r = shell_with_int("true", SA_EXEC_TIMEOUT_MS, 0);
    assert_failed(r, SA_EINVALID, "0 is not");
    reply_free(r);
    r = shell_with_int("true", SA_EXEC_TIMEOUT_MS, -5);
    assert_failed(r, SA_EINVALID, "-5 is not");
    reply_free(r);
    r = shell_with_int("true", SA_FIELD_CRITICAL | 99, 1);
    assert_failed(r, SA_EINVALID, "critical");
    reply_free(r);
    r = shell_with_int("true", 99, 1); /* unknown, but not critical */
    assert_exit(r, 0);
    reply_free(r);
    sa_fields_add_bytes(&body, SA_EXEC_ARGV, "a\0b", 3);
    r = exec_body(&box, &body);
    reply_wait(r);
    assert_failed(r, SA_EPROTOCOL, "NUL");
    reply_free(r);
    body.length = 0;
    for (int i = 0; i < 5000; i++)
        sa_fields_add_text(&body, SA_EXEC_ARGV, "x");
    r = exec_body(&box, &body);
    reply_wait(r);
    assert_failed(r, SA_ETOOLARGE, "more than 4096");
    reply_free(r);
}

static void test_path_of_the_program(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    shell_out(&box,
              "mkdir -p bin; printf '#!/bin/sh\\necho mine' > bin/mytool; chmod +x bin/mytool");
    char path[200];
    snprintf(path, sizeof path, "PATH=/nowhere::%s/bin:/usr/bin:/bin", box.ws);
    add_argv(&body, "mytool", NULL);
    sa_fields_add_text(&body, SA_EXEC_ENV, path);
    struct reply *r = exec_body(&box, &body);
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "mine\n");
    reply_free(r);
}

/* --- stdin --- */

static struct reply *start_with_stdin(const char *script)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sh", "-c", script, NULL);
    sa_fields_add_int(&body, SA_EXEC_STDIN, 1);
    return exec_body(&box, &body);
}

static void test_stdin(void **state)
{
    (void)state;
    struct reply *r = start_with_stdin("cat; echo end");
    reply_send(r, "hello\n", 6, true);
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "hello\nend\n");
    reply_free(r);
}

static void test_stdin_in_both_directions(void **state)
{
    (void)state;
    struct reply *r = start_with_stdin("while read x; do echo got $x; done");
    reply_send(r, "1\n", 2, false);
    reply_wait_bytes(r, 1, 6);
    reply_send(r, "2\n", 2, true);
    reply_wait(r);
    assert_out(r, "got 1\ngot 2\n");
    reply_free(r);
}

static void test_large_stdin(void **state)
{
    (void)state;
    size_t length = 20 * 1000 * 1000;
    char *data = malloc(length);
    for (size_t i = 0; i < length; i++)
        data[i] = (char)(i * 31 + i / 4096);
    struct reply *r = start_with_stdin("cat");
    reply_send(r, data, length, true);
    reply_wait(r);
    assert_exit(r, 0);
    assert_int_equal(r->got[1], length);
    assert_memory_equal(r->out[1].data, data, length);
    reply_free(r);
    free(data);
}

/* Nobody reads: the sender may not send more than the window and the pipe hold, and the rest of
 * the runtime goes on. */
static void test_stdin_back_pressure(void **state)
{
    (void)state;
    size_t length = 4 * 1024 * 1024;
    char *data = calloc(1, length);
    shell_out(&box, "rm -f gate; mkfifo gate");
    struct reply *r = start_with_stdin("read go < gate; wc -c");
    reply_send(r, data, length, true);
    box_idle(&box, 200);
    assert_true(r->send_left >= length - SA_LINK_WINDOW_BYTES - 1024 * 1024);
    assert_true(r->send_left > 0);
    assert_string_equal(shell_out(&box, "echo alive"), "alive\n");
    shell_out(&box, "echo go > gate");
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "4194304\n");
    reply_free(r);
    free(data);
}

static void test_stdin_that_is_not_read_to_the_end(void **state)
{
    (void)state;
    size_t length = 4 * 1024 * 1024;
    char *data = calloc(1, length);
    struct reply *r = start_with_stdin("exec 0<&-; echo closed; sleep 0.2");
    reply_send(r, data, length, true);
    reply_wait(r);
    assert_exit(r, 0);
    assert_out(r, "closed\n");
    reply_free(r);
    free(data);
}

static void test_stdin_without_asking(void **state)
{
    (void)state;
    struct reply *r = exec_start(&box, "sh", "-c", "cat; echo end", NULL);
    reply_send(r, "dropped", 7, true);
    reply_wait(r);
    assert_out(r, "end\n");
    reply_free(r);
}

/* --- stdout --- */

static void test_flood(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sh", "-c", "head -c 100000000 /dev/zero", NULL);
    struct reply *r = exec_body(&box, &body);
    r->discard = true;
    reply_wait(r);
    assert_exit(r, 0);
    assert_int_equal(r->got[1], 100000000);
    assert_int_equal(reply_int(r, SA_EXEC_OUT_TOTAL), 100000000);
    reply_free(r);
}

/* The reader gives no credit: the program blocks after a window and a pipe, nothing is lost, and
 * others go on. */
static void test_slow_reader(void **state)
{
    (void)state;
    struct reply *r = exec_start(&box, "sh", "-c",
                                 "i=0; while [ $i -lt 2000000 ]; do echo $i; i=$((i+1)); done | "
                                 "head -c 5000000; echo written > done-mark",
                                 NULL);
    r->hold = true;
    reply_wait_bytes(r, 1, CREDIT);
    box_idle(&box, 100);
    assert_int_equal(r->got[1], CREDIT);
    assert_string_equal(shell_out(&box, "ls done-mark 2>&1 | grep -c 'No such'"), "1\n");
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_exit(r, 0);
    assert_int_equal(r->got[1], 5000000);
    char *p = r->out[1].data;
    for (int i = 0; i < 600000; i++)
        assert_int_equal(strtol(p, &p, 10), i);
    reply_free(r);
}

static void test_output_cap(void **state)
{
    (void)state;
    sa_autobuf extra = SA_BUF_INIT;
    sa_fields_add_int(&extra, SA_EXEC_OUT_MAX, 1000);
    struct reply *r = shell(&box, "head -c 3000000 /dev/zero | tr '\\0' x; echo err >&2", &extra);
    assert_exit(r, 0);
    assert_int_equal(r->got[1], 1000);
    assert_int_equal(reply_int(r, SA_EXEC_OUT_TOTAL), 3000000);
    assert_int_equal(r->got[2], 4);
    assert_int_equal(reply_int(r, SA_EXEC_ERR_TOTAL), 4);
    reply_free(r);
    extra.length = 0;
    sa_fields_add_int(&extra, SA_EXEC_OUT_MAX, 0);
    r = shell(&box, "echo x", &extra);
    assert_exit(r, 0);
    assert_int_equal(r->got[1], 0);
    assert_int_equal(reply_int(r, SA_EXEC_OUT_TOTAL), 2);
    reply_free(r);
}

static void test_nothing_before_the_exit_is_lost(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct reply *r = shell(&box, "head -c 60000 /dev/zero; head -c 50000 /dev/zero >&2", NULL);
        assert_int_equal(r->got[1], 60000);
        assert_int_equal(r->got[2], 50000);
        reply_free(r);
    }
}

/* Processor time of the runtime so far, in ticks of mostly 10 ms. */
static int64_t cpu_ticks(void)
{
    char path[64];
    sa_autobuf text = SA_BUF_INIT;
    snprintf(path, sizeof path, "/proc/%d/stat", box.pid);
    assert_int_equal(sa_read_file(AT_FDCWD, path, 4096, &text, NULL), 0);
    const char *p = strrchr(text.data, ')');
    for (int i = 2; i < 14; i++)
        p = strchr(p + 1, ' ');
    char *next;
    long user = strtol(p, &next, 10);
    return user + strtol(next, NULL, 10);
}

/* The same with a reader that gives no credit until after the exit. */
static void test_nothing_is_lost_to_a_slow_reader(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sh", "-c", "(sleep 1000 &) ; head -c 560000 /dev/zero", NULL);
    struct reply *r = exec_body(&box, &body);
    r->hold = true;
    reply_wait_bytes(r, 1, CREDIT);
    int64_t begin = cpu_ticks();
    box_idle(&box, 800); /* the main process has exited, the pipe is open and not empty */
    assert_false(r->ended);
    assert_in_range(cpu_ticks() - begin, 0, 10); /* and nothing spins */
    r->hold = false;
    sa_stream_consume(r->stream, r->held);
    reply_wait(r);
    assert_int_equal(r->got[1], 560000);
    assert_int_equal(reply_int(r, SA_EXEC_LEFT), 1);
    reply_free(r);
    shell_out(&box, "kill -9 $(grep -l sleep /proc/[0-9]*/comm | cut -d/ -f3) || true");
}

/* --- many --- */

static void test_256_at_once(void **state)
{
    (void)state;
    static struct reply *replies[SA_LINK_STREAMS_MAX];
    struct sa_error err;
    shell_out(&box, "rm -f gate; mkfifo gate");
    for (int i = 0; i < SA_LINK_STREAMS_MAX; i++) {
        char script[100];
        snprintf(script, sizeof script, "echo up; read x < gate; echo %d", i);
        replies[i] = exec_start(&box, "sh", "-c", script, NULL);
    }
    for (int i = 0; i < SA_LINK_STREAMS_MAX; i++)
        reply_wait_bytes(replies[i], 1, 3);
    assert_null(sa_link_open(box.link, SA_METHOD_EXEC, NULL, 0, NULL, &err));
    assert_int_equal(err.code, SA_EUNAVAILABLE);
    sa_stream_cancel(replies[0]->stream);
    reply_wait(replies[0]);
    assert_status(replies[0], "canceled");
    shell_out(&box, "timeout 5 sh -c 'while :; do echo go; done' > gate 2> /dev/null & "
                    "sleep 0.1");
    for (int i = 1; i < SA_LINK_STREAMS_MAX; i++) {
        char expected[20];
        reply_wait(replies[i]);
        snprintf(expected, sizeof expected, "up\n%d\n", i);
        assert_exit(replies[i], 0);
        assert_out(replies[i], expected);
    }
    for (int i = 0; i < SA_LINK_STREAMS_MAX; i++)
        reply_free(replies[i]);
}

/* Only root may look: the runtime is not dumpable. -1: not allowed. */
static int open_descriptors(void)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", box.pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void test_nothing_is_left_open(void **state)
{
    (void)state;
    int before = open_descriptors();
    assert_true(before > 0 || getuid() != 0);
    for (int i = 0; i < 50; i++) {
        reply_free(shell(&box, "true", NULL));
        struct reply *r = exec_start(&box, "no-such-program", NULL);
        reply_wait(r);
        reply_free(r);
        reply_free(with_code("true", "code", ""));
    }
    assert_true(open_descriptors() <= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_and_result),
        cmocka_unit_test(test_every_exit_code),
        cmocka_unit_test(test_signaled),
        cmocka_unit_test(test_signal_note),
        cmocka_unit_test(test_bad_signal_note_is_ignored),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_cwd),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_own_session_and_defaults),
        cmocka_unit_test(test_rlimits),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_no_default_filter),
        cmocka_unit_test(test_code),
        cmocka_unit_test(test_large_code),
        cmocka_unit_test(test_code_that_does_not_come),
        cmocka_unit_test(test_cannot_start),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_path_of_the_program),
        cmocka_unit_test(test_stdin),
        cmocka_unit_test(test_stdin_in_both_directions),
        cmocka_unit_test(test_large_stdin),
        cmocka_unit_test(test_stdin_back_pressure),
        cmocka_unit_test(test_stdin_that_is_not_read_to_the_end),
        cmocka_unit_test(test_stdin_without_asking),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_output_cap),
        cmocka_unit_test(test_nothing_before_the_exit_is_lost),
        cmocka_unit_test(test_nothing_is_lost_to_a_slow_reader),
        cmocka_unit_test(test_256_at_once),
        cmocka_unit_test(test_nothing_is_left_open),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
