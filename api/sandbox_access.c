/* Looking sandboxes up, and looking at one. */
#include "api/sandbox_private.h"

#include "base/clock.h"
#include "policy/points.h"

bool sa_sandboxes_node_is_up(const struct sa_sandboxes *all)
{
    return sa_node_client_is_open(all->node);
}

struct sa_security *sa_sandboxes_security(const struct sa_sandboxes *all)
{
    return all->security;
}

struct sa_store *sa_sandboxes_store(const struct sa_sandboxes *all)
{
    return all->store;
}

struct sa_sandbox *sa_sandbox_find(struct sa_sandboxes *all, const char *id)
{
    struct sa_sandbox *sandbox;
    HASH_FIND_STR(all->by_id, id, sandbox);
    return sandbox;
}

struct sa_sandbox *sa_sandbox_first(struct sa_sandboxes *all)
{
    return all->list;
}

struct sa_sandbox *sa_sandbox_next(struct sa_sandbox *sandbox)
{
    return sandbox->next;
}

struct sa_sandbox *sa_sandbox_before(struct sa_sandboxes *all, uint64_t sequence)
{
    struct sa_sandbox *sandbox = all->list;
    while (sandbox && sandbox->sequence >= sequence)
        sandbox = sandbox->next;
    return sandbox;
}

uint64_t sa_sandbox_sequence(const struct sa_sandbox *sandbox)
{
    return sandbox->sequence;
}

const char *sa_sandbox_id(const struct sa_sandbox *sandbox)
{
    return sandbox->id;
}

const char *sa_sandbox_owner(const struct sa_sandbox *sandbox)
{
    return sandbox->owner.key_id;
}

enum sa_phase sa_sandbox_phase(const struct sa_sandbox *sandbox)
{
    return sandbox->phase;
}

const struct sa_sandbox_spec *sa_sandbox_spec(const struct sa_sandbox *sandbox)
{
    return &sandbox->spec;
}

struct sa_sandboxes *sa_sandbox_all(struct sa_sandbox *sandbox)
{
    return sandbox->all;
}

void sa_sandbox_facts(const struct sa_sandbox *s, struct sa_policy_sandbox *facts)
{
    int64_t age_ms = sa_wall_ms() - s->created_ms;
    *facts = (struct sa_policy_sandbox){.id = s->id,
                                        .name = s->spec.name ? s->spec.name : s->id,
                                        .runtime = s->spec.runtime,
                                        .security_level = sa_security_level_name(s->spec.level),
                                        .labels = s->spec.labels,
                                        .age_s = age_ms > 0 ? age_ms / 1000 : 0};
}

uint64_t sa_sandbox_revision(const struct sa_sandbox *sandbox)
{
    return sandbox->revision;
}

int64_t sa_sandbox_oom_kills(const struct sa_sandbox *sandbox)
{
    return sandbox->oom_kills;
}

void sa_sandbox_watch(struct sa_sandbox *sandbox, struct sa_sandbox_watch *watch)
{
    DL_APPEND(sandbox->watches, watch);
    watch->on = true;
}

void sa_sandbox_unwatch(struct sa_sandbox *sandbox, struct sa_sandbox_watch *watch)
{
    if (watch->on)
        DL_DELETE(sandbox->watches, watch);
    watch->on = false;
}

void sa_sandbox_changed(struct sa_sandbox *sandbox)
{
    struct sa_sandbox_watch *watch, *next;
    DL_FOREACH_SAFE (sandbox->watches, watch, next)
        watch->changed(watch, sandbox);
}
