/*
 * The request parser, fed without a socket. The first byte of the input says into what pieces
 * the rest is cut; whatever it is, the events must be those of the input in one piece, and what
 * a head says must hold.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "http/parser.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_head(const struct sa_http_head *h)
{
    MUST(strlen(h->target) <= 300);
    MUST(h->header_count <= 30 && h->query_count <= 20);
    MUST(h->segment_count <= SA_HTTP_SEGMENTS_MAX);
    MUST(h->content_length >= -1 && (h->http_1_0 ? h->content_length >= 0 : true));
    MUST(h->http_1_0 || sa_http_head_find(h, "host"));
    for (size_t i = 0; i < h->segment_count; i++) {
        MUST(strlen(h->segments[i].data) == h->segments[i].length); /* no NUL */
        MUST(strcmp(h->segments[i].data, ".") != 0 && strcmp(h->segments[i].data, "..") != 0);
    }
    for (size_t i = 0; i < h->header_count; i++) {
        MUST(h->headers[i].name[0] && !strpbrk(h->headers[i].name, " \t\r\n:"));
        MUST(!strpbrk(h->headers[i].value, "\r\n"));
    }
    for (size_t i = 0; i < h->query_count; i++)
        MUST(h->query[i].name && h->query[i].value);
}

static void note_head(struct sa_buf *out, const struct sa_http_head *h)
{
    sa_buf_printf(out, "[%s %s %lld %d%d%d%d", h->method, h->target, (long long)h->content_length,
                  h->http_1_0, h->keep_alive, h->upgrade, h->expect_continue);
    for (size_t i = 0; i < h->segment_count; i++)
        sa_buf_printf(out, "/%s", h->segments[i].data);
    for (size_t i = 0; i < h->query_count; i++)
        sa_buf_printf(out, "&%s=%s", h->query[i].name, h->query[i].value);
    for (size_t i = 0; i < h->header_count; i++)
        sa_buf_printf(out, "|%s=%s", h->headers[i].name, h->headers[i].value);
    sa_buf_addc(out, ']');
}

/* Everything that happens. Each piece is a copy of its own, so that reading beyond it shows. */
static void trace(const uint8_t *input, size_t size, size_t step, struct sa_buf *out)
{
    static const struct sa_http_parser_limits limits = {30, 2000, 300, 20};
    struct sa_http_parser *p = sa_http_parser_new(&limits);
    bool bad = false;
    for (size_t at = 0; at < size && !bad; at += step) {
        size_t left = size - at < step ? size - at : step;
        sa_autofree char *piece = malloc(left);
        memcpy(piece, input + at, left);
        const char *data = piece, *end = piece + left;
        struct sa_http_text body;
        enum sa_http_event event;
        while ((event = sa_http_parser_next(p, &data, &left, &body)) != SA_HTTP_NEED_MORE) {
            if (event == SA_HTTP_BAD) {
                bad = true;
                break;
            }
            if (event == SA_HTTP_HEAD) {
                check_head(sa_http_parser_head(p));
                note_head(out, sa_http_parser_head(p));
            } else if (event == SA_HTTP_BODY) {
                MUST(body.length && body.data >= piece && body.data + body.length == data);
                sa_buf_add(out, body.data, body.length);
            } else {
                sa_buf_adds(out, "<end>");
            }
            MUST(data + left == end);
        }
        MUST(bad || left == 0);
    }
    if (bad) {
        const char *why;
        int status = sa_http_parser_refusal(p, &why);
        MUST(status >= 400 && status <= 505 && why);
        sa_buf_adds(out, "<bad>");
    }
    sa_http_parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sa_autobuf whole = SA_BUF_INIT, pieces = SA_BUF_INIT;
    if (size < 2)
        return 0;
    size_t step = 1 + data[0] % 64u;
    trace(data + 1, size - 1, size, &whole);
    trace(data + 1, size - 1, step, &pieces);
    MUST(whole.length == pieces.length);
    MUST(!whole.length || !memcmp(whole.data, pieces.data, whole.length));
    return 0;
}
