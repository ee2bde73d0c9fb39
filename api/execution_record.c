/* Executions as the store keeps them, and as JSON. */
#include "api/execution_private.h"

#include "api/exec_output.h"
#include "api/exec_record.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdlib.h>

static void fill(const struct sa_execution *e, struct sa_store_execution *row)
{
    const struct sa_exec_result *r = &e->result;
    *row = (struct sa_store_execution){.id = e->id,
                                       .sandbox = e->sandbox_id,
                                       .kind = e->kind,
                                       .context = e->context,
                                       .status = r->status,
                                       .reason = r->error ? r->error->message : "",
                                       .command = e->summary,
                                       .exit_code = r->exit_code,
                                       .signal = r->signal,
                                       .started_ms = e->started_ms,
                                       .duration_us = r->duration_us,
                                       .cpu_us = r->cpu_us,
                                       .memory_peak_bytes = r->memory_peak_bytes,
                                       .out_total = r->totals[SA_CHANNEL_OUT],
                                       .err_total = r->totals[SA_CHANNEL_ERR],
                                       .out_truncated = r->truncated[SA_CHANNEL_OUT],
                                       .err_truncated = r->truncated[SA_CHANNEL_ERR],
                                       .tty = e->tty};
}

void execution_record(const struct sa_execution *e)
{
    struct sa_store_execution row;
    struct sa_error error;
    fill(e, &row);
    if (sa_store_put_execution(e->all->store, &row, NULL, NULL, &error) < 0)
        sa_log_error("execution not recorded", SA_LOG_S("execution", e->id), SA_LOG_ERR(&error));
}

/* ---- before its id is told ---- */

static void not_recorded(struct sa_execution *e, const struct sa_error *err)
{
    e->not_recorded = sa_alloc(sizeof *e->not_recorded);
    *e->not_recorded = *err;
    e->not_recorded->code = SA_EUNAVAILABLE; /* whatever it is, it is not the request's fault */
    sa_error_wrap(e->not_recorded, "the execution cannot be recorded");
}

static void on_recorded(void *user, const struct sa_error *err)
{
    struct recording *recording = user;
    struct sa_execution *e = recording->execution;
    free(recording);
    if (!e)
        return;
    e->recording = NULL;
    if (err)
        not_recorded(e, err);
    execution_wake_readers(e);
}

void sa_execution_record_first(struct sa_execution *e)
{
    struct sa_store_execution row;
    struct sa_error error;
    if (e->recording || e->ended)
        return;
    struct recording *recording = sa_alloc(sizeof *recording);
    recording->execution = e;
    fill(e, &row);
    if (sa_store_put_execution(e->all->store, &row, on_recorded, recording, &error) == 0) {
        e->recording = recording;
        return;
    }
    free(recording);
    not_recorded(e, &error);
}

bool sa_execution_is_recording(const struct sa_execution *e)
{
    return e->recording;
}

const struct sa_error *sa_execution_unrecorded(const struct sa_execution *e)
{
    return e->not_recorded;
}

void execution_store_answer(struct sa_execution *e)
{
    struct sa_error error;
    if (!e->answer)
        return;
    if (sa_exec_answer_store(e->all->store, e->id, e->answer, &error) < 0)
        sa_log_error("answer not recorded", SA_LOG_S("execution", e->id), SA_LOG_ERR(&error));
    sa_answer_deinit(e->answer);
    free(e->answer);
    e->answer = NULL;
}

void sa_execution_print(const struct sa_execution *e, struct sa_json_w *w)
{
    struct sa_store_execution row;
    struct sa_exec_view view = {.record = &row, .error = e->result.error, .pid = e->pid};
    fill(e, &row);
    if (!e->ended)
        row.duration_us = sa_monotonic_us() - e->started_us;
    view.has_output = true;
    view.output_from = sa_execution_output_from(e);
    view.output_to = sa_execution_output_to(e);
    sa_exec_view_print(&view, w);
}
