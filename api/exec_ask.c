#include "api/exec_ask.h"

#include "api/exec_record.h"

static void on_gone(struct sa_http_request *request, void *user)
{
    struct sa_ask *ask = user;
    (void)request;
    if (ask->read)
        sa_store_cancel(ask->read);
}

struct sa_ask *sa_ask_new(struct sa_app *app, struct sa_http_request *request,
                          const struct sa_principal *principal, void (*proceed)(struct sa_ask *ask))
{
    struct sa_ask *ask = sa_arena_alloc(sa_http_request_arena(request), sizeof *ask);
    *ask = (struct sa_ask){
        .app = app, .principal = principal, .request = request, .proceed = proceed, .limit = 100};
    ask->sandbox_id = sa_http_request_param(request, "id");
    ask->id = sa_http_request_param(request, "eid");
    return ask;
}

void sa_ask_reading(struct sa_ask *ask, struct sa_store_read *read, const struct sa_error *error)
{
    ask->read = read;
    if (read)
        sa_http_request_on_closed(ask->request, on_gone, ask);
    else
        sa_http_respond_error(ask->request, error);
}

void sa_ask_read(struct sa_ask *ask)
{
    ask->read = NULL;
    sa_http_request_on_closed(ask->request, NULL, NULL);
}

static void on_sandbox(void *user, const struct sa_error *err,
                       const struct sa_store_sandbox *record)
{
    struct sa_ask *ask = user;
    sa_ask_read(ask);
    if (err && err->code != SA_ENOTFOUND)
        sa_http_respond_error(ask->request, err);
    else if (err || !sa_principal_sees(ask->principal, record->owner))
        sa_respond_no_sandbox(ask->request);
    else
        ask->proceed(ask);
}

void sa_ask_sandbox(struct sa_ask *ask)
{
    struct sa_error error;
    if (sa_route_sandbox_peek(ask->app, ask->request, ask->principal))
        ask->proceed(ask);
    else if (!sa_id_valid("sb-", ask->sandbox_id))
        sa_respond_no_sandbox(ask->request);
    else
        sa_ask_reading(
            ask, sa_store_get_sandbox(ask->app->store, ask->sandbox_id, on_sandbox, ask, &error),
            &error);
}

struct sa_execution *sa_ask_find(struct sa_ask *ask)
{
    return sa_execution_find(ask->app->executions, ask->sandbox_id, ask->id);
}

void sa_ask_respond_none(struct sa_ask *ask)
{
    struct sa_error error;
    sa_error_set(&error, SA_ENOTFOUND, "no execution \"%.40s\" in this sandbox", ask->id);
    sa_http_respond_error(ask->request, &error);
}

/* Look in the store. */
void sa_ask_record(struct sa_ask *ask, sa_store_execution_done done)
{
    struct sa_error error;
    if (sa_id_valid("ex-", ask->id))
        sa_ask_reading(
            ask,
            sa_store_get_execution(ask->app->store, ask->sandbox_id, ask->id, done, ask, &error),
            &error);
    else
        sa_ask_respond_none(ask);
}

bool sa_ask_failed(struct sa_ask *ask, const struct sa_error *err)
{
    sa_ask_read(ask);
    if (err && err->code == SA_ENOTFOUND)
        sa_ask_respond_none(ask);
    else if (err)
        sa_http_respond_error(ask->request, err);
    return err != NULL;
}

void sa_ask_respond_execution(struct sa_ask *ask, struct sa_execution *execution)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_execution_print(execution, &w);
    sa_respond_json(ask->request, 200, &body);
}

void sa_ask_on_record(void *user, const struct sa_error *err,
                      const struct sa_store_execution *record)
{
    struct sa_ask *ask = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    if (sa_ask_failed(ask, err))
        return;
    sa_exec_view_print(&(struct sa_exec_view){.record = record}, &w);
    sa_respond_json(ask->request, 200, &body);
}
