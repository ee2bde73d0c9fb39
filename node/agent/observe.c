/* What the cache says of Pods, and how it is compared with what the node runs. */
#include "agent/private.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "claim/pod_manifest.h"
#include "kinds/pod.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_AGAIN_MS = 5 };

const struct sa_object *sa_agent_cached(const struct sa_agent_pod *pod)
{
    const struct sa_object *object =
        pod->key ? sa_informer_get(pod->agent->options.caches->pods, pod->key) : NULL;
    return object && strcmp(sa_object_meta(object)->uid, pod->uid) == 0 ? object : NULL;
}

static bool is_mine(const struct sa_agent *agent, const struct sa_object *object)
{
    return strcmp(((const struct sa_pod_spec *)sa_object_spec(object))->node, agent->name) == 0;
}

static bool has_ended(const struct sa_pod_status *status)
{
    return status->phase == SA_POD_FAILED || status->phase == SA_POD_SUCCEEDED;
}

static void see(struct sa_agent_pod *pod, const struct sa_object *object)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    const struct sa_pod_status *status = sa_object_status(object);
    pod->key = sa_strdup(sa_object_key(object));
    pod->uid = sa_strdup(meta->uid);
    pod->turn = sa_map_get(&meta->labels, SA_POD_WARM_POD) ? SA_AGENT_LATER : SA_AGENT_SOON;
    pod->seen_us = sa_monotonic_us();
    pod->ran = status->phase == SA_POD_RUNNING;
    if (has_ended(status))
        pod->said = SA_AGENT_SAYS_FAILED;
    else if (pod->ran)
        pod->said = sa_conditions_is(&status->conditions, "Ready", SA_TRUE) ? SA_AGENT_SAYS_READY
                                                                            : SA_AGENT_SAYS_UNREADY;
    pod->heard = true;
}

static void end(struct sa_agent_pod *pod, const struct sa_pod_status *status)
{
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "%s",
                 status->message[0] ? status->message : "the sandbox has ended");
    sa_agent_fail(pod, SA_AGENT_ENDED, status->reason[0] ? status->reason : "Ended", &error);
}

static void look_at_node(struct sa_agent_pod *pod)
{
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox-node ended, and the sandbox with it");
    if (pod->listed)
        sa_agent_step(pod, SA_AGENT_LISTED);
    else
        sa_agent_fail(pod, pod->ran ? SA_AGENT_VANISHED : SA_AGENT_UNLISTED, "NodeLost", &error);
}

static void unwanted(struct sa_agent_pod *pod)
{
    if (pod->state == SA_AGENT_GONE)
        sa_agent_let_go(pod);
    else
        sa_agent_step(pod, SA_AGENT_UNWANTED);
}

void sa_agent_observe(struct sa_agent *agent, const struct sa_object *object)
{
    const struct sa_object_meta *meta = sa_object_meta(object);
    const struct sa_pod_status *status = sa_object_status(object);
    if (!is_mine(agent, object))
        return;
    struct sa_agent_pod *pod = sa_agent_pod_of(agent, meta->name);
    if (!pod->key)
        see(pod, object);
    if (strcmp(pod->key, sa_object_key(object)) != 0) {
        sa_agent_refuse_twin(agent, object);
        return;
    }
    if (strcmp(pod->uid, meta->uid) != 0 || meta->deleted_ms) {
        unwanted(pod);
        return;
    }
    sa_agent_check_status(pod, object);
    if (has_ended(status)) {
        end(pod, status);
        return;
    }
    sa_agent_step(pod, SA_AGENT_WANTED);
    if (pod->state == SA_AGENT_NEW && agent->adopted)
        look_at_node(pod);
}

void sa_agent_on_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                         const struct sa_object *now)
{
    struct sa_agent *agent = sa_container_of(handler, struct sa_agent, handler);
    if (now) {
        sa_agent_observe(agent, now);
        return;
    }
    struct sa_agent_pod *pod = sa_agent_find(agent, sa_object_meta(before)->name);
    if (pod && pod->key && strcmp(pod->key, sa_object_key(before)) == 0 &&
        strcmp(pod->uid, sa_object_meta(before)->uid) == 0)
        unwanted(pod);
}

/* ---- adoption ---- */

static void observe_all(struct sa_agent *agent)
{
    struct sa_informer_found found =
        sa_informer_find(agent->options.caches->pods, SA_BY_NODE, agent->name);
    for (size_t i = 0; i < found.count; i++)
        sa_agent_observe(agent, found.items[i]);
}

static void mark(struct sa_agent *agent)
{
    struct sa_agent_pod *pod, *tmp;
    HASH_ITER (hh, agent->pods, pod, tmp)
        pod->listed = false;
    for (size_t i = 0; i < agent->running_count; i++) {
        pod = sa_agent_find(agent, agent->running[i]);
        if (pod && pod->key)
            pod->listed = true;
        else
            sa_agent_destroy_stray(agent, agent->running[i]);
    }
}

/* Users that are told may let go of other pods, which therefore stay until the walk is over. */
void sa_agent_each(struct sa_agent *agent, void (*act)(struct sa_agent_pod *pod))
{
    struct sa_agent_pod *pod, *tmp;
    agent->walking = true;
    HASH_ITER (hh, agent->pods, pod, tmp)
        act(pod);
    agent->walking = false;
    HASH_ITER (hh, agent->pods, pod, tmp)
        sa_agent_let_go(pod);
}

static void adopt_one(struct sa_agent_pod *pod)
{
    const bool destroying = pod->state == SA_AGENT_DESTROYING || pod->state == SA_AGENT_REMOVING;
    if (destroying && pod->listed)
        sa_agent_destroy(pod); /* the node may not have heard of it */
    else if (pod->state != SA_AGENT_ABSENT)
        look_at_node(pod);
    if (pod->listed && pod->conn) /* its link went on without the node */
        sa_agent_refresh(pod);
}

/* In one line, as a server that is stopped in order leaves none of its pods to the next. */
static void tell_lost(const struct sa_agent *agent)
{
    if (agent->lost && agent->known)
        sa_log_warn("pods were lost with the node", SA_LOG_U("count", agent->lost));
    else if (agent->lost)
        sa_log_info("pods ended with the last run", SA_LOG_U("count", agent->lost));
}

static void adopt(struct sa_agent *agent)
{
    sa_failpoint("agent.adopt");
    observe_all(agent);
    mark(agent);
    free(agent->running);
    agent->running = NULL;
    agent->running_count = agent->running_room = 0;
    agent->adopted = true;
    agent->lost = 0;
    sa_agent_each(agent, adopt_one);
    tell_lost(agent);
    agent->known = true;
    sa_agent_pump(agent);
}

/* The cache tells of no moment at which it is complete. */
void sa_agent_on_adopt(uv_timer_t *timer)
{
    struct sa_agent *agent = timer->data;
    if (!agent->listed || agent->adopted)
        return;
    if (sa_informer_synced(agent->options.caches->pods))
        adopt(agent);
    else
        uv_timer_start(&agent->adopt, sa_agent_on_adopt, LOOK_AGAIN_MS, 0);
}

void sa_agent_adopt_soon(struct sa_agent *agent)
{
    uv_timer_start(&agent->adopt, sa_agent_on_adopt, 0, 0);
}
