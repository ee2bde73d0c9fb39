/* What requests about resources share; see resources.h. */
#include "api/resources.h"

#include "objects/recorder.h"

#include <string.h>

/* By the third part of the path, "/api/v1/KIND/...". */
static const struct {
    const char *path;
    const struct sa_resource *resource;
} kinds[] = {{"warmpools", &sa_resource_warm_pool},
             {"runtimes", &sa_resource_runtime_environment},
             {"profiles", &sa_resource_sandbox_profile},
             {"warmpods", &sa_resource_warm_pod},
             {"pods", &sa_resource_pod}};

static const struct sa_kind *kind_of(const struct sa_http_request *request)
{
    const char *path = sa_http_request_segment(request, 2).data;
    size_t i = 0;
    while (strcmp(kinds[i].path, path) != 0) /* the router let it through: it is there */
        i++;
    return kinds[i].resource->kind;
}

void sa_resource_ask_init(struct sa_resource_ask *ask, struct sa_app *app,
                          struct sa_http_request *request, const struct sa_principal *principal)
{
    *ask = (struct sa_resource_ask){.app = app,
                                    .request = request,
                                    .principal = principal,
                                    .kind = kind_of(request),
                                    .name = sa_http_request_param(request, "name")};
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct sa_resource_ask *ask = user;
    (void)request;
    sa_objects_forget(ask->app->objects, ask->call);
}

void sa_resource_asked(struct sa_resource_ask *ask, struct sa_objects_call *call)
{
    ask->call = call;
    sa_http_request_on_closed(ask->request, on_client_gone, ask);
}

void sa_resource_told(struct sa_resource_ask *ask)
{
    ask->call = NULL;
    sa_http_request_on_closed(ask->request, NULL, NULL);
}

void sa_resource_select(struct sa_resource_ask *ask, struct sa_objects_select *select)
{
    struct sa_arena *arena = sa_http_request_arena(ask->request);
    *select = (struct sa_objects_select){
        .label_selector = sa_http_request_query(ask->request, "labelSelector"),
        .field_selector = sa_http_request_query(ask->request, "fieldSelector")};
    if (ask->name) { /* those of events are fixed */
        select->field_selector = sa_arena_printf(
            arena, "involvedObject.kind=%s,involvedObject.name=%s", ask->kind->name, ask->name);
        ask->kind = &sa_kind_event;
    }
    if (ask->kind->namespaced)
        select->namespace_ = SA_NAMESPACE_DEFAULT;
}

int sa_resource_version(const struct sa_http_request *request, const char **version,
                        struct sa_error *err)
{
    const char *text = sa_http_request_query(request, "resourceVersion");
    *version = NULL;
    if (!text || !text[0] || strcmp(text, "0") == 0)
        return 0;
    size_t n = strlen(text);
    if (strspn(text, "0123456789") != n || text[0] == '0' || n >= SA_RESOURCE_VERSION_BYTES)
        return sa_error_at(err, SA_EINVALID, "resourceVersion",
                           "resourceVersion: expected one that an answer gave");
    *version = text;
    return 0;
}

bool sa_resource_is_newer(const char *version, const char *than)
{
    size_t a = strlen(version), b = strlen(than);
    return a != b ? a > b : strcmp(version, than) > 0;
}

void sa_respond_object(struct sa_http_request *request, int status, const struct sa_object *object)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_object_print(object, &w);
    sa_respond_json(request, status, &body);
}
