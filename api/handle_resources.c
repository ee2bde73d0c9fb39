/* Resources: routes, one of them, lists of them and of the events about them. */
#include "api/resources.h"

#include "base/cleanup.h"

#include <string.h>

/* A page stops at so much text, however few its objects are: what one answer may cost. */
enum { PAGE_BYTES = 4 * 1024 * 1024 };

struct reading { /* lives as long as the request */
    struct sa_resource_ask ask;
    struct sa_objects_select select;
    const char *version, *continue_; /* NULL: none */
    size_t limit;
};

static struct reading *reading_new(struct sa_app *app, struct sa_http_request *request,
                                   const struct sa_principal *principal)
{
    struct reading *r = sa_arena_alloc(sa_http_request_arena(request), sizeof *r);
    *r = (struct reading){.limit = 0};
    sa_resource_ask_init(&r->ask, app, request, principal);
    return r;
}

static void respond_future(const struct reading *r, const char *newest)
{
    struct sa_error error;
    sa_error_at(&error, SA_EEXPIRED, "resourceVersion",
                "resourceVersion: %s is not reached yet, the newest is %s: read without it",
                r->version, newest);
    sa_http_respond_error(r->ask.request, &error);
}

/* ---- one ---- */

static void on_object(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct reading *r = user;
    sa_resource_told(&r->ask);
    if (err)
        sa_http_respond_error(r->ask.request, err);
    else
        sa_respond_object(r->ask.request, 200, object);
}

static void get(struct reading *r)
{
    struct sa_resource_ask *ask = &r->ask;
    sa_resource_asked(ask,
                      sa_objects_get(ask->app->objects, ask->kind, NULL, ask->name, on_object, r));
}

/* What is read is always the newest, and so as new as any version that there was. */
static void on_newest(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    struct reading *r = user;
    sa_resource_told(&r->ask);
    if (err)
        sa_http_respond_error(r->ask.request, err);
    else if (sa_resource_is_newer(r->version, page->resource_version))
        respond_future(r, page->resource_version);
    else
        get(r);
}

static void handle_get(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    struct reading *r = reading_new(app, request, principal);
    struct sa_error error;
    if (sa_resource_version(request, &r->version, &error) < 0)
        sa_http_respond_error(request, &error);
    else if (r->version)
        sa_resource_asked(&r->ask,
                          sa_objects_list(app->objects, r->ask.kind, NULL, 1, NULL, on_newest, r));
    else
        get(r);
}

/* ---- lists ---- */

/* How many of the page fit an answer; at least one. */
static size_t fitting(const struct sa_objects_page *page)
{
    size_t bytes = 0, n = 0;
    while (n < page->count && (n == 0 || bytes < PAGE_BYTES))
        bytes += sa_object_bytes(page->items[n++]);
    return n;
}

static void respond_page(const struct reading *r, const struct sa_objects_page *page)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_autofree char *kind = sa_printf("%sList", r->ask.kind->name);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "apiVersion", r->ask.kind->api_version);
    sa_json_put_string(&w, "kind", kind);
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "resourceVersion", page->resource_version);
    if (page->continue_)
        sa_json_put_string(&w, "continue", page->continue_);
    if (page->continue_ && page->remaining >= 0)
        sa_json_put_int(&w, "remainingItemCount", page->remaining);
    sa_json_w_end_object(&w);
    sa_json_put_array(&w, "items");
    for (size_t i = 0; i < page->count; i++)
        sa_object_print(page->items[i], &w);
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
    sa_respond_json(r->ask.request, 200, &body);
}

static void list(struct reading *r);

static void on_page(void *user, const struct sa_error *err, const struct sa_objects_page *page)
{
    struct reading *r = user;
    sa_resource_told(&r->ask);
    if (err) {
        sa_http_respond_error(r->ask.request, err);
    } else if (r->version && sa_resource_is_newer(r->version, page->resource_version)) {
        respond_future(r, page->resource_version);
    } else if (fitting(page) < page->count) {
        r->limit = fitting(page);
        list(r);
    } else {
        respond_page(r, page);
    }
}

static void list(struct reading *r)
{
    struct sa_resource_ask *ask = &r->ask;
    sa_resource_asked(ask, sa_objects_list(ask->app->objects, ask->kind, &r->select, r->limit,
                                           r->continue_, on_page, r));
}

static int read_list_query(struct reading *r, bool *watch, struct sa_error *err)
{
    const struct sa_http_request *request = r->ask.request;
    const char *continue_ = sa_http_request_query(request, "continue");
    int64_t limit = SA_RESOURCE_PAGE_DEFAULT;
    *watch = false;
    if (sa_query_int(request, "limit", 1, SA_RESOURCE_PAGE_MAX, &limit, err) < 0 ||
        sa_query_bool(request, "watch", watch, err) < 0 ||
        sa_resource_version(request, &r->version, err) < 0)
        return -1;
    r->limit = (size_t)limit;
    r->continue_ = continue_ && continue_[0] ? continue_ : NULL;
    if (r->continue_ && (r->version || *watch))
        return sa_error_at(err, SA_EINVALID, "continue",
                           "continue: the version of a listing is that of its first page; send "
                           "neither resourceVersion nor watch with it");
    return 0;
}

static void handle_list(struct sa_app *app, struct sa_http_request *request,
                        const struct sa_principal *principal)
{
    struct reading *r = reading_new(app, request, principal);
    struct sa_error error;
    bool watch;
    if (read_list_query(r, &watch, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    sa_resource_select(&r->ask, &r->select);
    if (watch)
        sa_resource_watch_start(&r->ask, &r->select, r->version);
    else
        list(r);
}

#define READ(KIND, PERMISSION)                                                                     \
    {"GET", "/api/v1/" KIND, PERMISSION, handle_list, SA_GATE_NONE},                               \
        {"GET", "/api/v1/" KIND "/{name}", PERMISSION, handle_get, SA_GATE_NONE},                  \
    {                                                                                              \
        "GET", "/api/v1/" KIND "/{name}/events", PERMISSION, handle_list, SA_GATE_NONE             \
    }
#define WRITE(METHOD, PATH, HANDLER)                                                               \
    {                                                                                              \
        METHOD, "/api/v1/" PATH, SA_PERM_RESOURCES_WRITE, HANDLER, SA_GATE_ADMISSION               \
    }
#define WRITTEN(KIND)                                                                              \
    READ(KIND, SA_PERM_RESOURCES_READ),                                                            \
        {"GET", "/api/v1/" KIND "/{name}/status", SA_PERM_RESOURCES_READ, handle_get,              \
         SA_GATE_NONE},                                                                            \
        WRITE("POST", KIND, sa_handle_create_resource),                                            \
        WRITE("PUT", KIND "/{name}", sa_handle_replace_resource),                                  \
        WRITE("PATCH", KIND "/{name}", sa_handle_patch_resource),                                  \
        WRITE("DELETE", KIND "/{name}", sa_handle_delete_resource)

/* Pods tell what of other people's runs where. */
const struct sa_api_route sa_routes_resources[] = {WRITTEN("warmpools"),
                                                   WRITTEN("runtimes"),
                                                   WRITTEN("profiles"),
                                                   READ("warmpods", SA_PERM_OPERATIONS_READ),
                                                   READ("pods", SA_PERM_OPERATIONS_READ),
                                                   {0}};
