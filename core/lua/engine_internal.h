/*
 * What the files of the engine share.
 *
 *   engine.c             start, stop, what is alive
 *   engine_points.c      the decision points, as far as the engine looks at them
 *   engine_generation.c  generations: their rules and counts, history
 *   engine_ask.c         questions: waiting, asked, answered
 *   engine_worker.c      the worker in force: deaths, pauses, starts
 *   engine_reload.c      one job after the other: read, start, compare, swap
 *   engine_canary.c      the comparison with recorded decisions
 *   engine_report.c      what a reload found, as JSON and as one error
 *   engine_print.c       the state for people
 */
#ifndef SA_LUA_ENGINE_INTERNAL_H
#define SA_LUA_ENGINE_INTERNAL_H

#include "lua/engine.h"
#include "lua/record.h"
#include "lua/watch.h"

#include <uthash.h>

enum {
    HISTORY_MAX = 8,
    WAITING_MAX = 16 * 1024,             /* questions that no worker has yet */
    INPUTS_MAX_BYTES = 32 * 1024 * 1024, /* of all questions without an answer */
    JOBS_MAX = 16,
    VERDICTS_MAX = 6, /* of a point, "error" among them */
    ID_BYTES = 13,    /* 100 bits and a few */
    NAME_MAX_BYTES = 64,
};

/* ---- points ---- */

struct engine_verdict { /* the counter of one, looked up once */
    char name[24];
    struct sa_series *series;
};

struct engine_point {
    char name[NAME_MAX_BYTES];
    struct engine_verdict verdicts[VERDICTS_MAX];
    bool denies;           /* "deny" is one of its verdicts, and so its default */
    struct sa_buf unasked; /* what a point without rules answers */
    struct sa_series *seconds;
};

/* Count a decision of this point. The text is not terminated. */
void engine_point_count(struct sa_engine *engine, unsigned point, const char *verdict,
                        size_t length);
int engine_points_init(struct sa_engine *engine, struct sa_error *err);
void engine_points_deinit(struct sa_engine *engine);

/* ---- metrics ---- */

struct engine_metrics {
    struct sa_metrics *own; /* when the options have none */
    struct sa_metric *decisions, *denials, *seconds, *reloads;
    struct sa_series *restarts, *generation, *resident;
};

/* ---- generations ---- */

struct engine_rule {
    UT_hash_handle hh;
    char name[NAME_MAX_BYTES];
    uint64_t calls, denials;
};

enum engine_source { SOURCE_FILES, SOURCE_ROLLBACK, SOURCE_KEPT };

struct sa_generation {
    struct sa_engine *engine;
    unsigned refs;
    uint64_t number; /* 0: a candidate */
    enum engine_source source;
    int64_t loaded_ms;
    struct sa_bundle *bundle;
    struct sa_buf compiled;    /* COMPILE's answer */
    struct engine_rule *rules; /* by name */
    size_t rule_count;
    bool *has_rules;          /* for each point */
    struct sa_worker *worker; /* of the candidate, and of the one in force; NULL: none */
    bool ready;               /* the worker may be asked */
};

struct sa_generation *engine_generation_new(struct sa_engine *engine, struct sa_bundle *bundle);
struct sa_generation *engine_generation_ref(struct sa_generation *generation);
void engine_generation_unref(struct sa_generation *generation); /* NULL is allowed */
void engine_generation_compiled(struct sa_generation *generation, const struct sa_value *compiled);
void engine_generation_count(struct sa_generation *generation, const struct sa_value *verdict,
                             bool denied);
/* By number; 0: the one before the one in force. NULL: not kept. */
struct sa_generation *engine_history_find(struct sa_engine *engine, uint64_t number);
void engine_history_add(struct sa_engine *engine, struct sa_generation *generation);

/* ---- questions ---- */

struct engine_calls {
    struct sa_engine_call *waiting; /* for a worker */
    struct sa_engine_call *again;   /* the same; a worker died with them in flight */
    struct sa_engine_call *alone;   /* one of those, in flight alone; or NULL */
    struct sa_engine_call *asked;
    struct sa_engine_call *settled; /* answered on the next turn of the loop */
    size_t waiting_count, bytes;
};

void engine_calls_flush(struct sa_engine *engine); /* the worker in force may be asked */
void engine_calls_drop(struct sa_engine *engine);  /* all of them, without a word */
void engine_on_wait_timer(uv_timer_t *timer);
void engine_on_idle(uv_idle_t *idle);

/* ---- the worker in force ---- */

struct engine_health {
    unsigned failures; /* in a row */
    uint64_t restarts, answers /* since its start */;
    int64_t up_ms;
};

/* Start a worker for the generation; its callbacks are the engine's. */
int engine_worker_start(struct sa_generation *generation, bool test, struct sa_error *err);
void engine_on_respawn_timer(uv_timer_t *timer);
/* The candidate's worker has a say of its own in this (engine_reload.c). */
void engine_candidate_started(struct sa_generation *candidate, const struct sa_error *err,
                              const struct sa_value *compiled, const struct sa_value *tested);
void engine_candidate_died(struct sa_generation *candidate, const struct sa_error *why);
/* -1: unknown. */
int64_t engine_worker_resident(const struct sa_engine *engine);
void engine_on_tick(uv_timer_t *timer);

/* ---- reloads ---- */

struct engine_report {
    int64_t at_ms, duration_ms; /* at_ms 0: there was none */
    bool ok, unchanged;
    uint64_t generation; /* that it made, or left in force */
    size_t error_count;
    struct sa_error first;          /* of the rules and tests */
    struct sa_buf errors, failures; /* JSON: elements, separated by commas */
    int64_t tests_passed, tests_failed;
    size_t canary_inputs, canary_changed, canary_errors;
    struct sa_buf diff; /* JSON: elements, separated by commas */
};

void engine_report_deinit(struct engine_report *report);
/* `bundle` tells where the files came from; NULL is allowed. */
void engine_report_compiled(struct engine_report *report, const struct sa_value *compiled,
                            const struct sa_bundle *bundle);
void engine_report_tested(struct engine_report *report, const struct sa_value *tested,
                          const struct sa_bundle *bundle);
void engine_report_error(struct engine_report *report, const struct sa_error *err);
void engine_report_print(const struct engine_report *report, struct sa_json_w *w);

struct engine_waiter { /* for the end of a job */
    struct engine_waiter *prev, *next;
    sa_engine_reload_cb done;
    void *user;
};

enum engine_job_kind { JOB_FILES, JOB_KEPT, JOB_ROLLBACK };

struct canary;
struct engine_job {
    struct engine_job *prev, *next;
    struct sa_engine *engine;
    enum engine_job_kind kind;
    bool first, reading;
    uint64_t target; /* of a rollback */
    uv_work_t work;
    struct sa_bundle *bundle;
    struct sa_error error; /* of the reading */
    struct sa_error why;   /* JOB_KEPT: why not the files */
    struct sa_generation *candidate;
    struct canary *canary;
    struct engine_waiter *waiters;
    struct engine_report report;
    int64_t began_ms;
};

void engine_jobs_add(struct sa_engine *engine, enum engine_job_kind kind, bool first,
                     uint64_t target, sa_engine_reload_cb done, void *user);
void engine_jobs_drop(struct sa_engine *engine);

/* Ask the candidate what was asked of late, and compare. `done` comes from the loop; it may free
 * the canary. */
struct canary *engine_canary_new(struct sa_generation *candidate, struct engine_report *report,
                                 void (*done)(void *user), void *user);
void engine_canary_run(struct canary *canary);
void engine_canary_end(struct canary *canary); /* all are compared: calls `done` */
void engine_canary_free(
    struct canary *canary); /* NULL is allowed; its worker must be gone, or idle */

/* ---- the engine ---- */

struct sa_engine {
    struct sa_engine_options options; /* its texts are copies */
    bool stopping;
    unsigned holds; /* handles and work that are not finished */
    uv_timer_t wait_timer, respawn_timer, tick;
    uv_idle_t idle;
    struct sa_buf points_value;
    struct engine_point *points;
    size_t point_count;
    struct engine_metrics metrics;
    struct sa_generation *current, *history[HISTORY_MAX]; /* latest first */
    size_t history_count;
    uint64_t last_number;
    struct engine_calls calls;
    struct engine_health health;
    struct sa_record *record;
    uint8_t random[64 * ID_BYTES]; /* for ids */
    size_t random_left;
    struct sa_watch *watch;
    struct engine_job *jobs; /* the first is at work */
    struct canary *compared; /* that has no more to ask */
    bool saving, save_again;
    struct engine_report last;
    void (*ready)(void *owner, const struct sa_error *err);
};

void engine_release(struct sa_engine *engine); /* one hold less */

#endif
