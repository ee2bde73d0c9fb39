/* Decoding, defaults, validation and printing of the Sandbox resource. */
#include "model/sandbox.h"

#include "base/clock.h"
#include "json/quantity.h"

#include <string.h>

static const char *const levels[] = {"standard", "high", "custom", NULL};
static const char *const warms[] = {"prefer", "require", "never", NULL};
static const char *const runtimes[] = {"python", "node", "bash", NULL};

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

static int decode_resources(struct sa_json_obj *root, struct sa_resources *r, struct sa_error *err)
{
    struct sa_json_obj obj;
    bool given = false, storage_given = false;
    *r = (struct sa_resources){.cpu_millicores = SA_CPU_DEFAULT_MILLICORES,
                               .memory_bytes = SA_MEMORY_DEFAULT_BYTES,
                               .pids = SA_PIDS_DEFAULT};
    if (sa_json_opt_obj(root, "resources", &obj, &given, err) < 0)
        return -1;
    if (given &&
        (sa_json_opt_cpu(&obj, "cpu", 10, 1024 * 1000, &r->cpu_millicores, NULL, err) < 0 ||
         sa_json_opt_bytes(&obj, "memory", SA_MEMORY_MIN_BYTES, SA_MEMORY_MAX_BYTES,
                           &r->memory_bytes, NULL, err) < 0 ||
         sa_json_opt_bytes(&obj, "ephemeralStorage", 1 << 20, SA_MEMORY_MAX_BYTES,
                           &r->storage_bytes, &storage_given, err) < 0 ||
         sa_json_opt_int(&obj, "pids", 8, 32768, &r->pids, NULL, err) < 0 ||
         sa_json_finish(&obj, err) < 0))
        return -1;
    if (!storage_given)
        r->storage_bytes = r->memory_bytes / 2;
    if (r->storage_bytes > r->memory_bytes / 2) {
        char most[SA_QUANTITY_BYTES];
        sa_quantity_bytes_print(r->memory_bytes / 2, most);
        return sa_json_fail(&obj, "ephemeralStorage", err,
                            "at most %s, half of the memory, can hold files here, because files "
                            "are kept in memory; ask for less, or for more memory",
                            most);
    }
    /* One inode for 8 KiB: as ext4 does for small volumes, within a range. */
    r->inodes = r->storage_bytes / 8192;
    r->inodes = r->inodes < 1024 ? 1024 : r->inodes > 1000000 ? 1000000 : r->inodes;
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

static int decode_labels(struct sa_json_obj *root, struct sa_json_map *labels, struct sa_error *err)
{
    if (sa_json_opt_map(root, "labels", SA_LABELS_MAX_COUNT, 253, labels, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < labels->count; i++)
        if (strpbrk(labels->items[i].key, "=,! \t"))
            return sa_json_fail(root, "labels", err,
                                "the key \"%s\" holds a character that selectors need",
                                labels->items[i].key);
    return 0;
}

static int decode(struct sa_json_obj *root, struct sa_sandbox_spec *spec, struct sa_error *err)
{
    int runtime = 0, level = SA_LEVEL_STANDARD, warm = SA_WARM_PREFER;
    spec->timeout_s = SA_TIMEOUT_DEFAULT_S;
    if (sa_json_get_enum(root, "runtime", runtimes, &runtime, err) < 0 ||
        sa_json_opt_string(root, "name", 63, &spec->name, NULL, err) < 0 ||
        sa_json_opt_enum(root, "securityLevel", levels, &level, NULL, err) < 0 ||
        sa_json_opt_int(root, "timeout", 1, SA_TIMEOUT_MAX_S, &spec->timeout_s, NULL, err) < 0 ||
        decode_resources(root, &spec->resources, err) < 0 ||
        sa_json_opt_map(root, "env", SA_ENV_MAX, 16384, &spec->env, NULL, err) < 0 ||
        check_env(root, &spec->env, err) < 0 || decode_labels(root, &spec->labels, err) < 0 ||
        sa_json_opt_enum(root, "warm", warms, &warm, NULL, err) < 0 ||
        sa_json_opt_strings(root, "requiredControls", 64, 64, &spec->required_controls, NULL, err) <
            0 ||
        sa_json_finish(root, err) < 0)
        return -1;
    if (spec->name && !sa_name_valid(spec->name))
        return sa_json_fail(root, "name", err,
                            "expected 1-63 of a-z, 0-9 and '-', beginning and ending with a "
                            "letter or digit");
    spec->runtime = runtimes[runtime];
    spec->level = (enum sa_security_level)level;
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

static void put_list(struct sa_json_w *w, const char *key, const char *const *items, size_t count)
{
    sa_json_put_array(w, key);
    for (size_t i = 0; i < count; i++)
        sa_json_w_string(w, items[i]);
    sa_json_w_end_array(w);
}

static void put_resources(struct sa_json_w *w, const struct sa_resources *r)
{
    char text[SA_QUANTITY_BYTES];
    sa_json_put_object(w, "resources");
    sa_quantity_cpu_print(r->cpu_millicores, text);
    sa_json_put_string(w, "cpu", text);
    sa_quantity_bytes_print(r->memory_bytes, text);
    sa_json_put_string(w, "memory", text);
    sa_quantity_bytes_print(r->storage_bytes, text);
    sa_json_put_string(w, "ephemeralStorage", text);
    sa_json_put_int(w, "pids", r->pids);
    sa_json_w_end_object(w);
}

void sa_sandbox_fixed_print(const struct sa_sandbox_fixed *fixed, struct sa_buf *out)
{
    sa_autobuf object = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&object);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "name", fixed->spec->name ? fixed->spec->name : fixed->id);
    sa_json_put_string(&w, "namespace", "default");
    sa_json_put_string(&w, "securityLevel", levels[fixed->spec->level]);
    sa_json_put_string(&w, "start", "cold");
    sa_json_put_int(&w, "timeout", fixed->spec->timeout_s);
    put_resources(&w, &fixed->spec->resources);
    put_list(&w, "controls", fixed->controls, fixed->control_count);
    put_list(&w, "weaker", fixed->weaker, fixed->weaker_count);
    sa_json_w_end_object(&w);
    sa_buf_add(out, object.data + 1, object.length - 2);
}

void sa_labels_print(const struct sa_json_map *labels, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    for (size_t i = 0; i < labels->count; i++)
        sa_json_put_string(&w, labels->items[i].key, labels->items[i].value);
    sa_json_w_end_object(&w);
}

static void put_time(struct sa_json_w *w, const char *key, int64_t wall_ms)
{
    char text[SA_RFC3339_BYTES];
    if (!wall_ms)
        return;
    sa_rfc3339(wall_ms, text);
    sa_json_put_string(w, key, text);
}

static void put_ready(struct sa_json_w *w, const struct sa_sandbox_view *view)
{
    bool running = strcmp(view->phase, "Running") == 0;
    int64_t when = running ? view->ready_ms : view->ended_ms ? view->ended_ms : view->created_ms;
    sa_json_put_array(w, "conditions");
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "type", "Ready");
    sa_json_put_string(w, "status", running ? "True" : "False");
    sa_json_put_string(w, "reason", view->reason[0] ? view->reason : view->phase);
    sa_json_put_string(w, "message", view->message);
    put_time(w, "lastTransitionTime", when);
    sa_json_w_end_object(w);
    sa_json_w_end_array(w);
}

void sa_sandbox_print(const struct sa_sandbox_view *view, struct sa_json_w *w)
{
    sa_json_w_begin_object(w);
    sa_json_put_string(w, "id", view->id);
    sa_json_put_string(w, "runtime", view->runtime);
    sa_json_put_string(w, "phase", view->phase);
    if (view->labels_json[0])
        sa_json_put_raw(w, "labels", view->labels_json, strlen(view->labels_json));
    else
        sa_json_put_raw(w, "labels", "{}", 2);
    put_time(w, "createdAt", view->created_ms);
    put_time(w, "expiresAt", view->expires_ms);
    put_time(w, "endedAt", view->ended_ms);
    put_ready(w, view);
    if (view->reason[0])
        sa_json_put_string(w, "reason", view->reason);
    if (view->message[0])
        sa_json_put_string(w, "message", view->message);
    /* The members that do not change, printed once when the sandbox became ready. */
    sa_buf_addc(w->out, ',');
    sa_buf_adds(w->out, view->fixed_json);
    sa_json_w_end_object(w);
}
