/*
 * The parser layer: bytes in, events out, no I/O and no callbacks. llhttp (strict) does the
 * grammar of RFC 9112; what it lets pass and other HTTP software might read differently (request
 * smuggling) is refused here: bare CR or LF, NUL and other control characters, folded headers,
 * doubtful Content-Length, Transfer-Encoding and Host, targets that are not what they seem.
 *
 * Internal to core/http; also what the fuzz target feeds.
 */
#ifndef SA_HTTP_PARSER_H
#define SA_HTTP_PARSER_H

#include "http/http.h"

struct sa_http_parser_limits {
    unsigned headers_max;
    size_t header_bytes_max;
    size_t target_bytes_max;
    unsigned query_max;
};

enum { SA_HTTP_SEGMENTS_MAX = 128 };

enum sa_http_event {
    SA_HTTP_NEED_MORE, /* all bytes were used; feed more */
    SA_HTTP_HEAD,      /* sa_http_parser_head() is filled, valid until the next HEAD begins */
    SA_HTTP_BODY,      /* a piece of the body */
    SA_HTTP_END,       /* the body is complete; not sent for requests without one */
    SA_HTTP_BAD,       /* see sa_http_parser_refusal(); the parser is of no further use */
};

struct sa_http_pair {
    const char *name, *value;
};

struct sa_http_head {
    const char *method;
    const char *target; /* as sent */
    const char *path;   /* of the target, not decoded; "*" for OPTIONS * */
    const struct sa_http_text *segments;
    size_t segment_count;
    const struct sa_http_pair *query;
    size_t query_count;
    const struct sa_http_pair *headers;
    size_t header_count;
    int64_t content_length; /* -1: chunked; 0: no body */
    bool http_1_0;
    bool keep_alive;      /* what the client wants */
    bool upgrade;         /* Connection: upgrade with an Upgrade header */
    bool expect_continue; /* Expect: 100-continue, and a body */
    bool is_head;         /* method HEAD */
};

struct sa_http_parser;

struct sa_http_parser *sa_http_parser_new(const struct sa_http_parser_limits *limits);
void sa_http_parser_free(struct sa_http_parser *parser); /* NULL is allowed */

/* Use up bytes from the front of (*data, *length) until there is an event. `body` is set for
 * SA_HTTP_BODY and points into the data. */
enum sa_http_event sa_http_parser_next(struct sa_http_parser *parser, const char **data,
                                       size_t *length, struct sa_http_text *body);
const struct sa_http_head *sa_http_parser_head(const struct sa_http_parser *parser);
/* First value of a header, NULL when absent. */
const char *sa_http_head_find(const struct sa_http_head *head, const char *name);
/* Bytes of a counted body that were not handed out yet; -1 for chunked ones that go on. */
int64_t sa_http_parser_body_left(const struct sa_http_parser *parser);
/* After SA_HTTP_BAD: the HTTP status (400, 414, 417, 431, 505) and why. */
int sa_http_parser_refusal(const struct sa_http_parser *parser, const char **why);

#endif
