/* The server: listening, timeouts, drain. */
#include "http/internal.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

enum { BACKLOG = 1024, SWEEP_MIN_MS = 10, SWEEP_MAX_MS = 250 };

static void set_defaults(struct sa_http_options *o)
{
#define DEFAULT(field, value) o->field = o->field ? o->field : (value)
    DEFAULT(connections_max, 4096);
    DEFAULT(headers_max, 100);
    DEFAULT(header_bytes_max, 32 * 1024);
    DEFAULT(target_bytes_max, 8 * 1024);
    DEFAULT(query_max, 100);
    DEFAULT(pipeline_bytes_max, 64 * 1024);
    DEFAULT(write_high_bytes, 256 * 1024);
    DEFAULT(write_max_bytes, 64 * 1024 * 1024);
    DEFAULT(handshake_timeout_ms, 10000);
    DEFAULT(header_timeout_ms, 15000);
    DEFAULT(body_timeout_ms, 30000);
    DEFAULT(keepalive_timeout_ms, 75000);
    DEFAULT(write_timeout_ms, 60000);
#undef DEFAULT
}

struct sa_http_server *sa_http_server_new(uv_loop_t *loop, const struct sa_http_options *options,
                                          struct sa_error *err)
{
    struct sa_tls_context *tls = NULL;
    assert(options->handler);
    if (options->tls_cert_file || options->tls_key_file) {
        if (!options->tls_cert_file || !options->tls_key_file) {
            sa_error_set(err, SA_EINVALID, "TLS needs both a certificate and a key");
            return NULL;
        }
        tls = sa_tls_context_new(options->tls_cert_file, options->tls_key_file, err);
        if (!tls)
            return NULL;
    }
    struct sa_http_server *s = sa_alloc(sizeof *s);
    s->loop = loop;
    s->options = *options;
    s->tls = tls;
    set_defaults(&s->options);
    return s;
}

/* ---- connections ---- */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* that it is there keeps the loop from waiting */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct sa_http_server *s = prepare->data;
    struct sa_conn *last = s->dirty ? s->dirty->dirty_prev : NULL;
    for (bool more = last != NULL; more;) { /* those that become dirty meanwhile: next time */
        struct sa_conn *c = s->dirty;
        more = c != last;
        DL_DELETE2(s->dirty, c, dirty_prev, dirty_next);
        c->dirty = false;
        sa_conn_step(c);
    }
    if (s->dirty)
        uv_idle_start(&s->idle, on_idle);
    else
        uv_idle_stop(&s->idle);
}

static void on_sweep(uv_timer_t *timer)
{
    struct sa_http_server *s = timer->data;
    uint64_t now = uv_now(s->loop);
    /* A step may close its own connection, but that one stays in the list until the loop has
     * closed it; handlers may touch others, which changes nothing of the list. */
    for (struct sa_conn *c = s->conns; c; c = c->next)
        sa_conn_check_timeouts(c, now);
}

/* Fine enough for the shortest timeout. */
static unsigned sweep_interval(const struct sa_http_options *o)
{
    unsigned least = o->handshake_timeout_ms;
    const unsigned others[] = {o->header_timeout_ms, o->body_timeout_ms, o->keepalive_timeout_ms,
                               o->write_timeout_ms};
    for (size_t i = 0; i < SA_COUNT(others); i++)
        least = others[i] < least ? others[i] : least;
    least /= 8;
    return least < SWEEP_MIN_MS ? SWEEP_MIN_MS : least > SWEEP_MAX_MS ? SWEEP_MAX_MS : least;
}

void sa_server_conn_came(struct sa_conn *c)
{
    struct sa_http_server *s = c->server;
    unsigned interval = sweep_interval(&s->options);
    DL_APPEND(s->conns, c);
    if (!s->conn_count++)
        uv_timer_start(&s->sweep, on_sweep, interval, interval);
}

void sa_server_conn_gone(struct sa_conn *c)
{
    struct sa_http_server *s = c->server;
    DL_DELETE(s->conns, c);
    if (!--s->conn_count)
        uv_timer_stop(&s->sweep);
}

/* ---- listening ---- */

void sa_format_address(const struct sockaddr_storage *address, char out[ADDRESS_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_BYTES, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const void *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_BYTES, "%s:%u", host, ntohs(in->sin_port));
    }
}

static int parse_address(const char *text, struct sockaddr_storage *out, struct sa_error *err)
{
    char host[ADDRESS_BYTES];
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    char *end = NULL;
    unsigned long port =
        colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 65536;
    if (!length || length >= sizeof host || port > 65535 || *end)
        goto bad;
    memcpy(host, text, length);
    host[length] = '\0';
    memset(out, 0, sizeof *out);
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        if (uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)(void *)out) == 0)
            return 0;
    } else if (uv_ip4_addr(strcmp(host, "localhost") ? host : "127.0.0.1", (int)port,
                           (struct sockaddr_in *)(void *)out) == 0) {
        return 0;
    }
bad:
    return sa_error_at(err, SA_EINVALID, "listen",
                       "\"%s\" is not an address to listen on: write 127.0.0.1:8080, [::1]:8080 "
                       "or localhost:8080 (port 0 takes a free one)",
                       text);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *l = stream->data;
    if (status == 0)
        sa_conn_accept(l->server, stream);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    struct sa_http_server *s = l->server;
    free(l);
    s->handles--;
    sa_server_check_drained(s);
}

static void start(struct sa_http_server *s)
{
    if (s->started)
        return;
    s->started = true;
    s->handles += 4;
    s->prepare.data = s->idle.data = s->sweep.data = s->deadline.data = s;
    uv_prepare_init(s->loop, &s->prepare);
    uv_prepare_start(&s->prepare, on_prepare);
    uv_unref((uv_handle_t *)&s->prepare);
    uv_idle_init(s->loop, &s->idle);
    uv_timer_init(s->loop, &s->sweep);
    uv_timer_init(s->loop, &s->deadline);
    s->read_buffer = sa_realloc(NULL, READ_BYTES);
    if (s->tls)
        s->plain_buffer = sa_realloc(NULL, READ_BYTES);
}

/* Of a bound address, or of what is there already. */
struct place {
    const struct sockaddr_storage *address; /* NULL: `fd` */
    int fd;
};

static int take_place(struct listener *l, const struct place *place)
{
    int r = place->address
                ? uv_tcp_bind(&l->tcp, (const struct sockaddr *)place->address,
                              place->address->ss_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0)
                : uv_tcp_open(&l->tcp, place->fd);
    return r ? r : uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
}

static int listen_at(struct sa_http_server *s, const struct place *place, const char *name,
                     struct sa_error *err)
{
    struct sockaddr_storage sockaddr = {0};
    int length = sizeof sockaddr;
    start(s);
    struct listener *l = sa_alloc(sizeof *l);
    l->server = s;
    l->tcp.data = l;
    int r = uv_tcp_init(s->loop, &l->tcp);
    if (r) {
        free(l);
        return sa_error_sys(err, SA_EINTERNAL, -r, "cannot listen on %s", name);
    }
    s->handles++;
    if ((r = take_place(l, place)) != 0) {
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
        sa_error_sys(err, r == UV_EADDRINUSE ? SA_ECONFLICT : SA_EINVALID, -r,
                     "cannot listen on %s", name);
        if (err)
            snprintf(err->path, sizeof err->path, "listen");
        return -1;
    }
    l->next = s->listeners;
    s->listeners = l;
    uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&sockaddr, &length);
    sa_format_address(&sockaddr, s->address);
    snprintf(s->url, sizeof s->url, "%s://%s", s->tls ? "https" : "http", s->address);
    return 0;
}

int sa_http_server_listen(struct sa_http_server *s, const char *address, struct sa_error *err)
{
    struct sockaddr_storage sockaddr = {0};
    if (parse_address(address, &sockaddr, err) < 0)
        return -1;
    return listen_at(s, &(struct place){.address = &sockaddr}, address, err);
}

int sa_http_server_listen_on(struct sa_http_server *s, int fd, struct sa_error *err)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return sa_error_sys(err, SA_EINVALID, errno, "cannot listen on descriptor %d", fd);
    return listen_at(s, &(struct place){.fd = fd}, "the socket that was passed", err);
}

int sa_http_server_listener(const struct sa_http_server *s)
{
    uv_os_fd_t fd;
    return s->listeners && uv_fileno((const uv_handle_t *)&s->listeners->tcp, &fd) == 0 ? fd : -1;
}

const char *sa_http_server_address(const struct sa_http_server *s)
{
    return s->address;
}

const char *sa_http_server_url(const struct sa_http_server *s)
{
    return s->url;
}

/* ---- drain ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct sa_http_server *s = handle->data;
    s->handles--;
    sa_server_check_drained(s);
}

void sa_server_check_drained(struct sa_http_server *s)
{
    if (!s->draining || s->conn_count || s->finished)
        return;
    if (s->started) {
        s->started = false;
        uv_close((uv_handle_t *)&s->prepare, on_handle_closed);
        uv_close((uv_handle_t *)&s->idle, on_handle_closed);
        uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
        uv_close((uv_handle_t *)&s->deadline, on_handle_closed);
    }
    if (s->handles)
        return;
    s->finished = true;
    if (s->drained)
        s->drained(s->drained_user);
}

static void on_deadline(uv_timer_t *timer)
{
    struct sa_http_server *s = timer->data;
    for (struct sa_conn *c = s->conns; c; c = c->next)
        sa_conn_fail(c); /* closed when the loop polls next */
    sa_server_check_drained(s);
}

void sa_http_server_drain(struct sa_http_server *s, unsigned deadline_ms, void (*done)(void *user),
                          void *user)
{
    s->drained = done;
    s->drained_user = user;
    if (s->draining && !s->started)
        return; /* nothing is left to be cut: its handles are closing, or closed */
    start(s);   /* `done` comes from the loop, even if nothing was listened on */
    while (s->listeners) {
        struct listener *l = s->listeners;
        s->listeners = l->next;
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
    }
    bool shorter = !s->draining || deadline_ms < uv_timer_get_due_in(&s->deadline);
    s->draining = true;
    for (struct sa_conn *c = s->conns; c; c = c->next)
        if (c->phase == CONN_IDLE || c->phase == CONN_HANDSHAKE)
            sa_conn_fail(c);
    if (shorter)
        uv_timer_start(&s->deadline, on_deadline, s->conn_count ? deadline_ms : 0, 0);
}

void sa_http_server_free(struct sa_http_server *s)
{
    if (!s)
        return;
    assert(s->finished || (!s->started && !s->handles));
    sa_tls_context_free(s->tls);
    sa_out_pool_deinit(&s->pool);
    free(s->read_buffer);
    free(s->plain_buffer);
    free(s);
}

/* ---- facts ---- */

/* IMF-fixdate (RFC 9110, 5.6.7), made anew each second. */
const char *sa_server_date(struct sa_http_server *s)
{
    time_t seconds = time(NULL);
    if (seconds != s->date_second || !s->date[0]) {
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        s->date_second = seconds;
    }
    return s->date;
}

unsigned sa_http_server_connections(const struct sa_http_server *s)
{
    return s->conn_count;
}

unsigned sa_http_server_active_requests(const struct sa_http_server *s)
{
    return s->active_count;
}

uint64_t sa_http_server_refused_connections(const struct sa_http_server *s)
{
    return s->refused_count;
}

bool sa_http_server_draining(const struct sa_http_server *s)
{
    return s->draining;
}
