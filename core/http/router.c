/* Routes as a tree of segments, see router.h. */
#include "http/router.h"

#include "http/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METHODS_MAX = 10 };

struct sa_route {
    struct sa_route *next_added;
    const char *method;
    const char *pattern;
    const char *params[PARAMS_MAX]; /* names, in the order of the pattern */
    size_t param_count;
    bool has_rest;
    sa_http_handler *handler;
    void *user;
};

/* What may follow a prefix. Each list of literals is short; the tree is built once. */
struct node {
    struct node *next; /* sibling */
    const char *literal;
    size_t literal_length;
    struct node *literals, *param;
    const struct sa_route *here[METHODS_MAX], *rest[METHODS_MAX];
    size_t here_count, rest_count;
};

struct sa_router {
    struct sa_arena *arena; /* everything */
    struct node root;
    struct sa_route *first, *last;
};

struct sa_router *sa_router_new(void)
{
    struct sa_router *router = sa_alloc(sizeof *router);
    router->arena = sa_arena_new();
    return router;
}

void sa_router_free(struct sa_router *router)
{
    if (!router)
        return;
    sa_arena_free(router->arena);
    free(router);
}

/* ---- adding ---- */

static _Noreturn void bad_pattern(const char *method, const char *pattern, const char *why)
{
    fprintf(stderr, "route %s %s: %s\n", method, pattern, why);
    abort();
}

static void add_here(const struct sa_route **routes, size_t *count, const struct sa_route *route)
{
    for (size_t i = 0; i < *count; i++)
        if (!strcmp(routes[i]->method, route->method))
            bad_pattern(route->method, route->pattern, "was added before");
    if (*count == METHODS_MAX)
        bad_pattern(route->method, route->pattern, "has too many methods");
    routes[(*count)++] = route;
}

static struct node *literal_child(struct sa_router *router, struct node *node, const char *text,
                                  size_t length)
{
    for (struct node *n = node->literals; n; n = n->next)
        if (n->literal_length == length && !memcmp(n->literal, text, length))
            return n;
    struct node *n = sa_arena_alloc(router->arena, sizeof *n);
    n->literal = sa_arena_strndup(router->arena, text, length);
    n->literal_length = length;
    n->next = node->literals;
    node->literals = n;
    return n;
}

static void add_param(struct sa_router *router, struct sa_route *route, const char *name,
                      size_t length)
{
    if (route->param_count == PARAMS_MAX || !length)
        bad_pattern(route->method, route->pattern, "a bad or a ninth parameter");
    route->params[route->param_count++] = sa_arena_strndup(router->arena, name, length);
}

void sa_router_add(struct sa_router *router, const char *method, const char *pattern,
                   sa_http_handler *handler, void *user)
{
    struct sa_route *route = sa_arena_alloc(router->arena, sizeof *route);
    route->method = sa_arena_strdup(router->arena, method);
    route->pattern = sa_arena_strdup(router->arena, pattern);
    route->handler = handler;
    route->user = user;
    if (pattern[0] != '/')
        bad_pattern(method, pattern, "does not begin with '/'");
    struct node *node = &router->root;
    for (const char *p = pattern; *p && !route->has_rest;) {
        const char *segment = p + 1;
        size_t length = strcspn(segment, "/");
        p = segment + length;
        if (segment[0] != '{') {
            node = literal_child(router, node, segment, length);
            continue;
        }
        if (segment[length - 1] != '}')
            bad_pattern(method, pattern, "a '{' without '}'");
        route->has_rest = length > 5 && !memcmp(segment + length - 4, "...}", 4);
        add_param(router, route, segment + 1, length - (route->has_rest ? 5 : 2));
        if (route->has_rest && *p)
            bad_pattern(method, pattern, "something follows the rest parameter");
        if (!route->has_rest && !node->param)
            node->param = sa_arena_alloc(router->arena, sizeof *node->param);
        if (!route->has_rest)
            node = node->param;
    }
    if (route->has_rest)
        add_here(node->rest, &node->rest_count, route);
    else
        add_here(node->here, &node->here_count, route);
    if (router->last)
        router->last->next_added = route;
    else
        router->first = route;
    router->last = route;
}

bool sa_router_at(const struct sa_router *router, size_t index, const char **method,
                  const char **pattern)
{
    const struct sa_route *route = router->first;
    while (route && index--)
        route = route->next_added;
    if (!route)
        return false;
    *method = route->method;
    *pattern = route->pattern;
    return true;
}

/* ---- finding ---- */

struct match {
    const struct sa_route *const *routes; /* all methods of the path; NULL: no such path */
    size_t count;
    size_t rest_from; /* first segment of the rest parameter */
};

static bool any_text(const struct sa_http_request *r, size_t from)
{
    for (size_t i = from; i < r->head->segment_count; i++)
        if (r->head->segments[i].length)
            return true;
    return false;
}

/* Depth is bounded by the patterns; each level tries literal, parameter, rest, in that order. */
static bool walk(const struct node *node, const struct sa_http_request *r, size_t at,
                 struct match *match)
{
    if (at == r->head->segment_count) {
        match->routes = node->here;
        match->count = node->here_count;
        return node->here_count > 0;
    }
    struct sa_http_text segment = r->head->segments[at];
    for (const struct node *n = node->literals; n; n = n->next)
        if (n->literal_length == segment.length &&
            !memcmp(n->literal, segment.data, segment.length) && walk(n, r, at + 1, match))
            return true;
    if (node->param && segment.length && walk(node->param, r, at + 1, match))
        return true;
    if (!node->rest_count || !any_text(r, at))
        return false;
    match->routes = node->rest;
    match->count = node->rest_count;
    match->rest_from = at;
    return true;
}

static const struct sa_route *pick(const struct match *match, const char *method)
{
    for (size_t i = 0; i < match->count; i++)
        if (!strcmp(match->routes[i]->method, method))
            return match->routes[i];
    return NULL;
}

static const struct sa_route *pick_any(const struct match *match, const char *method)
{
    const struct sa_route *route = pick(match, method);
    if (!route && !strcmp(method, "HEAD"))
        route = pick(match, "GET");
    return route ? route : pick(match, "*");
}

static const char *join_rest(struct sa_http_request *r, size_t from)
{
    size_t length = 0;
    for (size_t i = from; i < r->head->segment_count; i++) {
        if (memchr(r->head->segments[i].data, '/', r->head->segments[i].length))
            return NULL;
        length += r->head->segments[i].length + 1;
    }
    char *text = sa_arena_alloc(sa_http_request_arena(r), length), *to = text;
    for (size_t i = from; i < r->head->segment_count; i++) {
        if (i > from)
            *to++ = '/';
        memcpy(to, r->head->segments[i].data, r->head->segments[i].length);
        to += r->head->segments[i].length;
    }
    *to = '\0';
    return text;
}

/* The parameters' segments are those where the pattern has no literal. */
static bool set_params(struct sa_http_request *r, const struct sa_route *route, size_t rest_from)
{
    size_t segment = 0, param = 0;
    r->param_count = 0;
    for (const char *p = route->pattern; *p; segment++) {
        p++;
        bool is_param = *p == '{',
             is_rest = is_param && route->has_rest && param == route->param_count - 1;
        const char *value = r->head->segments[segment].data;
        if (is_rest && !(value = join_rest(r, rest_from)))
            return false;
        if (is_param) {
            r->params[param] = (struct sa_http_pair){route->params[param], value};
            r->param_count = ++param;
        }
        p += strcspn(p, "/");
    }
    return true;
}

static void refuse_path(struct sa_http_request *r)
{
    struct sa_error error;
    sa_error_at(&error, SA_EINVALID, "path", "a part of the path holds an encoded '/'");
    sa_http_respond_error(r, &error);
}

static void refuse_unknown(struct sa_http_request *r)
{
    struct sa_error error;
    sa_error_set(&error, SA_ENOTFOUND,
                 "there is nothing at %.200s; /openapi.json says what there is",
                 sa_http_request_path(r));
    sa_http_respond_error(r, &error);
}

/* Known path, unknown method: 405, or 204 for OPTIONS; both with Allow. */
static void answer_allow(struct sa_http_request *r, const struct match *match)
{
    sa_autobuf allow = SA_BUF_INIT;
    for (size_t i = 0; i < match->count; i++) {
        const char *method = match->routes[i]->method;
        bool head_too = !strcmp(method, "GET") && !pick(match, "HEAD");
        sa_buf_printf(&allow, "%s, %s", method, head_too ? "HEAD, " : "");
    }
    sa_buf_adds(&allow, "OPTIONS");
    sa_http_response_header(r, "Allow", allow.data);
    if (!strcmp(sa_http_request_method(r), "OPTIONS")) {
        sa_http_respond(r, 204, NULL, NULL, 0);
        return;
    }
    struct sa_error error;
    sa_error_set(&error, SA_EINVALID, "%s is not possible here, only %s", sa_http_request_method(r),
                 allow.data);
    sa_http_respond_error_full(r, 405, &error, NULL);
}

const struct sa_route *sa_router_find(const struct sa_router *router, struct sa_http_request *r)
{
    struct match match = {0};
    if (!strcmp(sa_http_request_path(r), "*")) {
        answer_allow(r, &match);
        return NULL;
    }
    if (!walk(&router->root, r, 0, &match)) {
        refuse_unknown(r);
        return NULL;
    }
    const struct sa_route *route = pick_any(&match, sa_http_request_method(r));
    r->route = (route ? route : match.routes[0])->pattern;
    if (!route) {
        answer_allow(r, &match);
        return NULL;
    }
    if (!set_params(r, route, match.rest_from)) {
        refuse_path(r);
        return NULL;
    }
    return route;
}

void sa_route_call(const struct sa_route *route, struct sa_http_request *r)
{
    route->handler(r, route->user);
}

void *sa_route_user(const struct sa_route *route)
{
    return route->user;
}

void sa_router_dispatch(struct sa_http_request *r, void *router)
{
    const struct sa_route *route = sa_router_find(router, r);
    if (route)
        sa_route_call(route, r);
}
