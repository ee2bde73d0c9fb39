/* POST …/files/signed-url: one file, for a while, to who has no key. */
#include "api/files.h"
#include "api/gate.h"

#include "json/json.h"

#include <ctype.h>
#include <string.h>

enum { BODY_MAX = 16 * 1024, PATH_BYTES_MAX = 4096, DEFAULT_SECONDS = 3600 };

/* Without empty segments: the same name for the same request, however its slashes fell. */
static const char *resource_of(struct sa_arena *arena, const char *path)
{
    char *out = sa_arena_alloc(arena, strlen(path) + sizeof "files:/"), *at = out;
    at = stpcpy(at, "files:");
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n) {
            *at++ = '/';
            memcpy(at, p, n);
            at += n;
        }
        p += n + (p[n] == '/');
    }
    *at = '\0';
    return out;
}

bool sa_grant_file(struct sa_http_request *request, struct sa_grant *grant)
{
    grant->resource =
        resource_of(sa_http_request_arena(request), sa_http_request_param(request, "path"));
    return true;
}

/* Percent-encoded, but for slashes and what is unreserved (RFC 3986, 2.3). */
static void add_encoded(struct sa_buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("/-._~", c)) /* in the C locale */
            sa_buf_addc(out, *text);
        else
            sa_buf_printf(out, "%%%02X", c);
    }
}

struct sign_request {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    const char *path, *method;
    int64_t expires_in_s;
};

static int check_path(const char *path, struct sa_error *err)
{
    if (path[0] != '/')
        return sa_error_at(err, SA_EINVALID, "path", "path: must be absolute");
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return sa_error_at(err, SA_EINVALID, "path", "path: \".\" and \"..\" are not allowed");
        p += n + (p[n] == '/');
    }
    return 0;
}

static int decode(struct sign_request *r, const char *body, size_t length, struct sa_arena *arena,
                  struct sa_error *err)
{
    static const char *const methods[] = {"GET", "PUT", NULL};
    struct sa_json_obj root;
    int method = 0, rc = -1;
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    r->expires_in_s = DEFAULT_SECONDS;
    if (sa_json_root(doc, arena, &root, err) == 0 &&
        sa_json_get_string(&root, "path", PATH_BYTES_MAX, &r->path, err) == 0 &&
        sa_json_opt_enum(&root, "method", methods, &method, NULL, err) == 0 &&
        sa_json_opt_int(&root, "expiresIn", 1, SA_SIGN_SECONDS_MAX, &r->expires_in_s, NULL, err) ==
            0 &&
        sa_json_finish(&root, err) == 0 && check_path(r->path, err) == 0)
        rc = 0;
    sa_json_free(doc);
    r->method = methods[method];
    return rc;
}

static void sign(void *user)
{
    struct sign_request *r = user;
    struct sa_http_request *request = r->request;
    struct sa_arena *arena = sa_http_request_arena(request);
    sa_autobuf url = SA_BUF_INIT;
    struct sa_sandbox *sandbox = sa_route_sandbox(r->app, request, r->principal);
    if (!sandbox)
        return;
    struct sa_grant grant = {r->method, sa_sandbox_id(sandbox), resource_of(arena, r->path)};
    sa_request_origin(request, &url);
    sa_buf_printf(&url, "/api/v1/sandboxes/%s/files", grant.sandbox);
    add_encoded(&url, grant.resource + strlen("files:"));
    sa_respond_signed_url(r->app, request, r->principal, &grant, url.data, r->expires_in_s);
}

/* Whoever uses it is asked about, too, as one who reads or writes. */
static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct sign_request *r = user;
    struct sa_error error;
    struct sa_gate_file file = {.operation = "sign", .bytes = -1};
    struct sa_arena *arena = sa_http_request_arena(request);
    if (decode(r, body, length, arena, &error) < 0 ||
        sa_file_path_normal(r->path, "path", arena, &file.path, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_sandbox *sandbox = sa_route_sandbox(r->app, request, r->principal);
    if (sandbox)
        sa_gate_then(sa_gate_file(&(struct sa_gate_who){r->app, r->principal, sandbox}, &file),
                     request, sign, r);
}

void sa_handle_sign_file(struct sa_app *app, struct sa_http_request *request,
                         const struct sa_principal *principal)
{
    struct sign_request *r = sa_arena_alloc(sa_http_request_arena(request), sizeof *r);
    r->app = app;
    r->request = request;
    r->principal = principal;
    sa_http_request_collect(request, BODY_MAX, on_body, r);
}
