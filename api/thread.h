/*
 * A thread beside the loop for work that would block it, with a bounded queue of messages each
 * way. Loop functions never wait; thread functions wait until there is a message or room, or until
 * the worker is told to stop.
 */
#ifndef SA_API_THREAD_H
#define SA_API_THREAD_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

enum {
    SA_WORKERS_MAX = 16,
    SA_WORKERS_EACH = 4, /* of one owner, so that nobody keeps the others out */
    SA_THREAD_QUEUE_BYTES = 512 * 1024,
};

struct sa_thread;

enum sa_message_kind { SA_MESSAGE_BYTES, SA_MESSAGE_ENTRY, SA_MESSAGE_END, SA_MESSAGE_ERROR };
struct sa_message { /* free() it */
    struct sa_message *next;
    enum sa_message_kind kind;
    size_t length;
    char data[];
};

struct sa_thread_options {
    const char *owner; /* the id of a key */
    /* On the thread; what it returns from is the end. */
    void (*run)(struct sa_thread *worker, void *user);
    /* On the loop: there may be messages, or room. Not after sa_thread_stop(). */
    void (*wake)(void *user);
    /* On the loop, once, last: the thread has ended and the worker is gone. */
    void (*done)(void *user);
    void *user;
};

/* ---- the loop's side ---- */

/* NULL: SA_EUNAVAILABLE when SA_WORKERS_MAX run already, or SA_WORKERS_EACH of the owner. */
struct sa_thread *sa_thread_start(uv_loop_t *loop, const struct sa_thread_options *options,
                                  struct sa_error *err);
/* Queue a copy. False: the queue is full, send no more until `wake` finds room. */
bool sa_thread_send(struct sa_thread *worker, enum sa_message_kind kind, const void *data,
                    size_t length);
bool sa_thread_has_room(struct sa_thread *worker);
struct sa_message *sa_thread_receive(struct sa_thread *worker); /* NULL: none now */
/* Nobody wants its work any more: its calls return NULL and false; `done` comes. */
void sa_thread_stop(struct sa_thread *worker);

/* ---- the thread's side ---- */

struct sa_message *sa_thread_get(struct sa_thread *worker); /* NULL: stop */
/* False: stop. */
bool sa_thread_put(struct sa_thread *worker, enum sa_message_kind kind, const void *data,
                   size_t length);

#endif
