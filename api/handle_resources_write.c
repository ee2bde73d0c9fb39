/*
 * Writes of resources: read the object (not for a create), make of it what the client wants, ask
 * the admission rules, for a pool ask its scaling rule, write. The write holds only for the version
 * that was read; when somebody else was faster, it all happens anew, unless the client has named
 * the version: then it is told.
 */
#include "api/resources.h"

#include "api/gate.h"
#include "base/cleanup.h"
#include "kinds/warm_pool.h"
#include "policy/policy.h"
#include "json/merge.h"

#include <string.h>

/* An object and what it was before fit one question (policy/points.h), with some room for defaults.
 */
enum { TRIES = 64, REVIEW_MAX = 48 * 1024, WARNING_BYTES = 160 };
enum operation { CREATE, REPLACE, PATCH, DELETE };

struct writing { /* lives as long as the request */
    struct sa_resource_ask ask;
    enum operation operation;
    bool lenient;
    const char *json; /* as sent */
    size_t length;
    struct sa_resource_body body;
    const char *uid;             /* of a delete: precondition; NULL: none */
    const struct sa_object *old; /* NULL: a create */
    struct sa_buf object;        /* as it is to be stored */
    struct sa_buf review, reviewed;
    struct sa_json_notes notes; /* of what was sent */
    struct sa_gate *gate;
    struct sa_policy_call *scaling;
    int tries;
};

static void refuse(struct writing *w, const struct sa_error *err)
{
    sa_http_request_on_closed(w->ask.request, NULL, NULL);
    sa_http_respond_error(w->ask.request, err);
}

static void clear(struct writing *w)
{
    sa_object_unref(w->old);
    w->old = NULL;
    sa_buf_deinit(&w->object);
    sa_buf_deinit(&w->review);
    sa_buf_deinit(&w->reviewed);
    w->notes.mistake_count = w->notes.dropped_count = 0;
}

static void on_request_over(void *user)
{
    clear(user);
}

static void on_asker_gone(struct sa_http_request *request, void *user)
{
    struct writing *w = user;
    (void)request;
    sa_gate_forget(w->gate);
    sa_policy_forget(w->scaling);
}

static void begin(struct writing *w);

/* ---- write ---- */

/* As a quoted string (RFC 9110): one header for each, as Kubernetes has them. */
static void warn_of(struct sa_http_request *request, const struct sa_error *dropped)
{
    char text[2 * WARNING_BYTES + 1];
    size_t n = 0;
    for (const char *c = dropped->message; *c && c < dropped->message + WARNING_BYTES; c++) {
        if (*c == '"' || *c == '\\')
            text[n++] = '\\';
        text[n++] = *c < 0x20 || *c > 0x7e ? '?' : *c;
    }
    text[n] = '\0';
    sa_http_response_headerf(request, "Warning", "299 - \"%s\"", text);
}

static void respond_written(struct writing *w, const struct sa_object *object)
{
    struct sa_http_request *request = w->ask.request;
    for (size_t i = 0; i < w->notes.dropped_count; i++)
        warn_of(request, &w->notes.dropped[i]);
    if (w->operation == CREATE)
        sa_http_response_headerf(request, "Location", "%s/%s", sa_http_request_path(request),
                                 sa_object_meta(object)->name);
    sa_respond_object(request, w->operation == CREATE ? 201 : 200, object);
}

static void refuse_second(struct writing *w)
{
    struct sa_error error;
    sa_error_at(&error, SA_EEXISTS, "metadata.name",
                "there is a %s of that name already: change it with PATCH, replace it with PUT, or "
                "choose another name",
                w->ask.kind->name);
    refuse(w, &error);
}

static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct writing *w = user;
    bool again = err && err->code == SA_ECONFLICT && w->operation != CREATE && !w->body.version;
    sa_resource_told(&w->ask);
    if (!err)
        respond_written(w, object);
    else if (again && ++w->tries < TRIES)
        begin(w);
    else if (err->code == SA_EEXISTS)
        refuse_second(w);
    else
        refuse(w, err);
}

static void write_object(struct writing *w)
{
    struct sa_resource_ask *ask = &w->ask;
    struct sa_objects *objects = ask->app->objects;
    struct sa_objects_call *call;
    if (w->operation == DELETE) {
        const struct sa_objects_delete what = {.name = ask->name,
                                               .uid = sa_object_meta(w->old)->uid,
                                               .resource_version = w->body.version};
        call = sa_objects_delete(objects, ask->kind, &what, on_written, w);
    } else if (w->operation == CREATE) {
        call = sa_objects_create(objects, ask->kind, w->object.data, w->object.length, w->lenient,
                                 on_written, w);
    } else {
        call = sa_objects_update(objects, ask->kind, w->object.data, w->object.length, w->lenient,
                                 on_written, w);
    }
    sa_resource_asked(ask, call);
}

/* ---- the scaling rule of a pool ---- */

static void on_scaling(void *user, const struct sa_error *err, const struct sa_value *verdict,
                       const struct sa_verdict_meta *meta)
{
    struct writing *w = user;
    struct sa_error why, error;
    (void)meta;
    w->scaling = NULL;
    sa_http_request_on_closed(w->ask.request, NULL, NULL);
    if (sa_policy_scaling_refusal(err, verdict, &why) == 0) {
        write_object(w);
        return;
    }
    sa_autofree char *path = sa_printf("spec.scaling.%s", why.path);
    sa_error_at(&error, SA_EINVALID, path, "spec.scaling.%s", why.message);
    refuse(w, &error);
}

static bool same_scaling(const struct sa_object *old, const struct sa_pool_scaling *scaling)
{
    if (!old)
        return false;
    const struct sa_pool_scaling *was =
        &((const struct sa_warm_pool_spec *)sa_object_spec(old))->scaling;
    return strcmp(was->rule, scaling->rule) == 0 && strcmp(was->params, scaling->params) == 0;
}

static void ask_scaling(struct writing *w, const struct sa_warm_pool_spec *pool)
{
    struct sa_resource_ask *ask = &w->ask;
    const struct sa_policy_scaling_input input = {
        .who = {.scope = {.namespace_ = SA_NAMESPACE_DEFAULT, .pool = ask->name}},
        .rule = pool->scaling.rule,
        .params = pool->scaling.params[0] ? pool->scaling.params : NULL,
        .pool = {.name = ask->name ? ask->name : "",
                 .runtime = pool->runtime,
                 .min = pool->min_size,
                 .max = pool->max_size,
                 .size = pool->min_size},
        .capacity = -1};
    w->scaling = sa_policy_try_scaling(ask->app->policy, &input, on_scaling, w);
    sa_http_request_on_closed(ask->request, on_asker_gone, w);
}

/* A rule that an operator has removed since is no reason against other changes of the pool. */
static void check_scaling(struct writing *w)
{
    struct sa_error error;
    if (w->operation == DELETE || w->ask.kind != &sa_kind_warm_pool) {
        write_object(w);
        return;
    }
    struct sa_object *object =
        sa_object_decode(w->ask.kind, w->object.data, w->object.length, w->lenient, &error);
    if (!object) {
        refuse(w, &error);
        return;
    }
    const struct sa_warm_pool_spec *pool = sa_object_spec(object);
    if (same_scaling(w->old, &pool->scaling))
        write_object(w);
    else
        ask_scaling(w, pool);
    sa_object_unref(object);
}

/* ---- the admission rules ---- */

static int take_reviewed(struct writing *w, struct sa_error *err)
{
    sa_autobuf changed = SA_BUF_INIT;
    struct sa_buf checked = SA_BUF_INIT;
    if (sa_resource_reviewed(w->object.data, w->object.length, &w->reviewed, &changed, err) < 0 ||
        sa_resource_body_check(&w->ask, changed.data, changed.length, w->old, true, w->lenient,
                               NULL, &checked, err) < 0) {
        sa_buf_deinit(&checked);
        err->code = SA_EUNAVAILABLE; /* nothing that the client can mend */
        return sa_error_wrap(err, "the operator's admission rules made of this what cannot be");
    }
    sa_buf_deinit(&w->object);
    w->object = checked;
    return 0;
}

static void on_admission(void *user, const struct sa_denial *denial)
{
    struct writing *w = user;
    struct sa_error error;
    w->gate = NULL;
    sa_http_request_on_closed(w->ask.request, NULL, NULL);
    if (denial)
        sa_respond_denial(w->ask.request, denial);
    else if (w->operation != DELETE && strcmp(w->review.data, w->reviewed.data) != 0 &&
             take_reviewed(w, &error) < 0)
        refuse(w, &error);
    else
        check_scaling(w);
}

static int review(struct writing *w, struct sa_buf *old, struct sa_error *err)
{
    sa_autobuf printed = SA_BUF_INIT;
    struct sa_json_w out = sa_json_w_start(&printed);
    if (w->old) {
        sa_object_print(w->old, &out);
        if (sa_resource_review(printed.data, printed.length, old, err) < 0)
            return -1;
    }
    if (w->operation == DELETE)
        sa_buf_add(&w->review, old->data, old->length);
    else if (sa_resource_review(w->object.data, w->object.length, &w->review, err) < 0)
        return -1;
    if (w->operation != DELETE && w->review.length > REVIEW_MAX)
        return sa_error_set(err, SA_ETOOLARGE,
                            "%zu bytes for the admission rules to look at; at most %d",
                            w->review.length, REVIEW_MAX);
    return 0;
}

static void ask_rules(struct writing *w)
{
    static const char *const operations[] = {"CREATE", "UPDATE", "UPDATE", "DELETE"};
    sa_autobuf old = SA_BUF_INIT;
    struct sa_error error;
    if (review(w, &old, &error) < 0) {
        refuse(w, &error);
        return;
    }
    const struct sa_gate_admission admission = {.operation = operations[w->operation],
                                                .kind = w->ask.kind->name,
                                                .object = w->review.data,
                                                .old = old.data,
                                                .result = &w->reviewed};
    w->gate =
        sa_gate_admission(&(struct sa_gate_who){w->ask.app, w->ask.principal, NULL}, &admission);
    sa_gate_on(w->gate, on_admission, w);
    sa_http_request_on_closed(w->ask.request, on_asker_gone, w);
}

/* ---- what it shall be ---- */

static int check_version(const struct writing *w, struct sa_error *err)
{
    const struct sa_object_meta *meta = sa_object_meta(w->old);
    if (w->uid && strcmp(w->uid, meta->uid) != 0)
        return sa_error_at(err, SA_ECONFLICT, "uid",
                           "%s \"%.64s\" was made anew: its uid is %s; look at it before you "
                           "delete it",
                           w->ask.kind->name, meta->name, meta->uid);
    if (!w->body.version || strcmp(w->body.version, meta->resource_version) == 0)
        return 0;
    if (w->operation == DELETE)
        return sa_error_at(err, SA_ECONFLICT, "resourceVersion",
                           "%s \"%.64s\" is at version %s now, not %s: look at it before you "
                           "delete it",
                           w->ask.kind->name, meta->name, meta->resource_version, w->body.version);
    return sa_error_at(err, SA_ECONFLICT, "metadata.resourceVersion",
                       "%s \"%.64s\" is at version %s now, not %s: read it again, make your change "
                       "to that, and send it with its resourceVersion",
                       w->ask.kind->name, meta->name, meta->resource_version, w->body.version);
}

static int patch(const struct writing *w, struct sa_buf *out, struct sa_error *err)
{
    sa_autobuf old = SA_BUF_INIT;
    struct sa_json_w printed = sa_json_w_start(&old);
    sa_object_print(w->old, &printed);
    return sa_json_merge_patch(old.data, old.length, w->json, w->length, NULL, out, err);
}

static int make(struct writing *w, struct sa_error *err)
{
    sa_autobuf patched = SA_BUF_INIT;
    if (w->operation == PATCH && patch(w, &patched, err) < 0)
        return -1;
    return sa_resource_body_check(&w->ask, patched.data ? patched.data : w->json,
                                  patched.data ? patched.length : w->length, w->old,
                                  w->operation != PATCH, w->lenient, &w->notes, &w->object, err);
}

static void refuse_mistakes(struct writing *w, struct sa_error *first)
{
    sa_http_request_on_closed(w->ask.request, NULL, NULL);
    sa_respond_mistakes(w->ask.request, first, &w->notes);
}

static void go_on(struct writing *w)
{
    struct sa_error error;
    if ((w->old && check_version(w, &error) < 0) || (w->operation != DELETE && make(w, &error) < 0))
        refuse_mistakes(w, &error);
    else
        ask_rules(w);
}

static void on_old(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct writing *w = user;
    sa_resource_told(&w->ask);
    if (err) {
        refuse(w, err);
        return;
    }
    w->old = sa_object_ref(object);
    go_on(w);
}

static void begin(struct writing *w)
{
    struct sa_resource_ask *ask = &w->ask;
    clear(w);
    if (w->operation == CREATE)
        go_on(w);
    else
        sa_resource_asked(ask,
                          sa_objects_get(ask->app->objects, ask->kind, NULL, ask->name, on_old, w));
}

/* ---- the requests ---- */

static struct writing *writing_new(struct sa_app *app, struct sa_http_request *request,
                                   const struct sa_principal *principal, enum operation operation)
{
    struct writing *w = sa_arena_alloc(sa_http_request_arena(request), sizeof *w);
    *w = (struct writing){.operation = operation,
                          .notes = {.arena = sa_http_request_arena(request)}};
    sa_resource_ask_init(&w->ask, app, request, principal);
    sa_http_request_set_cleanup(request, on_request_over, w);
    return w;
}

static void on_body(struct sa_http_request *request, const char *body, size_t length, void *user)
{
    struct writing *w = user;
    struct sa_error error;
    w->json = body;
    w->length = length;
    w->body = (struct sa_resource_body){.name = w->ask.name, .whole = w->operation != PATCH};
    if (sa_query_bool(request, "lenient", &w->lenient, &error) < 0 ||
        sa_resource_body_read(body, length, sa_http_request_arena(request), &w->body, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        begin(w);
}

void sa_handle_create_resource(struct sa_app *app, struct sa_http_request *request,
                               const struct sa_principal *principal)
{
    struct writing *w = writing_new(app, request, principal, CREATE);
    sa_http_request_collect(request, SA_OBJECT_MAX, on_body, w);
}

void sa_handle_replace_resource(struct sa_app *app, struct sa_http_request *request,
                                const struct sa_principal *principal)
{
    struct writing *w = writing_new(app, request, principal, REPLACE);
    sa_http_request_collect(request, SA_OBJECT_MAX, on_body, w);
}

void sa_handle_patch_resource(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct writing *w = writing_new(app, request, principal, PATCH);
    struct sa_error error;
    if (sa_http_request_is_type(request, "application/json-patch+json") ||
        sa_http_request_is_type(request, "application/strategic-merge-patch+json") ||
        sa_http_request_is_type(request, "application/apply-patch+yaml")) {
        sa_error_set(&error, SA_EINVALID,
                     "a patch is a merge patch (RFC 7396): application/merge-patch+json");
        sa_http_respond_error(request, &error);
        return;
    }
    sa_http_request_collect(request, SA_OBJECT_MAX, on_body, w);
}

void sa_handle_delete_resource(struct sa_app *app, struct sa_http_request *request,
                               const struct sa_principal *principal)
{
    struct writing *w = writing_new(app, request, principal, DELETE);
    struct sa_error error;
    w->uid = sa_http_request_query(request, "uid");
    if (sa_resource_version(request, &w->body.version, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        begin(w);
}
