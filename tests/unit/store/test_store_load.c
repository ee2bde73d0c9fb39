/* Many writes, several things at once, and a crash in the middle. The figures printed are for
 * people: nothing here depends on how fast the machine is. */
#include "base/clock.h"
#include "fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITES = 10000 };

/* Writers that wait for room: each completed write makes the next. */
struct stream {
    struct fixture *f;
    int made, done, failures;
};

static void pump(struct stream *s);

static void on_written(void *user, const struct sa_error *err)
{
    struct stream *s = user;
    s->done++;
    s->failures += err != NULL;
    pump(s);
}

static void pump(struct stream *s)
{
    char id[32];
    while (s->made < WRITES && s->made - s->done < 2000) {
        snprintf(id, sizeof id, "sb-%08d", s->made);
        struct sa_store_sandbox sandbox = a_sandbox(id, s->made);
        if (sa_store_put_sandbox(s->f->store, &sandbox, on_written, s, NULL) < 0)
            return;
        s->made++;
    }
}

static void many_writes(void **state)
{
    struct fixture *f = *state;
    struct stream s = {.f = f};
    struct sa_store_stats stats;
    int64_t start = sa_monotonic_us();
    pump(&s);
    fixture_run(f);
    int64_t us = sa_monotonic_us() - start;
    assert_int_equal(s.done, WRITES);
    assert_int_equal(s.failures, 0);
    sa_store_stats(f->store, &stats);
    assert_int_equal(stats.writes, WRITES);
    assert_true(stats.groups < WRITES / 10);
    print_message("%d sandboxes with labels: %.0f writes/s in %llu groups\n", WRITES,
                  WRITES * 1e6 / (double)us, (unsigned long long)stats.groups);
    fixture_close(f);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM sandboxes"), WRITES);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM sandbox_labels"), 2 * WRITES);
}

/* A trickle of records that nobody waits for is grouped too. */
static void a_trickle_lingers(void **state)
{
    struct fixture *f = *state;
    struct sa_store_stats stats;
    char id[24] = "";
    struct sa_store_sandbox sandbox = a_sandbox(id, 1);
    for (int i = 0; i <= 200; i++) {
        snprintf(id, sizeof id, "sb-%d", i);
        if (i < 200)
            assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, NULL, NULL, NULL), 0);
        usleep(50);
    }
    struct outcome o = {0}; /* comes behind them all */
    assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &o, NULL), 0);
    fixture_run(f);
    assert_int_equal(o.calls, 1);
    sa_store_stats(f->store, &stats);
    assert_int_equal(stats.writes, 201);
    assert_true(stats.groups < 150);
}

/* ---- everything at once ---- */

struct crowd {
    struct fixture *f;
    uv_timer_t timer;
    int turns, writes, written, reads, read_done, checks;
    char key[SA_KEY_TEXT_BYTES];
};

static void crowd_written(void *user, const struct sa_error *err)
{
    struct crowd *c = user;
    assert_null(err);
    c->written++;
}

static void crowd_listed(void *user, const struct sa_error *err,
                         const struct sa_store_sandbox_page *page)
{
    struct crowd *c = user;
    assert_null(err);
    for (size_t i = 0; i < page->count; i++)
        assert_string_equal(page->items[i].spec, "{\"runtime\":\"python\"}");
    c->read_done++;
}

static void crowd_got(void *user, const struct sa_error *err,
                      const struct sa_store_execution *execution)
{
    struct crowd *c = user;
    assert_null(err);
    assert_string_equal(execution->command, "print(1)");
    c->read_done++;
}

static void crowd_turn(uv_timer_t *timer)
{
    struct crowd *c = timer->data;
    struct sa_store *store = c->f->store;
    const struct sa_key_info *info;
    char id[32], ex[32];
    if (c->reads - c->read_done > 500) /* the next turn finds room in the queue */
        return;
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "sb-%d-%d", c->turns, i);
        snprintf(ex, sizeof ex, "ex-%d-%d", c->turns, i);
        struct sa_store_sandbox sandbox = a_sandbox(id, 100 + c->turns);
        struct sa_store_execution execution = an_execution(ex, id, 100 + c->turns);
        assert_int_equal(sa_store_put_sandbox(store, &sandbox, crowd_written, c, NULL), 0);
        assert_int_equal(sa_store_put_execution(store, &execution, crowd_written, c, NULL), 0);
        assert_int_equal(sa_store_put_execution(store, &execution, NULL, NULL, NULL), 0);
        c->writes += 2;
        assert_non_null(sa_store_get_execution(store, id, ex, crowd_got, c, NULL));
        assert_int_equal(sa_store_key_check(store, c->key, strlen(c->key), &info, NULL), 0);
        c->reads++;
    }
    const char *red = "red";
    struct sa_store_label label = {"team", false, &red, 1};
    struct sa_store_sandbox_query query = {.limit = 100, .labels = &label, .label_count = 1};
    assert_non_null(sa_store_list_sandboxes(store, &query, crowd_listed, c, NULL));
    c->reads++;
    assert_int_equal(sa_store_prune(store, 1, NULL, NULL, NULL), 0);
    assert_true(sa_store_healthy(store, NULL, 0));
    test_clock_ms += 10000; /* key uses are noted in between */
    if (++c->turns == 100)
        uv_close((uv_handle_t *)timer, NULL);
}

static void a_crowd(void **state)
{
    struct fixture *f = *state;
    struct crowd c = {.f = f};
    struct sa_key_info info;
    struct sa_key_params params = {.name = "crowd", .role = SA_ROLE_DEVELOPER};
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &info, c.key, NULL), 0);
    uv_timer_init(&f->loop, &c.timer);
    c.timer.data = &c;
    uv_timer_start(&c.timer, crowd_turn, 0, 1);
    fixture_run(f);
    assert_int_equal(c.written, c.writes);
    assert_int_equal(c.read_done, c.reads);
    assert_int_equal(c.writes, 4000);
}

/* ---- kill -9 ---- */

static void tell_written(void *user, const struct sa_error *err)
{
    int fd = *(const int *)user;
    static int64_t total;
    if (err)
        _exit(3);
    total++;
    if (total % 100 == 0 && write(fd, &total, sizeof total) != sizeof total)
        _exit(4);
}

/* Pairs of a sandbox and its two labels, and an execution, for ever; what is known to be on disk
 * is told to the parent. */
static void write_for_ever(const char *dir, int fd)
{
    uv_loop_t loop;
    char id[32], ex[32];
    uv_loop_init(&loop);
    struct sa_store *store = sa_store_open(dir, &loop, NULL, NULL);
    if (!store)
        _exit(2);
    for (int i = 0;; i++) {
        snprintf(id, sizeof id, "sb-%08d", i);
        snprintf(ex, sizeof ex, "ex-%08d", i);
        struct sa_store_sandbox sandbox = a_sandbox(id, i);
        struct sa_store_execution execution = an_execution(ex, id, i);
        execution.status = "running";
        while (sa_store_put_sandbox(store, &sandbox, tell_written, &fd, NULL) < 0)
            uv_run(&loop, UV_RUN_ONCE);
        while (sa_store_put_execution(store, &execution, NULL, NULL, NULL) < 0)
            uv_run(&loop, UV_RUN_ONCE);
        if (i % 64 == 0)
            uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static int64_t crash_once(const char *dir, unsigned after_us)
{
    int report[2], status;
    int64_t total = 0, heard;
    assert_int_equal(pipe(report), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(report[0]);
        write_for_ever(dir, report[1]);
    }
    close(report[1]);
    assert_int_equal(read(report[0], &total, sizeof total), sizeof total);
    usleep(after_us);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(report[0], &heard, sizeof heard) == sizeof heard)
        total = heard;
    close(report[0]);
    return total;
}

static void survives_kill(void **state)
{
    struct fixture *f = *state;
    for (unsigned turn = 0; turn < 5; turn++) {
        int64_t told = crash_once(f->dir, 3000 + turn * 17000);
        fixture_open(f); /* with the log that the crash left */
        fixture_close(f);
        int64_t sandboxes = sql_number(f->dir, "SELECT count(*) FROM sandboxes");
        assert_true(told >= 100);
        assert_true(sandboxes >= told); /* what was acknowledged is there */
        assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM pragma_integrity_check"
                                            " WHERE integrity_check<>'ok'"),
                         0);
        assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        /* No half records: each sandbox has both its labels. */
        assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM sandbox_labels"), 2 * sandboxes);
        assert_int_equal(sql_number(f->dir, "SELECT count(DISTINCT sandbox) FROM events"
                                            " WHERE reason='ControlPlaneRestarted'"),
                         sql_number(f->dir, "SELECT count(*) FROM sandboxes"));
        assert_int_equal(
            sql_number(f->dir, "SELECT count(*) FROM executions WHERE status<>'failed'"), 0);
    }
}

/* ---- the cost of reading ---- */

static void many_reads(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 10000 };
    struct crowd c = {.f = f};
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
    struct sa_store_execution execution = an_execution("ex-1", "sb-1", 1);
    put_sandbox(f, &sandbox);
    assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
    int64_t start = sa_monotonic_us();
    while (c.reads < COUNT) {
        for (int i = 0; i < 500; i++, c.reads++)
            assert_non_null(sa_store_get_execution(f->store, "sb-1", "ex-1", crowd_got, &c, NULL));
        fixture_run(f);
    }
    assert_int_equal(c.read_done, COUNT);
    print_message("%.0f reads/s\n", COUNT * 1e6 / (double)(sa_monotonic_us() - start));
}

/* ---- the cost of checking a key ---- */

static void key_checks(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 100000 };
    struct sa_key_info info;
    const struct sa_key_info *found;
    char text[SA_KEY_TEXT_BYTES];
    struct sa_key_params params = {.name = "fast", .role = SA_ROLE_DEVELOPER};
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &info, text, NULL), 0);
    size_t length = strlen(text);
    int64_t start = sa_monotonic_us();
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(sa_store_key_check(f->store, text, length, &found, NULL), 0);
    print_message("a key check: %.2f us\n", (double)(sa_monotonic_us() - start) / COUNT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, fixture_setup_closed, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(many_writes),     CASE(a_trickle_lingers), CASE(a_crowd),
        CLOSED(survives_kill), CASE(key_checks),        CASE(many_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
