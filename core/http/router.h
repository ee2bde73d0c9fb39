/*
 * Routes: method and pattern to handler.
 *
 * A pattern is "/" and segments: literal ("sandboxes"), a parameter ("{id}", one segment, not
 * empty) or, last, a rest parameter ("{path...}": one or more segments, not all empty, joined
 * with '/'; empty ones are kept, so that "files//tmp/x" gives "/tmp/x"). Matching compares decoded
 * segments. Literal segments win over parameters, those over the rest, segment by segment from
 * the left; there is no backtracking beyond that order. A segment that decodes to something
 * with '/' is refused (400) where it would land in a rest parameter. A trailing slash matters.
 *
 * GET routes serve HEAD too unless HEAD has a route of its own. Unknown paths are answered with
 * 404, known paths with a method that has no route with 405 and Allow, OPTIONS with 204 and Allow.
 */
#ifndef SA_HTTP_ROUTER_H
#define SA_HTTP_ROUTER_H

#include "http/http.h"

struct sa_router;

struct sa_router *sa_router_new(void);
void sa_router_free(struct sa_router *router); /* NULL is allowed */

/* Strings are copied. A bad pattern, or one that was added before for that method, is a bug of
 * the caller and aborts. Method "*" takes every method that has no route of its own. */
void sa_router_add(struct sa_router *router, const char *method, const char *pattern,
                   sa_http_handler *handler, void *user);

/* A handler for sa_http_options: finds the route, sets route and parameters of the request, and
 * calls its handler, or answers 404, 405, 204 or 400. */
void sa_router_dispatch(struct sa_http_request *request, void *router);

/* What sa_router_dispatch() does, in two steps, for callers with something to do in between
 * (authenticate, say): find sets route and parameters; on NULL it has answered. */
struct sa_route;
const struct sa_route *sa_router_find(const struct sa_router *router,
                                      struct sa_http_request *request);
void sa_route_call(const struct sa_route *route, struct sa_http_request *request);
void *sa_route_user(const struct sa_route *route);

/* All routes in the order they were added; false beyond the last. */
bool sa_router_at(const struct sa_router *router, size_t index, const char **method,
                  const char **pattern);

#endif
