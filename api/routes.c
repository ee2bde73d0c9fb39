/* The route tables (compared with api/openapi/ by a test), and helpers that handlers share. */
#include "api/app.h"
#include "api/files.h"
#include "api/port.h"

#include "base/cleanup.h"
#include "json/notes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each area's table stands in the file that handles it. */
const struct sa_api_route *const sa_api_routes[] = {
    sa_routes_sandboxes, sa_routes_lifecycle, sa_routes_execution,
    sa_routes_contexts,  sa_routes_files,     sa_routes_ports,
    sa_routes_packages,  sa_routes_identity,  sa_routes_operations,
    sa_routes_streams,   sa_routes_terminal,  sa_routes_tunnel,
    sa_routes_policies,  sa_routes_resources, NULL};

const struct sa_signed_route sa_signed_routes[] = {{sa_handle_read_file, sa_grant_file},
                                                   {sa_handle_stat_file, sa_grant_file},
                                                   {sa_handle_write_file, sa_grant_file},
                                                   {sa_handle_port, sa_grant_port},
                                                   {0}};

void sa_respond_no_sandbox(struct sa_http_request *request)
{
    struct sa_error error;
    sa_error_set(&error, SA_ENOTFOUND, "no sandbox \"%.40s\"",
                 sa_http_request_param(request, "id"));
    sa_http_respond_error(request, &error);
}

struct sa_sandbox *sa_route_sandbox_peek(struct sa_app *app, struct sa_http_request *request,
                                         const struct sa_principal *principal)
{
    struct sa_sandbox *sandbox =
        sa_sandbox_find(app->sandboxes, sa_http_request_param(request, "id"));
    if (sandbox && sa_principal_sees(principal, sa_sandbox_owner(sandbox)))
        return sandbox;
    return NULL;
}

struct sa_sandbox *sa_route_sandbox(struct sa_app *app, struct sa_http_request *request,
                                    const struct sa_principal *principal)
{
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(app, request, principal);
    if (!sandbox)
        sa_respond_not_living(app, request, principal);
    return sandbox;
}

void sa_respond_json(struct sa_http_request *request, int status, struct sa_buf *body)
{
    sa_buf_addc(body, '\n'); /* for who reads it on a terminal */
    size_t length = body->length;
    sa_http_respond_owned(request, status, "application/json", sa_buf_steal(body), length, free);
}

void sa_respond_mistakes(struct sa_http_request *request, struct sa_error *error,
                         const struct sa_json_notes *notes)
{
    struct sa_http_why why = {.all = NULL};
    if (notes->mistake_count > 1) {
        const size_t n = strlen(error->message);
        snprintf(error->message + n, sizeof error->message - n, " (and %zu more: see details)",
                 notes->mistake_count - 1);
        why = (struct sa_http_why){.all = notes->mistakes, .count = notes->mistake_count};
    }
    sa_http_respond_error_full(request, 0, error, &why);
}

int sa_query_bool(const struct sa_http_request *request, const char *name, bool *value,
                  struct sa_error *err)
{
    const char *text = sa_http_request_query(request, name);
    if (!text)
        return 0;
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return sa_error_at(err, SA_EINVALID, name, "%s: expected true or false", name);
    *value = text[0] == 't';
    return 0;
}

int sa_query_int(const struct sa_http_request *request, const char *name, int64_t low, int64_t high,
                 int64_t *value, struct sa_error *err)
{
    const char *text = sa_http_request_query(request, name);
    char *end;
    if (!text)
        return 0;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < low || n > high)
        return sa_error_at(err, SA_EINVALID, name, "%s: expected an integer in %lld..%lld", name,
                           (long long)low, (long long)high);
    *value = n;
    return 0;
}
