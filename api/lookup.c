/* Looking up what may have ended; see lookup.h. */
#include "api/lookup.h"

static void on_lookup_closed(struct sa_http_request *request, void *user)
{
    struct sa_lookup *l = user;
    (void)request;
    sa_store_cancel(l->read);
}

struct sa_lookup *sa_lookup_new(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    struct sa_lookup *l = sa_arena_alloc(sa_http_request_arena(request), sizeof *l);
    *l = (struct sa_lookup){.app = app, .principal = principal, .request = request, .limit = 100};
    l->id = sa_http_request_param(request, "id");
    return l;
}

/* The read was started, or refused with `error`. */
void sa_lookup_started(struct sa_lookup *l, struct sa_store_read *read,
                       const struct sa_error *error)
{
    l->read = read;
    if (read)
        sa_http_request_on_closed(l->request, on_lookup_closed, l);
    else
        sa_http_respond_error(l->request, error);
}

void sa_print_record(const struct sa_store_sandbox *r, struct sa_json_w *w)
{
    struct sa_sandbox_view view = {.id = r->id,
                                   .runtime = r->runtime,
                                   .phase = r->phase,
                                   .reason = r->reason,
                                   .message = r->message,
                                   .fixed_json = r->spec,
                                   .labels_json = r->labels,
                                   .created_ms = r->created_ms,
                                   .expires_ms = r->expires_ms,
                                   .ended_ms = r->ended_ms};
    sa_sandbox_print(&view, w);
}

/* Why what lived a moment ago does not answer any more: its time was over, its memory ran out. */
static void on_ended_record(void *user, const struct sa_error *err,
                            const struct sa_store_sandbox *record)
{
    struct sa_lookup *l = user;
    struct sa_error error;
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err || !sa_principal_sees(l->principal, record->owner) || !record->ended_ms) {
        sa_respond_no_sandbox(l->request);
        return;
    }
    sa_error_set(&error, SA_ENOTFOUND, "the sandbox \"%.40s\" has ended: %.64s%s%.256s", l->id,
                 record->reason, record->message[0] ? ", " : "", record->message);
    sa_http_respond_error(l->request, &error);
}

int sa_check_recovered(const struct sa_app *app, struct sa_error *err)
{
    if (!sa_sandboxes_recovering(app->sandboxes))
        return 0;
    return sa_error_set(err, SA_EUNAVAILABLE,
                        "the server is starting, and not all sandboxes were found again yet; try "
                        "again in a moment");
}

void sa_respond_not_living(struct sa_app *app, struct sa_http_request *request,
                           const struct sa_principal *principal)
{
    struct sa_error error;
    if (!sa_id_valid("sb-", sa_http_request_param(request, "id"))) {
        sa_respond_no_sandbox(request);
        return;
    }
    if (sa_check_recovered(app, &error) < 0) { /* it may be among those that are yet to come */
        sa_http_respond_error(request, &error);
        return;
    }
    struct sa_lookup *l = sa_lookup_new(app, request, principal);
    sa_lookup_started(l, sa_store_get_sandbox(app->store, l->id, on_ended_record, l, &error),
                      &error);
}

void sa_respond_sandbox(struct sa_http_request *request, int status,
                        const struct sa_sandbox *sandbox)
{
    struct sa_buf body = SA_BUF_INIT;
    struct sa_sandbox_view view;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_sandbox_view_fill(sandbox, &view);
    sa_sandbox_print(&view, &w);
    sa_respond_json(request, status, &body);
}
