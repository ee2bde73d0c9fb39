/* Health, readiness, metrics, and the API's own description. */
#include "api/app.h"
#include "api/openapi_json.h"

#include <stdlib.h>
#include <string.h>

void sa_handle_healthz(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    static const char body[] = "{\"status\":\"ok\"}";
    (void)app;
    (void)principal;
    sa_http_respond(request, 200, "application/json", body, sizeof body - 1);
}

void sa_handle_readyz(struct sa_app *app, struct sa_http_request *request,
                      const struct sa_principal *principal)
{
    char store[256] = "ok";
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    bool node_up = sa_sandboxes_node_is_up(app->sandboxes);
    bool store_ok = sa_store_healthy(app->store, store, sizeof store);
    bool ready = node_up && store_ok && app->policies_ready && !app->draining;
    (void)principal;
    sa_json_w_begin_object(&w);
    sa_json_put_bool(&w, "ready", ready);
    sa_json_put_string(&w, "node", node_up ? "ok" : "not reachable");
    sa_json_put_string(&w, "store", store_ok ? "ok" : store);
    sa_json_put_string(&w, "policies", app->policies_ready ? "ok" : "being loaded");
    sa_json_put_bool(&w, "draining", app->draining);
    sa_json_w_end_object(&w);
    sa_respond_json(request, ready ? 200 : 503, &body);
}

void sa_handle_metrics(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    struct sa_buf text = SA_BUF_INIT;
    (void)principal;
    sa_metrics_write(app->metrics, &text);
    size_t length = text.length;
    sa_http_respond_owned(request, 200, SA_METRICS_CONTENT_TYPE, sa_buf_steal(&text), length, free);
}

void sa_handle_openapi(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    (void)app;
    (void)principal;
    sa_http_respond(request, 200, "application/json", sa_openapi_json, sa_openapi_json_length);
}

const struct sa_api_route sa_routes_operations[] = {
    {"GET", "/healthz", SA_PERM_NONE, sa_handle_healthz, SA_GATE_NONE},
    {"GET", "/readyz", SA_PERM_NONE, sa_handle_readyz, SA_GATE_NONE},
    {"GET", "/metrics", SA_PERM_OPERATIONS_READ, sa_handle_metrics, SA_GATE_NONE},
    {"GET", "/openapi.json", SA_PERM_NONE, sa_handle_openapi, SA_GATE_NONE},
    {0}};
