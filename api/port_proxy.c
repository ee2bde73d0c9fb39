/*
 * One exchange: the request goes in as it comes, the answer out as it comes, each side no faster
 * than the other takes it. What waits here is bounded: of a body 64 KiB, of an answer what the link
 * lets in (its window) beside the queue of the client's connection.
 */
#include "api/port.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BODY_WAITS_MAX = 64 * 1024,
    HEAD_MS = 120 * 1000, /* until the head of the answer */
    IMPATIENT_MS = 250,   /* then connections that are kept are closed (port.h) */
    INTERIM_MAX = 16,     /* 1xx before it */
};

struct exchange {
    struct sa_app *app;
    struct sa_http_request *request;
    struct sa_port_target target;
    struct sa_port_conn *conn;
    struct sa_http_answer *answer;
    struct sa_sandbox_timer timer;
    bool patient; /* the timer is still the first */
    struct sa_buf out;
    bool upgrade, replayable, body_done, body_begun, answered, chunked;
    bool retry_left;   /* on a fresh connection */
    bool stalled;      /* the client is slow */
    size_t unconsumed; /* credit held back while it is */
    int interim;
};

static const struct sa_port_conn_events conn_events;

static void exchange_free(struct exchange *e)
{
    sa_sandbox_timer_clear(e->target.sandbox, &e->timer);
    sa_http_answer_free(e->answer);
    sa_buf_deinit(&e->out);
    free(e);
}

/* ---- ends ---- */

static void drop_conn(struct exchange *e)
{
    if (e->conn)
        sa_port_conn_drop(e->conn);
    e->conn = NULL;
}

static void fail(struct exchange *e, int status, const char *rule, const struct sa_error *error)
{
    struct sa_http_request *request = e->request;
    drop_conn(e);
    bool answered = e->answered;
    exchange_free(e);
    sa_http_request_on_closed(request, NULL, NULL);
    if (answered)
        sa_http_response_abort(request); /* it must not look complete */
    else
        sa_http_respond_error_full(request, status, error, &(struct sa_http_why){.rule = rule});
}

static void fail_bad(struct exchange *e, const char *why)
{
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "the server on port %d answered badly: %s",
                 e->target.port, why);
    fail(e, 502, "bad_answer", &error);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct exchange *e = user;
    (void)request;
    drop_conn(e);
    exchange_free(e);
}

/* The answer is complete. `left`: bytes behind it, which nobody asked for. */
static void complete(struct exchange *e, size_t left)
{
    struct sa_http_request *request = e->request;
    bool keep =
        sa_http_answer_head(e->answer)->keep_alive && e->body_done && !e->out.length && !left;
    if (e->conn && keep) {
        sa_port_conn_consume(e->conn, e->unconsumed);
        sa_port_conn_put(e->conn);
        e->conn = NULL;
    }
    drop_conn(e);
    exchange_free(e);
    sa_http_request_on_closed(request, NULL, NULL);
    sa_http_response_end(request);
}

/* ---- the request ---- */

static void flush(struct exchange *e)
{
    if (!e->conn || !e->out.length)
        return;
    size_t n = sa_port_conn_write(e->conn, e->out.data, e->out.length);
    sa_buf_consume(&e->out, n);
}

static size_t on_body(struct sa_http_request *request, const void *data, size_t length, void *user)
{
    struct exchange *e = user;
    (void)request;
    e->replayable = false;
    if (e->out.length >= BODY_WAITS_MAX)
        return 0; /* on_writable resumes */
    if (e->chunked)
        sa_buf_printf(&e->out, "%zx\r\n", length);
    if (!e->chunked && !e->out.length) { /* the common case: straight through */
        size_t n = sa_port_conn_write(e->conn, data, length);
        sa_buf_add(&e->out, (const char *)data + n, length - n);
        return length;
    }
    sa_buf_add(&e->out, data, length);
    if (e->chunked)
        sa_buf_adds(&e->out, "\r\n");
    flush(e);
    return length;
}

static void on_body_done(struct sa_http_request *request, void *user)
{
    struct exchange *e = user;
    (void)request;
    e->body_done = true;
    if (e->chunked)
        sa_buf_adds(&e->out, "0\r\n\r\n");
    flush(e);
}

static void on_conn_writable(void *user)
{
    struct exchange *e = user;
    flush(e);
    if (e->body_begun && !e->body_done && e->out.length < BODY_WAITS_MAX)
        sa_http_request_resume(e->request);
}

/* Safe and without a body: may be asked once more when a connection that was kept is found dead,
 * and only such may use one (RFC 9110, 9.2.2). */
static bool is_replayable(const struct sa_http_request *request)
{
    const char *method = sa_http_request_method(request);
    return sa_http_request_content_length(request) == 0 &&
           (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
            strcmp(method, "OPTIONS") == 0);
}

static int begin(struct exchange *e, bool reuse, struct sa_error *err)
{
    e->conn = sa_port_conn_open(e->app->ports, e->target.sandbox, e->target.port, reuse,
                                &conn_events, e, err);
    if (!e->conn)
        return -1;
    e->out.length = 0;
    sa_port_request_head(e->request, &e->target, e->upgrade, &e->out);
    flush(e);
    return 0;
}

static void on_timer(struct sa_sandbox_timer *timer)
{
    struct exchange *e = sa_container_of(timer, struct exchange, timer);
    struct sa_error error;
    if (e->patient) {
        e->patient = false;
        sa_ports_drop_kept(e->app->ports, sa_sandbox_id(e->target.sandbox), e->target.port);
        sa_sandbox_timer_set(e->target.sandbox, &e->timer, HEAD_MS);
        return;
    }
    sa_error_set(&error, SA_ETIMEOUT, "the server on port %d did not answer within %d s",
                 e->target.port, HEAD_MS / 1000);
    fail(e, 504, "timeout", &error);
}

/* ---- the answer ---- */

static void start_answer(struct exchange *e)
{
    const struct sa_http_answer_head *head = sa_http_answer_head(e->answer);
    const char *type = sa_port_answer_headers(e->request, head, &e->target);
    int64_t length = head->content_length < 0 ? -1 : head->content_length;
    if (length == 0 && head->said_length > 0) /* HEAD, 304 */
        length = head->said_length;
    sa_sandbox_timer_clear(e->target.sandbox, &e->timer);
    e->answered = true;
    sa_http_response_start(e->request, head->status, type, length);
}

static void switch_protocols(struct exchange *e, const char *rest, size_t length)
{
    struct sa_buf to_client = SA_BUF_INIT, to_server = SA_BUF_INIT;
    struct sa_error error;
    char *unread = NULL;
    size_t unread_length = 0;
    if (!e->upgrade || !sa_port_switched(e->request, sa_http_answer_head(e->answer), &to_client)) {
        sa_buf_deinit(&to_client);
        fail_bad(e, "101 without having been asked for it, or without the right proof");
        return;
    }
    sa_http_request_on_closed(e->request, NULL, NULL);
    int fd = sa_http_take_socket(e->request, &unread, &unread_length, &error);
    if (fd < 0) {
        sa_buf_deinit(&to_client);
        fail(e, 0, NULL, &error);
        return;
    }
    sa_buf_add(&to_client, rest, length);
    sa_buf_add(&to_server, unread, unread_length);
    free(unread);
    struct sa_port_conn *conn = e->conn;
    struct sa_sandbox *sandbox = e->target.sandbox;
    struct sa_app *app = e->app;
    exchange_free(e);
    sa_port_tunnel(app, sandbox, fd, conn, &to_client, &to_server);
}

/* A head has come. False: the exchange is over, or in other hands. */
static bool on_head(struct exchange *e, const char *rest, size_t length)
{
    const struct sa_http_answer_head *head = sa_http_answer_head(e->answer);
    if (head->upgrade) {
        switch_protocols(e, rest, length);
        return false;
    }
    if (head->status < 200) {
        if (++e->interim <= INTERIM_MAX)
            return true;
        fail_bad(e, "there are too many 1xx before its answer");
        return false;
    }
    start_answer(e);
    return true;
}

static void on_data(void *user, const char *data, size_t length)
{
    struct exchange *e = user;
    struct sa_http_text body;
    const char *why, *at = data;
    size_t left = length;
    e->replayable = false;
    for (;;) {
        enum sa_http_answer_event event = sa_http_answer_next(e->answer, &at, &left, &body, &why);
        if (event == SA_HTTP_ANSWER_NEED_MORE)
            break;
        if (event == SA_HTTP_ANSWER_HEAD && !on_head(e, at, left))
            return;
        if (event == SA_HTTP_ANSWER_BODY &&
            !sa_http_response_write(e->request, body.data, body.length))
            e->stalled = true;
        if (event == SA_HTTP_ANSWER_END) {
            e->unconsumed += length;
            complete(e, left);
            return;
        }
        if (event == SA_HTTP_ANSWER_BAD) {
            fail_bad(e, why);
            return;
        }
    }
    if (e->stalled)
        e->unconsumed += length;
    else
        sa_port_conn_consume(e->conn, length);
}

static void on_client_writable(struct sa_http_request *request, void *user)
{
    struct exchange *e = user;
    (void)request;
    size_t n = e->unconsumed;
    e->stalled = false;
    e->unconsumed = 0;
    if (e->conn && n)
        sa_port_conn_consume(e->conn, n);
}

/* The connection had been kept, and its server closed it before it saw the request. */
static bool try_again(struct exchange *e)
{
    struct sa_error error;
    if (!e->replayable || !e->retry_left)
        return false;
    e->retry_left = false;
    drop_conn(e);
    if (begin(e, false, &error) < 0)
        fail(e, 0, NULL, &error);
    return true;
}

static void on_eof(void *user)
{
    struct exchange *e = user;
    const char *why;
    if (try_again(e))
        return;
    if (sa_http_answer_eof(e->answer, &why) == SA_HTTP_ANSWER_END)
        complete(e, 0);
    else
        fail_bad(e, why);
}

static void fail_unconnected(struct exchange *e, const struct sa_error *error)
{
    struct sa_error told;
    sa_error_set(&told, SA_EUNAVAILABLE, "nobody can be reached on port %d inside the sandbox: %s",
                 e->target.port, error->message);
    fail(e, 502, "nobody_listens", &told);
}

static void on_conn_closed(void *user, bool connected, const struct sa_error *error)
{
    struct exchange *e = user;
    e->conn = NULL;
    if (try_again(e))
        return;
    if (error && !connected)
        fail_unconnected(e, error);
    else
        fail_bad(e, error ? error->message : "it closed the connection");
}

static const struct sa_port_conn_events conn_events = {
    .data = on_data, .writable = on_conn_writable, .eof = on_eof, .closed = on_conn_closed};

void sa_port_proxy(struct sa_app *app, struct sa_http_request *request,
                   const struct sa_port_target *target)
{
    struct sa_error error;
    struct exchange *e = sa_alloc(sizeof *e);
    int64_t length = sa_http_request_content_length(request);
    *e = (struct exchange){.app = app, .request = request, .target = *target};
    e->upgrade = sa_http_request_is_websocket(request);
    e->replayable = is_replayable(request) && !e->upgrade;
    e->chunked = length < 0;
    e->body_done = length == 0;
    e->answer = sa_http_answer_new();
    sa_http_answer_begin(e->answer, strcmp(sa_http_request_method(request), "HEAD") == 0);
    if (begin(e, e->replayable, &error) < 0) {
        exchange_free(e);
        sa_http_respond_error(request, &error);
        return;
    }
    e->retry_left = sa_port_conn_is_reused(e->conn);
    e->patient = true;
    e->timer.fire = on_timer;
    sa_sandbox_timer_set(target->sandbox, &e->timer, IMPATIENT_MS);
    sa_http_request_on_closed(request, on_client_gone, e);
    sa_http_response_on_writable(request, on_client_writable, e);
    if (length == 0)
        return;
    e->body_begun = true;
    sa_http_request_body(request, on_body, on_body_done, e);
}
