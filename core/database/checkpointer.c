#include "database/checkpointer.h"

#include "base/arena.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct sa_checkpointer {
    sqlite3 *writer, *own;
    pthread_t thread;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t work;
    bool wanted, stop;
};

/* Passive: it never waits for readers or the writer, and does what it can. */
static void checkpoint(sqlite3 *handle)
{
    sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static void *run(void *argument)
{
    struct sa_checkpointer *c = argument;
    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        if (!c->wanted) {
            pthread_cond_wait(&c->work, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        checkpoint(c->own);
        pthread_mutex_lock(&c->lock);
        c->wanted = false; /* of before it ended: the next commit says it again */
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* In the writer's thread, after a commit; `pages` are in the log now. Under a load without a pause
 * the log is never empty when a checkpoint ends, and only grows; then the writer has to stand
 * still for the rest of one. */
static int on_commit(void *user, sqlite3 *handle, const char *name, int pages)
{
    struct sa_checkpointer *c = user;
    (void)name;
    if (pages >= SA_CHECKPOINT_BEHIND)
        checkpoint(handle);
    if (pages < SA_CHECKPOINT_PAGES)
        return SQLITE_OK;
    pthread_mutex_lock(&c->lock);
    c->wanted = true;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
    return SQLITE_OK;
}

static void release(struct sa_checkpointer *c)
{
    sqlite3_close(c->own);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->work);
    free(c);
}

struct sa_checkpointer *sa_checkpointer_start(sqlite3 *writer, sqlite3 *own, struct sa_error *err)
{
    struct sa_checkpointer *c = sa_alloc(sizeof *c);
    c->writer = writer;
    c->own = own;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    int rc = pthread_create(&c->thread, NULL, run, c);
    if (rc) {
        release(c);
        sa_error_sys(err, SA_EUNAVAILABLE, rc, "cannot start the thread for checkpoints");
        return NULL;
    }
    sqlite3_wal_hook(writer, on_commit, c);
    return c;
}

void sa_checkpointer_stop(struct sa_checkpointer *c)
{
    if (!c)
        return;
    sqlite3_wal_hook(c->writer, NULL, NULL);
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    release(c);
}
