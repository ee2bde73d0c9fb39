/* Connections come and go: what stays of a sandbox, what ends, and when it is an orphan. */
#include "box.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MS = 3600 * 1000 };

static const struct box_options lasting = {.orphan_ms = LONG_MS};

/* Boxes here live without a link. */
static void end(struct box *box)
{
    int status;
    box_disconnect(box);
    kill(box->pid, SIGKILL);
    assert_int_equal(waitpid(box->pid, &status, 0), box->pid);
    close(box->door);
    rmdir(box->ws);
    rmdir(box->tmp);
    rmdir(box->dir);
}

static void reconnect(struct box *box)
{
    box_disconnect(box);
    box_connect(box);
    box_await(box);
}

/* A reply that will never come, as its link is gone. */
static void give_up(struct reply *r)
{
    r->ended = true;
    reply_free(r);
}

/* Until the shell says so. */
static void until(struct box *box, const char *script)
{
    const int64_t deadline = sa_monotonic_ms() + 60000;
    for (int code = -1; code != 0; usleep(10000)) {
        struct reply *r = shell(box, script, NULL);
        assert_status(r, "exited");
        code = (int)reply_int(r, SA_EXEC_EXIT_CODE);
        reply_free(r);
        if (code != 0 && sa_monotonic_ms() > deadline)
            fail_msg("in vain: %s", script);
    }
}

static void test_state_stays(void **state)
{
    struct box box;
    (void)state;
    box_start(&box, &lasting);
    shell_out(&box, "echo kept > file; sleep 12345 > /dev/null 2>&1 & echo $! > pid");
    reconnect(&box);
    assert_string_equal(shell_out(&box, "cat file"), "kept\n");
    shell_out(&box, "kill -0 $(cat pid)");
    for (int i = 0; i < 20; i++)
        reconnect(&box);
    shell_out(&box, "kill -0 $(cat pid)");
    end(&box);
}

/* As CANCEL does, however stubborn, and whatever fills the pipes of whom nobody reads. */
static void test_programs_of_the_lost(void **state)
{
    static const char *const scripts[] = {
        "trap '' TERM; touch up; while :; do sleep 1; done", "touch up; exec yes",
        "touch up; trap '' TERM HUP; setsid sh -c 'trap \"\" TERM; yes >&2' & yes",
        "touch up; cat; sleep 1000", "touch up; kill -STOP $$"};
    struct box box;
    (void)state;
    box_start(&box, &lasting);
    for (size_t i = 0; i < SA_COUNT(scripts); i++) {
        struct reply *r = exec_start(&box, "sh", "-c", scripts[i], NULL);
        r->hold = true;
        until(&box, "test -e up && rm up");
        reconnect(&box);
        give_up(r);
        until(&box, "test $(ls -d /proc/[0-9]* | wc -l) -le 4"); /* 1, sh, and what counts */
    }
    end(&box);
}

static struct reply *open_watch(struct box *box)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_FILE_PATH, ".");
    return box_open(box, SA_METHOD_FILE_WATCH, &body);
}

/* Half a file that was being written is nowhere. */
static void test_other_calls_of_the_lost(void **state)
{
    struct box box;
    sa_autobuf body = SA_BUF_INIT;
    (void)state;
    box_start(&box, &lasting);
    sa_fields_add_text(&body, SA_FILE_PATH, "half");
    struct reply *write = box_open(&box, SA_METHOD_FILE_WRITE, &body);
    reply_send(write, "half of it", 10, false);
    struct reply *watch = open_watch(&box);
    shell_out(&box, "true"); /* the others have arrived */
    reconnect(&box);
    give_up(write);
    give_up(watch);
    assert_string_equal(shell_out(&box, "ls -A"), "");
    end(&box);
}

static bool closed(void *arg)
{
    return ((struct box *)arg)->closed;
}

static void test_the_newest_wins(void **state)
{
    struct box box;
    (void)state;
    box_start(&box, &lasting);
    struct reply *r = exec_start(&box, "sleep", "1000", NULL);
    struct box old = box;
    box_connect(&box);
    box_await(&box);
    assert_true(box_run(&old, 60000, closed, &old));
    shell_out(&box, "true");
    box_disconnect(&old);
    give_up(r);
    end(&box);
}

/* Many at once: the last of them. */
static void test_a_crowd_at_the_door(void **state)
{
    struct box box, old[5];
    (void)state;
    box_start(&box, &lasting);
    kill(box.pid, SIGSTOP);
    for (size_t i = 0; i < SA_COUNT(old); i++) {
        old[i] = box;
        box_connect(&box);
    }
    kill(box.pid, SIGCONT);
    box_await(&box);
    shell_out(&box, "true");
    for (size_t i = 0; i < SA_COUNT(old); i++)
        box_disconnect(&old[i]);
    end(&box);
}

/* What the launcher would never send is no connection, or one that is lost at once. */
static void test_rubbish_at_the_door(void **state)
{
    struct box box;
    (void)state;
    box_start(&box, &lasting);
    assert_int_equal(send(box.door, "x", 1, 0), 1);
    assert_int_equal(send(box.door, "", 0, 0), 0);
    assert_int_equal(send(box.door, "longer than it should be", 24, 0), 24);
    shell_out(&box, "true");
    sa_autoclose int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    sa_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(sa_send_fds(box.door, "", 1, &file, 1, 0), 1);
    assert_int_equal(sa_send_fds(box.door, "", 1, &null, 1, 0), 1);
    reconnect(&box);
    shell_out(&box, "true");
    end(&box);
}

static void test_orphan(void **state)
{
    static const struct box_options short_lived = {.orphan_ms = 300};
    struct box box;
    (void)state;
    box_start(&box, &short_lived);
    box_idle(&box, 1000); /* it is none as long as somebody is there */
    shell_out(&box, "sleep 1000 > /dev/null 2>&1 &");
    for (int i = 0; i < 3; i++)
        reconnect(&box);
    box_stop(&box, 0);
}

/* A frozen one finds, when it goes on, that its time is over and a connection at the door. */
static void test_frozen_orphan(void **state)
{
    static const struct box_options short_lived = {.orphan_ms = 300};
    struct box box;
    (void)state;
    box_start(&box, &short_lived);
    box_disconnect(&box);
    kill(box.pid, SIGSTOP);
    box_connect(&box);
    usleep(600 * 1000);
    kill(box.pid, SIGCONT);
    box_await(&box);
    box_stop(&box, 0);
}

/* Whoever held the clock cannot let go of it any more. */
static void test_held_clock(void **state)
{
    struct box box;
    sa_autobuf held = SA_BUF_INIT, timeout = SA_BUF_INIT;
    (void)state;
    box_start(&box, &lasting);
    sa_fields_add_int(&held, SA_CLOCK_HELD, 1);
    struct reply *r = box_open(&box, SA_METHOD_CLOCK, &held);
    reply_wait(r);
    reply_free(r);
    reconnect(&box);
    sa_fields_add_int(&timeout, SA_EXEC_TIMEOUT_MS, 100);
    r = shell(&box, "sleep 1000", &timeout);
    assert_status(r, "timeout");
    reply_free(r);
    end(&box);
}

/* Programs hold nothing of it: neither their own descriptors nor those of process 1 lead there. */
static void test_no_way_for_programs(void **state)
{
    struct box box;
    (void)state;
    box_start(&box, &lasting);
    reconnect(&box);
    assert_string_equal(shell_out(&box, "ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
    assert_string_equal(shell_out(&box, "ls /proc/1/fd 2> /dev/null; echo end"), "end\n");
    end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_stays),
        cmocka_unit_test(test_programs_of_the_lost),
        cmocka_unit_test(test_other_calls_of_the_lost),
        cmocka_unit_test(test_the_newest_wins),
        cmocka_unit_test(test_a_crowd_at_the_door),
        cmocka_unit_test(test_rubbish_at_the_door),
        cmocka_unit_test(test_orphan),
        cmocka_unit_test(test_frozen_orphan),
        cmocka_unit_test(test_held_clock),
        cmocka_unit_test(test_no_way_for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
