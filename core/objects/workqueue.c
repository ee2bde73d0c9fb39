/*
 * Keys that wait, by group; groups in a ring, of which one after the other gives a key. Keys that
 * wait for a time are in a heap by that time.
 */
#include "objects/workqueue.h"

#include "base/arena.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum {
    WORKERS_DEFAULT = 4,
    FIRST_MS = 5,
    MAX_MS = 60 * 1000,
    KEYS_A_TURN = 64, /* of the loop, which others want to turn, too: */
    TURN_US = 250     /* requests go before what follows from them */
};

struct group;
struct item {
    UT_hash_handle hh;
    struct item *prev, *next; /* in its group's list, while it waits */
    struct group *group;
    bool waiting, working, again; /* again: added while it was worked on */
    unsigned failures;
    uint64_t due_ms;  /* 0: not delayed */
    size_t heap_slot; /* where it is in the heap, from 1; 0: nowhere */
    int64_t added_us;
    char key[];
};
struct group {
    UT_hash_handle hh;
    struct group *prev, *next; /* in the ring of those with waiting keys */
    struct item *items;
    bool in_ring;
    size_t references; /* items that name it */
    char name[];
};

struct sa_workqueue {
    struct sa_workqueue_options options;
    struct item *items; /* by key */
    struct group *groups, *ring;
    struct item **heap; /* from 1 */
    size_t heap_count, heap_capacity;
    size_t depth;
    unsigned working;
    uv_idle_t idle;
    uv_timer_t timer;
    unsigned handles;
    bool closing;
    struct sa_series *adds, *retries, *depth_gauge, *latency, *working_gauge;
};

static uint64_t now_ms(const struct sa_workqueue *queue)
{
    return queue->options.now_ms ? queue->options.now_ms() : (uint64_t)sa_monotonic_ms();
}

/* ---- items and groups ---- */

static struct group *group_of(struct sa_workqueue *queue, const char *key)
{
    const char *slash = strchr(key, '/');
    size_t length = slash ? (size_t)(slash - key) : 0;
    struct group *group;
    HASH_FIND(hh, queue->groups, key, length, group);
    if (!group) {
        group = sa_alloc(sizeof *group + length + 1);
        memcpy(group->name, key, length);
        HASH_ADD_KEYPTR(hh, queue->groups, group->name, length, group);
    }
    return group;
}

static struct item *item_of(struct sa_workqueue *queue, const char *key)
{
    struct item *item;
    HASH_FIND_STR(queue->items, key, item);
    if (item)
        return item;
    size_t length = strlen(key);
    item = sa_alloc(sizeof *item + length + 1);
    memcpy(item->key, key, length);
    item->group = group_of(queue, key);
    item->group->references++;
    HASH_ADD_KEYPTR(hh, queue->items, item->key, length, item);
    return item;
}

static void drop_if_idle(struct sa_workqueue *queue, struct item *item)
{
    if (item->waiting || item->working || item->heap_slot || item->failures)
        return;
    struct group *group = item->group;
    // The table is left before the memory. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
    HASH_DEL(queue->items, item);
    free(item);
    if (--group->references == 0) {
        HASH_DEL(queue->groups, group);
        free(group);
    }
}

/* ---- the heap of delayed keys ---- */

static void place(struct sa_workqueue *queue, size_t slot, struct item *item)
{
    queue->heap[slot] = item;
    item->heap_slot = slot;
}

static void sift_up(struct sa_workqueue *queue, size_t slot)
{
    struct item *item = queue->heap[slot];
    for (; slot > 1 && queue->heap[slot / 2]->due_ms > item->due_ms; slot /= 2)
        place(queue, slot, queue->heap[slot / 2]);
    place(queue, slot, item);
}

static void sift_down(struct sa_workqueue *queue, size_t slot)
{
    struct item *item = queue->heap[slot];
    for (size_t child; (child = 2 * slot) <= queue->heap_count; slot = child) {
        if (child < queue->heap_count &&
            queue->heap[child + 1]->due_ms < queue->heap[child]->due_ms)
            child++;
        if (queue->heap[child]->due_ms >= item->due_ms)
            break;
        place(queue, slot, queue->heap[child]);
    }
    place(queue, slot, item);
}

static void heap_add(struct sa_workqueue *queue, struct item *item)
{
    if (queue->heap_count + 1 >= queue->heap_capacity) {
        queue->heap_capacity = queue->heap_capacity ? 2 * queue->heap_capacity : 64;
        queue->heap = sa_realloc(queue->heap, queue->heap_capacity * sizeof *queue->heap);
    }
    place(queue, ++queue->heap_count, item);
    sift_up(queue, item->heap_slot);
}

static void heap_remove(struct sa_workqueue *queue, struct item *item)
{
    size_t slot = item->heap_slot;
    if (!slot)
        return;
    struct item *last = queue->heap[queue->heap_count--];
    item->heap_slot = 0;
    item->due_ms = 0;
    if (last == item)
        return;
    place(queue, slot, last);
    sift_up(queue, slot);
    sift_down(queue, last->heap_slot);
}

/* ---- giving out ---- */

static void show(const struct sa_workqueue *queue)
{
    if (!queue->depth_gauge)
        return;
    sa_gauge_set(queue->depth_gauge, (double)queue->depth);
    sa_gauge_set(queue->working_gauge, queue->working);
}

static void wait_for_turn(struct sa_workqueue *queue, struct item *item)
{
    struct group *group = item->group;
    item->waiting = true;
    item->added_us = sa_monotonic_us();
    queue->depth++;
    DL_APPEND(group->items, item);
    if (!group->in_ring) {
        group->in_ring = true;
        DL_APPEND(queue->ring, group);
    }
}

/* The next key of the group whose turn it is, which then goes to the end of the ring. */
static struct item *take(struct sa_workqueue *queue)
{
    struct group *group = queue->ring;
    if (!group)
        return NULL;
    struct item *item = group->items;
    DL_DELETE(group->items, item);
    DL_DELETE(queue->ring, group);
    group->in_ring = group->items != NULL;
    if (group->in_ring)
        DL_APPEND(queue->ring, group);
    item->waiting = false;
    queue->depth--;
    return item;
}

static void on_turn(uv_idle_t *idle)
{
    struct sa_workqueue *queue = idle->data;
    const int64_t began_us = sa_monotonic_us();
    int64_t now_us = began_us;
    for (unsigned keys = 0; keys < KEYS_A_TURN && now_us - began_us < TURN_US && !queue->closing &&
                            queue->working < queue->options.workers;
         keys++, now_us = sa_monotonic_us()) {
        struct item *item = take(queue);
        if (!item)
            break;
        item->working = true;
        queue->working++;
        if (queue->latency)
            sa_histogram_observe(queue->latency, (double)(now_us - item->added_us) / 1e6);
        queue->options.work(queue->options.owner, item->key);
    }
    if (!queue->closing && (!queue->ring || queue->working >= queue->options.workers))
        uv_idle_stop(idle);
    show(queue);
}

static void wake(struct sa_workqueue *queue)
{
    if (!queue->closing && queue->ring && queue->working < queue->options.workers)
        uv_idle_start(&queue->idle, on_turn);
}

static void set_timer(struct sa_workqueue *queue);

static void on_timer(uv_timer_t *timer)
{
    struct sa_workqueue *queue = timer->data;
    uint64_t now = now_ms(queue);
    while (queue->heap_count && queue->heap[1]->due_ms <= now) {
        struct item *item = queue->heap[1];
        heap_remove(queue, item);
        sa_workqueue_add(queue, item->key);
    }
    set_timer(queue);
}

static void set_timer(struct sa_workqueue *queue)
{
    if (queue->closing)
        return;
    if (!queue->heap_count) {
        uv_timer_stop(&queue->timer);
        return;
    }
    uint64_t now = now_ms(queue), due = queue->heap[1]->due_ms;
    uv_update_time(queue->options.loop);
    uv_timer_start(&queue->timer, on_timer, due > now ? due - now : 0, 0);
}

/* ---- the interface ---- */

void sa_workqueue_add(struct sa_workqueue *queue, const char *key)
{
    struct item *item = item_of(queue, key);
    heap_remove(queue, item); /* now is earlier than whenever */
    if (queue->adds)
        sa_counter_add(queue->adds, 1);
    if (item->working)
        item->again = true;
    else if (!item->waiting)
        wait_for_turn(queue, item);
    show(queue);
    wake(queue);
}

void sa_workqueue_add_after(struct sa_workqueue *queue, const char *key, int64_t ms)
{
    if (ms <= 0) {
        sa_workqueue_add(queue, key);
        return;
    }
    struct item *item = item_of(queue, key);
    uint64_t due = now_ms(queue) + (uint64_t)ms;
    if (item->waiting || item->again || (item->heap_slot && item->due_ms <= due))
        return;
    heap_remove(queue, item);
    item->due_ms = due;
    heap_add(queue, item);
    set_timer(queue);
}

/* Doubled for each failure in a row. */
static int64_t pause_ms(const struct sa_workqueue *queue, unsigned failures)
{
    int64_t ms = queue->options.retry_first_ms;
    while (--failures && ms < queue->options.retry_max_ms)
        ms *= 2;
    return ms < queue->options.retry_max_ms ? ms : queue->options.retry_max_ms;
}

void sa_workqueue_done(struct sa_workqueue *queue, const char *key, enum sa_work result)
{
    struct item *item;
    HASH_FIND_STR(queue->items, key, item);
    if (!item || !item->working)
        return;
    item->working = false;
    queue->working--;
    item->failures = result == SA_WORK_OK ? 0 : item->failures + 1;
    if (result == SA_WORK_RETRY) {
        if (queue->retries)
            sa_counter_add(queue->retries, 1);
        sa_workqueue_add_after(queue, item->key, pause_ms(queue, item->failures));
    }
    if (item->again) {
        item->again = false;
        heap_remove(queue, item);
        wait_for_turn(queue, item);
    }
    drop_if_idle(queue, item);
    show(queue);
    wake(queue);
}

size_t sa_workqueue_depth(const struct sa_workqueue *queue)
{
    return queue->depth;
}

bool sa_workqueue_idle(const struct sa_workqueue *queue, int64_t within_ms)
{
    uint64_t until = now_ms(queue) + (uint64_t)within_ms;
    return queue->depth == 0 && queue->working == 0 &&
           (!queue->heap_count || queue->heap[1]->due_ms > until);
}

/* ---- its life ---- */

void sa_workqueue_metrics_init(struct sa_workqueue_metrics *metrics, struct sa_metrics *registry)
{
    const char *const *name = SA_LABELS("queue");
    metrics->adds = sa_metrics_counter(registry, "sa_workqueue_adds_total",
                                       "Keys added, doubled ones too.", name);
    metrics->retries = sa_metrics_counter(registry, "sa_workqueue_retries_total",
                                          "Keys that come again after a failure.", name);
    metrics->depth =
        sa_metrics_gauge(registry, "sa_workqueue_depth", "Keys that wait for their turn.", name);
    metrics->working =
        sa_metrics_gauge(registry, "sa_workqueue_working", "Keys that are worked on.", name);
    metrics->seconds = sa_metrics_histogram(registry, "sa_workqueue_queue_duration_seconds",
                                            "How long keys waited for their turn.", name, NULL, 0);
}

static void take_series(struct sa_workqueue *queue, const struct sa_workqueue_metrics *metrics)
{
    const char *const *name = SA_VALUES(queue->options.name);
    queue->adds = sa_metric_series(metrics->adds, name);
    queue->retries = sa_metric_series(metrics->retries, name);
    queue->depth_gauge = sa_metric_series(metrics->depth, name);
    queue->working_gauge = sa_metric_series(metrics->working, name);
    queue->latency = sa_metric_series(metrics->seconds, name);
}

struct sa_workqueue *sa_workqueue_new(const struct sa_workqueue_options *options)
{
    struct sa_workqueue *queue = sa_alloc(sizeof *queue);
    queue->options = *options;
    if (!queue->options.workers)
        queue->options.workers = WORKERS_DEFAULT;
    if (!queue->options.retry_first_ms)
        queue->options.retry_first_ms = FIRST_MS;
    if (!queue->options.retry_max_ms)
        queue->options.retry_max_ms = MAX_MS;
    if (options->metrics)
        take_series(queue, options->metrics);
    uv_idle_init(options->loop, &queue->idle);
    uv_timer_init(options->loop, &queue->timer);
    queue->idle.data = queue->timer.data = queue;
    queue->handles = 2;
    return queue;
}

static void on_closed(uv_handle_t *handle)
{
    struct sa_workqueue *queue = handle->data;
    if (--queue->handles)
        return;
    struct item *item, *next;
    HASH_ITER (hh, queue->items, item, next) {
        item->waiting = item->working = false;
        item->heap_slot = item->failures = 0;
        drop_if_idle(queue, item);
    }
    free(queue->heap);
    free(queue);
}

void sa_workqueue_free(struct sa_workqueue *queue)
{
    queue->closing = true;
    uv_close((uv_handle_t *)&queue->idle, on_closed);
    uv_close((uv_handle_t *)&queue->timer, on_closed);
}
