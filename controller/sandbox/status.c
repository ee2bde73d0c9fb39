#include "controller/sandbox/status.h"

#include "claim/pod_manifest.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/warm_pod.h"

#include <stdlib.h>
#include <string.h>

typedef struct sa_sandbox_status status;

static const char *annotation(const struct sa_object *object, const char *key)
{
    return sa_map_get(&sa_object_meta(object)->annotations, key);
}

bool sa_sandbox_awaits_setup(const struct sa_object *sandbox)
{
    const char *personal = annotation(sandbox, SA_SANDBOX_PERSONAL);
    return personal && strcmp(personal, SA_PERSONAL_DELIVERED) != 0;
}

static bool pod_is_ready(const struct sa_object *pod)
{
    const struct sa_pod_status *seen = pod ? sa_object_status(pod) : NULL;
    return seen && seen->phase == SA_POD_RUNNING &&
           sa_conditions_is(&seen->conditions, "Ready", SA_TRUE);
}

/* ---- conditions ---- */

static void set(const struct sa_sandbox_world *world, struct sa_arena *arena, status *s,
                const char *type, bool is, const char *reason, const char *message)
{
    const struct sa_condition condition = {.type = type,
                                           .status = is ? SA_TRUE : SA_FALSE,
                                           .reason = reason,
                                           .message = message,
                                           .observed_generation = s->observed_generation};
    sa_conditions_set(&s->conditions, &condition, world->now_ms, arena);
}

static void set_pod_ready(const struct sa_sandbox_world *world, const struct sa_object *pod,
                          struct sa_arena *arena, status *s)
{
    if (!pod) {
        set(world, arena, s, SA_CONDITION_POD_READY, false, "NoPod", "");
        return;
    }
    const struct sa_pod_status *seen = sa_object_status(pod);
    if (pod_is_ready(pod))
        set(world, arena, s, SA_CONDITION_POD_READY, true, "PodReady", "");
    else
        set(world, arena, s, SA_CONDITION_POD_READY, false,
            seen->reason[0] ? seen->reason : sa_pod_phase_name(seen->phase), seen->message);
}

/* Who asked for a way out must see that there is none. */
static void set_network(const struct sa_sandbox_world *world, struct sa_arena *arena, status *s)
{
    const struct sa_sandbox_wanted *spec = sa_object_spec(world->sandbox.object);
    if (spec->network.egress.count)
        set(world, arena, s, SA_CONDITION_NETWORK, false, "NoEgress",
            "spec.networkAccess.egress has no effect: nothing connects out of sandboxes here");
}

static void set_ready(const struct sa_sandbox_world *world, const struct sa_object *pod,
                      struct sa_arena *arena, status *s)
{
    if (s->phase == SA_PHASE_PAUSED)
        set(world, arena, s, SA_CONDITION_READY, false, "Paused", "");
    else if (!pod_is_ready(pod))
        set(world, arena, s, SA_CONDITION_READY, false, "PodNotReady", "");
    else if (s->phase != SA_PHASE_RUNNING)
        set(world, arena, s, SA_CONDITION_READY, false, "AwaitingSetup",
            "its environment is not delivered yet");
    else
        set(world, arena, s, SA_CONDITION_READY, true, "Running", "");
}

/* ---- what is known of its pod ---- */

static void take_warm_pod(const struct sa_sandbox_world *world, status *s)
{
    const struct sa_object *warm = world->warm_pod.object;
    s->start = SA_START_WARM;
    if (!warm || !sa_sandbox_has_claim(world->sandbox.object, warm))
        return;
    s->warm_pod = sa_object_meta(warm)->name;
    s->warm_pool = ((const struct sa_warm_pod_spec *)sa_object_spec(warm))->pool;
}

static void take_security(const struct sa_sandbox_world *world, const struct sa_object *pod,
                          status *s)
{
    const char *digest = annotation(pod, SA_POD_SECURITY_PROFILE);
    const char *generation = annotation(world->sandbox.object, SA_SANDBOX_GENERATION);
    if (digest)
        s->security_profile.digest = digest;
    if (generation)
        s->security_profile.generation = strtoll(generation, NULL, 10);
    else if (world->security.state == SA_SECURITY_KNOWN)
        s->security_profile.generation = world->security.generation;
}

static void take_pod(const struct sa_sandbox_world *world, const struct sa_object *pod,
                     struct sa_arena *arena, status *s)
{
    const struct sa_json_strings none = {0};
    const struct sa_pod_status *seen = sa_object_status(pod);
    const char *controls = annotation(pod, SA_POD_CONTROLS);
    s->pod = sa_object_meta(pod)->name;
    s->pod_uid = sa_object_meta(pod)->uid;
    s->pod_ip = seen->pod_ip;
    s->node = ((const struct sa_pod_spec *)sa_object_spec(pod))->node;
    if (controls)
        s->controls = sa_controls_join(&none, controls, arena);
    if (world->weaker.count)
        s->weaker = world->weaker;
    if (!s->scheduled_ms)
        s->scheduled_ms = world->now_ms;
    take_security(world, pod, s);
}

/* What was written last, and what its pod is. */
static void begin(const struct sa_sandbox_world *world, struct sa_arena *arena, status *s)
{
    const struct sa_object *sandbox = world->sandbox.object, *pod = sa_sandbox_pod(world);
    *s = *(const status *)sa_object_status(sandbox);
    s->observed_generation = sa_object_meta(sandbox)->generation;
    s->start = SA_START_COLD;
    if (sa_sandbox_claimed(sandbox))
        take_warm_pod(world, s);
    if (pod)
        take_pod(world, pod, arena, s);
    set_pod_ready(world, pod, arena, s);
    set_network(world, arena, s);
}

/* ---- the statuses ---- */

static enum sa_phase phase_now(const struct sa_sandbox_world *world, const struct sa_object *pod,
                               status *s)
{
    if (!pod)
        return SA_PHASE_PENDING;
    if (!s->ready_ms && (!pod_is_ready(pod) || sa_sandbox_awaits_setup(world->sandbox.object)))
        return SA_PHASE_CREATING;
    if (!s->ready_ms) /* once usable, a link that is lost for a while changes conditions alone */
        s->ready_ms = world->now_ms;
    return s->paused_ms ? SA_PHASE_PAUSED : SA_PHASE_RUNNING;
}

void sa_sandbox_status_now(const struct sa_sandbox_world *world, struct sa_arena *arena, status *s)
{
    const struct sa_object *pod = sa_sandbox_pod(world);
    begin(world, arena, s);
    s->reason = s->message = "";
    s->phase = phase_now(world, pod, s);
    set_ready(world, pod, arena, s);
}

void sa_sandbox_status_waiting(const struct sa_sandbox_world *world, const char *reason,
                               const char *message, struct sa_arena *arena, status *s)
{
    begin(world, arena, s);
    s->reason = reason;
    s->message = message;
    set(world, arena, s, SA_CONDITION_READY, false, reason, message);
}

void sa_sandbox_status_over(const struct sa_sandbox_world *world, enum sa_phase phase,
                            const char *reason, const char *message, struct sa_arena *arena,
                            status *s)
{
    begin(world, arena, s);
    s->phase = phase;
    s->reason = reason;
    s->message = message;
    if (!s->ended_ms && phase == SA_PHASE_FAILED)
        s->ended_ms = world->now_ms;
    set(world, arena, s, SA_CONDITION_READY, false, reason, message);
}

/* ---- as JSON ---- */

static void print(const status *s, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_kind_sandbox.print_status(s, &w);
    sa_json_w_end_object(&w);
}

bool sa_sandbox_status_is(const struct sa_object *sandbox, const status *s)
{
    sa_autobuf one = SA_BUF_INIT, other = SA_BUF_INIT;
    print(s, &one);
    print(sa_object_status(sandbox), &other);
    return one.length == other.length && memcmp(one.data, other.data, one.length) == 0;
}
