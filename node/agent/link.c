/* The link to a pod's runtime. */
#include "agent/private.h"

#include "base/failpoint.h"

static void on_ready(void *owner)
{
    sa_failpoint("agent.hello");
    sa_agent_step(owner, SA_AGENT_HELLO);
}

static void on_lost(void *owner, const struct sa_error *error)
{
    struct sa_agent_pod *pod = owner;
    (void)error; /* the node knows better */
    sa_agent_step(pod, SA_AGENT_LINK_LOST);
}

static const struct sa_runtime_conn_events events = {.ready = on_ready, .lost = on_lost};

void sa_agent_connect(struct sa_agent_pod *pod, int fd)
{
    sa_agent_disconnect(pod, "another connection takes its place");
    pod->conn = sa_runtime_conn_new(pod->agent->options.loop, fd, &events, pod);
}

void sa_agent_disconnect(struct sa_agent_pod *pod, const char *why)
{
    struct sa_runtime_conn *conn = pod->conn;
    pod->conn = NULL;
    sa_runtime_conn_free(conn, why);
}
