/* The watchdog's sums, of processes in a pid namespace of their own. */
#include "native/watchdog.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1 << 20, BYTES = 16 * MIB, CHILDREN = 7 };

/* Process 1 of the namespace: memory of its own, and children that share it, or write to it all. */
static _Noreturn void crowd(int ready, bool write_it)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    memset(memory, 1, BYTES);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        if (pid < 0)
            _exit(1);
        if (pid)
            continue;
        if (write_it)
            memset(memory, 2, BYTES);
        if (write(ready, "x", 1) != 1)
            _exit(1);
        pause();
    }
    pause();
    _exit(0);
}

static struct sa_watched start(bool write_it)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid =
        (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    assert_true(pid >= 0);
    if (pid == 0)
        crowd(ready[1], write_it);
    close(ready[1]);
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return (struct sa_watched){.pid = pid, .namespace = sa_watchdog_namespace(pid)};
}

static void end(const struct sa_watched *w)
{
    kill(w->pid, SIGKILL); /* and with it the namespace */
    assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
}

/* The tmpfs of a sandbox counts, too; here it is whatever the host has at that path. */
static int64_t without_files(struct sa_watched w, int64_t measured)
{
    w.namespace = 0;
    sa_watchdog_measure(&w, 1);
    return measured - w.memory_bytes;
}

static void test_shared_memory_counts_once(void **state)
{
    (void)state;
    struct sa_watched w = start(false);
    sa_watchdog_measure(&w, 1);
    assert_int_equal(w.processes, CHILDREN + 1);
    assert_true(without_files(w, w.memory_bytes) >= (CHILDREN + 1) * BYTES);
    sa_watchdog_measure_shared(&w);
    assert_int_equal(w.processes, CHILDREN + 1);
    int64_t bytes = without_files(w, w.memory_bytes);
    assert_in_range(bytes, BYTES, CHILDREN * BYTES / 2);
    end(&w);
}

static void test_what_each_wrote_counts_for_each(void **state)
{
    (void)state;
    struct sa_watched w = start(true);
    sa_watchdog_measure(&w, 1);
    sa_watchdog_measure_shared(&w);
    assert_true(without_files(w, w.memory_bytes) >= (CHILDREN + 1) * BYTES);
    end(&w);
}

static void test_too_much_is_not_looked_at_again(void **state)
{
    (void)state;
    struct sa_watched w = start(false);
    w.memory_bytes = (int64_t)SA_WATCHDOG_SHARED_MAX + 1;
    sa_watchdog_measure_shared(&w);
    assert_int_equal(w.memory_bytes, (int64_t)SA_WATCHDOG_SHARED_MAX + 1);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_memory_counts_once),
        cmocka_unit_test(test_what_each_wrote_counts_for_each),
        cmocka_unit_test(test_too_much_is_not_looked_at_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
