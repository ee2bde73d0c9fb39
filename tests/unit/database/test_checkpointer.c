/* Checkpoints beside the commits: they happen, lose nothing, and keep the log from growing. */
#include "database/checkpointer.h"
#include "database/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGE = 4096, ROWS = 64, WAIT_S = 20 };

static const char *const migrations[] = {
    "CREATE TABLE t(k INTEGER PRIMARY KEY, v BLOB NOT NULL) STRICT;"};
static const struct sa_database_layout layout = {
    .name = "test", .application_id = 0x53415445, .migrations = migrations, .version = 1};

struct fixture {
    char dir[64], db_path[96], log_path[96];
    struct sa_database db;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sa_error err = {.message = ""};
    snprintf(f->dir, sizeof f->dir, "/tmp/sa-database-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->db_path, sizeof f->db_path, "%s/test.db", f->dir);
    snprintf(f->log_path, sizeof f->log_path, "%s/test.db-wal", f->dir);
    if (sa_database_open(&f->db, f->dir, &layout, 1000, &err) < 0)
        fail_msg("%s", err.message);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char lock[96];
    sa_database_close(&f->db);
    snprintf(lock, sizeof lock, "%s/test.lock", f->dir);
    assert_int_equal(unlink(f->db_path), 0);
    unlink(lock);
    assert_int_equal(rmdir(f->dir), 0); /* the log is gone, too */
    free(f);
    return 0;
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* A commit of somewhat more than a page. */
static void commit(struct fixture *f, int number)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "INSERT INTO t VALUES(%d, zeroblob(3000)) ON CONFLICT(k) DO UPDATE SET"
             " v = zeroblob(%d)",
             number % ROWS, 3000 + number % 100);
    struct sa_error err;
    if (sa_database_exec(f->db.writer, sql, &err) < 0)
        fail_msg("commit %d: %s", number, err.message);
}

static int64_t count(struct fixture *f)
{
    sqlite3_stmt *stmt = NULL;
    struct sa_error err;
    assert_non_null(
        sa_database_prepare(f->db.writer, &stmt, "SELECT count(*), sum(length(v)) FROM t", &err));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const int64_t rows = sqlite3_column_int64(stmt, 0);
    assert_true(sqlite3_column_int64(stmt, 1) >= rows * 3000);
    sqlite3_finalize(stmt);
    return rows;
}

/* By the thread: nothing else writes to the file before it is closed. */
static void it_happens_beside_commits(void **state)
{
    struct fixture *f = *state;
    const int64_t before = size_of(f->db_path);
    for (int i = 0; i < 2 * SA_CHECKPOINT_PAGES; i++)
        commit(f, i);
    const time_t end = time(NULL) + WAIT_S;
    while (size_of(f->db_path) <= before + ROWS / 2 * PAGE && time(NULL) < end)
        usleep(1000);
    assert_true(size_of(f->db_path) > before + ROWS / 2 * PAGE);
    assert_int_equal(count(f), ROWS);
}

static void the_log_does_not_grow_for_ever(void **state)
{
    struct fixture *f = *state;
    int64_t most = 0;
    for (int i = 0; i < 3 * SA_CHECKPOINT_BEHIND; i++) {
        commit(f, i);
        if (i % 256 == 0 && size_of(f->log_path) > most)
            most = size_of(f->log_path);
    }
    assert_true(most <= 2 * (int64_t)SA_CHECKPOINT_BEHIND * PAGE);
    assert_int_equal(count(f), ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_happens_beside_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(the_log_does_not_grow_for_ever, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
