/* How an execution's end and output are printed; shared by the waiting and the streamed form. */
#ifndef SA_API_EXEC_OUTPUT_H
#define SA_API_EXEC_OUTPUT_H

#include "api/execution.h"

/* The members of the answer that follow the output: status, exitCode, signal, truncated,
 * results, error, durationMs, usage. The caller opened the object and wrote `id`. */
void sa_exec_result_print(const struct sa_exec_result *result, struct sa_json_w *w);

/*
 * Cuts one channel's bytes into pieces that are whole UTF-8, keeping a split character back until
 * its rest comes. `emit` gets each piece with its offset.
 */
struct sa_utf8_cut {
    char kept[4];
    size_t kept_length;
};
typedef void (*sa_utf8_emit)(void *user, const void *data, size_t length, int64_t offset);
/* `offset` is that of data[0]. With `last` nothing is kept back. */
void sa_utf8_cut_feed(struct sa_utf8_cut *cut, const char *data, size_t length, int64_t offset,
                      bool last, sa_utf8_emit emit, void *user);

#endif
