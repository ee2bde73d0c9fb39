#include "api/exec_record.h"

#include "api/exec_output.h"
#include "base/clock.h"
#include "json/base64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *known_status(const char *status)
{
    static const char *const known[] = {"running", "exited",   "signaled", "timeout",
                                        "oom",     "canceled", "failed"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], status) == 0)
            return known[i];
    return "failed";
}

void sa_exec_result_from_record(const struct sa_store_execution *r, struct sa_error *error,
                                struct sa_exec_result *result)
{
    *result = (struct sa_exec_result){
        .status = known_status(r->status),
        .exit_code = (int)r->exit_code,
        .signal = (int)r->signal,
        .duration_us = r->duration_us,
        .cpu_us = r->cpu_us,
        .memory_peak_bytes = r->memory_peak_bytes,
        .totals = {[SA_CHANNEL_OUT] = r->out_total, [SA_CHANNEL_ERR] = r->err_total},
        .truncated = {[SA_CHANNEL_OUT] = r->out_truncated, [SA_CHANNEL_ERR] = r->err_truncated}};
    if (!r->reason || !r->reason[0])
        return;
    *error = (struct sa_error){.code = SA_EUNAVAILABLE};
    snprintf(error->message, sizeof error->message, "%s", r->reason);
    result->error = error;
}

void sa_exec_view_print(const struct sa_exec_view *view, struct sa_json_w *w)
{
    const struct sa_store_execution *r = view->record;
    struct sa_exec_result result;
    struct sa_error error;
    char time[SA_RFC3339_BYTES];
    sa_exec_result_from_record(r, &error, &result);
    if (view->error)
        result.error = view->error;
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "id", r->id);
    sa_json_put_string(w, "sandbox", r->sandbox);
    if (r->context && r->context[0])
        sa_json_put_string(w, "context", r->context);
    sa_json_put_string(w, "kind", r->kind);
    sa_json_put_string(w, "command", r->command);
    if (view->pid)
        sa_json_put_int(w, "pid", view->pid);
    sa_json_put_bool(w, "tty", r->tty);
    sa_rfc3339(r->started_ms, time);
    sa_json_put_string(w, "startedAt", time);
    if (strcmp(result.status, "running") != 0) {
        sa_rfc3339(r->started_ms + r->duration_us / 1000, time);
        sa_json_put_string(w, "endedAt", time);
    }
    sa_exec_result_print(&result, w);
    if (view->has_output) {
        sa_json_put_object(w, "output");
        sa_json_put_int(w, "from", view->output_from);
        sa_json_put_int(w, "to", view->output_to);
        sa_json_w_end_object(w);
    }
    sa_json_w_end_object(w);
}

/* Bytes of any kind become text for the store. */
static char *as_base64(const struct sa_buf *bytes)
{
    struct sa_buf text = SA_BUF_INIT;
    sa_base64_encode(bytes->data, bytes->length, &text);
    return sa_buf_steal(&text);
}

int sa_exec_answer_store(struct sa_store *store, const char *id, struct sa_answer *answer,
                         struct sa_error *err)
{
    sa_answer_end(answer);
    char *out = as_base64(&answer->outputs[0]), *errors = as_base64(&answer->outputs[1]);
    struct sa_store_output row = {.execution = id,
                                  .out = out,
                                  .err = errors,
                                  .out_cut = answer->cut[0],
                                  .err_cut = answer->cut[1],
                                  .results = answer->results.data,
                                  .main_result = answer->main_result,
                                  .error = answer->error.data,
                                  .created_ms = sa_wall_ms()};
    int rc = sa_store_put_output(store, &row, NULL, NULL, err);
    free(out);
    free(errors);
    return rc;
}

void sa_exec_answer_from_store(const struct sa_store_output *output, struct sa_answer *answer)
{
    sa_answer_init(answer, true);
    sa_base64_decode(output->out, strlen(output->out), &answer->outputs[0], NULL);
    sa_base64_decode(output->err, strlen(output->err), &answer->outputs[1], NULL);
    answer->cut[0] = output->out_cut;
    answer->cut[1] = output->err_cut;
    sa_buf_adds(&answer->results, output->results);
    answer->main_result = output->main_result;
    sa_buf_adds(&answer->error, output->error);
}
