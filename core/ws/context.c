/*
 * libwebsockets' context on our loop: made, kept alive, taken down.
 *
 * Its tables are as long as the process may have descriptors, and it asks how many at the start;
 * FDS_MAX bounds that. Its own listening, TLS, extensions and keep-alive are not used.
 */
#include "ws/internal.h"

#include "base/arena.h"
#include "base/clock.h"
#include "log/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <utlist.h>

enum { SWEEP_MIN_MS = 10, SWEEP_MAX_MS = 5000 };

static const struct lws_protocols protocols[] = {{.name = "ws",
                                                  .callback = sa_ws_callback,
                                                  .rx_buffer_size = RX_BYTES,
                                                  .tx_packet_size = TX_BYTES},
                                                 {0}};
/* No keep-alive of its own. */
static const lws_retry_bo_t no_validity = {0};

static void log_line(int level, const char *line)
{
    static struct sa_log_limit limit = {.every_ms = 1000, .burst = 10};
    uint64_t skipped;
    size_t length = strcspn(line, "\n");
    if (level != LLL_ERR)
        sa_log_debug("libwebsockets", SA_LOG_N("text", line, length));
    else if (sa_log_allow(&limit, sa_monotonic_ms(), &skipped))
        sa_log_warn("libwebsockets", SA_LOG_N("text", line, length), SA_LOG_U("skipped", skipped));
}

/* ---- connections ---- */

/* Nothing came for long: was it silence, or is it dead? A client that reads slowly answers late,
 * but its kernel acknowledges. */
static void check_alive(struct sa_ws_conn *c, uint64_t now)
{
    const struct sa_ws_options *o = &c->ws->options;
    if (!c->was_opened || !c->tunnel || c->paused)
        return;
    if (!c->pinged_ms && now - c->heard_ms < o->ping_ms)
        return;
    uint64_t acked = sa_http_tunnel_acked(c->tunnel);
    if (!c->pinged_ms) {
        c->ping_due = c->open;
        c->pinged_ms = now;
        c->acked = acked;
        if (sa_ws_flush(c) < 0)
            sa_ws_cut(c, SA_WS_BROKEN);
    } else if (now - c->pinged_ms >= o->pong_ms) {
        if (acked == c->acked)
            sa_ws_cut(c, SA_WS_BROKEN);
        c->pinged_ms = now;
        c->acked = acked;
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct sa_ws *ws = timer->data;
    uint64_t now = uv_now(ws->loop);
    for (struct sa_ws_conn *c = ws->conns; c; c = c->next)
        check_alive(c, now);
}

static unsigned sweep_interval(const struct sa_ws_options *o)
{
    unsigned least = (o->ping_ms < o->pong_ms ? o->ping_ms : o->pong_ms) / 4;
    return least < SWEEP_MIN_MS ? SWEEP_MIN_MS : least > SWEEP_MAX_MS ? SWEEP_MAX_MS : least;
}

void sa_ws_came(struct sa_ws_conn *c)
{
    struct sa_ws *ws = c->ws;
    unsigned interval = sweep_interval(&ws->options);
    c->heard_ms = uv_now(ws->loop);
    DL_APPEND(ws->conns, c);
    if (!ws->conn_count++)
        uv_timer_start(&ws->sweep, on_sweep, interval, interval);
}

unsigned sa_ws_connections(const struct sa_ws *ws)
{
    return ws->conn_count;
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct sa_ws *ws = handle->data;
    if (--ws->handles)
        return;
    ws->stopped = true;
    if (ws->done)
        ws->done(ws->done_user);
}

static void look_for_context(uv_handle_t *handle, void *user)
{
    struct sa_ws *ws = user;
    ws->context_found |= handle->data == ws->context;
}

/* libwebsockets does not tell when its handles are closed; they point to the context. Then, and
 * not before, it can be freed, by destroying it again. */
static void on_destroying(uv_timer_t *timer)
{
    struct sa_ws *ws = timer->data;
    ws->context_found = false;
    if (ws->context)
        uv_walk(ws->loop, look_for_context, ws);
    if (ws->context_found)
        return;
    if (ws->context)
        lws_context_destroy(ws->context);
    uv_close((uv_handle_t *)&ws->sweep, on_timer_closed);
    uv_close((uv_handle_t *)&ws->deadline, on_timer_closed);
}

static void on_deadline(uv_timer_t *timer)
{
    struct sa_ws *ws = timer->data;
    for (struct sa_ws_conn *c = ws->conns; c; c = c->next)
        sa_ws_cut(c, SA_WS_BROKEN);
    if (ws->conns || ws->destroying)
        return;
    ws->destroying = true;
    uv_timer_start(&ws->sweep, on_destroying, 1, 1);
    lws_context_destroy(ws->context);
}

void sa_ws_gone(struct sa_ws_conn *c)
{
    struct sa_ws *ws = c->ws;
    DL_DELETE(ws->conns, c);
    if (--ws->conn_count)
        return;
    uv_timer_stop(&ws->sweep);
    if (ws->stopping) /* not from within libwebsockets */
        uv_timer_start(&ws->deadline, on_deadline, 0, 0);
}

void sa_ws_stop(struct sa_ws *ws, unsigned deadline_ms, void (*done)(void *user), void *user)
{
    ws->done = done;
    ws->done_user = user;
    if (ws->stopping && deadline_ms >= uv_timer_get_due_in(&ws->deadline))
        return;
    ws->stopping = true;
    for (struct sa_ws_conn *c = ws->conns; c; c = c->next)
        sa_ws_close(c, SA_WS_GOING_AWAY, "the server stops");
    if (!ws->destroying)
        uv_timer_start(&ws->deadline, on_deadline, ws->conns ? deadline_ms : 0, 0);
}

void sa_ws_free(struct sa_ws *ws)
{
    if (!ws)
        return;
    assert(ws->stopped && !ws->conns);
    sa_buf_deinit(&ws->frame);
    sa_buf_deinit(&ws->single);
    free(ws);
}

/* ---- the beginning ---- */

static void set_defaults(struct sa_ws_options *o)
{
#define DEFAULT(field, value) o->field = o->field ? o->field : (value)
    DEFAULT(message_max, 1 << 20);
    DEFAULT(queue_high, 128 * 1024);
    DEFAULT(queue_max, 1 << 20);
    DEFAULT(ping_ms, 30000);
    DEFAULT(pong_ms, 20000);
#undef DEFAULT
}

static struct lws_context *new_context(struct sa_ws *ws, struct lws_context_creation_info *info)
{
    struct rlimit files, bounded;
    void *loops[] = {ws->loop};
    *info = (struct lws_context_creation_info){.port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                               .protocols = protocols,
                                               .retry_and_idle_policy = &no_validity,
                                               .options = LWS_SERVER_OPTION_LIBUV |
                                                          LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
                                               .foreign_loops = loops,
                                               .pcontext = &ws->context,
                                               .pt_serv_buf_size = 2 * RX_BYTES,
                                               .max_http_header_data = 1024,
                                               .max_http_header_pool = 4096,
                                               .gid = -1,
                                               .uid = -1};
    getrlimit(RLIMIT_NOFILE, &files);
    bounded = files;
    bounded.rlim_cur = files.rlim_cur < FDS_MAX ? files.rlim_cur : FDS_MAX;
    setrlimit(RLIMIT_NOFILE, &bounded);
    struct lws_context *context = lws_create_context(info);
    setrlimit(RLIMIT_NOFILE, &files);
    return context;
}

struct sa_ws *sa_ws_new(uv_loop_t *loop, const struct sa_ws_options *options, struct sa_error *err)
{
    struct lws_context_creation_info info;
    struct sa_ws *ws = sa_alloc(sizeof *ws);
    ws->loop = loop;
    if (options)
        ws->options = *options;
    set_defaults(&ws->options);
    lws_set_log_level(LLL_ERR | LLL_WARN | (sa_log_enabled(SA_LOG_DEBUG) ? LLL_NOTICE : 0),
                      log_line);
    ws->context = new_context(ws, &info);
    if (!ws->context) {
        sa_error_set(err, SA_EINTERNAL,
                     "libwebsockets cannot be initialised: is libwebsockets-evlib-uv installed?");
        free(ws);
        return NULL;
    }
    ws->vhost = lws_create_vhost(ws->context, &info);
    if (!ws->vhost)
        abort(); /* out of memory */
    ws->handles = 2;
    ws->sweep.data = ws->deadline.data = ws;
    uv_timer_init(loop, &ws->sweep);
    uv_timer_init(loop, &ws->deadline);
    return ws;
}
