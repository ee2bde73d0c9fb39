/*
 * Reading answers of servers that are not trusted: bytes in, events out, no I/O and no callbacks.
 * llhttp (strict) does the grammar of RFC 9112, and what others might read differently than we do
 * is refused, as for requests (parser.h): whoever passes the answer on must not be made to frame it
 * wrongly.
 */
#ifndef SA_HTTP_ANSWER_H
#define SA_HTTP_ANSWER_H

#include "http/http.h"

enum {
    SA_HTTP_ANSWER_HEAD_BYTES_MAX = 64 * 1024,
    SA_HTTP_ANSWER_HEADERS_MAX = 128,
};

enum sa_http_answer_event {
    SA_HTTP_ANSWER_NEED_MORE,
    SA_HTTP_ANSWER_HEAD, /* sa_http_answer_head() is valid until the next one; 1xx are followed by
                            another */
    SA_HTTP_ANSWER_BODY,
    SA_HTTP_ANSWER_END, /* bytes that are left are not of this answer */
    SA_HTTP_ANSWER_BAD, /* *why says what; the parser is of no further use */
};

enum { SA_HTTP_ANSWER_CHUNKED = -1, SA_HTTP_ANSWER_UNTIL_CLOSE = -2 };

struct sa_http_answer_header {
    const char *name, *value;
};
struct sa_http_answer_head {
    int status; /* 100 to 599 */
    const struct sa_http_answer_header *headers;
    size_t header_count;
    int64_t content_length; /* of the body that comes, or as above */
    int64_t said_length;    /* Content-Length where no body comes (HEAD, 304); -1: none */
    bool keep_alive;
    bool upgrade; /* 101: what follows is no HTTP any more, and is left alone */
};

struct sa_http_answer;

struct sa_http_answer *sa_http_answer_new(void);
void sa_http_answer_free(struct sa_http_answer *answer); /* NULL is allowed */
/* Begin the next answer: to a request that was HEAD, or was not. */
void sa_http_answer_begin(struct sa_http_answer *answer, bool to_head);
/* Use up bytes from the front of (*data, *length) until there is an event; `body` is set for
 * SA_HTTP_ANSWER_BODY and points into the data. */
enum sa_http_answer_event sa_http_answer_next(struct sa_http_answer *answer, const char **data,
                                              size_t *length, struct sa_http_text *body,
                                              const char **why);
/* The server has closed: END where that is how the body ends, else BAD. */
enum sa_http_answer_event sa_http_answer_eof(struct sa_http_answer *answer, const char **why);
const struct sa_http_answer_head *sa_http_answer_head(const struct sa_http_answer *answer);
/* First value of a header, NULL when absent. */
const char *sa_http_answer_find(const struct sa_http_answer_head *head, const char *name);

#endif
