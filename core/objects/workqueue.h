/*
 * A queue of keys to reconcile (client-go's workqueue): a key that waits is not queued twice; one
 * that is added while it is worked on comes again after; failures come back later and later;
 * groups (namespaces, tenants) take turns, so that one with many keys does not starve another.
 * One loop thread.
 */
#ifndef SA_OBJECTS_WORKQUEUE_H
#define SA_OBJECTS_WORKQUEUE_H

#include "metrics/metrics.h"

#include <stdbool.h>
#include <uv.h>

struct sa_workqueue;

/* The metrics of all queues of a process, told apart by a label; lives as long as the queues. */
struct sa_workqueue_metrics {
    struct sa_metric *adds, *retries, *depth, *working, *seconds;
};
void sa_workqueue_metrics_init(struct sa_workqueue_metrics *metrics, struct sa_metrics *registry);

struct sa_workqueue_options {
    uv_loop_t *loop;
    const struct sa_workqueue_metrics *metrics; /* may be NULL */
    const char *name;                           /* of the metrics' label */
    unsigned workers;                           /* keys worked on at once; 0: 4 */
    int64_t retry_first_ms, retry_max_ms;       /* 0: 5 ms, 60 s */
    uint64_t (*now_ms)(void);                   /* monotonic, for tests; NULL: the loop's */
    /* Work on a key; call sa_workqueue_done() when that is over, at once or later. */
    void (*work)(void *owner, const char *key);
    void *owner;
};
struct sa_workqueue *sa_workqueue_new(const struct sa_workqueue_options *options);
/* Keys that wait are dropped; `work` is not called any more; frees itself. */
void sa_workqueue_free(struct sa_workqueue *queue);

/* The group of a key is what is before its "/". */
void sa_workqueue_add(struct sa_workqueue *queue, const char *key);
/* Not before `ms` have passed; an earlier one stands. */
void sa_workqueue_add_after(struct sa_workqueue *queue, const char *key, int64_t ms);

enum sa_work { SA_WORK_OK, SA_WORK_RETRY }; /* RETRY: again, after a pause that doubles */
void sa_workqueue_done(struct sa_workqueue *queue, const char *key, enum sa_work result);

size_t sa_workqueue_depth(const struct sa_workqueue *queue); /* waiting, delayed not counted */
/* Nothing waits, is delayed for less than `within_ms`, or is worked on. */
bool sa_workqueue_idle(const struct sa_workqueue *queue, int64_t within_ms);

#endif
