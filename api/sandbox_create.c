/* Claiming a pod for a new sandbox, and what is refused before that. */
#include "api/sandbox_private.h"

#include "base/cleanup.h"
#include "kinds/names.h"
#include "nodelink/controls.h"

#include <stdio.h>
#include <string.h>

enum { RESERVED_MAX = 8 };

/* ---- the object ---- */

static void add(struct sa_json_map *map, const char *key, const char *value)
{
    map->items[map->count].key = key;
    map->items[map->count++].value = value;
}

static const char *joined(const struct sa_json_strings *list, struct sa_arena *arena)
{
    const char *text = list->items[0];
    for (size_t i = 1; i < list->count; i++)
        text = sa_arena_printf(arena, "%s,%s", text, list->items[i]);
    return text;
}

/* The user's, and what the control plane has to know of it. */
static struct sa_json_map annotations(struct sa_sandbox *s, const struct sa_sandbox_spec *spec,
                                      const struct sa_security_answer *security,
                                      struct sa_arena *arena)
{
    const size_t given = spec->annotations.count;
    struct sa_json_map map = {
        .items = sa_arena_alloc(arena, (given + RESERVED_MAX) * sizeof *map.items)};
    for (size_t i = 0; i < given; i++)
        add(&map, spec->annotations.items[i].key, spec->annotations.items[i].value);
    add(&map, SA_SANDBOX_OWNER, s->owner.key_id);
    add(&map, SA_SANDBOX_TENANT, s->owner.key_name);
    add(&map, SA_SANDBOX_PROFILE, security->profile);
    add(&map, SA_SANDBOX_GENERATION,
        sa_arena_printf(arena, "%llu", (unsigned long long)security->generation));
    add(&map, SA_SANDBOX_PERSONAL, s->setup.length ? s->all->instance : SA_PERSONAL_DELIVERED);
    if (security->required.count)
        add(&map, SA_SANDBOX_REQUIRED, joined(&security->required, arena));
    if (spec->name)
        add(&map, SA_SANDBOX_TITLE, spec->name);
    if (strcmp(spec->language, spec->runtime) != 0)
        add(&map, SA_SANDBOX_LANGUAGE, spec->language);
    return map;
}

/* Its own, the rules', and what its lifecycle needs: for a pod that is there already. */
static struct sa_json_strings controls(const struct sa_sandbox_spec *spec,
                                       const struct sa_security_answer *security,
                                       struct sa_arena *arena)
{
    const struct sa_lifecycle *l = &spec->lifecycle;
    const struct sa_json_strings *from[] = {&spec->required_controls, &security->required};
    struct sa_json_strings all = {0};
    all.items = sa_arena_alloc(arena, (from[0]->count + from[1]->count + 1) * sizeof *all.items);
    for (size_t i = 0; i < SA_COUNT(from); i++)
        for (size_t k = 0; k < from[i]->count; k++)
            all.items[all.count++] = from[i]->items[k];
    if (l->on_timeout == SA_END_PAUSE || (l->idle_timeout_s && l->on_idle == SA_END_PAUSE))
        all.items[all.count++] = "cgroup.freezer"; /* what will be paused must have one */
    return all;
}

/* The environment is not in it: it may hold secrets, and is delivered over the link. */
static void print_object(struct sa_sandbox *s, const struct sa_sandbox_spec *spec,
                         const struct sa_security_answer *security, struct sa_buf *out)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_spec object = *spec;
    struct sa_json_w w = sa_json_w_start(out);
    object.name = NULL;
    object.env = (struct sa_json_map){0};
    object.annotations = annotations(s, spec, security, arena);
    sa_sandbox_manifest(&object, SA_NAMESPACE_DEFAULT, s->id, &w);
    sa_arena_free(arena);
}

/* ---- the claim ---- */

static bool fits(void *user, const struct sa_object *warm_pod)
{
    struct sa_sandbox *s = user;
    const struct sa_agent_facts *facts =
        sa_agent_facts(s->all->agent, sa_object_meta(warm_pod)->name);
    if (!facts)
        return false;
    for (size_t i = 0; i < s->required.count; i++) {
        size_t k = 0;
        while (k < facts->control_count && strcmp(facts->controls[k], s->required.items[i]) != 0)
            k++;
        if (k == facts->control_count)
            return false;
    }
    return true;
}

static void on_claimed(void *user, const struct sa_error *err, const struct sa_claim_result *result)
{
    struct sa_sandbox *s = user;
    s->claim = NULL;
    if (err) {
        bool none = strcmp(err->path, "warm") == 0;
        sa_sandbox_fail(s, SA_EVENT_REFUSED, none ? "NoWarmPod" : "ClaimFailed", err);
        return;
    }
    s->object = true;
    s->warm = result->warm_pod != NULL;
    s->created_ms = sa_object_meta(result->sandbox)->created_ms; /* as whoever adopts it will say */
    snprintf(s->pod, sizeof s->pod, "%s", s->warm ? sa_object_meta(result->warm_pod)->name : s->id);
    if (s->phase == SA_PHASE_TERMINATING)
        sa_sandbox_delete_object(s);
    else
        sa_sandbox_attach(s);
}

static void keep_required(struct sa_sandbox *s, const struct sa_json_strings *required)
{
    s->required.items = sa_arena_alloc(s->arena, (required->count + 1) * sizeof *s->required.items);
    s->required.count = required->count;
    for (size_t i = 0; i < required->count; i++)
        s->required.items[i] = sa_arena_strdup(s->arena, required->items[i]);
}

void sa_sandbox_claim(struct sa_sandbox *s, const struct sa_sandbox_spec *spec,
                      const struct sa_security_answer *security)
{
    sa_autobuf object = SA_BUF_INIT;
    char key[SA_POOL_KEY_BYTES];
    struct sa_arena *scratch = sa_arena_new();
    const struct sa_json_strings required = controls(spec, security, scratch);
    for (size_t i = 0; i < spec->env.count; i++) {
        const char *pair =
            sa_arena_printf(scratch, "%s=%s", spec->env.items[i].key, spec->env.items[i].value);
        sa_fields_add_text(&s->setup, SA_SETUP_ENV, pair);
    }
    keep_required(s, &required);
    print_object(s, spec, security, &object);
    sa_pool_key(&(struct sa_pool_key){.runtime = spec->runtime,
                                      .profile = spec->profile,
                                      .digest = security->profile,
                                      .level = spec->level,
                                      .resources = &spec->resources},
                key);
    const struct sa_claim_ask ask = {.namespace_ = SA_NAMESPACE_DEFAULT,
                                     .name = s->id,
                                     .tenant = s->owner.key_id,
                                     .key = key,
                                     .pool = spec->warm_pool[0] ? spec->warm_pool : NULL,
                                     .warm = spec->warm,
                                     .manifest = object.data,
                                     .length = object.length,
                                     .fits = fits};
    sa_sandbox_step(s, SA_EVENT_SUBMITTED);
    s->claim = sa_claim_start(s->all->claims, &ask, on_claimed, s);
    sa_arena_free(scratch);
}

/* ---- what is refused at once ---- */

static int check_controls(const struct sa_json_strings *required, struct sa_error *err)
{
    char path[48], known[400];
    for (size_t i = 0; i < required->count; i++) {
        if (sa_control_find(required->items[i]) >= 0)
            continue;
        snprintf(path, sizeof path, "requiredControls[%zu]", i);
        sa_control_list(known, sizeof known);
        return sa_error_at(err, SA_EINVALID, path, "%s: no control is called \"%s\"; there are %s",
                           path, required->items[i], known);
    }
    return 0;
}

int sa_sandbox_check_create(const struct sa_sandboxes *all, const struct sa_sandbox_spec *spec,
                            struct sa_error *err)
{
    size_t env_bytes = 0;
    for (size_t i = 0; i < spec->env.count; i++)
        env_bytes += strlen(spec->env.items[i].key) + strlen(spec->env.items[i].value) + 8;
    if (env_bytes > 32 * 1024)
        return sa_error_at(err, SA_EINVALID, "env",
                           "env: %zu bytes in all, at most 32768 can be delivered", env_bytes);
    if (check_controls(&spec->required_controls, err) < 0)
        return -1;
    if (all->stopping)
        return sa_error_set(err, SA_EUNAVAILABLE, "the server is shutting down");
    if (all->count >= all->max_running)
        return sa_error_set(err, SA_EQUOTA,
                            "%zu sandboxes run here, which is the limit; delete some first",
                            all->count);
    return 0;
}
