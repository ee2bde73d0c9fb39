/*
 * Answers, see answer.h. A head is gathered whole and looked at before llhttp sees it, so its
 * headers are slices of one text. Of bodies llhttp only sees chunked ones.
 */
#include "http/answer.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FRAMING_BYTES_MAX = 16 * 1024 /* chunk sizes, extensions, trailers: between two pieces */ };

enum stage { STAGE_HEAD, STAGE_COUNTED, STAGE_CHUNKED, STAGE_UNTIL_CLOSE, STAGE_DONE, STAGE_BAD };

struct sa_http_answer {
    llhttp_t llhttp;
    enum stage stage;
    bool to_head;
    const char *why;
    struct sa_buf text; /* of the head; ends of names and values become NUL */
    struct sa_http_answer_header headers[SA_HTTP_ANSWER_HEADERS_MAX];
    size_t lengths[SA_HTTP_ANSWER_HEADERS_MAX][2]; /* of name and value */
    size_t header_count;
    int64_t body_left;
    size_t framing_bytes;
    unsigned char previous;
    struct sa_http_text body;
    bool complete;
    struct sa_http_answer_head head;
};

static int refuse(struct sa_http_answer *a, const char *why)
{
    if (a->stage != STAGE_BAD)
        a->why = why;
    a->stage = STAGE_BAD;
    return -1;
}

/* ---- llhttp's callbacks ---- */

/* Headers come in pieces only at the seams of what is fed, and a head is fed at once. */
static int on_field(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_answer *a = llhttp->data;
    if (a->stage != STAGE_HEAD)
        return 0; /* trailers are dropped */
    if (a->header_count == SA_HTTP_ANSWER_HEADERS_MAX)
        return refuse(a, "there are too many headers");
    if (length == 0)
        return refuse(a, "a header has no name");
    a->headers[a->header_count] = (struct sa_http_answer_header){at, ""};
    a->lengths[a->header_count][0] = length;
    a->lengths[a->header_count++][1] = 0;
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_answer *a = llhttp->data;
    if (a->stage != STAGE_HEAD || !length)
        return 0;
    if (a->lengths[a->header_count - 1][1])
        return refuse(a, "a header is folded");
    a->headers[a->header_count - 1].value = at;
    a->lengths[a->header_count - 1][1] = length;
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct sa_http_answer *a = llhttp->data;
    a->complete = true;
    a->head.keep_alive = llhttp_should_keep_alive(llhttp);
    llhttp->upgrade = 0;
    if (!(llhttp->flags & F_CHUNKED))
        llhttp->flags |= F_SKIPBODY;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length)
{
    struct sa_http_answer *a = llhttp->data;
    a->body = (struct sa_http_text){at, length};
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct sa_http_answer *a = llhttp->data;
    a->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_header_field = on_field,
                                           .on_header_value = on_value,
                                           .on_headers_complete = on_headers_complete,
                                           .on_body = on_body,
                                           .on_message_complete = on_message_complete};

/* ---- the head ---- */

/* Lines end in CR LF and nothing else, none begins with white space, and there are no other
 * control characters but the tab. */
static int guard(struct sa_http_answer *a, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)data[i], previous = a->previous;
        if ((c == '\n') != (previous == '\r'))
            return refuse(a, "a line does not end in CR LF");
        if ((c == ' ' || c == '\t') && previous == '\n')
            return refuse(a, "a line begins with white space");
        if (c == 0x7f || (c < ' ' && c != '\r' && c != '\n' && c != '\t'))
            return refuse(a, "there is a control character in the head");
        a->previous = c;
    }
    return 0;
}

static bool decimal(const char *text, int64_t *value)
{
    size_t n = strspn(text, "0123456789");
    if (!n || n > 18 || text[n])
        return false;
    *value = strtoll(text, NULL, 10);
    return true;
}

/* The one header of that name; refused when there are several. */
static int only(struct sa_http_answer *a, const char *name, const char **value)
{
    *value = NULL;
    for (size_t i = 0; i < a->header_count; i++) {
        if (strcasecmp(a->headers[i].name, name) != 0)
            continue;
        if (*value)
            return refuse(a, "Content-Length or Transfer-Encoding is repeated");
        *value = a->headers[i].value;
    }
    return 0;
}

/* RFC 9112, 6.3, without its leniency. */
static int find_length(struct sa_http_answer *a, bool http_1_0)
{
    struct sa_http_answer_head *h = &a->head;
    const char *length, *coding;
    h->said_length = -1;
    if (only(a, "content-length", &length) < 0 || only(a, "transfer-encoding", &coding) < 0)
        return -1;
    if (length && coding)
        return refuse(a, "Content-Length beside Transfer-Encoding");
    if (length && !decimal(length, &h->said_length))
        return refuse(a, "the Content-Length is malformed");
    if (coding && (http_1_0 || strcasecmp(coding, "chunked") != 0))
        return refuse(a, "the Transfer-Encoding is not \"chunked\"");
    if (a->to_head || h->status < 200 || h->status == 204 || h->status == 304)
        h->content_length = 0;
    else
        h->content_length = coding   ? SA_HTTP_ANSWER_CHUNKED
                            : length ? h->said_length
                                     : SA_HTTP_ANSWER_UNTIL_CLOSE;
    if (h->content_length == SA_HTTP_ANSWER_UNTIL_CLOSE)
        h->keep_alive = false;
    return 0;
}

/* RFC 9110, 5.6.2; llhttp lets spaces pass. */
static bool is_token(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789!#$%&'*+-.^_`|~";
    return text[strspn(text, allowed)] == '\0';
}

static int finish_head(struct sa_http_answer *a)
{
    struct sa_http_answer_head *h = &a->head;
    for (size_t i = 0; i < a->header_count; i++) {
        /* They point into our text; what ends each is a colon, a space or CR. */
        char *value = (char *)(size_t)a->headers[i].value;
        size_t length = a->lengths[i][1];
        ((char *)(size_t)a->headers[i].name)[a->lengths[i][0]] = '\0';
        if (!is_token(a->headers[i].name))
            return refuse(a, "the name of a header is malformed");
        while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
            length--;
        if (a->lengths[i][1])
            value[length] = '\0';
    }
    h->headers = a->headers;
    h->header_count = a->header_count;
    h->status = a->llhttp.status_code;
    h->upgrade = h->status == 101;
    if (a->llhttp.http_major != 1 || a->llhttp.http_minor > 1)
        return refuse(a, "the HTTP version is neither 1.0 nor 1.1");
    if (h->status < 100 || h->status > 599)
        return refuse(a, "the status is not one");
    if (find_length(a, a->llhttp.http_minor == 0) < 0)
        return -1;
    a->body_left = h->content_length;
    a->framing_bytes = 0;
    a->previous = '\n';
    if (h->status < 200 && !h->upgrade) {
        sa_http_answer_begin(a, a->to_head); /* another head follows; this one stays readable */
    } else {
        a->stage = h->content_length == SA_HTTP_ANSWER_CHUNKED       ? STAGE_CHUNKED
                   : h->content_length == SA_HTTP_ANSWER_UNTIL_CLOSE ? STAGE_UNTIL_CLOSE
                                                                     : STAGE_COUNTED;
    }
    return 0;
}

static int parse_head(struct sa_http_answer *a)
{
    if (guard(a, a->text.data, a->text.length) < 0)
        return -1;
    a->complete = false;
    llhttp_errno_t error = llhttp_execute(&a->llhttp, a->text.data, a->text.length);
    if (a->stage == STAGE_BAD)
        return -1;
    if (error != HPE_PAUSED || !a->complete)
        return refuse(a, "the head is malformed");
    return finish_head(a);
}

/* Take bytes until the empty line. 1: it is there. */
static int gather_head(struct sa_http_answer *a, const char **data, size_t *length)
{
    size_t had = a->text.length, from = had > 3 ? had - 3 : 0;
    size_t fits = SA_HTTP_ANSWER_HEAD_BYTES_MAX - had, n = *length < fits ? *length : fits;
    sa_buf_add(&a->text, *data, n);
    const char *end = memmem(a->text.data + from, a->text.length - from, "\r\n\r\n", 4);
    if (!end) {
        *data += n;
        *length -= n;
        return n == fits ? refuse(a, "the head is too long") : 0;
    }
    size_t whole = (size_t)(end - a->text.data) + 4;
    *data += whole - had;
    *length -= whole - had;
    a->text.length = whole;
    return 1;
}

/* ---- the body ---- */

static enum sa_http_answer_event raw_body(struct sa_http_answer *a, const char **data,
                                          size_t *length, struct sa_http_text *body)
{
    if (a->stage == STAGE_COUNTED && a->body_left == 0) {
        a->stage = STAGE_DONE;
        return SA_HTTP_ANSWER_END;
    }
    if (!*length)
        return SA_HTTP_ANSWER_NEED_MORE;
    size_t n = *length;
    if (a->stage == STAGE_COUNTED && (uint64_t)a->body_left < n)
        n = (size_t)a->body_left;
    if (a->stage == STAGE_COUNTED)
        a->body_left -= (int64_t)n;
    *body = (struct sa_http_text){*data, n};
    *data += n;
    *length -= n;
    return SA_HTTP_ANSWER_BODY;
}

static enum sa_http_answer_event chunked_body(struct sa_http_answer *a, const char **data,
                                              size_t *length, struct sa_http_text *body)
{
    if (!*length)
        return SA_HTTP_ANSWER_NEED_MORE;
    a->body = (struct sa_http_text){0};
    a->complete = false;
    llhttp_resume(&a->llhttp);
    llhttp_errno_t error = llhttp_execute(&a->llhttp, *data, *length);
    size_t used = error == HPE_OK ? *length : (size_t)(llhttp_get_error_pos(&a->llhttp) - *data);
    size_t framing = a->body.data ? (size_t)(a->body.data - *data) : used;
    if (a->stage == STAGE_BAD || (error != HPE_OK && error != HPE_PAUSED)) {
        refuse(a, "a chunk is malformed");
        return SA_HTTP_ANSWER_BAD;
    }
    if (guard(a, *data, framing) < 0)
        return SA_HTTP_ANSWER_BAD;
    a->framing_bytes += framing;
    if (a->framing_bytes > FRAMING_BYTES_MAX) {
        refuse(a, "a chunk size or the trailers are too long");
        return SA_HTTP_ANSWER_BAD;
    }
    *data += used;
    *length -= used;
    if (a->complete) {
        a->stage = STAGE_DONE;
        return SA_HTTP_ANSWER_END;
    }
    if (!a->body.data)
        return SA_HTTP_ANSWER_NEED_MORE;
    a->framing_bytes = 0;
    a->previous = 0;
    *body = a->body;
    return SA_HTTP_ANSWER_BODY;
}

/* ---- the outside ---- */

struct sa_http_answer *sa_http_answer_new(void)
{
    struct sa_http_answer *a = sa_alloc(sizeof *a);
    sa_http_answer_begin(a, false);
    return a;
}

void sa_http_answer_free(struct sa_http_answer *a)
{
    if (!a)
        return;
    sa_buf_deinit(&a->text);
    free(a);
}

void sa_http_answer_begin(struct sa_http_answer *a, bool to_head)
{
    llhttp_init(&a->llhttp, HTTP_RESPONSE, &settings);
    a->llhttp.data = a;
    a->stage = STAGE_HEAD;
    a->to_head = to_head;
    a->previous = '\n';
}

enum sa_http_answer_event sa_http_answer_next(struct sa_http_answer *a, const char **data,
                                              size_t *length, struct sa_http_text *body,
                                              const char **why)
{
    enum sa_http_answer_event event = SA_HTTP_ANSWER_NEED_MORE;
    if (a->stage == STAGE_HEAD && *length) {
        if (a->complete) { /* of the head before, which was 1xx or of another answer */
            a->complete = false;
            a->text.length = 0;
            a->header_count = 0;
        }
        int whole = gather_head(a, data, length);
        if (whole > 0 && parse_head(a) == 0)
            event = SA_HTTP_ANSWER_HEAD;
    } else if (a->stage == STAGE_COUNTED || a->stage == STAGE_UNTIL_CLOSE) {
        event = raw_body(a, data, length, body);
    } else if (a->stage == STAGE_CHUNKED) {
        event = chunked_body(a, data, length, body);
    }
    if (a->stage != STAGE_BAD)
        return event;
    *why = a->why;
    return SA_HTTP_ANSWER_BAD;
}

enum sa_http_answer_event sa_http_answer_eof(struct sa_http_answer *a, const char **why)
{
    if (a->stage == STAGE_UNTIL_CLOSE || a->stage == STAGE_DONE) {
        a->stage = STAGE_DONE;
        return SA_HTTP_ANSWER_END;
    }
    *why = a->stage == STAGE_BAD ? a->why
           : a->stage == STAGE_HEAD && !a->complete && !a->text.length
               ? "it closed without an answer"
               : "it closed in the middle of its answer";
    return SA_HTTP_ANSWER_BAD;
}

const struct sa_http_answer_head *sa_http_answer_head(const struct sa_http_answer *a)
{
    return &a->head;
}

const char *sa_http_answer_find(const struct sa_http_answer_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (!strcasecmp(head->headers[i].name, name))
            return head->headers[i].value;
    return NULL;
}
