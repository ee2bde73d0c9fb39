/* POST /sandboxes/{id}/execute: decode, start, and answer whole, as a stream, or at once. With an
 * Idempotency-Key what was started before is answered with, from memory or from the store. */
#include "api/app.h"
#include "api/exec_record.h"
#include "api/exec_reply.h"
#include "api/gate.h"
#include "api/idempotency.h"

#include <stdio.h>
#include <string.h>

struct run {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    const char *sandbox_id, *key;
    struct sa_execute execute;
    enum sa_reply_form form;
    struct sa_gate *gate; /* being asked */
    /* with a key */
    struct sa_once *claim;
    struct sa_store_read *read;
    char known[SA_ID_BYTES]; /* the execution that the key led to */
    struct sa_exec_result result;
    struct sa_error error;
};

static bool is_told_at_its_end(const struct run *run)
{
    return run->form == SA_REPLY_JSON && !run->execute.background;
}

static void reply(struct run *run, struct sa_execution *execution)
{
    if (!is_told_at_its_end(run))
        sa_execution_record_first(execution);
    if (run->execute.background)
        sa_reply_accepted(run->request, execution);
    else if (run->form == SA_REPLY_JSON)
        sa_reply_whole(run->request, execution);
    else
        sa_reply_output(run->request, execution, run->form, 0, true);
}

static struct sa_execution *start(struct run *run, struct sa_sandbox *sandbox, struct sa_error *err)
{
    return sa_execution_start(
        run->app->executions, sandbox, &run->execute,
        is_told_at_its_end(run) ? SA_EXECUTION_WHOLE_MAX : SA_EXECUTION_STREAM_MAX, err);
}

/* ---- the start, once the policies have allowed it ---- */

static void on_answer(void *user, const struct sa_denial *denial)
{
    struct run *run = user;
    struct sa_error error;
    struct sa_once *claim = run->claim;
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(run->app, run->request, run->principal);
    struct sa_execution *execution = sandbox && !denial ? start(run, sandbox, &error) : NULL;
    sa_http_request_on_closed(run->request, NULL, NULL);
    if (execution && claim) { /* the key is written before the execution is told */
        sa_execution_keep_answer(execution);
        sa_once_settle(claim, sa_execution_id(execution));
    }
    if (denial)
        sa_respond_denial(run->request, denial);
    else if (!sandbox)
        sa_respond_not_living(run->app, run->request, run->principal);
    else if (!execution)
        sa_http_respond_error(run->request, &error);
    else
        reply(run, execution);
    if (claim && !execution)
        sa_once_abandon(claim);
}

static void on_asker_gone(struct sa_http_request *request, void *user)
{
    struct run *run = user;
    (void)request;
    sa_gate_forget(run->gate);
    if (run->claim)
        sa_once_abandon(run->claim);
}

/* With a claim this is the first request of its key: what it starts, the others get. */
static void ask(struct run *run)
{
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(run->app, run->request, run->principal);
    if (!sandbox) {
        on_answer(run, NULL);
        return;
    }
    run->gate = sa_gate_execute(&(struct sa_gate_who){run->app, run->principal, sandbox}, NULL,
                                &run->execute);
    sa_gate_on(run->gate, on_answer, run);
    sa_http_request_on_closed(run->request, on_asker_gone, run);
}

/* ---- what the store has of an execution that is not here any more ---- */

static void respond_recorded(struct run *run, struct sa_answer *answer)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    if (run->form == SA_REPLY_JSON) {
        sa_answer_print(answer, run->known, &run->result, &w);
        sa_respond_json(run->request, 200, &body);
        return;
    }
    sa_reply_recorded(run->request, run->form, run->known, &run->result, answer);
}

static void on_output(void *user, const struct sa_error *err, const struct sa_store_output *output)
{
    struct run *run = user;
    struct sa_answer answer;
    run->read = NULL;
    sa_http_request_on_closed(run->request, NULL, NULL);
    if (err && err->code != SA_ENOTFOUND) {
        sa_http_respond_error(run->request, err);
        return;
    }
    if (output) {
        sa_exec_answer_from_store(output, &answer);
    } else {
        sa_answer_init(&answer, true);
        answer.cut[0] = run->result.totals[SA_CHANNEL_OUT] > 0;
        answer.cut[1] = run->result.totals[SA_CHANNEL_ERR] > 0;
    }
    respond_recorded(run, &answer);
    sa_answer_deinit(&answer);
}

static void read_or_fail(struct run *run, struct sa_store_read *read, const struct sa_error *err)
{
    run->read = read;
    if (read)
        return;
    sa_http_request_on_closed(run->request, NULL, NULL);
    sa_http_respond_error(run->request, err);
}

/* What it printed and how it ended nobody knows: an answer without would be taken for one. */
static bool is_lost(const struct run *run, const struct sa_store_execution *record,
                    struct sa_error *err)
{
    if (run->execute.background || strcmp(record->reason, SA_STORE_STOPPED) != 0)
        return false;
    sa_error_at(err, SA_ECONFLICT, "Idempotency-Key",
                "the server stopped while %s ran; what it did is not known. Look, then use a new "
                "Idempotency-Key",
                run->known);
    return true;
}

static void on_record(void *user, const struct sa_error *err,
                      const struct sa_store_execution *record)
{
    struct run *run = user;
    struct sa_error error;
    run->read = NULL;
    if (err || is_lost(run, record, &error)) {
        read_or_fail(run, NULL, err ? err : &error);
        return;
    }
    if (run->execute.background) {
        struct sa_buf body = SA_BUF_INIT;
        struct sa_json_w w = sa_json_w_start(&body);
        sa_exec_view_print(&(struct sa_exec_view){.record = record}, &w);
        sa_http_request_on_closed(run->request, NULL, NULL);
        sa_respond_json(run->request, 202, &body);
        return;
    }
    sa_exec_result_from_record(record, &run->error, &run->result);
    read_or_fail(run, sa_store_get_output(run->app->store, run->known, on_output, run, &error),
                 &error);
}

/* ---- with a key ---- */

static void on_gone(struct sa_http_request *request, void *user)
{
    struct run *run = user;
    (void)request;
    sa_once_cancel(run->claim);
    if (run->read)
        sa_store_cancel(run->read);
}

static void reply_known(struct run *run, const char *id)
{
    struct sa_error error;
    struct sa_execution *execution = sa_execution_find(run->app->executions, run->sandbox_id, id);
    if (execution) {
        sa_http_request_on_closed(run->request, NULL, NULL);
        reply(run, execution);
        return;
    }
    snprintf(run->known, sizeof run->known, "%s", id);
    read_or_fail(
        run, sa_store_get_execution(run->app->store, run->sandbox_id, id, on_record, run, &error),
        &error);
}

static void on_claim(void *user, enum sa_once_outcome outcome, const char *resource,
                     const struct sa_error *err)
{
    struct run *run = user;
    if (outcome == SA_ONCE_NEW) {
        ask(run);
        return;
    }
    run->claim = NULL;
    if (outcome == SA_ONCE_KNOWN)
        reply_known(run, resource);
    else
        read_or_fail(run, NULL, err);
}

static void claim(struct run *run, const char *body, size_t length)
{
    struct sa_error error;
    struct sa_idempotency_what what = {.principal = run->principal->key_id,
                                       .route = sa_arena_printf(sa_http_request_arena(run->request),
                                                                "execute/%s", run->sandbox_id),
                                       .key = run->key,
                                       .body = body,
                                       .length = length};
    run->claim = sa_idempotency_begin(run->app->idempotency, &what, on_claim, run, &error);
    if (run->claim)
        sa_http_request_on_closed(run->request, on_gone, run);
    else
        sa_http_respond_error(run->request, &error);
}

/* ---- the request ---- */

static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct run *run = user;
    struct sa_error error;
    if (sa_execute_decode(body, length, sa_http_request_arena(request), &run->execute, &error) < 0)
        sa_http_respond_error(request, &error);
    else if (run->key)
        claim(run, body, length);
    else
        ask(run);
}

void sa_handle_execute(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    struct sa_error error;
    const char *key;
    if (sa_idempotency_key(request, &key, &error) < 0) {
        sa_http_respond_error(request, &error);
        return;
    }
    /* With a key the sandbox may have ended since. */
    if (!key && !sa_route_sandbox(app, request, principal))
        return;
    struct run *run = sa_arena_alloc(sa_http_request_arena(request), sizeof *run);
    *run = (struct run){.app = app, .principal = principal, .request = request, .key = key};
    run->sandbox_id = sa_http_request_param(request, "id");
    run->form = sa_reply_form(request);
    sa_http_request_collect(request, SA_EXECUTE_BODY_MAX, on_body, run);
}
