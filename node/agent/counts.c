/* What a pod has used since it is somebody's. */
#include "agent/private.h"

#include "base/arena.h"

#include <stdlib.h>

struct counting {
    struct counting *prev, *next;
    sa_agent_counted *done; /* NULL: nobody wants to know any more */
    void *user;
    struct sa_agent *agent;
};

static void on_counted(void *user, struct sa_node_reply *reply)
{
    struct counting *c = user;
    struct sa_agent_counts counts = {-1, -1, -1};
    struct sa_field f;
    while (sa_fields_next(&reply->fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_CPU_US)
            sa_field_int(&f, &counts.cpu_us, NULL);
        else if (f.tag == SA_NODE_MEMORY_PEAK)
            sa_field_int(&f, &counts.memory_peak_bytes, NULL);
        else if (f.tag == SA_NODE_OOM_KILLS)
            sa_field_int(&f, &counts.oom_kills, NULL);
    DL_DELETE(c->agent->countings, c);
    if (c->done)
        c->done(c->user, &counts);
    free(c);
}

void sa_agent_recount(struct sa_agent *agent, const char *pod, sa_agent_counted *done, void *user)
{
    sa_autobuf body = SA_BUF_INIT;
    struct counting *c = sa_alloc(sizeof *c);
    *c = (struct counting){.done = done, .user = user, .agent = agent};
    DL_APPEND(agent->countings, c);
    sa_fields_add_text(&body, SA_NODE_ID, pod);
    sa_node_call(agent->options.node, SA_NODE_RECOUNT, &body, on_counted, c);
}

void sa_agent_recount_forget(struct sa_agent *agent, void *user)
{
    struct counting *c;
    DL_FOREACH (agent->countings, c)
        if (c->user == user)
            c->done = NULL;
}

void sa_agent_drop_counts(struct sa_agent *agent)
{
    struct counting *c, *tmp;
    DL_FOREACH_SAFE (agent->countings, c, tmp) {
        sa_node_forget(agent->options.node, c);
        DL_DELETE(agent->countings, c); /* NOLINT: utlist */
        free(c);
    }
}
