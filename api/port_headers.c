/*
 * What of a request goes in, and of an answer comes out (RFC 9110, 7.6). In: nothing of one hop,
 * nothing that says who the client is to us. Out: nothing of one hop, nothing that would reach
 * beyond this server's own origin.
 */
#include "api/port.h"
#include "api/ws_open.h"

#include "base/cleanup.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

static bool one_of(const char *name, const char *const names[])
{
    for (size_t i = 0; names[i]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Is `token` in the comma-separated list? */
static bool lists(const char *list, const char *token)
{
    size_t n = strlen(token);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, " \t,");
        if (item == n && strncasecmp(list, token, n) == 0)
            return true;
        list += item;
    }
    return false;
}

static const char *const of_one_hop[] = {"connection",
                                         "keep-alive",
                                         "proxy-connection",
                                         "proxy-authenticate",
                                         "proxy-authorization",
                                         "te",
                                         "trailer",
                                         "transfer-encoding",
                                         "upgrade",
                                         NULL};

/* ---- in ---- */

static bool named_by_connection(const struct sa_http_request *request, const char *name)
{
    const char *key, *value;
    for (size_t i = 0; sa_http_request_header_at(request, i, &key, &value); i++)
        if (strcasecmp(key, "connection") == 0 && lists(value, name))
            return true;
    return false;
}

/* The cookies without ours. */
static void add_cookies(struct sa_buf *out, const char *cookies)
{
    const char *separator = "Cookie: ";
    while (*cookies) {
        cookies += strspn(cookies, " \t;");
        size_t n = strcspn(cookies, ";");
        size_t name = strcspn(cookies, "=; \t");
        if (n &&
            !(name == strlen(SA_PORT_COOKIE) && strncasecmp(cookies, SA_PORT_COOKIE, name) == 0)) {
            sa_buf_adds(out, separator);
            sa_buf_add(out, cookies, n);
            separator = "; ";
        }
        cookies += n;
    }
    if (separator[0] == ';')
        sa_buf_adds(out, "\r\n");
}

static void add_header(struct sa_buf *out, const char *name, const char *value)
{
    sa_buf_adds(out, name);
    sa_buf_adds(out, ": ");
    sa_buf_adds(out, value);
    sa_buf_adds(out, "\r\n");
}

/* A text that is a key of ours is never the server's. */
static bool is_ours(const char *token)
{
    return strncmp(token, "sa_", 3) == 0 || strncmp(token, "e2b_", 4) == 0;
}

static const char *token_of(const char *authorization)
{
    const char *space = strchr(authorization, ' ');
    return space ? space + strspn(space, " ") : authorization;
}

/* A browser's key is among the subprotocols (ws_open.h). The others, without it. */
static void add_protocols(struct sa_buf *out, const struct sa_port_target *target, const char *list)
{
    const char *separator = "Sec-WebSocket-Protocol: ";
    size_t skip = strlen(SA_WS_BEARER);
    while (*list) {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, " \t,");
        bool bearer = n >= skip && strncmp(list, SA_WS_BEARER, skip) == 0;
        if (n && !(bearer && (!target->authorization || is_ours(list + skip)))) {
            sa_buf_adds(out, separator);
            sa_buf_add(out, list, n);
            separator = ", ";
        }
        list += n;
    }
    if (separator[0] == ',')
        sa_buf_adds(out, "\r\n");
}

static void pass_on(const struct sa_http_request *request, const struct sa_port_target *target,
                    const char *name, const char *value, struct sa_buf *out)
{
    static const char *const ours[] = {"host",
                                       "content-length",
                                       "expect",
                                       "x-api-key",
                                       "forwarded",
                                       "x-forwarded-for",
                                       "x-forwarded-host",
                                       "x-forwarded-proto",
                                       "x-forwarded-port",
                                       "x-forwarded-prefix",
                                       "x-real-ip",
                                       NULL};
    if (one_of(name, ours) || one_of(name, of_one_hop) || named_by_connection(request, name))
        return;
    if (strcasecmp(name, "authorization") == 0 &&
        (!target->authorization || is_ours(token_of(value))))
        return;
    if (strcasecmp(name, "sec-websocket-protocol") == 0)
        add_protocols(out, target, value);
    else if (strcasecmp(name, "cookie") != 0)
        add_header(out, name, value);
    else if (!target->prefix) /* in the path form cookies are those of this server */
        add_cookies(out, value);
}

static void add_forwarded(const struct sa_http_request *request,
                          const struct sa_port_target *target, struct sa_buf *out)
{
    const char *peer = sa_http_request_peer(request);
    const char *host = sa_http_request_header(request, "host");
    const char *port = strrchr(peer, ':');
    bool six = peer[0] == '[';
    size_t length = port ? (size_t)(port - peer) : strlen(peer);
    sa_buf_printf(out, "X-Forwarded-For: %.*s\r\n", (int)(length - (six ? 2 : 0)),
                  peer + (six ? 1 : 0));
    add_header(out, "X-Forwarded-Proto", sa_http_request_is_tls(request) ? "https" : "http");
    if (host)
        add_header(out, "X-Forwarded-Host", host);
    if (target->prefix)
        add_header(out, "X-Forwarded-Prefix", target->prefix);
}

void sa_port_request_head(const struct sa_http_request *request,
                          const struct sa_port_target *target, bool upgrade, struct sa_buf *out)
{
    const char *name, *value;
    int64_t length = sa_http_request_content_length(request);
    sa_buf_printf(out, "%s %s HTTP/1.1\r\nHost: localhost:%d\r\n", sa_http_request_method(request),
                  target->target, target->port);
    for (size_t i = 0; sa_http_request_header_at(request, i, &name, &value); i++)
        pass_on(request, target, name, value, out);
    add_forwarded(request, target, out);
    if (upgrade)
        sa_buf_printf(out, "Connection: Upgrade\r\nUpgrade: %s\r\n",
                      sa_http_request_header(request, "upgrade"));
    if (length > 0 || sa_http_request_header(request, "content-length"))
        sa_buf_printf(out, "Content-Length: %lld\r\n", (long long)length);
    else if (length < 0)
        sa_buf_adds(out, "Transfer-Encoding: chunked\r\n");
    sa_buf_adds(out, "\r\n");
}

/* ---- out ---- */

/* For its own host only, whatever it asks for, and not our name. */
static void pass_cookie(struct sa_http_request *request, const char *value)
{
    sa_autobuf kept = SA_BUF_INIT;
    size_t name = strcspn(value, "=; \t");
    if (name == strlen(SA_PORT_COOKIE) && strncasecmp(value, SA_PORT_COOKIE, name) == 0)
        return;
    for (const char *at = value; *at;) {
        size_t n = strcspn(at, ";");
        const char *attribute = at + strspn(at, " \t");
        if (at == value || strncasecmp(attribute, "domain", 6) != 0) {
            if (at != value)
                sa_buf_addc(&kept, ';');
            sa_buf_add(&kept, at, n);
        }
        at += n + (at[n] == ';');
    }
    sa_http_response_header(request, "Set-Cookie", kept.data ? kept.data : "");
}

static bool named_by_answer(const struct sa_http_answer_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (strcasecmp(head->headers[i].name, "connection") == 0 &&
            lists(head->headers[i].value, name))
            return true;
    return false;
}

const char *sa_port_answer_headers(struct sa_http_request *request,
                                   const struct sa_http_answer_head *head,
                                   const struct sa_port_target *target)
{
    /* What this server says itself; and what would outlive the answer, or reach other origins. */
    static const char *const dropped[] = {"content-length",
                                          "content-type",
                                          "date",
                                          "server",
                                          "x-request-id",
                                          "x-content-type-options",
                                          "strict-transport-security",
                                          "public-key-pins",
                                          "clear-site-data",
                                          "alt-svc",
                                          "nel",
                                          "report-to",
                                          "reporting-endpoints",
                                          "service-worker-allowed",
                                          NULL};
    for (size_t i = 0; i < head->header_count; i++) {
        const char *name = head->headers[i].name, *value = head->headers[i].value;
        if (one_of(name, dropped) || one_of(name, of_one_hop) || named_by_answer(head, name))
            continue;
        if (strcasecmp(name, "set-cookie") != 0)
            sa_http_response_header(request, name, value);
        else if (!target->prefix)
            pass_cookie(request, value);
    }
    if (target->new_cookie)
        sa_http_response_header(request, "Set-Cookie", target->new_cookie);
    if (target->prefix) /* the page is of no origin: not of this server's */
        sa_http_response_header(request, "Content-Security-Policy",
                                "sandbox allow-downloads allow-forms allow-modals allow-popups "
                                "allow-scripts");
    if (head->said_length >= 0 && head->content_length == 0)
        sa_http_response_headerf(request, "Content-Length", "%lld", (long long)head->said_length);
    const char *type = sa_http_answer_find(head, "content-type");
    return type;
}

/* ---- leaving HTTP ---- */

/* RFC 6455, 4.2.2: the proof that the server has read this request. */
static bool accepts(const char *key, const char *accept)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    sa_autobuf text = SA_BUF_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE], wanted[64];
    unsigned length = 0;
    sa_buf_adds(&text, key);
    sa_buf_adds(&text, guid);
    if (!EVP_Digest(text.data, text.length, digest, &length, EVP_sha1(), NULL))
        return false;
    EVP_EncodeBlock(wanted, digest, (int)length);
    return accept && strcmp(accept, (const char *)wanted) == 0;
}

bool sa_port_switched(const struct sa_http_request *request, const struct sa_http_answer_head *head,
                      struct sa_buf *out)
{
    const char *upgrade = sa_http_answer_find(head, "upgrade");
    const char *key = sa_http_request_header(request, "sec-websocket-key");
    if (!upgrade || strcasecmp(upgrade, "websocket") != 0 || !key ||
        !accepts(key, sa_http_answer_find(head, "sec-websocket-accept")))
        return false;
    sa_buf_adds(out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
    for (size_t i = 0; i < head->header_count; i++)
        if (strcasecmp(head->headers[i].name, "upgrade") == 0 ||
            strncasecmp(head->headers[i].name, "sec-websocket-", 14) == 0)
            add_header(out, head->headers[i].name, head->headers[i].value);
    sa_buf_adds(out, "\r\n");
    return true;
}
