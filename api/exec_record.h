/* Executions that are in the store only: their record, and the end of their output if it was
 * kept; as JSON. */
#ifndef SA_API_EXEC_RECORD_H
#define SA_API_EXEC_RECORD_H

#include "api/answer.h"

/* The Execution resource. */
struct sa_exec_view {
    const struct sa_store_execution *record;
    const struct sa_error *error; /* NULL: the record's reason, if there is one */
    int64_t pid;                  /* 0: none */
    bool has_output;
    int64_t output_from, output_to;
};
void sa_exec_view_print(const struct sa_exec_view *view, struct sa_json_w *w);

/* The end of a recorded execution; `error` holds what result->error points at. */
void sa_exec_result_from_record(const struct sa_store_execution *record, struct sa_error *error,
                                struct sa_exec_result *result);

int sa_exec_answer_store(struct sa_store *store, const char *id, struct sa_answer *answer,
                         struct sa_error *err);
/* What the store has of it; nothing where it has nothing. Deinit `answer`. */
void sa_exec_answer_from_store(const struct sa_store_output *output, struct sa_answer *answer);

#endif
