/*
 * GET /sandboxes/{id}/events: as a list, or (follow=true) as a stream that goes on until the
 * sandbox has ended: NDJSON, or server-sent events whose ids are the `seq`.
 */
#include "api/lookup.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIST, NDJSON, SSE };
enum { EVENTS_A_TURN = 64 };

/* ---- writing ---- */

static void put_event(struct sa_buf *out, int stream, const struct sa_store_event *event)
{
    struct sa_json_w w = sa_json_w_start(out);
    if (stream == SSE)
        sa_buf_printf(out, "id: %lld\ndata: ", (long long)event->seq);
    sa_event_print(event, &w);
    sa_buf_adds(out, stream == SSE ? "\n\n" : "\n");
}

static void start_stream(struct sa_http_request *request, int stream)
{
    sa_http_response_header(request, "X-Accel-Buffering", "no");
    sa_http_response_start(request, 200,
                           stream == SSE ? "text/event-stream" : "application/x-ndjson", -1);
    sa_http_response_flush(request);
}

static void respond_list(struct sa_http_request *request, const struct sa_store_event_page *page)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    for (size_t i = 0; i < page->count; i++)
        sa_event_print(&page->items[i], &w);
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}

/* ---- of a sandbox that has ended ---- */

static void on_events(void *user, const struct sa_error *err,
                      const struct sa_store_event_page *page)
{
    struct sa_lookup *l = user;
    sa_autobuf text = SA_BUF_INIT;
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err) {
        sa_http_respond_error(l->request, err);
        return;
    }
    if (l->stream == LIST) {
        respond_list(l->request, page);
        return;
    }
    for (size_t i = 0; i < page->count; i++)
        put_event(&text, l->stream, &page->items[i]);
    start_stream(l->request, l->stream);
    if (text.length)
        sa_http_response_write(l->request, text.data, text.length);
    sa_http_response_end(l->request);
}

static void on_owner(void *user, const struct sa_error *err, const struct sa_store_sandbox *record)
{
    struct sa_lookup *l = user;
    struct sa_error error;
    if (err || !sa_principal_sees(l->principal, record->owner)) {
        sa_http_request_on_closed(l->request, NULL, NULL);
        sa_respond_no_sandbox(l->request);
        return;
    }
    sa_lookup_started(l,
                      sa_store_list_events(l->app->store, l->id, l->after, (size_t)l->limit,
                                           on_events, l, &error),
                      &error);
}

static void read_recorded(struct sa_lookup *l)
{
    struct sa_error error;
    if (sa_id_valid("sb-", l->id))
        sa_lookup_started(l, sa_store_get_sandbox(l->app->store, l->id, on_owner, l, &error),
                          &error);
    else
        sa_respond_no_sandbox(l->request);
}

/* ---- of one that lives ---- */

struct follow { /* lives as long as the request */
    struct sa_sandbox_watch watch;
    struct sa_sandbox *sandbox; /* while the watch is on */
    struct sa_http_request *request;
    int64_t after;
    int stream;
    bool full; /* the client is slow: wait for room */
};

/* What is new, a turn's worth; the whole rest once the sandbox has ended, since it goes then. */
static void pump(struct follow *f)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_store_event event;
    bool ended = sa_phase_ended(sa_sandbox_phase(f->sandbox));
    for (size_t i = 0;
         (ended || i < EVENTS_A_TURN) && sa_sandbox_event_after(f->sandbox, f->after, &event);
         i++) {
        put_event(&text, f->stream, &event);
        f->after = event.seq;
    }
    if (text.length)
        f->full = !sa_http_response_write(f->request, text.data, text.length);
    if (!ended)
        return;
    sa_sandbox_unwatch(f->sandbox, &f->watch);
    sa_http_request_on_closed(f->request, NULL, NULL);
    sa_http_response_end(f->request);
}

static void on_changed(struct sa_sandbox_watch *watch, struct sa_sandbox *sandbox)
{
    struct follow *f = sa_container_of(watch, struct follow, watch);
    if (!f->full || sa_phase_ended(sa_sandbox_phase(sandbox)))
        pump(f);
}

static void on_writable(struct sa_http_request *request, void *user)
{
    struct follow *f = user;
    (void)request;
    f->full = false;
    pump(f);
}

static void on_follower_gone(struct sa_http_request *request, void *user)
{
    struct follow *f = user;
    (void)request;
    sa_sandbox_unwatch(f->sandbox, &f->watch);
}

static void follow(const struct sa_lookup *l, struct sa_sandbox *sandbox)
{
    struct follow *f = sa_arena_alloc(sa_http_request_arena(l->request), sizeof *f);
    *f = (struct follow){.watch.changed = on_changed,
                         .sandbox = sandbox,
                         .request = l->request,
                         .after = l->after,
                         .stream = l->stream};
    sa_http_request_on_closed(l->request, on_follower_gone, f);
    sa_http_response_on_writable(l->request, on_writable, f);
    start_stream(l->request, l->stream);
    sa_sandbox_watch(sandbox, &f->watch);
    pump(f);
}

/* ---- the request ---- */

static int read_query(struct sa_lookup *l, struct sa_error *err)
{
    struct sa_http_request *request = l->request;
    const char *accept = sa_http_request_header(request, "accept");
    const char *last = sa_http_request_header(request, "last-event-id");
    bool follow = false;
    if (sa_query_int(request, "limit", 1, SA_STORE_PAGE_MAX, &l->limit, err) < 0 ||
        sa_query_int(request, "after", 0, INT64_MAX, &l->after, err) < 0 ||
        sa_query_bool(request, "follow", &follow, err) < 0)
        return -1;
    if (!follow)
        return 0;
    l->limit = SA_STORE_PAGE_MAX;
    l->stream = accept && strcasestr(accept, "text/event-stream") ? SSE : NDJSON;
    if (last && strspn(last, "0123456789") == strlen(last) && strlen(last) < 19)
        l->after = strtoll(last, NULL, 10);
    return 0;
}

void sa_handle_sandbox_events(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct sa_lookup *l = sa_lookup_new(app, request, principal);
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(app, request, principal);
    struct sa_error error;
    if (read_query(l, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    if (!sandbox) {
        read_recorded(l);
        return;
    }
    if (l->stream != LIST) {
        follow(l, sandbox);
        return;
    }
    struct sa_store_event items[SA_STORE_PAGE_MAX];
    struct sa_store_event_page page = {.items = items};
    while (page.count < (size_t)l->limit &&
           sa_sandbox_event_after(sandbox, l->after, &items[page.count]))
        l->after = items[page.count++].seq;
    respond_list(request, &page);
}
