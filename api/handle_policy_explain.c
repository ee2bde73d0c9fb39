/* POST /policies/{point}/explain: what the rules in force say to an input, and why. */
#include "api/policies.h"

#include "base/cleanup.h"
#include "json/json.h"

#include <string.h>

enum { BODY_MAX = 512 * 1024, ID_MAX = 40 };

struct explanation { /* lives as long as the request */
    struct sa_app *app;
    struct sa_http_request *request;
    enum sa_point point;
    struct sa_policy_call *call;
    const char *decision; /* printed; NULL: none was named */
};

static void on_answer(void *user, const struct sa_error *err, const struct sa_value *verdict,
                      const struct sa_verdict_meta *meta)
{
    struct explanation *x = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    const struct sa_policy_point *point = &sa_policy_points[x->point];
    sa_autobuf said = SA_BUF_INIT;
    sa_http_request_on_closed(x->request, NULL, NULL);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "point", point->name);
    sa_json_put_int(&w, "generation", (int64_t)meta->generation);
    if (verdict) {
        sa_value_to_json(verdict, &said);
        sa_json_w_raw_members(&w, said.data, said.length);
    } else {
        sa_json_put_string(&w, "error", err->message);
        sa_json_put_string(&w, "fallback", point->fallback);
    }
    if (x->decision)
        sa_json_put_raw(&w, "decision", x->decision, strlen(x->decision));
    sa_json_w_end_object(&w);
    sa_respond_json(x->request, 200, &body);
}

static void on_client_gone(struct sa_http_request *request, void *user)
{
    struct explanation *x = user;
    (void)request;
    sa_policy_forget(x->call);
}

/* The input of a decision of this point. */
static int recall(struct explanation *x, const char *id, struct sa_buf *input, struct sa_error *err)
{
    const struct sa_decision *d = sa_engine_decision(sa_policy_engine(x->app->policy), id);
    sa_autobuf printed = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&printed);
    if (!d)
        return sa_error_at(err, SA_ENOTFOUND, "decision", "no decision \"%.40s\" is kept", id);
    if (d->point != x->point)
        return sa_error_at(err, SA_EINVALID, "decision", "decision: it is one of the point %s",
                           sa_policy_points[d->point].name);
    sa_value_to_json(&d->input, input);
    sa_decision_print(d, &w);
    x->decision = sa_arena_strndup(sa_http_request_arena(x->request), printed.data, printed.length);
    return 0;
}

static int decode(struct explanation *x, const char *body, size_t length, struct sa_buf *input,
                  struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_limits limits = {.max_bytes = BODY_MAX};
    const char *given = NULL, *decision = NULL;
    size_t given_length = 0;
    bool has_input = false, has_decision = false;
    struct sa_json_doc *doc = sa_json_parse(body, length, &limits, err);
    if (!doc)
        return -1;
    int rc = -1;
    if (sa_json_root(doc, sa_http_request_arena(x->request), &root, err) == 0 &&
        sa_json_opt_raw(&root, "input", &given, &given_length, &has_input, err) == 0 &&
        sa_json_opt_string(&root, "decision", ID_MAX, &decision, &has_decision, err) == 0 &&
        sa_json_finish(&root, err) == 0)
        rc = has_input != has_decision
                 ? 0
                 : sa_error_set(err, SA_EINVALID, "give either `input` or `decision`");
    sa_json_free(doc);
    if (rc == 0 && has_decision)
        return recall(x, decision, input, err);
    if (rc == 0)
        sa_buf_add(input, given, given_length);
    return rc;
}

static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct explanation *x = user;
    struct sa_error error;
    sa_autobuf input = SA_BUF_INIT;
    if (decode(x, body, length, &input, &error) == 0)
        x->call = sa_policy_explain(x->app->policy, x->point, input.data, input.length, on_answer,
                                    x, &error);
    if (x->call)
        sa_http_request_on_closed(request, on_client_gone, x);
    else
        sa_http_respond_error(request, &error);
}

void sa_handle_explain(struct sa_app *app, struct sa_http_request *request,
                       const struct sa_principal *principal)
{
    const char *name = sa_http_request_param(request, "point");
    int point = sa_policy_point_find(name);
    struct sa_error error;
    (void)principal;
    if (point < 0) {
        sa_error_set(&error, SA_ENOTFOUND, "there is no decision point \"%.32s\"", name);
        sa_http_respond_error(request, &error);
        return;
    }
    struct explanation *x = sa_arena_alloc(sa_http_request_arena(request), sizeof *x);
    *x = (struct explanation){.app = app, .request = request, .point = (enum sa_point)point};
    sa_http_request_collect(request, BODY_MAX, on_body, x);
}
