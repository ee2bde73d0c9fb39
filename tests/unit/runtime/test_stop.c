/* EXEC: timeouts, cancels, background processes, orphans, and programs that resist. */
#include "box.h"

#include "base/clock.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct box box;

static int start(void **state)
{
    *state = &box;
    box_start(&box, NULL);
    return 0;
}

static int64_t processes_of(struct box *of)
{
    struct reply *r = box_open(of, SA_METHOD_USAGE, NULL);
    reply_wait(r);
    int64_t n = reply_int(r, SA_USAGE_PROCESSES);
    reply_free(r);
    return n;
}

static int64_t processes(void)
{
    return processes_of(&box);
}

static void expect_alone(void)
{
    for (int i = 0; i < 3000 && processes() > 1; i++)
        box_idle(&box, 10);
    assert_int_equal(processes(), 1);
}

static struct reply *start_limited(const char *script, int timeout_ms, int grace_ms)
{
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sh", "-c", script, NULL);
    if (timeout_ms)
        sa_fields_add_int(&body, SA_EXEC_TIMEOUT_MS, timeout_ms);
    sa_fields_add_int(&body, SA_EXEC_GRACE_MS, grace_ms);
    return exec_body(&box, &body);
}

static struct reply *run_limited(const char *script, int timeout_ms, int grace_ms)
{
    struct reply *r = start_limited(script, timeout_ms, grace_ms);
    reply_wait(r);
    return r;
}

static void expect_duration(const struct reply *r, int from_ms, int to_ms)
{
    assert_in_range(reply_int(r, SA_EXEC_DURATION_US), from_ms * 1000, to_ms * 1000);
}

static void test_timeout_term(void **state)
{
    (void)state;
    struct reply *r = run_limited("echo before; sleep 1000", 1000, 30000);
    assert_status(r, "timeout");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGTERM);
    assert_out(r, "before\n");
    expect_duration(r, 1000, 30000);
    reply_free(r);
    expect_alone();
}

static void test_timeout_obeyed(void **state)
{
    (void)state;
    struct reply *r = run_limited("trap 'echo cleaned up; exit 4' TERM; while :; do sleep 0.01; "
                                  "done",
                                  1000, 30000);
    assert_status(r, "timeout");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_CODE), 4);
    assert_out(r, "cleaned up\n");
    reply_free(r);
    expect_alone();
}

static void test_timeout_kill(void **state)
{
    (void)state;
    struct reply *r = run_limited("trap '' TERM; while :; do sleep 0.01; done", 1000, 200);
    assert_status(r, "timeout");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGKILL);
    expect_duration(r, 1200, 30000);
    reply_free(r);
    expect_alone();
}

static void test_timeout_without_grace(void **state)
{
    (void)state;
    struct reply *r = run_limited("trap 'echo never' TERM; while :; do :; done", 50, 0);
    assert_status(r, "timeout");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGKILL);
    assert_out(r, "");
    reply_free(r);
    expect_alone();
}

static void test_timeout_of_the_stopped(void **state)
{
    (void)state;
    struct reply *r = run_limited("kill -STOP $$; echo never", 100, 200);
    assert_status(r, "timeout");
    assert_out(r, "");
    reply_free(r);
    expect_alone();
    r = run_limited("trap '' TERM; while :; do kill -STOP $$; done", 1000, 100);
    assert_status(r, "timeout");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGKILL);
    reply_free(r);
    expect_alone();
}

static void test_no_timeout_when_in_time(void **state)
{
    (void)state;
    struct reply *r = run_limited("sleep 0.05; echo ok", 50000, 100);
    assert_exit(r, 0);
    assert_out(r, "ok\n");
    reply_free(r);
}

/* Everything that belongs to it dies: children, other groups, other sessions, orphans of orphans
 * that left the session. */
static void test_timeout_takes_the_whole_execution(void **state)
{
    (void)state;
    struct reply *r = run_limited(
        "trap '' TERM; (sleep 1000 &); setsid sh -c 'trap \"\" TERM; setsid sleep 1001 & sleep "
        "1002' &\n"
        "perl -e 'exit if fork; setpgrp; exit if fork; require POSIX; POSIX::setsid(); "
        "exit if fork; $SIG{TERM}=q(IGNORE); sleep 1000'\n"
        "env -i setsid sh -c 'sleep 1003 & exec sleep 1004' > /dev/null 2>&1 < /dev/null &\n"
        "echo up; sleep 1000",
        3000, 100);
    assert_status(r, "timeout");
    assert_out(r, "up\n");
    assert_int_equal(reply_int(r, SA_EXEC_LEFT), -1);
    reply_free(r);
    expect_alone();
}

static void test_timeout_leaves_other_executions_alone(void **state)
{
    (void)state;
    struct reply *other = exec_start(&box, "sh", "-c", "echo up; sleep 0.6; echo fine", NULL);
    reply_wait_bytes(other, 1, 3);
    struct reply *r = run_limited("setsid sleep 1000 & sleep 1000", 100, 100);
    assert_status(r, "timeout");
    reply_free(r);
    reply_wait(other);
    assert_exit(other, 0);
    assert_out(other, "up\nfine\n");
    reply_free(other);
    expect_alone();
}

static void test_cancel(void **state)
{
    (void)state;
    struct reply *r = start_limited("setsid sleep 1000 & echo up; sleep 1000", 0, 300);
    reply_wait_bytes(r, 1, 3);
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    assert_int_equal(reply_int(r, SA_EXEC_EXIT_SIGNAL), SIGTERM);
    reply_free(r);
    expect_alone();
}

static void test_cancel_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct reply *r = exec_start(&box, i % 2 ? "sleep" : "no-such-program", "1000", NULL);
        sa_stream_cancel(r->stream);
        reply_wait(r);
        if (r->failed)
            assert_failed(r, SA_ENOTFOUND, "no-such-program");
        else
            assert_status(r, "canceled");
        reply_free(r);
    }
    expect_alone();
}

static void test_cancel_of_a_flood_that_nobody_reads(void **state)
{
    (void)state;
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "sh", "-c", "trap '' TERM; while :; do cat /dev/zero; done", NULL);
    sa_fields_add_int(&body, SA_EXEC_GRACE_MS, 50);
    struct reply *r = exec_body(&box, &body);
    r->hold = true;
    reply_wait_bytes(r, 1, 500000);
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    reply_free(r);
    expect_alone();
}

/* --- the background --- */

static void test_background_that_holds_stdout(void **state)
{
    (void)state;
    int64_t begin = sa_monotonic_ms();
    struct reply *r = shell(&box, "sleep 1000 & echo done", NULL);
    assert_exit(r, 0);
    assert_out(r, "done\n");
    assert_in_range(sa_monotonic_ms() - begin, 0, 30000);
    assert_int_equal(reply_int(r, SA_EXEC_LEFT), 1);
    assert_true(r->eof[1] && r->eof[2]);
    reply_free(r);
    assert_int_equal(processes(), 2); /* it may go on */
    shell_out(&box, "kill -9 -1 2> /dev/null || true; true; exit 0");
}

static void test_background_that_goes_on_writing(void **state)
{
    (void)state;
    int64_t begin = sa_monotonic_ms();
    struct reply *r = shell(&box, "(while :; do echo noise; done) & echo done", NULL);
    assert_exit(r, 0);
    assert_non_null(strstr(r->out[1].data, "done\n"));
    assert_in_range(sa_monotonic_ms() - begin, 0, 30000); /* though it never falls quiet */
    reply_free(r);
    box_idle(&box, 300);
    assert_true(processes() >= 2); /* its pipe is still read: no SIGPIPE */
    reply_free(shell(&box, "kill -9 -1", NULL));
    expect_alone();
}

/* Late words of a pipeline's other end still count. */
static void test_background_that_finishes_soon(void **state)
{
    (void)state;
    bool seen = false;
    /* The words may come too late on a busy machine, but not each time. */
    for (int i = 0; i < 50 && !seen; i++) {
        struct reply *r = shell(&box, "(sleep 0.01; echo late) & echo early", NULL);
        assert_exit(r, 0);
        assert_int_equal(strncmp(r->out[1].data, "early\n", 6), 0);
        seen = strstr(r->out[1].data, "late\n") != NULL;
        reply_free(r);
    }
    assert_true(seen);
}

static void test_flooding_leftover_costs_little(void **state)
{
    (void)state;
    char path[64];
    struct reply *r = shell(&box, "cat /dev/zero & echo done", NULL);
    assert_exit(r, 0);
    reply_free(r);
    struct reply *before = box_open(&box, SA_METHOD_USAGE, NULL);
    reply_wait(before);
    box_idle(&box, 1000);
    struct reply *after = box_open(&box, SA_METHOD_USAGE, NULL);
    reply_wait(after);
    snprintf(path, sizeof path, "%d", box.pid);
    assert_true(reply_int(after, SA_USAGE_CPU_US) - reply_int(before, SA_USAGE_CPU_US) < 200000);
    reply_free(before);
    reply_free(after);
    reply_free(shell(&box, "kill -9 -1", NULL));
    expect_alone();
}

/* Whether it ended as soon as it was told to. */
static bool cancel_while_the_background_writes(void)
{
    struct reply *r = exec_start(&box, "sh", "-c", "cat /dev/zero & exit 0", NULL);
    int64_t begin = sa_monotonic_ms();
    r->discard = true;
    box_idle(&box, 100);
    sa_stream_cancel(r->stream);
    reply_wait(r);
    bool quick = sa_monotonic_ms() - begin < 300;
    assert_exit(r, 0); /* it had exited by itself */
    assert_int_equal(reply_int(r, SA_EXEC_LEFT), 1);
    reply_free(r);
    reply_free(shell(&box, "kill -9 -1", NULL));
    expect_alone();
    return quick;
}

static void test_cancel_while_the_background_writes(void **state)
{
    (void)state;
    bool quick = false;
    for (int i = 0; i < 50 && !quick; i++) /* nothing is quick on a busy machine */
        quick = cancel_while_the_background_writes();
    assert_true(quick);
}

static void test_orphans_are_reaped(void **state)
{
    (void)state;
    struct reply *r = shell(&box,
                            "i=0; while [ $i -lt 200 ]; do (setsid true &) ; "
                            "i=$((i+1)); done",
                            NULL);
    assert_exit(r, 0);
    reply_free(r);
    expect_alone();
    assert_string_equal(shell_out(&box, "grep -l zombie /proc/[0-9]*/status || echo none"),
                        "none\n");
}

/* --- those who resist --- */

static void limit_processes(struct sa_buf *boot)
{
    sa_fields_add_text(boot, SA_BOOT_RLIMIT, "nproc=200");
}

static void fork_bomb(const char *script)
{
    struct box small;
    box_start(&small, &(struct box_options){.add_boot = limit_processes});
    sa_autobuf body = SA_BUF_INIT;
    add_argv(&body, "perl", "-e", script, NULL);
    sa_fields_add_int(&body, SA_EXEC_GRACE_MS, 100);
    struct reply *r = exec_body(&small, &body);
    for (int i = 0; i < 3000 && processes_of(&small) <= 100; i++)
        box_idle(&small, 10);
    /* At the limit nothing can be started, which is said; everything else still works. */
    struct reply *other = exec_start(&small, "true", NULL);
    assert_true(processes_of(&small) > 50);
    reply_wait(other);
    if (other->failed)
        assert_int_equal(other->error.code, SA_EQUOTA);
    reply_free(other);
    sa_stream_cancel(r->stream);
    reply_wait(r);
    assert_status(r, "canceled");
    reply_free(r);
    for (int i = 0; i < 3000 && processes_of(&small) > 1; i++)
        box_idle(&small, 10);
    assert_int_equal(processes_of(&small), 1);
    r = exec_start(&small, "echo", "again", NULL);
    reply_wait(r);
    assert_out(r, "again\n");
    reply_free(r);
    box_stop(&small, 0);
}

static void test_fork_bomb(void **state)
{
    (void)state;
    fork_bomb("$SIG{TERM} = q(IGNORE); fork while 1");
}

static void test_fork_bomb_in_new_sessions(void **state)
{
    (void)state;
    fork_bomb("use POSIX; $SIG{TERM} = q(IGNORE); $main = $$; while (1) { $p = fork; "
              "POSIX::setsid() if defined $p && !$p; exit if $p && $$ != $main && rand() < 0.3 }");
}

/* The mark cannot be raised, and lowering it does not help who still has parents or session. */
static void test_marks(void **state)
{
    (void)state;
    char script[500];
    snprintf(
        script, sizeof script,
        "perl -e '$c = %ld; $l = pack(\"QQ\", 1000, 1000); syscall($c, 15, $l) == 0 or die; " /* setrlimit,
                                                                                                 RTTIME
                                                                                               */
        "$u = pack(\"QQ\", -1, -1); syscall($c, 15, $u) == -1 or die \"raised\"; "
        "print \"low\"; $| = 1; print \"er\\n\"; sleep 1000' & sleep 1000",
        (long)SYS_setrlimit);
    struct reply *r = run_limited(script, 3000, 100);
    assert_status(r, "timeout");
    assert_out(r, "lower\n");
    reply_free(r);
    expect_alone();
}

static void test_killer_of_all(void **state)
{
    (void)state;
    struct reply *r = shell(&box, "kill -STOP 1; kill -9 1; kill -9 -1; echo survived", NULL);
    assert_exit(r, 0);
    assert_out(r, "survived\n");
    reply_free(r);
}

/* Somebody stops every process all the time, also those that are about to be started. */
static void test_stopper(void **state)
{
    (void)state;
    struct reply *stopper =
        exec_start(&box, "perl", "-e", "$| = 1; print \"up\\n\"; kill STOP => -1 while 1", NULL);
    reply_wait_bytes(stopper, 1, 3);
    struct reply *r[10];
    for (int i = 0; i < 10; i++)
        r[i] = start_limited("echo x", 200, 100);
    for (int i = 0; i < 10; i++) {
        reply_wait(r[i]);
        assert_false(r[i]->failed);
        reply_free(r[i]);
    }
    sa_stream_cancel(stopper->stream);
    reply_wait(stopper);
    assert_status(stopper, "canceled");
    reply_free(stopper);
    expect_alone();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout_term),
        cmocka_unit_test(test_timeout_obeyed),
        cmocka_unit_test(test_timeout_kill),
        cmocka_unit_test(test_timeout_without_grace),
        cmocka_unit_test(test_timeout_of_the_stopped),
        cmocka_unit_test(test_no_timeout_when_in_time),
        cmocka_unit_test(test_timeout_takes_the_whole_execution),
        cmocka_unit_test(test_timeout_leaves_other_executions_alone),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_at_once),
        cmocka_unit_test(test_cancel_of_a_flood_that_nobody_reads),
        cmocka_unit_test(test_background_that_holds_stdout),
        cmocka_unit_test(test_background_that_goes_on_writing),
        cmocka_unit_test(test_background_that_finishes_soon),
        cmocka_unit_test(test_flooding_leftover_costs_little),
        cmocka_unit_test(test_cancel_while_the_background_writes),
        cmocka_unit_test(test_orphans_are_reaped),
        cmocka_unit_test(test_fork_bomb),
        cmocka_unit_test(test_fork_bomb_in_new_sessions),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_killer_of_all),
        cmocka_unit_test(test_stopper),
    };
    return cmocka_run_group_tests(tests, start, box_end);
}
