/*
 * Request targets (RFC 9112, 3.2): split, then decode, in that order, so that an encoded slash
 * never becomes a separator. Internal to core/http.
 */
#ifndef SA_HTTP_TARGET_H
#define SA_HTTP_TARGET_H

#include "base/buf.h"
#include "http/parser.h"

struct sa_http_target {
    char *path; /* raw, in `text` */
    struct sa_http_text *segments;
    size_t segment_count, segment_capacity;
    struct sa_http_pair *query;
    size_t query_count, query_capacity;
    struct sa_buf text; /* what the pointers point into */
};

void sa_http_target_deinit(struct sa_http_target *target);
/* Parse `raw` (reusing the memory of an earlier call). NULL, or what is wrong with it. `host` is
 * the value of the Host header (or NULL), which an absolute-form target must agree with. */
const char *sa_http_target_parse(struct sa_http_target *target, const char *method, const char *raw,
                                 size_t length, const char *host, unsigned query_max);
/* uri-host [":" port] (RFC 9110, 7.2), not empty. */
bool sa_http_host_valid(const char *host);

#endif
