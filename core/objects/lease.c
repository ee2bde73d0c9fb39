/*
 * Leader election. Every retry_ms: read the lease, and then
 *
 *     there is none          create it, held by us
 *     held by us             renew it
 *     held by nobody         take it
 *     held by another        take it once it was seen unchanged for duration_ms
 *
 * each by one write on the version that was read, of which the store lets one succeed. Only
 * monotonic time of this process counts; the times in the lease are for people.
 */
#include "objects/lease.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_BYTES = SA_RFC3339_BYTES + 3 };
enum { DURATION_MS = 15000, RENEW_MS = 10000, RETRY_MS = 2000 };

/* ---- the kind ---- */

struct lease_spec {
    const char *holder, *acquired, *renewed, *strategy, *preferred;
    int64_t duration_s, transitions;
};

static int decode_spec(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                       const void **spec, struct sa_error *err)
{
    struct lease_spec *s = sa_arena_alloc(arena, sizeof *s);
    *s = (struct lease_spec){
        .holder = "", .acquired = "", .renewed = "", .strategy = "", .preferred = ""};
    if (sa_json_opt_string(json, "holderIdentity", 253, &s->holder, NULL, err) < 0 ||
        sa_json_opt_string(json, "acquireTime", 40, &s->acquired, NULL, err) < 0 ||
        sa_json_opt_string(json, "renewTime", 40, &s->renewed, NULL, err) < 0 ||
        sa_json_opt_string(json, "strategy", 63, &s->strategy, NULL, err) < 0 ||
        sa_json_opt_string(json, "preferredHolder", 253, &s->preferred, NULL, err) < 0 ||
        sa_json_opt_int(json, "leaseDurationSeconds", 1, INT32_MAX, &s->duration_s, NULL, err) <
            0 ||
        sa_json_opt_int(json, "leaseTransitions", 0, INT32_MAX, &s->transitions, NULL, err) < 0 ||
        (!lenient && sa_json_finish(json, err) < 0))
        return -1;
    *spec = s;
    return 0;
}

static int decode_status(struct sa_json_obj *json, bool lenient, struct sa_arena *arena,
                         const void **status, struct sa_error *err)
{
    (void)arena;
    *status = "";
    return lenient ? 0 : sa_json_finish(json, err);
}

static void print_spec(const void *spec, struct sa_json_w *w)
{
    const struct lease_spec *s = spec;
    sa_json_put_text(w, "holderIdentity", s->holder);
    if (s->duration_s)
        sa_json_put_int(w, "leaseDurationSeconds", s->duration_s);
    sa_json_put_text(w, "acquireTime", s->acquired);
    sa_json_put_text(w, "renewTime", s->renewed);
    if (s->transitions)
        sa_json_put_int(w, "leaseTransitions", s->transitions);
    sa_json_put_text(w, "strategy", s->strategy);
    sa_json_put_text(w, "preferredHolder", s->preferred);
}

static void print_status(const void *status, struct sa_json_w *w)
{
    (void)status;
    (void)w;
}

const struct sa_kind sa_kind_lease = {.name = "Lease",
                                      .plural = "leases",
                                      .api_version = "coordination.k8s.io/v1",
                                      .namespaced = true,
                                      .decode_spec = decode_spec,
                                      .decode_status = decode_status,
                                      .print_spec = print_spec,
                                      .print_status = print_status,
                                      .empty_status = ""};

/* ---- the election ---- */

struct sa_election {
    struct sa_election_options options;
    struct sa_objects_call *call;
    uv_timer_t retry, expiry; /* expiry: we lead until then */
    unsigned handles;
    bool leads, stopping;
    bool held;                            /* it led when it was stopped */
    char seen[SA_RESOURCE_VERSION_BYTES]; /* version of the lease, and since when */
    int64_t seen_ms, asked_ms, until_ms;  /* until_ms: we lead at most until then */
    void (*stopped)(void *user);
    void *stopped_user;
};

static void attempt(struct sa_election *election);
static void give_up(struct sa_election *election, bool held);

static void on_retry(uv_timer_t *timer)
{
    attempt(timer->data);
}

static void later(struct sa_election *election)
{
    if (!election->stopping)
        uv_timer_start(&election->retry, on_retry, (uint64_t)election->options.retry_ms, 0);
}

static void lose(struct sa_election *election)
{
    uv_timer_stop(&election->expiry);
    if (!election->leads)
        return;
    election->leads = false;
    election->options.lost(election->options.owner);
}

static void on_expiry(uv_timer_t *timer)
{
    lose(timer->data);
}

/* The lease is ours from when the write was sent. */
static void hold(struct sa_election *election)
{
    election->until_ms = election->asked_ms + election->options.renew_ms;
    int64_t left = election->until_ms - sa_monotonic_ms();
    if (left <= 0) {
        lose(election);
        return;
    }
    uv_update_time(election->options.loop);
    uv_timer_start(&election->expiry, on_expiry, (uint64_t)left, 0);
    if (election->leads)
        return;
    election->leads = true;
    election->options.leading(election->options.owner);
}

static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_election *election = user;
    election->call = NULL;
    if (!err)
        snprintf(election->seen, sizeof election->seen, "%s",
                 sa_object_meta(object)->resource_version);
    if (election->stopping) {
        give_up(election, !err || election->held);
        return;
    }
    if (!err)
        hold(election);
    later(election);
}

/* Kubernetes takes exactly six digits of a second here (MicroTime). */
static void micro_time(int64_t wall_ms, char out[TIME_BYTES])
{
    char text[SA_RFC3339_BYTES];
    sa_rfc3339(wall_ms, text);
    snprintf(out, TIME_BYTES, "%.*s000Z", (int)strcspn(text, "Z"), text);
}

static void put_times(struct sa_json_w *w, bool acquire)
{
    char now[TIME_BYTES];
    micro_time(sa_wall_ms(), now);
    if (acquire)
        sa_json_put_string(w, "acquireTime", now);
    sa_json_put_string(w, "renewTime", now);
}

static void put_holder(const struct sa_election *election, struct sa_json_w *w)
{
    sa_json_put_string(w, "holderIdentity", election->options.identity);
    sa_json_put_int(w, "leaseDurationSeconds", (election->options.duration_ms + 999) / 1000);
    put_times(w, true);
}

static void create(struct sa_election *election)
{
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "namespace", election->options.namespace_);
    sa_json_put_string(&w, "name", election->options.name);
    sa_json_w_end_object(&w);
    sa_json_put_object(&w, "spec");
    put_holder(election, &w);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    election->asked_ms = sa_monotonic_ms();
    election->call = sa_objects_create(election->options.objects, &sa_kind_lease, text.data,
                                       text.length, false, on_written, election);
}

static void write_lease(struct sa_election *election, const struct sa_object *lease, bool acquire)
{
    const struct lease_spec *spec = sa_object_spec(lease);
    sa_autobuf text = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&text);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "spec");
    if (acquire) {
        put_holder(election, &w);
        sa_json_put_int(&w, "leaseTransitions", spec->transitions + 1);
    } else {
        put_times(&w, false);
    }
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    election->asked_ms = sa_monotonic_ms();
    election->call = sa_objects_patch(
        election->options.objects, &sa_kind_lease,
        &(struct sa_objects_patch){.namespace_ = election->options.namespace_,
                                   .name = election->options.name,
                                   .resource_version = sa_object_meta(lease)->resource_version,
                                   .json = text.data,
                                   .length = text.length},
        on_written, election);
}

/* Has somebody else's lease stood still for as long as it is good? */
static bool has_lapsed(struct sa_election *election, const struct sa_object *lease)
{
    const char *version = sa_object_meta(lease)->resource_version;
    int64_t now = sa_monotonic_ms();
    if (strcmp(version, election->seen) != 0) {
        snprintf(election->seen, sizeof election->seen, "%s", version);
        election->seen_ms = now;
    }
    return now - election->seen_ms >= election->options.duration_ms;
}

static void on_read(void *user, const struct sa_error *err, const struct sa_object *lease)
{
    struct sa_election *election = user;
    election->call = NULL;
    if (election->stopping) {
        give_up(election, election->held);
        return;
    }
    if (err && err->code == SA_ENOTFOUND) {
        create(election);
        return;
    }
    if (err) {
        later(election);
        return;
    }
    const struct lease_spec *spec = sa_object_spec(lease);
    bool ours = strcmp(spec->holder, election->options.identity) == 0;
    if (ours && election->leads)
        write_lease(election, lease, false);
    else if (ours || !spec->holder[0] || has_lapsed(election, lease))
        write_lease(election, lease, true);
    else {
        lose(election); /* somebody took it */
        later(election);
    }
}

static void attempt(struct sa_election *election)
{
    const struct sa_election_options *o = &election->options;
    election->call =
        sa_objects_get(o->objects, &sa_kind_lease, o->namespace_, o->name, on_read, election);
}

struct sa_election *sa_election_start(const struct sa_election_options *options)
{
    struct sa_election *election = sa_alloc(sizeof *election);
    struct sa_election_options *o = &election->options;
    *o = *options;
    o->namespace_ = sa_strdup(options->namespace_);
    o->name = sa_strdup(options->name);
    o->identity = sa_strdup(options->identity);
    o->duration_ms = o->duration_ms ? o->duration_ms : DURATION_MS;
    o->renew_ms = o->renew_ms ? o->renew_ms : RENEW_MS;
    o->retry_ms = o->retry_ms ? o->retry_ms : RETRY_MS;
    uv_timer_init(o->loop, &election->retry);
    uv_timer_init(o->loop, &election->expiry);
    election->retry.data = election->expiry.data = election;
    election->handles = 2;
    attempt(election);
    return election;
}

bool sa_election_leads(const struct sa_election *election)
{
    return election->leads && sa_monotonic_ms() < election->until_ms;
}

/* ---- giving up ---- */

static void on_closed(uv_handle_t *handle)
{
    struct sa_election *election = handle->data;
    if (--election->handles)
        return;
    void (*stopped)(void *) = election->stopped;
    void *user = election->stopped_user;
    free((char *)(uintptr_t)election->options.namespace_);
    free((char *)(uintptr_t)election->options.name);
    free((char *)(uintptr_t)election->options.identity);
    free(election);
    if (stopped)
        stopped(user);
}

static void on_released(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct sa_election *election = user;
    (void)err; /* somebody else waits a little longer then */
    (void)object;
    uv_close((uv_handle_t *)&election->retry, on_closed);
    uv_close((uv_handle_t *)&election->expiry, on_closed);
}

/* By the version that was seen last: if it is somebody else's by now, it stays that. */
static void give_up(struct sa_election *election, bool held)
{
    static const char release[] = "{\"spec\":{\"holderIdentity\":\"\"}}";
    uv_timer_stop(&election->retry);
    if (held)
        sa_objects_patch(election->options.objects, &sa_kind_lease,
                         &(struct sa_objects_patch){.namespace_ = election->options.namespace_,
                                                    .name = election->options.name,
                                                    .resource_version = election->seen,
                                                    .json = release,
                                                    .length = sizeof release - 1},
                         on_released, election);
    else
        on_released(election, NULL, NULL);
}

static void on_unanswered(uv_timer_t *timer)
{
    struct sa_election *election = timer->data;
    sa_objects_forget(election->options.objects, election->call);
    election->call = NULL;
    give_up(election, election->held);
}

void sa_election_stop(struct sa_election *election, void (*done)(void *user), void *user)
{
    election->stopped = done;
    election->stopped_user = user;
    election->stopping = true;
    election->held = election->leads;
    election->leads = false;
    uv_timer_stop(&election->expiry);
    uv_timer_stop(&election->retry);
    if (election->call) /* it may change the version */
        uv_timer_start(&election->retry, on_unanswered, (uint64_t)election->options.retry_ms, 0);
    else
        give_up(election, election->held);
}
