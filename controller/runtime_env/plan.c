#include "controller/runtime_env/plan.h"

#include "kinds/names.h"

#include <string.h>

void sa_builtin_manifest(enum sa_language language, struct sa_buf *out)
{
    static const char *const texts[SA_BUILTIN_COUNT] = {
        "Python of the node, as a program and as a live interpreter",
        "Node.js of the node, as a program and as a live interpreter", "The shells of the node",
        "Go of the node, with its standard library", "The programs of the node, for commands"};
    static const char *const languages[] = {"python", "node", "bash", "go", "other"};
    static const char *const managers[] = {"pip", "npm", "none", "none", "none"};
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_string(&w, "apiVersion", sa_kind_runtime_environment.api_version);
    sa_json_put_string(&w, "kind", sa_kind_runtime_environment.name);
    sa_json_put_object(&w, "metadata");
    sa_json_put_string(&w, "name", sa_builtin_runtimes[language]);
    sa_json_put_object(&w, "labels");
    sa_json_put_string(&w, SA_RUNTIME_BUILTIN, "true");
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
    sa_json_put_object(&w, "spec");
    sa_json_put_string(&w, "language", languages[language]);
    sa_json_put_string(&w, "description", texts[language]);
    sa_json_put_string(&w, "packageManager", managers[language]);
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}

/* ---- is it there? ---- */

static bool fits(const struct sa_json_strings *architectures, const char *architecture)
{
    for (size_t i = 0; i < architectures->count; i++)
        if (strcmp(architectures->items[i], architecture) == 0)
            return true;
    return !architectures->count;
}

/* "3.11.2" is a 3.11; what the program does not tell is not denied. */
static bool is_version(const char *wanted, const char *version)
{
    const size_t n = strlen(wanted), m = strlen(version), least = n < m ? n : m;
    if (!n || !m)
        return true;
    return strncmp(wanted, version, least) == 0 &&
           (n == m || (n < m ? version : wanted)[least] == '.');
}

static struct sa_condition unavailable(const char *reason, const char *message)
{
    return (struct sa_condition){.status = SA_FALSE, .reason = reason, .message = message};
}

static struct sa_condition availability(const struct sa_runtime_world *world,
                                        struct sa_arena *arena)
{
    const struct sa_runtime_spec *spec = sa_object_spec(world->runtime);
    const char *language = sa_builtin_runtimes[spec->language];
    if (spec->image[0] || spec->rootfs[0])
        return unavailable(
            spec->image[0] ? "ImagesNotSupported" : "RootsNotSupported",
            sa_arena_printf(arena,
                            "spec.%s: the driver of this node (native) runs the programs of the "
                            "machine itself; leave it out to use them, install there what is "
                            "missing, or have a WarmPool install it (preloadPackages)",
                            spec->image[0] ? "image" : "rootfs"));
    if (!fits(&spec->requirements.architectures, world->architecture))
        return unavailable("ArchitectureMismatch",
                           sa_arena_printf(arena, "spec.requirements.architectures: the node is %s",
                                           world->architecture));
    if (!world->program)
        return unavailable("NotInstalled",
                           sa_arena_printf(arena,
                                           "the node has no %s in the folders of a sandbox's PATH: "
                                           "install it there",
                                           language));
    if (!is_version(spec->version, world->version))
        return unavailable(
            "VersionMismatch",
            sa_arena_printf(arena, "spec.version: the node's %s is %s", language, world->version));
    if (world->lacking[0])
        return unavailable("PackagesNotInstalled",
                           sa_arena_printf(arena,
                                           "spec.preInstalledPackages: the node has no %s: install "
                                           "it there for all users, or leave it out and have a "
                                           "WarmPool install it (preloadPackages)",
                                           world->lacking));
    return (struct sa_condition){
        .status = SA_TRUE, .reason = "Installed", .message = world->program};
}

void sa_runtime_status_now(const struct sa_runtime_world *world, struct sa_arena *arena,
                           struct sa_runtime_status *status)
{
    const char **nodes = sa_arena_alloc(arena, sizeof *nodes);
    struct sa_condition is = availability(world, arena);
    is.type = SA_RUNTIME_AVAILABLE;
    *status = *(const struct sa_runtime_status *)sa_object_status(world->runtime);
    status->observed_generation = is.observed_generation =
        sa_object_meta(world->runtime)->generation;
    sa_conditions_set(&status->conditions, &is, world->now_ms, arena);
    nodes[0] = world->node;
    status->nodes = (struct sa_json_strings){nodes, is.status == SA_TRUE};
}

/* ---- as JSON ---- */

static void print(const struct sa_runtime_status *status, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_kind_runtime_environment.print_status(status, &w);
    sa_json_w_end_object(&w);
}

bool sa_runtime_status_equal(const struct sa_runtime_status *a, const struct sa_runtime_status *b)
{
    sa_autobuf one = SA_BUF_INIT, other = SA_BUF_INIT;
    print(a, &one);
    print(b, &other);
    return one.length == other.length && memcmp(one.data, other.data, one.length) == 0;
}

void sa_runtime_status_patch(const struct sa_runtime_status *status, struct sa_buf *out)
{
    struct sa_json_w w = sa_json_w_start(out);
    sa_json_w_begin_object(&w);
    sa_json_put_object(&w, "status");
    sa_kind_runtime_environment.print_status(status, &w);
    if (!status->nodes.count) /* in a merge patch what is left out stays */
        sa_json_put_null(&w, "nodes");
    sa_json_w_end_object(&w);
    sa_json_w_end_object(&w);
}
