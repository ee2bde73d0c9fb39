/*
 * The embedded object store: in memory, made durable in SQLite.
 *
 * A write is checked and applied in memory at once, gets the next resourceVersion, and goes to a
 * writer thread that commits many in one transaction (WAL, synchronous=NORMAL: what was answered
 * survives kill -9 of the process; a power cut may lose the last moments, never consistency). Its
 * answer, and reads and watch events that would show it, come after the commit. When a commit
 * fails, what was applied since is taken back and answered with SA_EUNAVAILABLE.
 *
 * The last `history` changes are kept for watches; one that has fallen further behind ends with
 * SA_EEXPIRED. Watches read from this ring at their own pace: a slow one costs nothing.
 *
 * The garbage collector deletes what has owners and none that exists any more.
 */
#ifndef SA_OBJECTS_EMBEDDED_H
#define SA_OBJECTS_EMBEDDED_H

#include "objects/objects.h"

#include <uv.h>

struct sa_embedded_options {
    uv_loop_t *loop;
    const char *data_dir;               /* holds objects.db; NULL: memory only */
    const struct sa_kind *const *kinds; /* NULL at the end */
    size_t history;                     /* changes kept; 0: 4096 (at most about 64 MiB) */
    size_t objects_max;                 /* of all kinds; 0: 200000; more creates: SA_EQUOTA */
    int64_t (*wall_ms)(void);           /* the clock, for tests */
};
/* Blocks: opens, locks, migrates and reads the file. Errors as sa_store_open(). */
struct sa_objects *sa_embedded_open(const struct sa_embedded_options *options,
                                    struct sa_error *err);
/* Commits what is under way (blocks), calls what is due from the loop, ends watches, then calls
 * `closed`. Informers and elections on it are stopped before. */
void sa_embedded_close(struct sa_objects *objects, void (*closed)(void *user), void *user);

struct sa_embedded_stats {
    uint64_t writes, groups, conflicts, expired_watches;
    size_t objects, watches, uncommitted;
};
void sa_embedded_stats(const struct sa_objects *objects, struct sa_embedded_stats *stats);

#endif
