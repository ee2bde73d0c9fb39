/*
 * Outside bytes as the bodies that the API takes; the first byte says which. What is taken keeps to
 * the limits that the documents give, and of a package nothing gets through that its manager would
 * take for an option, an address or a path.
 */
#include "kinds/sandbox.h"
#include "model/execute.h"
#include "model/packages.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "json/notes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void try_execute(const char *body, size_t length, struct sa_arena *arena)
{
    struct sa_execute e;
    struct sa_error err;
    if (sa_execute_decode(body, length, arena, &e, &err) < 0)
        return;
    require(e.timeout_ms > 0 && e.timeout_ms <= SA_EXECUTE_TIMEOUT_MAX_MS);
    require(e.code_length <= SA_EXECUTE_CODE_MAX && e.limits.memory_bytes >= -1);
    require(!e.tty || (e.rows > 0 && e.rows <= SA_EXECUTE_TTY_MAX && e.cols > 0 &&
                       e.cols <= SA_EXECUTE_TTY_MAX));
    require(e.summary && (!e.kind || e.filter));
    for (size_t i = 0; i < e.argc; i++)
        require(e.argv[i] != NULL);
    for (size_t i = 0; i < e.env.count; i++)
        require(e.env.items[i].key[0] && !strchr(e.env.items[i].key, '='));
}

static void check_spec(const struct sa_sandbox_spec *spec)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_limits limits = {.max_bytes = SIZE_MAX, .max_values = SIZE_MAX};
    require(spec->timeout_s > 0 && spec->timeout_s <= SA_TIMEOUT_MAX_S);
    require(spec->lifecycle.idle_timeout_s >= 0 && spec->lifecycle.idle_timeout_s <= SA_IDLE_MAX_S);
    require(spec->labels.count <= SA_LABELS_MAX_COUNT &&
            spec->annotations.count <= SA_ANNOTATIONS_MAX_COUNT && spec->env.count <= SA_ENV_MAX);
    sa_buf_addc(&json, '{');
    sa_sandbox_settings_print(spec, &json);
    sa_buf_addc(&json, '}');
    struct sa_json_doc *doc = sa_json_parse(json.data, json.length, &limits, NULL);
    require(doc != NULL);
    sa_json_free(doc);
}

/* The first of all mistakes is the one that is told alone, and what could be read can be read. */
static void try_mistakes(const char *body, size_t length, struct sa_arena *arena,
                         const struct sa_error *alone)
{
    struct sa_json_notes notes = {.arena = arena};
    struct sa_sandbox_spec spec;
    struct sa_error err;
    require(sa_sandbox_spec_decode(body, length, arena, &notes, &spec, &err) < 0);
    require(strcmp(err.message, alone->message) == 0 && strcmp(err.path, alone->path) == 0);
    if (notes.mistake_count == 0 || notes.mistake_count == SA_JSON_NOTES_MAX)
        return;
    require(spec.runtime && spec.profile && spec.warm_pool && spec.storage.name);
    require(!spec.name || strlen(spec.name) <= 63);
}

static void try_spec(const char *body, size_t length, struct sa_arena *arena)
{
    struct sa_sandbox_spec spec;
    struct sa_error err;
    if (sa_sandbox_spec_decode(body, length, arena, NULL, &spec, &err) < 0) {
        try_mistakes(body, length, arena, &err);
        return;
    }
    require(!spec.name || sa_name_valid(spec.name));
    require(spec.resources.memory_bytes >= SA_MEMORY_MIN_BYTES &&
            spec.resources.memory_bytes <= SA_MEMORY_MAX_BYTES);
    require(spec.resources.cpu_millicores > 0 && spec.resources.pids > 0 &&
            spec.resources.inodes > 0);
    require(spec.resources.storage_bytes <= spec.resources.memory_bytes / 2);
    check_spec(&spec);
}

static void try_patch(const char *body, size_t length, struct sa_arena *arena)
{
    static const char now_json[] = "{\"runtime\":\"python\",\"labels\":{\"a\":\"1\"},"
                                   "\"annotations\":{\"b\":\"2\"}}";
    struct sa_sandbox_spec now, next;
    struct sa_error err;
    bool given;
    int64_t timeout_s;
    require(sa_sandbox_spec_decode(now_json, sizeof now_json - 1, arena, NULL, &now, &err) == 0);
    if (sa_sandbox_patch_decode(body, length, &now, arena, &next, &given, &err) == 0)
        check_spec(&next);
    if (sa_timeout_decode(body, length, arena, &timeout_s, &err) == 0)
        require(timeout_s > 0 && timeout_s <= SA_TIMEOUT_MAX_S);
}

static void check_package(const char *text)
{
    require(text[0] && text[0] != '-' && text[0] != '.' && text[0] != '/');
    require(!strstr(text, "://") && !strstr(text, "../") && !strstr(text, "/..") &&
            !strpbrk(text, "\\\n\r;#"));
}

static void try_packages(const char *body, size_t length, struct sa_arena *arena)
{
    struct sa_packages packages;
    struct sa_error err;
    const char *text = sa_arena_strndup(arena, body, length);
    if (sa_package_is_pip(text) || sa_package_is_npm(text))
        check_package(text);
    if (sa_packages_decode(body, length, arena, &packages, &err) < 0)
        return;
    require(packages.names.count > 0 && packages.names.count <= SA_PACKAGES_MAX);
    require(packages.timeout_ms > 0 && packages.timeout_ms <= SA_EXECUTE_TIMEOUT_MAX_MS);
    for (size_t i = 0; i < packages.names.count; i++)
        check_package(packages.names.items[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const char *, size_t, struct sa_arena *) = {
        try_execute, try_spec, try_patch, try_packages};
    if (size < 1)
        return 0;
    struct sa_arena *arena = sa_arena_new();
    tries[data[0] % SA_COUNT(tries)]((const char *)data + 1, size - 1, arena);
    sa_arena_free(arena);
    return 0;
}
