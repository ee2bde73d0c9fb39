/*
 * GET …?watch=true: what happens to objects, as JSON lines or server-sent events, until the client
 * goes: {"type": "ADDED", "MODIFIED", "DELETED", "BOOKMARK" or "ERROR", "object": …}, as Kubernetes
 * has it. Without a version it begins with all that is there, and a bookmark behind it.
 *
 * A client that reads slowly costs what its connection queues and no more: while that is full
 * nothing is watched, and when there is room again it goes on from the last version sent, which may
 * be too old by then. That, and whatever else ends it, is told by an ERROR with a Status.
 */
#include "api/resources.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

enum { BEAT_MS = 15000, PAGE = 16 };

struct sa_resource_watch {
    struct sa_resource_watch *prev, *next;
    uv_timer_t beat; /* so that who went away is noticed, and who is between does not hang up */
    struct sa_app *app;
    char key_id[SA_ID_BYTES];        /* whose it is */
    struct sa_http_request *request; /* NULL: it has ended */
    const struct sa_kind *kind;
    struct sa_objects_select select; /* texts of the request */
    struct sa_objects_call *call;    /* reading what is there */
    struct sa_objects_watch *watch;  /* NULL: the client is slow, or what is there comes first */
    char version[SA_RESOURCE_VERSION_BYTES]; /* that was sent; "": what is there was not yet */
    char *continue_;                         /* where what is there goes on; NULL: its beginning */
    bool checked;                            /* the selectors are good */
    bool sse, full;
};

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct sa_resource_watch *w = handle->data;
    free(w->continue_);
    free(w);
}

static void leave(struct sa_resource_watch *w)
{
    if (w->watch)
        sa_objects_unwatch(w->app->objects, w->watch);
    if (w->call)
        sa_objects_forget(w->app->objects, w->call);
    DL_DELETE(w->app->resource_watches, w);
    uv_close((uv_handle_t *)&w->beat, on_closed);
    w->watch = NULL;
    w->call = NULL;
    w->request = NULL;
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    (void)request;
    leave(user);
}

static void finish(struct sa_resource_watch *w)
{
    struct sa_http_request *request = w->request;
    leave(w);
    sa_http_request_on_closed(request, NULL, NULL);
    sa_http_response_end(request);
}

void sa_resource_watches_end(struct sa_app *app)
{
    struct sa_resource_watch *w, *next;
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "the server is stopping");
    DL_FOREACH_SAFE (app->resource_watches, w, next) {
        struct sa_http_request *request = w->request;
        if (sa_http_response_started(request)) {
            finish(w);
            continue;
        }
        leave(w);
        sa_http_request_on_closed(request, NULL, NULL);
        sa_http_respond_error(request, &error);
    }
}

/* ---- events ---- */

static void send_json(struct sa_resource_watch *w, const struct sa_buf *json, const char *id)
{
    sa_autobuf text = SA_BUF_INIT;
    if (w->sse && id)
        sa_buf_printf(&text, "id: %s\n", id);
    if (w->sse)
        sa_buf_adds(&text, "data: ");
    sa_buf_add(&text, json->data, json->length);
    sa_buf_adds(&text, w->sse ? "\n\n" : "\n");
    if (!sa_http_response_write(w->request, text.data, text.length))
        w->full = true;
}

static void put_bookmark(const struct sa_kind *kind, const char *version, struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "apiVersion", kind->api_version);
    sa_json_put_string(w, "kind", kind->name);
    sa_json_put_object(w, "metadata");
    sa_json_put_string(w, "resourceVersion", version);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
}

/* `version`: from which a client may go on; NULL: from none, as the listing is not over. */
static void send_event(struct sa_resource_watch *w, enum sa_watch_type type,
                       const struct sa_object *object, const char *version)
{
    static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w out = sa_json_w_start(&json);
    sa_json_w_begin_object(&out);
    sa_json_put_string(&out, "type", types[type]);
    sa_json_w_key(&out, "object");
    if (object)
        sa_object_print(object, &out);
    else
        put_bookmark(w->kind, version, &out);
    sa_json_w_end_object(&out);
    send_json(w, &json, version);
}

/* What ends it, as Kubernetes' Status; or an ordinary error, while nothing was sent. */
static void fail(struct sa_resource_watch *w, const struct sa_error *err)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w out = sa_json_w_start(&json);
    struct sa_http_request *request = w->request;
    if (!sa_http_response_started(request)) {
        leave(w);
        sa_http_request_on_closed(request, NULL, NULL);
        sa_http_respond_error(request, err);
        return;
    }
    sa_json_w_begin_object(&out);
    sa_json_put_string(&out, "type", "ERROR");
    sa_json_put_object(&out, "object");
    sa_json_put_string(&out, "apiVersion", "v1");
    sa_json_put_string(&out, "kind", "Status");
    sa_json_put_string(&out, "status", "Failure");
    sa_json_put_int(&out, "code", sa_code_http_status(err->code));
    sa_json_put_string(&out, "reason", sa_code_condition(err->code));
    sa_json_put_string(&out, "message", err->message);
    sa_json_w_end_object(&out);
    sa_json_w_end_object(&out);
    send_json(w, &json, NULL);
    finish(w);
}

static void go_on(struct sa_resource_watch *w);

static void take_version(struct sa_resource_watch *w, const char *version)
{
    snprintf(w->version, sizeof w->version, "%s", version);
}

static void on_event(void *user, const struct sa_watch_event *event)
{
    struct sa_resource_watch *w = user;
    take_version(w, event->resource_version);
    send_event(w, event->type, event->object, w->version);
    if (!w->full)
        return;
    sa_objects_unwatch(w->app->objects, w->watch);
    w->watch = NULL;
}

static void on_ended(void *user, const struct sa_error *err)
{
    struct sa_resource_watch *w = user;
    w->watch = NULL;
    fail(w, err);
}

static void on_writable(struct sa_http_request *request, void *user)
{
    struct sa_resource_watch *w = user;
    (void)request;
    if (!w->full)
        return;
    w->full = false;
    go_on(w);
}

static void on_beat(uv_timer_t *timer)
{
    struct sa_resource_watch *w = timer->data;
    if (w->watch && !w->full) {
        w->full = !sa_http_response_write(w->request, w->sse ? ":\n\n" : "\n", w->sse ? 3 : 1);
        if (w->full) {
            sa_objects_unwatch(w->app->objects, w->watch);
            w->watch = NULL;
        }
    }
}

/* ---- what is there ---- */

static void send_page(struct sa_resource_watch *w, const struct sa_objects_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        send_event(w, SA_WATCH_ADDED, page->items[i], NULL);
    free(w->continue_);
    w->continue_ = page->continue_ ? sa_strdup(page->continue_) : NULL;
    if (page->continue_)
        return;
    take_version(w, page->resource_version);
    send_event(w, SA_WATCH_BOOKMARK, NULL, w->version);
}

static void on_page(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    struct sa_resource_watch *w = user;
    w->call = NULL;
    if (err) {
        fail(w, err);
        return;
    }
    if (!w->checked) {
        sa_http_response_header(w->request, "X-Accel-Buffering", "no");
        sa_http_response_start(w->request, 200,
                               w->sse ? "text/event-stream" : "application/x-ndjson", -1);
        sa_http_response_flush(w->request);
        w->checked = true;
    }
    if (!w->version[0])
        send_page(w, page);
    if (!w->full)
        go_on(w);
}

/* The first reading shows whether the selectors are good, also when it is of no other use. */
static void go_on(struct sa_resource_watch *w)
{
    if (w->checked && w->version[0])
        w->watch = sa_objects_watch(w->app->objects, w->kind, &w->select, w->version, on_event,
                                    on_ended, w);
    else
        w->call = sa_objects_list(w->app->objects, w->kind, &w->select, w->version[0] ? 1 : PAGE,
                                  w->continue_, on_page, w);
}

/* Of server-sent events the client sends the last id that it has seen, when it comes back. */
static const char *last_seen(const struct sa_http_request *request)
{
    const char *last = sa_http_request_header(request, "last-event-id");
    size_t n = last ? strlen(last) : 0;
    bool good = n > 0 && n < SA_RESOURCE_VERSION_BYTES && strspn(last, "0123456789") == n;
    return good ? last : NULL;
}

static int check(const struct sa_resource_ask *ask, struct sa_error *err)
{
    const struct sa_resource_watch *w;
    size_t count = 0;
    if (ask->app->draining)
        return sa_error_set(err, SA_EUNAVAILABLE, "the server is stopping");
    DL_FOREACH (ask->app->resource_watches, w)
        count += strcmp(w->key_id, ask->principal->key_id) == 0;
    return sa_check_streams(count, "watches", err);
}

void sa_resource_watch_start(struct sa_resource_ask *ask, const struct sa_objects_select *select,
                             const char *version)
{
    const char *accept = sa_http_request_header(ask->request, "accept");
    struct sa_error error;
    if (check(ask, &error) < 0) {
        sa_http_respond_error(ask->request, &error);
        return;
    }
    struct sa_resource_watch *w = sa_alloc(sizeof *w);
    *w = (struct sa_resource_watch){.app = ask->app,
                                    .request = ask->request,
                                    .kind = ask->kind,
                                    .select = *select,
                                    .sse = accept && strcasestr(accept, "text/event-stream")};
    memcpy(w->key_id, ask->principal->key_id, sizeof w->key_id);
    if (w->sse && last_seen(ask->request))
        version = last_seen(ask->request);
    if (version)
        take_version(w, version);
    w->beat.data = w;
    uv_timer_init(ask->app->loop, &w->beat);
    uv_timer_start(&w->beat, on_beat, BEAT_MS, BEAT_MS);
    DL_APPEND(ask->app->resource_watches, w);
    sa_http_request_on_closed(ask->request, on_client_gone, w);
    sa_http_response_on_writable(ask->request, on_writable, w);
    go_on(w);
}
