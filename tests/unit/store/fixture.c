#include "fixture.h"

#include <dirent.h>
#include <sqlite3.h>
#include <sys/stat.h>

int64_t test_clock_ms = 1700000000000;

int64_t test_clock(void)
{
    return test_clock_ms;
}

int fixture_setup_closed(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/sa-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    test_clock_ms = 1700000000000;
    f->options.wall_ms = test_clock;
    *state = f;
    return 0;
}

int fixture_setup(void **state)
{
    fixture_setup_closed(state);
    fixture_open(*state);
    return 0;
}

void fixture_open(struct fixture *f)
{
    struct sa_error err = {.code = SA_OK};
    f->store = sa_store_open(f->dir, &f->loop, &f->options, &err);
    if (!f->store)
        fail_msg("cannot open: %s", err.message);
}

static void on_closed(void *user)
{
    ++*(int *)user;
}

void fixture_close(struct fixture *f)
{
    int closed = 0;
    sa_store_close(f->store, on_closed, &closed);
    f->store = NULL;
    assert_int_equal(closed, 0); /* never from inside the call */
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
}

void fixture_run(struct fixture *f)
{
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static void remove_dir(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (remove(path) < 0)
            remove_dir(path);
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

/* Of a store that a test killed and did not open again. */
static void remove_journal(const char *dir)
{
    char path[128];
    if (journal_path(dir, path))
        unlink(path);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->store)
        fixture_close(f);
    remove_journal(f->dir);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    remove_dir(f->dir);
    free(f);
    return 0;
}

void outcome_done(void *user, const struct sa_error *err)
{
    struct outcome *o = user;
    o->calls++;
    if (err) {
        o->failures++;
        o->err = *err;
    }
}

struct sa_store_sandbox a_sandbox(const char *id, int64_t created_ms)
{
    return (struct sa_store_sandbox){.id = id,
                                     .owner = "key-a",
                                     .user = "alice",
                                     .runtime = "python",
                                     .phase = "Running",
                                     .spec = "{\"runtime\":\"python\"}",
                                     .labels = "{\"team\":\"red\",\"env\":\"test\"}",
                                     .created_ms = created_ms,
                                     .expires_ms = created_ms + 60000};
}

struct sa_store_execution an_execution(const char *id, const char *sandbox, int64_t started_ms)
{
    return (struct sa_store_execution){.id = id,
                                       .sandbox = sandbox,
                                       .kind = "python",
                                       .status = "exited",
                                       .command = "print(1)",
                                       .started_ms = started_ms,
                                       .duration_us = 1234};
}

void put_sandbox(struct fixture *f, const struct sa_store_sandbox *sandbox)
{
    struct outcome o = {0};
    assert_int_equal(sa_store_put_sandbox(f->store, sandbox, outcome_done, &o, NULL), 0);
    assert_int_equal(o.calls, 0);
    fixture_run(f);
    assert_int_equal(o.calls, 1);
    assert_int_equal(o.failures, 0);
}

static sqlite3 *database(const char *dir)
{
    char path[512];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/secureagent.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

void sql(const char *dir, const char *text)
{
    sqlite3 *db = database(dir);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    sqlite3_close(db);
}

int64_t sql_number(const char *dir, const char *text)
{
    sqlite3 *db = database(dir);
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return number;
}

bool journal_path(const char *dir, char path[128])
{
    char file[512];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    snprintf(file, sizeof file, "%s/secureagent.db", dir);
    struct stat st;
    if (stat(file, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    bool found = sqlite3_open_v2(file, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
                 sqlite3_prepare_v2(db, "SELECT name FROM journal WHERE name<>''", -1, &stmt,
                                    NULL) == SQLITE_OK &&
                 sqlite3_step(stmt) == SQLITE_ROW;
    if (found)
        snprintf(path, 128, "/dev/shm/secureagent-%s", sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return found;
}

int count_descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}
