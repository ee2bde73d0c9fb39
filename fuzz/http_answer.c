/* Outside bytes as answers of a server. However they are cut into pieces, the same events come, and
 * no header holds what could split another message. */
#include "http/answer.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void put_head(const struct sa_http_answer_head *head, struct sa_buf *out)
{
    require(head->status >= 100 && head->status <= 599);
    sa_buf_printf(out, "[%d %lld]", head->status, (long long)head->content_length);
    for (size_t i = 0; i < head->header_count; i++) {
        require(head->headers[i].name[0] && !strpbrk(head->headers[i].name, ": \t\r\n"));
        require(!strpbrk(head->headers[i].value, "\r\n"));
        sa_buf_printf(out, "%s=%s;", head->headers[i].name, head->headers[i].value);
    }
}

/* What happens, as text. `step`: bytes in a piece. */
static void trace(const char *data, size_t size, size_t step, bool to_head, struct sa_buf *out)
{
    struct sa_http_answer *a = sa_http_answer_new();
    enum sa_http_answer_event event = SA_HTTP_ANSWER_NEED_MORE;
    struct sa_http_text body;
    const char *why = "";
    sa_http_answer_begin(a, to_head);
    for (size_t at = 0; at < size && event != SA_HTTP_ANSWER_END && event != SA_HTTP_ANSWER_BAD;) {
        const char *piece = data + at;
        size_t left = size - at < step ? size - at : step;
        do {
            event = sa_http_answer_next(a, &piece, &left, &body, &why);
            if (event == SA_HTTP_ANSWER_HEAD)
                put_head(sa_http_answer_head(a), out);
            else if (event == SA_HTTP_ANSWER_BODY)
                sa_buf_add(out, body.data, body.length);
        } while (event == SA_HTTP_ANSWER_HEAD || event == SA_HTTP_ANSWER_BODY);
        at = (size_t)(piece - data);
    }
    if (event == SA_HTTP_ANSWER_NEED_MORE)
        event = sa_http_answer_eof(a, &why);
    sa_buf_adds(out, event == SA_HTTP_ANSWER_END ? "<end>" : "<bad>");
    sa_http_answer_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 7, 4096};
    sa_autobuf whole = SA_BUF_INIT;
    if (size < 1)
        return 0;
    bool to_head = data[0] & 1;
    const char *text = (const char *)data + 1;
    trace(text, size - 1, size, to_head, &whole);
    for (size_t i = 0; i < 3; i++) {
        sa_autobuf pieces = SA_BUF_INIT;
        trace(text, size - 1, steps[i], to_head, &pieces);
        /* Of a bad one more or less of the body may have been handed out before it showed. */
        bool bad = strcmp(whole.data + whole.length - 5, "<bad>") == 0;
        if (!bad)
            require(pieces.length == whole.length &&
                    memcmp(pieces.data, whole.data, whole.length) == 0);
        else
            require(strcmp(pieces.data + pieces.length - 5, "<bad>") == 0);
    }
    return 0;
}
