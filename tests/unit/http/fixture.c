#include "fixture.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "handlers.h"
#include "loop/loop.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

struct fixture {
    pthread_t thread;
    uv_loop_t *loop;
    uv_async_t wake;
    struct sa_router *router;
    struct sa_http_server *server;
    struct handlers handlers;
    unsigned deadline_ms;
    char address[64];
};

/* ---- the server's side ---- */

static void on_completed(const struct sa_http_completion *completion, void *user)
{
    struct counters *c = user;
    c->last_status = completion->status;
    c->incomplete += !completion->complete;
    c->completed++;
}

static void on_drained(void *user)
{
    struct fixture *f = user;
    uv_close((uv_handle_t *)&f->wake, NULL);
}

static void on_wake(uv_async_t *wake)
{
    struct fixture *f = wake->data;
    sa_http_server_drain(f->server, f->deadline_ms, on_drained, f);
}

static void *run(void *argument)
{
    struct fixture *f = argument;
    uv_run(f->loop, UV_RUN_DEFAULT);
    return NULL;
}

struct fixture *fixture_start(const struct sa_http_options *options, const char *address)
{
    struct fixture *f = sa_alloc(sizeof *f);
    struct sa_error err = {0};
    struct sa_http_options o = options ? *options : (struct sa_http_options){0};
    f->loop = sa_loop_new(&err);
    f->router = sa_router_new();
    f->handlers.loop = f->loop;
    f->handlers.taken_fd = -1;
    pthread_mutex_init(&f->handlers.lock, NULL);
    add_handlers(f->router, &f->handlers);
    o.handler = sa_router_dispatch;
    o.user = f->router;
    o.completed = on_completed;
    o.completed_user = &f->handlers.counters;
    f->server = sa_http_server_new(f->loop, &o, &err);
    if (!f->server)
        fail_msg("%s", err.message);
    if (sa_http_server_listen(f->server, address ? address : "127.0.0.1:0", &err) < 0)
        fail_msg("%s", err.message);
    snprintf(f->address, sizeof f->address, "%s", sa_http_server_address(f->server));
    f->wake.data = f;
    uv_async_init(f->loop, &f->wake, on_wake);
    pthread_create(&f->thread, NULL, run, f);
    return f;
}

const char *fixture_address(const struct fixture *f)
{
    return f->address;
}

struct counters *fixture_counters(struct fixture *f)
{
    return &f->handlers.counters;
}

void fixture_drain(struct fixture *f, unsigned deadline_ms)
{
    f->deadline_ms = deadline_ms;
    uv_async_send(&f->wake);
}

void fixture_stop(struct fixture *f)
{
    if (!f->deadline_ms)
        fixture_drain(f, 0);
    pthread_join(f->thread, NULL);
    assert_int_equal(sa_http_server_connections(f->server), 0);
    assert_int_equal(sa_http_server_active_requests(f->server), 0);
    assert_int_equal(f->handlers.counters.handled, f->handlers.counters.cleaned);
    sa_http_server_free(f->server);
    sa_router_free(f->router);
    sa_loop_free(f->loop); /* aborts when something is open */
    pthread_mutex_destroy(&f->handlers.lock);
    free(f);
}

int fixture_end(void **state)
{
    fixture_stop(*state);
    return 0;
}

int fixture_taken(struct fixture *f, char **unread, size_t *length)
{
    pthread_mutex_lock(&f->handlers.lock);
    int fd = f->handlers.taken_fd;
    *unread = f->handlers.taken_unread;
    *length = f->handlers.taken_length;
    f->handlers.taken_fd = -1;
    pthread_mutex_unlock(&f->handlers.lock);
    return fd;
}

int fixture_wait_taken(struct fixture *f)
{
    int fd = -1;
    char *unread = NULL;
    size_t length;
    for (int i = 0; i < 10000 && fd < 0; i++, usleep(1000))
        fd = fixture_taken(f, &unread, &length);
    assert_true(fd >= 0);
    free(unread);
    int flags = fcntl(fd, F_GETFL);
    assert_true(flags & O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), 0);
    return fd;
}

/* ---- the client ---- */

static int connect_to(const char *address)
{
    struct sockaddr_storage storage = {0};
    socklen_t length;
    const char *colon = strrchr(address, ':');
    in_port_t port = htons((uint16_t)atoi(colon + 1));
    char host[64];
    if (address[0] == '[') {
        struct sockaddr_in6 *in6 = (void *)&storage;
        snprintf(host, sizeof host, "%.*s", (int)(colon - address - 2), address + 1);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        inet_pton(AF_INET6, host, &in6->sin6_addr);
        length = sizeof *in6;
    } else {
        struct sockaddr_in *in = (void *)&storage;
        snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
        in->sin_family = AF_INET;
        in->sin_port = port;
        inet_pton(AF_INET, host, &in->sin_addr);
        length = sizeof *in;
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (struct sockaddr *)&storage, length), 0);
    return fd;
}

struct client client_open(const struct fixture *f)
{
    return (struct client){.fd = connect_to(f->address)};
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    sa_buf_deinit(&c->in);
}

bool client_try_send(struct client *c, const void *data, size_t length)
{
    const char *from = data;
    while (length) {
        ssize_t n = send(c->fd, from, length, MSG_NOSIGNAL);
        if (n < 0)
            return false;
        from += n;
        length -= (size_t)n;
    }
    return true;
}

void client_send_bytes(struct client *c, const void *data, size_t length)
{
    assert_true(client_try_send(c, data, length));
}

void client_send(struct client *c, const char *text)
{
    client_send_bytes(c, text, strlen(text));
}

/* 0 at the end; a reset counts as one. */
static size_t fill(struct client *c)
{
    char *to = sa_buf_reserve(&c->in, 65536);
    ssize_t n = recv(c->fd, to, 65536, 0);
    if (n < 0 && errno != ECONNRESET)
        fail_msg("recv: %s", strerror(errno));
    if (n <= 0)
        return 0;
    c->in.length += (size_t)n;
    c->in.data[c->in.length] = '\0';
    return (size_t)n;
}

static bool take(struct client *c, size_t length, struct sa_buf *to)
{
    while (c->in.length < length)
        if (!fill(c))
            return false;
    sa_buf_add(to, c->in.data, length);
    sa_buf_consume(&c->in, length);
    return true;
}

static bool take_line(struct client *c, struct sa_buf *line)
{
    char *end;
    while (!c->in.data || !(end = strstr(c->in.data, "\r\n")))
        if (!fill(c))
            return false;
    line->length = 0;
    return take(c, (size_t)(end - c->in.data) + 2, line);
}

const char *reply_header(const struct reply *r, const char *name)
{
    static char value[1024];
    size_t n = strlen(name);
    for (const char *p = strstr(r->head, "\r\n"); p && p[2]; p = strstr(p + 2, "\r\n")) {
        if (strncasecmp(p + 2, name, n) != 0 || p[2 + n] != ':')
            continue;
        const char *from = p + 3 + n + strspn(p + 3 + n, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r"), from);
        return value;
    }
    return NULL;
}

static bool read_chunks(struct client *c, struct sa_buf *body)
{
    sa_autobuf line = SA_BUF_INIT;
    for (;;) {
        if (!take_line(c, &line))
            return false;
        size_t n = strtoul(line.data, NULL, 16);
        if (n && !take(c, n, body))
            return false;
        if (!take_line(c, &line))
            return false;
        assert_string_equal(line.data, "\r\n");
        if (!n)
            return true;
    }
}

static bool read_body(struct client *c, struct reply *r, bool bodiless)
{
    const char *length = reply_header(r, "Content-Length");
    if (bodiless || r->status == 204 || r->status == 304 || r->status < 200)
        return true;
    if (length)
        return take(c, strtoul(length, NULL, 10), &r->body);
    if (reply_header(r, "Transfer-Encoding"))
        return read_chunks(c, &r->body);
    while (fill(c))
        ;
    return take(c, c->in.length, &r->body);
}

struct reply client_read(struct client *c, bool bodiless)
{
    struct reply r = {0};
    char *end;
    while (!c->in.data || !(end = strstr(c->in.data, "\r\n\r\n")))
        if (!fill(c))
            return r;
    take(c, (size_t)(end - c->in.data) + 4, &r.memory);
    r.head = r.memory.data;
    assert_int_equal(sscanf(r.head, "HTTP/1.1 %d ", &r.status), 1);
    r.complete = read_body(c, &r, bodiless);
    sa_buf_reserve(&r.body, 0);
    return r;
}

void reply_deinit(struct reply *r)
{
    sa_buf_deinit(&r->memory);
    sa_buf_deinit(&r->body);
}

void client_assert_closed(struct client *c)
{
    if (c->in.length)
        fail_msg("more came: %s", c->in.data);
    size_t n = fill(c);
    if (n)
        fail_msg("more came: %s", c->in.data);
}

void client_expect(struct client *c, const char *request, int status, const char *body)
{
    client_send(c, request);
    struct reply r = client_read(c, !strncmp(request, "HEAD ", 5));
    if (r.status != status)
        fail_msg("%d instead of %d for %s: %s", r.status, status, request, r.body.data);
    assert_true(r.complete);
    if (body)
        assert_string_equal(r.body.data, body);
    reply_deinit(&r);
}

void expect_refused(const struct fixture *f, const char *request, size_t length, int status)
{
    struct client c = client_open(f);
    client_send_bytes(&c, request, length);
    struct reply r = client_read(&c, false);
    if (r.status != status)
        fail_msg("%d instead of %d for %s", r.status, status, request);
    assert_true(r.complete);
    assert_string_equal(reply_header(&r, "Connection"), "close");
    assert_string_equal(reply_header(&r, "Content-Type"), "application/json");
    assert_non_null(strstr(r.body.data, "{\"error\":{\"code\":\""));
    assert_non_null(strstr(r.body.data, reply_header(&r, "X-Request-Id")));
    client_assert_closed(&c);
    reply_deinit(&r);
    client_close(&c);
}

/* ---- odds and ends ---- */

void wait_for(atomic_int *counter, int value)
{
    for (int64_t end = sa_monotonic_ms() + 60000; *counter != value; usleep(500))
        if (sa_monotonic_ms() > end)
            fail_msg("the counter is %d and not %d", (int)*counter, value);
}

int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

uint32_t pattern_sum(uint32_t sum, const void *data, size_t length)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < length; i++)
        sum = sum * 31 + p[i];
    return sum;
}
