#include "api/terms.h"

#include "base/cleanup.h"
#include "claim/pod_manifest.h"
#include "claim/runtime_fit.h"
#include "kinds/names.h"
#include "kinds/warm_pool.h"
#include "json/merge.h"
#include "json/quantity.h"
#include "json/write.h"

#include <stdio.h>
#include <string.h>

typedef struct sa_sandbox_spec spec;

/* ---- what this node has not got ---- */

static int unavailable(struct sa_error *err, const char *field, const char *control,
                       const char *why)
{
    return sa_error_at(err, SA_ECONTROL, field,
                       "%s: the control %s is not available on this node: %s", field, control, why);
}

int sa_terms_check(const spec *s, struct sa_json_notes *notes, struct sa_error *err)
{
    const struct {
        bool asked;
        const char *field, *control, *why;
    } lacking[] = {
        {s->network.egress.count, "networkAccess.egress", "egress.gateway",
         "nothing connects out of its sandboxes; leave it out"},
        {!s->filesystem.read_only_root, "filesystem.readOnlyRoot", "filesystem.root",
         "the root of its sandboxes is always read-only; leave it out"},
        {s->storage.persistent, "storage.persistent", "storage.volumes",
         "it has no volumes that stay; leave it out"},
        {s->secrets.count, "secretsRef", "secrets.store",
         "no secrets are kept here; give their values in env"},
        {s->resources.cpu_pinning, "resources.cpuPinning", "cpu.pinning",
         "it gives nobody processors of their own; leave it out"},
    };
    bool failed = false;
    for (size_t i = 0; i < SA_COUNT(lacking); i++)
        if (lacking[i].asked &&
            !sa_json_go_on(notes,
                           unavailable(err, lacking[i].field, lacking[i].control, lacking[i].why),
                           err, &failed))
            return -1;
    return failed ? -1 : 0;
}

/* ---- which folders can be written ---- */

static bool has(const struct sa_json_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

static bool is_default(const struct sa_filesystem *f)
{
    const struct sa_json_strings *usual = &sa_filesystem_defaults.writable_paths;
    for (size_t i = 0; i < usual->count; i++)
        if (!has(&f->writable_paths, usual->items[i]))
            return false;
    return f->writable_paths.count == usual->count;
}

/* Of the profile's folders some may be left out, but none added. */
static int check_folders(const struct sa_filesystem *demanded, const struct sa_filesystem *own,
                         struct sa_error *err)
{
    static const char field[] = "filesystem.writablePaths";
    if (is_default(demanded) || is_default(own))
        return 0;
    for (size_t i = 0; i < own->writable_paths.count; i++)
        if (!has(&demanded->writable_paths, own->writable_paths.items[i]))
            return sa_error_at(err, SA_EINVALID, field,
                               "%s: its profile does not let %.200s be written", field,
                               own->writable_paths.items[i]);
    return 0;
}

/* They are part of the security context, which only the level custom lets anybody choose. */
static int choose_folders(const struct sa_filesystem *f, struct sa_arena *arena,
                          struct sa_posture *posture, struct sa_error *err)
{
    static const char field[] = "filesystem.writablePaths";
    const char *context = posture->security_context[0] ? posture->security_context : "{}";
    sa_autobuf patch = SA_BUF_INIT, merged = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&patch);
    if (posture->level != SA_LEVEL_CUSTOM)
        return unavailable(err, field, "writablePaths",
                           "which folders can be written is the rules' to say, but for the "
                           "securityLevel custom");
    if (strstr(context, "\"writablePaths\""))
        return sa_error_at(err, SA_EINVALID, field,
                           "%s: expected here or in securityContext, not in both", field);
    sa_json_w_begin_object(&w);
    sa_json_put_strings(&w, "writablePaths", f->writable_paths.items, f->writable_paths.count);
    sa_json_w_end_object(&w);
    if (sa_json_merge_patch(context, strlen(context), patch.data, patch.length, NULL, &merged,
                            err) < 0)
        return -1;
    posture->security_context = sa_arena_strndup(arena, merged.data, merged.length);
    return 0;
}

/* ---- its runtime ---- */

/* Of the object's path ("spec.timeout") the one of the body is left. */
static int flat_error(struct sa_error *err)
{
    static const char before[] = "spec.";
    const size_t n = sizeof before - 1;
    if (strncmp(err->path, before, n) == 0)
        memmove(err->path, err->path + n, strlen(err->path + n) + 1);
    if (strncmp(err->message, before, n) == 0)
        memmove(err->message, err->message + n, strlen(err->message + n) + 1);
    err->code = SA_EINVALID;
    return -1;
}

static int find_runtime(const struct sa_caches *caches, struct sa_arena *arena, spec *s,
                        struct sa_posture *posture, struct sa_error *err)
{
    const struct sa_object *object = sa_informer_get(caches->runtimes, s->runtime);
    struct sa_error why;
    if (sa_runtime_fit(s->runtime, object, &s->resources, &why) < 0) {
        const enum sa_code code = why.code == SA_ECONTROL ? why.code : SA_EINVALID;
        flat_error(&why);
        return sa_error_at(err, code, why.path, "%s", why.message);
    }
    if (!object)
        return 0; /* built in: called like its language */
    const struct sa_runtime_spec *runtime = sa_object_spec(object);
    s->language = sa_language_runtime(runtime->language);
    for (size_t i = 0; i < runtime->requirements.controls.count; i++)
        posture->required_controls = sa_controls_join(
            &posture->required_controls, runtime->requirements.controls.items[i], arena);
    s->required_controls = posture->required_controls;
    return 0;
}

/* ---- its profile ---- */

static int join_ingress(const struct sa_ingress *demanded, struct sa_ingress *own,
                        struct sa_error *err)
{
    static const char field[] = "networkAccess.ingress.ports";
    own->enabled = own->enabled && demanded->enabled;
    if (!own->ports.count)
        own->ports = demanded->ports;
    for (size_t i = 0; demanded->ports.count && i < own->ports.count; i++) {
        size_t k = 0;
        while (k < demanded->ports.count && demanded->ports.items[k] != own->ports.items[i])
            k++;
        if (k == demanded->ports.count)
            return sa_error_at(err, SA_EINVALID, field, "%s: its profile does not let %lld through",
                               field, (long long)own->ports.items[i]);
    }
    return 0;
}

static int join_profile(const struct sa_profile_spec *profile, struct sa_arena *arena, spec *s,
                        struct sa_posture *posture, struct sa_error *err)
{
    struct sa_sandbox_wanted wanted;
    struct sa_error why;
    sa_sandbox_of_flat(s, &wanted);
    if (sa_posture_of_sandbox(&wanted, profile, arena, posture, &why) < 0) {
        flat_error(&why);
        return sa_error_at(err, why.code, why.path, "%s", why.message);
    }
    s->required_controls = posture->required_controls;
    if (!profile)
        return 0;
    if (posture->runtime_class[0] && strcmp(posture->runtime_class, "native") != 0)
        return sa_error_at(err, SA_ECONTROL, "profileRef",
                           "profileRef: the profile wants the runtime class \"%.63s\", which is "
                           "not available on this node: it has only \"native\"",
                           posture->runtime_class);
    if (profile->network.egress.count)
        return unavailable(err, "profileRef", "egress.gateway",
                           "the profile has networkAccess.egress, and nothing connects out of "
                           "sandboxes here");
    if (!profile->filesystem.read_only_root)
        return unavailable(err, "profileRef", "filesystem.root",
                           "the profile has filesystem.readOnlyRoot false, and the root of its "
                           "sandboxes is always read-only");
    if (join_ingress(&profile->network.ingress, &s->network.ingress, err) < 0)
        return -1;
    return check_folders(&profile->filesystem, &s->filesystem, err);
}

static int find_profile(const struct sa_caches *caches, const spec *s,
                        const struct sa_profile_spec **profile, struct sa_error *err)
{
    *profile = NULL;
    if (!s->profile[0])
        return 0;
    const struct sa_object *object = sa_informer_get(caches->profiles, s->profile);
    if (!object)
        return sa_error_at(err, SA_EINVALID, "profileRef",
                           "profileRef: there is no SandboxProfile \"%.63s\"", s->profile);
    *profile = sa_object_spec(object);
    return 0;
}

/* ---- its pool ---- */

struct difference { /* between a pool's pods and what is asked for */
    const char *field, *has, *asked;
};

static const char *shown(const char *text)
{
    return text[0] ? text : "none";
}

static bool differ_in_size(const struct sa_resources *has, const struct sa_resources *asked,
                           struct sa_arena *arena, struct difference *d)
{
    char one[SA_QUANTITY_BYTES], other[SA_QUANTITY_BYTES];
    if (has->cpu_millicores != asked->cpu_millicores) {
        d->field = "resources.cpu";
        sa_quantity_cpu_print(has->cpu_millicores, one);
        sa_quantity_cpu_print(asked->cpu_millicores, other);
    } else if (has->memory_bytes != asked->memory_bytes) {
        d->field = "resources.memory";
        sa_quantity_bytes_print(has->memory_bytes, one);
        sa_quantity_bytes_print(asked->memory_bytes, other);
    } else if (has->storage_bytes != asked->storage_bytes) {
        d->field = "resources.ephemeralStorage";
        sa_quantity_bytes_print(has->storage_bytes, one);
        sa_quantity_bytes_print(asked->storage_bytes, other);
    } else if (has->pids != asked->pids) {
        d->field = "resources.pids";
        snprintf(one, sizeof one, "%lld", (long long)has->pids);
        snprintf(other, sizeof other, "%lld", (long long)asked->pids);
    } else {
        return false;
    }
    d->has = sa_arena_strdup(arena, one);
    d->asked = sa_arena_strdup(arena, other);
    return true;
}

static bool differ(const struct sa_warm_pool_spec *pool, const spec *s, struct sa_arena *arena,
                   struct difference *d)
{
    if (strcmp(pool->runtime, s->runtime) != 0)
        *d = (struct difference){"runtime", pool->runtime, s->runtime};
    else if (pool->level != s->level)
        *d = (struct difference){"securityLevel", sa_security_level_name(pool->level),
                                 sa_security_level_name(s->level)};
    else if (strcmp(pool->profile, s->profile) != 0)
        *d = (struct difference){"profile", shown(pool->profile), shown(s->profile)};
    else if (pool->resources.cpu_pinning != s->resources.cpu_pinning)
        *d = (struct difference){"resources.cpuPinning",
                                 pool->resources.cpu_pinning ? "true" : "false",
                                 s->resources.cpu_pinning ? "true" : "false"};
    else
        return differ_in_size(&pool->resources, &s->resources, arena, d);
    return true;
}

/* One that can never be had from it is a mistake, however much the pool matters. */
static int check_pool(const struct sa_caches *caches, struct sa_arena *arena, const spec *s,
                      struct sa_error *err)
{
    char key[SA_OBJECT_NAME_MAX + sizeof SA_NAMESPACE_DEFAULT + 1];
    struct difference d;
    if (!s->warm_pool[0])
        return 0;
    snprintf(key, sizeof key, "%s/%s", SA_NAMESPACE_DEFAULT, s->warm_pool);
    const struct sa_object *object = sa_informer_get(caches->warm_pools, key);
    if (!object)
        return sa_error_at(err, SA_EINVALID, "warmPool", "warmPool: there is no WarmPool \"%.63s\"",
                           s->warm_pool);
    if (!differ(sa_object_spec(object), s, arena, &d))
        return 0;
    return sa_error_at(err, SA_EINVALID, "warmPool",
                       "warmPool: the pods of \"%.63s\" have %s %.63s, and %.63s is asked for; "
                       "runtime, securityLevel, profile and resources must be the same",
                       s->warm_pool, d.field, d.has, d.asked);
}

/* ---- all ---- */

static int take_profile(const struct sa_caches *caches, struct sa_arena *arena, spec *s,
                        struct sa_posture *posture, struct sa_error *err)
{
    const struct sa_profile_spec *profile;
    if (find_profile(caches, s, &profile, err) < 0 ||
        join_profile(profile, arena, s, posture, err) < 0)
        return -1;
    const bool own = !profile || !is_default(&s->filesystem);
    const struct sa_filesystem *folders = own ? &s->filesystem : &profile->filesystem;
    return is_default(folders) ? 0 : choose_folders(folders, arena, posture, err);
}

int sa_terms(const struct sa_caches *caches, struct sa_arena *arena, spec *s,
             struct sa_posture *posture, struct sa_json_notes *notes, struct sa_error *err)
{
    bool failed = false;
    if (sa_json_go_on(notes, sa_terms_check(s, notes, err), err, &failed) &&
        sa_json_go_on(notes, take_profile(caches, arena, s, posture, err), err, &failed) &&
        sa_json_go_on(notes, find_runtime(caches, arena, s, posture, err), err, &failed) &&
        sa_json_go_on(notes, check_pool(caches, arena, s, err), err, &failed) && !failed)
        return 0;
    *err = notes->mistakes[0];
    return -1;
}
