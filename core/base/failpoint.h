/*
 * Fail points: named places where a test can stop this process as kill -9 would. They exist only in
 * builds with SA_FAILPOINTS; elsewhere they are nothing. Each name is in docs/invariants.md.
 *
 * SA_FAILPOINT_PAGE in the environment names a file of struct sa_failpoint_page, which a test and
 * all processes under test map. The test writes name and count, then the state ARMED; whoever gets
 * to the place of that name counts down, and who comes to 0 makes the state REACHED and dies there.
 * So one process dies for each time that a test arms, and the test sees that it did.
 */
#ifndef SA_BASE_FAILPOINT_H
#define SA_BASE_FAILPOINT_H

#include <stdbool.h>

/* Where a process that is started without environment finds the page. */
enum { SA_FAILPOINT_FD = 6 };

#ifdef SA_FAILPOINTS
#include <stdint.h>

enum sa_failpoint_state { SA_FAILPOINT_NONE, SA_FAILPOINT_ARMED, SA_FAILPOINT_REACHED };
struct sa_failpoint_page {
    uint32_t state; /* enum sa_failpoint_state */
    int32_t left;   /* the one that makes it 0 dies */
    char name[56];
};

void sa_failpoint(const char *name);
/* For what dies and is no process: true once, when it is its turn. */
bool sa_failpoint_reached(const char *name);
/* The page's file, to be handed over; -1: there is none. */
int sa_failpoint_fd(void);
/* Take the page from SA_FAILPOINT_FD, if it is there; closes it. */
void sa_failpoint_take_over(void);
#else
#define sa_failpoint(name) ((void)0)
#define sa_failpoint_reached(name) (false)
#define sa_failpoint_fd() (-1)
#define sa_failpoint_take_over() ((void)0)
#endif

#endif
