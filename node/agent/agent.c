/*
 * The agent: what begins and ends it. A pod is in pod.c (its states, state.c), and is driven by the
 * Pods in the cache (observe.c), the node (calls.c), its link (link.c) and deadlines (timers.c).
 */
#include "agent/private.h"

#include "base/arena.h"

#include <stdlib.h>

static void start_handles(struct sa_agent *agent)
{
    uv_loop_t *loop = agent->options.loop;
    uv_timer_init(loop, &agent->timer);
    uv_timer_init(loop, &agent->adopt);
    uv_timer_init(loop, &agent->repair);
    uv_idle_init(loop, &agent->writer);
    uv_idle_init(loop, &agent->teller);
    agent->timer.data = agent->adopt.data = agent->repair.data = agent;
    agent->writer.data = agent->teller.data = agent;
    agent->handles = 5;
}

struct sa_agent *sa_agent_start(const struct sa_agent_options *options)
{
    struct sa_agent *agent = sa_alloc(sizeof *agent);
    agent->options = *options;
    agent->name = sa_strdup(options->name);
    agent->lengths_ms[SA_AGENT_START_TIMER] = 30 * 1000;
    agent->lengths_ms[SA_AGENT_GRACE_TIMER] = 500;
    agent->lengths_ms[SA_AGENT_ATTACH_TIMER] = 10 * 1000;
    agent->recorder = sa_recorder_new(options->objects, "sandbox-node", NULL);
    start_handles(agent);
    sa_agent_make_series(agent);
    agent->handler.changed = sa_agent_on_changed;
    sa_informer_add_handler(options->caches->pods, &agent->handler);
    sa_node_client_listen(options->node, &sa_agent_node_events, agent);
    if (sa_node_client_is_open(options->node))
        sa_agent_list(agent);
    return agent;
}

bool sa_agent_ready(const struct sa_agent *agent)
{
    return agent->adopted;
}

static void on_closed(uv_handle_t *handle)
{
    struct sa_agent *agent = handle->data;
    if (--agent->handles)
        return;
    free(agent->running);
    free(agent->name);
    free(agent);
}

static void stop_one(struct sa_agent_pod *pod)
{
    struct sa_error error;
    sa_error_set(&error, SA_EUNAVAILABLE, "the server is shutting down");
    sa_agent_tell_stopped(pod, &error);
}

void sa_agent_stop(struct sa_agent *agent)
{
    struct sa_agent_pod *pod, *tmp;
    if (!agent)
        return;
    sa_informer_remove_handler(agent->options.caches->pods, &agent->handler);
    sa_node_client_listen(agent->options.node, NULL, NULL);
    sa_node_forget(agent->options.node, agent);
    sa_agent_drop_counts(agent);
    sa_agent_each(agent, stop_one);
    HASH_ITER (hh, agent->pods, pod, tmp)
        sa_agent_pod_free(pod);
    sa_recorder_free(agent->recorder);
    uv_close((uv_handle_t *)&agent->timer, on_closed);
    uv_close((uv_handle_t *)&agent->adopt, on_closed);
    uv_close((uv_handle_t *)&agent->repair, on_closed);
    uv_close((uv_handle_t *)&agent->writer, on_closed);
    uv_close((uv_handle_t *)&agent->teller, on_closed);
}
