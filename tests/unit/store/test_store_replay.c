/* What nobody waited for outlives kill -9: the next store finds it, once, in its order. */
#include "fixture.h"

#include "base/id.h"
#include "store/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka's assertions would jump into the parent's runner. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#define COUNT(f, from) sql_number((f)->dir, "SELECT count(*) FROM " from)

/* ---- a store that is killed before it can commit ---- */

/* So that nothing of what is written is committed, however slow this is. */
static sqlite3 *hold_database(const char *dir)
{
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/secureagent.db", dir);
    REQUIRE(sqlite3_open(path, &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 60000);
    REQUIRE(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
    return db;
}

typedef void body(struct sa_store *store);

static void killed_after(struct fixture *f, body *run)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct sa_store_options options = {.busy_timeout_ms = 60000, .wall_ms = test_clock};
        uv_loop_t loop;
        uv_loop_init(&loop);
        struct sa_store *store = sa_store_open(f->dir, &loop, &options, NULL);
        REQUIRE(store);
        hold_database(f->dir);
        run(store);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(COUNT(f, "executions"), 0); /* none of it is in the database */
}

static void reopen(struct fixture *f)
{
    fixture_open(f);
    fixture_close(f);
}

/* ---- each kind ---- */

static void put_sandbox_and(struct sa_store *store, const char *id, const char *execution)
{
    struct sa_store_sandbox sandbox = a_sandbox(id, 1);
    struct sa_store_execution row = an_execution(execution, id, 2);
    REQUIRE(sa_store_put_sandbox(store, &sandbox, NULL, NULL, NULL) == 0);
    REQUIRE(sa_store_put_execution(store, &row, NULL, NULL, NULL) == 0);
}

static char key[SA_KEY_TEXT_BYTES];

static void write_all_kinds(struct sa_store *store)
{
    const struct sa_key_info *info;
    put_sandbox_and(store, "sb-1", "ex-1");
    put_sandbox_and(store, "sb-2", "ex-2");
    struct sa_store_execution running = an_execution("ex-3", "sb-1", 3);
    running.status = "running";
    running.command = "a \"quoted\"\n\xc3\xa9 one";
    running.tty = running.out_truncated = true;
    running.exit_code = -7;
    running.out_total = INT64_MAX;
    REQUIRE(sa_store_put_execution(store, &running, NULL, NULL, NULL) == 0);
    struct sa_store_event event = {"sb-1", 1, 5, "Normal", "Made", "it is made", 3};
    REQUIRE(sa_store_put_event(store, &event, NULL, NULL, NULL) == 0);
    struct sa_store_phase phase = {"sb-2", "Terminated", "Deleted", "gone", 77, 0};
    REQUIRE(sa_store_set_phase(store, &phase, NULL, NULL, NULL) == 0);
    static char big[SA_STORE_OUTPUT_MAX + 1];
    memset(big, 'b', SA_STORE_OUTPUT_MAX);
    struct sa_store_output output = {"ex-1", big, big, false, true, big, -1, "", test_clock_ms};
    REQUIRE(sa_store_put_output(store, &output, NULL, NULL, NULL) == 0);
    struct sa_store_idempotency once = {"hash-1", "body", "ex-1", test_clock_ms};
    REQUIRE(sa_store_put_idempotency(store, &once, NULL, NULL, NULL) == 0);
    REQUIRE(sa_store_drop_idempotency(store, "hash-0", NULL) == 0);
    REQUIRE(sa_store_key_check(store, key, strlen(key), &info, NULL) == 0);
    REQUIRE(sa_store_prune(store, 1, NULL, NULL, NULL) == 0); /* work, no record */
}

static void each_kind(void **state)
{
    struct fixture *f = *state;
    struct sa_key_info info;
    fixture_open(f);
    struct sa_key_params params = {.name = "used", .role = SA_ROLE_ADMIN};
    assert_int_equal(sa_store_key_create_sync(f->store, &params, &info, key, NULL), 0);
    struct outcome o = {0};
    struct sa_store_idempotency once = {"hash-0", "body", "", test_clock_ms};
    assert_int_equal(sa_store_put_idempotency(f->store, &once, outcome_done, &o, NULL), 0);
    fixture_run(f);
    fixture_close(f);
    test_clock_ms += 100000;
    killed_after(f, write_all_kinds);
    reopen(f);
    assert_int_equal(COUNT(f, "executions WHERE status='exited' AND reason=''"), 2);
    assert_int_equal(COUNT(f, "executions WHERE id='ex-3' AND status='failed'"
                              " AND reason='ControlPlaneRestarted' AND tty=1 AND err_truncated=0"
                              " AND out_truncated=1 AND exit_code=-7"
                              " AND out_total=9223372036854775807"
                              " AND command='a \"quoted\"'||char(10,233)||' one'"),
                     1);
    assert_int_equal(COUNT(f, "sandboxes WHERE id='sb-1' AND spec='{\"runtime\":\"python\"}'"), 1);
    assert_int_equal(COUNT(f, "sandboxes WHERE id='sb-2' AND phase='Terminated' AND ended_ms=77"),
                     1);
    assert_int_equal(COUNT(f, "sandbox_labels"), 4);
    assert_int_equal(COUNT(f, "events WHERE sandbox='sb-1' AND seq=1 AND count=3"), 1);
    assert_int_equal(COUNT(f, "events WHERE reason='ControlPlaneRestarted' AND seq=2"), 1);
    assert_int_equal(COUNT(f, "outputs WHERE execution='ex-1' AND length(out)=262144 AND err=out"
                              " AND results=out AND err_cut=1 AND out_cut=0 AND main_result=-1"),
                     1);
    assert_int_equal(COUNT(f, "idempotency"), 1);
    assert_int_equal(COUNT(f, "idempotency WHERE hash='hash-1' AND resource='ex-1'"), 1);
    assert_int_equal(sql_number(f->dir, "SELECT last_used_ms FROM keys"), test_clock_ms);
}

/* ---- in its order ---- */

static void write_rows_again(struct sa_store *store)
{
    char id[16];
    for (int i = 0; i < 3000; i++) { /* more than a group, and more than the journal keeps */
        snprintf(id, sizeof id, "ex-%d", i % 100);
        struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
        struct sa_store_execution row = an_execution(id, "sb-1", 1);
        struct sa_store_event event = {"sb-1", 1 + i % 50, i, "Normal", "Again", id, i};
        sandbox.message = id;
        row.exit_code = i;
        row.status = i < 2900 ? "running" : "exited";
        REQUIRE(sa_store_put_sandbox(store, &sandbox, NULL, NULL, NULL) == 0);
        REQUIRE(sa_store_put_execution(store, &row, NULL, NULL, NULL) == 0);
        REQUIRE(sa_store_put_event(store, &event, NULL, NULL, NULL) == 0);
    }
}

static void the_last_counts(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    killed_after(f, write_rows_again);
    reopen(f);
    assert_int_equal(COUNT(f, "executions WHERE status='exited'"), 100);
    assert_int_equal(sql_number(f->dir, "SELECT min(exit_code) FROM executions"), 2900);
    assert_int_equal(COUNT(f, "sandboxes WHERE message='ex-99'"), 1);
    assert_int_equal(COUNT(f, "events WHERE reason='Again' AND count=2949+seq"), 50);
}

/* ---- once ---- */

static void copy_file(const char *from, const char *to)
{
    char command[320];
    snprintf(command, sizeof command, "cp --preserve=mode --sparse=always %s %s", from, to);
    assert_int_equal(system(command), 0);
}

static void write_one(struct sa_store *store)
{
    put_sandbox_and(store, "sb-1", "ex-1");
}

/* A journal that is there again, as if the process had died between commit and emptying it. */
static void what_is_committed_is_not_applied_again(void **state)
{
    struct fixture *f = *state;
    char path[128], copy[128];
    reopen(f);
    killed_after(f, write_one);
    assert_true(journal_path(f->dir, path));
    snprintf(copy, sizeof copy, "%s/copy", f->dir);
    copy_file(path, copy);
    reopen(f);
    assert_int_equal(access(path, F_OK), -1);
    for (int i = 0; i < 2; i++) {
        sql(f->dir, "UPDATE executions SET exit_code=99; DELETE FROM sandbox_labels");
        copy_file(copy, path);
        reopen(f);
        assert_int_equal(COUNT(f, "executions WHERE exit_code=99 AND status='exited'"), 1);
        assert_int_equal(COUNT(f, "sandbox_labels"), 0);
    }
}

/* Somebody waited for a later write of that row: what came before does not undo it. */
static void a_later_one_stays(void **state)
{
    struct fixture *f = *state;
    int status;
    reopen(f);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct outcome o = {0};
        uv_loop_t loop;
        uv_loop_init(&loop);
        struct sa_store *store = sa_store_open(f->dir, &loop, NULL, NULL);
        struct sa_store_execution row = an_execution("ex-1", "sb-1", 1);
        struct sa_store_idempotency once = {"hash", "body", "", 1};
        for (int i = 0; i < 100; i++) {
            put_sandbox_and(store, "sb-1", "ex-1");
            REQUIRE(sa_store_drop_idempotency(store, "hash", NULL) == 0);
            row.exit_code = 1000 + i;
            once.created_ms = test_clock_ms + i;
            REQUIRE(sa_store_put_execution(store, &row, outcome_done, &o, NULL) == 0);
            REQUIRE(sa_store_put_idempotency(store, &once, outcome_done, &o, NULL) == 0);
            uv_run(&loop, UV_RUN_DEFAULT);
            REQUIRE(o.calls == 2 * (i + 1) && o.failures == 0);
        }
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    reopen(f);
    assert_int_equal(COUNT(f, "executions WHERE exit_code=1099"), 1);
    assert_int_equal(COUNT(f, "idempotency WHERE hash='hash'"), 1);
}

/* ---- what cannot be applied ---- */

static void write_refused(struct sa_store *store)
{
    struct sa_store_execution orphan = an_execution("ex-0", "sb-none", 1);
    struct sa_store_sandbox wrong = a_sandbox("sb-0", 1);
    wrong.labels = "no labels";
    REQUIRE(sa_store_put_execution(store, &orphan, NULL, NULL, NULL) == 0);
    REQUIRE(sa_store_put_sandbox(store, &wrong, NULL, NULL, NULL) == 0);
    put_sandbox_and(store, "sb-1", "ex-1");
    /* refused at once: never there */
    struct sa_store_execution nameless = an_execution("", "sb-1", 1);
    REQUIRE(sa_store_put_execution(store, &nameless, NULL, NULL, NULL) < 0);
}

static void a_bad_write_fails_alone(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    killed_after(f, write_refused);
    reopen(f);
    assert_int_equal(COUNT(f, "executions"), 1);
    assert_int_equal(COUNT(f, "executions WHERE id='ex-1' AND status='exited'"), 1);
    assert_int_equal(COUNT(f, "sandboxes"), 1);
}

static int *told; /* by the child */

static void overfill(struct sa_store *store)
{
    static char ids[400][16];
    int queued = 0;
    for (int i = 0; i < 400; i++) {
        snprintf(ids[i], sizeof ids[i], "sb-%d", i);
        struct sa_store_sandbox sandbox = a_sandbox(ids[i], i);
        static char spec[SA_STORE_SPEC_MAX + 1];
        memset(spec, 's', SA_STORE_SPEC_MAX);
        sandbox.spec = spec;
        queued += sa_store_put_sandbox(store, &sandbox, NULL, NULL, NULL) == 0;
    }
    REQUIRE(queued > 100 && queued < 400); /* the queue is full before the journal is */
    REQUIRE(sa_store_put_sandbox(store,
                                 &(struct sa_store_sandbox){.id = "sb-more", .phase = "Running"},
                                 NULL, NULL, NULL) == 0);
    *told = queued;
}

/* All that the queue takes is kept, and what it refuses is not. */
static void as_much_as_the_queue(void **state)
{
    struct fixture *f = *state;
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    reopen(f);
    killed_after(f, overfill);
    reopen(f);
    assert_int_equal(COUNT(f, "sandboxes WHERE id<>'sb-more'"), *told);
    assert_int_equal(COUNT(f, "sandboxes WHERE id='sb-more'"), 1);
    munmap(told, sizeof *told);
}

/* ---- a journal that says something else ---- */

/* Entries as somebody else may have written them: begun with one that is sound, of this program. */
static void forge(struct fixture *f, uint32_t tag, const void *bytes, size_t length)
{
    char path[128];
    reopen(f);
    assert_true(journal_path(f->dir, path));
    struct sa_journal *journal = sa_journal_open(strstr(path, "sa-"), NULL);
    assert_int_equal(sa_journal_start(journal, NULL), 0);
    const char *const ids[] = {"sb-1", NULL, "sb-behind"};
    for (uint64_t i = 0; i < SA_COUNT(ids); i++) {
        const struct sa_store_sandbox sandbox = a_sandbox(ids[i], 1);
        const size_t bytes_of = ids[i] ? sa_table_encoded(&sa_table_sandboxes, &sandbox) : length;
        void *out = sa_journal_reserve(journal, bytes_of, 0);
        if (ids[i])
            sa_table_encode(&sa_table_sandboxes, &sandbox, out);
        else
            memcpy(out, bytes, length);
        sa_journal_put(journal, 1000000 + i,
                       ids[i] ? (uint32_t)sa_store_layout.version << 16 | SA_PUT_SANDBOX : tag,
                       bytes_of);
    }
    sa_journal_close(journal, false);
}

static void assert_ends_there(struct fixture *f)
{
    reopen(f);
    assert_int_equal(COUNT(f, "sandboxes WHERE id='sb-1'"), 1);
    assert_int_equal(COUNT(f, "sandboxes WHERE id='sb-behind'"), 0);
    assert_int_equal(COUNT(f, "keys"), 0);
    sql(f->dir, "DELETE FROM sandboxes; UPDATE journal SET seq=0");
}

static void foreign_entries(void **state)
{
    struct fixture *f = *state;
    const uint32_t ours = (uint32_t)sa_store_layout.version << 16;
    const struct sa_store_execution row = an_execution("ex-1", "sb-1", 1);
    char bytes[4096], zeroes[4096];
    const size_t length = sa_table_encoded(&sa_table_executions, &row);
    sa_table_encode(&sa_table_executions, &row, bytes);
    const struct {
        uint32_t tag;
        size_t length;
    } wrong[] = {
        {ours - 0x10000 + SA_PUT_EXECUTION, length}, /* another schema */
        {ours + 0x10000 + SA_PUT_EXECUTION, length},
        {ours + SA_STATEMENT_COUNT, length}, /* no such statement */
        {ours + 0xffff, length},
        {ours + SA_PRUNE_SANDBOXES, length}, /* not one of records */
        {ours + SA_PUT_SANDBOX, length},     /* of other records */
        {ours + SA_PUT_EXECUTION, length - 1},
        {ours + SA_PUT_EXECUTION, length + 1},
        {ours + SA_PUT_EXECUTION, 1},
    };
    for (size_t i = 0; i < SA_COUNT(wrong); i++) {
        forge(f, wrong[i].tag, bytes, wrong[i].length);
        assert_ends_there(f);
    }
    bytes[4] = '\0'; /* in the id */
    forge(f, ours + SA_PUT_EXECUTION, bytes, length);
    assert_ends_there(f);
    memset(bytes, 0, 4); /* no id at all: 4 bytes fewer, with its length */
    memmove(bytes + 4, bytes + 8, length - 8);
    forge(f, ours + SA_PUT_EXECUTION, bytes, length - 4);
    assert_ends_there(f);
    memset(zeroes, 0, sizeof zeroes);
    forge(f, ours + SA_ADD_KEY, zeroes, 5 * 4 + 4 * 8); /* never waits there */
    assert_ends_there(f);
}

/* Every cut of a sound record, every byte of it another one: read within its bounds (ASan). */
static void damaged_records(void **state)
{
    (void)state;
    const struct sa_store_sandbox sandbox = a_sandbox("sb-1", 1);
    const size_t length = sa_table_encoded(&sa_table_sandboxes, &sandbox);
    struct sa_store_sandbox out;
    for (size_t cut = 0; cut <= length; cut++) {
        unsigned char *bytes = malloc(length);
        sa_table_encode(&sa_table_sandboxes, &sandbox, bytes);
        bytes = realloc(bytes, cut ? cut : 1);
        struct sa_arena *arena = sa_arena_new();
        assert_int_equal(sa_table_decode(&sa_table_sandboxes, bytes, cut, arena, &out, NULL),
                         cut == length ? 0 : -1);
        for (size_t at = 0; at < cut; at++) {
            bytes[at] ^= 0xff;
            sa_table_decode(&sa_table_sandboxes, bytes, cut, arena, &out, NULL);
            bytes[at] ^= 0xff;
        }
        sa_arena_free(arena);
        free(bytes);
    }
}

static void somebody_elses_journal(void **state)
{
    struct fixture *f = *state;
    char path[128], now[128];
    reopen(f);
    killed_after(f, write_one);
    assert_true(journal_path(f->dir, path));
    assert_int_equal(chmod(path, 0666), 0);
    reopen(f);
    assert_int_equal(COUNT(f, "executions"), 0);
    assert_true(journal_path(f->dir, now));
    assert_string_not_equal(path, now);
    assert_int_equal(access(path, F_OK), 0); /* not ours to remove */
    assert_int_equal(unlink(path), 0);
    sql(f->dir, "UPDATE journal SET name='../../etc/passwd'");
    reopen(f);
    assert_true(journal_path(f->dir, now));
    assert_null(strstr(now, ".."));
}

/* ---- the end ---- */

static void an_orderly_end_leaves_none(void **state)
{
    struct fixture *f = *state;
    char path[128];
    fixture_open(f);
    assert_true(journal_path(f->dir, path));
    assert_int_equal(access(path, F_OK), 0);
    put_sandbox_and(f->store, "sb-1", "ex-1");
    fixture_close(f);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(COUNT(f, "executions WHERE status='exited'"), 1);
}

/* The database was locked to the end, or its disk full: the next one has it. */
static void what_could_not_be_written_at_the_end(void **state)
{
    struct fixture *f = *state;
    f->options.busy_timeout_ms = 20;
    reopen(f);
    fixture_open(f);
    sqlite3 *holder = hold_database(f->dir);
    put_sandbox_and(f->store, "sb-1", "ex-1");
    fixture_close(f);
    sqlite3_close(holder);
    assert_int_equal(COUNT(f, "executions"), 0);
    reopen(f);
    assert_int_equal(COUNT(f, "executions WHERE status='exited'"), 1);
}

/* Where it cannot be opened the journal stays for who can. */
static void a_start_that_fails(void **state)
{
    struct fixture *f = *state;
    struct sa_error err = {.code = SA_OK};
    f->options.busy_timeout_ms = 20;
    reopen(f);
    killed_after(f, write_one);
    sqlite3 *holder = hold_database(f->dir);
    assert_null(sa_store_open(f->dir, &f->loop, &f->options, &err));
    assert_int_equal(err.sys_errno, EBUSY);
    sqlite3_close(holder);
    reopen(f);
    assert_int_equal(COUNT(f, "executions WHERE status='exited'"), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_closed, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_kind),
        CASE(the_last_counts),
        CASE(what_is_committed_is_not_applied_again),
        CASE(a_later_one_stays),
        CASE(a_bad_write_fails_alone),
        CASE(as_much_as_the_queue),
        CASE(foreign_entries),
        cmocka_unit_test(damaged_records),
        CASE(somebody_elses_journal),
        CASE(an_orderly_end_leaves_none),
        CASE(what_could_not_be_written_at_the_end),
        CASE(a_start_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
