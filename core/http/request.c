/* The request's side of http.h: what it says, its life and its body. */
#include "http/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

/* ---- life ---- */

static bool sane_request_id(const char *id)
{
    size_t n = strlen(id);
    return n && n <= REQUEST_ID_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

void sa_request_begin(struct sa_http_request *r, const struct sa_http_head *head)
{
    struct sa_conn *c = r->conn;
    int64_t started_us = r->started_us;
    memset(r, 0, sizeof *r);
    r->conn = c;
    r->started_us = started_us;
    r->head = head;
    r->route = "";
    r->own_length = -1;
    r->length_left = -1;
    c->extra.length = 0;
    const char *id = head ? sa_http_head_find(head, "x-request-id") : NULL;
    if (id && sane_request_id(id))
        memcpy(r->id, id, strlen(id) + 1);
    else
        sa_id_new("req-", r->id);
    r->body = head && head->content_length != 0 ? BODY_UNCLAIMED : BODY_COMPLETE;
    const struct sa_http_options *options = &c->server->options;
    c->request_count++;
    r->keep_alive = head && head->keep_alive && !c->server->draining &&
                    (!options->requests_max || c->request_count < options->requests_max);
    c->server->active_count++;
}

void sa_request_detach(struct sa_http_request *r)
{
    if (!r->handled)
        return;
    r->handled = false;
    r->data = NULL;
    r->done = NULL;
    r->writable = NULL;
    if (r->reply != REPLY_ENDED && r->closed)
        r->closed(r, r->closed_user);
}

static void report(struct sa_http_request *r, bool complete)
{
    const struct sa_http_options *options = &r->conn->server->options;
    if (!options->completed)
        return;
    struct sa_http_completion completion = {
        .route = r->route,
        .method = r->head ? r->head->method : "",
        .target = r->head ? r->head->target : "",
        .peer = sa_http_request_peer(r),
        .request_id = r->id,
        .status = r->status ? r->status : 499,
        .complete = complete,
        .duration_us = (int64_t)(uv_hrtime() / 1000) - r->started_us,
        .bytes_in = r->bytes_in,
        .bytes_out = r->bytes_out,
        .request_user = r->user,
    };
    options->completed(&completion, options->completed_user);
}

void sa_request_finish(struct sa_http_request *r, bool complete)
{
    sa_request_detach(r);
    report(r, complete);
    if (r->cleanup)
        r->cleanup(r->cleanup_user);
    sa_arena_free(r->arena);
    sa_buf_deinit(&r->collected);
    r->arena = NULL;
    r->cleanup = NULL;
    r->conn->server->active_count--;
}

/* ---- accessors ---- */

const char *sa_http_request_id(const struct sa_http_request *r)
{
    return r->id;
}

const char *sa_http_request_method(const struct sa_http_request *r)
{
    return r->head->method;
}

const char *sa_http_request_target(const struct sa_http_request *r)
{
    return r->head->target;
}

const char *sa_http_request_path(const struct sa_http_request *r)
{
    return r->head->path;
}

size_t sa_http_request_segment_count(const struct sa_http_request *r)
{
    return r->head->segment_count;
}

struct sa_http_text sa_http_request_segment(const struct sa_http_request *r, size_t index)
{
    assert(index < r->head->segment_count);
    return r->head->segments[index];
}

const char *sa_http_request_query(const struct sa_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->head->query_count; i++)
        if (!strcmp(r->head->query[i].name, name))
            return r->head->query[i].value;
    return NULL;
}

static bool pair_at(const struct sa_http_pair *pairs, size_t count, size_t index, const char **name,
                    const char **value)
{
    if (index >= count)
        return false;
    *name = pairs[index].name;
    *value = pairs[index].value;
    return true;
}

bool sa_http_request_query_at(const struct sa_http_request *r, size_t index, const char **name,
                              const char **value)
{
    return pair_at(r->head->query, r->head->query_count, index, name, value);
}

const char *sa_http_request_header(const struct sa_http_request *r, const char *name)
{
    return sa_http_head_find(r->head, name);
}

bool sa_http_request_header_at(const struct sa_http_request *r, size_t index, const char **name,
                               const char **value)
{
    return pair_at(r->head->headers, r->head->header_count, index, name, value);
}

int64_t sa_http_request_content_length(const struct sa_http_request *r)
{
    return r->head->content_length;
}

bool sa_http_request_is_type(const struct sa_http_request *r, const char *type)
{
    const char *value = sa_http_request_header(r, "content-type");
    if (!value)
        return false;
    size_t n = strcspn(value, "; \t");
    return n == strlen(type) && !strncasecmp(value, type, n);
}

const char *sa_http_request_peer(const struct sa_http_request *r)
{
    struct sa_conn *c = r->conn;
    struct sockaddr_storage address;
    int length = sizeof address;
    if (!c->peer[0] && !uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &length))
        sa_format_address(&address, c->peer);
    return c->peer;
}

bool sa_http_request_is_tls(const struct sa_http_request *r)
{
    return r->conn->tls != NULL;
}

struct sa_arena *sa_http_request_arena(struct sa_http_request *r)
{
    if (!r->arena)
        r->arena = sa_arena_new();
    return r->arena;
}

struct sa_http_server *sa_http_request_server(const struct sa_http_request *r)
{
    return r->conn->server;
}

const char *sa_http_request_route(const struct sa_http_request *r)
{
    return r->route;
}

const char *sa_http_request_param(const struct sa_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->param_count; i++)
        if (!strcmp(r->params[i].name, name))
            return r->params[i].value;
    return NULL;
}

void *sa_http_request_user(const struct sa_http_request *r)
{
    return r->user;
}

void sa_http_request_set_user(struct sa_http_request *r, void *user)
{
    r->user = user;
}

void sa_http_request_set_cleanup(struct sa_http_request *r, void (*cleanup)(void *), void *user)
{
    r->cleanup = cleanup;
    r->cleanup_user = user;
}

void sa_http_request_on_closed(struct sa_http_request *r,
                               void (*closed)(struct sa_http_request *, void *), void *user)
{
    r->closed = closed;
    r->closed_user = user;
}

/* ---- body ---- */

/* RFC 9110, 10.1.1: the client holds the body back until it hears this. */
static void send_continue(struct sa_http_request *r)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (r->head->expect_continue && r->reply == REPLY_NONE)
        sa_out_add(&r->conn->out, text, sizeof text - 1);
}

void sa_http_request_body(struct sa_http_request *r, sa_http_data_cb *data, sa_http_done_cb *done,
                          void *user)
{
    assert(!r->done && r->reply != REPLY_ENDED);
    r->data = data;
    r->done = done;
    r->body_user = user;
    if (r->body == BODY_UNCLAIMED) {
        r->body = BODY_FLOWING;
        send_continue(r);
    } else {
        r->body_done_due = true;
    }
    r->conn->last_input = uv_now(r->conn->server->loop);
    sa_conn_touch(r->conn);
}

void sa_http_request_pause(struct sa_http_request *r)
{
    if (r->body == BODY_FLOWING)
        r->body = BODY_PAUSED;
    r->resumed = false;
}

void sa_http_request_resume(struct sa_http_request *r)
{
    r->resumed = true;
    if (r->body == BODY_PAUSED) {
        r->body = BODY_FLOWING;
        r->conn->last_input = uv_now(r->conn->server->loop);
        sa_conn_touch(r->conn);
    }
}

static size_t collect_data(struct sa_http_request *r, const void *data, size_t length, void *user)
{
    (void)user;
    if (length > r->collect_cap - r->collected.length) {
        r->too_large = true;
        return 0;
    }
    sa_buf_add(&r->collected, data, length);
    return length;
}

static void collect_done(struct sa_http_request *r, void *user)
{
    (void)user;
    sa_buf_reserve(&r->collected, 0);
    r->collected_cb(r, r->collected.data, r->collected.length, r->collected_user);
}

void sa_http_request_collect(struct sa_http_request *r, size_t cap_bytes,
                             sa_http_collected_cb *done, void *user)
{
    r->collect_cap = cap_bytes;
    r->collected_cb = done;
    r->collected_user = user;
    if (r->head->content_length > 0 && (uint64_t)r->head->content_length > cap_bytes) {
        r->too_large = true; /* answered from the loop, before the body is asked for */
        sa_conn_touch(r->conn);
        return;
    }
    sa_http_request_body(r, collect_data, collect_done, NULL);
}

/* ---- leaving HTTP ---- */

static bool has_token(const char *list, const char *token)
{
    size_t n = strlen(token);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t item = strcspn(list, " \t,");
        if (item == n && !strncasecmp(list, token, n))
            return true;
        list += item;
    }
    return false;
}

bool sa_http_request_is_websocket(const struct sa_http_request *r)
{
    const char *key = sa_http_request_header(r, "sec-websocket-key");
    const char *version = sa_http_request_header(r, "sec-websocket-version");
    return r->head->upgrade && !r->head->http_1_0 && !strcmp(r->head->method, "GET") &&
           has_token(sa_http_request_header(r, "upgrade"), "websocket") && key &&
           strlen(key) == 24 && version && !strcmp(version, "13") && r->head->content_length == 0;
}

/* -1: the exchange cannot be left any more. */
int sa_request_check_taking(const struct sa_http_request *r, struct sa_error *err)
{
    const struct sa_conn *c = r->conn;
    if (r->reply != REPLY_NONE || r->body != BODY_COMPLETE || sa_conn_queued(c) || c->failed)
        return sa_error_set(err, SA_ECONFLICT, "the exchange has gone too far to be handed over");
    return 0;
}

void sa_request_taken(struct sa_http_request *r)
{
    r->status = 101;
    r->reply = REPLY_ENDED;
    sa_conn_touch(r->conn);
}

int sa_http_take_socket(struct sa_http_request *r, char **unread, size_t *unread_length,
                        struct sa_error *err)
{
    struct sa_conn *c = r->conn;
    uv_os_fd_t fd;
    if (c->tls) {
        int end = sa_http_take_tunnel(r, NULL, NULL, NULL, err);
        if (end >= 0) {
            *unread = sa_strndup("", 0);
            *unread_length = 0;
        }
        return end;
    }
    if (sa_request_check_taking(r, err) < 0)
        return -1;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0)
        return sa_error_set(err, SA_ECONFLICT, "the connection is closed");
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return sa_error_sys(err, SA_EUNAVAILABLE, errno, "cannot hand over the connection");
    struct sa_http_text input = sa_conn_input(c);
    *unread_length = input.length;
    *unread = sa_strndup(input.length ? input.data : "", input.length);
    if (c->reading)
        uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
    c->taken = true;
    sa_request_taken(r);
    return copy;
}
