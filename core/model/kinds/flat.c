/* The Sandbox and the body of a create: the same thing in two shapes. */
#include "kinds/sandbox.h"

#include "json/quantity.h"

static const struct sa_sandbox_wanted defaults = {
    .profile = "",
    .security_context = "",
    .storage = {.volume_bytes = INT64_C(1) << 30, .name = ""},
    .warm_pool = ""};

void sa_sandbox_of_flat(const struct sa_sandbox_spec *flat, struct sa_sandbox_wanted *spec)
{
    *spec = defaults;
    spec->runtime = flat->runtime;
    spec->level = flat->level;
    spec->security_context = flat->security_context ? flat->security_context : "";
    spec->timeout_s = flat->timeout_s;
    spec->resources = flat->resources;
    spec->network.ingress.enabled = true;
    spec->filesystem = sa_filesystem_defaults;
    spec->env = flat->env;
    spec->warm = flat->warm;
    spec->lifecycle = flat->lifecycle;
    spec->imports = flat->imports;
    spec->required_controls = flat->required_controls;
}

int sa_sandbox_to_flat(const struct sa_object_meta *meta, const struct sa_sandbox_wanted *spec,
                       struct sa_sandbox_spec *flat, struct sa_error *err)
{
    char most[SA_QUANTITY_BYTES];
    if (spec->resources.storage_bytes > spec->resources.memory_bytes / 2) {
        sa_quantity_bytes_print(spec->resources.memory_bytes / 2, most);
        return sa_error_at(err, SA_EINVALID, "spec.resources.ephemeralStorage",
                           "spec.resources.ephemeralStorage: " SA_STORAGE_EXPECTED, most);
    }
    *flat = (struct sa_sandbox_spec){.name = meta->name[0] ? meta->name : NULL,
                                     .runtime = spec->runtime,
                                     .level = spec->level,
                                     .warm = spec->warm,
                                     .timeout_s = spec->timeout_s,
                                     .resources = spec->resources,
                                     .lifecycle = spec->lifecycle,
                                     .env = spec->env,
                                     .labels = meta->labels,
                                     .annotations = meta->annotations,
                                     .required_controls = spec->required_controls,
                                     .imports = spec->imports,
                                     .security_context =
                                         spec->security_context[0] ? spec->security_context : NULL};
    return 0;
}

static void put_map(struct sa_json_w *w, const char *name, const struct sa_json_map *map)
{
    if (!map->count)
        return;
    sa_json_put_object(w, name);
    for (size_t i = 0; i < map->count; i++)
        sa_json_put_string(w, map->items[i].key, map->items[i].value);
    sa_json_w_end_object(w);
}

void sa_sandbox_manifest(const struct sa_sandbox_spec *flat, const char *namespace_,
                         const char *name, struct sa_json_w *w)
{
    struct sa_sandbox_wanted spec;
    sa_sandbox_of_flat(flat, &spec);
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "apiVersion", sa_kind_sandbox.api_version);
    sa_json_put_string(w, "kind", sa_kind_sandbox.name);
    sa_json_put_object(w, "metadata");
    if (namespace_)
        sa_json_put_string(w, "namespace", namespace_);
    sa_json_put_string(w, "name", flat->name ? flat->name : name);
    put_map(w, "labels", &flat->labels);
    put_map(w, "annotations", &flat->annotations);
    sa_json_w_end_object(w);
    sa_json_put_object(w, "spec");
    sa_schema_print(&sa_schema_sandbox, &spec, w);
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
}
