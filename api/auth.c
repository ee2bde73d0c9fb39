/* Authentication by API key or signed URL, and what each role may do. */
#include "api/app.h"
#include "api/ws_open.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "json/write.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum sa_role least; /* the lowest role that has it */
} permissions[SA_PERM_COUNT] = {
    [SA_PERM_NONE] = {"none", SA_ROLE_VIEWER},
    [SA_PERM_SANDBOXES_READ] = {"sandboxes.read", SA_ROLE_VIEWER},
    [SA_PERM_SANDBOXES_WRITE] = {"sandboxes.write", SA_ROLE_DEVELOPER},
    [SA_PERM_SANDBOXES_EXECUTE] = {"sandboxes.execute", SA_ROLE_DEVELOPER},
    [SA_PERM_SANDBOXES_FILES] = {"sandboxes.files", SA_ROLE_DEVELOPER},
    [SA_PERM_SANDBOXES_PORTS] = {"sandboxes.ports", SA_ROLE_DEVELOPER},
    [SA_PERM_KEYS_READ] = {"keys.read", SA_ROLE_ADMIN},
    [SA_PERM_KEYS_WRITE] = {"keys.write", SA_ROLE_ADMIN},
    [SA_PERM_OPERATIONS_READ] = {"operations.read", SA_ROLE_OPERATOR},
    [SA_PERM_POLICIES_DENIALS] = {"policies.denials", SA_ROLE_DEVELOPER},
    [SA_PERM_POLICIES_READ] = {"policies.read", SA_ROLE_OPERATOR}, /* has what others run */
    [SA_PERM_POLICIES_WRITE] = {"policies.write", SA_ROLE_ADMIN},
    [SA_PERM_RESOURCES_READ] = {"resources.read", SA_ROLE_VIEWER},
    [SA_PERM_RESOURCES_WRITE] = {"resources.write", SA_ROLE_OPERATOR},
};

int sa_check_streams(size_t count, const char *what, struct sa_error *err)
{
    if (count < SA_STREAMS_PER_KEY_MAX)
        return 0;
    return sa_error_set(err, SA_EQUOTA,
                        "%zu %s are open with this API key already, of %d at most: end one, or see "
                        "more through each",
                        count, what, SA_STREAMS_PER_KEY_MAX);
}

const char *sa_permission_name(enum sa_permission permission)
{
    return permissions[permission].name;
}

bool sa_role_may(enum sa_role role, enum sa_permission permission)
{
    return role >= permissions[permission].least;
}

bool sa_principal_sees(const struct sa_principal *principal, const char *owner_key)
{
    return principal->role != SA_ROLE_DEVELOPER || strcmp(principal->key_id, owner_key) == 0;
}

static struct sa_http_text presented_key(const struct sa_http_request *request)
{
    const char *authorization = sa_http_request_header(request, "authorization");
    const char *key = sa_http_request_header(request, "x-api-key");
    if (!authorization && !key)
        return sa_ws_bearer(request);
    if (authorization && strncasecmp(authorization, "bearer ", 7) != 0)
        return (struct sa_http_text){0};
    if (authorization)
        key = authorization + 7 + strspn(authorization + 7, " ");
    return (struct sa_http_text){key, strlen(key)};
}

static void take_key(const struct sa_key_info *info, struct sa_principal *principal)
{
    memcpy(principal->key_id, info->id, sizeof principal->key_id);
    memcpy(principal->name, info->name, sizeof principal->name);
    principal->role = info->role;
}

int sa_authenticate(struct sa_app *app, const struct sa_http_request *request,
                    struct sa_principal *principal, struct sa_error *err)
{
    const struct sa_key_info *info;
    struct sa_http_text key = presented_key(request);
    if (!key.data)
        return sa_error_set(err, SA_EUNAUTHORIZED,
                            "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`");
    if (sa_store_key_check(app->store, key.data, key.length, &info, err) < 0)
        return -1;
    take_key(info, principal);
    return 0;
}

int sa_authenticate_signed(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_api_route *route, struct sa_principal *principal,
                           struct sa_error *err)
{
    const struct sa_signed_route *r = sa_signed_routes;
    const struct sa_key_info *info;
    struct sa_grant grant = {.method = sa_http_request_method(request),
                             .sandbox = sa_http_request_param(request, "id")};
    while (r->handler && r->handler != route->handler)
        r++;
    if (!r->handler || !r->grant(request, &grant))
        return sa_error_set(err, SA_EUNAUTHORIZED,
                            "this needs an API key: a signed URL opens only what was signed");
    if (sa_sign_check(app->signer, app->store, &grant,
                      sa_http_request_query(request, SA_SIGN_PARAMETER), sa_wall_ms() / 1000, &info,
                      err) < 0)
        return -1;
    take_key(info, principal);
    return 0;
}

void sa_request_origin(const struct sa_http_request *request, struct sa_buf *out)
{
    const char *host = sa_http_request_header(request, "host");
    if (host) /* HTTP/1.0 may lack it: then the URL is a path */
        sa_buf_printf(out, "%s://%s", sa_http_request_is_tls(request) ? "https" : "http", host);
}

void sa_respond_signed_url(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal, const struct sa_grant *grant,
                           const char *url, int64_t expires_in_s)
{
    char time[SA_RFC3339_BYTES];
    int64_t expires_s = sa_wall_ms() / 1000 + expires_in_s;
    sa_autobuf signed_url = SA_BUF_INIT;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_sign_url(app->signer, grant, principal->key_id, expires_s, url, &signed_url);
    sa_rfc3339(expires_s * 1000, time);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "url", signed_url.data);
    sa_json_put_string(&w, "expiresAt", time);
    sa_json_w_end_object(&w);
    sa_respond_json(request, 200, &body);
}
