/* Decoding, defaults and validation of the Sandbox resource. */
#include "model/sandbox.h"

#include "model/settings.h"
#include "json/quantity.h"

#include <string.h>

static const char *const levels[] = {"standard", "high", "custom", NULL};
static const char *const warms[] = {"prefer", "require", "never", NULL};
static const char *const runtimes[] = {"python", "node", "bash", "go", NULL};

const char *sa_security_level_name(enum sa_security_level level)
{
    return levels[level];
}

bool sa_name_valid(const char *name)
{
    size_t n = strlen(name);
    return n >= 1 && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           name[0] != '-' && name[n - 1] != '-';
}

void sa_resources_complete(struct sa_resources *r)
{
    if (!r->storage_bytes)
        r->storage_bytes = r->memory_bytes / 2;
    /* One inode for 8 KiB: as ext4 does for small volumes, within a range. */
    r->inodes = r->storage_bytes / 8192;
    r->inodes = r->inodes < 1024 ? 1024 : r->inodes > 1000000 ? 1000000 : r->inodes;
}

static int decode_resources(struct sa_json_obj *root, struct sa_resources *r, struct sa_error *err)
{
    struct sa_json_obj obj;
    bool given = false;
    *r = (struct sa_resources){.cpu_millicores = SA_CPU_DEFAULT_MILLICORES,
                               .memory_bytes = SA_MEMORY_DEFAULT_BYTES,
                               .pids = SA_PIDS_DEFAULT};
    if (sa_json_opt_obj(root, "resources", &obj, &given, err) < 0)
        return -1;
    if (given &&
        (sa_json_opt_cpu(&obj, "cpu", SA_CPU_MIN_MILLICORES, SA_CPU_MAX_MILLICORES,
                         &r->cpu_millicores, NULL, err) < 0 ||
         sa_json_opt_bytes(&obj, "memory", SA_MEMORY_MIN_BYTES, SA_MEMORY_MAX_BYTES,
                           &r->memory_bytes, NULL, err) < 0 ||
         sa_json_opt_bytes(&obj, "ephemeralStorage", SA_STORAGE_MIN_BYTES, SA_MEMORY_MAX_BYTES,
                           &r->storage_bytes, NULL, err) < 0 ||
         sa_json_opt_int(&obj, "pids", SA_PIDS_MIN, SA_PIDS_MAX, &r->pids, NULL, err) < 0 ||
         sa_json_finish(&obj, err) < 0))
        return -1;
    sa_resources_complete(r);
    if (r->storage_bytes > r->memory_bytes / 2) {
        char most[SA_QUANTITY_BYTES];
        sa_quantity_bytes_print(r->memory_bytes / 2, most);
        return sa_json_fail(&obj, "ephemeralStorage", err, SA_STORAGE_EXPECTED, most);
    }
    return 0;
}

static int check_env(const struct sa_json_obj *root, const struct sa_json_map *env,
                     struct sa_error *err)
{
    for (size_t i = 0; i < env->count; i++)
        if (strchr(env->items[i].key, '='))
            return sa_json_fail(root, "env", err, "the name \"%s\" holds '='", env->items[i].key);
    return 0;
}

/* Dotted names; what else a language's import could be made to do with a text is nobody's need. */
bool sa_module_name_valid(const char *name)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    for (const char *part = name;; part++) {
        size_t n = strspn(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        if (n == 0 || !strchr(letters, part[0]))
            return false;
        part += n;
        if (*part != '.')
            return *part == '\0';
    }
}

static int decode_labels(struct sa_json_obj *root, struct sa_json_map *labels, struct sa_error *err)
{
    if (sa_json_opt_map(root, "labels", SA_LABELS_MAX_COUNT, SA_LABEL_MAX_BYTES, labels, NULL,
                        err) < 0)
        return -1;
    return sa_labels_check(root, labels, err);
}

static int decode_imports(struct sa_json_obj *root, struct sa_json_strings *imports,
                          struct sa_error *err)
{
    if (sa_json_opt_strings(root, "imports", SA_IMPORTS_MAX, 128, imports, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < imports->count; i++)
        if (!sa_module_name_valid(imports->items[i]))
            return sa_json_fail(root, "imports", err, "\"%s\" is no name of a module, like \"a.b\"",
                                imports->items[i]);
    return 0;
}

/* Passed on to the rules, which know what may be in it. */
static int decode_context(struct sa_json_obj *root, struct sa_sandbox_spec *spec,
                          struct sa_error *err)
{
    size_t length;
    bool given;
    if (sa_json_opt_raw(root, "securityContext", &spec->security_context, &length, &given, err) < 0)
        return -1;
    if (!given)
        return 0;
    if (spec->security_context[0] != '{')
        return sa_json_fail(root, "securityContext", err, "expected an object");
    if (length > SA_SECURITY_CONTEXT_MAX_BYTES)
        return sa_json_fail(root, "securityContext", err, "%zu bytes, at most %d are taken", length,
                            SA_SECURITY_CONTEXT_MAX_BYTES);
    if (spec->level != SA_LEVEL_CUSTOM)
        return sa_json_fail(root, "securityContext", err,
                            "only with securityLevel custom; the other levels are the rules'");
    return 0;
}

static int decode(struct sa_json_obj *root, struct sa_sandbox_spec *spec, struct sa_error *err)
{
    int runtime = 0, level = SA_LEVEL_STANDARD, warm = SA_WARM_PREFER;
    spec->timeout_s = SA_TIMEOUT_DEFAULT_S;
    spec->lifecycle = sa_lifecycle_defaults;
    if (sa_json_get_enum(root, "runtime", runtimes, &runtime, err) < 0 ||
        sa_json_opt_string(root, "name", 63, &spec->name, NULL, err) < 0 ||
        sa_json_opt_enum(root, "securityLevel", levels, &level, NULL, err) < 0 ||
        sa_json_opt_int(root, "timeout", 1, SA_TIMEOUT_MAX_S, &spec->timeout_s, NULL, err) < 0 ||
        decode_resources(root, &spec->resources, err) < 0 ||
        sa_json_opt_map(root, "env", SA_ENV_MAX, SA_ENV_VALUE_MAX_BYTES, &spec->env, NULL, err) <
            0 ||
        check_env(root, &spec->env, err) < 0 || decode_labels(root, &spec->labels, err) < 0 ||
        sa_annotations_decode(root, &spec->annotations, err) < 0 ||
        sa_lifecycle_decode(root, &spec->lifecycle, err) < 0 ||
        decode_imports(root, &spec->imports, err) < 0 ||
        sa_json_opt_enum(root, "warm", warms, &warm, NULL, err) < 0 ||
        sa_json_opt_strings(root, "requiredControls", 64, 64, &spec->required_controls, NULL, err) <
            0)
        return -1;
    spec->level = (enum sa_security_level)level;
    if (decode_context(root, spec, err) < 0 || sa_json_finish(root, err) < 0)
        return -1;
    if (spec->name && !sa_name_valid(spec->name))
        return sa_json_fail(root, "name", err,
                            "expected 1-63 of a-z, 0-9 and '-', beginning and ending with a "
                            "letter or digit");
    spec->runtime = runtimes[runtime];
    spec->warm = (enum sa_warm)warm;
    return 0;
}

int sa_sandbox_spec_decode(const char *body, size_t length, struct sa_arena *arena,
                           struct sa_sandbox_spec *spec, struct sa_error *err)
{
    struct sa_json_obj root;
    *spec = (struct sa_sandbox_spec){0};
    struct sa_json_doc *doc = sa_json_parse(body, length, NULL, err);
    if (!doc)
        return -1;
    int rc = sa_json_root(doc, arena, &root, err);
    if (rc == 0)
        rc = decode(&root, spec, err);
    sa_json_free(doc);
    return rc;
}
