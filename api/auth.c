/* Authentication by API key, and what each role may do. */
#include "api/app.h"

#include "base/cleanup.h"

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
    [SA_PERM_KEYS_READ] = {"keys.read", SA_ROLE_ADMIN},
    [SA_PERM_KEYS_WRITE] = {"keys.write", SA_ROLE_ADMIN},
    [SA_PERM_OPERATIONS_READ] = {"operations.read", SA_ROLE_OPERATOR},
};

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

static const char *presented_key(const struct sa_http_request *request)
{
    const char *authorization = sa_http_request_header(request, "authorization");
    if (!authorization)
        return sa_http_request_header(request, "x-api-key");
    if (strncasecmp(authorization, "bearer ", 7) != 0)
        return NULL;
    return authorization + 7 + strspn(authorization + 7, " ");
}

int sa_authenticate(struct sa_app *app, const struct sa_http_request *request,
                    struct sa_principal *principal, struct sa_error *err)
{
    const struct sa_key_info *info;
    const char *key = presented_key(request);
    if (!key)
        return sa_error_set(err, SA_EUNAUTHORIZED,
                            "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`");
    if (sa_store_key_check(app->store, key, strlen(key), &info, err) < 0)
        return -1;
    memcpy(principal->key_id, info->id, sizeof principal->key_id);
    memcpy(principal->name, info->name, sizeof principal->name);
    principal->role = info->role;
    return 0;
}
