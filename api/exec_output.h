/* How an execution's output and end are printed, wherever they go. */
#ifndef SA_API_EXEC_OUTPUT_H
#define SA_API_EXEC_OUTPUT_H

#include "api/execution.h"

/* Members of an object that the caller opened: status, exitCode, signal, truncated, error,
 * durationMs, usage. */
void sa_exec_result_print(const struct sa_exec_result *result, struct sa_json_w *w);
/* {"name","value","traceback"} of what went wrong outside of the program, as members. */
void sa_exec_error_print(const struct sa_error *error, struct sa_json_w *w);
/* A piece as members: type, offset, and data and encoding, or those of the item. */
void sa_piece_print(const struct sa_piece *piece, struct sa_json_w *w);

#endif
