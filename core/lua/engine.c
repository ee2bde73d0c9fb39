/* The engine's life. What is asked of it, and what it does, is in the files that
 * engine_internal.h lists. */
#include "lua/engine_internal.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 250, TICK_MS = 5000 };

/* ---- options are the caller's ---- */

static const char *const *copy_texts(const char *const *texts, size_t count)
{
    const char **copy = sa_alloc((count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = sa_strdup(texts[i]);
    return copy;
}

static void free_texts(const char *const *texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        free((char *)texts[i]);
    free((void *)texts);
}

static void copy_options(struct sa_engine *engine, const struct sa_engine_options *options)
{
    struct sa_engine_options *o = &engine->options;
    size_t names = 0;
    while (options->point_names[names])
        names++;
    *o = *options;
    o->program = sa_strdup(options->program);
    o->dirs = copy_texts(options->dirs, options->dir_count);
    o->point_names = copy_texts(options->point_names, names);
    o->state_path = options->state_path ? sa_strdup(options->state_path) : NULL;
    o->wait_ms = options->wait_ms ? options->wait_ms : WAIT_MS;
    sa_buf_add(&engine->points_value, options->points->data, options->points->length);
    o->points = &engine->points_value;
}

static void engine_free(struct sa_engine *engine)
{
    engine_generation_unref(engine->current);
    for (size_t i = 0; i < engine->history_count; i++)
        engine_generation_unref(engine->history[i]);
    sa_record_free(engine->record);
    engine_points_deinit(engine);
    engine_report_deinit(&engine->last);
    free((char *)engine->options.program);
    free_texts(engine->options.dirs);
    free_texts(engine->options.point_names);
    free((char *)engine->options.state_path);
    sa_buf_deinit(&engine->points_value);
    free(engine);
}

/* ---- start ---- */

static void on_files_changed(void *owner)
{
    sa_engine_reload(owner, NULL, NULL);
}

static void init_handles(struct sa_engine *engine)
{
    uv_loop_t *loop = engine->options.loop;
    uv_timer_t *timers[] = {&engine->wait_timer, &engine->respawn_timer, &engine->tick};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        uv_timer_init(loop, timers[i]);
        timers[i]->data = engine;
    }
    uv_idle_init(loop, &engine->idle);
    engine->idle.data = engine;
    uv_timer_start(&engine->tick, engine_on_tick, TICK_MS, TICK_MS);
    uv_unref((uv_handle_t *)&engine->tick);
    engine->holds = 4;
}

struct sa_engine *sa_engine_start(const struct sa_engine_options *options,
                                  void (*ready)(void *owner, const struct sa_error *err),
                                  struct sa_error *err)
{
    struct sa_engine *engine = sa_alloc(sizeof *engine);
    copy_options(engine, options);
    engine->ready = ready;
    engine->record = sa_record_new();
    if (engine_points_init(engine, err) < 0) {
        engine_free(engine);
        return NULL;
    }
    init_handles(engine);
    /* Before the files are read: what changes in between is seen. */
    if (options->watch)
        engine->watch = sa_watch_start(options->loop, engine->options.dirs, options->dir_count,
                                       on_files_changed, engine);
    engine_jobs_add(engine, JOB_FILES, true, 0, NULL, NULL);
    return engine;
}

/* ---- stop ---- */

void engine_release(struct sa_engine *engine)
{
    if (--engine->holds == 0)
        engine_free(engine);
}

static void on_closed(uv_handle_t *handle)
{
    engine_release(handle->data);
}

void sa_engine_stop(struct sa_engine *engine)
{
    engine->stopping = true;
    sa_watch_stop(engine->watch);
    engine_jobs_drop(engine);
    engine_calls_drop(engine); /* which ends workers of former generations */
    if (engine->current && engine->current->worker)
        sa_worker_kill(engine->current->worker);
    uv_close((uv_handle_t *)&engine->wait_timer, on_closed);
    uv_close((uv_handle_t *)&engine->respawn_timer, on_closed);
    uv_close((uv_handle_t *)&engine->tick, on_closed);
    uv_close((uv_handle_t *)&engine->idle, on_closed);
}

/* ---- what others ask of it ---- */

uint64_t sa_engine_generation(const struct sa_engine *engine)
{
    return engine->current ? engine->current->number : 0;
}

bool sa_engine_has_rules(const struct sa_engine *engine, unsigned point)
{
    return engine->current && engine->current->has_rules[point];
}

const struct sa_bundle *sa_engine_bundle(const struct sa_engine *engine)
{
    return engine->current ? engine->current->bundle : NULL;
}

const struct sa_decision *sa_engine_decision(const struct sa_engine *engine, const char *id)
{
    return sa_record_find(engine->record, id);
}

const struct sa_decision *sa_engine_decision_after(const struct sa_engine *engine,
                                                   uint64_t sequence)
{
    return sa_record_after(engine->record, sequence);
}

void sa_engine_listen(struct sa_engine *engine, struct sa_engine_listener *listener)
{
    sa_record_listen(engine->record, listener);
}

void sa_engine_unlisten(struct sa_engine *engine, struct sa_engine_listener *listener)
{
    sa_record_unlisten(engine->record, listener);
}
