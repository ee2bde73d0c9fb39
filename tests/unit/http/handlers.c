#include "handlers.h"

#include "base/arena.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct job {
    struct handlers *h;
    struct sa_http_request *request; /* NULL once it is gone */
    uv_timer_t timer;
    bool timed;
    uint64_t size;
    uint32_t sum;
    bool chunked, owned, reserve;
};

static void on_closed(struct sa_http_request *request, void *user)
{
    struct job *job = user;
    (void)request;
    job->request = NULL;
    job->h->counters.closed++;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct job *job = handle->data;
    free(job);
}

static void on_cleanup(void *user)
{
    struct job *job = user;
    job->h->counters.cleaned++;
    if (job->timed)
        uv_close((uv_handle_t *)&job->timer, on_timer_closed);
    else
        free(job);
}

static struct job *new_job(struct sa_http_request *r, struct handlers *h)
{
    struct job *job = sa_alloc(sizeof *job);
    job->h = h;
    job->request = r;
    h->counters.handled++;
    sa_http_request_set_user(r, job);
    sa_http_request_on_closed(r, on_closed, job);
    sa_http_request_set_cleanup(r, on_cleanup, job);
    return job;
}

static void start_timer(struct job *job, uv_timer_cb cb, unsigned after, unsigned every)
{
    job->timed = true;
    job->timer.data = job;
    uv_timer_init(job->h->loop, &job->timer);
    uv_timer_start(&job->timer, cb, after, every);
}

static void respond_text(struct sa_http_request *r, const char *text)
{
    sa_http_respond(r, 200, "text/plain", text, strlen(text));
}

static void hello(struct sa_http_request *r, void *user)
{
    new_job(r, user);
    respond_text(r, "hello");
}

static void info(struct sa_http_request *r, void *user)
{
    const char *name, *value;
    new_job(r, user);
    sa_autobuf text = SA_BUF_INIT;
    sa_buf_printf(&text, "%s id=%s path=%s", sa_http_request_method(r),
                  sa_http_request_param(r, "id"), sa_http_request_param(r, "path"));
    for (size_t i = 0; sa_http_request_query_at(r, i, &name, &value); i++)
        sa_buf_printf(&text, " %s=%s", name, value);
    respond_text(r, text.data);
}

static void on_later(uv_timer_t *timer)
{
    struct job *job = timer->data;
    if (job->request)
        respond_text(job->request, "later");
}

static void later(struct sa_http_request *r, void *user)
{
    start_timer(new_job(r, user), on_later, 20, 0);
}

static void wait_forever(struct sa_http_request *r, void *user)
{
    new_job(r, user);
}

/* ---- bodies ---- */

static size_t sink_data(struct sa_http_request *r, const void *data, size_t length, void *user)
{
    struct job *job = user;
    (void)r;
    job->size += length;
    job->sum = pattern_sum(job->sum, data, length);
    return length;
}

static void sink_done(struct sa_http_request *r, void *user)
{
    struct job *job = user;
    respond_text(r, sa_arena_printf(sa_http_request_arena(r), "%llu %u",
                                    (unsigned long long)job->size, job->sum));
}

static void sink(struct sa_http_request *r, void *user)
{
    sa_http_request_body(r, sink_data, sink_done, new_job(r, user));
}

static size_t slow_data(struct sa_http_request *r, const void *data, size_t length, void *user)
{
    struct job *job = user;
    size_t taken = length < 65536 ? length : 65536;
    sink_data(r, data, taken, job);
    job->h->counters.taken_bytes += taken;
    sa_http_request_pause(r);
    return taken;
}

static void on_slow(uv_timer_t *timer)
{
    struct job *job = timer->data;
    if (job->request)
        sa_http_request_resume(job->request);
}

static void slow_done(struct sa_http_request *r, void *user)
{
    struct job *job = user;
    job->request = NULL; /* sink_done() answers */
    sink_done(r, user);
}

static void slow(struct sa_http_request *r, void *user)
{
    struct job *job = new_job(r, user);
    start_timer(job, on_slow, 1, 1);
    sa_http_request_body(r, slow_data, slow_done, job);
}

static void collected(struct sa_http_request *r, const char *body, size_t length, void *user)
{
    (void)user;
    assert_int_equal(strlen(body), length);
    sa_http_respond(r, 200, "text/plain", body, length);
}

static void collect(struct sa_http_request *r, void *user)
{
    new_job(r, user);
    sa_http_request_collect(r, 1000, collected, NULL);
}

static void ignore(struct sa_http_request *r, void *user)
{
    new_job(r, user);
    respond_text(r, "ignored");
}

/* ---- answers ---- */

static bool put(struct job *job, struct sa_http_request *r, const char *block, size_t n)
{
    if (job->owned) {
        char *copy = sa_alloc(n);
        memcpy(copy, block, n);
        return sa_http_response_write_owned(r, copy, n, free);
    }
    if (job->reserve) {
        memcpy(sa_http_response_reserve(r, n + 100), block, n);
        return sa_http_response_commit(r, n);
    }
    return sa_http_response_write(r, block, n);
}

static void pump(struct sa_http_request *r, void *user)
{
    struct job *job = user;
    char block[10000];
    bool more = true;
    uint64_t before = job->size;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)('a' + i % 26);
    while (job->size && more) {
        size_t n = job->size < sizeof block ? job->size : sizeof block;
        more = put(job, r, block, n);
        job->size -= n;
    }
    if (before - job->size > job->h->counters.burst_max)
        job->h->counters.burst_max = before - job->size;
    size_t queued = sa_http_response_queued_bytes(r);
    if (queued > job->h->counters.queued_max)
        job->h->counters.queued_max = queued;
    if (!job->size)
        sa_http_response_end(r);
}

static void down(struct sa_http_request *r, void *user)
{
    struct job *job = new_job(r, user);
    job->size = strtoull(sa_http_request_query(r, "n"), NULL, 10);
    job->chunked = sa_http_request_query(r, "chunked") != NULL;
    job->owned = sa_http_request_query(r, "owned") != NULL;
    job->reserve = sa_http_request_query(r, "reserve") != NULL;
    sa_http_response_on_writable(r, pump, job);
    sa_http_response_start(r, 200, "text/plain", job->chunked ? -1 : (int64_t)job->size);
    pump(r, job);
}

static void wrong_length(struct sa_http_request *r, size_t length)
{
    sa_http_response_start(r, 200, NULL, 10);
    sa_http_response_write(r, "123456789012345", length);
    sa_http_response_end(r);
}

static void send_short(struct sa_http_request *r, void *user)
{
    new_job(r, user);
    wrong_length(r, 5);
}

static void send_over(struct sa_http_request *r, void *user)
{
    new_job(r, user);
    wrong_length(r, 15);
}

static void cut(struct sa_http_request *r, void *user)
{
    new_job(r, user);
    sa_http_response_start(r, 200, "text/plain", -1);
    sa_http_response_write(r, "half", 4);
    sa_http_response_flush(r);
    sa_http_response_abort(r);
}

static void answer_error(struct sa_http_request *r, void *user)
{
    struct sa_error error;
    new_job(r, user);
    sa_error_at(&error, (enum sa_code)atoi(sa_http_request_query(r, "code")), "a\"b\\c",
                "tab\t, line\n, quote \", byte \xff, umlaut \xc3\xa4");
    sa_http_respond_error_full(r, 0, &error, &(struct sa_http_why){.rule = "a-rule"});
}

static void take(struct sa_http_request *r, void *user)
{
    struct handlers *h = user;
    struct sa_error error;
    char *unread;
    size_t length;
    new_job(r, h);
    if (!sa_http_request_is_websocket(r)) {
        respond_text(r, "no upgrade");
        return;
    }
    int fd = sa_http_take_socket(r, &unread, &length, &error);
    if (fd < 0) {
        sa_http_respond_error(r, &error);
        return;
    }
    pthread_mutex_lock(&h->lock);
    h->taken_fd = fd;
    h->taken_unread = unread;
    h->taken_length = length;
    pthread_mutex_unlock(&h->lock);
}

/* What the client sends arrives in upper case and without digits. */
static void shout(void *user, const char *data, size_t length, struct sa_buf *out)
{
    (void)user;
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)data[i]))
            sa_buf_addc(out, (char)toupper((unsigned char)data[i]));
}

static void tunnel_gone(void *user)
{
    struct handlers *h = user;
    h->counters.tunnels_gone++;
}

static void tunnel(struct sa_http_request *r, void *user)
{
    static const struct sa_http_tunnel_events events = {.filter = shout, .gone = tunnel_gone};
    struct handlers *h = user;
    struct sa_error error;
    new_job(r, h);
    pthread_mutex_lock(&h->lock);
    h->taken_fd = sa_http_take_tunnel(r, &events, h, &h->tunnel, &error);
    h->taken_unread = NULL;
    h->taken_length = 0;
    pthread_mutex_unlock(&h->lock);
}

void add_handlers(struct sa_router *router, struct handlers *h)
{
    sa_router_add(router, "GET", "/hello", hello, h);
    sa_router_add(router, "*", "/info/{id}/{path...}", info, h);
    sa_router_add(router, "GET", "/info/me/{path...}", hello, h);
    sa_router_add(router, "GET", "/info/{who}/self", later, h);
    sa_router_add(router, "GET", "/later", later, h);
    sa_router_add(router, "GET", "/wait", wait_forever, h);
    sa_router_add(router, "PUT", "/sink", sink, h);
    sa_router_add(router, "PUT", "/slow", slow, h);
    sa_router_add(router, "POST", "/collect", collect, h);
    sa_router_add(router, "POST", "/ignore", ignore, h);
    sa_router_add(router, "GET", "/down", down, h);
    sa_router_add(router, "GET", "/short", send_short, h);
    sa_router_add(router, "GET", "/over", send_over, h);
    sa_router_add(router, "GET", "/cut", cut, h);
    sa_router_add(router, "GET", "/error", answer_error, h);
    sa_router_add(router, "GET", "/take", take, h);
    sa_router_add(router, "GET", "/tunnel", tunnel, h);
}
