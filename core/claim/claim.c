/*
 * A claim, step by step:
 *
 *     ASSIGN --ok--> CREATE --ok--> done
 *       | ^ |          | ^ |
 *       | | +-lost-----|-+ |        lost: once more with another pod, then cold or refused
 *       v |            v |
 *     FIND_POD       FIND_SANDBOX   the outcome is not known: an uncached read tells
 *
 * A write whose outcome is not known may still happen after the read that did not show it. It is
 * therefore made again: with the same resourceVersion, or the same name, one of the two fails, and
 * another read shows the one that did not.
 */
#include "claim/claim_private.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "kinds/names.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    TRIES_MAX = 2, /* pods; the third write is the Sandbox */
    PAUSE_FIRST_MS = 10,
    PAUSE_MAX_MS = 1000,
    PATIENCE_MS = 15 * 1000 /* with a store that does not say what happened */
};

static void create_sandbox(struct sa_claim_call *call);
static void assign(struct sa_claim_call *call);

/* ---- the end ---- */

static void free_call(struct sa_claim_call *call)
{
    DL_DELETE(call->claims->calls, call);
    sa_object_unref(call->pod);
    sa_object_unref(call->wanted);
    free(call->namespace_);
    free(call->name);
    free(call->tenant);
    free(call->key);
    free(call->pool);
    free(call);
}

static void count(const struct sa_claim_call *call, struct sa_series *series, const char *result)
{
    sa_counter_add(series, 1);
    sa_histogram_observe(sa_metric_series(call->claims->seconds, SA_VALUES(result)),
                         (double)(sa_monotonic_us() - call->started_us) / 1e6);
}

static void fail(struct sa_claim_call *call, const struct sa_error *err)
{
    const struct sa_error copy = *err;
    sa_claim_cb done = call->done;
    void *user = call->user;
    count(call, call->claims->refused, "refused");
    free_call(call);
    if (done)
        done(user, &copy, NULL);
}

/* Nobody waits for it any more: it goes as it would by a user's wish. */
static void delete_sandbox(struct sa_claims *claims, const struct sa_object *sandbox)
{
    const struct sa_object_meta *meta = sa_object_meta(sandbox);
    sa_objects_delete(claims->objects, &sa_kind_sandbox,
                      &(struct sa_objects_delete){
                          .namespace_ = meta->namespace_, .name = meta->name, .uid = meta->uid},
                      NULL, NULL);
}

static void succeed(struct sa_claim_call *call, const struct sa_object *sandbox)
{
    struct sa_claims *claims = call->claims;
    const struct sa_object *sa_autounref pod = call->pod ? sa_object_ref(call->pod) : NULL;
    sa_claim_cb done = call->done;
    void *user = call->user;
    sa_failpoint("claim.after-create");
    if (pod)
        count(call, claims->warm, "warm");
    else
        count(call, claims->cold, "cold");
    free_call(call);
    if (done)
        done(user, NULL, &(struct sa_claim_result){.sandbox = sandbox, .warm_pod = pod});
    else
        delete_sandbox(claims, sandbox);
}

/* ---- waiting ---- */

static void set_timer(struct sa_claims *claims);

static void on_due(uv_timer_t *timer);

static void wait(struct sa_claim_call *call, int64_t ms)
{
    call->due_ms = sa_monotonic_ms() + ms;
    set_timer(call->claims);
}

static void set_timer(struct sa_claims *claims)
{
    int64_t next = 0, now = sa_monotonic_ms();
    for (const struct sa_claim_call *c = claims->calls; c; c = c->next)
        if (c->due_ms && (!next || c->due_ms < next))
            next = c->due_ms;
    if (next)
        uv_timer_start(&claims->timer, on_due, next > now ? (uint64_t)(next - now) : 0, 0);
}

/* The store did not say what happened: look, later and later. */
static void look(struct sa_claim_call *call, enum sa_claim_state state, const struct sa_error *why)
{
    int64_t now = sa_monotonic_ms();
    call->state = state;
    if (!call->patience_ms)
        call->patience_ms = now + PATIENCE_MS;
    if (now >= call->patience_ms) {
        if (call->pod && !call->assigned)
            sa_held_release(call->claims->held, call->pod);
        fail(call, why);
        return;
    }
    wait(call, call->pause_ms);
    call->pause_ms = call->pause_ms * 2 < PAUSE_MAX_MS ? call->pause_ms * 2 : PAUSE_MAX_MS;
}

static bool is_unknown(const struct sa_error *err)
{
    return err->code == SA_EUNAVAILABLE || err->code == SA_ETIMEOUT || err->code == SA_EINTERNAL ||
           err->code == SA_ECANCELED;
}

/* ---- the pod ---- */

static void refuse_cold(struct sa_claim_call *call)
{
    sa_error_at(&call->err, SA_EUNAVAILABLE, "warm",
                "warm: no warm pod that fits is ready, and a cold start is not allowed; try again, "
                "or allow it with \"prefer\"");
    call->state = SA_CLAIM_REFUSED;
    wait(call, 0);
}

/* There is none for it (any more). */
static void without_pod(struct sa_claim_call *call)
{
    if (call->warm == SA_WARM_REQUIRE)
        refuse_cold(call);
    else
        create_sandbox(call);
}

/* Forgotten in time: nothing more is written. A pod that it has is recycled. */
static void give_up(struct sa_claim_call *call)
{
    struct sa_error err;
    sa_error_set(&err, SA_ECANCELED, "nobody waits for it any more");
    fail(call, &err);
}

static void lost(struct sa_claim_call *call)
{
    sa_counter_add(call->claims->conflicts, 1);
    sa_held_leave(call->claims->held, call->pod);
    sa_object_unref(call->pod);
    call->pod = NULL;
    call->unsure = false;
    if (!call->done) {
        give_up(call);
        return;
    }
    if (call->tries < TRIES_MAX)
        call->pod = sa_claim_choose(call->claims, call);
    if (!call->pod) {
        without_pod(call);
        return;
    }
    sa_object_ref(call->pod);
    sa_held_take(call->claims->held, call->pod);
    assign(call);
}

/* It is ours: from here on there is no other. */
static void won(struct sa_claim_call *call, const struct sa_object *pod)
{
    sa_failpoint("claim.after-assign");
    sa_held_leave(call->claims->held, call->pod);
    sa_object_unref(call->pod);
    call->pod = sa_object_ref(pod);
    call->assigned = true;
    call->unsure = false;
    if (call->done)
        create_sandbox(call);
    else
        give_up(call);
}

/* Invalid: a claim is never changed for another. */
static bool is_lost(const struct sa_error *err)
{
    return err->code == SA_ECONFLICT || err->code == SA_ENOTFOUND || err->code == SA_EINVALID;
}

static void on_assigned(void *user, const struct sa_error *err, const struct sa_object *pod)
{
    struct sa_claim_call *call = user;
    call->write = NULL;
    if (!err) {
        won(call, pod);
    } else if (is_unknown(err) || (call->unsure && is_lost(err))) {
        call->unsure = true;
        look(call, SA_CLAIM_FIND_POD, err);
    } else if (is_lost(err)) {
        lost(call);
    } else {
        sa_held_release(call->claims->held, call->pod);
        fail(call, err);
    }
}

static void assign(struct sa_claim_call *call)
{
    const struct sa_object_meta *meta = sa_object_meta(call->pod);
    struct sa_warm_pod_spec spec = *(const struct sa_warm_pod_spec *)sa_object_spec(call->pod);
    spec.claim = (struct sa_claim){.given = true,
                                   .sandbox = call->name,
                                   .uid = "",
                                   .tenant = call->tenant,
                                   .at_ms = call->at_ms};
    call->state = SA_CLAIM_ASSIGN;
    call->tries++;
    sa_failpoint("claim.before-assign");
    call->write =
        sa_objects_patch(call->claims->objects, &sa_kind_warm_pod,
                         &(struct sa_objects_patch){.namespace_ = meta->namespace_,
                                                    .name = meta->name,
                                                    .resource_version = meta->resource_version,
                                                    .value = &spec},
                         on_assigned, call);
    sa_failpoint("claim.assigning");
}

static bool is_our_claim(const struct sa_claim_call *call, const struct sa_claim *claim)
{
    return claim->given && strcmp(claim->sandbox, call->name) == 0 &&
           strcmp(claim->tenant, call->tenant) == 0 && claim->at_ms == call->at_ms;
}

static void on_pod_found(void *user, const struct sa_error *err, const struct sa_object *pod)
{
    struct sa_claim_call *call = user;
    call->write = NULL;
    if (err && err->code != SA_ENOTFOUND) {
        look(call, SA_CLAIM_FIND_POD, err);
        return;
    }
    const struct sa_object_meta *was = sa_object_meta(call->pod), *is = NULL;
    if (pod)
        is = sa_object_meta(pod);
    if (!is || strcmp(is->uid, was->uid) != 0) {
        lost(call);
    } else if (is_our_claim(call, &((const struct sa_warm_pod_spec *)sa_object_spec(pod))->claim)) {
        won(call, pod);
    } else if (strcmp(is->resource_version, was->resource_version) == 0) {
        call->tries--;
        assign(call);
    } else {
        lost(call);
    }
}

/* ---- the Sandbox ---- */

static void on_created(void *user, const struct sa_error *err, const struct sa_object *sandbox)
{
    struct sa_claim_call *call = user;
    call->write = NULL;
    if (!err) {
        succeed(call, sandbox);
    } else if (is_unknown(err)) {
        call->unsure = true;
        look(call, SA_CLAIM_FIND_SANDBOX, err);
    } else if (err->code == SA_EEXISTS && call->unsure) {
        look(call, SA_CLAIM_FIND_SANDBOX, err);
    } else {
        fail(call, err);
    }
}

static void create_sandbox(struct sa_claim_call *call)
{
    struct sa_arena *arena = sa_arena_new_sized(1024);
    const struct sa_objects_make sandbox = sa_claim_sandbox(call, arena);
    call->state = SA_CLAIM_CREATE;
    call->write = sa_objects_make(call->claims->objects, &sandbox, on_created, call);
    sa_failpoint("claim.creating");
    sa_arena_free(arena);
}

static void on_sandbox_found(void *user, const struct sa_error *err,
                             const struct sa_object *sandbox)
{
    struct sa_claim_call *call = user;
    struct sa_error other;
    call->write = NULL;
    if (sandbox && sa_claim_made(call, sandbox)) {
        succeed(call, sandbox);
    } else if (sandbox) {
        sa_error_at(&other, SA_EEXISTS, "metadata.name", "there is a sandbox %s already",
                    call->name);
        fail(call, &other);
    } else if (err->code == SA_ENOTFOUND) {
        create_sandbox(call);
    } else {
        look(call, SA_CLAIM_FIND_SANDBOX, err);
    }
}

/* ---- steps of the clock ---- */

static void step(struct sa_claim_call *call)
{
    struct sa_objects *objects = call->claims->objects;
    call->due_ms = 0;
    if (call->state == SA_CLAIM_FIND_POD)
        call->write =
            sa_objects_get(objects, &sa_kind_warm_pod, sa_object_meta(call->pod)->namespace_,
                           sa_object_meta(call->pod)->name, on_pod_found, call);
    else if (call->state == SA_CLAIM_FIND_SANDBOX)
        call->write = sa_objects_get(objects, &sa_kind_sandbox, call->namespace_, call->name,
                                     on_sandbox_found, call);
    else
        fail(call, &call->err);
}

/* One at a time: telling somebody of the end of his call may end others, or all. */
static void on_due(uv_timer_t *timer)
{
    struct sa_claims *claims = timer->data;
    int64_t now = sa_monotonic_ms();
    struct sa_claim_call *call = claims->calls;
    while (call && !(call->due_ms && call->due_ms <= now))
        call = call->next;
    if (!call)
        return set_timer(claims);
    uv_timer_start(timer, on_due, 0, 0);
    step(call);
}

/* ---- the beginning ---- */

static char *copy(const char *text)
{
    return text ? sa_strdup(text) : NULL;
}

static struct sa_claim_call *new_call(struct sa_claims *claims, const struct sa_claim_ask *ask)
{
    struct sa_claim_call *call = sa_alloc(sizeof *call);
    *call = (struct sa_claim_call){
        .claims = claims,
        .namespace_ = sa_strdup(ask->namespace_ ? ask->namespace_ : SA_NAMESPACE_DEFAULT),
        .name = sa_strdup(ask->name),
        .tenant = sa_strdup(ask->tenant),
        .key = sa_strdup(ask->key),
        .pool = copy(ask->pool),
        .warm = ask->warm,
        .fits = ask->fits,
        .at_ms = sa_wall_ms(),
        .started_us = sa_monotonic_us(),
        .pause_ms = PAUSE_FIRST_MS};
    sa_id_new("claim-", call->mark);
    DL_APPEND(claims->calls, call);
    return call;
}

static int check(struct sa_claim_call *call, const struct sa_claim_ask *ask, struct sa_error *err)
{
    sa_autobuf key = SA_BUF_INIT;
    sa_buf_printf(&key, "%s/%s", call->namespace_, call->name);
    if (sa_informer_get(call->claims->caches->sandboxes, key.data))
        return sa_error_at(err, SA_EEXISTS, "metadata.name", "there is a sandbox %s already",
                           call->name);
    return sa_claim_check(call, ask->manifest, ask->length, err);
}

struct sa_claim_call *sa_claim_start(struct sa_claims *claims, const struct sa_claim_ask *ask,
                                     sa_claim_cb done, void *user)
{
    struct sa_claim_call *call = new_call(claims, ask);
    call->done = done;
    call->user = user;
    if (check(call, ask, &call->err) < 0) {
        call->state = SA_CLAIM_REFUSED;
        wait(call, 0);
        return call;
    }
    if (call->warm != SA_WARM_NEVER)
        call->pod = sa_claim_choose(claims, call);
    if (call->pod) {
        sa_object_ref(call->pod);
        sa_held_take(claims->held, call->pod);
        assign(call);
    } else {
        without_pod(call);
    }
    return call;
}

void sa_claim_forget(struct sa_claim_call *call)
{
    call->done = NULL; /* what is under way goes on, and cleans up behind itself */
}

static void make_metrics(struct sa_claims *claims, struct sa_metrics *metrics)
{
    struct sa_metric *total = sa_metrics_counter(
        metrics, "secureagent_claims_total", "Claims: got a warm pod, a cold start, or neither.",
        SA_LABELS("result"));
    claims->warm = sa_metric_series(total, SA_VALUES("warm"));
    claims->cold = sa_metric_series(total, SA_VALUES("cold"));
    claims->refused = sa_metric_series(total, SA_VALUES("refused"));
    claims->conflicts = sa_metric_series(
        sa_metrics_counter(metrics, "secureagent_claim_conflicts_total",
                           "Warm pods that were lost to another claimer, or had changed.", NULL),
        NULL);
    claims->seconds = sa_metrics_histogram(metrics, "secureagent_claim_seconds",
                                           "Time from a claim's start to its answer.",
                                           SA_LABELS("result"), NULL, 0);
}

struct sa_claims *sa_claims_new(uv_loop_t *loop, struct sa_objects *objects,
                                const struct sa_caches *caches, struct sa_metrics *metrics)
{
    struct sa_claims *claims = sa_alloc(sizeof *claims);
    *claims = (struct sa_claims){.loop = loop, .objects = objects, .caches = caches};
    claims->held = sa_held_new(caches->warm_pods);
    while (!claims->random)
        sa_random(&claims->random, sizeof claims->random);
    uv_timer_init(loop, &claims->timer);
    claims->timer.data = claims;
    make_metrics(claims, metrics);
    return claims;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void sa_claims_free(struct sa_claims *claims)
{
    if (!claims)
        return;
    struct sa_claim_call *call, *next;
    DL_FOREACH_SAFE (claims->calls, call, next) {
        if (call->write)
            sa_objects_forget(claims->objects, call->write);
        free_call(call);
    }
    sa_held_free(claims->held);
    uv_close((uv_handle_t *)&claims->timer, on_closed);
}
