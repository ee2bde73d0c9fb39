/* Executions and their readers, with a source that is the test itself. */
#include "api/execution.h"
#include "api/sandbox_private.h"

#include "base/arena.h"
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
    char dir[64], folder[80];
    struct sa_store *store;
    struct sa_metrics *metrics;
    struct sa_executions *all;
    struct sa_sandbox sandbox;
    bool inside; /* a call of the header: nothing may be told now */
    int resumed, canceled, takes;
};

struct reader {
    struct fixture *f;
    struct sa_reader *reader;
    int ready, writable;
};

/* ---- the source ---- */

static void on_resume(void *source)
{
    struct fixture *f = source;
    assert_false(f->inside);
    f->resumed++;
}

static void on_cancel(void *source)
{
    ((struct fixture *)source)->canceled++;
}

static size_t on_input(void *source, const void *data, size_t length)
{
    struct fixture *f = source;
    size_t take = length < (size_t)f->takes ? length : (size_t)f->takes;
    (void)data;
    f->takes -= (int)take;
    return take;
}

static const struct sa_source_ops ops = {
    .resume = on_resume, .cancel = on_cancel, .input = on_input};

static struct sa_execution *begin(struct fixture *f)
{
    struct sa_error err;
    struct sa_execution_meta meta = {.kind = "command", .summary = "x", .input_open = true};
    return sa_execution_new(f->all, &f->sandbox, &meta, &ops, f, &err);
}

static bool append(struct fixture *f, struct sa_execution *e, enum sa_item_kind kind,
                   const char *data, size_t length)
{
    f->inside = true;
    bool more = sa_execution_append(e, kind, data, length);
    f->inside = false;
    return more;
}

static void finish(struct fixture *f, struct sa_execution *e)
{
    f->inside = true;
    sa_execution_finish(e, &(struct sa_exec_result){.status = "exited"});
    f->inside = false;
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 3; i++)
        uv_run(f->loop, UV_RUN_NOWAIT);
}

/* ---- a reader ---- */

static void on_ready(void *user)
{
    struct reader *r = user;
    assert_false(r->f->inside);
    r->ready++;
}

static void on_writable(void *user)
{
    ((struct reader *)user)->writable++;
}

static const struct sa_reader_events events = {.ready = on_ready, .input_writable = on_writable};

static void follow(struct fixture *f, struct reader *r, struct sa_execution *e, int64_t offset)
{
    *r = (struct reader){.f = f};
    r->reader = sa_reader_new(e, offset, &events, r);
}

/* All that is there; how much it was. */
static size_t drain(struct reader *r, enum sa_read_state *state)
{
    struct sa_piece piece;
    size_t total = 0;
    for (;;) {
        r->f->inside = true;
        *state = sa_reader_next(r->reader, 65536, &piece);
        r->f->inside = false;
        if (*state != SA_READ_PIECE)
            return total;
        total += piece.length;
    }
}

static size_t drain_with_loop(struct reader *r, size_t wanted)
{
    enum sa_read_state state;
    size_t total = 0;
    while (total += drain(r, &state), total < wanted && state == SA_READ_WAIT)
        uv_run(r->f->loop, UV_RUN_ONCE);
    return total;
}

/* ---- the fixture ---- */

static void open_all(struct fixture *f, size_t total_bytes)
{
    struct sa_error err;
    f->all = sa_executions_new(&(struct sa_executions_options){.loop = f->loop,
                                                               .store = f->store,
                                                               .metrics = f->metrics,
                                                               .spool_folder = f->folder,
                                                               .spool_total_bytes = total_bytes},
                               &err);
    assert_non_null(f->all);
}

static int setup(void **state)
{
    struct fixture *f = sa_alloc(sizeof *f);
    struct sa_error err;
    *state = f;
    f->loop = sa_loop_new(NULL);
    snprintf(f->dir, sizeof f->dir, "/tmp/sa-execution-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->folder, sizeof f->folder, "%s/spool", f->dir);
    f->store = sa_store_open(f->dir, f->loop, NULL, &err);
    assert_non_null(f->store);
    f->metrics = sa_metrics_new();
    snprintf(f->sandbox.id, sizeof f->sandbox.id, "sb-test");
    open_all(f, 0);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    sa_executions_free(f->all);
    sa_store_close(f->store, NULL, NULL);
    uv_run(f->loop, UV_RUN_DEFAULT);
    sa_loop_free(f->loop);
    sa_metrics_free(f->metrics);
    rmdir(f->folder);
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

/* ---- tests ---- */

static void a_life(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    enum sa_read_state how;
    struct sa_execution *e = begin(f);
    char id[SA_ID_BYTES];
    snprintf(id, sizeof id, "%s", sa_execution_id(e));
    assert_ptr_equal(sa_execution_find(f->all, "sb-test", id), e);
    assert_null(sa_execution_find(f->all, "sb-other", id));
    follow(f, &r, e, 0);
    assert_int_equal(drain(&r, &how), 0);
    assert_int_equal(how, SA_READ_WAIT);
    sa_execution_started(e, 7);
    assert_int_equal(r.ready, 0);
    turn(f);
    assert_int_equal(r.ready, 1);
    assert_true(append(f, e, SA_ITEM_STDOUT, "abc", 3));
    turn(f);
    assert_int_equal(r.ready, 1); /* it does not wait */
    assert_int_equal(drain(&r, &how), 3);
    finish(f, e);
    turn(f);
    assert_int_equal(r.ready, 2);
    assert_int_equal(drain(&r, &how), 0);
    assert_int_equal(how, SA_READ_END);
    assert_string_equal(sa_execution_result(e)->status, "exited");
    sa_executions_forget(f->all, "sb-test"); /* a reader is on it still */
    assert_null(sa_execution_find(f->all, "sb-test", id));
    assert_int_equal(drain(&r, &how), 0);
    sa_reader_free(r.reader);
}

/* Only the reader that is furthest ahead counts; with none it runs free. */
static void who_holds_the_source(void **state)
{
    struct fixture *f = *state;
    static char data[65536];
    struct reader fast, slow;
    enum sa_read_state how;
    struct sa_execution *e = begin(f);
    memset(data, 'x', sizeof data);
    follow(f, &fast, e, 0);
    follow(f, &slow, e, 0);
    int given = 0;
    while (append(f, e, SA_ITEM_STDOUT, data, sizeof data)) {
        turn(f);
        assert_true(++given < 100);
    }
    turn(f);
    assert_int_equal(f->resumed, 0);
    drain_with_loop(&fast, (size_t)sa_execution_output_to(e));
    while (!f->resumed)
        uv_run(f->loop, UV_RUN_ONCE);
    for (int i = 0; i < 400; i++) { /* the slow one is left behind */
        append(f, e, SA_ITEM_STDOUT, data, sizeof data);
        drain_with_loop(&fast, sizeof data);
    }
    assert_true(sa_execution_output_from(e) > 0);
    sa_reader_free(fast.reader);
    while (append(f, e, SA_ITEM_STDOUT, data, sizeof data))
        turn(f);
    int before = f->resumed;
    sa_reader_free(slow.reader); /* nobody reads any more */
    while (f->resumed == before)
        uv_run(f->loop, UV_RUN_ONCE);
    finish(f, e);
    follow(f, &slow, e, 0);
    struct sa_piece piece;
    while ((how = sa_reader_next(slow.reader, 10, &piece)) == SA_READ_WAIT)
        uv_run(f->loop, UV_RUN_ONCE);
    assert_int_equal(how, SA_READ_PIECE);
    assert_true(piece.dropped == piece.offset && piece.dropped > 0);
    sa_reader_free(slow.reader);
}

static void input(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    struct sa_error err;
    int told = 0;
    struct sa_execution *e = begin(f);
    follow(f, &r, e, 0);
    f->takes = 2;
    assert_int_equal(sa_execution_input(e, "abc", 3, &err), 2);
    struct reader wait = {.f = f};
    sa_execution_await_input(e, on_writable, &wait);
    sa_execution_forget_input(e, &told);
    sa_execution_input_writable(e);
    assert_int_equal(wait.writable, 0);
    turn(f);
    assert_int_equal(wait.writable, 1);
    assert_int_equal(r.writable, 1);
    sa_execution_await_input(e, on_writable, &wait);
    finish(f, e); /* who waits hears of it, though the execution is forgotten */
    sa_reader_free(r.reader);
    sa_executions_forget(f->all, "sb-test");
    turn(f);
    assert_int_equal(wait.writable, 2);
}

static void bounds(void **state)
{
    struct fixture *f = *state;
    struct sa_error err;
    struct sa_execution *e[SA_EXECUTIONS_RUNNING_MAX];
    char id[SA_ID_BYTES];
    for (int i = 0; i < SA_EXECUTIONS_RUNNING_MAX; i++)
        assert_non_null(e[i] = begin(f));
    assert_int_equal(sa_executions_check(f->all, &f->sandbox, &err), -1);
    assert_int_equal(err.code, SA_EQUOTA);
    assert_null(begin(f));
    snprintf(id, sizeof id, "%s", sa_execution_id(e[0]));
    for (int i = 0; i < SA_EXECUTIONS_RUNNING_MAX; i++)
        finish(f, e[i]);
    for (int i = SA_EXECUTIONS_RUNNING_MAX; i < SA_EXECUTIONS_KEPT_MAX; i++)
        finish(f, begin(f));
    assert_non_null(sa_execution_find(f->all, "sb-test", id));
    finish(f, begin(f));
    assert_null(sa_execution_find(f->all, "sb-test", id));
}

/* When all together keep too much, the oldest that ended lose their output. */
static void oldest_lose_their_output(void **state)
{
    struct fixture *f = *state;
    static char data[1 << 20];
    struct sa_execution *e[6];
    struct reader r;
    enum sa_read_state how;
    sa_executions_free(f->all);
    uv_run(f->loop, UV_RUN_DEFAULT);
    sa_metrics_free(f->metrics);
    f->metrics = sa_metrics_new();
    open_all(f, 4 << 20);
    memset(data, 'x', sizeof data);
    for (int i = 0; i < 6; i++) {
        e[i] = begin(f);
        append(f, e[i], SA_ITEM_STDOUT, data, sizeof data);
        uv_run(f->loop, UV_RUN_DEFAULT);
        finish(f, e[i]);
        uv_run(f->loop, UV_RUN_DEFAULT);
        if (i == 1)
            follow(f, &r, e[1], 0); /* whoever is read keeps it */
    }
    assert_true(sa_execution_output_from(e[0]) == sa_execution_output_to(e[0]));
    assert_true(sa_execution_output_from(e[1]) == 0);
    assert_true(sa_execution_output_from(e[5]) == 0);
    assert_int_equal(drain_with_loop(&r, sizeof data), sizeof data);
    sa_reader_free(r.reader);
    struct sa_piece piece;
    follow(f, &r, e[0], 100);
    how = sa_reader_next(r.reader, 10, &piece);
    assert_int_equal(how, SA_READ_END);
    assert_true(piece.dropped == sizeof data - 100);
    sa_reader_free(r.reader);
}

static void items_that_are_too_large(void **state)
{
    struct fixture *f = *state;
    struct reader r;
    struct sa_piece piece;
    struct sa_execution *e = begin(f);
    char *large = sa_alloc(SA_SPOOL_ITEM_MAX + 1);
    append(f, e, SA_ITEM_RESULT, large, SA_SPOOL_ITEM_MAX + 1);
    append(f, e, SA_ITEM_ERROR, large, SA_SPOOL_ITEM_MAX + 1);
    free(large);
    follow(f, &r, e, 0);
    assert_int_equal(sa_reader_next(r.reader, 10, &piece), SA_READ_PIECE);
    assert_int_equal(piece.kind, SA_ITEM_RESULT);
    assert_non_null(strstr(piece.data, "4194305 bytes"));
    assert_int_equal(sa_reader_next(r.reader, 10, &piece), SA_READ_PIECE);
    assert_int_equal(piece.kind, SA_ITEM_ERROR);
    sa_reader_free(r.reader);
    finish(f, e);
}

/* Readers that go away, and end others, from within what they are told. */
struct leaver {
    struct sa_reader *own, *other;
};

static void on_leave(void *user)
{
    struct leaver *l = user;
    sa_reader_free(l->own);
    sa_reader_free(l->other);
    l->own = l->other = NULL;
}

static void leaving_while_told(void **state)
{
    struct fixture *f = *state;
    static const struct sa_reader_events leave = {.ready = on_leave};
    struct sa_piece piece;
    struct sa_execution *e = begin(f);
    struct leaver l = {0};
    l.own = sa_reader_new(e, 0, &leave, &l);
    l.other = sa_reader_new(e, 0, &leave, &l);
    assert_int_equal(sa_reader_next(l.own, 1, &piece), SA_READ_WAIT);
    assert_int_equal(sa_reader_next(l.other, 1, &piece), SA_READ_WAIT);
    finish(f, e);
    sa_executions_forget(f->all, "sb-test");
    turn(f);
    assert_null(l.own);
}

/* Nothing is told of it before its record is written; then all of it is. */
static void recorded_first(void **state)
{
    struct fixture *f = *state;
    struct sa_error err;
    struct reader r;
    enum sa_read_state how;
    const struct sa_store_sandbox box = {.id = "sb-test", .phase = "Running", .created_ms = 1};
    assert_int_equal(sa_store_put_sandbox(f->store, &box, NULL, NULL, &err), 0);
    struct sa_execution *e = begin(f);
    sa_execution_record_first(e);
    sa_execution_started(e, 7);
    append(f, e, SA_ITEM_STDOUT, "abc", 3);
    assert_true(sa_execution_is_recording(e));
    assert_false(sa_execution_is_started(e));
    follow(f, &r, e, 0);
    assert_int_equal(drain(&r, &how), 0);
    assert_int_equal(how, SA_READ_WAIT);
    while (sa_execution_is_recording(e))
        uv_run(f->loop, UV_RUN_ONCE);
    turn(f);
    assert_int_equal(r.ready, 1);
    assert_null(sa_execution_unrecorded(e));
    assert_true(sa_execution_is_started(e));
    assert_int_equal(drain(&r, &how), 3);
    sa_reader_free(r.reader);
    finish(f, e);
}

static void a_record_that_fails(void **state)
{
    struct fixture *f = *state;
    struct sa_execution *e = begin(f); /* of a sandbox that the store does not know */
    sa_execution_record_first(e);
    sa_execution_record_first(e);
    while (sa_execution_is_recording(e))
        uv_run(f->loop, UV_RUN_ONCE);
    assert_int_equal(sa_execution_unrecorded(e)->code, SA_EUNAVAILABLE);
    finish(f, e);
    e = begin(f);
    sa_execution_record_first(e);
    finish(f, e);
    sa_executions_forget(f->all, "sb-test"); /* before the store has answered */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life, setup, teardown),
        cmocka_unit_test_setup_teardown(who_holds_the_source, setup, teardown),
        cmocka_unit_test_setup_teardown(input, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(oldest_lose_their_output, setup, teardown),
        cmocka_unit_test_setup_teardown(items_that_are_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(leaving_while_told, setup, teardown),
        cmocka_unit_test_setup_teardown(recorded_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
