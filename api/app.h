/*
 * agent-api, put together: what the handlers share, the route table, and authentication. One
 * loop thread.
 */
#ifndef SA_API_APP_H
#define SA_API_APP_H

#include "api/execution.h"
#include "api/idempotency.h"
#include "api/sandbox.h"
#include "api/sign.h"
#include "claim/caches.h"
#include "http/http.h"
#include "http/router.h"
#include "http/server.h"
#include "store/keys.h"

struct sa_policy;
struct sa_policy_events;
struct sa_policy_follow;
struct sa_resource_watch;
struct sa_ports;

struct sa_app {
    uv_loop_t *loop;
    char instance[SA_ID_BYTES]; /* this process, anew at each start */
    struct sa_store *store;
    struct sa_objects *objects;
    struct sa_caches caches;
    struct sa_node_client *node;
    struct sa_agent *agent;
    struct sa_security *security;
    struct sa_claims *claims;
    struct sa_metrics *metrics;
    struct sa_sandboxes *sandboxes;
    struct sa_executions *executions;
    struct sa_contexts *contexts;
    struct sa_idempotency *idempotency;
    struct sa_router *router;
    struct sa_arena *entries; /* of the router */
    struct sa_http_server *server;
    struct sa_signer *signer; /* api/sign.h */
    struct sa_ports *ports;   /* api/port.h */
    struct sa_port_passes *port_passes;
    struct sa_policy *policy; /* policy/policy.h; asked through api/gate.h */
    struct sa_policy_events *policy_events;
    struct sa_policy_follow *policy_follows;    /* streams of decisions */
    struct sa_resource_watch *resource_watches; /* api/resources.h */
    bool policies_ready;                        /* before that nobody is served */
    void (*policies_told)(void *owner, const struct sa_error *err);
    void *policies_owner;
    const char *domain; /* of the names of ports */
    struct sa_ws *ws;
    struct sa_talk_names *talk_names; /* api/ws_stream.h */
    const char *const *allow_origins; /* of pages that may open WebSockets; they live on */
    size_t allow_origin_count;
    struct sa_metric *request_seconds, *requests_total;
    bool draining, package_mirror; /* the latter: sandboxes have packages to install */
};

/* What a route needs. A role has a permission or not (auth.c). */
enum sa_permission {
    SA_PERM_NONE, /* open to everybody */
    SA_PERM_SANDBOXES_READ,
    SA_PERM_SANDBOXES_WRITE,
    SA_PERM_SANDBOXES_EXECUTE,
    SA_PERM_SANDBOXES_FILES,
    SA_PERM_SANDBOXES_PORTS,
    SA_PERM_KEYS_READ,
    SA_PERM_KEYS_WRITE,
    SA_PERM_OPERATIONS_READ,
    SA_PERM_POLICIES_DENIALS, /* those that one's own sandboxes met */
    SA_PERM_POLICIES_READ,
    SA_PERM_POLICIES_WRITE,
    SA_PERM_RESOURCES_READ, /* pools, runtimes, profiles */
    SA_PERM_RESOURCES_WRITE,
    SA_PERM_COUNT
};
const char *sa_permission_name(enum sa_permission permission); /* "sandboxes.read" */

/* Streams that last (watches of resources; decisions as they come) and belong to one API key, of
 * each kind: each costs something at every change. */
enum { SA_STREAMS_PER_KEY_MAX = 64 };
/* May a key that has `count` of them open another? SA_EQUOTA; `what` in the plural. */
int sa_check_streams(size_t count, const char *what, struct sa_error *err);

/* Which of the policies a route asks (api/gate.h), or why none. One that concerns a sandbox must
 * say so: a program with a route that does not does not start. */
enum sa_gate_point {
    SA_GATE_NONE,   /* it concerns no sandbox */
    SA_GATE_READS,  /* it looks at what the server knows, and touches nothing */
    SA_GATE_STEERS, /* it holds or ends what was allowed, or serves what was */
    SA_GATE_ADMISSION,
    SA_GATE_EXECUTE,
    SA_GATE_FILES,
    SA_GATE_PACKAGES
};
const char *sa_gate_point_name(enum sa_gate_point point); /* "files" */

struct sa_principal {
    char key_id[SA_ID_BYTES];
    char name[SA_KEY_NAME_MAX + 1];
    enum sa_role role;
};

/* Who asks: the API key of `Authorization: Bearer` or `X-API-Key`. -1: SA_EUNAUTHORIZED. */
int sa_authenticate(struct sa_app *app, const struct sa_http_request *request,
                    struct sa_principal *principal, struct sa_error *err);
bool sa_role_may(enum sa_role role, enum sa_permission permission);
/* May it see what `owner_key` made? Developers see their own, the others everything. */
bool sa_principal_sees(const struct sa_principal *principal, const char *owner_key);

/* A handler; the principal lives as long as the request (NULL on open routes). */
typedef void sa_api_handler(struct sa_app *app, struct sa_http_request *request,
                            const struct sa_principal *principal);
struct sa_api_route {
    const char *method, *pattern;
    enum sa_permission permission;
    sa_api_handler *handler;
    enum sa_gate_point gate;
};
/* Tables that end with a route without a method: one for each area of api/openapi/. */
extern const struct sa_api_route sa_routes_sandboxes[], sa_routes_lifecycle[],
    sa_routes_execution[], sa_routes_contexts[], sa_routes_files[], sa_routes_ports[],
    sa_routes_packages[], sa_routes_identity[], sa_routes_operations[], sa_routes_streams[],
    sa_routes_terminal[], sa_routes_tunnel[], sa_routes_policies[], sa_routes_resources[];
extern const struct sa_api_route *const sa_api_routes[]; /* all of them; NULL at the end */
#define SA_SANDBOX_PATH "/api/v1/sandboxes/{id}"

/* Handlers that a signed URL (api/sign.h) opens, too: with the key's name on it, and what the key
 * may do. `grant` gets what must be signed for this request; false: not with a signature. */
struct sa_signed_route {
    sa_api_handler *handler;
    bool (*grant)(struct sa_http_request *request, struct sa_grant *grant);
};
extern const struct sa_signed_route sa_signed_routes[]; /* NULL at the end */
/* Who signed this request's URL. -1: SA_EUNAUTHORIZED. */
int sa_authenticate_signed(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_api_route *route, struct sa_principal *principal,
                           struct sa_error *err);
/* Append "http://HOST", as the client called this server. */
void sa_request_origin(const struct sa_http_request *request, struct sa_buf *out);
/* Answer {"url", "expiresAt"} for `url`, signed by the principal's key. */
void sa_respond_signed_url(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal, const struct sa_grant *grant,
                           const char *url, int64_t expires_in_s);

/* The sandbox that the path names, if it lives and the principal may see it. NULL: answered
 * with 404, or looked up in the store is what the caller wants (then use _peek). */
struct sa_sandbox *sa_route_sandbox(struct sa_app *app, struct sa_http_request *request,
                                    const struct sa_principal *principal);
struct sa_sandbox *sa_route_sandbox_peek(struct sa_app *app, struct sa_http_request *request,
                                         const struct sa_principal *principal);
void sa_respond_no_sandbox(struct sa_http_request *request);
/* 404 as well, later, and with the reason when the sandbox has ended. */
void sa_respond_not_living(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal);

/* The request uses the sandbox, which is not idle until it is over. */
void sa_request_hold(struct sa_http_request *request, struct sa_sandbox *sandbox);

/* Answer with JSON that a writer has put into `body`. */
void sa_respond_json(struct sa_http_request *request, int status, struct sa_buf *body);
/* Answer with `error`. Where several mistakes were noted it is the first, which says how many more
 * there are, and all of them are details. */
void sa_respond_mistakes(struct sa_http_request *request, struct sa_error *error,
                         const struct sa_json_notes *notes);
/* A boolean or integer query parameter; -1 when it is malformed (err names it). */
int sa_query_bool(const struct sa_http_request *request, const char *name, bool *value,
                  struct sa_error *err);
int sa_query_int(const struct sa_http_request *request, const char *name, int64_t low, int64_t high,
                 int64_t *value, struct sa_error *err);

/* Handlers, by file. */
sa_api_handler sa_handle_create_sandbox, sa_handle_list_sandboxes, sa_handle_get_sandbox,
    sa_handle_delete_sandbox, sa_handle_sandbox_metrics, sa_handle_sandbox_events,
    sa_handle_sandbox_wait;
sa_api_handler sa_handle_execute, sa_handle_list_executions, sa_handle_get_execution,
    sa_handle_execution_output, sa_handle_cancel_execution, sa_handle_signal_execution,
    sa_handle_execution_stdin, sa_handle_resize_execution;
sa_api_handler sa_handle_list_files, sa_handle_read_file, sa_handle_stat_file, sa_handle_write_file,
    sa_handle_delete_file, sa_handle_sign_file;
sa_api_handler sa_handle_port;
sa_api_handler sa_handle_list_keys, sa_handle_create_key, sa_handle_revoke_key;
sa_api_handler sa_handle_healthz, sa_handle_readyz, sa_handle_metrics, sa_handle_openapi;

#endif
