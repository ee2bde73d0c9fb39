/* The registry, and the life of an execution as its source makes it. */
#include "api/execution_private.h"

#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the registry ---- */

static void forget(struct sa_execution *e);

static void lose_output(struct sa_execution *e)
{
    e->lost_to = sa_spool_to(e->spool);
    sa_spool_free(e->spool);
    e->spool = NULL;
    e->expendable = false;
    DL_DELETE(e->all->expendable, e);
}

static bool relieve(void *owner, bool file)
{
    struct sa_executions *all = owner;
    struct sa_execution *e;
    DL_FOREACH (all->expendable, e) {
        if (e->readers || (file && !sa_spool_has_file(e->spool)))
            continue;
        lose_output(e);
        return true;
    }
    return false;
}

static double read_file_bytes(void *context)
{
    struct sa_spools_figures figures;
    sa_spools_figures(((struct sa_executions *)context)->spools, &figures);
    return (double)figures.file_bytes;
}

static double read_memory_bytes(void *context)
{
    struct sa_spools_figures figures;
    sa_spools_figures(((struct sa_executions *)context)->spools, &figures);
    return (double)figures.memory_bytes;
}

static void add_metrics(struct sa_executions *all, struct sa_metrics *m)
{
    all->executions_total = sa_metrics_counter(m, "secureagent_executions_total",
                                               "Executions that ended.", SA_LABELS("status"));
    all->execution_seconds =
        sa_metric_series(sa_metrics_histogram(m, "secureagent_execution_seconds",
                                              "Time that executions took.", NULL, NULL, 0),
                         NULL);
    sa_metrics_gauge_fn(m, "secureagent_spool_file_bytes", "Output of executions kept in files.",
                        read_file_bytes, all);
    sa_metrics_gauge_fn(m, "secureagent_spool_memory_bytes", "Output of executions kept in memory.",
                        read_memory_bytes, all);
}

struct sa_executions *sa_executions_new(const struct sa_executions_options *options,
                                        struct sa_error *err)
{
    struct sa_executions *all = sa_alloc(sizeof *all);
    all->loop = options->loop;
    all->store = options->store;
    all->spools =
        sa_spools_new(&(struct sa_spools_options){.loop = options->loop,
                                                  .folder = options->spool_folder,
                                                  .ring_bytes = options->spool_bytes,
                                                  .total_bytes = options->spool_total_bytes,
                                                  .relieve = relieve,
                                                  .owner = all},
                      err);
    if (!all->spools) {
        free(all);
        return NULL;
    }
    add_metrics(all, options->metrics);
    execution_due_init(all);
    return all;
}

static void on_idle_closed(uv_handle_t *handle)
{
    struct sa_executions *all = handle->data;
    sa_spools_free(all->spools);
    free(all);
}

void sa_executions_set_contexts(struct sa_executions *all, struct sa_contexts *contexts)
{
    all->contexts = contexts;
}

struct sa_contexts *sa_executions_contexts(const struct sa_executions *all)
{
    return all->contexts;
}

void sa_executions_free(struct sa_executions *all)
{
    struct exec_box *box, *tmp;
    if (!all)
        return;
    HASH_ITER (hh, all->boxes, box, tmp)
        sa_executions_forget(all, box->sandbox_id);
    uv_close((uv_handle_t *)&all->check, NULL);
    uv_close((uv_handle_t *)&all->idle, on_idle_closed);
}

static struct exec_box *box_of(struct sa_executions *all, const char *sandbox_id)
{
    struct exec_box *box;
    HASH_FIND_STR(all->boxes, sandbox_id, box);
    if (box)
        return box;
    box = sa_alloc(sizeof *box);
    snprintf(box->sandbox_id, sizeof box->sandbox_id, "%s", sandbox_id);
    HASH_ADD_STR(all->boxes, sandbox_id, box);
    return box;
}

static void release_box(struct sa_executions *all, struct exec_box *box)
{
    if (box->running || box->ended)
        return;
    HASH_DEL(all->boxes, box);
    free(box);
}

void sa_executions_forget(struct sa_executions *all, const char *sandbox_id)
{
    struct exec_box *box;
    HASH_FIND_STR(all->boxes, sandbox_id, box);
    if (!box)
        return;
    box->gone = true;
    for (size_t left = box->ended_count; left; left--)
        /* The last one takes the box with it, if nothing runs. */
        forget(box->ended); /* NOLINT: it takes itself off the list */
}

struct sa_execution *sa_execution_find(struct sa_executions *all, const char *sandbox_id,
                                       const char *id)
{
    struct sa_execution *e;
    HASH_FIND_STR(all->by_id, id, e);
    return e && strcmp(e->sandbox_id, sandbox_id) == 0 ? e : NULL;
}

int64_t sa_executions_running(struct sa_executions *all, const char *sandbox_id)
{
    const struct exec_box *box;
    HASH_FIND_STR(all->boxes, sandbox_id, box);
    return box ? (int64_t)box->running : 0;
}

/* ---- one of them ---- */

int sa_executions_check(struct sa_executions *all, struct sa_sandbox *sandbox, struct sa_error *err)
{
    const struct exec_box *box;
    HASH_FIND_STR(all->boxes, sa_sandbox_id(sandbox), box);
    if (!box || box->running < SA_EXECUTIONS_RUNNING_MAX)
        return 0;
    return sa_error_set(err, SA_EQUOTA,
                        "%zu executions run in this sandbox, which is the limit; cancel some, or "
                        "wait",
                        box->running);
}

static void on_spool_writable(void *user)
{
    execution_make_due(user);
}

static const struct sa_spool_events spool_events = {.writable = on_spool_writable};

struct sa_execution *sa_execution_new(struct sa_executions *all, struct sa_sandbox *sandbox,
                                      const struct sa_execution_meta *meta,
                                      const struct sa_source_ops *ops, void *source,
                                      struct sa_error *err)
{
    if (sa_executions_check(all, sandbox, err) < 0)
        return NULL;
    struct exec_box *box = box_of(all, sa_sandbox_id(sandbox));
    struct sa_execution *e = sa_alloc(sizeof *e);
    sa_id_new("ex-", e->id);
    memcpy(e->sandbox_id, box->sandbox_id, sizeof e->sandbox_id);
    e->all = all;
    e->box = box;
    e->known = true;
    e->kind = sa_strdup(meta->kind);
    e->summary = sa_strndup(meta->summary, strnlen(meta->summary, SA_STORE_COMMAND_MAX));
    e->context = meta->context ? sa_strdup(meta->context) : NULL;
    e->tty = meta->tty;
    e->input_open = meta->input_open;
    e->ops = ops;
    e->source = source;
    e->spool = sa_spool_new(all->spools, &spool_events, e);
    e->started_ms = sa_wall_ms();
    e->started_us = sa_monotonic_us();
    e->result.exit_code = -1;
    e->result.status = "running";
    box->running++;
    e->sandbox = sandbox;
    sa_sandbox_hold(sandbox);
    HASH_ADD_STR(all->by_id, id, e);
    execution_record(e);
    return e;
}

static void destroy(struct sa_execution *e)
{
    execution_undue(e);
    if (e->expendable)
        DL_DELETE(e->all->expendable, e);
    if (e->answer)
        sa_answer_deinit(e->answer);
    free(e->answer);
    free(e->not_recorded);
    if (e->recording)
        e->recording->execution = NULL;
    sa_spool_free(e->spool);
    free(e->kind);
    free(e->summary);
    free(e->context);
    free(e);
}

void execution_release(struct sa_execution *e)
{
    if (!e->known && !e->readers && !e->input_waits && !e->pins)
        destroy(e);
}

/* It has ended, and is not to be found any more. */
static void forget(struct sa_execution *e)
{
    struct sa_executions *all = e->all;
    struct exec_box *box = e->box;
    HASH_DEL(all->by_id, e);
    DL_DELETE2(box->ended, e, box_prev, box_next); /* NOLINT: utlist */
    box->ended_count--;
    e->known = false;
    e->box = NULL;
    release_box(all, box);
    execution_release(e);
}

void sa_execution_started(struct sa_execution *e, int64_t pid)
{
    if (e->is_started || e->ended)
        return;
    e->is_started = true;
    e->pid = pid;
    execution_wake_readers(e);
}

static void append_oversized(struct sa_execution *e, enum sa_item_kind kind, size_t length)
{
    char note[256];
    int n = snprintf(note, sizeof note,
                     kind == SA_ITEM_RESULT
                         ? "{\"data\":{\"text/plain\":\"(%zu bytes; at most %d are kept)\"},"
                           "\"main\":false}"
                         : "{\"name\":\"TooLarge\",\"value\":\"(%zu bytes; at most %d are kept)\","
                           "\"traceback\":\"\"}",
                     length, SA_SPOOL_ITEM_MAX);
    sa_execution_append(e, kind == SA_ITEM_RESULT ? kind : SA_ITEM_ERROR, note, (size_t)n);
}

bool sa_execution_append(struct sa_execution *e, enum sa_item_kind kind, const void *data,
                         size_t length)
{
    bool bytes = kind == SA_ITEM_STDOUT || kind == SA_ITEM_STDERR;
    if (e->ended || (bytes && !length))
        return !e->held;
    if (!bytes && length > SA_SPOOL_ITEM_MAX) {
        append_oversized(e, kind, length);
        return !e->held;
    }
    sa_spool_append(e->spool, kind, data, length);
    if (e->answer)
        sa_answer_add(e->answer, kind, data, length);
    execution_wake_readers(e);
    if (sa_spool_is_full(e->spool) || execution_is_ahead(e, SA_EXECUTION_AHEAD_MAX))
        e->held = true;
    return !e->held;
}

void sa_execution_input_writable(struct sa_execution *e)
{
    e->input_due = true;
    execution_make_due(e);
}

static void copy_result(struct sa_execution *e, const struct sa_exec_result *result)
{
    e->result = *result;
    if (result->error) {
        e->error = *result->error;
        e->result.error = &e->error;
    }
    if (!e->result.duration_us && e->is_started)
        e->result.duration_us = sa_monotonic_us() - e->started_us;
}

void sa_execution_finish(struct sa_execution *e, const struct sa_exec_result *result)
{
    struct sa_executions *all = e->all;
    struct exec_box *box = e->box;
    copy_result(e, result);
    e->ended = true;
    e->source = NULL;
    e->input_open = e->held = false;
    sa_spool_end(e->spool);
    sa_counter_add(sa_metric_series(all->executions_total, SA_VALUES(e->result.status)), 1);
    sa_histogram_observe(all->execution_seconds, (double)e->result.duration_us / 1e6);
    execution_record(e);
    execution_store_answer(e);
    box->running--;
    if (!box->gone)
        sa_sandbox_release(e->sandbox);
    box->ended_count++;
    DL_APPEND2(box->ended, e, box_prev, box_next);
    e->expendable = sa_spool_to(e->spool) > sa_spool_from(e->spool);
    if (e->expendable)
        DL_APPEND(all->expendable, e);
    execution_wake_readers(e);
    sa_execution_input_writable(e);
    if (box->gone)
        forget(e);
    else if (box->ended_count > SA_EXECUTIONS_KEPT_MAX)
        forget(box->ended);
}
