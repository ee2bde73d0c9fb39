/* Shared by the files of a worker's parent side: worker.c (life, calls), startup.c (the messages
 * before it is READY), worker_io.c (packets), watchdog.c (deadlines). */
#ifndef SA_LUA_WORKER_INTERNAL_H
#define SA_LUA_WORKER_INTERNAL_H

#include "lua/process.h"
#include "lua/wire.h"
#include "lua/worker.h"

enum {
    SA_WORKER_CALLS_MAX = 4096,
    SA_WORKER_OUT_MAX = 4 * 1024 * 1024,
};

struct sa_worker_call {
    struct sa_worker_call *next;
    struct sa_worker *worker;
    uint32_t id, asked_at; /* asked_at: worker->looks then */
    sa_worker_cb done;     /* NULL: nobody waits for it any more */
    void *user;
};

struct sa_worker_startup {
    size_t file;                           /* next to be sent */
    uint32_t setup, compile, test;         /* the messages' numbers; 0: not sent yet */
    bool set_up;                           /* SETUP was answered */
    struct sa_buf compiled, parts, tested; /* parts: elements of a list */
    uint64_t until_ms;
};

struct sa_worker {
    enum { SA_WORKER_STARTING, SA_WORKER_READY, SA_WORKER_CLOSING, SA_WORKER_GONE } state;
    bool released; /* the owner has let go of it */
    bool handles_closed, reaped;
    struct sa_worker_options options;
    struct sa_bundle *bundle;

    struct sa_process process;
    int socket;
    uv_poll_t socket_poll, exit_poll;
    uv_prepare_t flush;
    uv_timer_t watchdog;
    unsigned open; /* handles, without exit_poll */
    int events;    /* that socket_poll watches for */

    struct sa_buf out; /* messages; those before `sent` are with the worker */
    size_t sent;
    uint8_t *in; /* of a packet and a byte more */

    struct sa_worker_call *oldest, **newest; /* in flight, in the order of asking */
    size_t in_flight, wanted;                /* wanted: with `done` */
    uint32_t last_id;
    struct sa_worker_startup startup;

    uint32_t looks;   /* of the watchdog, so far */
    uint32_t watched; /* what the oldest call was when it last looked, and since when */
    uint64_t watched_ms, close_ms;
    int64_t watched_cpu_us;
};

/* ---- worker.c ---- */

/* The parent side of a socket on which a worker speaks; process may be none (fuzzing). Both are
 * the worker's from here on. */
struct sa_worker *sa_worker_on(const struct sa_worker_options *options, int socket,
                               const struct sa_process *process, struct sa_error *err);
/* Of the next message; never 0. */
uint32_t sa_worker_next_id(struct sa_worker *worker);
/* The end, not by the owner: `first` for the oldest call in flight, `others` for the rest. */
void sa_worker_lost(struct sa_worker *worker, const struct sa_error *first,
                    const struct sa_error *others);
/* As above: it broke the protocol. */
void sa_worker_broke(struct sa_worker *worker, const struct sa_error *why);
/* A message has come, in whatever order. */
void sa_worker_message(struct sa_worker *worker, const struct sa_wire_message *message);
/* Call back; the call stays in flight, without anybody who waits for it. */
void sa_worker_tell(struct sa_worker_call *call, const struct sa_error *err,
                    const struct sa_value *verdict);
/* What FAIL says, fit for logs. */
void sa_worker_failure(const struct sa_value *body, struct sa_error *err);

/* ---- startup.c ---- */
int sa_startup_begin(struct sa_worker *worker, struct sa_error *err);
void sa_startup_end(struct sa_worker *worker);
/* Put further messages into `out`, about a packet's worth. */
void sa_startup_fill(struct sa_worker *worker);
void sa_startup_message(struct sa_worker *worker, const struct sa_wire_message *message);
/* Tell the owner; err NULL: it is READY. */
void sa_startup_tell(struct sa_worker *worker, const struct sa_error *err);

/* ---- worker_io.c ---- */
void sa_worker_flush(struct sa_worker *worker);
/* Take what has come. False: the worker is GONE, or the owner's no more. */
bool sa_worker_receive(struct sa_worker *worker);
/* One packet of any bytes. */
void sa_worker_packet(struct sa_worker *worker, const uint8_t *data, size_t length);
void sa_worker_on_socket(uv_poll_t *poll, int status, int events);

/* ---- watchdog.c ---- */
void sa_watchdog_wake(struct sa_worker *worker); /* there is something to watch */
void sa_watchdog_limits(struct sa_worker_limits *limits);

#endif
