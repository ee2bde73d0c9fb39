/* Sandboxes, executions and events: what is written is read, filters, pages, retention. */
#include "fixture.h"

#include <uv.h>

/* ---- what reads gave, copied for the assertions ---- */

struct seen {
    int calls, failures;
    struct sa_error err;
    char ids[600][24];
    size_t count;
    char next[300];
    bool more;
    char phase[64], reason[64], message[3000], spec[300], labels[300], command[5000];
    struct sa_store_execution execution; /* its texts are gone: only the numbers */
    struct sa_store_sandbox sandbox;
    struct sa_store_event event;
};

static void failed_or(struct seen *s, const struct sa_error *err)
{
    s->calls++;
    s->count = 0;
    s->next[0] = '\0';
    if (err) {
        s->failures++;
        s->err = *err;
    }
}

static void on_sandbox(void *user, const struct sa_error *err,
                       const struct sa_store_sandbox *sandbox)
{
    struct seen *s = user;
    failed_or(s, err);
    if (err) {
        assert_null(sandbox);
        return;
    }
    s->sandbox = *sandbox;
    snprintf(s->phase, sizeof s->phase, "%s", sandbox->phase);
    snprintf(s->reason, sizeof s->reason, "%s", sandbox->reason);
    snprintf(s->message, sizeof s->message, "%s", sandbox->message);
    snprintf(s->spec, sizeof s->spec, "%s", sandbox->spec);
    snprintf(s->labels, sizeof s->labels, "%s", sandbox->labels);
    assert_string_equal(sandbox->owner, "key-a");
    assert_string_equal(sandbox->user, "alice");
    assert_string_equal(sandbox->runtime, "python");
}

static void on_sandboxes(void *user, const struct sa_error *err,
                         const struct sa_store_sandbox_page *page)
{
    struct seen *s = user;
    failed_or(s, err);
    for (size_t i = 0; page && i < page->count; i++)
        snprintf(s->ids[s->count++], sizeof s->ids[0], "%s", page->items[i].id);
    if (page && page->next)
        snprintf(s->next, sizeof s->next, "%s", page->next);
}

static void on_execution(void *user, const struct sa_error *err,
                         const struct sa_store_execution *execution)
{
    struct seen *s = user;
    failed_or(s, err);
    if (err)
        return;
    s->execution = *execution;
    snprintf(s->phase, sizeof s->phase, "%s", execution->status);
    snprintf(s->reason, sizeof s->reason, "%s", execution->reason);
    snprintf(s->command, sizeof s->command, "%s", execution->command);
    assert_string_equal(execution->kind, "python");
}

static void on_executions(void *user, const struct sa_error *err,
                          const struct sa_store_execution_page *page)
{
    struct seen *s = user;
    failed_or(s, err);
    for (size_t i = 0; page && i < page->count; i++)
        snprintf(s->ids[s->count++], sizeof s->ids[0], "%s", page->items[i].id);
    if (page && page->next)
        snprintf(s->next, sizeof s->next, "%s", page->next);
}

static void on_events(void *user, const struct sa_error *err,
                      const struct sa_store_event_page *page)
{
    struct seen *s = user;
    failed_or(s, err);
    for (size_t i = 0; page && i < page->count; i++) {
        snprintf(s->ids[s->count++], sizeof s->ids[0], "%lld", (long long)page->items[i].seq);
        s->event = page->items[i];
        snprintf(s->reason, sizeof s->reason, "%s", page->items[i].reason);
        snprintf(s->message, sizeof s->message, "%s", page->items[i].message);
    }
    s->more = page && page->more;
}

static void get_sandbox(struct fixture *f, const char *id, struct seen *s)
{
    assert_non_null(sa_store_get_sandbox(f->store, id, on_sandbox, s, NULL));
    fixture_run(f);
}

static void list(struct fixture *f, struct sa_store_sandbox_query query, struct seen *s)
{
    int calls = s->calls;
    assert_non_null(sa_store_list_sandboxes(f->store, &query, on_sandboxes, s, NULL));
    assert_int_equal(s->calls, calls);
    fixture_run(f);
    assert_int_equal(s->calls, calls + 1);
    assert_int_equal(s->failures, 0);
}

static void assert_ids(const struct seen *s, const char *expected)
{
    char got[2000] = "";
    for (size_t i = 0; i < s->count; i++) {
        strncat(got, i ? " " : "", sizeof got - strlen(got) - 1);
        strncat(got, s->ids[i], sizeof got - strlen(got) - 1);
    }
    assert_string_equal(got, expected);
}

/* ---- sandboxes ---- */

static void round_trip(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1000);
    sandbox.reason = "Why";
    sandbox.message = "because of \xc3\xa9";
    put_sandbox(f, &sandbox);
    get_sandbox(f, "sb-1", &s);
    assert_int_equal(s.failures, 0);
    assert_string_equal(s.phase, "Running");
    assert_string_equal(s.reason, "Why");
    assert_string_equal(s.message, "because of \xc3\xa9");
    assert_string_equal(s.spec, sandbox.spec);
    assert_string_equal(s.labels, sandbox.labels);
    assert_int_equal(s.sandbox.created_ms, 1000);
    assert_int_equal(s.sandbox.expires_ms, 61000);
    assert_int_equal(s.sandbox.ended_ms, 0);
    get_sandbox(f, "sb-2", &s);
    assert_int_equal(s.err.code, SA_ENOTFOUND);
    assert_int_equal(s.calls, 2);
}

static void a_read_sees_the_writes_before_it(void **state)
{
    struct fixture *f = *state;
    char id[24];
    static struct seen seen[200];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < 200; i++) { /* fire and forget, which lingers */
        snprintf(id, sizeof id, "sb-%d", i);
        struct sa_store_sandbox sandbox = a_sandbox(id, i);
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, NULL, NULL, NULL), 0);
        assert_non_null(sa_store_get_sandbox(f->store, id, on_sandbox, &seen[i], NULL));
    }
    fixture_run(f);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(seen[i].calls, 1);
        assert_int_equal(seen[i].failures, 0);
    }
}

static void phases(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    struct outcome o = {0};
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1000);
    put_sandbox(f, &sandbox);
    struct sa_store_phase phase = {
        .id = "sb-1", .phase = "Paused", .reason = "Asked", .expires_ms = 99};
    assert_int_equal(sa_store_set_phase(f->store, &phase, outcome_done, &o, NULL), 0);
    get_sandbox(f, "sb-1", &s);
    assert_string_equal(s.phase, "Paused");
    assert_int_equal(s.sandbox.expires_ms, 99);
    assert_string_equal(s.spec, sandbox.spec); /* the rest stays */
    phase.phase = "Terminated";
    assert_int_equal(sa_store_set_phase(f->store, &phase, outcome_done, &o, NULL), 0);
    get_sandbox(f, "sb-1", &s);
    assert_int_equal(s.sandbox.ended_ms, test_clock_ms); /* filled in */
    assert_int_equal(o.failures, 0);
    phase.id = "sb-none";
    assert_int_equal(sa_store_set_phase(f->store, &phase, outcome_done, &o, NULL), 0);
    fixture_run(f);
    assert_int_equal(o.calls, 3);
    assert_int_equal(o.err.code, SA_ENOTFOUND);
    assert_true(sa_store_healthy(f->store, NULL, 0)); /* not the world's fault */
}

static void filters(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 100);
    put_sandbox(f, &sandbox);
    sandbox = a_sandbox("sb-2", 200);
    sandbox.labels = "{\"team\":\"blue\",\"env\":\"test\"}";
    sandbox.phase = "Terminated";
    put_sandbox(f, &sandbox);
    sandbox = a_sandbox("sb-3", 300);
    sandbox.owner = "key-b";
    put_sandbox(f, &sandbox);
    sandbox = a_sandbox("sb-4", 300);
    sandbox.labels = NULL;
    put_sandbox(f, &sandbox);
    list(f, (struct sa_store_sandbox_query){0}, &s);
    assert_ids(&s, "sb-4 sb-3 sb-2 sb-1");
    list(f, (struct sa_store_sandbox_query){.owner = "key-a"}, &s);
    assert_ids(&s, "sb-4 sb-2 sb-1");
    list(f, (struct sa_store_sandbox_query){.phase = "Running"}, &s);
    assert_ids(&s, "sb-4 sb-3 sb-1");
    const char *red = "red", *test = "test", *quotes = "' OR 1=1 --";
    struct sa_store_label labels[] = {{"team", false, &red, 1}, {"env", false, &test, 1}};
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 2}, &s);
    assert_ids(&s, "sb-3 sb-1");
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 1, .owner = "key-b"},
         &s);
    assert_ids(&s, "sb-3");
    labels[0] = labels[1];
    list(f,
         (struct sa_store_sandbox_query){.labels = labels, .label_count = 1, .phase = "Terminated"},
         &s);
    assert_ids(&s, "sb-2");
    /* Sets, and what is not there. */
    const char *either[] = {"red", "blue"};
    labels[0] = (struct sa_store_label){"team", false, either, 2};
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 1}, &s);
    assert_ids(&s, "sb-3 sb-2 sb-1");
    labels[0].absent = true;
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 1}, &s);
    assert_ids(&s, "sb-4");
    labels[0] = (struct sa_store_label){.key = "team"};
    labels[1] = (struct sa_store_label){"team", true, &red, 1};
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 2}, &s);
    assert_ids(&s, "sb-2");
    labels[0] = (struct sa_store_label){.key = "team", .absent = true};
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 1}, &s);
    assert_ids(&s, "sb-4");
    /* Neither quotes nor wildcards mean anything. */
    labels[0] = (struct sa_store_label){"team", false, &quotes, 1};
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 1}, &s);
    assert_ids(&s, "");
    list(f, (struct sa_store_sandbox_query){.owner = "key-%"}, &s);
    assert_ids(&s, "");
    /* Labels are replaced, not added. */
    sandbox = a_sandbox("sb-1", 100);
    sandbox.labels = "{\"team\":\"green\"}";
    put_sandbox(f, &sandbox);
    labels[0] = (struct sa_store_label){"team", false, &red, 1};
    list(f, (struct sa_store_sandbox_query){.labels = labels, .label_count = 1}, &s);
    assert_ids(&s, "sb-3");
}

/* Every record once, in order, whatever is added meanwhile. */
static void page_through(struct fixture *f, struct sa_store_sandbox_query query)
{
    struct seen s = {0};
    char id[24], last[24] = "sb-99", cursor[300] = "";
    size_t total = 0;
    int pages = 0;
    query.limit = 7;
    do {
        query.cursor = cursor;
        list(f, query, &s);
        for (size_t i = 0; i < s.count; i++) {
            assert_true(strcmp(s.ids[i], last) < 0);
            snprintf(last, sizeof last, "%s", s.ids[i]);
        }
        total += s.count;
        snprintf(cursor, sizeof cursor, "%s", s.next);
        snprintf(id, sizeof id, "sb-x%d", pages++); /* newer than all */
        struct sa_store_sandbox newer = a_sandbox(id, 5000 + pages);
        put_sandbox(f, &newer);
    } while (s.next[0]);
    assert_int_equal(total, 50);
    assert_int_equal(pages, 8);
    sql(f->dir, "DELETE FROM sandboxes WHERE created_ms >= 5000;"
                "DELETE FROM sandbox_labels WHERE created_ms >= 5000");
}

static void pages_hold_still(void **state)
{
    struct fixture *f = *state;
    const char *red = "red";
    struct sa_store_label label = {"team", false, &red, 1};
    char id[24];
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "sb-%02d", i);
        struct sa_store_sandbox sandbox = a_sandbox(id, 1000 + i / 5); /* equal times */
        put_sandbox(f, &sandbox);
    }
    page_through(f, (struct sa_store_sandbox_query){0});
    page_through(f, (struct sa_store_sandbox_query){.labels = &label, .label_count = 1});
    page_through(f, (struct sa_store_sandbox_query){.owner = "key-a", .phase = "Running"});
}

static void bad_queries(void **state)
{
    struct fixture *f = *state;
    static const char *const cursors[] = {"x", ".", "12", "12.", "12345678901234567.sb-1", "-1.a"};
    struct seen s = {0};
    struct sa_error err;
    for (size_t i = 0; i < SA_COUNT(cursors); i++) {
        struct sa_store_sandbox_query query = {.cursor = cursors[i]};
        err = (struct sa_error){.code = SA_OK};
        assert_null(sa_store_list_sandboxes(f->store, &query, on_sandboxes, &s, &err));
        assert_int_equal(err.code, SA_EINVALID);
        assert_string_equal(err.path, "cursor");
    }
    struct sa_store_sandbox_query query = {.limit = SA_STORE_PAGE_MAX + 1};
    assert_null(sa_store_list_sandboxes(f->store, &query, on_sandboxes, &s, &err));
    assert_string_equal(err.path, "limit");
    assert_null(sa_store_get_sandbox(f->store, "", on_sandbox, &s, &err));
    assert_string_equal(err.path, "id");
    fixture_run(f);
    assert_int_equal(s.calls, 0);
}

static void big_pages_are_cut_short(void **state)
{
    struct fixture *f = *state;
    enum { SPEC = SA_STORE_SPEC_MAX, COUNT = 30 };
    static char spec[SPEC + 1];
    struct seen s = {0};
    size_t total = 0;
    char id[24], cursor[300] = "";
    memset(spec, 's', SPEC);
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "sb-%02d", i);
        struct sa_store_sandbox sandbox = a_sandbox(id, i);
        sandbox.spec = spec;
        put_sandbox(f, &sandbox);
    }
    int pages = 0;
    do {
        list(f, (struct sa_store_sandbox_query){.limit = 500, .cursor = cursor}, &s);
        snprintf(cursor, sizeof cursor, "%s", s.next);
        total += s.count;
        pages++;
    } while (cursor[0]);
    assert_int_equal(total, COUNT);
    assert_int_equal(pages, 2);
}

/* ---- what is refused ---- */

static void caps(void **state)
{
    struct fixture *f = *state;
    static char big[SA_STORE_SPEC_MAX + 2];
    struct sa_error err;
    struct seen s = {0};
    memset(big, 'x', sizeof big - 1);
    struct sa_store_sandbox sandbox = a_sandbox("", 1);
    assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, NULL, NULL, &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, "id");
    sandbox = a_sandbox("sb-1", 1);
    sandbox.spec = big;
    assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, NULL, NULL, &err), -1);
    assert_int_equal(err.code, SA_ETOOLARGE);
    assert_string_equal(err.path, "spec");
    sandbox.spec = big + 1; /* just so */
    big[SA_STORE_MESSAGE_MAX] = (char)0xc3;
    big[SA_STORE_MESSAGE_MAX + 1] = (char)0xa9; /* a character across the cap: cut whole */
    sandbox.message = big + 1;
    put_sandbox(f, &sandbox);
    get_sandbox(f, "sb-1", &s);
    assert_int_equal(strlen(s.message), SA_STORE_MESSAGE_MAX - 1);
}

/* Labels are taken apart by the database; one bad write must not take its group along. */
static void one_bad_write_fails_alone(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"{\"a\":",      "[1]", "{\"a\":1}",
                                      "{\"a\":null}", "7",   "{\"a\":{\"b\":\"c\"}}"};
    struct outcome good = {0}, wrong[SA_COUNT(bad)] = {{0}}, orphan = {0};
    char id[24];
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        snprintf(id, sizeof id, "sb-good-%zu", i);
        struct sa_store_sandbox sandbox = a_sandbox(id, 1);
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &good, NULL), 0);
        snprintf(id, sizeof id, "sb-bad-%zu", i);
        sandbox.labels = bad[i];
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &wrong[i], NULL),
                         0);
        struct sa_store_execution execution = an_execution(id, id, 1);
        assert_int_equal(sa_store_put_execution(f->store, &execution, outcome_done, &orphan, NULL),
                         0);
    }
    fixture_run(f);
    assert_int_equal(good.calls, SA_COUNT(bad));
    assert_int_equal(good.failures, 0);
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        assert_int_equal(wrong[i].calls, 1);
        assert_int_equal(wrong[i].failures, 1);
        assert_int_equal(wrong[i].err.code, SA_EINVALID);
        assert_string_equal(wrong[i].err.path, "labels");
    }
    assert_int_equal(orphan.failures, SA_COUNT(bad)); /* their sandboxes are not there */
    assert_int_equal(orphan.err.code, SA_ENOTFOUND);
    assert_true(sa_store_healthy(f->store, NULL, 0));
    fixture_close(f);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM sandboxes"), SA_COUNT(bad));
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM sandbox_labels"), 2 * SA_COUNT(bad));
}

static void a_full_queue_refuses(void **state)
{
    struct fixture *f = *state;
    struct outcome o = {0};
    struct sa_error err = {.code = SA_OK};
    fixture_close(f);
    f->options.write_bytes = 64 * 1024;
    fixture_open(f);
    static char spec[40 * 1024];
    memset(spec, 's', sizeof spec - 1);
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
    sandbox.spec = spec;
    int accepted = 0, refused = 0;
    for (int i = 0; i < 50; i++) {
        if (sa_store_put_sandbox(f->store, &sandbox, outcome_done, &o, &err) == 0)
            accepted++;
        else
            refused++;
    }
    assert_true(refused > 0);
    assert_int_equal(err.code, SA_EUNAVAILABLE);
    fixture_run(f);
    assert_int_equal(o.calls, accepted);
    assert_int_equal(o.failures, 0);
    struct sa_store_stats stats;
    sa_store_stats(f->store, &stats);
    assert_int_equal(stats.refused, refused);
    assert_int_equal(stats.write_queued, 0);
    put_sandbox(f, &sandbox); /* room again */
}

/* ---- executions, events ---- */

static void executions(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    static char command[SA_STORE_COMMAND_MAX + 100];
    char id[24], cursor[300] = "";
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
    put_sandbox(f, &sandbox);
    sandbox = a_sandbox("sb-2", 2);
    put_sandbox(f, &sandbox);
    memset(command, 'c', sizeof command - 1);
    struct sa_store_execution execution = an_execution("ex-1", "sb-1", 10);
    execution.status = "signaled";
    execution.reason = "Killed";
    execution.command = command;
    execution.exit_code = -1;
    execution.signal = 9;
    execution.cpu_us = 5;
    execution.memory_peak_bytes = 1LL << 40;
    execution.out_total = 1LL << 33;
    execution.err_truncated = true;
    assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
    assert_non_null(sa_store_get_execution(f->store, "sb-1", "ex-1", on_execution, &s, NULL));
    fixture_run(f);
    assert_int_equal(s.failures, 0);
    assert_string_equal(s.phase, "signaled");
    assert_string_equal(s.reason, "Killed");
    assert_int_equal(strlen(s.command), SA_STORE_COMMAND_MAX);
    assert_true(s.execution.command_truncated && s.execution.err_truncated);
    assert_false(s.execution.out_truncated);
    assert_int_equal(s.execution.exit_code, -1);
    assert_int_equal(s.execution.signal, 9);
    assert_int_equal(s.execution.memory_peak_bytes, 1LL << 40);
    assert_int_equal(s.execution.out_total, 1LL << 33);
    assert_non_null(sa_store_get_execution(f->store, "sb-2", "ex-1", on_execution, &s, NULL));
    fixture_run(f);
    assert_int_equal(s.err.code, SA_ENOTFOUND); /* of another sandbox */
    for (int i = 2; i <= 9; i++) {
        snprintf(id, sizeof id, "ex-%d", i);
        execution = an_execution(id, i == 5 ? "sb-2" : "sb-1", 10 + i);
        assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
    }
    assert_non_null(
        sa_store_list_executions(f->store, "sb-1", NULL, NULL, 5, on_executions, &s, NULL));
    fixture_run(f);
    assert_ids(&s, "ex-9 ex-8 ex-7 ex-6 ex-4");
    snprintf(cursor, sizeof cursor, "%s", s.next);
    assert_non_null(
        sa_store_list_executions(f->store, "sb-1", NULL, cursor, 5, on_executions, &s, NULL));
    fixture_run(f);
    assert_ids(&s, "ex-3 ex-2 ex-1");
    assert_string_equal(s.next, "");
}

static void put_event(struct fixture *f, int64_t seq, int64_t count)
{
    struct sa_store_event event = {.sandbox = "sb-1",
                                   .seq = seq,
                                   .time_ms = seq,
                                   .type = "Security",
                                   .reason = "SyscallDenied",
                                   .message = "mount",
                                   .count = count};
    assert_int_equal(sa_store_put_event(f->store, &event, NULL, NULL, NULL), 0);
}

static void events(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
    put_sandbox(f, &sandbox);
    for (int seq = 1; seq <= 5; seq++)
        put_event(f, seq, 1);
    put_event(f, 5, 17); /* again: the count rises */
    assert_non_null(sa_store_list_events(f->store, "sb-1", 2, 2, on_events, &s, NULL));
    fixture_run(f);
    assert_ids(&s, "3 4");
    assert_true(s.more);
    assert_non_null(sa_store_list_events(f->store, "sb-1", 4, 2, on_events, &s, NULL));
    fixture_run(f);
    assert_ids(&s, "5");
    assert_false(s.more);
    assert_int_equal(s.event.count, 17);
    assert_string_equal(s.reason, "SyscallDenied");
    /* Only the newest are kept. */
    for (int seq = 6; seq <= SA_STORE_EVENTS_MAX + 10; seq++)
        put_event(f, seq, 1);
    assert_non_null(sa_store_list_events(f->store, "sb-1", 0, 1, on_events, &s, NULL));
    fixture_run(f);
    assert_ids(&s, "11");
    struct sa_error err;
    struct sa_store_event event = {.sandbox = "sb-1", .seq = 0, .type = "Normal"};
    assert_int_equal(sa_store_put_event(f->store, &event, NULL, NULL, &err), -1);
    assert_string_equal(err.path, "seq");
}

/* ---- after a crash, retention, life ---- */

static void leftovers_are_closed(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    struct sa_store_sandbox sandbox = a_sandbox("sb-live", 1);
    put_sandbox(f, &sandbox);
    sandbox = a_sandbox("sb-done", 2);
    sandbox.phase = "Terminated";
    sandbox.reason = "Timeout";
    sandbox.ended_ms = 5;
    put_sandbox(f, &sandbox);
    struct sa_store_execution execution = an_execution("ex-live", "sb-live", 10);
    execution.status = "running";
    assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
    execution = an_execution("ex-done", "sb-live", 10);
    assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
    struct sa_store_event event = {.sandbox = "sb-live", .seq = 7, .type = "Normal"};
    assert_int_equal(sa_store_put_event(f->store, &event, NULL, NULL, NULL), 0);
    fixture_close(f);
    test_clock_ms += 1000;
    fixture_open(f);
    get_sandbox(f, "sb-live", &s); /* it may live */
    assert_string_equal(s.phase, "Running");
    assert_int_equal(s.sandbox.ended_ms, 0);
    get_sandbox(f, "sb-done", &s);
    assert_string_equal(s.phase, "Terminated");
    assert_string_equal(s.reason, "Timeout");
    assert_int_equal(s.sandbox.ended_ms, 5);
    sa_store_get_execution(f->store, "sb-live", "ex-live", on_execution, &s, NULL);
    fixture_run(f);
    assert_string_equal(s.phase, "failed");
    assert_string_equal(s.reason, "ControlPlaneRestarted");
    sa_store_get_execution(f->store, "sb-live", "ex-done", on_execution, &s, NULL);
    fixture_run(f);
    assert_string_equal(s.phase, "exited");
    sa_store_list_events(f->store, "sb-live", 7, 0, on_events, &s, NULL);
    fixture_run(f);
    assert_ids(&s, "8");
    assert_string_equal(s.reason, "ControlPlaneRestarted");
    sa_store_list_events(f->store, "sb-done", 0, 0, on_events, &s, NULL);
    fixture_run(f);
    assert_ids(&s, "");
}

struct pruned {
    int calls, failures;
    uint64_t rows;
};
static void on_pruned(void *user, const struct sa_error *err, uint64_t rows)
{
    struct pruned *p = user;
    p->calls++;
    p->failures += err != NULL;
    p->rows = rows;
}

static void prune(void **state)
{
    struct fixture *f = *state;
    struct pruned p = {0};
    char id[24];
    struct sa_store_sandbox old = a_sandbox("sb-old", 1);
    old.phase = "Failed";
    old.ended_ms = 100;
    put_sandbox(f, &old);
    struct sa_store_sandbox live = a_sandbox("sb-live", 1);
    put_sandbox(f, &live);
    struct sa_store_sandbox recent = a_sandbox("sb-recent", 1);
    recent.phase = "Terminated";
    recent.ended_ms = 5000;
    put_sandbox(f, &recent);
    for (int i = 0; i < 1234; i++) {
        snprintf(id, sizeof id, "ex-%d", i);
        struct sa_store_execution execution = an_execution(id, i % 2 ? "sb-old" : "sb-live", 50);
        assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
    }
    struct sa_store_execution execution = an_execution("ex-live", "sb-live", 50);
    execution.status = "running";
    assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
    struct sa_store_event event = {.sandbox = "sb-old", .seq = 1, .time_ms = 5, .type = "Normal"};
    assert_int_equal(sa_store_put_event(f->store, &event, NULL, NULL, NULL), 0);
    event.sandbox = "sb-live";
    event.time_ms = 5000;
    assert_int_equal(sa_store_put_event(f->store, &event, NULL, NULL, NULL), 0);
    assert_int_equal(sa_store_prune(f->store, 1000, on_pruned, &p, NULL), 0);
    fixture_run(f);
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.failures, 0);
    assert_int_equal(p.rows, 1234 + 1 + 1);
    struct seen s = {0};
    list(f, (struct sa_store_sandbox_query){0}, &s);
    assert_ids(&s, "sb-recent sb-live");
    fixture_close(f);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM executions"), 1);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM events"), 1);
    assert_int_equal(
        sql_number(f->dir, "SELECT count(*) FROM sandbox_labels WHERE sandbox='sb-old'"), 0);
}

static void canceled_reads_do_not_call(void **state)
{
    struct fixture *f = *state;
    struct seen s = {0};
    struct sa_store_read *read = sa_store_get_sandbox(f->store, "sb-1", on_sandbox, &s, NULL);
    assert_non_null(read);
    sa_store_cancel(read);
    fixture_run(f);
    assert_int_equal(s.calls, 0);
}

static void closing_settles_everything(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 3000 };
    struct outcome o = {0};
    static struct seen reads;
    char id[24];
    memset(&reads, 0, sizeof reads);
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof id, "sb-%d", i);
        struct sa_store_sandbox sandbox = a_sandbox(id, i);
        sandbox.phase = "Terminated";
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, outcome_done, &o, NULL), 0);
    }
    for (int i = 0; i < 50; i++)
        assert_non_null(sa_store_get_sandbox(f->store, "sb-1", on_sandbox, &reads, NULL));
    struct pruned p = {0};
    assert_int_equal(sa_store_prune(f->store, 1, on_pruned, &p, NULL), 0);
    fixture_close(f);
    assert_int_equal(o.calls, COUNT);
    assert_int_equal(o.failures, 0);
    assert_int_equal(reads.calls, 50);
    assert_int_equal(p.calls, 1);
    assert_true(reads.failures == 0 || reads.err.code == SA_ECANCELED);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM sandboxes"), COUNT);
}

/* The store may be closed from a callback; the others due are still called. */
struct closer {
    struct fixture *f;
    int calls, closed;
};
static void note_closed(void *user)
{
    ((struct closer *)user)->closed++;
}
static void close_in_callback(void *user, const struct sa_error *err)
{
    struct closer *c = user;
    assert_null(err);
    if (c->calls++ == 0) {
        struct sa_store_sandbox sandbox = a_sandbox("sb-late", 1);
        struct sa_error late;
        sa_store_close(c->f->store, note_closed, c);
        assert_int_equal(sa_store_put_sandbox(c->f->store, &sandbox, NULL, NULL, &late), -1);
        assert_int_equal(late.code, SA_EUNAVAILABLE);
    }
}
static void closes_from_a_callback(void **state)
{
    struct fixture *f = *state;
    struct closer c = {.f = f};
    for (int i = 0; i < 100; i++) {
        struct sa_store_sandbox sandbox = a_sandbox("sb-1", i);
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, close_in_callback, &c, NULL), 0);
    }
    fixture_run(f);
    f->store = NULL;
    assert_int_equal(c.calls, 100);
    assert_int_equal(c.closed, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

/* What is written again before it is on disk is there once, as it was last, and before what refers
 * to it. What somebody waits for has its own turn. */
static void rows_written_again(void **state)
{
    struct fixture *f = *state;
    struct sa_store_stats stats;
    struct outcome told = {0};
    enum { ROWS = 60 };
    char id[24] = "", execution_id[24] = "";
    struct sa_store_sandbox sandbox = a_sandbox(id, 1000);
    struct sa_store_execution execution = an_execution(execution_id, id, 1000);
    struct sa_store_event event = {.sandbox = id, .seq = 1, .type = "Normal", .reason = "Made"};
    for (int i = 0; i < ROWS; i++) {
        snprintf(id, sizeof id, "sb-%d", i);
        snprintf(execution_id, sizeof execution_id, "ex-%d", i);
        sandbox.phase = "Creating";
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, NULL, NULL, NULL), 0);
        assert_int_equal(sa_store_put_event(f->store, &event, NULL, NULL, NULL), 0);
        sandbox.phase = "Running";
        assert_int_equal(
            sa_store_put_sandbox(f->store, &sandbox, i % 3 ? NULL : outcome_done, &told, NULL), 0);
        execution.status = "running";
        assert_int_equal(
            sa_store_put_execution(f->store, &execution, i % 4 ? NULL : outcome_done, &told, NULL),
            0);
        execution.status = "exited";
        assert_int_equal(sa_store_put_execution(f->store, &execution, NULL, NULL, NULL), 0);
        sandbox.phase = "Terminated";
        assert_int_equal(sa_store_put_sandbox(f->store, &sandbox, NULL, NULL, NULL), 0);
    }
    for (int i = 0; i < ROWS; i++) {
        struct seen s = {0};
        snprintf(id, sizeof id, "sb-%d", i);
        snprintf(execution_id, sizeof execution_id, "ex-%d", i);
        get_sandbox(f, id, &s);
        assert_string_equal(s.phase, "Terminated");
        assert_non_null(sa_store_get_execution(f->store, id, execution_id, on_execution, &s, NULL));
        fixture_run(f);
        assert_string_equal(s.phase, "exited");
        assert_int_equal(s.failures, 0);
    }
    assert_int_equal(told.calls, 35);
    assert_int_equal(told.failures, 0);
    sa_store_stats(f->store, &stats);
    assert_int_equal(stats.failed, 0);
    fixture_close(f);
    assert_int_equal(sql_number(f->dir, "SELECT count(*) FROM events"), ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(round_trip),
        CASE(a_read_sees_the_writes_before_it),
        CASE(phases),
        CASE(filters),
        CASE(pages_hold_still),
        CASE(bad_queries),
        CASE(big_pages_are_cut_short),
        CASE(caps),
        CASE(one_bad_write_fails_alone),
        CASE(a_full_queue_refuses),
        CASE(executions),
        CASE(rows_written_again),
        CASE(events),
        CASE(leftovers_are_closed),
        CASE(prune),
        CASE(canceled_reads_do_not_call),
        CASE(closing_settles_everything),
        CASE(closes_from_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
