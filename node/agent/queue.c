/*
 * Pods whose turn to be made will come. Those that somebody waits for go first, and a pool that is
 * being filled leaves room for them at the node.
 */
#include "agent/private.h"

enum { MAKING_MOST = 8, MAKING_LATER_MOST = 4 };

void sa_agent_queue(struct sa_agent_pod *pod)
{
    DL_APPEND(pod->agent->queue[pod->turn], pod);
}

void sa_agent_unqueue(struct sa_agent_pod *pod)
{
    DL_DELETE(pod->agent->queue[pod->turn], pod);
}

static struct sa_agent_pod *first(const struct sa_agent *agent)
{
    const unsigned later = agent->making[SA_AGENT_LATER];
    if (agent->making[SA_AGENT_SOON] + later >= MAKING_MOST)
        return NULL;
    if (agent->queue[SA_AGENT_SOON])
        return agent->queue[SA_AGENT_SOON];
    return later < MAKING_LATER_MOST ? agent->queue[SA_AGENT_LATER] : NULL;
}

void sa_agent_pump(struct sa_agent *agent)
{
    struct sa_agent_pod *pod;
    if (agent->pumping) /* a pod that cannot be made makes room at once */
        return;
    agent->pumping = true;
    while (agent->adopted && (pod = first(agent)))
        sa_agent_step(pod, SA_AGENT_TURN);
    agent->pumping = false;
}
