/*
 * The canary: a candidate is asked what was asked of late, and its verdicts are compared with those
 * that were given. It informs and decides nothing: whoever can make inputs must not be able to make
 * one that keeps new rules out. (A worker that dies of one is another matter: engine_reload.c.)
 *
 * A few questions are in flight at a time and time is short, so that neither the loop nor the swap
 * waits for it: when time is up, only those in flight are waited for.
 */
#include "lua/engine_internal.h"

#include "base/arena.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum {
    INPUTS_MAX = 2000,
    POINT_INPUTS_MAX = 256,
    IN_FLIGHT_MAX = 8,
    CANARY_MS = 100,
    DIFF_MAX = 50,
};

struct question {
    struct canary *canary;
    struct sa_recorded *recorded;
};

struct canary {
    struct sa_generation *candidate;
    struct engine_report *report;
    void (*done)(void *user);
    void *user;
    int64_t until_ms;
    size_t count, next, in_flight;
    struct question questions[INPUTS_MAX];
};

/* ---- comparing ---- */

/* Words and ways are not what a decision is. */
static bool compared(const struct sa_value *key)
{
    return !sa_value_is(key, "reason") && !sa_value_is(key, "ran") && !sa_value_is(key, "trace") &&
           !sa_value_is(key, "params") && !sa_value_is(key, "changes");
}

/* The next one that is compared, or `count`. */
static size_t next_compared(const struct sa_value_member *members, size_t count, size_t at)
{
    while (at < count && !compared(&members[at].key))
        at++;
    return at;
}

static bool same_members(const struct sa_value_member *before, size_t before_count,
                         const struct sa_value_member *after, size_t after_count)
{
    size_t i = next_compared(before, before_count, 0), j = next_compared(after, after_count, 0);
    while (i < before_count && j < after_count && sa_value_equal(&before[i].key, &after[j].key) &&
           sa_value_equal(&before[i].value, &after[j].value)) {
        i = next_compared(before, before_count, i + 1);
        j = next_compared(after, after_count, j + 1);
    }
    return i == before_count && j == after_count;
}

static bool same_verdicts(const struct sa_value *before, const struct sa_value *after)
{
    size_t before_count, after_count;
    if (before->type != after->type)
        return false;
    struct sa_value_member *left = sa_value_members(before, &before_count);
    struct sa_value_member *right = sa_value_members(after, &after_count);
    const bool same = same_members(left, before_count, right, after_count);
    free(left);
    free(right);
    return same;
}

/* The short of a verdict: its members that are no lists or maps. */
static void put_verdict(struct sa_json_w *w, const char *key, const struct sa_value *verdict,
                        const char *error)
{
    struct sa_value_reader reader = sa_value_enter(verdict);
    struct sa_value name, value;
    sa_json_put_object(w, key);
    if (error)
        sa_json_put_string(w, "error", error);
    while (sa_value_next_member(&reader, &name, &value)) {
        char text[NAME_MAX_BYTES];
        if (name.length >= sizeof text || value.type == SA_VALUE_LIST || value.type == SA_VALUE_MAP)
            continue;
        memcpy(text, name.data, name.length);
        text[name.length] = '\0';
        sa_autobuf json = SA_BUF_INIT;
        sa_value_to_json(&value, &json);
        sa_json_put_raw(w, text, json.data, json.length);
    }
    sa_json_w_end_object(w);
}

static void add_diff(struct canary *canary, const struct sa_decision *decision,
                     const struct sa_error *err, const struct sa_value *after)
{
    static const struct sa_value nil = {.type = SA_VALUE_NIL};
    struct sa_buf *diff = &canary->report->diff;
    if (canary->report->canary_changed > DIFF_MAX)
        return;
    if (diff->length)
        sa_buf_addc(diff, ',');
    struct sa_json_w w = sa_json_w_start(diff);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "point", canary->candidate->engine->points[decision->point].name);
    sa_json_put_string(&w, "decision", decision->id);
    put_verdict(&w, "before", &decision->verdict, decision->error);
    put_verdict(&w, "after", after ? after : &nil, err ? err->message : NULL);
    sa_json_w_end_object(&w);
}

/* ---- asking ---- */

static void ask_more(struct canary *canary);

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict)
{
    static const struct sa_value nil = {.type = SA_VALUE_NIL};
    struct question *question = user;
    struct canary *canary = question->canary;
    const struct sa_decision *decision = sa_recorded_decision(question->recorded);
    canary->in_flight--;
    canary->report->canary_inputs++;
    if (err && !decision->error)
        canary->report->canary_errors++;
    if (!same_verdicts(&decision->verdict, verdict ? verdict : &nil)) {
        canary->report->canary_changed++;
        add_diff(canary, decision, err, verdict);
    }
    ask_more(canary);
}

static void ask_more(struct canary *canary)
{
    while (canary->next < canary->count && canary->in_flight < IN_FLIGHT_MAX &&
           sa_monotonic_ms() < canary->until_ms) {
        struct question *question = &canary->questions[canary->next];
        struct sa_buf input = sa_recorded_input(question->recorded);
        if (!sa_worker_ask(canary->candidate->worker,
                           sa_recorded_decision(question->recorded)->point, 0, &input, on_answer,
                           question, NULL))
            return; /* it is dying, and engine_candidate_died() comes */
        canary->next++;
        canary->in_flight++;
    }
    if (canary->in_flight == 0) { /* its worker may be dying: then we are told within this turn */
        canary->candidate->engine->compared = canary;
        uv_idle_start(&canary->candidate->engine->idle, engine_on_idle);
    }
}

void engine_canary_end(struct canary *canary)
{
    canary->candidate->engine->compared = NULL;
    canary->done(canary->user);
}

static bool no_rule_ran(const struct sa_decision *decision)
{
    const struct sa_value ran = sa_value_get(&decision->verdict, "ran");
    return decision->generation == 0 || (ran.type == SA_VALUE_LIST && ran.length == 0);
}

/* The latest of each point, without those that neither generation has rules for. */
static void choose(struct canary *canary)
{
    const struct sa_engine *engine = canary->candidate->engine;
    uint16_t *counts = sa_alloc((engine->point_count + 1) * sizeof *counts);
    const struct sa_decision *decision = sa_record_before(engine->record, UINT64_MAX);
    for (; decision && canary->count < INPUTS_MAX;
         decision = sa_record_before(engine->record, decision->sequence)) {
        if (!canary->candidate->has_rules[decision->point] && no_rule_ran(decision))
            continue;
        if (counts[decision->point]++ < POINT_INPUTS_MAX)
            canary->questions[canary->count++] =
                (struct question){canary, sa_recorded_ref(decision)};
        else
            counts[decision->point] = POINT_INPUTS_MAX;
    }
    free(counts);
}

struct canary *engine_canary_new(struct sa_generation *candidate, struct engine_report *report,
                                 void (*done)(void *user), void *user)
{
    struct canary *canary = sa_alloc(sizeof *canary);
    canary->candidate = candidate;
    canary->report = report;
    canary->done = done;
    canary->user = user;
    canary->until_ms = sa_monotonic_ms() + CANARY_MS;
    choose(canary);
    return canary;
}

void engine_canary_run(struct canary *canary)
{
    ask_more(canary);
}

void engine_canary_free(struct canary *canary)
{
    if (!canary)
        return;
    if (canary->candidate->engine->compared == canary)
        canary->candidate->engine->compared = NULL;
    for (size_t i = 0; i < canary->count; i++)
        sa_recorded_unref(canary->questions[i].recorded);
    free(canary);
}
