#include "claim/posture.h"

#include <string.h>

static void add(struct sa_json_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return;
    list->items[list->count++] = text;
}

/* Room for `most` more. */
static struct sa_json_strings copy(const struct sa_json_strings *list, size_t most,
                                   struct sa_arena *arena)
{
    struct sa_json_strings out = {0};
    out.items = sa_arena_alloc(arena, (list->count + most + 1) * sizeof *out.items);
    for (size_t i = 0; i < list->count; i++)
        add(&out, list->items[i]);
    return out;
}

struct sa_json_strings sa_controls_join(const struct sa_json_strings *list, const char *more,
                                        struct sa_arena *arena)
{
    size_t most = 1;
    for (const char *c = more ? more : ""; *c; c++)
        most += *c == ',';
    struct sa_json_strings out = copy(list, most, arena);
    char *rest = sa_arena_strdup(arena, more ? more : ""), *name;
    while ((name = strsep(&rest, ",")))
        if (name[0])
            add(&out, name);
    return out;
}

int sa_posture_join(const struct sa_posture *own, const struct sa_profile_spec *profile,
                    struct sa_arena *arena, struct sa_posture *out, struct sa_error *err)
{
    *out = *own;
    if (!profile)
        return 0;
    if (profile->level != SA_LEVEL_STANDARD && own->level != SA_LEVEL_STANDARD &&
        profile->level != own->level)
        return sa_error_at(err, SA_ECONFLICT, "spec.securityLevel",
                           "spec.securityLevel: it is %s, and its profile demands %s",
                           sa_security_level_name(own->level),
                           sa_security_level_name(profile->level));
    if (profile->security_context[0] && own->security_context[0])
        return sa_error_at(err, SA_ECONFLICT, "spec.securityContext",
                           "spec.securityContext: its profile has one, and only one can hold");
    if (profile->runtime_class[0] && own->runtime_class[0] &&
        strcmp(profile->runtime_class, own->runtime_class) != 0)
        return sa_error_at(err, SA_ECONFLICT, "spec.placement.runtimeClass",
                           "spec.placement.runtimeClass: it is %s, and its profile demands %s",
                           own->runtime_class, profile->runtime_class);
    if (profile->level != SA_LEVEL_STANDARD)
        out->level = profile->level;
    if (profile->security_context[0])
        out->security_context = profile->security_context;
    if (profile->runtime_class[0])
        out->runtime_class = profile->runtime_class;
    out->required_controls = copy(&own->required_controls, profile->required_controls.count, arena);
    for (size_t i = 0; i < profile->required_controls.count; i++)
        add(&out->required_controls, profile->required_controls.items[i]);
    return 0;
}

int sa_posture_of_sandbox(const struct sa_sandbox_wanted *sandbox,
                          const struct sa_profile_spec *profile, struct sa_arena *arena,
                          struct sa_posture *out, struct sa_error *err)
{
    const struct sa_posture own = {.level = sandbox->level,
                                   .security_context = sandbox->security_context,
                                   .runtime_class = "",
                                   .required_controls = sandbox->required_controls};
    if (profile && profile->timeout_max_s && sandbox->timeout_s > profile->timeout_max_s)
        return sa_error_at(err, SA_ECONFLICT, "spec.timeout",
                           "spec.timeout: %lld seconds, and its profile allows at most %lld",
                           (long long)sandbox->timeout_s, (long long)profile->timeout_max_s);
    return sa_posture_join(&own, profile, arena, out, err);
}
