#include "api/exec_output.h"

#include "base/utf8.h"
#include "model/signals.h"

#include <string.h>

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
    sa_json_put_array(w, "results");
    sa_json_w_end_array(w);
    if (result->error) {
        sa_json_put_object(w, "error");
        sa_json_put_string(w, "name", sa_code_name(result->error->code));
        sa_json_put_string(w, "value", result->error->message);
        sa_json_put_string(w, "traceback", "");
        sa_json_w_end_object(w);
    }
    sa_json_put_double(w, "durationMs", (double)result->duration_us / 1000.0);
    sa_json_put_object(w, "usage");
    sa_json_put_int(w, "cpuMs", result->cpu_us / 1000);
    sa_json_put_int(w, "memoryPeakBytes", result->memory_peak_bytes);
    sa_json_w_end_object(w);
}

/* Completes the kept character with the first bytes of `data`; returns how many it took. */
static size_t complete(struct sa_utf8_cut *cut, const char *data, size_t length, int64_t offset,
                       sa_utf8_emit emit, void *user)
{
    size_t take = 0;
    while (take < length && cut->kept_length < sizeof cut->kept &&
           sa_utf8_partial_tail(cut->kept, cut->kept_length) == cut->kept_length &&
           ((unsigned char)data[take] & 0xC0) == 0x80)
        cut->kept[cut->kept_length++] = data[take++];
    if (take == length && sa_utf8_partial_tail(cut->kept, cut->kept_length) == cut->kept_length)
        return take; /* still not whole */
    emit(user, cut->kept, cut->kept_length, offset + (int64_t)take - (int64_t)cut->kept_length);
    cut->kept_length = 0;
    return take;
}

void sa_utf8_cut_feed(struct sa_utf8_cut *cut, const char *data, size_t length, int64_t offset,
                      bool last, sa_utf8_emit emit, void *user)
{
    if (cut->kept_length && length) {
        size_t took = complete(cut, data, length, offset, emit, user);
        data += took;
        length -= took;
        offset += (int64_t)took;
    }
    if (last && cut->kept_length) {
        emit(user, cut->kept, cut->kept_length, offset - (int64_t)cut->kept_length);
        cut->kept_length = 0;
    }
    size_t keep = last ? 0 : sa_utf8_partial_tail(data, length);
    if (length > keep)
        emit(user, data, length - keep, offset);
    if (keep) {
        memcpy(cut->kept, data + length - keep, keep);
        cut->kept_length = keep;
    }
}
