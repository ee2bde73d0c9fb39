/* Answering requests with an execution: whole, or as a stream from some offset. Each takes the
 * request; when the client goes the execution goes on. */
#ifndef SA_API_EXEC_REPLY_H
#define SA_API_EXEC_REPLY_H

#include "api/answer.h"
#include "http/http.h"

enum sa_reply_form { SA_REPLY_JSON, SA_REPLY_NDJSON, SA_REPLY_SSE };
/* What the client wants, by Accept. */
enum sa_reply_form sa_reply_form(const struct sa_http_request *request);

/* 202 with the resource, once its record is written; an execution whose record cannot be written
 * is cancelled. */
void sa_reply_accepted(struct sa_http_request *request, struct sa_execution *execution);
/* The answer of execute, once it has ended. */
void sa_reply_whole(struct sa_http_request *request, struct sa_execution *execution);
/* The same with the members that `more` prints, from what was collected. */
void sa_reply_whole_with(struct sa_http_request *request, struct sa_execution *execution,
                         void (*more)(const struct sa_answer *answer, struct sa_json_w *w));
/* Its items from `offset` on. With `follow` as they come, until the end; else what is there.
 * As JSON: {"items", "next", "ended"}, a bounded part of it; `follow` waits for the first item. */
void sa_reply_output(struct sa_http_request *request, struct sa_execution *execution,
                     enum sa_reply_form form, int64_t offset, bool follow);
/* As a stream (NDJSON or SSE), from what the store has. */
void sa_reply_recorded(struct sa_http_request *request, enum sa_reply_form form, const char *id,
                       const struct sa_exec_result *result, const struct sa_answer *answer);
/* {"type":"exited","id",...} as members of an object. */
void sa_reply_print_exited(const char *id, const struct sa_exec_result *result,
                           struct sa_json_w *w);

#endif
