/* The route table (compared with openapi.yaml by a test), and helpers that handlers share. */
#include "api/app.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SANDBOX "/api/v1/sandboxes/{id}"

const struct sa_api_route sa_api_routes[] = {
    {"POST", "/api/v1/sandboxes", SA_PERM_SANDBOXES_WRITE, sa_handle_create_sandbox},
    {"GET", "/api/v1/sandboxes", SA_PERM_SANDBOXES_READ, sa_handle_list_sandboxes},
    {"GET", SANDBOX, SA_PERM_SANDBOXES_READ, sa_handle_get_sandbox},
    {"DELETE", SANDBOX, SA_PERM_SANDBOXES_WRITE, sa_handle_delete_sandbox},
    {"POST", SANDBOX "/execute", SA_PERM_SANDBOXES_EXECUTE, sa_handle_execute},
    {"GET", SANDBOX "/files", SA_PERM_SANDBOXES_FILES, sa_handle_list_files},
    {"GET", SANDBOX "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_read_file},
    {"HEAD", SANDBOX "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_stat_file},
    {"PUT", SANDBOX "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_write_file},
    {"DELETE", SANDBOX "/files/{path...}", SA_PERM_SANDBOXES_FILES, sa_handle_delete_file},
    {"GET", SANDBOX "/metrics", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_metrics},
    {"GET", SANDBOX "/events", SA_PERM_SANDBOXES_READ, sa_handle_sandbox_events},
    {"GET", "/api/v1/user/apikeys", SA_PERM_KEYS_READ, sa_handle_list_keys},
    {"POST", "/api/v1/user/apikeys", SA_PERM_KEYS_WRITE, sa_handle_create_key},
    {"DELETE", "/api/v1/user/apikeys/{id}", SA_PERM_KEYS_WRITE, sa_handle_revoke_key},
    {"GET", "/healthz", SA_PERM_NONE, sa_handle_healthz},
    {"GET", "/readyz", SA_PERM_NONE, sa_handle_readyz},
    {"GET", "/metrics", SA_PERM_OPERATIONS_READ, sa_handle_metrics},
    {"GET", "/openapi.json", SA_PERM_NONE, sa_handle_openapi},
};
const size_t sa_api_route_count = SA_COUNT(sa_api_routes);

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
    size_t length = body->length;
    sa_http_respond_owned(request, status, "application/json", sa_buf_steal(body), length, free);
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
