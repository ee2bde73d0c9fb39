#include "claim/pod_manifest.h"

#include "base/cleanup.h"
#include "kinds/names.h"
#include "kinds/pod.h"
#include "model/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last three: there is no network, and npm and pip should say so at once, not after a minute
 * of retries; pip may install what was uploaded, since the system is read-only. */
static const struct sa_pod_env defaults[] = {
    {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/etc/secureagent/bin"},
    {"HOME", "/home/user"},
    {"USER", "user"},
    {"LOGNAME", "user"},
    {"LANG", "C.UTF-8"},
    {"SHELL", "/bin/bash"},
    {"TMPDIR", "/tmp"},
    {"npm_config_fetch_retries", "0"},
    {"PIP_RETRIES", "0"},
    {"PIP_BREAK_SYSTEM_PACKAGES", "1"}};

const char *sa_map_get(const struct sa_json_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

const char *sa_language_runtime(enum sa_language language)
{
    static const char *const names[] = {"python", "node", "bash", "go", "base"};
    return names[language];
}

/* ---- writing ---- */

static void put_labels(const struct sa_pod_wanted *wanted, struct sa_json_w *w)
{
    const struct sa_object_meta *owner = sa_object_meta(wanted->owner);
    bool warm = strcmp(sa_object_kind(wanted->owner)->name, "WarmPod") == 0;
    sa_json_put_object(w, "labels");
    sa_json_put_string(w, SA_POD_RUNTIME, wanted->runtime);
    sa_json_put_string(w, warm ? SA_POD_WARM_POD : SA_POD_SANDBOX, owner->name);
    if (wanted->pool && strlen(wanted->pool) <= 63) /* as long as a label's value may be */
        sa_json_put_string(w, SA_POD_POOL, wanted->pool);
    sa_json_w_end_object(w);
}

static void put_number(struct sa_json_w *w, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    sa_json_put_string(w, key, text);
}

static void put_required(const struct sa_pod_wanted *wanted, struct sa_json_w *w)
{
    const struct sa_json_strings *controls = &wanted->posture->required_controls;
    sa_autobuf text = SA_BUF_INIT;
    for (size_t i = 0; i < controls->count; i++)
        sa_buf_printf(&text, "%s%s", text.length ? "," : "", controls->items[i]);
    if (wanted->pausable)
        sa_buf_printf(&text, "%scgroup.freezer", text.length ? "," : "");
    if (text.length)
        sa_json_put_string(w, SA_POD_REQUIRED, text.data);
}

static void put_annotations(const struct sa_pod_wanted *wanted, struct sa_json_w *w)
{
    const struct sa_resources *r = wanted->resources;
    sa_json_put_object(w, "annotations");
    sa_json_put_string(w, SA_POD_LANGUAGE, sa_language_runtime(wanted->language));
    sa_json_put_string(w, SA_POD_SECURITY_LEVEL, sa_security_level_name(wanted->posture->level));
    sa_json_put_string(w, SA_POD_SECURITY_PROFILE, wanted->digest);
    put_number(w, SA_POD_PIDS, r->pids);
    put_number(w, SA_POD_INODES, r->inodes);
    if (r->cpu_pinning)
        sa_json_put_string(w, SA_POD_CPU_PINNING, "true");
    put_required(wanted, w);
    sa_json_w_end_object(w);
}

static void put_owner(const struct sa_object *owner, struct sa_json_w *w)
{
    const struct sa_kind *kind = sa_object_kind(owner);
    sa_json_put_array(w, "ownerReferences");
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "apiVersion", kind->api_version);
    sa_json_put_string(w, "kind", kind->name);
    sa_json_put_string(w, "name", sa_object_meta(owner)->name);
    sa_json_put_string(w, "uid", sa_object_meta(owner)->uid);
    sa_json_put_bool(w, "controller", true);
    sa_json_put_bool(w, "blockOwnerDeletion", true);
    sa_json_w_end_object(w);
    sa_json_w_end_array(w);
}

static void put_metadata(const struct sa_pod_wanted *wanted, struct sa_json_w *w)
{
    const struct sa_object_meta *owner = sa_object_meta(wanted->owner);
    sa_json_put_object(w, "metadata");
    sa_json_put_string(w, "namespace", owner->namespace_);
    sa_json_put_string(w, "name", owner->name);
    put_labels(wanted, w);
    put_annotations(wanted, w);
    put_owner(wanted->owner, w);
    sa_json_put_array(w, "finalizers");
    sa_json_w_string(w, SA_FINALIZER_NODE);
    sa_json_w_end_array(w);
    sa_json_w_end_object(w);
}

static void put_spec(const struct sa_pod_wanted *wanted, struct sa_json_w *w)
{
    const struct sa_json_map *own = wanted->env;
    const size_t count = SA_COUNT(defaults) + (own ? own->count : 0);
    const char *name = sa_object_meta(wanted->owner)->name, *hostname = wanted->hostname;
    const bool named = hostname && sa_name_valid(hostname) && strcmp(hostname, name) != 0;
    struct sa_pod_env *env = sa_alloc(count * sizeof *env);
    memcpy(env, defaults, sizeof defaults);
    for (size_t i = SA_COUNT(defaults); i < count; i++)
        env[i] = (struct sa_pod_env){own->items[i - SA_COUNT(defaults)].key,
                                     own->items[i - SA_COUNT(defaults)].value};
    const char *all = "ALL";
    struct sa_pod_container container = {
        .name = "sandbox",
        .image = wanted->image,
        .image_pull_policy = "",
        .working_dir = "",
        .env = {env, count},
        .resources.limits = {.cpu_millicores = wanted->resources->cpu_millicores,
                             .memory_bytes = wanted->resources->memory_bytes,
                             .storage_bytes = wanted->resources->storage_bytes},
        .security = {.run_as_user = -1,
                     .run_as_group = -1,
                     .fs_group = -1,
                     .run_as_non_root = true,
                     .read_only_root = true,
                     .capabilities.drop = {&all, 1}}};
    const struct sa_pod_spec spec = {
        .node = wanted->node,
        .runtime_class = wanted->posture->runtime_class,
        .service_account = "",
        .hostname = named ? hostname : "", /* of pods that say none it is the name */
        .restart = SA_POD_RESTART_NEVER,
        .security = {.run_as_user = -1, .run_as_group = -1, .fs_group = -1},
        .containers = {&container, 1}};
    sa_json_put_object(w, "spec");
    sa_kind_pod.print_spec(&spec, w);
    sa_json_w_end_object(w);
    free(env);
}

void sa_pod_of(const struct sa_pod_wanted *wanted, struct sa_buf *manifest)
{
    struct sa_json_w w = sa_json_w_start(manifest);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "apiVersion", sa_kind_pod.api_version);
    sa_json_put_string(&w, "kind", sa_kind_pod.name);
    put_metadata(wanted, &w);
    put_spec(wanted, &w);
    sa_json_w_end_object(&w);
}

/* ---- reading ---- */

static int need_text(const struct sa_object *pod, const char *key, const char **out,
                     struct sa_error *err)
{
    *out = sa_map_get(&sa_object_meta(pod)->annotations, key);
    if (*out && (*out)[0])
        return 0;
    return sa_error_at(err, SA_EINVALID, "metadata.annotations",
                       "metadata.annotations: expected %s, without which no node can run it", key);
}

static int need_number(const struct sa_object *pod, const char *key, int64_t *out,
                       struct sa_error *err)
{
    const char *text;
    char *end;
    if (need_text(pod, key, &text, err) < 0)
        return -1;
    *out = strtoll(text, &end, 10);
    if (*end || *out <= 0 || strlen(text) > 18)
        return sa_error_at(err, SA_EINVALID, "metadata.annotations",
                           "metadata.annotations: expected a number in %s", key);
    return 0;
}

static int read_limits(const struct sa_pod_spec *spec, struct sa_pod_box *box, struct sa_error *err)
{
    const struct sa_pod_quantities *limits = &spec->containers.items[0].resources.limits;
    if (!limits->cpu_millicores || !limits->memory_bytes || !limits->storage_bytes)
        return sa_error_at(err, SA_EINVALID, "spec.containers[0].resources.limits",
                           "spec.containers[0].resources.limits: expected cpu, memory and "
                           "ephemeral-storage: nothing runs without limits");
    box->cpu_millicores = limits->cpu_millicores;
    box->memory_bytes = limits->memory_bytes;
    box->storage_bytes = limits->storage_bytes;
    return 0;
}

static void read_env(const struct sa_pod_spec *spec, struct sa_arena *arena, struct sa_pod_box *box)
{
    const struct sa_pod_container *container = &spec->containers.items[0];
    box->env.items = sa_arena_alloc(arena, (container->env.count + 1) * sizeof *box->env.items);
    for (size_t i = 0; i < container->env.count; i++)
        box->env.items[box->env.count++] = sa_arena_printf(
            arena, "%s=%s", container->env.items[i].name, container->env.items[i].value);
}

int sa_pod_box_of(const struct sa_object *pod, struct sa_arena *arena, struct sa_pod_box *box,
                  struct sa_error *err)
{
    const struct sa_object_meta *meta = sa_object_meta(pod);
    const struct sa_pod_spec *spec = sa_object_spec(pod);
    const char *pinning = sa_map_get(&meta->annotations, SA_POD_CPU_PINNING);
    *box = (struct sa_pod_box){.id = meta->name,
                               .hostname = spec->hostname[0] ? spec->hostname : meta->name,
                               .cpu_pinning = pinning && strcmp(pinning, "true") == 0};
    if (need_text(pod, SA_POD_LANGUAGE, &box->runtime, err) < 0 ||
        need_text(pod, SA_POD_SECURITY_PROFILE, &box->profile, err) < 0 ||
        need_number(pod, SA_POD_PIDS, &box->pids, err) < 0 ||
        need_number(pod, SA_POD_INODES, &box->inodes, err) < 0 || read_limits(spec, box, err) < 0)
        return -1;
    const struct sa_json_strings none = {0};
    box->required_controls =
        sa_controls_join(&none, sa_map_get(&meta->annotations, SA_POD_REQUIRED), arena);
    read_env(spec, arena, box);
    return 0;
}
