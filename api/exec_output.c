#include "api/exec_output.h"

#include "model/signals.h"

void sa_exec_error_print(const struct sa_error *error, struct sa_json_w *w)
{
    sa_json_put_string(w, "name", sa_code_name(error->code));
    sa_json_put_string(w, "value", error->message);
    sa_json_put_string(w, "traceback", "");
}

void sa_exec_result_print(const struct sa_exec_result *result, struct sa_json_w *w)
{
    char name[16];
    sa_json_put_string(w, "status", result->status);
    if (result->exit_code >= 0)
        sa_json_put_int(w, "exitCode", result->exit_code);
    else
        sa_json_put_null(w, "exitCode");
    if (result->signal)
        sa_json_put_string(w, "signal", sa_signal_name(result->signal, name, sizeof name));
    sa_json_put_object(w, "truncated");
    sa_json_put_bool(w, "stdout", result->truncated[SA_CHANNEL_OUT]);
    sa_json_put_bool(w, "stderr", result->truncated[SA_CHANNEL_ERR]);
    sa_json_w_end_object(w);
    if (result->error) {
        sa_json_put_object(w, "error");
        sa_exec_error_print(result->error, w);
        sa_json_w_end_object(w);
    }
    sa_json_put_double(w, "durationMs", (double)result->duration_us / 1000.0);
    sa_json_put_object(w, "usage");
    sa_json_put_int(w, "cpuMs", result->cpu_us / 1000);
    sa_json_put_int(w, "memoryPeakBytes", result->memory_peak_bytes);
    sa_json_w_end_object(w);
}

void sa_piece_print(const struct sa_piece *piece, struct sa_json_w *w)
{
    static const char *const types[] = {
        [SA_ITEM_STDOUT] = "stdout", [SA_ITEM_STDERR] = "stderr", [SA_ITEM_RESULT] = "result",
        [SA_ITEM_ERROR] = "error",   [SA_ITEM_INPUT] = "input",
    };
    sa_json_put_string(w, "type", types[piece->kind]);
    sa_json_put_int(w, "offset", piece->offset);
    if (piece->kind == SA_ITEM_STDOUT || piece->kind == SA_ITEM_STDERR)
        sa_json_w_bytes(w, "data", piece->data, piece->length);
    else
        sa_json_w_raw_members(w, piece->data, piece->length);
}
