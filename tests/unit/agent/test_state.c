/* The table of a pod's states. */
#include "agent/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { STATES = SA_AGENT_STATE_COUNT, EVENTS = SA_AGENT_EVENT_COUNT };

static enum sa_agent_state after(enum sa_agent_state state, const enum sa_agent_event *events,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        state = sa_agent_next(state, events[i]);
    return state;
}
#define AFTER(state, ...)                                                                          \
    after(SA_AGENT_##state, (const enum sa_agent_event[]){__VA_ARGS__},                            \
          sizeof((const enum sa_agent_event[]){__VA_ARGS__}) / sizeof(enum sa_agent_event))

static void test_all(void **state)
{
    (void)state;
    /* One row a state; "." stays. Columns in the order of the events. */
    static const char *const expected[STATES] = {
        /*           wnt  end  unw  lst  unl  van  awy  trn  lnk  ref  des  exi  hel  los  ret  lat
         */
        "Absent      New  Fai  Rem  .    .    .    .    .    .    .    .    .    .    .    .    .",
        "New         .    Des  Rem  Att  Que  Fai  .    .    .    .    .    Fai  .    .    .    "
        "Des",
        "Queued      .    Fai  Gon  Att  .    .    .    Cre  .    Fai  .    .    .    .    .    "
        "Fai",
        "Creating    .    Des  Rem  .    .    .    New  .    Con  Fai  .    .    .    .    .    "
        "Des",
        "Connecting  .    Des  Rem  .    Fai  Fai  .    .    .    .    .    Fai  Rea  Sev  .    "
        "Des",
        "Ready       .    Des  Rem  .    Fai  Fai  .    .    .    .    .    Fai  .    Sev  .    .",
        "Severed     .    Des  Rem  Att  Fai  Fai  New  .    .    .    .    Fai  .    .    Att  "
        "Des",
        "Attaching   .    Des  Rem  .    Fai  Fai  New  .    Con  Sev  .    Fai  .    .    .    "
        "Des",
        "Destroying  .    .    Rem  .    Fai  Fai  .    .    .    .    Fai  .    .    .    .    .",
        "Failed      .    .    Gon  Des  .    .    .    .    .    .    .    .    .    .    .    .",
        "Removing    .    .    .    .    Gon  Gon  .    .    .    .    Gon  .    .    .    .    .",
        "Gone        .    .    .    Rem  .    .    .    .    .    .    .    .    .    .    .    .",
    };
    for (int s = 0; s < STATES; s++) {
        char row[128], *rest = row;
        strncpy(row, expected[s], sizeof row - 1);
        row[sizeof row - 1] = '\0';
        assert_string_equal(strtok_r(rest, " ", &rest),
                            sa_agent_state_name((enum sa_agent_state)s));
        for (int e = 0; e < EVENTS; e++) {
            const enum sa_agent_state next =
                sa_agent_next((enum sa_agent_state)s, (enum sa_agent_event)e);
            const char *cell = strtok_r(rest, " ", &rest), *name = sa_agent_state_name(next);
            assert_non_null(cell);
            if (cell[0] == '.' ? (int)next != s : strncmp(cell, name, 3) != 0)
                fail_msg("%s, event %d: %s, expected %s",
                         sa_agent_state_name((enum sa_agent_state)s), e, name, cell);
        }
    }
}

static void test_lives(void **state)
{
    (void)state;
    assert_int_equal(AFTER(ABSENT, SA_AGENT_WANTED, SA_AGENT_UNLISTED, SA_AGENT_TURN,
                           SA_AGENT_LINKED, SA_AGENT_HELLO),
                     SA_AGENT_READY);
    assert_int_equal(AFTER(READY, SA_AGENT_UNWANTED, SA_AGENT_EXITED, SA_AGENT_DESTROYED),
                     SA_AGENT_GONE);
    assert_int_equal(
        AFTER(READY, SA_AGENT_LINK_LOST, SA_AGENT_RETRY, SA_AGENT_LINKED, SA_AGENT_HELLO),
        SA_AGENT_READY);
    assert_int_equal(
        AFTER(READY, SA_AGENT_LINK_LOST, SA_AGENT_LATE, SA_AGENT_DESTROYED, SA_AGENT_UNWANTED),
        SA_AGENT_GONE);
    assert_int_equal(
        AFTER(CREATING, SA_AGENT_NODE_AWAY, SA_AGENT_LISTED, SA_AGENT_LINKED, SA_AGENT_HELLO),
        SA_AGENT_READY);
    assert_int_equal(AFTER(READY, SA_AGENT_NODE_AWAY, SA_AGENT_LISTED), SA_AGENT_READY);
    assert_int_equal(AFTER(READY, SA_AGENT_NODE_AWAY, SA_AGENT_VANISHED), SA_AGENT_FAILED);
}

/* An event that comes twice does no more than once. */
static void test_twice(void **state)
{
    (void)state;
    static const enum sa_agent_event any[] = {
        SA_AGENT_WANTED,   SA_AGENT_ENDED,     SA_AGENT_UNWANTED,  SA_AGENT_UNLISTED,
        SA_AGENT_VANISHED, SA_AGENT_NODE_AWAY, SA_AGENT_DESTROYED, SA_AGENT_LINK_LOST};
    for (int s = 0; s < STATES; s++)
        for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
            /* What was absent is first of all wanted, or not. */
            const enum sa_agent_state once = sa_agent_next((enum sa_agent_state)s, any[i]);
            if (s != SA_AGENT_ABSENT && any[i] != SA_AGENT_ENDED &&
                !(any[i] == SA_AGENT_UNLISTED && s == SA_AGENT_NEW))
                assert_int_equal(sa_agent_next(once, any[i]), once);
        }
}

/* Whatever happened: once it is not wanted, and the node has removed it or never had it, it is
 * gone, and what is over never comes back to life. */
static void test_ends(void **state)
{
    (void)state;
    for (int s = 0; s < STATES; s++) {
        const enum sa_agent_state from = (enum sa_agent_state)s;
        assert_int_equal(
            after(from, (const enum sa_agent_event[]){SA_AGENT_UNWANTED, SA_AGENT_DESTROYED}, 2),
            SA_AGENT_GONE);
        assert_int_equal(after(from,
                               (const enum sa_agent_event[]){SA_AGENT_UNWANTED, SA_AGENT_NODE_AWAY,
                                                             SA_AGENT_UNLISTED},
                               3),
                         SA_AGENT_GONE);
        for (int e = 0; e < EVENTS; e++)
            if (sa_agent_is_over(from))
                assert_true(sa_agent_is_over(sa_agent_next(from, (enum sa_agent_event)e)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_lives),
                                       cmocka_unit_test(test_twice), cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
