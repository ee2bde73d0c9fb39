/* Sandboxes: create, list, get, delete, metrics, events. */
#include "api/app.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CREATE_BODY_MAX = 256 * 1024 };

static void respond_sandbox(struct sa_http_request *request, int status,
                            const struct sa_sandbox *sandbox)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_sandbox_view view;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_sandbox_view_fill(sandbox, &view);
    sa_sandbox_print(&view, &w);
    sa_respond_json(request, status, &body);
}

/* ---- POST /sandboxes ---- */

struct creation {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    char id[SA_ID_BYTES];
};

static void respond_created(struct sa_http_request *request, const struct sa_sandbox *sandbox)
{
    sa_http_response_headerf(request, "Location", "/api/v1/sandboxes/%s", sa_sandbox_id(sandbox));
    respond_sandbox(request, 201, sandbox);
}

static void on_created(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    struct creation *c = user;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (err)
        sa_http_respond_error(c->request, err);
    else
        respond_created(c->request, sandbox);
}

/* Nobody will ever know its id: end it. */
static void on_creator_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    struct sa_sandbox *sandbox = sa_sandbox_find(c->app->sandboxes, c->id);
    if (!sandbox)
        return;
    sa_sandbox_forget(sandbox, c);
    sa_sandbox_delete(sandbox, "ClientGone", "the client went away while it started", NULL, NULL);
}

static void on_create_body(struct sa_http_request *request, const char *body, size_t length,
                           void *user)
{
    struct creation *c = user;
    struct sa_sandbox_spec spec;
    struct sa_error error;
    bool wait = true;
    struct sa_owner owner = {c->principal->key_id, c->principal->name};
    if (sa_query_bool(request, "wait", &wait, &error) < 0 ||
        sa_sandbox_spec_decode(body, length, sa_http_request_arena(request), &spec, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_sandbox *sandbox =
        sa_sandbox_create(c->app->sandboxes, &spec, &owner, wait ? on_created : NULL, c, &error);
    if (!sandbox) {
        sa_http_respond_error(request, &error);
        return;
    }
    snprintf(c->id, sizeof c->id, "%s", sa_sandbox_id(sandbox));
    if (wait)
        sa_http_request_on_closed(request, on_creator_gone, c);
    else
        respond_created(request, sandbox);
}

void sa_handle_create_sandbox(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct creation *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    *c = (struct creation){.app = app, .principal = principal, .request = request};
    sa_http_request_collect(request, CREATE_BODY_MAX, on_create_body, c);
}

/* ---- reads that may go to the store: of sandboxes that have ended ---- */

struct lookup {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    struct sa_store_read *read;
    int64_t after, limit;
    const char *id;
};

static void on_lookup_closed(struct sa_http_request *request, void *user)
{
    struct lookup *l = user;
    (void)request;
    sa_store_cancel(l->read);
}

static struct lookup *lookup_new(struct sa_app *app, struct sa_http_request *request,
                                 const struct sa_principal *principal)
{
    struct lookup *l = sa_arena_alloc(sa_http_request_arena(request), sizeof *l);
    *l = (struct lookup){.app = app, .principal = principal, .request = request, .limit = 100};
    l->id = sa_http_request_param(request, "id");
    return l;
}

/* The read was started, or refused with `error`. */
static void lookup_started(struct lookup *l, struct sa_store_read *read,
                           const struct sa_error *error)
{
    l->read = read;
    if (read)
        sa_http_request_on_closed(l->request, on_lookup_closed, l);
    else
        sa_http_respond_error(l->request, error);
}

static void print_record(const struct sa_store_sandbox *r, struct sa_json_w *w)
{
    struct sa_sandbox_view view = {.id = r->id,
                                   .runtime = r->runtime,
                                   .phase = r->phase,
                                   .reason = r->reason,
                                   .message = r->message,
                                   .fixed_json = r->spec,
                                   .labels_json = r->labels,
                                   .created_ms = r->created_ms,
                                   .expires_ms = r->expires_ms,
                                   .ended_ms = r->ended_ms};
    sa_sandbox_print(&view, w);
}

/* Why what lived a moment ago does not answer any more: its time was over, its memory ran out. */
static void on_ended_record(void *user, const struct sa_error *err,
                            const struct sa_store_sandbox *record)
{
    struct lookup *l = user;
    struct sa_error error;
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err || !sa_principal_sees(l->principal, record->owner) || !record->ended_ms) {
        sa_respond_no_sandbox(l->request);
        return;
    }
    sa_error_set(&error, SA_ENOTFOUND, "the sandbox \"%.40s\" has ended: %.64s%s%.256s", l->id,
                 record->reason, record->message[0] ? ", " : "", record->message);
    sa_http_respond_error(l->request, &error);
}

void sa_respond_not_living(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    struct sa_error error;
    if (!sa_id_valid("sb-", sa_http_request_param(request, "id"))) {
        sa_respond_no_sandbox(request);
        return;
    }
    struct lookup *l = lookup_new(app, request, principal);
    lookup_started(l, sa_store_get_sandbox(app->store, l->id, on_ended_record, l, &error), &error);
}

static void on_record(void *user, const struct sa_error *err, const struct sa_store_sandbox *record)
{
    struct lookup *l = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err && err->code != SA_ENOTFOUND) {
        sa_http_respond_error(l->request, err);
        return;
    }
    if (err || !sa_principal_sees(l->principal, record->owner)) {
        sa_respond_no_sandbox(l->request);
        return;
    }
    print_record(record, &w);
    sa_respond_json(l->request, 200, &body);
}

void sa_handle_get_sandbox(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(app, request, principal);
    if (sandbox) {
        respond_sandbox(request, 200, sandbox);
        return;
    }
    if (!sa_id_valid("sb-", sa_http_request_param(request, "id"))) {
        sa_respond_no_sandbox(request);
        return;
    }
    struct lookup *l = lookup_new(app, request, principal);
    lookup_started(l, sa_store_get_sandbox(app->store, l->id, on_record, l, &error), &error);
}

/* ---- GET /sandboxes ---- */

struct list_query {
    int phase; /* -1: any */
    char *label_key, *label_value;
    bool all;
    int64_t limit;
    const char *cursor;
};

static int parse_list_query(struct sa_http_request *request, struct list_query *q,
                            struct sa_error *err)
{
    const char *phase = sa_http_request_query(request, "phase");
    const char *label = sa_http_request_query(request, "label");
    *q = (struct list_query){.phase = -1, .limit = 100};
    q->cursor = sa_http_request_query(request, "cursor");
    if (sa_query_int(request, "limit", 1, SA_STORE_PAGE_MAX, &q->limit, err) < 0 ||
        sa_query_bool(request, "all", &q->all, err) < 0)
        return -1;
    if (phase && (q->phase = sa_phase_parse(phase)) < 0)
        return sa_error_at(err, SA_EINVALID, "phase",
                           "phase: expected Pending, Creating, Running, Paused, Terminating, "
                           "Terminated or Failed");
    if (!label)
        return 0;
    q->label_key = sa_arena_strdup(sa_http_request_arena(request), label);
    q->label_value = strchr(q->label_key, '=');
    if (!q->label_value || q->label_value == q->label_key)
        return sa_error_at(err, SA_EINVALID, "label", "label: expected key=value");
    *q->label_value++ = '\0';
    return 0;
}

static bool matches(const struct list_query *q, const struct sa_principal *principal,
                    const struct sa_sandbox *sandbox)
{
    return sa_principal_sees(principal, sa_sandbox_owner(sandbox)) &&
           (q->phase < 0 || (int)sa_sandbox_phase(sandbox) == q->phase) &&
           (!q->label_key || sa_sandbox_has_label(sandbox, q->label_key, q->label_value));
}

/* The place in the list of what lives: "L" and a number. */
static bool parse_live_cursor(const char *cursor, uint64_t *sequence)
{
    size_t digits = strspn(cursor + 1, "0123456789");
    if (cursor[0] != 'L' || digits == 0 || digits > 19 || cursor[1 + digits])
        return false;
    *sequence = strtoull(cursor + 1, NULL, 10);
    return true;
}

static void list_live(struct sa_app *app, struct sa_http_request *request,
                      const struct sa_principal *principal, const struct list_query *q,
                      uint64_t before)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    struct sa_sandbox_view view;
    struct sa_sandbox *s = sa_sandbox_before(app->sandboxes, before);
    uint64_t last = 0;
    int64_t left = q->limit;
    bool more = false;
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    for (; s; s = sa_sandbox_next(s)) {
        if (!matches(q, principal, s))
            continue;
        if ((more = left-- == 0))
            break;
        sa_sandbox_view_fill(s, &view);
        sa_sandbox_print(&view, &w);
        last = sa_sandbox_sequence(s);
    }
    sa_json_w_end_array(&w);
    if (more) {
        char cursor[32];
        snprintf(cursor, sizeof cursor, "L%llu", (unsigned long long)last);
        sa_json_put_string(&w, "cursor", cursor);
    }
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}

static void on_page(void *user, const struct sa_error *err,
                    const struct sa_store_sandbox_page *page)
{
    struct lookup *l = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err) {
        sa_http_respond_error(l->request, err);
        return;
    }
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    for (size_t i = 0; i < page->count; i++)
        print_record(&page->items[i], &w);
    sa_json_w_end_array(&w);
    if (page->next)
        sa_json_put_string(&w, "cursor", page->next);
    sa_json_w_end_object(&w);
    sa_respond_json(l->request, 200, &body);
}

static void list_recorded(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal, const struct list_query *q)
{
    struct sa_error error;
    struct lookup *l = lookup_new(app, request, principal);
    struct sa_store_label label = {q->label_key, q->label_value};
    struct sa_store_sandbox_query query = {
        .owner = principal->role == SA_ROLE_DEVELOPER ? principal->key_id : NULL,
        .phase = q->phase < 0 ? NULL : sa_phase_name((enum sa_phase)q->phase),
        .labels = &label,
        .label_count = q->label_key ? 1 : 0,
        .cursor = q->cursor,
        .limit = (size_t)q->limit};
    lookup_started(l, sa_store_list_sandboxes(app->store, &query, on_page, l, &error), &error);
}

void sa_handle_list_sandboxes(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct list_query q;
    struct sa_error error;
    uint64_t before = UINT64_MAX;
    if (parse_list_query(request, &q, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    /* What has ended is in the store only. */
    bool recorded = q.all || (q.phase >= 0 && sa_phase_ended((enum sa_phase)q.phase));
    if (!recorded && q.cursor && !parse_live_cursor(q.cursor, &before)) {
        sa_error_at(&error, SA_EINVALID, "cursor",
                    "cursor: not one that this list gave; start again without it");
        sa_http_respond_error(request, &error);
    } else if (recorded) {
        list_recorded(app, request, principal, &q);
    } else {
        list_live(app, request, principal, &q, before);
    }
}

/* ---- DELETE /sandboxes/{id} ---- */

static void on_deleted(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    struct sa_http_request *request = user;
    (void)sandbox;
    (void)err;
    sa_http_request_on_closed(request, NULL, NULL);
    sa_http_respond(request, 204, NULL, NULL, 0);
}

static void on_deleter_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    struct sa_sandbox *sandbox = sa_sandbox_find(c->app->sandboxes, c->id);
    if (sandbox)
        sa_sandbox_forget(sandbox, request);
}

void sa_handle_delete_sandbox(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    struct creation *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    c->app = app;
    snprintf(c->id, sizeof c->id, "%s", sa_sandbox_id(sandbox));
    sa_http_request_on_closed(request, on_deleter_gone, c);
    sa_sandbox_delete(sandbox, "Deleted", "deleted by request", on_deleted, request);
}

/* ---- GET /sandboxes/{id}/events ---- */

static void print_events_begin(struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    sa_json_put_array(w, "items");
}

static void print_events_end(struct sa_json_w *w)
{
    sa_json_w_end_array(w);
    sa_json_w_end_object(w);
}

static void on_events(void *user, const struct sa_error *err,
                      const struct sa_store_event_page *page)
{
    struct lookup *l = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err) {
        sa_http_respond_error(l->request, err);
        return;
    }
    print_events_begin(&w);
    for (size_t i = 0; i < page->count; i++)
        sa_event_print(&page->items[i], &w);
    print_events_end(&w);
    sa_respond_json(l->request, 200, &body);
}

static void on_events_owner(void *user, const struct sa_error *err,
                            const struct sa_store_sandbox *record)
{
    struct lookup *l = user;
    struct sa_error error;
    if (err || !sa_principal_sees(l->principal, record->owner)) {
        sa_http_request_on_closed(l->request, NULL, NULL);
        sa_respond_no_sandbox(l->request);
        return;
    }
    lookup_started(l,
                   sa_store_list_events(l->app->store, l->id, l->after, (size_t)l->limit, on_events,
                                        l, &error),
                   &error);
}

void sa_handle_sandbox_events(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct lookup *l = lookup_new(app, request, principal);
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(app, request, principal);
    struct sa_error error;
    if (sa_query_int(request, "limit", 1, SA_STORE_PAGE_MAX, &l->limit, &error) < 0 ||
        sa_query_int(request, "after", 0, INT64_MAX, &l->after, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    if (!sandbox) {
        if (sa_id_valid("sb-", l->id))
            lookup_started(l, sa_store_get_sandbox(app->store, l->id, on_events_owner, l, &error),
                           &error);
        else
            sa_respond_no_sandbox(request);
        return;
    }
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    print_events_begin(&w);
    sa_sandbox_events_print(sandbox, l->after, (size_t)l->limit, &w);
    print_events_end(&w);
    sa_respond_json(request, 200, &body);
}

const struct sa_api_route sa_routes_sandboxes[] = {
    {"POST", "/api/v1/sandboxes", SA_PERM_SANDBOXES_WRITE, sa_handle_create_sandbox},
    {"GET", "/api/v1/sandboxes", SA_PERM_SANDBOXES_READ, sa_handle_list_sandboxes},
    {"GET", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_READ, sa_handle_get_sandbox},
    {"DELETE", SA_SANDBOX_PATH, SA_PERM_SANDBOXES_WRITE, sa_handle_delete_sandbox},
    {"GET", SA_SANDBOX_PATH "/metrics", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_metrics},
    {"GET", SA_SANDBOX_PATH "/events", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_events},
    {0}};
