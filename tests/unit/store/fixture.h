/* A store in a directory of its own, for the tests of core/store. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include "base/cleanup.h"
#include "store/keys.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    char dir[64];
    uv_loop_t loop;
    struct sa_store *store;
    struct sa_store_options options;
};

int fixture_setup(void **state);    /* makes and opens */
int fixture_teardown(void **state); /* closes (when open), asserts a clean loop, removes */
int fixture_setup_closed(void **state);

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f); /* asserts that the loop is clean */
void fixture_run(struct fixture *f);   /* the loop until nothing is due */

/* The outcome of writes. */
struct outcome {
    int calls, failures;
    struct sa_error err; /* of the last failure */
};
void outcome_done(void *user, const struct sa_error *err);

extern int64_t test_clock_ms; /* what test_clock() tells */
int64_t test_clock(void);

struct sa_store_sandbox a_sandbox(const char *id, int64_t created_ms);
struct sa_store_execution an_execution(const char *id, const char *sandbox, int64_t started_ms);
void put_sandbox(struct fixture *f, const struct sa_store_sandbox *sandbox);

/* Run SQL on the closed database / return a number from it. */
void sql(const char *dir, const char *text);
int64_t sql_number(const char *dir, const char *text);

/* Where the store of that folder has its journal; false: nowhere. */
bool journal_path(const char *dir, char path[128]);

int count_descriptors(void);

#endif
