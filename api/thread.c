#include "api/thread.h"

#include "base/arena.h"
#include "base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct queue {
    struct sa_message *head, *tail;
    size_t bytes;
};

struct sa_thread {
    struct sa_thread *prev, *next;
    char owner[SA_ID_BYTES];
    struct sa_thread_options options;
    uv_thread_t thread;
    uv_async_t async;
    uv_mutex_t mutex; /* over what follows */
    uv_cond_t changed;
    struct queue in, out; /* as the thread sees it */
    bool stop, ended;
};

static struct sa_thread *workers; /* that run; of the loop's thread */

/* ---- queues, under the mutex ---- */

static void push(struct queue *q, enum sa_message_kind kind, const void *data, size_t length)
{
    struct sa_message *m = sa_alloc(sizeof *m + length + 1);
    m->kind = kind;
    m->length = length;
    if (length)
        memcpy(m->data, data, length);
    if (q->tail)
        q->tail->next = m;
    else
        q->head = m;
    q->tail = m;
    q->bytes += length + sizeof *m;
}

static struct sa_message *pop(struct queue *q)
{
    struct sa_message *m = q->head;
    if (!m)
        return NULL;
    q->head = m->next;
    if (!q->head)
        q->tail = NULL;
    q->bytes -= m->length + sizeof *m;
    return m;
}

static bool is_full(const struct queue *q)
{
    return q->bytes >= SA_THREAD_QUEUE_BYTES;
}

/* ---- the thread's side ---- */

struct sa_message *sa_thread_get(struct sa_thread *w)
{
    uv_mutex_lock(&w->mutex);
    while (!w->stop && !w->in.head)
        uv_cond_wait(&w->changed, &w->mutex);
    bool was_full = is_full(&w->in);
    struct sa_message *m = w->stop ? NULL : pop(&w->in);
    bool now_room = was_full && !is_full(&w->in);
    uv_mutex_unlock(&w->mutex);
    if (now_room)
        uv_async_send(&w->async);
    return m;
}

bool sa_thread_put(struct sa_thread *w, enum sa_message_kind kind, const void *data, size_t length)
{
    uv_mutex_lock(&w->mutex);
    while (!w->stop && is_full(&w->out))
        uv_cond_wait(&w->changed, &w->mutex);
    bool stop = w->stop;
    if (!stop)
        push(&w->out, kind, data, length);
    uv_mutex_unlock(&w->mutex);
    uv_async_send(&w->async);
    return !stop;
}

static void run(void *arg)
{
    struct sa_thread *w = arg;
    w->options.run(w, w->options.user);
    uv_mutex_lock(&w->mutex);
    w->ended = true;
    uv_mutex_unlock(&w->mutex);
    uv_async_send(&w->async);
}

/* ---- the loop's side ---- */

static void on_closed(uv_handle_t *handle)
{
    struct sa_thread *w = handle->data;
    struct sa_message *m;
    struct sa_thread_options options = w->options;
    while ((m = pop(&w->in)) || (m = pop(&w->out)))
        free(m);
    uv_mutex_destroy(&w->mutex);
    uv_cond_destroy(&w->changed);
    DL_DELETE(workers, w);
    free(w);
    options.done(options.user);
}

static void on_async(uv_async_t *async)
{
    struct sa_thread *w = async->data;
    uv_mutex_lock(&w->mutex);
    bool stop = w->stop, over = w->ended && (stop || !w->out.head);
    uv_mutex_unlock(&w->mutex);
    if (over) {
        uv_thread_join(&w->thread); /* it is on its last instructions */
        uv_close((uv_handle_t *)async, on_closed);
    } else if (!stop) {
        w->options.wake(w->options.user);
    }
}

static int check_room(const char *owner, struct sa_error *err)
{
    const struct sa_thread *w;
    int all = 0, own = 0;
    DL_FOREACH (workers, w) {
        all++;
        own += strcmp(w->owner, owner) == 0;
    }
    if (all < SA_WORKERS_MAX && own < SA_WORKERS_EACH)
        return 0;
    return sa_error_set(err, SA_EUNAVAILABLE,
                        "%d archives%s are being worked on: try again in a moment",
                        all < SA_WORKERS_MAX ? own : all, all < SA_WORKERS_MAX ? " of yours" : "");
}

struct sa_thread *sa_thread_start(uv_loop_t *loop, const struct sa_thread_options *options,
                                  struct sa_error *err)
{
    if (check_room(options->owner, err) < 0)
        return NULL;
    struct sa_thread *w = sa_alloc(sizeof *w);
    w->options = *options;
    uv_mutex_init(&w->mutex);
    uv_cond_init(&w->changed);
    uv_async_init(loop, &w->async, on_async);
    w->async.data = w;
    snprintf(w->owner, sizeof w->owner, "%s", options->owner);
    w->options.owner = w->owner;
    DL_APPEND(workers, w);
    if (uv_thread_create(&w->thread, run, w) < 0) /* out of threads is out of memory */
        abort();
    return w;
}

bool sa_thread_send(struct sa_thread *w, enum sa_message_kind kind, const void *data, size_t length)
{
    uv_mutex_lock(&w->mutex);
    push(&w->in, kind, data, length);
    bool room = !is_full(&w->in);
    uv_cond_signal(&w->changed);
    uv_mutex_unlock(&w->mutex);
    return room;
}

bool sa_thread_has_room(struct sa_thread *w)
{
    uv_mutex_lock(&w->mutex);
    bool room = !is_full(&w->in);
    uv_mutex_unlock(&w->mutex);
    return room;
}

struct sa_message *sa_thread_receive(struct sa_thread *w)
{
    uv_mutex_lock(&w->mutex);
    struct sa_message *m = pop(&w->out);
    bool last = !w->out.head && w->ended;
    uv_cond_signal(&w->changed);
    uv_mutex_unlock(&w->mutex);
    if (m && last)
        uv_async_send(&w->async); /* so that the end is seen */
    return m;
}

void sa_thread_stop(struct sa_thread *w)
{
    uv_mutex_lock(&w->mutex);
    w->stop = true;
    uv_cond_signal(&w->changed);
    uv_mutex_unlock(&w->mutex);
    uv_async_send(&w->async);
}
