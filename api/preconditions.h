/*
 * Conditional and range requests: RFC 9110, sections 8.8 (validators), 13 (preconditions) and 14
 * (ranges). Pure functions over header texts.
 */
#ifndef SA_API_PRECONDITIONS_H
#define SA_API_PRECONDITIONS_H

#include "http/http.h"
#include "link/fields.h"

struct sa_preconditions {
    /* Texts as they came, lists joined by commas; NULL: not given. */
    const char *if_match, *if_none_match, *if_range;
    int64_t if_modified_since_s, if_unmodified_since_s; /* SA_NO_TIME: not given, or no date */
};
#define SA_NO_TIME INT64_MIN

void sa_preconditions_read(struct sa_http_request *request, struct sa_preconditions *out);

enum sa_precondition { SA_PRECONDITION_GO, SA_PRECONDITION_NOT_MODIFIED, SA_PRECONDITION_FAILED };
/* For GET and HEAD of what has this (strong, quoted) ETag and time: go on, 304, or 412 with `err`
 * saying which header it was. */
enum sa_precondition sa_preconditions_check(const struct sa_preconditions *conditions,
                                            const char *etag, int64_t modified_s,
                                            struct sa_error *err);
/* If-Range allows a range, or is absent. */
bool sa_preconditions_allow_range(const struct sa_preconditions *conditions, const char *etag,
                                  int64_t modified_s);
/* The conditions of a write, for the runtime to check when it replaces: SA_FILE_IF_* fields. */
void sa_preconditions_add(const struct sa_preconditions *conditions, struct sa_buf *body);

/* The next member of a list of entity tags: 1, 0 at the end, -1 when the list is malformed. */
struct sa_etag {
    const char *tag; /* opaque, without its quotes */
    size_t length;
    bool weak, any; /* any: it was a star, not a tag */
};
int sa_etag_next(const char **list, struct sa_etag *etag);

/* IMF-fixdate and the two old forms, as seconds since 1970; SA_NO_TIME when it is none. */
int64_t sa_http_date_parse(const char *text);
enum { SA_HTTP_DATE_BYTES = 32 };
void sa_http_date(int64_t seconds, char out[SA_HTTP_DATE_BYTES]);

/* One range: first to last (-1: to the end), or the last `suffix` bytes (-1: none). */
struct sa_range {
    int64_t first, last, suffix;
};
/* False: no range of bytes, malformed, or more than one: the header is to be ignored. */
bool sa_range_parse(const char *text, struct sa_range *out);
/* Which part of `size` bytes it is. False: none (416). */
bool sa_range_of(const struct sa_range *range, int64_t size, int64_t *offset, int64_t *length);

#endif
