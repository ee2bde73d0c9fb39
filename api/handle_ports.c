/*
 * The routes of ports, and the host form `<port>-<id>.<domain>`. Who may: a key in a header, or a
 * signed URL (api/sign.h), which in the host form becomes a cookie of that host, so that a page
 * loads what belongs to it.
 */
#include "api/gate.h"
#include "api/port.h"
#include "api/sign.h"
#include "security/rules.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SIGN_BODY_MAX = 4096, SIGN_DEFAULT_SECONDS = 3600 };

static int parse_port(const char *text, size_t length)
{
    int port = 0;
    if (length < 1 || length > 5 || text[0] == '0')
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        port = port * 10 + (text[i] - '0');
    }
    return port <= 65535 ? port : -1;
}

static int route_port(struct sa_http_request *request)
{
    struct sa_error error;
    const char *text = sa_http_request_param(request, "port");
    int port = parse_port(text, strlen(text));
    if (port > 0)
        return port;
    sa_error_at(&error, SA_EINVALID, "port", "port: expected 1 to 65535");
    sa_http_respond_error(request, &error);
    return -1;
}

/* The query without the signature, with its question mark; "" when nothing is left. */
static const char *own_query(struct sa_http_request *request)
{
    const char *from = strchr(sa_http_request_target(request), '?');
    struct sa_arena *arena = sa_http_request_arena(request);
    sa_autobuf out = SA_BUF_INIT;
    const char *separator = "?";
    size_t name = strlen(SA_SIGN_PARAMETER);
    for (const char *at = from ? from + 1 : ""; *at;) {
        size_t n = strcspn(at, "&");
        if (!(n > name && strncmp(at, SA_SIGN_PARAMETER "=", name + 1) == 0)) {
            sa_buf_adds(&out, separator);
            sa_buf_add(&out, at, n);
            separator = "&";
        }
        at += n + (at[n] == '&');
    }
    return out.length ? sa_arena_strndup(arena, out.data, out.length) : "";
}

/* ---- the policies, before either form ---- */

struct passage {
    struct sa_app *app;
    struct sa_http_request *request;
    struct sa_port_target target;
    char id[SA_ID_BYTES], key[SA_ID_BYTES];
    uint64_t generation;
};

static struct sa_port_pass pass_of(const struct passage *p)
{
    return (struct sa_port_pass){p->id, p->key, p->target.port, p->generation};
}

static void on_allowed(void *user)
{
    struct passage *p = user;
    struct sa_port_pass pass = pass_of(p);
    struct sa_error error;
    sa_port_passes_add(p->app->port_passes, &pass);
    p->target.sandbox = sa_sandbox_find(p->app->sandboxes, p->id);
    if (p->target.sandbox) {
        sa_port_proxy(p->app, p->request, &p->target);
        return;
    }
    sa_error_set(&error, SA_ENOTFOUND, "the sandbox \"%.40s\" has ended", p->id);
    sa_http_respond_error(p->request, &error);
}

static void ask_and_proxy(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal, const struct sa_port_target *target)
{
    struct passage *p = sa_arena_alloc(sa_http_request_arena(request), sizeof *p);
    *p = (struct passage){.app = app, .request = request, .target = *target};
    snprintf(p->id, sizeof p->id, "%s", sa_sandbox_id(target->sandbox));
    snprintf(p->key, sizeof p->key, "%s", principal->key_id);
    p->generation = sa_rules_generation(app->policy);
    struct sa_port_pass pass = pass_of(p);
    if (p->generation && sa_port_passes_has(app->port_passes, &pass)) {
        sa_port_proxy(app, request, &p->target);
        return;
    }
    sa_gate_then(sa_gate_port(&(struct sa_gate_who){app, principal, target->sandbox}, target->port),
                 request, on_allowed, p);
}

/* ---- the path form ---- */

/* What follows `…/ports/{port}`, as the client sent it. */
static const char *rest_of_path(const struct sa_http_request *request, size_t *prefix_length)
{
    const char *path = sa_http_request_path(request), *at = path;
    for (int slashes = 0; *at; at++)
        if (*at == '/' && ++slashes == 7)
            break;
    *prefix_length = (size_t)(at - path);
    return at;
}

bool sa_grant_port(struct sa_http_request *request, struct sa_grant *grant)
{
    const char *port = sa_http_request_param(request, "port");
    grant->method = "*";
    grant->resource = sa_arena_printf(sa_http_request_arena(request), "ports:%s", port);
    return true;
}

void sa_handle_port(struct sa_app *app, struct sa_http_request *request,
                    const struct sa_principal *principal)
{
    struct sa_arena *arena = sa_http_request_arena(request);
    struct sa_error error;
    size_t prefix;
    int port = route_port(request);
    struct sa_sandbox *sandbox = port < 0 ? NULL : sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    if (sa_http_request_header(request, "service-worker")) {
        sa_error_set(&error, SA_EFORBIDDEN,
                     "no service worker may come from a sandbox to here; use "
                     "the address with the sandbox in its host name");
        sa_http_respond_error(request, &error);
        return;
    }
    const char *rest = rest_of_path(request, &prefix);
    ask_and_proxy(app, request, principal,
                  &(struct sa_port_target){
                      .sandbox = sandbox,
                      .port = port,
                      .target = sa_arena_printf(arena, "%s%s", rest, own_query(request)),
                      .prefix = sa_arena_strndup(arena, sa_http_request_path(request), prefix)});
}

/* Without its last slash a page's relative links would lead elsewhere. */
static void handle_bare(struct sa_app *app, struct sa_http_request *request,
                        const struct sa_principal *principal)
{
    if (route_port(request) < 0 || !sa_route_sandbox(app, request, principal))
        return;
    sa_http_response_headerf(request, "Location", "%s/%s", sa_http_request_path(request),
                             own_query(request));
    sa_http_respond(request, 308, NULL, NULL, 0);
}

/* ---- the host form ---- */

struct host_form {
    int port;
    char id[SA_ID_BYTES];
};

/* "3000-sb-….localhost:8080" */
static bool parse_host(const char *host, const char *domain, struct host_form *out)
{
    size_t digits = strspn(host, "0123456789"), name = strcspn(host, ":");
    size_t id = host[digits] == '-' ? strcspn(host + digits + 1, ".:") : 0;
    if (digits < 1 || id < 1 || id >= sizeof out->id || host[digits + 1 + id] != '.')
        return false;
    const char *rest = host + digits + 1 + id + 1;
    size_t length = (size_t)(host + name - rest);
    if (length != strlen(domain) || strncasecmp(rest, domain, length) != 0)
        return false;
    memset(out->id, 0, sizeof out->id);
    for (size_t i = 0; i < id; i++) {
        char c = host[digits + 1 + i];
        out->id[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    out->port = parse_port(host, digits);
    return out->port > 0 && sa_id_valid("sb-", out->id);
}

/* The value of our cookie, or NULL; of several the first. */
static const char *own_cookie(struct sa_http_request *request)
{
    const char *name, *value;
    size_t length = strlen(SA_PORT_COOKIE);
    for (size_t i = 0; sa_http_request_header_at(request, i, &name, &value); i++) {
        if (strcasecmp(name, "cookie") != 0)
            continue;
        for (const char *at = value; *at; at += strcspn(at, ";")) {
            at += strspn(at, "; \t");
            if (strncmp(at, SA_PORT_COOKIE "=", length + 1) == 0)
                return sa_arena_strndup(sa_http_request_arena(request), at + length + 1,
                                        strcspn(at + length + 1, "; \t"));
        }
    }
    return NULL;
}

static bool is_safe(const struct sa_http_request *request)
{
    const char *method = sa_http_request_method(request);
    return (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) &&
           !sa_http_request_is_websocket(request);
}

/* A cookie goes with requests that other sites make, too, and sandboxes are neighbours: what
 * changes something, or opens a WebSocket, must come from the page of this very host. */
static int check_origin(struct sa_http_request *request, struct sa_error *err)
{
    const char *origin = sa_http_request_header(request, "origin");
    const char *site = sa_http_request_header(request, "sec-fetch-site");
    const char *host = sa_http_request_header(request, "host");
    if (is_safe(request))
        return 0;
    const char *name = origin ? strstr(origin, "://") : NULL;
    if (name ? strcasecmp(name + 3, host) == 0
             : !origin && (!site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0))
        return 0;
    return sa_error_set(err, SA_EFORBIDDEN,
                        "a cookie of this address is not good for requests from other origins");
}

/* The first use of a signed URL: the signature becomes a cookie, and leaves the address. */
static void set_cookie(struct sa_http_request *request, const char *signature)
{
    int64_t left = strtoll(signature + 2, NULL, 10) - sa_wall_ms() / 1000;
    sa_http_response_headerf(
        request, "Set-Cookie", SA_PORT_COOKIE "=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Lax%s",
        signature, (long long)left, sa_http_request_is_tls(request) ? "; Secure" : "");
    sa_http_response_header(request, "Referrer-Policy", "no-referrer");
    sa_http_response_headerf(request, "Location", "%s%s", sa_http_request_path(request),
                             own_query(request));
    sa_http_respond(request, 302, NULL, NULL, 0);
}

static int check_signature(struct sa_app *app, struct sa_http_request *request,
                           const struct host_form *form, const char *signature,
                           struct sa_principal *principal, struct sa_error *err)
{
    const struct sa_key_info *info;
    struct sa_grant grant = {
        "*", form->id, sa_arena_printf(sa_http_request_arena(request), "ports:%d", form->port)};
    if (sa_sign_check(app->signer, app->store, &grant, signature, sa_wall_ms() / 1000, &info, err) <
        0)
        return -1;
    memcpy(principal->key_id, info->id, sizeof principal->key_id);
    memcpy(principal->name, info->name, sizeof principal->name);
    principal->role = info->role;
    return 0;
}

/* -1: refused. 1: answered. */
static int authenticate_host(struct sa_app *app, struct sa_http_request *request,
                             const struct host_form *form, struct sa_principal *principal,
                             bool *by_cookie, struct sa_error *err)
{
    const char *signature = sa_http_request_query(request, SA_SIGN_PARAMETER);
    const char *cookie = own_cookie(request);
    *by_cookie = true;
    if (signature) {
        if (check_signature(app, request, form, signature, principal, err) < 0)
            return -1;
        if (!is_safe(request))
            return 0;
        set_cookie(request, signature);
        return 1;
    }
    if (cookie && check_signature(app, request, form, cookie, principal, err) == 0)
        return check_origin(request, err);
    *by_cookie = false;
    return sa_authenticate(app, request, principal, err);
}

static void refuse(struct sa_http_request *request, const struct sa_error *error)
{
    if (error->code == SA_EUNAUTHORIZED)
        sa_http_response_header(request, "WWW-Authenticate", "Bearer");
    sa_http_respond_error(request, error);
}

bool sa_port_dispatch_host(struct sa_app *app, struct sa_http_request *request)
{
    const char *host = sa_http_request_header(request, "host");
    struct sa_principal *principal;
    struct host_form form;
    struct sa_error error;
    bool by_cookie;
    if (!host || !parse_host(host, app->domain, &form))
        return false;
    principal = sa_arena_alloc(sa_http_request_arena(request), sizeof *principal);
    int rc = authenticate_host(app, request, &form, principal, &by_cookie, &error);
    if (rc > 0)
        return true;
    if (rc == 0 && !sa_role_may(principal->role, SA_PERM_SANDBOXES_PORTS))
        rc = sa_error_set(&error, SA_EFORBIDDEN, "this needs the permission %s",
                          sa_permission_name(SA_PERM_SANDBOXES_PORTS));
    struct sa_sandbox *sandbox = rc < 0 ? NULL : sa_sandbox_find(app->sandboxes, form.id);
    if (rc == 0 && (!sandbox || !sa_principal_sees(principal, sa_sandbox_owner(sandbox))))
        rc = sa_error_set(&error, SA_ENOTFOUND, "no sandbox \"%.40s\"", form.id);
    if (rc < 0) {
        refuse(request, &error);
        return true;
    }
    sa_request_hold(request, sandbox);
    ask_and_proxy(app, request, principal,
                  &(struct sa_port_target){
                      .sandbox = sandbox,
                      .port = form.port,
                      .target = sa_arena_printf(sa_http_request_arena(request), "%s%s",
                                                sa_http_request_path(request), own_query(request)),
                      .authorization = by_cookie || sa_http_request_header(request, "x-api-key")});
    return true;
}

/* ---- POST …/ports/{port}/signed-url ---- */

struct sign_request {
    struct sa_app *app;
    const struct sa_principal *principal;
    int port;
};

static int decode(const char *body, size_t length, struct sa_arena *arena, int64_t *expires_in_s,
                  struct sa_error *err)
{
    struct sa_json_obj root;
    *expires_in_s = SIGN_DEFAULT_SECONDS;
    if (!length)
        return 0;
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = sa_json_opt_int(&root, "expiresIn", 1, SA_SIGN_SECONDS_MAX, expires_in_s, NULL, err);
    if (rc == 0)
        rc = sa_json_finish(&root, err);
    sa_json_free(doc);
    return rc;
}

static void on_sign_body(struct sa_http_request *request, const char *body, size_t length,
                         void *user)
{
    struct sign_request *s = user;
    struct sa_arena *arena = sa_http_request_arena(request);
    struct sa_error error;
    int64_t expires_in_s;
    sa_autobuf url = SA_BUF_INIT;
    if (decode(body, length, arena, &expires_in_s, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_sandbox *sandbox = sa_route_sandbox(s->app, request, s->principal);
    if (!sandbox)
        return;
    const char *host = sa_http_request_header(request, "host");
    const char *colon = host ? strrchr(host, ':') : NULL;
    bool has_port = colon && !strchr(colon, ']');
    struct sa_grant grant = {"*", sa_sandbox_id(sandbox),
                             sa_arena_printf(arena, "ports:%d", s->port)};
    sa_buf_printf(&url, "%s://%d-%s.%s%s/", sa_http_request_is_tls(request) ? "https" : "http",
                  s->port, grant.sandbox, s->app->domain, has_port ? colon : "");
    sa_respond_signed_url(s->app, request, s->principal, &grant, url.data, expires_in_s);
}

static void handle_sign(struct sa_app *app, struct sa_http_request *request,
                        const struct sa_principal *principal)
{
    int port = route_port(request);
    if (port < 0)
        return;
    struct sign_request *s = sa_arena_alloc(sa_http_request_arena(request), sizeof *s);
    *s = (struct sign_request){app, principal, port};
    sa_http_request_collect(request, SIGN_BODY_MAX, on_sign_body, s);
}

/* ---- GET …/ports ---- */

static void put_listener(const struct sa_field *field, struct sa_json_w *w)
{
    struct sa_fields fields;
    struct sa_field f;
    int64_t port = 0, pid = 0;
    char address[64] = "", program[64] = "";
    sa_fields_init(&fields, field->data, field->length);
    while (sa_fields_next(&fields, &f, NULL) > 0) {
        if (f.tag == SA_PORT_NUMBER)
            sa_field_int(&f, &port, NULL);
        else if (f.tag == SA_PORT_PID)
            sa_field_int(&f, &pid, NULL);
        else if (f.tag == SA_PORT_ADDRESS)
            sa_field_text_into(&f, address, sizeof address, NULL);
        else if (f.tag == SA_PORT_PROGRAM)
            sa_field_text_into(&f, program, sizeof program, NULL);
    }
    if (port < 1 || port > 65535)
        return;
    sa_json_w_begin_object(w);
    sa_json_put_int(w, "port", port);
    sa_json_put_string(w, "address", address);
    if (pid > 0)
        sa_json_put_int(w, "pid", pid);
    if (program[0])
        sa_json_put_string(w, "program", program);
    sa_json_w_end_object(w);
}

struct port_list {
    struct sa_http_request *request;
    struct sa_call *call;
};

static void on_listed(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct port_list *l = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    struct sa_field f;
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (error) {
        sa_http_respond_error(l->request, error);
        return;
    }
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    while (sa_fields_next(fields, &f, NULL) > 0)
        if (f.tag == SA_PORT_LISTENER)
            put_listener(&f, &w);
    sa_json_w_end_array(&w);
    sa_json_w_end_object(&w);
    sa_respond_json(l->request, 200, &body);
}

static void on_lister_gone(struct sa_http_request *request, void *user)
{
    struct port_list *l = user;
    (void)request;
    sa_call_abandon(l->call);
}

static void handle_list(struct sa_app *app, struct sa_http_request *request,
                        const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.ended = on_listed};
    static const struct sa_buf nothing = SA_BUF_INIT;
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    if (!sandbox)
        return;
    struct port_list *l = sa_arena_alloc(sa_http_request_arena(request), sizeof *l);
    l->request = request;
    struct sa_runtime_conn *conn = sa_sandbox_conn(sandbox, &error);
    l->call = conn ? sa_call_open(conn, SA_METHOD_PORT_LIST, &nothing, &events, l, &error) : NULL;
    if (l->call)
        sa_http_request_on_closed(request, on_lister_gone, l);
    else
        sa_http_respond_error(request, &error);
}

#define PORT SA_SANDBOX_PATH "/ports/{port}"
#define ANY(pattern, handler)                                                                      \
    {"GET", pattern, SA_PERM_SANDBOXES_PORTS, handler, SA_GATE_EXECUTE},                           \
        {"HEAD", pattern, SA_PERM_SANDBOXES_PORTS, handler, SA_GATE_EXECUTE},                      \
        {"POST", pattern, SA_PERM_SANDBOXES_PORTS, handler, SA_GATE_EXECUTE},                      \
        {"PUT", pattern, SA_PERM_SANDBOXES_PORTS, handler, SA_GATE_EXECUTE},                       \
        {"PATCH", pattern, SA_PERM_SANDBOXES_PORTS, handler, SA_GATE_EXECUTE},                     \
        {"DELETE", pattern, SA_PERM_SANDBOXES_PORTS, handler, SA_GATE_EXECUTE},                    \
    {                                                                                              \
        "OPTIONS", pattern, SA_PERM_SANDBOXES_PORTS, handler, SA_GATE_EXECUTE                      \
    }

const struct sa_api_route sa_routes_ports[] = {
    {"GET", SA_SANDBOX_PATH "/ports", SA_PERM_SANDBOXES_READ, handle_list, SA_GATE_READS},
    {"POST", PORT "/signed-url", SA_PERM_SANDBOXES_PORTS, handle_sign, SA_GATE_READS},
    {"GET", PORT, SA_PERM_SANDBOXES_PORTS, handle_bare, SA_GATE_READS},
    ANY(PORT "/", sa_handle_port),
    ANY(PORT "/{path...}", sa_handle_port),
    {0}};
