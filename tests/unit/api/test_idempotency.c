/* Idempotency keys over a real store: whoever comes, and in whatever order, there is one. */
#include "api/idempotency.h"

#include "base/arena.h"
#include "base/clock.h"
#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    uv_loop_t *loop;
    char dir[64];
    struct sa_store *store;
    struct sa_idempotency *all;
};

struct asker {
    struct sa_once *claim;
    int told;
    enum sa_once_outcome outcome;
    char resource[64];
    struct sa_error error;
};

static void open_all(struct fixture *f)
{
    struct sa_error err;
    f->store = sa_store_open(f->dir, f->loop, NULL, &err);
    assert_non_null(f->store);
    f->all = sa_idempotency_new(f->store);
}

static void close_all(struct fixture *f)
{
    sa_idempotency_free(f->all);
    sa_store_close(f->store, NULL, NULL);
    uv_run(f->loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
    struct fixture *f = sa_alloc(sizeof *f);
    *state = f;
    f->loop = sa_loop_new(NULL);
    snprintf(f->dir, sizeof f->dir, "/tmp/sa-idempotency-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    open_all(f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    close_all(f);
    sa_loop_free(f->loop);
    for (const char *const *name =
             (const char *const[]){"secureagent.db", "secureagent.lock", NULL};
         *name; name++) {
        snprintf(path, sizeof path, "%s/%s", f->dir, *name);
        unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static void on_told(void *user, enum sa_once_outcome outcome, const char *resource,
                    const struct sa_error *err)
{
    struct asker *a = user;
    a->told++;
    a->outcome = outcome;
    snprintf(a->resource, sizeof a->resource, "%s", resource ? resource : "");
    if (err)
        a->error = *err;
}

static struct sa_once *start(struct fixture *f, struct asker *a,
                             const struct sa_idempotency_what *what)
{
    *a = (struct asker){0};
    a->claim = sa_idempotency_begin(f->all, what, on_told, a, &a->error);
    assert_int_equal(a->told, 0);
    return a->claim;
}

static struct sa_once *ask_as(struct fixture *f, struct asker *a, const char *principal,
                              const char *route, const char *key, const char *body)
{
    return start(f, a,
                 &(struct sa_idempotency_what){.principal = principal,
                                               .route = route,
                                               .key = key,
                                               .body = body,
                                               .length = strlen(body)});
}

/* A create: what will be made has an id before. */
static void ask_for(struct fixture *f, struct asker *a, const char *body, const char *reserved,
                    const char *over)
{
    assert_non_null(start(f, a,
                          &(struct sa_idempotency_what){.principal = "key-1",
                                                        .route = "sandboxes",
                                                        .key = "k",
                                                        .body = body,
                                                        .length = strlen(body),
                                                        .reserved = reserved,
                                                        .over = over}));
}

static void ask(struct fixture *f, struct asker *a, const char *key, const char *body)
{
    assert_non_null(ask_as(f, a, "key-1", "execute/sb-1", key, body));
}

static void expect(struct fixture *f, struct asker *a, enum sa_once_outcome outcome)
{
    while (!a->told)
        uv_run(f->loop, UV_RUN_ONCE);
    assert_int_equal(a->told, 1);
    assert_int_equal(a->outcome, outcome);
}

static void once(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    ask(f, &a, "k", "body");
    expect(f, &a, SA_ONCE_NEW);
    sa_once_settle(a.claim, "ex-1");
    ask(f, &b, "k", "body");
    expect(f, &b, SA_ONCE_KNOWN);
    assert_string_equal(b.resource, "ex-1");
}

static void keys_are_apart(void **state)
{
    struct fixture *f = *state;
    struct asker a[4];
    assert_non_null(ask_as(f, &a[0], "key-1", "r", "k", ""));
    assert_non_null(ask_as(f, &a[1], "key-2", "r", "k", ""));
    assert_non_null(ask_as(f, &a[2], "key-1", "rk", "", ""));
    assert_non_null(ask_as(f, &a[3], "key-1", "", "rk", ""));
    for (int i = 0; i < 4; i++) {
        expect(f, &a[i], SA_ONCE_NEW);
        sa_once_settle(a[i].claim, "ex-1");
    }
}

static void a_race_has_one_winner(void **state)
{
    struct fixture *f = *state;
    struct asker a[50];
    for (int i = 0; i < 50; i++)
        ask(f, &a[i], "k", "body");
    expect(f, &a[0], SA_ONCE_NEW);
    uv_run(f->loop, UV_RUN_NOWAIT);
    struct asker late;
    ask(f, &late, "k", "body");
    for (int i = 1; i < 50; i++)
        assert_int_equal(a[i].told, 0);
    sa_once_settle(a[0].claim, "ex-9");
    for (int i = 1; i < 50; i++) {
        expect(f, &a[i], SA_ONCE_KNOWN);
        assert_string_equal(a[i].resource, "ex-9");
    }
    expect(f, &late, SA_ONCE_KNOWN);
}

static void the_next_may_try(void **state)
{
    struct fixture *f = *state;
    struct asker a[3], later;
    for (int i = 0; i < 3; i++)
        ask(f, &a[i], "k", "body");
    expect(f, &a[0], SA_ONCE_NEW);
    sa_once_abandon(a[0].claim);
    expect(f, &a[1], SA_ONCE_NEW);
    sa_once_abandon(a[1].claim);
    expect(f, &a[2], SA_ONCE_NEW);
    sa_once_abandon(a[2].claim);
    ask(f, &later, "k", "another body"); /* nothing is left of it */
    expect(f, &later, SA_ONCE_NEW);
    sa_once_settle(later.claim, "ex-2");
}

static void who_leaves_is_not_told(void **state)
{
    struct fixture *f = *state;
    struct asker a[3], later;
    for (int i = 0; i < 3; i++)
        ask(f, &a[i], "k", "body");
    sa_once_cancel(a[0].claim);
    sa_once_cancel(a[2].claim);
    expect(f, &a[1], SA_ONCE_NEW);
    sa_once_settle(a[1].claim, "ex-1");
    assert_int_equal(a[0].told + a[2].told, 0);
    ask(f, &a[0], "l", "body");
    sa_once_cancel(a[0].claim); /* the only one */
    uv_run(f->loop, UV_RUN_DEFAULT);
    ask(f, &later, "l", "body");
    expect(f, &later, SA_ONCE_NEW);
    sa_once_abandon(later.claim);
}

static void another_body(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    ask(f, &a, "k", "body");
    assert_null(ask_as(f, &b, "key-1", "execute/sb-1", "k", "other")); /* at once */
    assert_int_equal(b.error.code, SA_ECONFLICT);
    expect(f, &a, SA_ONCE_NEW);
    sa_once_settle(a.claim, "ex-1");
    ask(f, &b, "k", "other"); /* from the store */
    expect(f, &b, SA_ONCE_FAILED);
    assert_int_equal(b.error.code, SA_ECONFLICT);
}

static void after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct asker a, b, c;
    ask(f, &a, "settled", "body");
    ask(f, &b, "cut", "body");
    expect(f, &a, SA_ONCE_NEW);
    expect(f, &b, SA_ONCE_NEW);
    sa_once_settle(a.claim, "ex-1");
    close_all(f); /* `b` has begun, and nothing is known of it */
    open_all(f);
    ask(f, &a, "settled", "body");
    ask(f, &c, "cut", "body");
    expect(f, &a, SA_ONCE_KNOWN);
    assert_string_equal(a.resource, "ex-1");
    expect(f, &c, SA_ONCE_FAILED);
    assert_int_equal(c.error.code, SA_ECONFLICT);
    assert_non_null(strstr(c.error.message, "not known"));
    assert_int_equal(b.told, 1);
}

static void what_is_reserved_can_be_looked_for(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    ask_for(f, &a, "body", "sb-1", NULL);
    expect(f, &a, SA_ONCE_NEW);
    assert_string_equal(a.resource, "sb-1");
    close_all(f); /* whether it was made is not known */
    open_all(f);
    ask_for(f, &b, "body", "sb-2", NULL);
    expect(f, &b, SA_ONCE_BEGUN);
    assert_string_equal(b.resource, "sb-1");
    ask_for(f, &b, "body", "sb-3", "sb-1"); /* it was not */
    expect(f, &b, SA_ONCE_NEW);
    assert_string_equal(b.resource, "sb-3");
    sa_once_settle(b.claim, "sb-3");
    ask_for(f, &b, "body", "sb-4", NULL);
    expect(f, &b, SA_ONCE_KNOWN);
    assert_string_equal(b.resource, "sb-3");
}

/* Of those who found that it came to nothing one begins anew, and the others have that. */
static void what_came_to_nothing_is_begun_anew_once(void **state)
{
    struct fixture *f = *state;
    struct asker a, b[3];
    ask_for(f, &a, "body", "sb-1", NULL);
    expect(f, &a, SA_ONCE_NEW);
    sa_once_settle(a.claim, "sb-1");
    ask_for(f, &b[0], "body", "sb-2", "sb-1");
    ask_for(f, &b[1], "body", "sb-3", "sb-1");
    expect(f, &b[0], SA_ONCE_NEW);
    assert_string_equal(b[0].resource, "sb-2");
    sa_once_settle(b[0].claim, "sb-2");
    expect(f, &b[1], SA_ONCE_KNOWN);
    assert_string_equal(b[1].resource, "sb-2");
    ask_for(f, &b[2], "body", "sb-4", "sb-1"); /* late: it is over already */
    expect(f, &b[2], SA_ONCE_KNOWN);
    assert_string_equal(b[2].resource, "sb-2");
    ask_for(f, &b[2], "another body", "sb-4", "sb-2");
    expect(f, &b[2], SA_ONCE_FAILED);
    assert_int_equal(b[2].error.code, SA_ECONFLICT);
}

static void the_next_has_what_was_reserved(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    ask_for(f, &a, "body", "sb-1", NULL);
    ask_for(f, &b, "body", "sb-2", NULL);
    expect(f, &a, SA_ONCE_NEW);
    sa_once_abandon(a.claim);
    expect(f, &b, SA_ONCE_NEW);
    assert_string_equal(b.resource, "sb-1");
    sa_once_settle(b.claim, "sb-1");
}

static void on_put(void *user, const struct sa_error *err)
{
    (void)user;
    assert_null(err);
}

static void after_a_day(void **state)
{
    struct fixture *f = *state;
    struct asker a;
    struct sa_store_idempotency row = {.hash = "x", .body = "y", .resource = "ex-1"};
    ask(f, &a, "k", "body");
    expect(f, &a, SA_ONCE_NEW);
    sa_once_settle(a.claim, "ex-1");
    /* Put the day behind: each write takes away what is older than a day before it. */
    row.created_ms = sa_wall_ms() + INT64_C(25) * 3600 * 1000;
    assert_int_equal(sa_store_put_idempotency(f->store, &row, on_put, NULL, NULL), 0);
    uv_run(f->loop, UV_RUN_DEFAULT);
    ask(f, &a, "k", "another body");
    expect(f, &a, SA_ONCE_NEW);
    sa_once_settle(a.claim, "ex-2");
}

static void freed_while_they_wait(void **state)
{
    struct fixture *f = *state;
    struct asker a, b;
    ask(f, &a, "k", "body");
    ask(f, &b, "l", "body");
    sa_idempotency_free(f->all);
    uv_run(f->loop, UV_RUN_DEFAULT);
    assert_int_equal(a.told + b.told, 0);
    f->all = sa_idempotency_new(f->store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(once, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_race_has_one_winner, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_may_try, setup, teardown),
        cmocka_unit_test_setup_teardown(who_leaves_is_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(another_body, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_reserved_can_be_looked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_to_nothing_is_begun_anew_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_has_what_was_reserved, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_day, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_while_they_wait, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
