/* Every phase against every event. The expected table is written out a second time here, in the
 * order of the events, so that a slip in either shows. */
#include "model/lifecycle.h"
#include "model/signals.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define PEND SA_PHASE_PENDING
#define CREA SA_PHASE_CREATING
#define RUNN SA_PHASE_RUNNING
#define PAUS SA_PHASE_PAUSED
#define TING SA_PHASE_TERMINATING
#define TERM SA_PHASE_TERMINATED
#define FAIL SA_PHASE_FAILED

static const enum sa_phase expected[SA_PHASE_COUNT][SA_EVENT_COUNT] = {
    /*         SUBMITTED READY REFUSED LOST  DELETE DESTROYED PAUSED RESUMED */
    [PEND] = {CREA, PEND, FAIL, FAIL, TING, PEND, PEND, PEND},
    [CREA] = {CREA, RUNN, FAIL, FAIL, TING, CREA, CREA, CREA},
    [RUNN] = {RUNN, RUNN, RUNN, FAIL, TING, RUNN, PAUS, RUNN},
    [PAUS] = {PAUS, PAUS, PAUS, FAIL, TING, PAUS, PAUS, RUNN},
    [TING] = {TING, TING, TERM, TERM, TING, TERM, TING, TING},
    [TERM] = {TERM, TERM, TERM, TERM, TERM, TERM, TERM, TERM},
    [FAIL] = {FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL},
};

static void test_every_transition(void **state)
{
    (void)state;
    for (int phase = 0; phase < SA_PHASE_COUNT; phase++)
        for (int event = 0; event < SA_EVENT_COUNT; event++) {
            enum sa_phase next =
                sa_lifecycle_next((enum sa_phase)phase, (enum sa_lifecycle_event)event);
            if (next != expected[phase][event])
                fail_msg("%s, event %d: %s, expected %s", sa_phase_name((enum sa_phase)phase),
                         event, sa_phase_name(next), sa_phase_name(expected[phase][event]));
        }
}

/* Whatever is applied, in whatever order: an ended sandbox stays ended, nothing returns to
 * Pending, and DELETE then DESTROYED ends every sandbox. */
static void test_always_ends(void **state)
{
    (void)state;
    for (int phase = 0; phase < SA_PHASE_COUNT; phase++) {
        enum sa_phase p = (enum sa_phase)phase;
        for (int event = 0; event < SA_EVENT_COUNT; event++) {
            enum sa_phase next = sa_lifecycle_next(p, (enum sa_lifecycle_event)event);
            assert_true(next != SA_PHASE_PENDING || p == SA_PHASE_PENDING);
            if (sa_phase_ended(p))
                assert_int_equal(next, p);
        }
        p = sa_lifecycle_next(sa_lifecycle_next(p, SA_EVENT_DELETE), SA_EVENT_DESTROYED);
        assert_true(sa_phase_ended(p));
    }
}

/* Written out a second time, too: which phases can come after which. */
static void test_reaches(void **state)
{
    static const bool reaches[SA_PHASE_COUNT][SA_PHASE_COUNT] = {
        /*         PEND CREA RUNN PAUS TING TERM FAIL */
        [PEND] = {1, 1, 1, 1, 1, 1, 1}, [CREA] = {0, 1, 1, 1, 1, 1, 1},
        [RUNN] = {0, 0, 1, 1, 1, 1, 1}, [PAUS] = {0, 0, 1, 1, 1, 1, 1},
        [TING] = {0, 0, 0, 0, 1, 1, 0}, [TERM] = {0, 0, 0, 0, 0, 1, 0},
        [FAIL] = {0, 0, 0, 0, 0, 0, 1},
    };
    (void)state;
    for (int from = 0; from < SA_PHASE_COUNT; from++)
        for (int to = 0; to < SA_PHASE_COUNT; to++)
            if (sa_lifecycle_reaches((enum sa_phase)from, (enum sa_phase)to) != reaches[from][to])
                fail_msg("%s to %s", sa_phase_name((enum sa_phase)from),
                         sa_phase_name((enum sa_phase)to));
}

static void test_names(void **state)
{
    (void)state;
    for (int phase = 0; phase < SA_PHASE_COUNT; phase++)
        assert_int_equal(sa_phase_parse(sa_phase_name((enum sa_phase)phase)), phase);
    assert_int_equal(sa_phase_parse("running"), -1);
    assert_int_equal(sa_phase_parse(""), -1);
    assert_int_equal(sa_phase_parse("Running "), -1);
    assert_string_equal(sa_phase_name(SA_PHASE_TERMINATING), "Terminating");
    assert_false(sa_phase_ended(SA_PHASE_TERMINATING));
    assert_true(sa_phase_ended(SA_PHASE_TERMINATED));
    assert_true(sa_phase_ended(SA_PHASE_FAILED));
}

static void test_signal_names(void **state)
{
    char name[16], shortest[5];
    (void)state;
    assert_string_equal(sa_signal_name(SIGKILL, name, sizeof name), "SIGKILL");
    assert_string_equal(sa_signal_name(SIGSEGV, name, sizeof name), "SIGSEGV");
    assert_string_equal(sa_signal_name(SIGRTMIN + 1, name, sizeof name), "SIG35");
    assert_string_equal(sa_signal_name(999, name, sizeof name), "SIG999");
    assert_string_equal(sa_signal_name(0, name, sizeof name), "SIG0");
    assert_string_equal(sa_signal_name(SIGTERM, shortest, sizeof shortest), "SIGT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_transition), cmocka_unit_test(test_always_ends),
        cmocka_unit_test(test_reaches),          cmocka_unit_test(test_names),
        cmocka_unit_test(test_signal_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
