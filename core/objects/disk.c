/*
 * The objects on disk, and the thread that writes: it takes whatever has gathered, commits it in
 * one transaction, and says up to which version all is safe. While it commits, the next group
 * gathers by itself.
 *
 * Versions are reserved in the file, many at a time: what is written is one row for each object,
 * and whoever opens the file after a crash goes on behind all that may have been given out.
 *
 * A group that fails is rolled back and everything behind it is dropped, since the loop takes back
 * what it had built on: the loop then begins a new epoch, and older writes that are still queued
 * are ignored.
 */
#include "objects/embedded_private.h"

#include "database/database.h"

#include <pthread.h>
#include <string.h>

enum { GROUP_MAX = 2048, VERSIONS_RESERVED = 4096 };

static const char *const migrations[] = {
    "CREATE TABLE objects(kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL,"
    " PRIMARY KEY(kind, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE version(one INTEGER PRIMARY KEY CHECK(one = 1), number INTEGER NOT NULL) STRICT;"
    "INSERT INTO version VALUES(1, 0);",
    /* An object in one page of a table with rowids: WITHOUT ROWID it has overflow pages from 1 KB
     * on, and each write changed five pages. */
    "CREATE TABLE rows(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,"
    " json TEXT NOT NULL, UNIQUE(kind, key)) STRICT;"
    "INSERT INTO rows(kind, key, json) SELECT kind, key, json FROM objects;"
    "DROP TABLE objects; ALTER TABLE rows RENAME TO objects;"};
static const struct sa_database_layout layout = {
    .name = "objects",
    .application_id = 0x53414f42, /* "SAOB" */
    .migrations = migrations,
    .version = (int)SA_COUNT(migrations),
};

enum statement { PUT, DROP, SET_VERSION, STATEMENTS };
static const char *const texts[STATEMENTS] = {
    [PUT] = ("INSERT INTO objects(kind, key, json) VALUES(?1, ?2, ?3)"
             " ON CONFLICT(kind, key) DO UPDATE SET json = excluded.json"),
    [DROP] = "DELETE FROM objects WHERE kind = ?1 AND key = ?2",
    [SET_VERSION] = "UPDATE version SET number = ?1",
};

struct sa_disk {
    struct sa_database db;
    sqlite3_stmt *statements[STATEMENTS];
    pthread_t thread;
    uint64_t reserved; /* versions up to it may be given out, says the file; the thread's */
    bool started;
    uv_async_t async;
    void (*committed)(void *user, uint64_t version, const struct sa_error *err);
    void *user;
    void (*closed)(void *user);
    void *closed_user;
    pthread_mutex_t lock; /* for all below */
    pthread_cond_t work;
    struct sa_disk_write *first, *last;
    uint64_t epoch, failed_epoch; /* now; the last one that failed */
    uint64_t done_version, groups;
    bool stop, failed;
    struct sa_error error;
};

void sa_disk_write_free(struct sa_disk_write *write)
{
    free(write->key);
    free(write->json);
    free(write);
}

/* ---- the thread ---- */

static int step(struct sa_disk *disk, sqlite3_stmt *stmt, struct sa_error *err)
{
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    if (rc == SQLITE_DONE)
        return 0;
    return sa_database_error(disk->db.writer, sqlite3_extended_errcode(disk->db.writer),
                             "cannot write", err);
}

static int apply(struct sa_disk *disk, const struct sa_disk_write *write, struct sa_error *err)
{
    enum statement which = write->json ? PUT : DROP;
    sqlite3_stmt *stmt =
        sa_database_prepare(disk->db.writer, &disk->statements[which], texts[which], err);
    if (!stmt)
        return -1;
    sqlite3_bind_text(stmt, 1, write->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, write->key, -1, SQLITE_STATIC);
    if (write->json)
        sqlite3_bind_text64(stmt, 3, write->json, write->length, SQLITE_STATIC, SQLITE_UTF8);
    return step(disk, stmt, err);
}

static int set_version(struct sa_disk *disk, uint64_t version, struct sa_error *err)
{
    sqlite3_stmt *stmt = sa_database_prepare(disk->db.writer, &disk->statements[SET_VERSION],
                                             texts[SET_VERSION], err);
    if (!stmt)
        return -1;
    sqlite3_bind_int64(stmt, 1, (sqlite3_int64)version);
    return step(disk, stmt, err);
}

static int apply_all(struct sa_disk *disk, const struct sa_disk_write *group, uint64_t *version,
                     struct sa_error *err)
{
    if (sa_database_begin(&disk->db, err) < 0)
        return -1;
    for (const struct sa_disk_write *w = group; w; w = w->next) {
        if (apply(disk, w, err) < 0)
            return -1;
        *version = w->version;
    }
    const uint64_t next = *version + VERSIONS_RESERVED;
    const bool more = *version > disk->reserved;
    if ((more && set_version(disk, next, err) < 0) || sa_database_commit(&disk->db, err) < 0)
        return -1;
    if (more)
        disk->reserved = next;
    return 0;
}

static int write_group(struct sa_disk *disk, const struct sa_disk_write *group, uint64_t *version,
                       struct sa_error *err)
{
    if (apply_all(disk, group, version, err) == 0)
        return 0;
    if (!sqlite3_get_autocommit(disk->db.writer))
        sqlite3_exec(disk->db.writer, "ROLLBACK", NULL, NULL, NULL);
    err->code = SA_EUNAVAILABLE; /* whatever it was, the request did nothing wrong */
    return -1;
}

static void free_group(struct sa_disk_write *group)
{
    while (group) {
        struct sa_disk_write *next = group->next;
        sa_disk_write_free(group);
        group = next;
    }
}

/* What is queued of this epoch, cut off the queue (lock held). NULL: nothing, and an end. */
static struct sa_disk_write *take_group(struct sa_disk *disk)
{
    struct sa_disk_write *group = NULL, **at = &group;
    for (size_t n = 0; disk->first && n < GROUP_MAX;) {
        struct sa_disk_write *write = disk->first;
        disk->first = write->next;
        write->next = NULL;
        if (write->epoch == disk->failed_epoch) {
            sa_disk_write_free(write);
            continue;
        }
        *at = write;
        at = &write->next;
        n++;
    }
    if (!disk->first)
        disk->last = NULL;
    return group;
}

static void *run(void *argument)
{
    struct sa_disk *disk = argument;
    pthread_mutex_lock(&disk->lock);
    for (;;) {
        struct sa_disk_write *group = take_group(disk);
        if (!group && disk->stop)
            break;
        if (!group) {
            pthread_cond_wait(&disk->work, &disk->lock);
            continue;
        }
        uint64_t version = 0, epoch = group->epoch;
        struct sa_error error;
        pthread_mutex_unlock(&disk->lock);
        int rc = write_group(disk, group, &version, &error);
        free_group(group);
        pthread_mutex_lock(&disk->lock);
        disk->groups++;
        if (rc == 0) {
            disk->done_version = version;
        } else {
            disk->failed = true;
            disk->failed_epoch = epoch;
            disk->error = error;
        }
        uv_async_send(&disk->async);
    }
    const uint64_t version = disk->done_version;
    pthread_mutex_unlock(&disk->lock);
    if (disk->reserved > version) /* an end in order leaves no gap; without it, there is one */
        set_version(disk, version, NULL);
    return NULL;
}

/* ---- the loop's side ---- */

static void on_async(uv_async_t *async)
{
    struct sa_disk *disk = async->data;
    pthread_mutex_lock(&disk->lock);
    uint64_t version = disk->done_version;
    bool failed = disk->failed;
    struct sa_error error = disk->error;
    disk->failed = false;
    pthread_mutex_unlock(&disk->lock);
    disk->committed(disk->user, version, NULL);
    if (failed)
        disk->committed(disk->user, version, &error);
}

void sa_disk_put(struct sa_disk *disk, struct sa_disk_write *write)
{
    pthread_mutex_lock(&disk->lock);
    write->epoch = disk->epoch;
    if (disk->last)
        disk->last->next = write;
    else
        disk->first = write;
    disk->last = write;
    pthread_mutex_unlock(&disk->lock);
    pthread_cond_signal(&disk->work); /* whoever wakes finds the lock free */
}

void sa_disk_next_epoch(struct sa_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    disk->epoch++;
    pthread_mutex_unlock(&disk->lock);
}

uint64_t sa_disk_groups(const struct sa_disk *disk)
{
    struct sa_disk *locked = (struct sa_disk *)(uintptr_t)disk;
    pthread_mutex_lock(&locked->lock);
    uint64_t groups = disk->groups;
    pthread_mutex_unlock(&locked->lock);
    return groups;
}

/* ---- opening and closing ---- */

static int read_objects(struct sa_disk *disk, sa_disk_found *found, void *user,
                        struct sa_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc, result = 0;
    if (!sa_database_prepare(disk->db.writer, &stmt, "SELECT kind, key, json FROM objects", err))
        return -1;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && result == 0)
        result = found(user, (const char *)sqlite3_column_text(stmt, 0),
                       (const char *)sqlite3_column_text(stmt, 1),
                       (const char *)sqlite3_column_text(stmt, 2),
                       (size_t)sqlite3_column_bytes(stmt, 2), err);
    if (result == 0 && rc != SQLITE_DONE)
        result = sa_database_error(disk->db.writer, sqlite3_extended_errcode(disk->db.writer),
                                   "cannot read", err);
    sqlite3_finalize(stmt);
    return result;
}

static int read_version(struct sa_disk *disk, uint64_t *version, struct sa_error *err)
{
    sqlite3_stmt *stmt = NULL;
    if (!sa_database_prepare(disk->db.writer, &stmt, "SELECT number FROM version", err))
        return -1;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *version = (uint64_t)sqlite3_column_int64(stmt, 0);
    else
        sa_database_error(disk->db.writer, sqlite3_extended_errcode(disk->db.writer), "cannot read",
                          err);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : -1;
}

static void disk_free(struct sa_disk *disk)
{
    for (size_t i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(disk->statements[i]);
    sa_database_close(&disk->db);
    free_group(disk->first);
    pthread_mutex_destroy(&disk->lock);
    pthread_cond_destroy(&disk->work);
    free(disk);
}

struct sa_disk *sa_disk_open(const char *data_dir, sa_disk_found *found, void *user,
                             uint64_t *version, struct sa_error *err)
{
    struct sa_disk *disk = sa_alloc(sizeof *disk);
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->work, NULL);
    disk->epoch = 1;
    if (sa_database_open(&disk->db, data_dir, &layout, 2000, err) == 0 &&
        read_version(disk, version, err) == 0 && read_objects(disk, found, user, err) == 0) {
        disk->done_version = disk->reserved = *version;
        return disk;
    }
    disk_free(disk);
    return NULL;
}

int sa_disk_start(struct sa_disk *disk, uv_loop_t *loop,
                  void (*committed)(void *user, uint64_t version, const struct sa_error *err),
                  void *user, struct sa_error *err)
{
    disk->committed = committed;
    disk->user = user;
    uv_async_init(loop, &disk->async, on_async);
    disk->async.data = disk;
    int rc = pthread_create(&disk->thread, NULL, run, disk);
    if (rc)
        return sa_error_sys(err, SA_EUNAVAILABLE, rc, "cannot start the writing thread");
    disk->started = true;
    return 0;
}

static void on_async_closed(uv_handle_t *handle)
{
    struct sa_disk *disk = handle->data;
    void (*closed)(void *) = disk->closed;
    void *user = disk->closed_user;
    disk_free(disk);
    if (closed)
        closed(user);
}

void sa_disk_close(struct sa_disk *disk, void (*closed)(void *user), void *user)
{
    disk->closed = closed;
    disk->closed_user = user;
    if (disk->started) {
        pthread_mutex_lock(&disk->lock);
        disk->stop = true;
        pthread_cond_signal(&disk->work);
        pthread_mutex_unlock(&disk->lock);
        pthread_join(disk->thread, NULL);
        on_async(&disk->async);
    }
    uv_close((uv_handle_t *)&disk->async, on_async_closed);
}
