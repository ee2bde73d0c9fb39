/* API keys: list, create, revoke. */
#include "api/app.h"

#include "base/clock.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_BODY_MAX = 16 * 1024, KEYS_SHOWN = 1000 };

static void key_print(const struct sa_key_info *info, const char *key, struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "id", info->id);
    sa_json_put_string(w, "name", info->name);
    sa_json_put_string(w, "role", sa_role_name(info->role));
    sa_json_put_string(w, "prefix", info->prefix);
    sa_json_put_time(w, "createdAt", info->created_ms);
    sa_json_put_time(w, "expiresAt", info->expires_ms);
    sa_json_put_time(w, "lastUsedAt", info->last_used_ms);
    sa_json_put_bool(w, "revoked", info->revoked_ms != 0);
    if (key)
        sa_json_put_string(w, "key", key);
    sa_json_w_end_object(w);
}

void sa_handle_list_keys(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    struct sa_error error;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    (void)principal;
    struct sa_key_info *keys = sa_alloc(KEYS_SHOWN * sizeof *keys);
    int count = sa_store_key_list(app->store, NULL, KEYS_SHOWN, keys, &error);
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    for (int i = 0; i < count; i++)
        key_print(&keys[i], NULL, &w);
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
    free(keys);
    sa_respond_json(request, 200, &body);
}

/* A write to the store may end after the client has gone. */
struct key_write {
    struct sa_app *app;
    struct sa_http_request *request; /* NULL then */
};

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct key_write *k = user;
    (void)request;
    k->request = NULL;
}

static struct key_write *key_write_new(struct sa_app *app, struct sa_http_request *request)
{
    struct key_write *k = sa_alloc(sizeof *k);
    *k = (struct key_write){app, request};
    sa_http_request_on_closed(request, on_client_gone, k);
    return k;
}

/* Frees it; the request, if the client still waits. */
static struct sa_http_request *key_write_end(struct key_write *k)
{
    struct sa_http_request *request = k->request;
    if (request)
        sa_http_request_on_closed(request, NULL, NULL);
    free(k);
    return request;
}

static void on_key_created(void *user, const struct sa_error *err, const struct sa_key_info *info,
                           const char *text)
{
    struct sa_http_request *request = key_write_end(user);
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    if (!request)
        return;
    if (err) {
        sa_http_respond_error(request, err);
        return;
    }
    key_print(info, text, &w);
    sa_respond_json(request, 201, &body);
}

static int decode_key(const char *body, size_t length, struct sa_arena *arena,
                      struct sa_key_params *params, struct sa_error *err)
{
    static const char *const roles[] = {"viewer", "developer", "operator", "admin", NULL};
    static const char *const formats[] = {"sa", "e2b", NULL};
    struct sa_json_obj root;
    int role = SA_ROLE_DEVELOPER, format = 0;
    int64_t expires_s = 0;
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    int rc = -1;
    if (sa_json_root(doc, arena, &root, err) == 0 &&
        sa_json_get_string(&root, "name", 63, &params->name, err) == 0 &&
        sa_json_opt_enum(&root, "role", roles, &role, NULL, err) == 0 &&
        sa_json_opt_enum(&root, "format", formats, &format, NULL, err) == 0 &&
        sa_json_opt_int(&root, "expiresIn", 1, 315360000, &expires_s, NULL, err) == 0 &&
        sa_json_finish(&root, err) == 0)
        rc = 0;
    sa_json_free(doc);
    params->role = (enum sa_role)role;
    params->e2b = format == 1;
    params->expires_ms = expires_s ? sa_wall_ms() + expires_s * 1000 : 0;
    return rc;
}

static void on_key_body(struct sa_http_request *request, const char *body, size_t length,
                        void *user)
{
    struct sa_app *app = user;
    struct sa_key_params params = {0};
    struct sa_error error;
    if (decode_key(body, length, sa_http_request_arena(request), &params, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    struct key_write *k = key_write_new(app, request);
    if (sa_store_key_create(app->store, &params, on_key_created, k, &error) < 0)
        sa_http_respond_error(key_write_end(k), &error);
}

void sa_handle_create_key(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    (void)principal;
    sa_http_request_collect(request, KEY_BODY_MAX, on_key_body, app);
}

static void on_key_revoked(void *user, const struct sa_error *err)
{
    struct sa_http_request *request = key_write_end(user);
    if (!request)
        return;
    if (err)
        sa_http_respond_error(request, err);
    else
        sa_http_respond(request, 204, NULL, NULL, 0);
}

void sa_handle_revoke_key(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal)
{
    struct sa_error error;
    const char *id = sa_http_request_param(request, "id");
    (void)principal;
    struct key_write *k = key_write_new(app, request);
    if (sa_store_key_revoke(app->store, id, on_key_revoked, k, &error) < 0)
        sa_http_respond_error(key_write_end(k), &error);
}

const struct sa_api_route sa_routes_identity[] = {
    {"GET", "/api/v1/user/apikeys", SA_PERM_KEYS_READ, sa_handle_list_keys, SA_GATE_NONE},
    {"POST", "/api/v1/user/apikeys", SA_PERM_KEYS_WRITE, sa_handle_create_key, SA_GATE_NONE},
    {"DELETE", "/api/v1/user/apikeys/{id}", SA_PERM_KEYS_WRITE, sa_handle_revoke_key, SA_GATE_NONE},
    {0}};
