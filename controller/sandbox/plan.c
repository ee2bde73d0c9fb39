#include "controller/sandbox/plan.h"

#include "claim/pod_manifest.h"
#include "controller/runtime_env/plan.h"
#include "controller/sandbox/check.h"
#include "controller/sandbox/status.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/warm_pod.h"

#include <string.h>

typedef struct sa_sandbox_world world;
typedef struct sa_sandbox_plan plan;

/* ---- what the world says ---- */

static const struct sa_object_meta *meta(const world *w)
{
    return sa_object_meta(w->sandbox.object);
}

static const struct sa_sandbox_wanted *spec(const world *w)
{
    return sa_object_spec(w->sandbox.object);
}

static const struct sa_sandbox_status *status(const world *w)
{
    return sa_object_status(w->sandbox.object);
}

const char *sa_sandbox_claimed(const struct sa_object *sandbox)
{
    return sa_map_get(&sa_object_meta(sandbox)->annotations, SA_SANDBOX_WARM_POD);
}

bool sa_sandbox_has_claim(const struct sa_object *sandbox, const struct sa_object *warm_pod)
{
    const struct sa_object_meta *m = sa_object_meta(sandbox);
    const struct sa_claim *claim =
        &((const struct sa_warm_pod_spec *)sa_object_spec(warm_pod))->claim;
    return claim->given && strcmp(claim->sandbox, m->name) == 0 &&
           (!claim->uid[0] || strcmp(claim->uid, m->uid) == 0) &&
           strcmp(sa_object_meta(warm_pod)->name, sa_sandbox_claimed(sandbox)) == 0;
}

static bool has_claim(const world *w)
{
    return w->warm_pod.object && sa_sandbox_has_claim(w->sandbox.object, w->warm_pod.object);
}

const struct sa_object *sa_sandbox_pod(const world *w)
{
    const struct sa_object *owner = w->sandbox.object;
    if (sa_sandbox_claimed(w->sandbox.object)) {
        if (!has_claim(w))
            return NULL;
        owner = w->warm_pod.object;
    }
    if (!w->pod.object || !sa_object_is_owned_by(w->pod.object, sa_object_meta(owner)->uid))
        return NULL;
    return w->pod.object;
}

/* Something has been waited for since then; is it time not to believe the cache? */
static bool doubtful(const world *w, int64_t since_ms)
{
    return since_ms && w->now_ms - since_ms >= SA_SANDBOX_DOUBT_MS;
}

/* ---- steps ---- */

static void step(plan *p, enum sa_sandbox_step next)
{
    p->step = next;
}

/* Read it anew first. True: it is new. */
static bool is_fresh(const struct sa_seen *seen, enum sa_sandbox_step read, plan *p)
{
    if (!seen->fresh)
        step(p, read);
    return seen->fresh;
}

static void look_again(plan *p, int64_t ms)
{
    if (!p->again_ms || ms < p->again_ms)
        p->again_ms = ms > 0 ? ms : 1;
}

/* The status in the plan is written where it says something new. True: nothing is to be written. */
static bool is_told(const world *w, plan *p)
{
    if (sa_sandbox_status_is(w->sandbox.object, &p->status))
        return true;
    step(p, SA_STEP_WRITE_STATUS);
    return false;
}

static void fail(const world *w, const char *reason, const char *message, struct sa_arena *arena,
                 plan *p)
{
    sa_sandbox_status_over(w, SA_PHASE_FAILED, reason, message, arena, &p->status);
    step(p, SA_STEP_WRITE_STATUS);
}

static void wait_with(const world *w, const char *reason, const char *message, int64_t again_ms,
                      struct sa_arena *arena, plan *p)
{
    sa_sandbox_status_waiting(w, reason, message, arena, &p->status);
    if (is_told(w, p))
        look_again(p, again_ms);
}

/* ---- a pod for a cold start ---- */

/* True: it refers to none, or that is there. */
static bool find_profile(const world *w, struct sa_arena *arena, plan *p)
{
    struct sa_error err;
    const struct sa_object *profile = w->profile.object;
    if (spec(w)->profile[0] && !profile) {
        if (is_fresh(&w->profile, SA_STEP_READ_PROFILE, p))
            fail(w, "ProfileNotFound",
                 sa_arena_printf(arena, "spec.profileRef: there is no SandboxProfile \"%s\"",
                                 spec(w)->profile),
                 arena, p);
        return false;
    }
    if (sa_posture_of_sandbox(spec(w), profile ? sa_object_spec(profile) : NULL, arena, &p->posture,
                              &err) < 0) {
        fail(w, "ProfileMismatch", sa_arena_strdup(arena, err.message), arena, p);
        return false;
    }
    const char *class = p->posture.runtime_class;
    if (class[0] && strcmp(class, "native") != 0) {
        fail(w, "ControlUnavailable",
             sa_arena_printf(arena,
                             "its profile wants the runtime class \"%s\", and this node has "
                             "only \"native\"",
                             class),
             arena, p);
        return false;
    }
    return true;
}

static bool find_runtime(const world *w, struct sa_arena *arena, plan *p)
{
    const struct sa_object *runtime = w->runtime.object;
    struct sa_sandbox_fault fault = sa_sandbox_check_runtime(spec(w), runtime, arena);
    if (fault.reason) {
        if (is_fresh(&w->runtime, SA_STEP_READ_RUNTIME, p))
            fail(w, fault.reason, fault.message, arena, p);
        return false;
    }
    if (!runtime)
        return sa_runtime_is_builtin(spec(w)->runtime, &p->language);
    const struct sa_runtime_spec *r = sa_object_spec(runtime);
    p->language = r->language;
    for (size_t i = 0; i < r->requirements.controls.count; i++)
        p->posture.required_controls = sa_controls_join(&p->posture.required_controls,
                                                        r->requirements.controls.items[i], arena);
    return true;
}

/* Who created it over the API has asked already. */
static bool find_security(const world *w, struct sa_arena *arena, plan *p)
{
    const struct sa_json_map *annotations = &meta(w)->annotations;
    struct sa_json_strings *required = &p->posture.required_controls;
    p->digest = sa_map_get(annotations, SA_SANDBOX_PROFILE);
    if (p->digest) {
        *required = sa_controls_join(required, sa_map_get(annotations, SA_SANDBOX_REQUIRED), arena);
        return true;
    }
    if (w->security.state == SA_SECURITY_UNKNOWN) {
        step(p, SA_STEP_ASK_SECURITY);
        return false;
    }
    const char *message = sa_arena_strdup(arena, w->security.error.message);
    const char *reason = sa_code_condition(w->security.error.code);
    if (w->security.state == SA_SECURITY_DENIED)
        fail(w, reason, message, arena, p);
    if (w->security.state == SA_SECURITY_UNAVAILABLE)
        wait_with(w, reason, message, SA_SANDBOX_SOON_MS, arena, p);
    if (w->security.state != SA_SECURITY_KNOWN)
        return false;
    p->digest = w->security.digest;
    for (size_t i = 0; i < w->security.required.count; i++)
        *required = sa_controls_join(required, w->security.required.items[i], arena);
    return true;
}

/* Somebody else's is in the way: of an earlier sandbox of that name, say, that is going. */
static bool name_is_free(const world *w, struct sa_arena *arena, plan *p)
{
    if (!w->pod.object)
        return true;
    if (is_fresh(&w->pod, SA_STEP_READ_POD, p))
        wait_with(w, "PodNameTaken", "a Pod of its name is there, and is not its own",
                  SA_SANDBOX_SOON_MS, arena, p);
    return false;
}

static void plan_pod(const world *w, struct sa_arena *arena, plan *p)
{
    struct sa_sandbox_fault fault = sa_sandbox_check_spec(w->sandbox.object, arena);
    if (fault.reason) {
        fail(w, fault.reason, fault.message, arena, p);
        return;
    }
    if (w->pod_refused.code) {
        fail(w, "PodRefused", sa_arena_strdup(arena, w->pod_refused.message), arena, p);
        return;
    }
    if (!find_profile(w, arena, p) || !find_runtime(w, arena, p) || !find_security(w, arena, p) ||
        !name_is_free(w, arena, p) || !is_fresh(&w->sandbox, SA_STEP_READ_SANDBOX, p))
        return;
    bool held = sa_object_has_finalizer(w->sandbox.object, SA_FINALIZER_SANDBOX);
    step(p, held ? SA_STEP_CREATE_POD : SA_STEP_ADD_FINALIZER);
}

/* ---- one that lives ---- */

static void lose(const world *w, const char *message, struct sa_arena *arena, plan *p)
{
    fail(w, "PodLost", message, arena, p);
}

/* Its pod, as far as it should have one by now; else the plan says what is to be done. */
static const struct sa_object *find_pod(const world *w, struct sa_arena *arena, plan *p)
{
    const struct sa_object *pod = sa_sandbox_pod(w);
    const bool claimed = sa_sandbox_claimed(w->sandbox.object) != NULL;
    if (claimed && !has_claim(w)) {
        if (is_fresh(&w->warm_pod, SA_STEP_READ_WARM_POD, p))
            lose(w, "the warm pod that it had claimed is gone", arena, p);
        return NULL;
    }
    if (pod)
        return pod;
    if (!claimed && !status(w)->pod_uid[0])
        plan_pod(w, arena, p);
    else if (is_fresh(&w->pod, SA_STEP_READ_POD, p))
        lose(w, "its pod is gone", arena, p);
    return NULL;
}

/* Has its pod ended, or is it about to? */
static bool pod_ended(const world *w, const struct sa_object *pod, struct sa_arena *arena, plan *p)
{
    const struct sa_pod_status *seen = sa_object_status(pod);
    if (seen->phase == SA_POD_FAILED || seen->phase == SA_POD_SUCCEEDED) {
        fail(w, seen->reason[0] ? seen->reason : "Exited", seen->message, arena, p);
        return true;
    }
    if (!sa_object_meta(pod)->deleted_ms &&
        !(w->warm_pod.object && sa_object_meta(w->warm_pod.object)->deleted_ms))
        return false;
    lose(w, "its pod is being deleted", arena, p);
    return true;
}

/* Nobody delivers its environment any more. */
static bool interrupted(const world *w, struct sa_arena *arena, plan *p)
{
    const char *process = sa_map_get(&meta(w)->annotations, SA_SANDBOX_PERSONAL);
    if (!sa_sandbox_awaits_setup(w->sandbox.object) ||
        (w->process && strcmp(process, w->process) == 0))
        return false;
    const int64_t left = meta(w)->created_ms + SA_SANDBOX_INTERRUPTED_MS - w->now_ms;
    if (meta(w)->created_ms >= w->started_ms && left > 0) {
        look_again(p, left); /* another process, which lives perhaps */
        return false;
    }
    if (!is_fresh(&w->sandbox, SA_STEP_READ_SANDBOX, p))
        return true;
    fail(w, "Interrupted",
         "the process that was to deliver its environment has ended; create it again", arena, p);
    return true;
}

/* Whoever has a session with it ends it in time; this is for when nobody has. */
static bool overdue(const world *w, struct sa_arena *arena, plan *p)
{
    const struct sa_sandbox_status *s = status(w);
    int64_t due = s->expires_ms;
    if (!due && s->ready_ms)
        due = s->ready_ms + spec(w)->timeout_s * 1000;
    if (!due || s->paused_ms)
        return false;
    if (due + SA_SANDBOX_OVERDUE_MS > w->now_ms) {
        look_again(p, due + SA_SANDBOX_OVERDUE_MS - w->now_ms);
        return false;
    }
    if (!is_fresh(&w->sandbox, SA_STEP_READ_SANDBOX, p))
        return true;
    sa_sandbox_status_over(w, SA_PHASE_TERMINATING, "TimedOut", "its timeout is over", arena,
                           &p->status);
    if (is_told(w, p))
        step(p, SA_STEP_DELETE_SANDBOX);
    return true;
}

/* A pod that takes long, of which perhaps no event came. */
static bool late(const world *w, const struct sa_object *pod, plan *p)
{
    const struct sa_pod_status *seen = sa_object_status(pod);
    if (seen->phase != SA_POD_PENDING)
        return false;
    if (!w->pod.fresh && doubtful(w, status(w)->scheduled_ms)) {
        step(p, SA_STEP_READ_POD);
        return true;
    }
    look_again(p, SA_SANDBOX_DOUBT_MS);
    return false;
}

/* In a moment its environment will be delivered, and there will be more to write. */
static bool about_to_run(const world *w, const struct sa_object *pod, plan *p)
{
    const struct sa_pod_status *seen = sa_object_status(pod);
    const struct sa_condition *ready = sa_conditions_get(&seen->conditions, "Ready");
    if (!sa_sandbox_awaits_setup(w->sandbox.object) || !ready || ready->status != SA_TRUE)
        return false;
    const int64_t since_ms =
        ready->transition_ms > meta(w)->created_ms ? ready->transition_ms : meta(w)->created_ms;
    const int64_t left = since_ms + SA_SANDBOX_SOON_MS - w->now_ms;
    if (left <= 0 || left > SA_SANDBOX_SOON_MS) /* a clock that was set back delays nothing */
        return false;
    look_again(p, left);
    return true;
}

/* A warm one is usable at once, is being used now, and perhaps over in a moment. */
static bool just_begun(const world *w, plan *p)
{
    const int64_t left = meta(w)->created_ms + SA_SANDBOX_TELL_MS - w->now_ms;
    if (!sa_sandbox_claimed(w->sandbox.object) || status(w)->phase != SA_PHASE_PENDING ||
        left <= 0 || left > SA_SANDBOX_TELL_MS)
        return false;
    look_again(p, left);
    return true;
}

static void plan_live(const world *w, struct sa_arena *arena, plan *p)
{
    if (overdue(w, arena, p) || interrupted(w, arena, p))
        return;
    const struct sa_object *pod = find_pod(w, arena, p);
    if (!pod || pod_ended(w, pod, arena, p) || just_begun(w, p) || about_to_run(w, pod, p))
        return;
    sa_sandbox_status_now(w, arena, &p->status);
    if (is_told(w, p))
        late(w, pod, p);
}

/* ---- the end ---- */

/* True: nothing of its own pod is there. A WarmPod is its pool's to clean or delete. */
static bool pod_is_gone(const world *w, int64_t since_ms, plan *p)
{
    if (sa_sandbox_claimed(w->sandbox.object)) {
        const bool mine = has_claim(w);
        if (!w->warm_pod.fresh && (!mine || doubtful(w, since_ms)))
            step(p, SA_STEP_READ_WARM_POD);
        else if (mine)
            look_again(p, SA_SANDBOX_DOUBT_MS);
        return !mine && w->warm_pod.fresh;
    }
    const struct sa_object *pod = sa_sandbox_pod(w);
    if (!w->pod.fresh && (!pod || doubtful(w, since_ms)))
        step(p, SA_STEP_READ_POD);
    else if (pod && !sa_object_meta(pod)->deleted_ms)
        step(p, SA_STEP_DELETE_POD);
    else if (pod)
        look_again(p, SA_SANDBOX_DOUBT_MS);
    return !pod && w->pod.fresh;
}

/* That it goes is told when it takes more than a moment: what can go at once just goes. */
static void tell_end(const world *w, struct sa_arena *arena, plan *p)
{
    const int64_t left = meta(w)->deleted_ms + SA_SANDBOX_TELL_MS - w->now_ms;
    if (left > 0 && left <= SA_SANDBOX_TELL_MS) { /* a clock that was set back delays nothing */
        look_again(p, left);
        return;
    }
    sa_sandbox_status_over(w, SA_PHASE_TERMINATING, "Deleted", "", arena, &p->status);
    step(p, SA_STEP_WRITE_STATUS);
}

static void plan_deleted(const world *w, struct sa_arena *arena, plan *p)
{
    if (!sa_object_has_finalizer(w->sandbox.object, SA_FINALIZER_SANDBOX))
        return;
    const enum sa_phase phase = status(w)->phase;
    if (pod_is_gone(w, meta(w)->deleted_ms, p)) {
        step(p, SA_STEP_REMOVE_FINALIZER);
    } else if (p->step == SA_STEP_NOTHING && phase != SA_PHASE_FAILED &&
               phase != SA_PHASE_TERMINATING) {
        tell_end(w, arena, p);
    }
}

static void plan_failed(const world *w, plan *p)
{
    const int64_t left = status(w)->ended_ms + SA_SANDBOX_KEPT_MS - w->now_ms;
    const struct sa_object *pod = sa_sandbox_claimed(w->sandbox.object) ? NULL : sa_sandbox_pod(w);
    if (pod && !sa_object_meta(pod)->deleted_ms)
        step(p, SA_STEP_DELETE_POD);
    else if (left <= 0)
        step(p, SA_STEP_DELETE_SANDBOX);
    else
        look_again(p, left);
}

void sa_sandbox_plan(const world *w, struct sa_arena *arena, plan *p)
{
    *p = (plan){.step = SA_STEP_NOTHING};
    if (!w->sandbox.object)
        return;
    if (meta(w)->deleted_ms)
        plan_deleted(w, arena, p);
    else if (status(w)->phase == SA_PHASE_FAILED)
        plan_failed(w, p);
    else
        plan_live(w, arena, p);
}
