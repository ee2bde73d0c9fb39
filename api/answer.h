/* The answer of `execute` as a whole: outputs, results and error collected from an execution's
 * pieces; the first of them (for who waits) or the last (for the store). */
#ifndef SA_API_ANSWER_H
#define SA_API_ANSWER_H

#include "api/execution.h"

enum {
    SA_ANSWER_RESULTS_MAX = 16 * 1024 * 1024, /* bytes of the results that a waiting client gets */
    SA_ANSWER_TAIL_MAX = 64 * 1024,           /* of each output, and of the results, in the store */
};

struct sa_answer { /* zeroes to begin with, and main_result -1 */
    bool tail;     /* keep the last SA_ANSWER_TAIL_MAX, not the first SA_EXECUTION_WHOLE_MAX */
    struct sa_buf outputs[2];
    bool cut[2];
    struct sa_buf results; /* mime bundles with commas between */
    size_t result_count;
    int64_t main_result; /* -1: none */
    struct sa_buf error; /* {"name","value","traceback"}, or empty */
    /* Prints further members; NULL: none. */
    void (*more)(const struct sa_answer *answer, struct sa_json_w *w);
};
void sa_answer_init(struct sa_answer *answer, bool tail);
void sa_answer_add(struct sa_answer *answer, enum sa_item_kind kind, const void *data,
                   size_t length);
/* The last bytes have come: cut to size, at whole characters. */
void sa_answer_end(struct sa_answer *answer);
void sa_answer_deinit(struct sa_answer *answer);
/* The whole object. */
void sa_answer_print(struct sa_answer *answer, const char *id, const struct sa_exec_result *result,
                     struct sa_json_w *w);

#endif
