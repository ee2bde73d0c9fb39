/*
 * A SQLite database in a data directory: lock, permissions, connections, migrations. Blocks: for
 * the start, and for threads of their own.
 */
#ifndef SA_DATABASE_DATABASE_H
#define SA_DATABASE_DATABASE_H

#include "base/error.h"

#include <sqlite3.h>
#include <stdbool.h>

struct sa_database_layout {
    const char *name;              /* NAME.db, NAME.lock */
    int application_id;            /* PRAGMA application_id: nobody else's database is touched */
    const char *const *migrations; /* number n brings version n to n + 1 */
    int version;                   /* how many there are */
    bool reader;                   /* a second, read-only connection */
};

struct sa_database {
    char *path;
    int lock_fd;
    sqlite3 *writer, *reader;
    sqlite3_stmt *begin, *commit; /* of the writer */
    struct sa_checkpointer *checkpointer;
};

/* Open or create it; errors as of sa_store_open(). DATA_DIR is made (0700) where its parent
 * exists, the file has mode 0600, the journal is a write-ahead log with synchronous=NORMAL.
 * A thread of its own brings that into the file (checkpointer.h). */
int sa_database_open(struct sa_database *db, const char *data_dir,
                     const struct sa_database_layout *layout, int busy_timeout_ms,
                     struct sa_error *err);
void sa_database_close(struct sa_database *db); /* checkpoints; zeroes are allowed */
/* What went wrong last on `handle`, for a person. `what`: "cannot write". Returns -1. */
int sa_database_error(sqlite3 *handle, int rc, const char *what, struct sa_error *err);
/* A transaction of the writer that holds the lock for writing from its beginning. */
int sa_database_begin(struct sa_database *db, struct sa_error *err);
int sa_database_commit(struct sa_database *db, struct sa_error *err);
/* Run SQL that returns no rows. */
int sa_database_exec(sqlite3 *handle, const char *sql, struct sa_error *err);
/* The prepared statement in *slot, made from `sql` the first time; NULL on failure. */
sqlite3_stmt *sa_database_prepare(sqlite3 *handle, sqlite3_stmt **slot, const char *sql,
                                  struct sa_error *err);

#endif
