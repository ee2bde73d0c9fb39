/* The reading thread: one read after the other, each after the writes that were made before it,
 * on a connection of its own (readers of a write-ahead log never wait for the writer). */
#include "base/clock.h"
#include "store/internal.h"

enum { READ_DEADLINE_MS = 2000, PROGRESS_STEPS = 10000 };

static int too_late(void *deadline_ms)
{
    return sa_monotonic_ms() > *(const int64_t *)deadline_ms;
}

/* No page may hold up the others for long: beyond the deadline it ends with SA_ETIMEOUT. */
static void run(struct sa_store *store, struct sa_store_read *read)
{
    int64_t deadline_ms = sa_monotonic_ms() + READ_DEADLINE_MS;
    struct sa_error err = {.code = SA_OK};
    sqlite3_progress_handler(store->db.reader, PROGRESS_STEPS, too_late, &deadline_ms);
    if (read->run(store, read, &err) < 0)
        sa_op_fail(&read->op, &err);
    sqlite3_progress_handler(store->db.reader, 0, NULL, NULL);
}

static void cancel(struct sa_store_read *read)
{
    struct sa_error err;
    sa_error_set(&err, SA_ECANCELED, "the store closed");
    sa_op_fail(&read->op, &err);
}

void *sa_reader_main(void *arg)
{
    struct sa_store *store = arg;
    pthread_mutex_lock(&store->lock);
    for (;;) {
        while (!store->reads.first && !store->closing)
            pthread_cond_wait(&store->read_work, &store->lock);
        struct sa_op *op = sa_queue_pop(&store->reads);
        if (!op)
            break;
        struct sa_store_read *read = sa_container_of(op, struct sa_store_read, op);
        while (store->settled < read->after && !store->closing) {
            store->urgent = true;
            pthread_cond_signal(&store->work);
            pthread_cond_wait(&store->progress, &store->lock);
        }
        if (store->closing) {
            cancel(read);
        } else {
            pthread_mutex_unlock(&store->lock);
            run(store, read);
            pthread_mutex_lock(&store->lock);
        }
        store->read_queued--;
        store->stats.reads++;
        sa_store_settle(store, op);
    }
    pthread_mutex_unlock(&store->lock);
    return NULL;
}
