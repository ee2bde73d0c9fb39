/*
 * Brings what was committed from the write-ahead log into the database, in a thread and over a
 * connection of its own, so that no commit waits for the disk. (SQLite's automatic checkpoint is
 * part of a commit, and syncs twice: https://sqlite.org/wal.html#ckpt.)
 */
#ifndef SA_DATABASE_CHECKPOINTER_H
#define SA_DATABASE_CHECKPOINTER_H

#include "base/error.h"

#include <sqlite3.h>

enum {
    SA_CHECKPOINT_PAGES = 1000,  /* of the log, after which the thread is woken */
    SA_CHECKPOINT_BEHIND = 16384 /* after which commits do wait: the log stays below 64 MiB or so */
};

struct sa_checkpointer;
/* For the database that `writer` is connected to; takes over its hook for commits (and the
 * connection `own`, which is closed on failure, too). NULL: SA_EUNAVAILABLE. */
struct sa_checkpointer *sa_checkpointer_start(sqlite3 *writer, sqlite3 *own, struct sa_error *err);
/* Waits for a checkpoint that is under way. NULL is allowed. No commit may be under way. */
void sa_checkpointer_stop(struct sa_checkpointer *checkpointer);

#endif
