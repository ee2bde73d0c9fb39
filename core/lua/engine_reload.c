/*
 * Jobs that put another generation in force: one after the other, the first of the list is at work.
 *
 *     reading (thread) -> worker compiles and tests -> canary -> swap
 *
 * Whatever fails on the way ends the job and leaves the generation in force as it is. The first
 * generation falls back on the kept one (JOB_KEPT).
 */
#include "lua/engine_internal.h"

#include "base/arena.h"
#include "base/clock.h"
#include "log/log.h"
#include "loop/loop.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static void run_first(struct sa_engine *engine);

/* Work on a thread ends by itself, and must, before the engine does. */
static void hold_for_work(struct sa_engine *engine)
{
    engine->holds++;
    sa_loop_hold(engine->options.loop);
}

static void work_is_done(struct sa_engine *engine)
{
    sa_loop_release(engine->options.loop);
    engine_release(engine);
}

/* ---- keeping the last good generation ---- */

struct keeping {
    uv_work_t work;
    struct sa_engine *engine;
    struct sa_bundle *bundle;
    struct sa_error error;
};

static void keep(struct sa_engine *engine);

static void keep_work(uv_work_t *work)
{
    struct keeping *k = work->data;
    sa_bundle_save(k->bundle, k->engine->options.state_path, &k->error);
}

static void keep_done(uv_work_t *work, int status)
{
    struct keeping *k = work->data;
    struct sa_engine *engine = k->engine;
    (void)status;
    if (k->error.code)
        sa_log_warn("policies are not kept for the next start", SA_LOG_ERR(&k->error));
    sa_bundle_unref(k->bundle);
    free(k);
    engine->saving = false;
    if (engine->save_again && !engine->stopping)
        keep(engine);
    work_is_done(engine);
}

static void keep(struct sa_engine *engine)
{
    engine->save_again = engine->saving;
    if (!engine->options.state_path || engine->saving)
        return;
    struct keeping *k = sa_alloc(sizeof *k);
    k->engine = engine;
    k->work.data = k;
    k->bundle = sa_bundle_ref(engine->current->bundle);
    engine->saving = true;
    hold_for_work(engine);
    uv_queue_work(engine->options.loop, &k->work, keep_work, keep_done);
}

/* ---- the end of a job ---- */

static void job_free(struct engine_job *job)
{
    struct engine_waiter *waiter, *next;
    DL_FOREACH_SAFE (job->waiters, waiter, next)
        free(waiter);
    engine_canary_free(job->canary);
    engine_generation_unref(job->candidate);
    sa_bundle_unref(job->bundle);
    engine_report_deinit(&job->report);
    free(job);
}

static const char *outcome_of(const struct engine_job *job)
{
    return !job->report.ok             ? "failed"
           : job->report.unchanged     ? "unchanged"
           : job->kind == JOB_ROLLBACK ? "rollback"
           : job->kind == JOB_KEPT     ? "lastGood"
                                       : "swapped";
}

static void log_end(const struct engine_job *job, const struct sa_error *err)
{
    const struct engine_report *r = &job->report;
    if (err && err->code == SA_ENOTFOUND && job->kind == JOB_KEPT)
        sa_log_info("no last good policies are kept");
    else if (err)
        sa_log_error("policies not loaded", SA_LOG_ERR(err), SA_LOG_I("ms", r->duration_ms),
                     SA_LOG_U("errors", r->error_count),
                     SA_LOG_N("details", r->errors.data, r->errors.length));
    else if (job->kind == JOB_KEPT)
        sa_log_warn("the last good policies are in force, not those of the files",
                    SA_LOG_S("outcome", outcome_of(job)), SA_LOG_U("generation", r->generation),
                    SA_LOG_I("ms", r->duration_ms));
    else
        sa_log_info("policies loaded", SA_LOG_S("outcome", outcome_of(job)),
                    SA_LOG_U("generation", r->generation), SA_LOG_I("ms", r->duration_ms),
                    SA_LOG_I("tests", r->tests_passed), SA_LOG_U("compared", r->canary_inputs),
                    SA_LOG_U("changed", r->canary_changed));
}

/* What the operator sees as the last reload is what the files said, not what was in their place. */
static void note(struct engine_job *job, const struct sa_error *err)
{
    struct sa_engine *engine = job->engine;
    struct engine_report *r = &job->report;
    r->ok = !err;
    r->at_ms = sa_wall_ms();
    r->duration_ms = sa_monotonic_ms() - job->began_ms;
    r->generation = sa_engine_generation(engine);
    if (err && r->error_count == 0)
        engine_report_error(r, err);
    log_end(job, err);
    sa_counter_add(sa_metric_series(engine->metrics.reloads, SA_VALUES(outcome_of(job))), 1);
    if (job->kind == JOB_KEPT)
        return;
    engine_report_deinit(&engine->last);
    engine->last = *r;
    *r = (struct engine_report){0};
}

static void tell(struct engine_job *job, const struct sa_error *err)
{
    struct sa_engine *engine = job->engine;
    if (engine->options.changed)
        engine->options.changed(engine->options.owner, err);
    for (struct engine_waiter *w; !engine->stopping && (w = job->waiters);) {
        DL_DELETE(job->waiters, w); // NOLINT(clang-analyzer-*)
        if (w->done)
            w->done(w->user, err);
        free(w);
    }
}

/* The first generation could not be made of the files: the kept one, if there is one. */
static bool fall_back(struct engine_job *job, const struct sa_error *err)
{
    struct sa_engine *engine = job->engine;
    if (!job->first || job->kind == JOB_KEPT || !engine->options.state_path)
        return false;
    note(job, err);
    job->why = *err;
    job->kind = JOB_KEPT;
    sa_bundle_unref(job->bundle);
    engine_generation_unref(job->candidate);
    job->bundle = NULL;
    job->candidate = NULL;
    run_first(engine);
    return true;
}

static void end(struct engine_job *job, const struct sa_error *failure)
{
    struct sa_engine *engine = job->engine;
    struct sa_error copy;
    const struct sa_error *err = NULL;
    if (failure) {
        copy = *failure;
        err = &copy;
        if (fall_back(job, err))
            return;
    }
    note(job, err);
    DL_DELETE(engine->jobs, job);
    /* With a kept generation in force the engine is ready, and yet the files were bad. */
    const struct sa_error *why = job->first && job->kind == JOB_KEPT ? &job->why : err;
    tell(job, why);
    if (!engine->stopping && job->first)
        engine->ready(engine->options.owner, err ? why : NULL);
    job_free(job);
    if (!engine->stopping && engine->jobs)
        run_first(engine);
}

/* ---- swapping ---- */

static void swap(struct engine_job *job)
{
    struct sa_engine *engine = job->engine;
    struct sa_generation *old = engine->current, *g = job->candidate;
    job->candidate = NULL;
    g->number = ++engine->last_number;
    g->source = job->kind == JOB_FILES      ? SOURCE_FILES
                : job->kind == JOB_ROLLBACK ? SOURCE_ROLLBACK
                                            : SOURCE_KEPT;
    g->loaded_ms = sa_wall_ms();
    g->ready = true;
    engine->current = g;
    engine->calls.alone = NULL; /* with the old worker, it keeps nobody waiting */
    if (old) {
        uv_timer_stop(&engine->respawn_timer);
        if (old->worker && old->ready)
            sa_worker_close(old->worker); /* what is in flight is answered first */
        else if (old->worker)
            sa_worker_kill(old->worker);
        old->worker = NULL;
        old->ready = false;
        engine_history_add(engine, old);
    }
    engine->health.failures = 0;
    engine->health.answers = 0;
    engine->health.up_ms = sa_monotonic_ms();
    sa_gauge_set(engine->metrics.generation, (double)g->number);
    engine_on_tick(&engine->tick);
    if (g->source != SOURCE_KEPT)
        keep(engine);
    engine_calls_flush(engine);
    end(job, NULL);
}

/* ---- the candidate ---- */

static void on_compared(void *user)
{
    struct engine_job *job = user;
    engine_canary_free(job->canary);
    job->canary = NULL;
    swap(job);
}

static void give_up(struct engine_job *job, const struct sa_error *err)
{
    if (job->candidate->worker)
        sa_worker_kill(job->candidate->worker);
    job->candidate->worker = NULL;
    end(job, err);
}

/* One error for all that was found in the files, with the place of the first. */
static void summarise(const struct engine_report *report, struct sa_error *err)
{
    if (report->error_count == 0)
        return;
    *err = report->first;
    if (report->error_count > 1)
        sa_error_wrap(err, "%zu errors, the first", report->error_count);
}

void engine_candidate_started(struct sa_generation *candidate, const struct sa_error *err,
                              const struct sa_value *compiled, const struct sa_value *tested)
{
    struct engine_job *job = candidate->engine->jobs;
    struct sa_error copy;
    engine_report_compiled(&job->report, compiled, candidate->bundle);
    engine_report_tested(&job->report, tested, candidate->bundle);
    if (err) {
        copy = *err;
        summarise(&job->report, &copy);
        give_up(job, &copy);
        return;
    }
    engine_generation_compiled(candidate, compiled);
    if (job->kind != JOB_FILES || job->first) {
        swap(job);
        return;
    }
    job->canary = engine_canary_new(candidate, &job->report, on_compared, job);
    engine_canary_run(job->canary);
}

/* The canary killed it, or somebody did: such a worker is not put in force. */
void engine_candidate_died(struct sa_generation *candidate, const struct sa_error *why)
{
    struct sa_error err = *why;
    sa_error_wrap(&err, "the new rules' worker died while they were compared");
    give_up(candidate->engine->jobs, &err);
}

static void start_candidate(struct engine_job *job)
{
    struct sa_error err;
    job->candidate = engine_generation_new(job->engine, job->bundle);
    if (engine_worker_start(job->candidate, job->kind == JOB_FILES, &err) < 0)
        end(job, &err);
}

/* ---- reading ---- */

/* A rollback has nothing to read; but all jobs begin in the same way, and never at once. */
static void read_work(uv_work_t *work)
{
    struct engine_job *job = work->data;
    const struct sa_engine_options *o = &job->engine->options;
    if (job->kind == JOB_FILES)
        job->bundle = sa_bundle_read(o->dirs, o->dir_count, &job->error);
    else if (job->kind == JOB_KEPT)
        job->bundle = sa_bundle_load(o->state_path, &job->error);
}

static void find_target(struct engine_job *job)
{
    struct sa_generation *target = engine_history_find(job->engine, job->target);
    if (target)
        job->bundle = sa_bundle_ref(target->bundle);
    else if (job->target)
        sa_error_set(&job->error, SA_ENOTFOUND,
                     "there is no generation %" PRIu64 " to go back to: the last %d before this "
                     "one are kept",
                     job->target, HISTORY_MAX);
    else
        sa_error_set(&job->error, SA_ENOTFOUND, "there is no generation before this one");
}

static bool is_in_force(const struct sa_engine *engine, const struct sa_bundle *bundle)
{
    return engine->current &&
           strcmp(sa_bundle_digest(bundle), sa_bundle_digest(engine->current->bundle)) == 0;
}

static void proceed(struct engine_job *job)
{
    if (job->kind == JOB_ROLLBACK)
        find_target(job);
    if (!job->bundle) {
        struct sa_error err = job->error;
        end(job, &err);
    } else if (is_in_force(job->engine, job->bundle)) {
        if (job->kind == JOB_FILES)
            job->engine->current->source = SOURCE_FILES; /* it may have come otherwise */
        job->report.unchanged = true;
        end(job, NULL);
    } else {
        start_candidate(job);
    }
}

static void read_done(uv_work_t *work, int status)
{
    struct engine_job *job = work->data;
    struct sa_engine *engine = job->engine;
    (void)status;
    job->reading = false;
    if (engine->stopping)
        job_free(job);
    else
        proceed(job);
    work_is_done(engine);
}

static void run_first(struct sa_engine *engine)
{
    struct engine_job *job = engine->jobs;
    job->began_ms = sa_monotonic_ms(); // NOLINT(clang-analyzer-*)
    job->work.data = job;
    job->reading = true;
    hold_for_work(engine);
    uv_queue_work(engine->options.loop, &job->work, read_work, read_done);
}

/* ---- asking for jobs ---- */

static void add_waiter(struct engine_job *job, sa_engine_reload_cb done, void *user)
{
    struct engine_waiter *waiter = sa_alloc(sizeof *waiter);
    waiter->done = done;
    waiter->user = user;
    DL_APPEND(job->waiters, waiter);
}

/* A reload that has not begun will read what there is then: whoever wants one may share it. With
 * too many jobs in line, rollbacks share, too: the last is the one that counts. */
static struct engine_job *to_share(struct sa_engine *engine, enum engine_job_kind kind)
{
    struct engine_job *job, *found = NULL;
    size_t count = 0;
    DL_FOREACH (engine->jobs, job) {
        count++;
        if (job != engine->jobs && job->kind == kind)
            found = job;
    }
    return kind == JOB_FILES || count >= JOBS_MAX ? found : NULL;
}

void engine_jobs_add(struct sa_engine *engine, enum engine_job_kind kind, bool first,
                     uint64_t target, sa_engine_reload_cb done, void *user)
{
    struct engine_job *job = to_share(engine, kind);
    bool idle = !engine->jobs;
    if (!job) {
        job = sa_alloc(sizeof *job);
        job->engine = engine;
        job->kind = kind;
        job->first = first;
        DL_APPEND(engine->jobs, job);
    }
    job->target = target;
    add_waiter(job, done, user);
    if (idle)
        run_first(engine);
}

void engine_jobs_drop(struct sa_engine *engine)
{
    struct engine_job *job, *next;
    DL_FOREACH_SAFE (engine->jobs, job, next) {
        if (job->candidate && job->candidate->worker)
            sa_worker_kill(job->candidate->worker);
        if (!job->reading)
            job_free(job);
    }
    engine->jobs = NULL;
}

void sa_engine_reload(struct sa_engine *engine, sa_engine_reload_cb done, void *user)
{
    engine_jobs_add(engine, JOB_FILES, false, 0, done, user);
}

void sa_engine_rollback(struct sa_engine *engine, uint64_t generation, sa_engine_reload_cb done,
                        void *user)
{
    engine_jobs_add(engine, JOB_ROLLBACK, false, generation, done, user);
}

void sa_engine_reload_forget(struct sa_engine *engine, void *user)
{
    struct engine_job *job;
    struct engine_waiter *waiter;
    DL_FOREACH (engine->jobs, job)
        DL_FOREACH (job->waiters, waiter)
            if (waiter->user == user)
                waiter->done = NULL;
}
