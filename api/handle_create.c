/* Creating a sandbox: the rules are asked, its terms are found, a pod is claimed; and the same
 * create once more. */
#include "api/gate.h"
#include "api/idempotency.h"
#include "api/lookup.h"
#include "api/terms.h"
#include "security/rules.h"

#include "base/cleanup.h"
#include "base/id.h"
#include "kinds/admission.h"
#include "policy/policy.h"

#include <stdio.h>
#include <string.h>

enum { CREATE_BODY_MAX = 256 * 1024 };

struct creation {
    struct sa_app *app;
    const struct sa_principal *principal;
    struct sa_http_request *request;
    const char *body;
    size_t length;
    struct sa_sandbox_spec asked, spec; /* the latter as the rules and its profile made it */
    struct sa_posture posture;
    struct sa_json_notes notes; /* what is wrong with it */
    uint64_t generation;        /* of the rules that admitted it */
    int tries;
    struct sa_security_call *security; /* being asked */
    struct sa_gate *gate;              /* being asked */
    bool wait;
    char id[SA_ID_BYTES];
    /* with a key */
    const char *key;
    bool begun; /* by a process that stopped: whether it made it is not known */
    bool anew;  /* what the key led to came to nothing */
    struct sa_once *claim;
    struct sa_store_read *read;
};

static void respond_created(struct sa_http_request *request, const struct sa_sandbox *sandbox)
{
    sa_http_response_headerf(request, "Location", "/api/v1/sandboxes/%s", sa_sandbox_id(sandbox));
    sa_respond_sandbox(request, 201, sandbox);
}

static void on_created(void *user, struct sa_sandbox *sandbox, const struct sa_error *err)
{
    struct creation *c = user;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (err)
        sa_http_respond_error(c->request, err);
    else
        respond_created(c->request, sandbox);
}

/* Nobody will ever know its id: end it. */
static void on_creator_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    struct sa_sandbox *sandbox = sa_sandbox_find(c->app->sandboxes, c->id);
    if (!sandbox)
        return;
    sa_sandbox_forget(sandbox, c);
    sa_sandbox_delete(sandbox, "ClientGone", "the client went away while it started", NULL, NULL);
}

/* With a key it can be found again, by asking once more. */
static void on_keyed_creator_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    struct sa_sandbox *sandbox = sa_sandbox_find(c->app->sandboxes, c->id);
    if (sandbox)
        sa_sandbox_forget(sandbox, c);
}

static void make(struct creation *c, const struct sa_security_answer *security)
{
    struct sa_error error;
    struct sa_owner owner = {c->principal->key_id, c->principal->name};
    struct sa_once *claim = c->claim;
    struct sa_sandbox *sandbox =
        sa_sandbox_create(c->app->sandboxes, c->id, &c->spec, &owner, security,
                          c->wait ? on_created : NULL, c, &error);
    c->claim = NULL;
    if (!sandbox) {
        if (claim)
            sa_once_abandon(claim);
        sa_http_respond_error(c->request, &error);
        return;
    }
    if (c->wait)
        sa_http_request_on_closed(c->request, c->key ? on_keyed_creator_gone : on_creator_gone, c);
    else
        respond_created(c->request, sandbox);
    if (claim)
        sa_once_settle(claim, c->id);
}

/* ---- the security context ---- */

static void refuse(struct creation *c, const struct sa_denial *denial)
{
    if (c->claim)
        sa_once_abandon(c->claim);
    c->claim = NULL;
    sa_respond_denial(c->request, denial);
}

static void refuse_error(struct creation *c, const struct sa_error *error)
{
    refuse(c, &(struct sa_denial){.error = *error});
}

static void refuse_mistakes(struct creation *c, struct sa_error *first)
{
    if (c->claim)
        sa_once_abandon(c->claim);
    c->claim = NULL;
    sa_respond_mistakes(c->request, first, &c->notes);
}

static void ask(struct creation *c);

/* Admission and the security context are one decision. What one generation of the rules began and
 * another one ended is asked about anew. */
static bool crossed(struct creation *c, uint64_t generation)
{
    struct sa_error error;
    if (generation == c->generation)
        return false;
    if (++c->tries == SA_POLICY_TRIES) {
        sa_policy_error_changing(&error);
        refuse_error(c, &error);
    } else {
        ask(c);
    }
    return true;
}

static void on_security(void *user, const struct sa_denial *denial,
                        const struct sa_security_answer *security)
{
    struct creation *c = user;
    c->security = NULL;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (crossed(c, denial ? sa_rules_generation(c->app->policy) : security->generation))
        return;
    if (denial)
        refuse(c, denial);
    else
        make(c, security);
}

static void on_security_asker_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    sa_security_forget(c->security);
    if (c->claim)
        sa_once_abandon(c->claim);
}

/* Decided first: what may not be had leaves no sandbox behind. */
static void create(struct creation *c)
{
    struct sa_error error;
    struct sa_security *security = sa_sandboxes_security(c->app->sandboxes);
    if (sa_terms(&c->app->caches, sa_http_request_arena(c->request), &c->spec, &c->posture,
                 &c->notes, &error) < 0 ||
        sa_sandbox_check_create(c->app->sandboxes, &c->spec, &error) < 0) {
        refuse_mistakes(c, &error);
        return;
    }
    const struct sa_posture *p = &c->posture;
    const struct sa_security_ask question = {
        .level = sa_security_level_name(p->level),
        .runtime = c->spec.runtime,
        .profile = c->spec.profile[0] ? c->spec.profile : NULL,
        .overrides = p->security_context[0] ? p->security_context : NULL,
        .tenant = c->principal->name,
        .user = c->principal->name,
        .role = sa_role_name(c->principal->role)};
    const struct sa_security_answer *known = sa_security_known(security, &question);
    if (known) {
        if (!crossed(c, known->generation))
            make(c, known);
        return;
    }
    c->security = sa_security_ask(security, &question, on_security, c);
    sa_http_request_on_closed(c->request, on_security_asker_gone, c);
}

/* ---- the policies ---- */

static void on_admission(void *user, const struct sa_denial *denial)
{
    struct creation *c = user;
    struct sa_once *claim = c->claim;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (!denial) {
        create(c);
        return;
    }
    sa_respond_denial(c->request, denial);
    if (claim)
        sa_once_abandon(claim);
}

static void on_asker_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    sa_gate_forget(c->gate);
    if (c->claim)
        sa_once_abandon(c->claim);
}

static void ask(struct creation *c)
{
    sa_autobuf object = SA_BUF_INIT;
    struct sa_error error;
    c->spec = c->asked;
    if (sa_admission_of_body(c->body, c->length, &object, &error) < 0) {
        refuse_error(c, &error);
        return;
    }
    const struct sa_gate_admission admission = {.operation = "CREATE",
                                                .object = object.data,
                                                .arena = sa_http_request_arena(c->request),
                                                .spec = &c->spec,
                                                .generation = &c->generation};
    c->gate = sa_gate_admission(&(struct sa_gate_who){c->app, c->principal, NULL}, &admission);
    sa_gate_on(c->gate, on_admission, c);
    sa_http_request_on_closed(c->request, on_asker_gone, c);
}

/* ---- the same create again ---- */

static void begin(struct creation *c, const char *over);

/* It failed, and never was anybody's, or is lost: asking again may help. */
static bool came_to_nothing(const struct sa_store_sandbox *record)
{
    static const char *const reasons[] = {"NoWarmPod",    "ClaimFailed", "CreateFailed",
                                          "StartTimeout", "Interrupted", "ControlPlaneRestarted"};
    for (size_t i = 0; i < SA_COUNT(reasons); i++)
        if (strcmp(record->reason, reasons[i]) == 0)
            return true;
    return false;
}

/* Once a request: what fails meanwhile is told. */
static bool again(struct creation *c)
{
    char over[SA_ID_BYTES];
    if (c->anew)
        return false;
    c->anew = true;
    snprintf(over, sizeof over, "%s", c->id);
    begin(c, over);
    return true;
}

static void respond_failed(struct creation *c, const struct sa_store_sandbox *record)
{
    struct sa_error error;
    if (came_to_nothing(record))
        sa_error_at(&error, SA_EUNAVAILABLE, strcmp(record->reason, "NoWarmPod") ? "" : "warm",
                    "%s", record->message);
    else
        sa_error_at(&error, SA_ECONFLICT, "Idempotency-Key",
                    "the sandbox %s that this Idempotency-Key made has failed, %s: %s. Create "
                    "another one with a new key",
                    record->id, record->reason, record->message);
    sa_http_respond_error(c->request, &error);
}

static void on_made_record(void *user, const struct sa_error *err,
                           const struct sa_store_sandbox *record)
{
    struct creation *c = user;
    struct sa_buf body = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&body);
    const bool failed = !err && strcmp(record->phase, "Failed") == 0;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (err ? c->begun && err->code == SA_ENOTFOUND : failed && came_to_nothing(record))
        if (again(c))
            return;
    if (err) {
        sa_http_respond_error(c->request, err);
    } else if (failed) {
        respond_failed(c, record);
    } else {
        sa_print_record(record, &w);
        sa_respond_json(c->request, 201, &body);
    }
}

static void on_reader_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    sa_store_cancel(c->read);
}

/* What the first one made: as it is now, once it is no longer on its way. */
static void answer_known(struct creation *c, const char *id)
{
    struct sa_error error;
    struct sa_sandbox *sandbox = sa_sandbox_find(c->app->sandboxes, id);
    snprintf(c->id, sizeof c->id, "%s", id);
    if (sandbox && c->wait && sa_sandbox_await_creation(sandbox, on_created, c)) {
        sa_http_request_on_closed(c->request, on_keyed_creator_gone, c);
    } else if (sandbox) {
        respond_created(c->request, sandbox);
    } else if (sa_check_recovered(c->app, &error) < 0) {
        sa_http_respond_error(c->request, &error);
    } else {
        c->read = sa_store_get_sandbox(c->app->store, c->id, on_made_record, c, &error);
        if (c->read)
            sa_http_request_on_closed(c->request, on_reader_gone, c);
        else
            sa_http_respond_error(c->request, &error);
    }
}

static void on_claim(void *user, enum sa_once_outcome outcome, const char *resource,
                     const struct sa_error *err)
{
    struct creation *c = user;
    sa_http_request_on_closed(c->request, NULL, NULL);
    if (outcome == SA_ONCE_FAILED) {
        sa_http_respond_error(c->request, err);
    } else if (outcome == SA_ONCE_NEW) {
        snprintf(c->id, sizeof c->id, "%s", resource);
        ask(c);
    } else {
        c->begun = outcome == SA_ONCE_BEGUN;
        answer_known(c, resource);
    }
}

static void on_claimer_gone(struct sa_http_request *request, void *user)
{
    struct creation *c = user;
    (void)request;
    sa_once_cancel(c->claim);
}

/* The id is written down with the key, so that after a crash it can be told what was made. */
static void begin(struct creation *c, const char *over)
{
    struct sa_error error;
    sa_id_new("sb-", c->id);
    const struct sa_idempotency_what what = {.principal = c->principal->key_id,
                                             .route = "sandboxes",
                                             .key = c->key,
                                             .body = c->body,
                                             .length = c->length,
                                             .reserved = c->id,
                                             .over = over};
    c->claim = sa_idempotency_begin(c->app->idempotency, &what, on_claim, c, &error);
    if (c->claim)
        sa_http_request_on_closed(c->request, on_claimer_gone, c);
    else
        sa_http_respond_error(c->request, &error);
}

/* All that is known of it, the first time it is sent: also what cannot be had here, as far as it
 * could be read. */
static int decode(struct creation *c, struct sa_error *err)
{
    struct sa_error more;
    if (sa_query_bool(c->request, "wait", &c->wait, err) < 0)
        return -1;
    if (sa_sandbox_spec_decode(c->body, c->length, sa_http_request_arena(c->request), &c->notes,
                               &c->asked, err) == 0)
        return 0;
    if (c->notes.mistake_count)
        sa_terms_check(&c->asked, &c->notes, &more);
    return -1;
}

static void on_create_body(struct sa_http_request *request, const char *body, size_t length,
                           void *user)
{
    struct creation *c = user;
    struct sa_error error;
    c->wait = true;
    c->body = body;
    c->length = length;
    if (decode(c, &error) < 0) {
        sa_respond_mistakes(request, &error, &c->notes);
        return;
    }
    if (c->key) {
        begin(c, NULL);
        return;
    }
    sa_id_new("sb-", c->id);
    ask(c);
}

void sa_handle_create_sandbox(struct sa_app *app, struct sa_http_request *request,
                              const struct sa_principal *principal)
{
    struct creation *c = sa_arena_alloc(sa_http_request_arena(request), sizeof *c);
    struct sa_error error;
    *c = (struct creation){.app = app,
                           .principal = principal,
                           .request = request,
                           .notes = {.arena = sa_http_request_arena(request)}};
    if (sa_idempotency_key(request, &c->key, &error) < 0)
        sa_http_respond_error(request, &error);
    else
        sa_http_request_collect(request, CREATE_BODY_MAX, on_create_body, c);
}
