/*
 * The file: the data directory, its lock, permissions, the connections and the migrations.
 *
 * SQLite's own locks let several processes share a database, but two control planes must not:
 * each would close the sandboxes of the other. Hence a lock file held by flock(2), which the
 * kernel drops whatever way the process ends.
 */
#include "database/database.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fdio.h"
#include "database/checkpointer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- errors ---- */

static int disk_full(const char *path, int sys_errno, const char *what, struct sa_error *err)
{
    sa_error_at(err, SA_EUNAVAILABLE, path, "%s %s: the disk is full (%s); free some space", what,
                path, strerror(sys_errno));
    if (err)
        err->sys_errno = sys_errno;
    return -1;
}

static int failed(struct sa_error *err, enum sa_code code, int sys_errno, const char *path,
                  const char *what, const char *why)
{
    sa_error_at(err, code, path, "%s %s: %s", what, path, why);
    if (err)
        err->sys_errno = sys_errno;
    return -1;
}

static int io_error(sqlite3 *handle, const char *path, const char *what, struct sa_error *err)
{
    int sys_errno = sqlite3_system_errno(handle);
    if (sys_errno == ENOSPC || sys_errno == EDQUOT || sys_errno == EFBIG)
        return disk_full(path, sys_errno, what, err);
    if (sys_errno == EISDIR || sys_errno == ENOTDIR || sys_errno == ELOOP)
        return failed(err, SA_EINVALID, sys_errno, path, what, strerror(sys_errno));
    return failed(err, SA_EUNAVAILABLE, sys_errno ? sys_errno : EIO, path, what,
                  sys_errno ? strerror(sys_errno) : sqlite3_errmsg(handle));
}

int sa_database_error(sqlite3 *handle, int rc, const char *what, struct sa_error *err)
{
    const char *path = sqlite3_db_filename(handle, "main");
    if (!path)
        path = "the database";
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return failed(err, SA_EUNAVAILABLE, EBUSY, path, what,
                      "locked by another program; close what has it open");
    case SQLITE_FULL:
        return disk_full(path, ENOSPC, what, err);
    case SQLITE_READONLY:
        return failed(err, SA_EUNAVAILABLE, EROFS, path, what,
                      "read-only; make the data directory and its files writable");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return io_error(handle, path, what, err);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return failed(err, SA_EINVALID, EBADMSG, path, what,
                      rc == SQLITE_NOTADB
                          ? "the file is not a database; move it away or restore a copy"
                          : "the database is damaged; move it away or restore a copy");
    case SQLITE_CONSTRAINT:
        if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
            return sa_error_at(err, SA_ENOTFOUND, "sandbox", "no such sandbox in the store");
        if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
            return sa_error_set(err, SA_ECONFLICT, "%s: %s", what, sqlite3_errmsg(handle));
        return sa_error_set(err, SA_EINVALID, "%s: %s", what, sqlite3_errmsg(handle));
    case SQLITE_INTERRUPT:
        return sa_error_set(err, SA_ETIMEOUT, "%s: took too long; narrow the query", what);
    default:
        return failed(err, SA_EINTERNAL, 0, path, what, sqlite3_errmsg(handle));
    }
}

/* ---- statements ---- */

int sa_database_exec(sqlite3 *handle, const char *sql, struct sa_error *err)
{
    int rc = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return 0;
    return sa_database_error(handle, sqlite3_extended_errcode(handle), "cannot use", err);
}

sqlite3_stmt *sa_database_prepare(sqlite3 *handle, sqlite3_stmt **slot, const char *sql,
                                  struct sa_error *err)
{
    if (!*slot &&
        sqlite3_prepare_v3(handle, sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
        sa_database_error(handle, sqlite3_extended_errcode(handle), "cannot use", err);
    return *slot;
}

static int single_number(sqlite3 *handle, const char *sql, int64_t *out, struct sa_error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (!sa_database_prepare(handle, &stmt, sql, err))
        return -1;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    else
        sa_database_error(handle, sqlite3_extended_errcode(handle), "cannot read", err);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : -1;
}

/* ---- the directory and its lock ---- */

static int path_error(struct sa_error *err, const char *path, const char *what, int sys_errno)
{
    switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return disk_full(path, sys_errno, what, err);
    case EACCES:
    case EPERM:
    case EROFS:
        return failed(err, SA_EUNAVAILABLE, sys_errno, path, what,
                      sys_errno == EROFS ? "read-only file system; choose a writable data directory"
                                         : "permission denied; make it writable for this user");
    case ENOENT:
        return failed(err, SA_EINVALID, sys_errno, path, what,
                      "no such directory; create the one above it first");
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
        return failed(err, SA_EINVALID, sys_errno, path, what,
                      sys_errno == EISDIR    ? "a directory is in the place of the file"
                      : sys_errno == ENOTDIR ? "not a directory"
                                             : "a symbolic link is in the place of the file");
    default:
        return failed(err, SA_EUNAVAILABLE, sys_errno, path, what, strerror(sys_errno));
    }
}

static int say_who_holds(int lock_fd, const char *data_dir, struct sa_error *err)
{
    char holder[32] = "";
    ssize_t n = pread(lock_fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? (size_t)n : 0] = '\0';
    long pid = strtol(holder, NULL, 10);
    char who[64] = "another process";
    if (pid > 0)
        snprintf(who, sizeof who, "process %ld", pid);
    sa_error_at(err, SA_ECONFLICT, data_dir,
                "%s is in use by %s; stop that control plane, or choose another data directory",
                data_dir, who);
    if (err)
        err->sys_errno = EWOULDBLOCK;
    return -1;
}

static int take_lock(const char *data_dir, const char *name, struct sa_error *err)
{
    sa_autofree char *path = sa_printf("%s/%s.lock", data_dir, name);
    sa_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return path_error(err, path, "cannot open", errno);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return say_who_holds(fd, data_dir, err);
        return path_error(err, path, "cannot lock", errno);
    }
    /* The pid is a courtesy to whoever finds the directory taken; the lock is what counts, so a
     * full disk is left for the database to report. */
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) < 0 && errno != ENOSPC)
        return path_error(err, path, "cannot write", errno);
    return sa_steal_fd(&fd);
}

/* Make the file ourselves, so that it (and with it SQLite's -wal and -shm) has mode 0600. */
static int prepare_file(const char *path, struct sa_error *err)
{
    sa_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat st;
    if (fd < 0)
        return path_error(err, path, "cannot open", errno);
    if (fstat(fd, &st) < 0)
        return path_error(err, path, "cannot look at", errno);
    if (!S_ISREG(st.st_mode))
        return failed(err, SA_EINVALID, EINVAL, path, "cannot use", "not a regular file");
    if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
        return path_error(err, path, "cannot protect (chmod 0600)", errno);
    return 0;
}

/* ---- connections ---- */

static int connect_to(const char *path, int flags, int busy_timeout_ms, sqlite3 **out,
                      struct sa_error *err)
{
    static const char settings[] = "PRAGMA foreign_keys=ON; PRAGMA synchronous=NORMAL;"
                                   "PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"
                                   "PRAGMA cache_size=-1024; PRAGMA journal_size_limit=16777216;";
    int rc = sqlite3_open_v2(
        path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
        NULL);
    if (!*out)
        return sa_error_set(err, SA_EINTERNAL, "out of memory");
    if (rc != SQLITE_OK)
        return sa_database_error(*out, rc, "cannot open", err);
    sqlite3_busy_timeout(*out, busy_timeout_ms);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return sa_database_exec(*out, settings, err);
}

/* An empty file, or one of ours; never somebody else's database. */
static int check_ours(sqlite3 *handle, const struct sa_database_layout *layout, int64_t *version,
                      struct sa_error *err)
{
    const char *path = sqlite3_db_filename(handle, "main");
    int64_t application, objects;
    if (single_number(handle, "PRAGMA application_id", &application, err) < 0 ||
        single_number(handle, "PRAGMA user_version", version, err) < 0 ||
        single_number(handle, "SELECT count(*) FROM sqlite_schema", &objects, err) < 0)
        return -1;
    if (application != layout->application_id && (application != 0 || objects > 0 || *version != 0))
        return failed(err, SA_EINVALID, EBADMSG, path, "cannot use",
                      "it is the database of another program; move it away");
    if (*version > layout->version) {
        sa_error_at(err, SA_ECONFLICT, path,
                    "%s was written by a newer version (schema %lld, this program knows %d); "
                    "upgrade, or choose another data directory",
                    path, (long long)*version, layout->version);
        if (err)
            err->sys_errno = ENOTSUP;
        return -1;
    }
    return 0;
}

static int migrate(sqlite3 *handle, const struct sa_database_layout *layout, struct sa_error *err)
{
    int64_t version = 0;
    if (check_ours(handle, layout, &version, err) < 0)
        return -1;
    for (int n = (int)version; n < layout->version; n++) {
        sa_autofree char *sql = sa_printf(
            "BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
            layout->migrations[n], layout->application_id, n + 1);
        if (sa_database_exec(handle, sql, err) == 0)
            continue;
        if (!sqlite3_get_autocommit(handle))
            sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
        return sa_error_wrap(err, "migration to schema %d", n + 1);
    }
    return 0;
}

/* PRAGMA journal_mode reports a refusal as its result, not as an error. */
static int use_wal(sqlite3 *handle, struct sa_error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (!sa_database_prepare(handle, &stmt, "PRAGMA journal_mode=WAL", err))
        return -1;
    int rc = sqlite3_step(stmt);
    const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    int result = 0;
    if (rc != SQLITE_ROW)
        result = sa_database_error(handle, sqlite3_extended_errcode(handle), "cannot use", err);
    else if (!mode || strcmp(mode, "wal") != 0)
        result = sa_error_at(err, SA_EUNAVAILABLE, sqlite3_db_filename(handle, "main"),
                             "the file system cannot carry a write-ahead log; choose a local one");
    sqlite3_finalize(stmt);
    return result;
}

static int start_checkpoints(struct sa_database *db, int busy_timeout_ms, struct sa_error *err)
{
    sqlite3 *own = NULL;
    if (connect_to(db->path, SQLITE_OPEN_READWRITE, busy_timeout_ms, &own, err) < 0) {
        sqlite3_close(own);
        return -1;
    }
    db->checkpointer = sa_checkpointer_start(db->writer, own, err);
    return db->checkpointer ? 0 : -1;
}

static int open_parts(struct sa_database *db, const char *data_dir,
                      const struct sa_database_layout *layout, int busy_timeout_ms,
                      struct sa_error *err)
{
    if (mkdir(data_dir, 0700) < 0 && errno != EEXIST)
        return path_error(err, data_dir, "cannot make", errno);
    /* SQLITE_OPEN_NOFOLLOW refuses links anywhere in the path; those above the file are fine. */
    sa_autofree char *real = realpath(data_dir, NULL);
    if (!real)
        return path_error(err, data_dir, "cannot use", errno);
    struct stat st;
    if (stat(real, &st) == 0 && !S_ISDIR(st.st_mode))
        return path_error(err, data_dir, "cannot use", ENOTDIR);
    db->lock_fd = take_lock(real, layout->name, err);
    if (db->lock_fd < 0)
        return -1;
    db->path = sa_printf("%s/%s.db", real, layout->name);
    if (prepare_file(db->path, err) < 0 ||
        connect_to(db->path, SQLITE_OPEN_READWRITE, busy_timeout_ms, &db->writer, err) < 0 ||
        use_wal(db->writer, err) < 0 || migrate(db->writer, layout, err) < 0 ||
        start_checkpoints(db, busy_timeout_ms, err) < 0)
        return -1;
    if (!layout->reader)
        return 0;
    return connect_to(db->path, SQLITE_OPEN_READONLY, busy_timeout_ms, &db->reader, err);
}

int sa_database_open(struct sa_database *db, const char *data_dir,
                     const struct sa_database_layout *layout, int busy_timeout_ms,
                     struct sa_error *err)
{
    *db = (struct sa_database){.lock_fd = -1};
    if (open_parts(db, data_dir, layout, busy_timeout_ms, err) == 0)
        return 0;
    sa_database_close(db);
    return -1;
}

static int run_alone(struct sa_database *db, sqlite3_stmt **slot, const char *sql,
                     struct sa_error *err)
{
    sqlite3_stmt *stmt = sa_database_prepare(db->writer, slot, sql, err);
    if (!stmt)
        return -1;
    sqlite3_step(stmt);
    if (sqlite3_reset(stmt) == SQLITE_OK)
        return 0;
    return sa_database_error(db->writer, sqlite3_extended_errcode(db->writer), "cannot use", err);
}

int sa_database_begin(struct sa_database *db, struct sa_error *err)
{
    return run_alone(db, &db->begin, "BEGIN IMMEDIATE", err);
}

int sa_database_commit(struct sa_database *db, struct sa_error *err)
{
    return run_alone(db, &db->commit, "COMMIT", err);
}

void sa_database_close(struct sa_database *db)
{
    /* The last connection to close checkpoints and removes the write-ahead log; a read-only one
     * cannot, so it goes first. */
    sa_checkpointer_stop(db->checkpointer);
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    if (db->reader)
        sqlite3_close(db->reader);
    if (db->writer) {
        sqlite3_busy_timeout(db->writer, 100);
        sqlite3_close(db->writer);
    }
    if (db->lock_fd >= 0)
        close(db->lock_fd);
    free(db->path);
    *db = (struct sa_database){.lock_fd = -1};
}
