/* GET /policies/decisions: what was decided of late, and (follow=true) what is being decided. */
#include "api/policies.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <string.h>
#include <strings.h>
#include <utlist.h>

enum { LIST_DEFAULT = 100, LIST_MAX = 500 };

/* ---- printing ---- */

static void put_text(struct sa_json_w *w, const char *key, struct sa_http_text text)
{
    if (text.length)
        sa_json_put_stringn(w, key, text.data, text.length);
}

static struct sa_http_text member(const struct sa_value *map, const char *name)
{
    const struct sa_value v = sa_value_get(map, name);
    return v.type == SA_VALUE_STRING ? (struct sa_http_text){v.data, v.length}
                                     : (struct sa_http_text){"", 0};
}

static void put_members(const struct sa_decision *d, struct sa_json_w *w)
{
    char at[SA_RFC3339_BYTES];
    const struct sa_value user = sa_value_get(&d->input, "user");
    sa_rfc3339(d->at_ms, at);
    sa_json_put_string(w, "id", d->id);
    sa_json_put_string(w, "point", sa_policy_points[d->point].name);
    sa_json_put_int(w, "generation", (int64_t)d->generation);
    sa_json_put_string(w, "at", at);
    sa_json_put_int(w, "micros", d->micros);
    sa_json_put_bool(w, "denied", d->denied);
    put_text(w, "verdict", member(&d->verdict, "verdict"));
    put_text(w, "rule", sa_decision_rule(d));
    put_text(w, "reason", sa_decision_reason(d));
    if (d->error)
        sa_json_put_string(w, "error", d->error);
    put_text(w, "sandbox", sa_decision_sandbox(d));
    put_text(w, "user", member(&user, "name"));
}

void sa_decision_print(const struct sa_decision *d, struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    put_members(d, w);
    sa_json_w_end_object(w);
}

static void put_value(struct sa_json_w *w, const char *key, const struct sa_value *value)
{
    sa_autobuf json = SA_BUF_INIT;
    if (value->type != SA_VALUE_MAP)
        return;
    sa_value_to_json(value, &json);
    sa_json_put_raw(w, key, json.data, json.length);
}

/* An input shows what somebody ran, and where: it is told to operators, and to whose sandbox it is
 * when he was denied, so that he can see why. */
static bool may_see(const struct sa_app *app, const struct sa_principal *principal,
                    const struct sa_decision *d)
{
    char id[SA_ID_BYTES];
    const struct sa_http_text text = sa_decision_sandbox(d);
    if (sa_role_may(principal->role, SA_PERM_POLICIES_READ))
        return true;
    if (!d->denied || !text.length || text.length >= sizeof id)
        return false;
    memcpy(id, text.data, text.length);
    id[text.length] = '\0';
    const struct sa_sandbox *sandbox = sa_sandbox_find(app->sandboxes, id);
    return sandbox && sa_principal_sees(principal, sa_sandbox_owner(sandbox));
}

void sa_handle_get_decision(struct sa_app *app, struct sa_http_request *request,
                            const struct sa_principal *principal)
{
    const char *id = sa_http_request_param(request, "id");
    const struct sa_decision *d = sa_engine_decision(sa_policy_engine(app->policy), id);
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    struct sa_error error;
    if (!d || !may_see(app, principal, d)) {
        sa_error_set(&error, SA_ENOTFOUND, "no decision \"%.40s\" is kept", id);
        sa_http_respond_error(request, &error);
        return;
    }
    sa_json_w_begin_object(&w);
    put_members(d, &w);
    put_value(&w, "input", &d->input);
    if (sa_role_may(principal->role, SA_PERM_POLICIES_READ)) /* it may tell parameters */
        put_value(&w, "answer", &d->verdict);
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}

/* ---- which ---- */

struct filter { /* texts of the request; NULL: any */
    int point;  /* -1: any */
    const char *verdict, *rule, *sandbox;
};

static bool equals(struct sa_http_text text, const char *wanted)
{
    return !wanted ||
           (text.length == strlen(wanted) && memcmp(text.data, wanted, text.length) == 0);
}

/* "deny-miners" is also "deny-miners/miner". */
static bool is_rule(struct sa_http_text rule, const char *wanted)
{
    size_t n = wanted ? strlen(wanted) : 0;
    return equals(rule, wanted) ||
           (rule.length > n && rule.data[n] == '/' && memcmp(rule.data, wanted, n) == 0);
}

static bool matches(const struct filter *f, const struct sa_decision *d)
{
    return (f->point < 0 || (unsigned)f->point == d->point) &&
           equals(member(&d->verdict, "verdict"), f->verdict) &&
           is_rule(sa_decision_rule(d), f->rule) && equals(sa_decision_sandbox(d), f->sandbox);
}

static int read_filter(const struct sa_http_request *request, struct filter *f,
                       struct sa_error *err)
{
    const char *point = sa_http_request_query(request, "point");
    *f = (struct filter){.point = -1,
                         .verdict = sa_http_request_query(request, "verdict"),
                         .rule = sa_http_request_query(request, "rule"),
                         .sandbox = sa_http_request_query(request, "sandbox")};
    if (point && (f->point = sa_policy_point_find(point)) < 0)
        return sa_error_at(err, SA_EINVALID, "point", "point: there is no decision point \"%.32s\"",
                           point);
    return 0;
}

/* ---- the list ---- */

static void respond_list(struct sa_app *app, struct sa_http_request *request,
                         const struct filter *filter, int64_t limit)
{
    const struct sa_engine *engine = sa_policy_engine(app->policy);
    const struct sa_decision *d, *newest[LIST_MAX];
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    size_t count = 0, most = (size_t)limit;
    for (uint64_t at = 0; (d = sa_engine_decision_after(engine, at)); at = d->sequence)
        if (matches(filter, d))
            newest[count++ % most] = d;
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    for (size_t i = count > most ? count - most : 0; i < count; i++)
        sa_decision_print(newest[i % most], &w);
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}

/* ---- the stream ---- a client that is slow misses what the record does not keep */

struct sa_policy_follow { /* lives as long as the request */
    struct sa_policy_follow *prev, *next;
    struct sa_engine_listener listener;
    struct sa_app *app;
    char key_id[SA_ID_BYTES]; /* whose it is */
    struct sa_http_request *request;
    struct filter filter;
    uint64_t after;
    bool sse, full;
};

static void put_item(struct sa_policy_follow *f, const struct sa_decision *d, struct sa_buf *out)
{
    if (f->sse)
        sa_buf_printf(out, "id: %llu\ndata: ", (unsigned long long)d->sequence);
    struct sa_json_w w = sa_json_w_start(out);
    sa_decision_print(d, &w);
    sa_buf_adds(out, f->sse ? "\n\n" : "\n");
}

static void on_decided(struct sa_engine_listener *listener, const struct sa_decision *d)
{
    struct sa_policy_follow *f = sa_container_of(listener, struct sa_policy_follow, listener);
    sa_autobuf text = SA_BUF_INIT;
    if (f->full)
        return; /* on_writable() sends what is still kept then */
    f->after = d->sequence;
    if (!matches(&f->filter, d))
        return;
    put_item(f, d, &text);
    f->full = !sa_http_response_write(f->request, text.data, text.length);
}

static void on_writable(struct sa_http_request *request, void *user)
{
    struct sa_policy_follow *f = user;
    const struct sa_engine *engine = sa_policy_engine(f->app->policy);
    const struct sa_decision *d;
    f->full = false;
    while (!f->full && (d = sa_engine_decision_after(engine, f->after))) {
        sa_autobuf text = SA_BUF_INIT;
        f->after = d->sequence;
        if (!matches(&f->filter, d))
            continue;
        put_item(f, d, &text);
        f->full = !sa_http_response_write(request, text.data, text.length);
    }
}

static void leave(struct sa_policy_follow *f)
{
    sa_engine_unlisten(sa_policy_engine(f->app->policy), &f->listener);
    DL_DELETE(f->app->policy_follows, f);
}

static void on_follower_gone(struct sa_http_request *request, void *user)
{
    struct sa_policy_follow *f = user;
    (void)request;
    leave(f);
}

void sa_policy_follows_end(struct sa_app *app)
{
    struct sa_policy_follow *f;
    while ((f = app->policy_follows)) {
        leave(f);
        sa_http_request_on_closed(f->request, NULL, NULL);
        sa_http_response_end(f->request);
    }
}

static int check_streams(const struct sa_app *app, const struct sa_principal *principal,
                         struct sa_error *err)
{
    const struct sa_policy_follow *f;
    size_t count = 0;
    DL_FOREACH (app->policy_follows, f)
        count += strcmp(f->key_id, principal->key_id) == 0;
    return sa_check_streams(count, "streams of decisions", err);
}

static void follow(struct sa_app *app, struct sa_http_request *request,
                   const struct sa_principal *principal, const struct filter *filter)
{
    const char *accept = sa_http_request_header(request, "accept");
    struct sa_error error;
    if (check_streams(app, principal, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_policy_follow *f = sa_arena_alloc(sa_http_request_arena(request), sizeof *f);
    *f = (struct sa_policy_follow){.listener.decided = on_decided,
                                   .app = app,
                                   .request = request,
                                   .filter = *filter,
                                   .sse = accept && strcasestr(accept, "text/event-stream")};
    memcpy(f->key_id, principal->key_id, sizeof f->key_id);
    sa_http_response_header(request, "X-Accel-Buffering", "no");
    sa_http_response_start(request, 200, f->sse ? "text/event-stream" : "application/x-ndjson", -1);
    sa_http_response_flush(request);
    sa_http_request_on_closed(request, on_follower_gone, f);
    sa_http_response_on_writable(request, on_writable, f);
    sa_engine_listen(sa_policy_engine(app->policy), &f->listener);
    DL_APPEND(app->policy_follows, f);
}

void sa_handle_list_decisions(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct filter filter;
    struct sa_error error;
    int64_t limit = LIST_DEFAULT;
    bool follows = false;
    if (read_filter(request, &filter, &error) < 0 ||
        sa_query_int(request, "limit", 1, LIST_MAX, &limit, &error) < 0 ||
        sa_query_bool(request, "follow", &follows, &error) < 0)
        sa_http_respond_error(request, &error);
    else if (follows)
        follow(app, request, principal, &filter);
    else
        respond_list(app, request, &filter, limit);
}
