/* Response heads and error bodies as text. */
#include "http/internal.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <string.h>

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < SA_COUNT(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

static char *put(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    return to + length;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put_text(char *to, const char *text)
{
    return put(to, text, strlen(text));
}

static char *put_number(char *to, uint64_t n)
{
    char digits[20];
    size_t i = sizeof digits;
    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    return put(to, digits + i, sizeof digits - i);
}

static char *put_framing(char *to, const struct sa_http_request *r, int64_t length)
{
    if (r->status < 200 || r->status == 204)
        return to;
    bool bodiless = r->drop_body; /* HEAD or 304: the handler may know the length */
    if (bodiless && r->own_length >= 0)
        length = r->own_length;
    if (length >= 0 && !(r->status == 304 && r->own_length < 0)) {
        to = PUT(to, "Content-Length: ");
        to = put_number(to, (uint64_t)length);
        return PUT(to, "\r\n");
    }
    return r->chunked ? PUT(to, "Transfer-Encoding: chunked\r\n") : to;
}

static char *put_connection(char *to, const struct sa_http_request *r)
{
    if (!r->keep_alive)
        return PUT(to, "Connection: close\r\n");
    if (r->head && r->head->http_1_0)
        return PUT(to, "Connection: keep-alive\r\n");
    return to;
}

void sa_reply_head(struct sa_http_request *r, int status, const char *type, int64_t length)
{
    struct sa_conn *c = r->conn;
    size_t type_length = type ? strlen(type) : 0;
    char *start = sa_out_reserve(&c->out, 512 + REQUEST_ID_MAX + type_length + c->extra.length);
    char *to = PUT(start, "HTTP/1.1 ");
    to = put_number(to, (uint64_t)status);
    *to++ = ' ';
    to = put_text(to, reason_phrase(status));
    to = PUT(to, "\r\nServer: secureagent\r\nDate: ");
    to = put_text(to, sa_server_date(c->server));
    to = PUT(to, "\r\nX-Request-Id: ");
    to = put_text(to, r->id);
    to = PUT(to, "\r\nX-Content-Type-Options: nosniff\r\n");
    if (!r->own_cache_control)
        to = PUT(to, "Cache-Control: no-store\r\n");
    if (type) {
        to = PUT(to, "Content-Type: ");
        to = put(to, type, type_length);
        to = PUT(to, "\r\n");
    }
    to = put_framing(to, r, length);
    to = put_connection(to, r);
    if (c->extra.length)
        to = put(to, c->extra.data, c->extra.length);
    to = PUT(to, "\r\n");
    sa_out_commit(&c->out, (size_t)(to - start));
}

static void add_json_string(struct sa_buf *out, const char *text)
{
    sa_buf_addc(out, '"');
    size_t length = strlen(text);
    while (length) {
        size_t valid = sa_utf8_prefix(text, length);
        for (size_t i = 0; i < valid; i++) {
            unsigned char c = (unsigned char)text[i];
            if (c == '"' || c == '\\')
                sa_buf_addc(out, '\\');
            if (c < ' ' || c == 0x7f)
                sa_buf_printf(out, "\\u%04x", c);
            else
                sa_buf_addc(out, (char)c);
        }
        text += valid;
        length -= valid;
        if (length) { /* a byte that is not UTF-8, or a character that was cut off */
            sa_buf_adds(out, "\\ufffd");
            text++;
            length--;
        }
    }
    sa_buf_addc(out, '"');
}

static void add_member(struct sa_buf *out, const char *name, const char *value, bool *first)
{
    if (!value || !*value)
        return;
    sa_buf_printf(out, "%s\"%s\":", *first ? "{" : ",", name);
    add_json_string(out, value);
    *first = false;
}

void sa_reply_error_json(struct sa_buf *out, const struct sa_error *error,
                         const struct sa_http_why *why, const char *request_id)
{
    static const struct sa_http_why none;
    bool first = true;
    if (!why)
        why = &none;
    sa_buf_adds(out, "{\"error\":{\"code\":");
    add_json_string(out, sa_code_name(error->code));
    sa_buf_adds(out, ",\"message\":");
    add_json_string(out, error->message);
    sa_buf_adds(out, ",\"details\":[");
    for (size_t i = 0; i < why->count; i++) {
        sa_buf_adds(out, i ? "}," : "");
        first = true;
        add_member(out, "path", why->all[i].path, &first);
        add_member(out, "reason", why->all[i].message, &first);
    }
    if (!why->count) {
        add_member(out, "path", error->path, &first);
        add_member(out, "reason", why->reason, &first);
        add_member(out, "rule", why->rule, &first);
        add_member(out, "decision", why->decision, &first);
    }
    sa_buf_adds(out, first ? "],\"requestId\":" : "}],\"requestId\":");
    add_json_string(out, request_id);
    sa_buf_adds(out, "}}\n");
}
