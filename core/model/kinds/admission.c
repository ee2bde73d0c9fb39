#include "kinds/admission.h"

#include "base/cleanup.h"
#include "model/settings.h"
#include "json/quantity.h"

#include <string.h>

static const char *const metadata_names[] = {"name", "labels", "annotations"};
static const char *const spec_names[] = {
    "runtime",    "securityLevel", "profileRef", "timeout",    "warm",
    "warmPool",   "resources",     "lifecycle",  "imports",    "requiredControls",
    "filesystem", "networkAccess", "storage",    "secretsRef", "securityContext"};

static bool is_empty(const char *json, size_t length)
{
    return length == 2 && (json[0] == '{' || json[0] == '[');
}

/* A member as it stands, if it is there and holds anything. */
static int copy_member(struct sa_json_obj *from, const char *name, struct sa_json_w *w,
                       struct sa_error *err)
{
    const char *json;
    size_t length;
    bool present;
    if (sa_json_opt_raw(from, name, &json, &length, &present, err) < 0)
        return -1;
    if (present && !is_empty(json, length))
        sa_json_put_raw(w, name, json, length);
    return 0;
}

static int copy_members(struct sa_json_obj *from, const char *const *names, size_t count,
                        struct sa_json_w *w, struct sa_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (copy_member(from, names[i], w, err) < 0)
            return -1;
    return 0;
}

static int copy_env(struct sa_json_obj *from, struct sa_json_w *w, struct sa_error *err)
{
    struct sa_json_map env = {0};
    if (sa_json_opt_map(from, "env", SA_ENV_MAX, SA_ENV_VALUE_MAX_BYTES, &env, NULL, err) < 0)
        return -1;
    if (!env.count)
        return 0;
    sa_json_put_object(w, "env");
    for (size_t i = 0; i < env.count; i++)
        sa_json_put_string(w, env.items[i].key, SA_ADMISSION_SECRET);
    sa_json_w_end_object(w);
    return 0;
}

static int print_body(struct sa_json_obj *root, struct sa_json_w *w, struct sa_error *err)
{
    sa_json_w_begin_object(w);
    sa_json_put_object(w, "metadata");
    if (copy_members(root, metadata_names, SA_COUNT(metadata_names), w, err) < 0)
        return -1;
    sa_json_w_end_object(w);
    sa_json_put_object(w, "spec");
    if (copy_members(root, spec_names, SA_COUNT(spec_names), w, err) < 0 ||
        copy_env(root, w, err) < 0)
        return -1;
    sa_json_w_end_object(w);
    sa_json_w_end_object(w);
    return sa_json_finish(root, err); /* a member that create knows and this does not: a bug */
}

int sa_admission_of_body(const char *body, size_t length, struct sa_buf *out, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_json_w w = sa_json_w_start(out);
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    struct sa_arena *arena = sa_arena_new();
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = print_body(&root, &w, err);
    sa_arena_free(arena);
    sa_json_free(doc);
    return rc;
}

/* ---- of a sandbox that lives ---- */

void sa_admission_of_spec(const struct sa_sandbox_spec *spec, const char *id, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "uid", id);
    if (spec->name)
        sa_json_put_string(&w, "name", spec->name);
    sa_json_put_map(&w, "labels", &spec->labels);
    sa_json_put_map(&w, "annotations", &spec->annotations);
    sa_json_w_end_object(&w);
    sa_json_put_object(&w, "spec");
    sa_json_put_string(&w, "runtime", spec->runtime);
    sa_json_put_string(&w, "securityLevel", sa_security_level_name(spec->level));
    if (spec->profile[0])
        sa_json_put_string(&w, "profileRef", spec->profile);
    sa_json_put_int(&w, "timeout", spec->timeout_s);
    sa_resources_put(&w, &spec->resources);
    sa_lifecycle_put(&w, &spec->lifecycle);
    if (spec->imports.count)
        sa_json_put_strings(&w, "imports", spec->imports.items, spec->imports.count);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

/* ---- back ---- */

static int flatten(struct sa_json_obj *root, struct sa_buf *out, struct sa_error *err)
{
    struct sa_json_obj metadata;
    struct sa_json_w w = sa_json_w_start(out);
    const char *spec, *uid;
    size_t length;
    sa_json_w_begin_object(&w);
    if (sa_json_get_obj(root, "metadata", &metadata, err) < 0 ||
        sa_json_opt_string(&metadata, "uid", 64, &uid, NULL, err) < 0 ||
        copy_members(&metadata, metadata_names, SA_COUNT(metadata_names), &w, err) < 0 ||
        sa_json_finish(&metadata, err) < 0 ||
        sa_json_get_raw(root, "spec", &spec, &length, err) < 0)
        return -1;
    if (spec[0] != '{')
        return sa_json_fail(root, "spec", err, "expected an object");
    sa_json_w_raw_members(&w, spec, length);
    sa_json_w_end_object(&w);
    return 0; /* what else there is, a status say, is nothing that anybody may set */
}

static const char *value_of(const struct sa_json_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

static void restore_env(const struct sa_json_map *given, struct sa_json_map *env)
{
    for (size_t i = 0; i < env->count; i++) {
        const char *value = value_of(given, env->items[i].key);
        if (value && strcmp(env->items[i].value, SA_ADMISSION_SECRET) == 0)
            env->items[i].value = value;
    }
}

int sa_admission_decode(const char *object, size_t length, struct sa_arena *arena,
                        struct sa_sandbox_spec *spec, struct sa_error *err)
{
    struct sa_json_obj root;
    struct sa_sandbox_spec next;
    sa_autobuf flat = SA_BUF_INIT;
    struct sa_json_doc *doc = sa_json_parse(object, length, NULL, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = flatten(&root, &flat, err);
    sa_json_free(doc);
    if (rc < 0 || sa_sandbox_spec_decode(flat.data, flat.length, arena, NULL, &next, err) < 0)
        return -1;
    restore_env(&spec->env, &next.env);
    *spec = next;
    return 0;
}
