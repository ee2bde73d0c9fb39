/* GET /sandboxes/{id}/wait: answers when the sandbox is in a phase, or cannot come there any more.
 */
#include "api/lookup.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

struct wait {
    struct sa_sandbox_watch watch;
    struct sa_sandbox *sandbox;
    struct sa_http_request *request;
    enum sa_phase wanted;
    uv_timer_t timer;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void wait_end(struct wait *w)
{
    sa_sandbox_unwatch(w->sandbox, &w->watch);
    sa_http_request_on_closed(w->request, NULL, NULL);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

static void respond_never(struct sa_http_request *request, enum sa_phase wanted, const char *phase,
                          const char *reason)
{
    struct sa_error error;
    sa_error_set(&error, SA_ECONFLICT, "the sandbox is %s%s%.64s, and will not be %s any more",
                 phase, reason[0] ? ", " : "", reason, sa_phase_name(wanted));
    sa_http_respond_error(request, &error);
}

/* True when it is decided, and answered. */
static bool decide(struct sa_http_request *request, const struct sa_sandbox *sandbox,
                   enum sa_phase wanted)
{
    enum sa_phase phase = sa_sandbox_phase(sandbox);
    struct sa_sandbox_view view;
    if (phase == wanted) {
        sa_respond_sandbox(request, 200, sandbox);
        return true;
    }
    if (sa_lifecycle_reaches(phase, wanted))
        return false;
    sa_sandbox_view_fill(sandbox, &view);
    respond_never(request, wanted, view.phase, view.reason);
    return true;
}

static void on_changed(struct sa_sandbox_watch *watch, struct sa_sandbox *sandbox)
{
    struct wait *w = sa_container_of(watch, struct wait, watch);
    struct sa_http_request *request = w->request;
    enum sa_phase phase = sa_sandbox_phase(sandbox), wanted = w->wanted;
    if (phase != wanted && sa_lifecycle_reaches(phase, wanted))
        return;
    wait_end(w);
    decide(request, sandbox, wanted);
}

static void on_late(uv_timer_t *timer)
{
    struct wait *w = timer->data;
    struct sa_http_request *request = w->request;
    struct sa_error error;
    sa_error_set(&error, SA_ETIMEOUT, "the sandbox is %s, and was not %s in time; ask again",
                 sa_phase_name(sa_sandbox_phase(w->sandbox)), sa_phase_name(w->wanted));
    wait_end(w);
    sa_http_respond_error_full(request, 408, &error, NULL);
}

static void on_gone(struct sa_http_request *request, void *user)
{
    (void)request;
    wait_end(user);
}

static void begin(struct sa_app *app, struct sa_http_request *request, struct sa_sandbox *sandbox,
                  enum sa_phase wanted, int64_t timeout_s)
{
    struct wait *w = sa_alloc(sizeof *w);
    *w = (struct wait){
        .watch.changed = on_changed, .sandbox = sandbox, .request = request, .wanted = wanted};
    w->timer.data = w;
    uv_timer_init(app->loop, &w->timer);
    uv_timer_start(&w->timer, on_late, (uint64_t)timeout_s * 1000, 0);
    sa_sandbox_watch(sandbox, &w->watch);
    sa_http_request_on_closed(request, on_gone, w);
}

/* Of one that has ended. */
static void on_record(void *user, const struct sa_error *err, const struct sa_store_sandbox *record)
{
    struct sa_lookup *l = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    sa_http_request_on_closed(l->request, NULL, NULL);
    if (err || !sa_principal_sees(l->principal, record->owner)) {
        sa_respond_no_sandbox(l->request);
        return;
    }
    enum sa_phase wanted = (enum sa_phase)l->after;
    if (strcmp(record->phase, sa_phase_name(wanted)) != 0) {
        respond_never(l->request, wanted, record->phase, record->reason);
        return;
    }
    sa_print_record(record, &w);
    sa_respond_json(l->request, 200, &body);
}

static int read_query(const struct sa_http_request *request, int *phase, int64_t *timeout_s,
                      struct sa_error *err)
{
    const char *text = sa_http_request_query(request, "phase");
    *phase = text ? sa_phase_parse(text) : SA_PHASE_RUNNING;
    *timeout_s = 30;
    if (*phase < 0)
        return sa_error_at(err, SA_EINVALID, "phase", "phase: expected " SA_PHASE_NAMES);
    return sa_query_int(request, "timeout", 0, 600, timeout_s, err);
}

void sa_handle_sandbox_wait(struct sa_app *app, struct sa_http_request *request,
                            const struct sa_principal *principal)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_route_sandbox_peek(app, request, principal);
    int phase;
    int64_t timeout_s;
    if (read_query(request, &phase, &timeout_s, &error) < 0) {
        sa_http_respond_error(request, &error);
    } else if (sandbox) {
        if (!decide(request, sandbox, (enum sa_phase)phase))
            begin(app, request, sandbox, (enum sa_phase)phase, timeout_s);
    } else if (!sa_id_valid("sb-", sa_http_request_param(request, "id"))) {
        sa_respond_no_sandbox(request);
    } else {
        struct sa_lookup *l = sa_lookup_new(app, request, principal);
        l->after = phase;
        sa_lookup_started(l, sa_store_get_sandbox(app->store, l->id, on_record, l, &error), &error);
    }
}
