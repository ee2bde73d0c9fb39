/* Executions as resources: list, look at, read the output again. What is not in memory any more is
 * looked up in the store; so are sandboxes that ended. */
#include "api/exec_ask.h"
#include "api/exec_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- GET executions ---- */

static void on_page(void *user, const struct sa_error *err,
                    const struct sa_store_execution_page *page)
{
    struct sa_ask *ask = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_ask_read(ask);
    if (err) {
        sa_http_respond_error(ask->request, err);
        return;
    }
    sa_json_w_begin_object(&w);
    sa_json_put_array(&w, "items");
    for (size_t i = 0; i < page->count; i++) {
        const struct sa_store_execution *row = &page->items[i];
        struct sa_execution *live =
            sa_execution_find(ask->app->executions, ask->sandbox_id, row->id);
        if (live)
            sa_execution_print(live, &w);
        else
            sa_exec_view_print(&(struct sa_exec_view){.record = row}, &w);
    }
    sa_json_w_end_array(&w);
    if (page->next)
        sa_json_put_string(&w, "cursor", page->next);
    sa_json_w_end_object(&w);
    sa_respond_json(ask->request, 200, &body);
}

static void list(struct sa_ask *ask)
{
    struct sa_error error;
    const char *cursor = sa_http_request_query(ask->request, "cursor");
    sa_ask_reading(ask,
                   sa_store_list_executions(ask->app->store, ask->sandbox_id, ask->status, cursor,
                                            (size_t)ask->limit, on_page, ask, &error),
                   &error);
}

void sa_handle_list_executions(struct sa_app *app, struct sa_http_request *request,
                               const struct sa_principal *principal)
{
    static const char *const statuses[] = {"running", "exited",   "signaled", "timeout",
                                           "oom",     "canceled", "failed"};
    struct sa_ask *ask = sa_ask_new(app, request, principal, list);
    struct sa_error error;
    bool known = false;
    ask->status = sa_http_request_query(request, "status");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        known |= ask->status && strcmp(statuses[i], ask->status) == 0;
    if (ask->status && !known)
        sa_error_at(&error, SA_EINVALID, "status",
                    "status: expected running, exited, signaled, timeout, oom, canceled or failed");
    if ((ask->status && !known) ||
        sa_query_int(request, "limit", 1, SA_STORE_PAGE_MAX, &ask->limit, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        sa_ask_sandbox(ask);
}

/* ---- GET executions/{eid} ---- */

static void get(struct sa_ask *ask)
{
    struct sa_execution *execution = sa_ask_find(ask);
    if (execution)
        sa_ask_respond_execution(ask, execution);
    else
        sa_ask_record(ask, sa_ask_on_record);
}

void sa_handle_get_execution(struct sa_app *app, struct sa_http_request *request,
                             const struct sa_principal *principal)
{
    sa_ask_sandbox(sa_ask_new(app, request, principal, get));
}

/* ---- GET executions/{eid}/output ---- */

static void on_lost(void *user, const struct sa_error *err, const struct sa_store_execution *record)
{
    struct sa_ask *ask = user;
    struct sa_error error;
    if (sa_ask_failed(ask, err))
        return;
    sa_error_set(&error, SA_ENOTFOUND,
                 "the output of %.40s is not kept any more; its record says %.16s%s%.64s",
                 record->id, record->status, record->reason[0] ? ", " : "", record->reason);
    sa_http_respond_error(ask->request, &error);
}

static void output(struct sa_ask *ask)
{
    struct sa_execution *execution = sa_ask_find(ask);
    struct sa_error error;
    if (!execution) {
        sa_ask_record(ask, on_lost);
        return;
    }
    int64_t to = sa_execution_output_to(execution);
    if (ask->offset > to) {
        sa_error_at(&error, SA_EINVALID, "offset", "offset: beyond the output, which ends at %lld",
                    (long long)to);
        sa_http_respond_error(ask->request, &error);
        return;
    }
    sa_reply_output(ask->request, execution, ask->form, ask->offset, ask->follow);
}

static int parse_output(struct sa_ask *ask, struct sa_error *err)
{
    const char *last = sa_http_request_header(ask->request, "last-event-id");
    char *end;
    ask->form = sa_reply_form(ask->request);
    ask->follow = ask->form != SA_REPLY_JSON;
    if (sa_query_int(ask->request, "offset", 0, INT64_C(1) << 53, &ask->offset, err) < 0 ||
        sa_query_bool(ask->request, "follow", &ask->follow, err) < 0)
        return -1;
    if (!last || !last[0])
        return 0;
    errno = 0;
    ask->offset = strtoll(last, &end, 10);
    if (errno || *end || ask->offset < 0)
        return sa_error_at(err, SA_EINVALID, "Last-Event-ID",
                           "Last-Event-ID: expected the id of an event of this stream");
    return 0;
}

void sa_handle_execution_output(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    struct sa_ask *ask = sa_ask_new(app, request, principal, output);
    struct sa_error error;
    if (parse_output(ask, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        sa_ask_sandbox(ask);
}

#define EXECUTIONS SA_SANDBOX_PATH "/executions"
const struct sa_api_route sa_routes_execution[] = {
    {"POST", SA_SANDBOX_PATH "/execute", SA_PERM_SANDBOXES_EXECUTE, sa_handle_execute,
     SA_GATE_EXECUTE},
    {"GET", EXECUTIONS, SA_PERM_SANDBOXES_READ, sa_handle_list_executions, SA_GATE_READS},
    {"GET", EXECUTIONS "/{eid}", SA_PERM_SANDBOXES_READ, sa_handle_get_execution, SA_GATE_READS},
    {"GET", EXECUTIONS "/{eid}/output", SA_PERM_SANDBOXES_READ, sa_handle_execution_output,
     SA_GATE_READS},
    {"POST", EXECUTIONS "/{eid}/cancel", SA_PERM_SANDBOXES_EXECUTE, sa_handle_cancel_execution,
     SA_GATE_STEERS},
    {"POST", EXECUTIONS "/{eid}/signal", SA_PERM_SANDBOXES_EXECUTE, sa_handle_signal_execution,
     SA_GATE_STEERS},
    {"POST", EXECUTIONS "/{eid}/stdin", SA_PERM_SANDBOXES_EXECUTE, sa_handle_execution_stdin,
     SA_GATE_STEERS},
    {"POST", EXECUTIONS "/{eid}/resize", SA_PERM_SANDBOXES_EXECUTE, sa_handle_resize_execution,
     SA_GATE_STEERS},
    {0}};
