/*
 * The parser layer, see parser.h. llhttp is driven as a pull parser: each callback that makes an
 * event pauses it, and after each run guard() looks at the bytes it used as framing (everything
 * but the contents of chunks) before the event is believed.
 */
#include "http/parser.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "http/target.h"

#include <assert.h>
#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CHUNK_EXTENSION_BYTES_MAX = 4096 };

enum stage {
    STAGE_HEAD,
    STAGE_COUNTED, /* body of known length: llhttp does not see it */
    STAGE_CHUNKED,
    STAGE_BAD,
};

struct span { /* of `text`, which moves as it grows */
    size_t name, value;
};

struct sa_http_parser {
    llhttp_t llhttp;
    struct sa_http_parser_limits limits;
    enum stage stage;
    enum sa_http_event event; /* of the current run */
    struct sa_http_text body;
    int status; /* of the refusal */
    const char *why;

    struct sa_buf text;  /* target and headers, each ended by NUL */
    size_t target_bytes; /* of it, the target's */
    struct span *spans;
    struct sa_http_pair *headers;
    size_t header_count, header_capacity;
    bool named;    /* the header that is being read has a name so far */
    bool in_value; /* the last one is complete */

    size_t framing_bytes;   /* since the head began or the last piece of body */
    size_t extension_bytes; /* chunk extensions of this body */
    unsigned trailer_count;
    unsigned char previous; /* framing byte before the current one */
    bool in_request_line;

    int64_t body_left;
    struct sa_http_target target;
    struct sa_http_head head;
};

static int refuse(struct sa_http_parser *p, int status, const char *why)
{
    if (p->stage != STAGE_BAD) {
        p->stage = STAGE_BAD;
        p->status = status;
        p->why = why;
    }
    p->event = SA_HTTP_BAD;
    return -1;
}

/* ---- llhttp's callbacks ---- */

static int on_url(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_parser *p = llhttp->data;
    if (p->text.length + length > p->limits.target_bytes_max)
        return refuse(p, 414, "the target is too long");
    sa_buf_add(&p->text, at, length);
    return 0;
}

static int on_url_complete(llhttp_t *llhttp)
{
    struct sa_http_parser *p = llhttp->data;
    sa_buf_addc(&p->text, '\0');
    p->target_bytes = p->text.length;
    return 0;
}

/* Text of a header; header_bytes_max counts names, values and their ends. */
static int add_header_text(struct sa_http_parser *p, const char *at, size_t length)
{
    if (p->text.length - p->target_bytes + length > p->limits.header_bytes_max)
        return refuse(p, 431, "the headers are too long");
    sa_buf_add(&p->text, at, length);
    return 0;
}

static int new_header(struct sa_http_parser *p)
{
    if (p->header_count == p->limits.headers_max)
        return refuse(p, 431, "there are too many headers");
    if (p->header_count == p->header_capacity) {
        p->header_capacity = p->header_capacity ? p->header_capacity * 2 : 16;
        p->spans = sa_realloc(p->spans, p->header_capacity * sizeof *p->spans);
        p->headers = sa_realloc(p->headers, p->header_capacity * sizeof *p->headers);
    }
    p->spans[p->header_count++] = (struct span){p->text.length, 0};
    p->in_value = false;
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_parser *p = llhttp->data;
    p->named |= length > 0;
    if (p->stage != STAGE_HEAD)
        return 0; /* trailers are counted and dropped */
    if ((p->header_count == 0 || p->in_value) && new_header(p) < 0)
        return -1;
    return add_header_text(p, at, length);
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct sa_http_parser *p = llhttp->data;
    if (!p->named)
        return refuse(p, 400, "a header has no name");
    p->named = false;
    if (p->stage != STAGE_HEAD) {
        if (++p->trailer_count > p->limits.headers_max)
            return refuse(p, 431, "there are too many trailers");
        return 0;
    }
    sa_buf_addc(&p->text, '\0');
    p->spans[p->header_count - 1].value = p->text.length;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_parser *p = llhttp->data;
    return p->stage == STAGE_HEAD ? add_header_text(p, at, length) : 0;
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct sa_http_parser *p = llhttp->data;
    if (p->stage != STAGE_HEAD)
        return 0;
    size_t start = p->spans[p->header_count - 1].value;
    while (p->text.length > start &&
           (p->text.data[p->text.length - 1] == ' ' || p->text.data[p->text.length - 1] == '\t'))
        p->text.length--;
    sa_buf_addc(&p->text, '\0');
    p->in_value = true;
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct sa_http_parser *p = llhttp->data;
    p->event = SA_HTTP_HEAD;
    p->head.upgrade = llhttp->upgrade;
    p->head.keep_alive = llhttp_should_keep_alive(llhttp);
    /* An upgrade is the handler's affair; to llhttp this is a request like any other. */
    llhttp->upgrade = 0;
    /* Counted bodies are counted here, so that they need no further run to end. */
    if (!(llhttp->flags & F_CHUNKED))
        llhttp->flags |= F_SKIPBODY;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_parser *p = llhttp->data;
    p->event = SA_HTTP_BODY;
    p->body = (struct sa_http_text){at, length};
    return HPE_PAUSED;
}

static int on_extension(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_parser *p = llhttp->data;
    (void)at;
    p->extension_bytes += length + 1;
    if (p->extension_bytes > CHUNK_EXTENSION_BYTES_MAX)
        return refuse(p, 400, "the chunk extensions are too long");
    return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct sa_http_parser *p = llhttp->data;
    if (p->stage != STAGE_CHUNKED)
        return 0; /* END was told already, or there was no body */
    p->event = SA_HTTP_END;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_message_complete = on_message_complete,
};

/* ---- framing ---- */

/* The parts of the request line are separated by one space each. */
static int guard_request_line(struct sa_http_parser *p, unsigned char previous, unsigned char c)
{
    if (c == '\t' || (previous == ' ' && c <= ' '))
        return refuse(p, 400, "the request line has more white space than it should");
    if (c == '\r' && previous != '\n') /* not one of the empty lines allowed before it */
        p->in_request_line = false;
    return 0;
}

/* Lines end in CR LF and nothing else, none begins with white space, and the only control
 * characters are those and the tab. */
static int guard(struct sa_http_parser *p, const char *data, size_t length)
{
    unsigned char previous = p->previous;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c > ' ' && c != 0x7f && previous != '\r') {
            previous = c;
            continue;
        }
        if ((c == '\n') != (previous == '\r'))
            return refuse(p, 400, "a line does not end in CR LF");
        if ((c == ' ' || c == '\t') && previous == '\n')
            return refuse(p, 400, "a line begins with white space");
        if (c == 0x7f || (c < ' ' && c != '\r' && c != '\n' && c != '\t'))
            return refuse(p, 400, "there is a control character in the head");
        if (p->in_request_line && guard_request_line(p, previous, c) < 0)
            return -1;
        previous = c;
    }
    p->previous = previous;
    return 0;
}

static int count_framing(struct sa_http_parser *p, size_t length)
{
    p->framing_bytes += length;
    size_t max = p->limits.header_bytes_max;
    if (p->stage == STAGE_HEAD)
        max += p->limits.target_bytes_max;
    if (p->framing_bytes <= max)
        return 0;
    if (p->stage == STAGE_HEAD)
        return refuse(p, 431, "the headers are too long");
    return refuse(p, 400, "a chunk size or the trailers are too long");
}

/* ---- the head ---- */

static const char *const error_texts[] = {
    [HPE_INVALID_METHOD] = "the method is not known",
    [HPE_INVALID_URL] = "the target is malformed",
    [HPE_INVALID_CONSTANT] = "the request line is malformed",
    [HPE_INVALID_VERSION] = "the HTTP version is malformed",
    [HPE_INVALID_HEADER_TOKEN] = "a header is malformed",
    [HPE_INVALID_CONTENT_LENGTH] = "the Content-Length is malformed",
    [HPE_UNEXPECTED_CONTENT_LENGTH] = "Content-Length is repeated or beside Transfer-Encoding",
    [HPE_INVALID_TRANSFER_ENCODING] = "the Transfer-Encoding is not \"chunked\"",
    [HPE_INVALID_CHUNK_SIZE] = "a chunk size is malformed",
    [HPE_PAUSED_H2_UPGRADE] = "HTTP/2 is not spoken here",
};

static int refuse_llhttp(struct sa_http_parser *p, llhttp_errno_t error)
{
    const char *why = (size_t)error < SA_COUNT(error_texts) ? error_texts[error] : NULL;
    return refuse(p, 400, why ? why : "the request is malformed");
}

static bool decimal(const char *text, int64_t *value)
{
    *value = 0;
    size_t n = strspn(text, "0123456789");
    if (!n || n > 18 || text[n])
        return false;
    for (; *text; text++)
        *value = *value * 10 + (*text - '0');
    return true;
}

/* RFC 9112, 6.3, without any of its leniency. */
static int check_framing_headers(struct sa_http_parser *p)
{
    struct sa_http_head *h = &p->head;
    const char *length = NULL, *coding = NULL;
    for (size_t i = 0; i < h->header_count; i++) {
        const char **one = !strcasecmp(h->headers[i].name, "content-length")      ? &length
                           : !strcasecmp(h->headers[i].name, "transfer-encoding") ? &coding
                                                                                  : NULL;
        if (!one)
            continue;
        if (*one)
            return refuse(p, 400, "Content-Length or Transfer-Encoding is repeated");
        *one = h->headers[i].value;
    }
    if (length && coding)
        return refuse(p, 400, "Content-Length beside Transfer-Encoding");
    if (length && !decimal(length, &h->content_length))
        return refuse(p, 400, "the Content-Length is malformed");
    if (coding) {
        bool chunked = p->llhttp.flags & F_CHUNKED;
        if (h->http_1_0 || strcasecmp(coding, "chunked") != 0 || !chunked)
            return refuse(p, 400, "the Transfer-Encoding is not \"chunked\"");
        h->content_length = -1;
    }
    return 0;
}

static int check_host(struct sa_http_parser *p, const char **host)
{
    const struct sa_http_head *h = &p->head;
    *host = NULL;
    for (size_t i = 0; i < h->header_count; i++) {
        if (strcasecmp(h->headers[i].name, "host") != 0)
            continue;
        if (*host)
            return refuse(p, 400, "there is more than one Host header");
        *host = h->headers[i].value;
        if (!sa_http_host_valid(*host))
            return refuse(p, 400, "the Host header is malformed");
    }
    if (!*host && !h->http_1_0)
        return refuse(p, 400, "there is no Host header");
    return 0;
}

static int check_expect(struct sa_http_parser *p)
{
    struct sa_http_head *h = &p->head;
    const char *expect = sa_http_head_find(h, "expect");
    if (!expect || h->http_1_0)
        return 0;
    if (strcasecmp(expect, "100-continue") != 0)
        return refuse(p, 417, "the only expectation that can be met is 100-continue");
    h->expect_continue = h->content_length != 0;
    return 0;
}

static int finish_head(struct sa_http_parser *p)
{
    struct sa_http_head *h = &p->head;
    if (p->llhttp.http_major != 1 || p->llhttp.http_minor > 1)
        return refuse(p, 505, "the HTTP version is neither 1.0 nor 1.1");
    for (size_t i = 0; i < p->header_count; i++)
        p->headers[i] = (struct sa_http_pair){p->text.data + p->spans[i].name,
                                              p->text.data + p->spans[i].value};
    h->method = llhttp_method_name((llhttp_method_t)p->llhttp.method);
    h->is_head = p->llhttp.method == HTTP_HEAD;
    h->target = p->text.data;
    h->headers = p->headers;
    h->header_count = p->header_count;
    h->http_1_0 = p->llhttp.http_minor == 0;
    h->content_length = 0;
    h->expect_continue = false;
    const char *host;
    if (check_framing_headers(p) < 0 || check_host(p, &host) < 0 || check_expect(p) < 0)
        return -1;
    struct sa_http_target *t = &p->target;
    const char *why =
        sa_http_target_parse(t, h->method, h->target, strlen(h->target), host, p->limits.query_max);
    if (why)
        return refuse(p, 400, why);
    h->path = t->path;
    h->segments = t->segments;
    h->segment_count = t->segment_count;
    h->query = t->query;
    h->query_count = t->query_count;
    p->body_left = h->content_length;
    p->framing_bytes = p->extension_bytes = p->trailer_count = 0;
    p->stage = h->content_length < 0   ? STAGE_CHUNKED
               : h->content_length > 0 ? STAGE_COUNTED
                                       : STAGE_HEAD;
    return 0;
}

/* ---- the outside ---- */

static void begin_head(struct sa_http_parser *p)
{
    p->stage = STAGE_HEAD;
    p->text.length = 0;
    p->header_count = 0;
    p->named = p->in_value = false;
    p->framing_bytes = 0;
    p->previous = '\n';
    p->in_request_line = true;
}

struct sa_http_parser *sa_http_parser_new(const struct sa_http_parser_limits *limits)
{
    struct sa_http_parser *p = sa_alloc(sizeof *p);
    p->limits = *limits;
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.data = p;
    begin_head(p);
    return p;
}

void sa_http_parser_free(struct sa_http_parser *p)
{
    if (!p)
        return;
    sa_buf_deinit(&p->text);
    sa_http_target_deinit(&p->target);
    free(p->spans);
    free(p->headers);
    free(p);
}

static enum sa_http_event counted(struct sa_http_parser *p, const char **data, size_t *length,
                                  struct sa_http_text *body)
{
    if (p->body_left == 0) {
        begin_head(p);
        return SA_HTTP_END;
    }
    if (!*length)
        return SA_HTTP_NEED_MORE;
    size_t n = (uint64_t)p->body_left < *length ? (size_t)p->body_left : *length;
    *body = (struct sa_http_text){*data, n};
    *data += n;
    *length -= n;
    p->body_left -= (int64_t)n;
    return SA_HTTP_BODY;
}

/* Look at what llhttp used: the bytes before the piece of body, if there is one (a run ends
 * with it), or all of them. */
static int check_run(struct sa_http_parser *p, const char *data, size_t used)
{
    size_t framing = p->event == SA_HTTP_BODY ? (size_t)(p->body.data - data) : used;
    if (guard(p, data, framing) < 0 || count_framing(p, framing) < 0)
        return -1;
    if (p->event == SA_HTTP_BODY) {
        assert(framing + p->body.length == used);
        p->previous = 0;
        p->framing_bytes = 0;
    }
    return 0;
}

enum sa_http_event sa_http_parser_next(struct sa_http_parser *p, const char **data, size_t *length,
                                       struct sa_http_text *body)
{
    if (p->stage == STAGE_BAD)
        return SA_HTTP_BAD;
    if (p->stage == STAGE_COUNTED)
        return counted(p, data, length, body);
    if (!*length)
        return SA_HTTP_NEED_MORE;
    if (p->event == SA_HTTP_HEAD && p->stage == STAGE_HEAD)
        begin_head(p); /* the last request had no body */
    p->event = SA_HTTP_NEED_MORE;
    llhttp_resume(&p->llhttp);
    llhttp_errno_t error = llhttp_execute(&p->llhttp, *data, *length);
    size_t used = error == HPE_OK ? *length : (size_t)(llhttp_get_error_pos(&p->llhttp) - *data);
    if (p->stage == STAGE_BAD)
        return SA_HTTP_BAD;
    if (error != HPE_OK && error != HPE_PAUSED) {
        /* The guard's reason, if it has one, says more. */
        if (guard(p, *data, used < *length ? used + 1 : used) == 0)
            refuse_llhttp(p, error);
        return SA_HTTP_BAD;
    }
    if (check_run(p, *data, used) < 0)
        return SA_HTTP_BAD;
    *data += used;
    *length -= used;
    if (p->event == SA_HTTP_HEAD && finish_head(p) < 0)
        return SA_HTTP_BAD;
    if (p->event == SA_HTTP_BODY)
        *body = p->body;
    if (p->event == SA_HTTP_END)
        begin_head(p);
    return p->event;
}

const struct sa_http_head *sa_http_parser_head(const struct sa_http_parser *p)
{
    return &p->head;
}

const char *sa_http_head_find(const struct sa_http_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (!strcasecmp(head->headers[i].name, name))
            return head->headers[i].value;
    return NULL;
}

int64_t sa_http_parser_body_left(const struct sa_http_parser *p)
{
    return p->stage == STAGE_COUNTED ? p->body_left : p->stage == STAGE_CHUNKED ? -1 : 0;
}

int sa_http_parser_refusal(const struct sa_http_parser *p, const char **why)
{
    *why = p->why;
    return p->status;
}
