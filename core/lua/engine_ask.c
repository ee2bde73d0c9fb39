/*
 * Questions.
 *
 *     WAITING --a worker takes it--> ASKED --answer--> finished
 *        |  ^                          |                  ^
 *        |  `----AGAIN <----death------'                  |
 *        `--time is up--> SETTLED (also: no rule, no room)  on the next turn of the loop
 *
 * What was in flight when a worker died is asked again, once, and each question alone: so the one
 * that kills workers is found, and fails, and those that were merely near it get their answers.
 * Rules are pure; an answer comes from one worker, and so from one generation.
 */
#include "lua/engine_internal.h"
#include "lua/wire.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/id.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum call_state { WAITING, AGAIN, ASKED, SETTLED };

struct sa_engine_call {
    struct sa_engine_call *prev, *next;
    struct sa_engine *engine;
    enum call_state state;
    unsigned point, flags;
    bool tried;        /* a worker died with it in flight */
    sa_engine_cb done; /* NULL: forgotten */
    void *user;
    int64_t asked_us, until_ms;
    struct sa_generation *generation; /* ASKED, and SETTLED without failure */
    struct sa_worker_call *at_worker;
    struct sa_error *failure; /* SETTLED; NULL: there is no rule */
    size_t length;
    char input[];
};

static struct sa_engine_call **list_of(struct sa_engine_call *call)
{
    struct engine_calls *calls = &call->engine->calls;
    return call->state == WAITING ? &calls->waiting
           : call->state == AGAIN ? &calls->again
           : call->state == ASKED ? &calls->asked
                                  : &calls->settled;
}

/* The next to be asked. */
static struct sa_engine_call *first_waiting(const struct sa_engine *engine)
{
    return engine->calls.again ? engine->calls.again : engine->calls.waiting;
}

static void leave(struct sa_engine_call *call)
{
    struct sa_engine_call **list = list_of(call);
    DL_DELETE(*list, call);
    if (call->state == WAITING || call->state == AGAIN)
        call->engine->calls.waiting_count--;
}

static void enter(struct sa_engine_call *call, enum call_state state)
{
    call->state = state;
    struct sa_engine_call **list = list_of(call);
    DL_APPEND(*list, call);
    if (state == WAITING || state == AGAIN)
        call->engine->calls.waiting_count++;
}

static void call_free(struct sa_engine_call *call)
{
    leave(call);
    call->engine->calls.bytes -= call->length;
    engine_generation_unref(call->generation);
    free(call->failure);
    free(call);
}

/* ---- the end of a question ---- */

static void count(struct sa_engine *engine, unsigned point, const struct sa_decision *decision)
{
    const struct engine_point *p = &engine->points[point];
    char rule[2 * NAME_MAX_BYTES] = "default";
    struct sa_value text = sa_value_get(&decision->verdict, "verdict");
    if (text.type == SA_VALUE_STRING)
        engine_point_count(engine, point, text.data, text.length);
    else if (decision->verdict.type == SA_VALUE_MAP) /* such as scaling has none */
        engine_point_count(engine, point, "", 0);
    else
        engine_point_count(engine, point, "error", 5);
    sa_histogram_observe(p->seconds, (double)decision->micros / 1e6);
    if (!decision->denied)
        return;
    text = sa_value_get(&decision->verdict, "rule");
    if (text.type == SA_VALUE_STRING)
        snprintf(rule, sizeof rule, "%.*s", (int)text.length, text.data);
    sa_counter_add(sa_metric_series(engine->metrics.denials, SA_VALUES(p->name, rule)), 1);
}

/* As sa_id_new(), with one system call for many. */
static void new_id(struct sa_engine *engine, char out[SA_ID_BYTES])
{
    char text[ID_BYTES * 8 / 5 + 2];
    if (!engine->random_left) {
        sa_random(engine->random, sizeof engine->random);
        engine->random_left = sizeof engine->random;
    }
    engine->random_left -= ID_BYTES;
    sa_base32(engine->random + engine->random_left, ID_BYTES, text);
    text[SA_ID_RANDOM_CHARS] = '\0';
    memcpy(out, "dec-", 4);
    memcpy(out + 4, text, SA_ID_RANDOM_CHARS + 1);
}

static bool is_denied(const struct sa_engine_call *call, const struct sa_value *verdict)
{
    struct sa_value text =
        verdict ? sa_value_get(verdict, "verdict") : (struct sa_value){.type = SA_VALUE_NIL};
    return call->engine->points[call->point].denies && (!verdict || sa_value_is(&text, "deny"));
}

static void record(struct sa_engine_call *call, const struct sa_error *err,
                   const struct sa_value *verdict, struct sa_verdict_meta *meta)
{
    struct sa_engine *engine = call->engine;
    new_id(engine, meta->id);
    struct sa_decision decision = {.id = meta->id,
                                   .generation = meta->generation,
                                   .point = call->point,
                                   .at_ms = sa_wall_ms(),
                                   .micros = meta->micros,
                                   .verdict = {.type = SA_VALUE_NIL},
                                   .error = err ? err->message : NULL,
                                   .denied = is_denied(call, verdict)};
    if (verdict)
        decision.verdict = *verdict;
    if (verdict && call->generation)
        engine_generation_count(call->generation, verdict, decision.denied);
    count(engine, call->point, &decision);
    sa_record_add(engine->record, &decision, call->input, call->length);
}

static void finish(struct sa_engine_call *call, const struct sa_error *err,
                   const struct sa_value *verdict)
{
    const struct sa_engine_options *o = &call->engine->options;
    struct sa_verdict_meta meta = {.generation = call->generation ? call->generation->number : 0,
                                   .micros = sa_monotonic_us() - call->asked_us};
    struct sa_error copy;
    if (err)
        copy = *err; /* it may be the call's */
    if (verdict && o->check && o->check(o->owner, call->point, verdict, &copy) < 0) {
        err = &copy;
        verdict = NULL;
    }
    if (!(call->flags & SA_WIRE_TRACE))
        record(call, err, verdict, &meta);
    sa_engine_cb done = call->done;
    void *user = call->user;
    call_free(call);
    if (done)
        done(user, err ? &copy : NULL, verdict, &meta);
}

/* ---- settled here ---- */

static void settle(struct sa_engine_call *call, const struct sa_error *failure)
{
    if (failure) {
        call->failure = sa_alloc(sizeof *failure);
        *call->failure = *failure;
    } else {
        call->generation = engine_generation_ref(call->engine->current);
    }
    enter(call, SETTLED);
    uv_idle_start(&call->engine->idle, engine_on_idle);
}

/* Those that are settled meanwhile have their turn next time. */
void engine_on_idle(uv_idle_t *idle)
{
    struct sa_engine *engine = idle->data;
    struct sa_engine_call *call, *last = engine->calls.settled ? engine->calls.settled->prev : NULL;
    for (bool more = last != NULL; more && !engine->stopping && (call = engine->calls.settled);) {
        more = call != last;
        // finish() takes it from the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        const struct sa_buf *unasked = &engine->points[call->point].unasked;
        struct sa_value verdict = sa_value_of(unasked->data, unasked->length);
        finish(call, call->failure, call->failure ? NULL : &verdict);
    }
    if (!engine->stopping && engine->compared)
        engine_canary_end(engine->compared);
    if (!engine->stopping && !engine->calls.settled && !engine->compared)
        uv_idle_stop(idle);
}

/* ---- asking the worker ---- */

static void set_wait_timer(struct sa_engine *engine)
{
    const struct sa_engine_call *waiting = engine->calls.waiting, *again = engine->calls.again;
    int64_t until = waiting ? waiting->until_ms : INT64_MAX, now = sa_monotonic_ms();
    if (again && again->until_ms < until)
        until = again->until_ms;
    if (until == INT64_MAX)
        uv_timer_stop(&engine->wait_timer);
    else if (!uv_is_active((uv_handle_t *)&engine->wait_timer))
        uv_timer_start(&engine->wait_timer, engine_on_wait_timer,
                       until > now ? (uint64_t)(until - now) : 0, 0);
}

static void ask_again(struct sa_engine_call *call)
{
    leave(call);
    engine_generation_unref(call->generation);
    call->generation = NULL;
    call->tried = true;
    call->until_ms = sa_monotonic_ms() + call->engine->options.wait_ms;
    enter(call, AGAIN);
    set_wait_timer(call->engine);
}

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict)
{
    struct sa_engine_call *call = user;
    struct sa_engine *engine = call->engine;
    struct sa_error wrong;
    call->at_worker = NULL;
    if (engine->calls.alone == call)
        engine->calls.alone = NULL;
    if (err && err->code == SA_EUNAVAILABLE && !call->tried) {
        ask_again(call);
        engine_calls_flush(engine); /* there may be another generation by now */
        return;
    }
    if (verdict && verdict->type != SA_VALUE_MAP) {
        sa_error_set(&wrong, SA_EPROTOCOL, "the worker answered with something else than a map");
        err = &wrong;
        verdict = NULL;
    }
    if (call->generation == engine->current && verdict)
        engine->health.answers++;
    finish(call, err, verdict);
    if (!engine->stopping)
        engine_calls_flush(engine);
}

/* Somebody is, or is to be, in flight alone. */
static bool must_wait(const struct sa_engine_call *call)
{
    const struct sa_generation *g = call->engine->current;
    return !g || !g->ready || call->engine->calls.alone ||
           (call->tried && sa_worker_in_flight(g->worker) > 0);
}

/* False: the worker takes no more now. The call is in no list, or in the one it leaves here. */
static bool ask(struct sa_engine_call *call, bool listed)
{
    struct sa_generation *g = call->engine->current;
    struct sa_buf input = {call->input, call->length, call->length};
    struct sa_error err;
    if (must_wait(call))
        return false;
    call->at_worker =
        sa_worker_ask(g->worker, call->point, call->flags, &input, on_answer, call, &err);
    if (!call->at_worker && (err.code == SA_EQUOTA || err.code == SA_EUNAVAILABLE))
        return false;
    if (listed)
        leave(call);
    if (call->at_worker) {
        call->generation = engine_generation_ref(g);
        call->engine->calls.alone = call->tried ? call : NULL;
        enter(call, ASKED);
    } else {
        settle(call, &err);
    }
    return true;
}

/* What waits for a worker may find, on the way, that the new rules have nothing to say. */
void engine_calls_flush(struct sa_engine *engine)
{
    struct sa_engine_call *call;
    while ((call = first_waiting(engine))) {
        if (engine->current && !engine->current->has_rules[call->point]) {
            leave(call);
            settle(call, NULL);
        } else if (!ask(call, true)) {
            break;
        }
    }
    set_wait_timer(engine);
}

static void expire(struct sa_engine_call **list, int64_t now)
{
    struct sa_error err;
    struct sa_engine_call *call;
    sa_error_set(&err, SA_EUNAVAILABLE, "the rules cannot be asked now: their worker is not up");
    while ((call = *list) && call->until_ms <= now) {
        leave(call);
        settle(call, &err);
    }
}

void engine_on_wait_timer(uv_timer_t *timer)
{
    struct sa_engine *engine = timer->data;
    int64_t now = sa_monotonic_ms();
    expire(&engine->calls.waiting, now);
    expire(&engine->calls.again, now);
    set_wait_timer(engine);
}

static void begin(struct sa_engine_call *call)
{
    struct sa_engine *engine = call->engine;
    struct sa_error err;
    if (engine->current && !engine->current->has_rules[call->point]) {
        settle(call, NULL);
    } else if (engine->calls.bytes > INPUTS_MAX_BYTES ||
               engine->calls.waiting_count >= WAITING_MAX) {
        sa_error_set(&err, SA_EUNAVAILABLE, "too many questions wait for the rules");
        settle(call, &err);
    } else if (first_waiting(engine) || !ask(call, false)) {
        enter(call, WAITING);
        set_wait_timer(engine);
    }
}

struct sa_engine_call *sa_engine_ask(struct sa_engine *engine, unsigned point, unsigned flags,
                                     const struct sa_buf *input, sa_engine_cb done, void *user)
{
    struct sa_engine_call *call = sa_realloc(NULL, sizeof *call + input->length);
    int64_t now_us = sa_monotonic_us();
    *call = (struct sa_engine_call){.engine = engine,
                                    .point = point,
                                    .flags = flags,
                                    .done = done,
                                    .user = user,
                                    .asked_us = now_us,
                                    .until_ms = now_us / 1000 + engine->options.wait_ms,
                                    .length = input->length};
    if (input->length)
        memcpy(call->input, input->data, input->length);
    engine->calls.bytes += call->length;
    begin(call);
    return call;
}

/* It is decided and recorded all the same: what was asked is asked. */
void sa_engine_forget(struct sa_engine_call *call)
{
    call->done = NULL;
}

static void drop(struct sa_engine_call *list)
{
    struct sa_engine_call *call, *next;
    DL_FOREACH_SAFE (list, call, next) {
        if (call->at_worker)
            sa_worker_forget(call->at_worker);
        call_free(call);
    }
}

void engine_calls_drop(struct sa_engine *engine)
{
    drop(engine->calls.waiting);
    drop(engine->calls.again);
    drop(engine->calls.asked);
    drop(engine->calls.settled);
}
