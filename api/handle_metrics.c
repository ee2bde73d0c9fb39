/* GET /sandboxes/{id}/metrics: the node knows processor and memory, the runtime the disk. Both
 * are asked at once. */
#include "api/app.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

struct gathering {
    struct sa_app *app;
    struct sa_http_request *request; /* NULL once the client is gone */
    struct sa_call *call;
    int pending;
    int64_t cpu_limit, oom_kills;
    struct sa_error error; /* of the last part that failed */
    struct sa_buf members;
};

/* Which field becomes which member; times in microseconds become milliseconds. */
static const struct member {
    uint16_t tag;
    bool microseconds;
    const char *name;
} node_members[] =
    {
        {SA_NODE_CPU_US, true, "cpuMs"},
        {SA_NODE_THROTTLED_US, true, "throttledMs"},
        {SA_NODE_MEMORY_USED, false, "memoryBytes"},
        {SA_NODE_MEMORY_PEAK, false, "memoryPeakBytes"},
        {SA_NODE_MEMORY_LIMIT, false, "memoryLimitBytes"},
        {SA_NODE_PROCESSES, false, "processes"},
        {SA_NODE_PIDS_LIMIT, false, "processesLimit"},
        {SA_NODE_OOM_KILLS, false, "oomKills"},
        {0, false, NULL},
},
  runtime_members[] = {
      {SA_USAGE_DISK_BYTES, false, "diskBytes"},
      {SA_USAGE_DISK_LIMIT, false, "diskLimitBytes"},
      {SA_USAGE_INODES, false, "inodes"},
      {SA_USAGE_INODES_LIMIT, false, "inodesLimit"},
      {0, false, NULL},
};

static void add_members(struct gathering *g, struct sa_fields *fields, const struct member *known)
{
    struct sa_field f;
    int64_t value;
    while (sa_fields_next(fields, &f, NULL) > 0)
        for (const struct member *m = known; m->name; m++)
            if (m->tag == f.tag && sa_field_int(&f, &value, NULL) == 0)
                sa_buf_printf(&g->members, ",\"%s\":%lld", m->name,
                              (long long)(m->microseconds ? value / 1000 : value));
}

static void respond(struct gathering *g)
{
    char time[SA_RFC3339_BYTES];
    struct sa_buf body = SA_BUF_INIT;
    sa_http_request_on_closed(g->request, NULL, NULL);
    if (g->error.code) {
        sa_http_respond_error(g->request, &g->error);
        return;
    }
    sa_rfc3339(sa_wall_ms(), time);
    sa_buf_printf(&body, "{\"timestamp\":\"%s\",\"cpuLimitMillicores\":%lld", time,
                  (long long)g->cpu_limit);
    sa_buf_add(&body, g->members.data, g->members.length);
    sa_buf_addc(&body, '}');
    sa_respond_json(g->request, 200, &body);
}

static void part_done(struct gathering *g)
{
    if (--g->pending > 0)
        return;
    if (g->request)
        respond(g);
    sa_buf_deinit(&g->members);
    free(g);
}

static void on_node_stats(void *user, struct sa_node_reply *reply)
{
    struct gathering *g = user;
    if (reply->error)
        g->error = *reply->error;
    else
        add_members(g, &reply->fields, node_members);
    part_done(g);
}

static void on_runtime_usage(void *user, const struct sa_error *error, struct sa_fields *fields)
{
    struct gathering *g = user;
    if (error)
        g->error = *error;
    else
        add_members(g, fields, runtime_members);
    part_done(g);
}

static void on_closed(struct sa_http_request *request, void *user)
{
    struct gathering *g = user;
    (void)request;
    g->request = NULL;
}

void sa_handle_sandbox_metrics(struct sa_app *app, struct sa_http_request *request,
                               const struct sa_principal *principal)
{
    static const struct sa_call_events events = {.ended = on_runtime_usage};
    struct sa_sandbox *sandbox = sa_route_sandbox(app, request, principal);
    struct sa_error error;
    struct sa_buf none = SA_BUF_INIT;
    if (!sandbox)
        return;
    struct gathering *g = sa_alloc(sizeof *g);
    struct sa_runtime_conn *conn = sa_sandbox_conn(sandbox, &error);
    if (!conn || !sa_call_open(conn, SA_METHOD_USAGE, &none, &events, g, &error)) {
        free(g);
        sa_http_respond_error(request, &error);
        return;
    }
    g->app = app;
    g->request = request;
    g->cpu_limit = sa_sandbox_spec(sandbox)->resources.cpu_millicores;
    g->pending = 2;
    sa_http_request_on_closed(request, on_closed, g);
    sa_sandbox_stats(sandbox, on_node_stats, g);
}
