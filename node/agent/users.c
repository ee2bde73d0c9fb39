/* Who works with pods, and what they are told. */
#include "agent/private.h"

enum told { TOLD_NOTHING, TOLD_READY, TOLD_UNREADY };

static void tell_lost(struct sa_agent_pod *pod, struct sa_agent_user *user, const char *reason,
                      const struct sa_error *why)
{
    DL_DELETE(pod->users, user); /* NOLINT: utlist */
    user->pod = NULL;
    if (user->events->lost)
        user->events->lost(user->owner, reason, why);
}

static void tell_over(struct sa_agent_pod *pod, struct sa_agent_user *user)
{
    struct sa_error gone;
    sa_error_set(&gone, SA_EUNAVAILABLE, "the sandbox ended: it is being deleted");
    if (pod->failure)
        tell_lost(pod, user, pod->failure->reason, &pod->failure->error);
    else
        tell_lost(pod, user, "Deleted", &gone);
}

static void tell_unready(struct sa_agent_user *user)
{
    struct sa_error why;
    sa_error_set(&why, SA_EUNAVAILABLE, "the sandbox's link is lost; it is being made anew");
    user->told = TOLD_UNREADY;
    if (user->events->unready)
        user->events->unready(user->owner, &why);
}

/* One that has not been told. */
static struct sa_agent_user *unaware(const struct sa_agent_pod *pod)
{
    struct sa_agent_user *user;
    DL_FOREACH (pod->users, user)
        if (sa_agent_is_over(pod->state) ||
            (pod->state == SA_AGENT_READY ? user->told != TOLD_READY : user->told == TOLD_READY))
            return user;
    return NULL;
}

/* They may stop using it, and others may begin, while they are told. */
void sa_agent_tell(struct sa_agent_pod *pod)
{
    struct sa_agent_user *user;
    while ((user = unaware(pod))) {
        if (sa_agent_is_over(pod->state)) {
            tell_over(pod, user);
        } else if (pod->state == SA_AGENT_READY) {
            user->told = TOLD_READY;
            if (user->events->ready)
                user->events->ready(user->owner);
        } else {
            tell_unready(user);
        }
    }
}

static void on_teller(uv_idle_t *idle)
{
    struct sa_agent *agent = idle->data;
    struct sa_agent_pod *pod;
    uv_idle_stop(idle);
    while ((pod = agent->tell)) {
        DL_DELETE2(agent->tell, pod, prev_tell, next_tell);
        pod->tell = false;
        sa_agent_tell(pod);
    }
}

void sa_agent_tell_soon(struct sa_agent_pod *pod)
{
    struct sa_agent *agent = pod->agent;
    if (pod->tell)
        return;
    pod->tell = true;
    DL_APPEND2(agent->tell, pod, prev_tell, next_tell);
    uv_idle_start(&agent->teller, on_teller);
}

void sa_agent_use(struct sa_agent *agent, const char *name, struct sa_agent_user *user)
{
    struct sa_agent_pod *pod = sa_agent_pod_of(agent, name);
    user->pod = pod;
    user->told = TOLD_NOTHING;
    DL_APPEND(pod->users, user);
    if (pod->state == SA_AGENT_READY || sa_agent_is_over(pod->state))
        sa_agent_tell_soon(pod);
}

void sa_agent_unuse(struct sa_agent *agent, struct sa_agent_user *user)
{
    struct sa_agent_pod *pod = user->pod;
    (void)agent;
    if (!pod)
        return;
    DL_DELETE(pod->users, user);
    user->pod = NULL;
    if (pod->state == SA_AGENT_ABSENT)
        sa_agent_let_go(pod);
}

void sa_agent_tell_stopped(struct sa_agent_pod *pod, const struct sa_error *why)
{
    while (pod->users)
        tell_lost(pod, pod->users, "Stopped", why);
}

/* Users that are told may stop using it, but no other. */
void sa_agent_tell_oom(struct sa_agent_pod *pod, int64_t kills)
{
    struct sa_agent_user *user, *tmp;
    DL_FOREACH_SAFE (pod->users, user, tmp)
        if (user->events->oom)
            user->events->oom(user->owner, kills);
}

void sa_agent_tell_changed(struct sa_agent_pod *pod)
{
    struct sa_agent_user *user, *tmp;
    DL_FOREACH_SAFE (pod->users, user, tmp)
        if (user->events->changed)
            user->events->changed(user->owner);
}

void sa_agent_tell_denied(struct sa_agent_pod *pod, const char *syscall, const char *program,
                          int64_t count)
{
    struct sa_agent_user *user, *tmp;
    DL_FOREACH_SAFE (pod->users, user, tmp)
        if (user->events->denied)
            user->events->denied(user->owner, syscall, program, count);
}

struct sa_runtime_conn *sa_agent_conn(struct sa_agent *agent, const char *name)
{
    const struct sa_agent_pod *pod = sa_agent_find(agent, name);
    return pod && pod->state == SA_AGENT_READY ? pod->conn : NULL;
}

const struct sa_agent_facts *sa_agent_facts(struct sa_agent *agent, const char *name)
{
    const struct sa_agent_pod *pod = sa_agent_find(agent, name);
    return pod && pod->fact && !sa_agent_is_over(pod->state) ? &pod->fact->facts : NULL;
}
