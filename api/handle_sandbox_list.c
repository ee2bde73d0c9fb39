/* GET /sandboxes: what lives now, from memory; with what has ended, from the store. */
#include "api/lookup.h"
#include "objects/selector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A page stops at so much text, however few its sandboxes are: what one answer may cost. */
enum { PAGE_BYTES = 4 * 1024 * 1024 };

struct list_query {
    int phase; /* -1: any */
    struct sa_selector selector;
    bool all;
    int64_t limit;
    const char *cursor;
};

static int parse_list_query(struct sa_http_request *request, struct list_query *q,
                            struct sa_error *err)
{
    const char *phase = sa_http_request_query(request, "phase");
    const char *selector = sa_http_request_query(request, "labelSelector");
    *q = (struct list_query){.phase = -1, .limit = 100};
    q->cursor = sa_http_request_query(request, "cursor");
    if (sa_query_int(request, "limit", 1, SA_STORE_PAGE_MAX, &q->limit, err) < 0 ||
        sa_query_bool(request, "all", &q->all, err) < 0)
        return -1;
    if (phase && (q->phase = sa_phase_parse(phase)) < 0)
        return sa_error_at(err, SA_EINVALID, "phase", "phase: expected " SA_PHASE_NAMES);
    return sa_selector_parse(selector ? selector : "", sa_http_request_arena(request), &q->selector,
                             err);
}

static bool matches(const struct list_query *q, const struct sa_principal *principal,
                    const struct sa_sandbox *sandbox)
{
    return sa_principal_sees(principal, sa_sandbox_owner(sandbox)) &&
           (q->phase < 0 || (int)sa_sandbox_phase(sandbox) == q->phase) &&
           sa_selector_matches(&q->selector, &sa_sandbox_spec(sandbox)->labels);
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
        if ((more = left-- == 0 || body.length > PAGE_BYTES))
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
    struct sa_lookup *l = user;
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
        sa_print_record(&page->items[i], &w);
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
    struct sa_lookup *l = sa_lookup_new(app, request, principal);
    struct sa_store_label labels[SA_SELECTOR_MAX];
    for (size_t i = 0; i < q->selector.count; i++) {
        const struct sa_requirement *r = &q->selector.items[i];
        labels[i] = (struct sa_store_label){r->key, !r->wanted, r->values, r->count};
    }
    struct sa_store_sandbox_query query = {
        .owner = principal->role == SA_ROLE_DEVELOPER ? principal->key_id : NULL,
        .phase = q->phase < 0 ? NULL : sa_phase_name((enum sa_phase)q->phase),
        .labels = labels,
        .label_count = q->selector.count,
        .cursor = q->cursor,
        .limit = (size_t)q->limit};
    sa_lookup_started(l, sa_store_list_sandboxes(app->store, &query, on_page, l, &error), &error);
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
