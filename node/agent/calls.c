/* What is asked of the node, what it answers, and what it tells by itself. */
#include "agent/private.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/failpoint.h"
#include "claim/pod_manifest.h"
#include "kinds/pod.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>

/* The node was there when it was asked, and is not any more. */
static bool is_unreachable(const struct sa_agent_pod *pod, const struct sa_error *error)
{
    return error->code == SA_EUNAVAILABLE && !sa_node_client_is_open(pod->agent->options.node);
}

static bool is_away(const struct sa_agent_pod *pod, const struct sa_node_reply *reply)
{
    return reply->error && is_unreachable(pod, reply->error);
}

/* ---- create ---- */

static void on_created(void *user, struct sa_node_reply *reply);

static void send_create(struct sa_agent_pod *pod)
{
    const struct sa_object *object = sa_agent_cached(pod);
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error error;
    if (!sa_node_client_is_open(pod->agent->options.node)) {
        sa_agent_step(pod, SA_AGENT_NODE_AWAY);
    } else if (!object) {
        sa_agent_step(pod, SA_AGENT_UNWANTED);
    } else if (sa_agent_spec(object, &body, &error) < 0) {
        sa_agent_fail(pod, SA_AGENT_REFUSED, "CreateFailed", &error);
    } else {
        sa_failpoint("agent.create");
        sa_node_call(pod->agent->options.node, SA_NODE_CREATE, &body, on_created, pod);
    }
}

void sa_agent_create(struct sa_agent_pod *pod)
{
    pod->profile_again = pod->create_again = false;
    send_create(pod);
}

static void refuse(struct sa_agent_pod *pod, const struct sa_error *error)
{
    const bool control = error->code == SA_ECONTROL;
    sa_agent_fail(pod, SA_AGENT_REFUSED, control ? "ControlUnavailable" : "CreateFailed", error);
}

static void on_profile(void *user, const struct sa_denial *denial,
                       const struct sa_security_answer *answer)
{
    struct sa_agent_pod *pod = user;
    (void)answer;
    pod->security = NULL;
    if (denial && is_unreachable(pod, &denial->error))
        sa_agent_step(pod, SA_AGENT_NODE_AWAY);
    else if (denial)
        refuse(pod, &denial->error);
    else
        send_create(pod);
}

/* The node has forgotten the profile: tell it, and once more. */
static bool profile_again(struct sa_agent_pod *pod, const struct sa_error *error)
{
    const struct sa_object *object = sa_agent_cached(pod);
    struct sa_security *security = pod->agent->options.security;
    const char *digest =
        object ? sa_map_get(&sa_object_meta(object)->annotations, SA_POD_SECURITY_PROFILE) : NULL;
    if (error->code != SA_ENOTFOUND || strcmp(error->path, "profile") != 0 || pod->profile_again ||
        !digest || !security)
        return false;
    pod->profile_again = true;
    pod->security = sa_security_again(security, digest, on_profile, pod);
    return pod->security != NULL;
}

static void on_cleared(void *user, struct sa_node_reply *reply)
{
    (void)reply; /* if it is still there the create says so again */
    send_create(user);
}

/* One of that name is there: it was being made for a connection that broke. It goes, and once
 * more. */
static bool create_again(struct sa_agent_pod *pod, const struct sa_error *error)
{
    if (error->code != SA_ECONFLICT || pod->create_again)
        return false;
    sa_autobuf body = SA_BUF_INIT;
    pod->create_again = true;
    sa_fields_add_text(&body, SA_NODE_ID, pod->name);
    sa_node_call(pod->agent->options.node, SA_NODE_DESTROY, &body, on_cleared, pod);
    return true;
}

static bool is_frozen(struct sa_fields fields)
{
    struct sa_field f;
    int64_t frozen = 0;
    while (sa_fields_next(&fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_FROZEN)
            sa_field_int(&f, &frozen, NULL);
    return frozen != 0;
}

static void take_link(struct sa_agent_pod *pod, struct sa_node_reply *reply)
{
    struct sa_error error;
    if (reply->fd_count != 1) {
        sa_error_set(&error, SA_EPROTOCOL, "the sandbox-node answered without a link");
        refuse(pod, &error);
        return;
    }
    sa_failpoint("agent.created");
    if (is_frozen(reply->fields))
        sa_agent_stop_timer(pod); /* it says HELLO when it is thawed */
    sa_agent_take_facts(pod, reply->fields);
    sa_agent_connect(pod, sa_steal_fd(&reply->fds[0]));
    sa_agent_step(pod, SA_AGENT_LINKED);
}

static void on_created(void *user, struct sa_node_reply *reply)
{
    struct sa_agent_pod *pod = user;
    if (is_away(pod, reply))
        sa_agent_step(pod, SA_AGENT_NODE_AWAY);
    else if (!reply->error)
        take_link(pod, reply);
    else if (!profile_again(pod, reply->error) && !create_again(pod, reply->error))
        refuse(pod, reply->error);
}

/* ---- attach ---- */

static void on_attached(void *user, struct sa_node_reply *reply)
{
    struct sa_agent_pod *pod = user;
    if (is_away(pod, reply))
        sa_agent_step(pod, SA_AGENT_NODE_AWAY);
    else if (reply->error && reply->error->code == SA_ENOTFOUND)
        sa_agent_fail(pod, SA_AGENT_VANISHED, "NodeLost", reply->error);
    else if (reply->error)
        sa_agent_step(pod, SA_AGENT_REFUSED);
    else
        take_link(pod, reply);
}

void sa_agent_attach(struct sa_agent_pod *pod)
{
    if (!sa_node_client_is_open(pod->agent->options.node)) {
        sa_agent_step(pod, SA_AGENT_NODE_AWAY);
        return;
    }
    sa_autobuf body = SA_BUF_INIT;
    pod->attaches++;
    sa_failpoint("agent.attach");
    sa_fields_add_text(&body, SA_NODE_ID, pod->name);
    sa_node_call(pod->agent->options.node, SA_NODE_ATTACH, &body, on_attached, pod);
}

/* ---- facts ---- */

static void on_facts(void *user, struct sa_node_reply *reply)
{
    struct sa_agent_pod *pod = user;
    if (reply->type != SA_NODE_FACTS_REPLY || sa_agent_is_over(pod->state) ||
        !sa_agent_take_facts(pod, reply->fields))
        return;
    sa_agent_write_soon(pod);
    sa_agent_tell_changed(pod);
}

void sa_agent_refresh(struct sa_agent_pod *pod)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_text(&body, SA_NODE_ID, pod->name);
    sa_node_call(pod->agent->options.node, SA_NODE_FACTS, &body, on_facts, pod);
}

/* ---- list ---- */

static void forget_list(struct sa_agent *agent)
{
    free(agent->running);
    agent->running = NULL;
    agent->running_count = agent->running_room = 0;
}

static void take_id(struct sa_agent *agent, const struct sa_field *f)
{
    if (agent->running_count == agent->running_room) {
        agent->running_room = agent->running_room ? 2 * agent->running_room : 16;
        agent->running = sa_realloc(agent->running, agent->running_room * sizeof *agent->running);
    }
    if (sa_field_text_into(f, agent->running[agent->running_count], SA_ID_BYTES, NULL) == 0)
        agent->running_count++;
}

/* Where the list goes on, 0: it does not. */
static int64_t take_part(struct sa_agent *agent, struct sa_fields fields)
{
    struct sa_field f;
    int64_t more = 0;
    while (sa_fields_next(&fields, &f, NULL) > 0)
        if (f.tag == SA_NODE_ID)
            take_id(agent, &f);
        else if (f.tag == SA_NODE_MORE)
            sa_field_int(&f, &more, NULL);
    return more;
}

static void ask_list(struct sa_agent *agent);

static void on_listed(void *user, struct sa_node_reply *reply)
{
    struct sa_agent *agent = user;
    if (reply->error) {
        if (sa_node_client_is_open(agent->options.node))
            sa_log_error("the sandbox-node does not say what it runs",
                         SA_LOG_S("error", reply->error->message));
        return; /* until it is connected again */
    }
    const int64_t more = take_part(agent, reply->fields);
    if (more > agent->running_place) {
        agent->running_place = more;
        ask_list(agent);
        return;
    }
    agent->listed = true;
    sa_agent_adopt_soon(agent);
}

static void ask_list(struct sa_agent *agent)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_fields_add_int(&body, SA_NODE_AFTER, agent->running_place);
    sa_node_call(agent->options.node, SA_NODE_LIST, &body, on_listed, agent);
}

void sa_agent_list(struct sa_agent *agent)
{
    forget_list(agent);
    agent->running_place = 0;
    ask_list(agent);
}

/* ---- destroy ---- */

static void on_destroyed(void *user, struct sa_node_reply *reply)
{
    struct sa_agent_pod *pod = user;
    if (is_away(pod, reply))
        return; /* it is asked again when it is back */
    sa_failpoint("agent.destroyed");
    sa_agent_step(pod, SA_AGENT_DESTROYED);
}

void sa_agent_destroy(struct sa_agent_pod *pod)
{
    sa_autobuf body = SA_BUF_INIT;
    if (!pod->agent->adopted)
        return; /* what the node has is destroyed when it has said so */
    sa_failpoint("agent.destroy");
    sa_fields_add_text(&body, SA_NODE_ID, pod->name);
    sa_node_call(pod->agent->options.node, SA_NODE_DESTROY, &body, on_destroyed, pod);
}

void sa_agent_destroy_stray(struct sa_agent *agent, const char *id)
{
    sa_autobuf body = SA_BUF_INIT;
    sa_log_warn("a sandbox that belongs to no pod is removed", SA_LOG_S("sandbox", id));
    sa_fields_add_text(&body, SA_NODE_ID, id);
    sa_node_call(agent->options.node, SA_NODE_DESTROY, &body, NULL, NULL);
}

void sa_agent_forget_calls(struct sa_agent_pod *pod)
{
    sa_security_forget(pod->security);
    pod->security = NULL;
    sa_node_forget(pod->agent->options.node, pod);
}

/* ---- events ---- */

struct event {
    char id[SA_ID_BYTES], reason[128], syscall[64], program[32];
    int64_t kills, count;
};

static void read_event(struct sa_fields *fields, struct event *e)
{
    struct sa_field f;
    *e = (struct event){.count = 1};
    while (sa_fields_next(fields, &f, NULL) > 0) {
        if (f.tag == SA_NODE_ID)
            sa_field_text_into(&f, e->id, sizeof e->id, NULL);
        else if (f.tag == SA_NODE_REASON)
            sa_field_text_into(&f, e->reason, sizeof e->reason, NULL);
        else if (f.tag == SA_NODE_SYSCALL)
            sa_field_text_into(&f, e->syscall, sizeof e->syscall, NULL);
        else if (f.tag == SA_NODE_COMM)
            sa_field_text_into(&f, e->program, sizeof e->program, NULL);
        else if (f.tag == SA_NODE_OOM_KILLS)
            sa_field_int(&f, &e->kills, NULL);
        else if (f.tag == SA_NODE_COUNT)
            sa_field_int(&f, &e->count, NULL);
    }
}

static void on_event(void *owner, enum sa_node_type type, struct sa_fields *fields)
{
    struct event e;
    read_event(fields, &e);
    struct sa_agent_pod *pod = sa_agent_find(owner, e.id);
    if (!pod)
        return;
    if (type == SA_NODE_SECURITY) {
        sa_agent_tell_denied(pod, e.syscall, e.program, e.count);
    } else if (type == SA_NODE_OOM) {
        sa_agent_tell_oom(pod, e.kills);
    } else if (type == SA_NODE_EXITED) {
        struct sa_error error;
        sa_error_set(&error, SA_EUNAVAILABLE, "the sandbox ended: %s", e.reason);
        sa_agent_fail(pod, SA_AGENT_EXITED, "Exited", &error);
    }
}

static void go_without(struct sa_agent_pod *pod)
{
    sa_agent_step(pod, SA_AGENT_NODE_AWAY);
}

static void on_closed(void *owner)
{
    struct sa_agent *agent = owner;
    sa_log_warn("the sandbox-node is gone");
    agent->adopted = agent->listed = false;
    sa_agent_each(agent, go_without);
}

static void on_connected(void *owner)
{
    sa_agent_list(owner);
}

const struct sa_node_client_events sa_agent_node_events = {
    .event = on_event, .connected = on_connected, .closed = on_closed};
