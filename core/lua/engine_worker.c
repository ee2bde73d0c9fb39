/*
 * The worker in force: what happens when it dies.
 *
 * One that has worked (for ten seconds, or has answered a few questions) is started anew at once;
 * one that dies right away, or does not start, after a pause that doubles. So what kills a worker
 * now and then costs a few milliseconds each time, and what kills every one of them does not keep
 * the machine busy.
 */
#include "lua/engine_internal.h"

#include "base/clock.h"
#include "log/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PAUSE_MIN_MS = 50,
    PAUSE_MAX_MS = 5000,
    HEALTHY_MS = 10 * 1000,
    HEALTHY_ANSWERS = 16,
};

static uint64_t next_pause_ms(struct engine_health *health)
{
    bool worked = health->up_ms && (health->answers >= HEALTHY_ANSWERS ||
                                    sa_monotonic_ms() - health->up_ms >= HEALTHY_MS);
    health->failures = worked ? 0 : health->failures;
    unsigned doublings = health->failures++;
    uint64_t pause = doublings > 8 ? PAUSE_MAX_MS : ((uint64_t)PAUSE_MIN_MS << doublings) / 2;
    return doublings == 0 ? 0 : pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

static void down(struct sa_generation *g, const struct sa_error *why)
{
    static struct sa_log_limit limit = {.every_ms = 1000, .burst = 10};
    struct sa_engine *engine = g->engine;
    uint64_t skipped, pause = next_pause_ms(&engine->health);
    if (g->worker)
        sa_worker_kill(g->worker);
    g->worker = NULL;
    g->ready = false;
    engine->health.restarts++;
    engine->health.up_ms = 0;
    sa_counter_add(engine->metrics.restarts, 1);
    if (sa_log_allow(&limit, sa_monotonic_ms(), &skipped))
        sa_log_error("policy worker died", SA_LOG_ERR(why), SA_LOG_U("generation", g->number),
                     SA_LOG_U("ms", pause), SA_LOG_U("skipped", skipped));
    uv_timer_start(&engine->respawn_timer, engine_on_respawn_timer, pause, 0);
    if (engine->options.changed)
        engine->options.changed(engine->options.owner, why);
}

static void on_started(void *owner, const struct sa_error *err, const struct sa_value *compiled,
                       const struct sa_value *tested)
{
    struct sa_generation *g = owner;
    struct sa_engine *engine = g->engine;
    if (g->number == 0) {
        engine_candidate_started(g, err, compiled, tested);
        return;
    }
    if (err) {
        down(g, err);
        return;
    }
    g->ready = true;
    engine->health.answers = 0;
    engine->health.up_ms = sa_monotonic_ms();
    engine_calls_flush(engine);
}

static void on_died(void *owner, const struct sa_error *why)
{
    struct sa_generation *g = owner;
    if (g->number == 0)
        engine_candidate_died(g, why);
    else
        down(g, why);
}

int engine_worker_start(struct sa_generation *generation, bool test, struct sa_error *err)
{
    struct sa_engine *engine = generation->engine;
    struct sa_worker_options options = {.loop = engine->options.loop,
                                        .program = engine->options.program,
                                        .points = &engine->points_value,
                                        .bundle = generation->bundle,
                                        .test = test,
                                        .limits = engine->options.limits,
                                        .started = on_started,
                                        .died = on_died,
                                        .owner = generation};
    generation->worker = sa_worker_start(&options, err);
    return generation->worker ? 0 : -1;
}

void engine_on_respawn_timer(uv_timer_t *timer)
{
    struct sa_engine *engine = timer->data;
    struct sa_error err;
    /* Its tests have passed before. */
    if (engine_worker_start(engine->current, false, &err) < 0)
        down(engine->current, &err);
}

int64_t engine_worker_resident(const struct sa_engine *engine)
{
    char path[64];
    long pages = -1;
    if (!engine->current || !engine->current->ready)
        return -1;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)sa_worker_pid(engine->current->worker));
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    if (fscanf(file, "%*d %ld", &pages) != 1) // NOLINT(cert-err34-c)
        pages = -1;
    fclose(file);
    return pages < 0 ? -1 : (int64_t)pages * sysconf(_SC_PAGESIZE);
}

void engine_on_tick(uv_timer_t *timer)
{
    struct sa_engine *engine = timer->data;
    int64_t resident = engine_worker_resident(engine);
    sa_gauge_set(engine->metrics.resident, resident < 0 ? 0 : (double)resident);
}
