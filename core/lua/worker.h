/*
 * One policy-worker process, seen from its parent: started on a bundle, asked in a pipeline, and
 * killed when it overruns. It lives for one generation; respawning and swapping is engine.h's.
 *
 *     STARTING --compiled, tests ran--> READY --close, death, overrun--> GONE
 *
 * One loop thread; no callback comes from within the function that asked for it.
 *
 * The watchdog: a worker stops a rule by itself (cpu_ms); what no hook can stop is killed from
 * here, once the call that it is at work on has used `kill_cpu_ms` of the worker's processor time
 * or `kill_wall_ms` have passed. All calls in flight then fail with SA_ETIMEOUT (the oldest) and
 * SA_EUNAVAILABLE (the others). A call that has waited for kill_wall_ms behind others fails with
 * SA_ETIMEOUT by itself: every call ends within about that time.
 *
 * Nothing that a worker sends is trusted: a packet that breaks the protocol (an answer out of
 * order, twice, of a wrong type, too large) is the end of the worker, and all calls in flight fail
 * with SA_EPROTOCOL.
 */
#ifndef SA_LUA_WORKER_H
#define SA_LUA_WORKER_H

#include "lua/bundle.h"
#include "lua/value.h"

#include <uv.h>

struct sa_worker;
struct sa_worker_call;

struct sa_worker_limits { /* 0: the default */
    int64_t cpu_ms;       /* of one call: 10 */
    int64_t test_cpu_ms;  /* of one test: 100 */
    int64_t memory_bytes; /* of the Lua heap: 16 MiB */
    int64_t kill_cpu_ms;  /* 100 */
    int64_t kill_wall_ms; /* 2000 */
    int64_t start_ms;     /* compile and test of all files: 30000 */
};

struct sa_worker_options {
    uv_loop_t *loop;
    const char *program;         /* path of policy-worker */
    const struct sa_buf *points; /* a value: the `points` of SETUP (wire.h) */
    struct sa_bundle *bundle;    /* a reference is taken */
    bool test;                   /* run the tests before it is ready */
    struct sa_worker_limits limits;
    /* err NULL: it is READY. SA_EINVALID: rules do not compile, or tests failed (the message names
     * the first, the values all). `compiled` and `tested` are COMPILE's and TEST's answers (wire.h;
     * `tested` with all parts in one list), NIL when it did not come so far. After an error the
     * worker is GONE: sa_worker_kill() is left. */
    void (*started)(void *owner, const struct sa_error *err, const struct sa_value *compiled,
                    const struct sa_value *tested);
    /* It is gone without having been told to (crash, overrun, protocol): after all calls in
     * flight were failed; sa_worker_kill() is left. Not after sa_worker_close(). */
    void (*died)(void *owner, const struct sa_error *why);
    void *owner;
};

/* NULL: it cannot even be spawned. */
struct sa_worker *sa_worker_start(const struct sa_worker_options *options, struct sa_error *err);
/* End it: calls in flight are answered first, for at most kill_wall_ms; new ones are refused. Frees
 * itself; no callback of the options comes any more, those of calls do. */
void sa_worker_close(struct sa_worker *worker);
/* Let go of it at once: nothing is called any more. */
void sa_worker_kill(struct sa_worker *worker);

/* `verdict` is NULL exactly when `err` is not. `err`: SA_ETIMEOUT (deadline), SA_EQUOTA (memory),
 * SA_EINTERNAL (a rule raised an error; the message has file and line; path is the rule),
 * SA_EPROTOCOL, SA_EUNAVAILABLE (the worker is gone). */
typedef void (*sa_worker_cb)(void *user, const struct sa_error *err,
                             const struct sa_value *verdict);
/* Ask. The input is copied. Questions of one turn of the loop travel in one packet. NULL:
 * SA_EUNAVAILABLE (it is not READY), SA_EQUOTA when too much is in flight (4096 calls, or 4 MiB
 * that the worker has not taken yet), SA_ETOOLARGE and SA_EINVALID (input that is no value). */
struct sa_worker_call *sa_worker_ask(struct sa_worker *worker, unsigned point, unsigned flags,
                                     const struct sa_buf *input, sa_worker_cb done, void *user,
                                     struct sa_error *err);
/* Nobody wants the answer any more: `done` is not called. */
void sa_worker_forget(struct sa_worker_call *call);

size_t sa_worker_in_flight(const struct sa_worker *worker);
pid_t sa_worker_pid(const struct sa_worker *worker); /* -1 once it is dead */

#endif
