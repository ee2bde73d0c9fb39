/* Whatever the build, this one has them: CMakeLists.txt compiles failpoint.c anew. */
#include "base/failpoint.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct sa_failpoint_page *page;

/* As a program under test gets it. */
static int make_page(void **state)
{
    FILE *file = tmpfile();
    (void)state;
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), sizeof *page), 0);
    page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    assert_int_equal(dup2(fileno(file), SA_FAILPOINT_FD), SA_FAILPOINT_FD);
    sa_failpoint_take_over();
    fclose(file);
    return 0;
}

static int drop_page(void **state)
{
    (void)state;
    return munmap(page, sizeof *page);
}

static void arm(const char *name, int nth)
{
    page->state = SA_FAILPOINT_NONE;
    page->left = nth;
    snprintf(page->name, sizeof page->name, "%s", name);
    page->state = SA_FAILPOINT_ARMED;
}

/* How a process ends that comes there so many times. */
static int visit(const char *name, int times)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < times; i++)
            sa_failpoint(name);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void nobody_dies_where_nothing_is_armed(void **state)
{
    (void)state;
    page->state = SA_FAILPOINT_NONE;
    assert_int_equal(visit("here", 10), 0);
    arm("there", 1);
    assert_int_equal(visit("here", 10), 0);
    assert_int_equal(visit("the", 10), 0);
    assert_int_equal(visit("there.too", 10), 0);
    assert_int_equal(page->state, SA_FAILPOINT_ARMED);
}

static void the_nth_visit_of_all_processes_is_killed_and_no_other(void **state)
{
    (void)state;
    arm("here", 5);
    assert_int_equal(visit("here", 3), 0);
    assert_int_equal(visit("here", 1), 0);
    assert_int_equal(page->state, SA_FAILPOINT_ARMED);
    assert_true(WIFSIGNALED(visit("here", 1)));
    assert_int_equal(page->state, SA_FAILPOINT_REACHED);
    assert_int_equal(visit("here", 10), 0);
}

static void what_is_no_process_is_told_once(void **state)
{
    (void)state;
    arm("here", 2);
    assert_false(sa_failpoint_reached("here"));
    assert_true(sa_failpoint_reached("here"));
    assert_false(sa_failpoint_reached("here"));
}

static void the_descriptor_is_closed(void **state)
{
    (void)state;
    assert_int_equal(fcntl(SA_FAILPOINT_FD, F_GETFD), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_dies_where_nothing_is_armed),
        cmocka_unit_test(the_nth_visit_of_all_processes_is_killed_and_no_other),
        cmocka_unit_test(what_is_no_process_is_told_once),
        cmocka_unit_test(the_descriptor_is_closed),
    };
    return cmocka_run_group_tests(tests, make_page, drop_page);
}
