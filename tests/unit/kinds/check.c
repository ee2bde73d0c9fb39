/*
 * The kinds for programs in other languages: tools/crds.py and check_crds.py.
 *
 *     kinds_check crds    prints the CustomResourceDefinitions, a JSON array
 *     kinds_check         reads lines {"object": {...}, "before"?: {...}, "lenient"?: true} and
 *                         answers each with {"object": as decoded and printed}, or {"path",
 *                         "message"} of the refusal; with `before` also of an update that may not
 * be
 */
#include "kinds/crd.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_crds(void)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    sa_json_w_begin_array(&w);
    for (const struct sa_resource *const *r = sa_resources; *r; r++)
        if (strcmp((*r)->kind->api_version, SA_GROUP_VERSION) == 0)
            sa_crd_print(*r, &w);
    sa_json_w_end_array(&w);
    puts(out.data);
}

static struct sa_object *decode(struct sa_json_obj *question, const char *key, bool lenient,
                                struct sa_error *err)
{
    struct sa_json_obj object;
    const char *json, *api_version, *kind;
    size_t length;
    if (sa_json_get_raw(question, key, &json, &length, err) < 0 ||
        sa_json_get_obj(question, key, &object, err) < 0 ||
        sa_json_get_string(&object, "apiVersion", 128, &api_version, err) < 0 ||
        sa_json_get_string(&object, "kind", 64, &kind, err) < 0)
        return NULL;
    const struct sa_resource *r = sa_resource_of(api_version, kind);
    if (!r) {
        sa_error_at(err, SA_EINVALID, "kind", "kind: there is no %s in %s", kind, api_version);
        return NULL;
    }
    return sa_object_decode(r->kind, json, length, lenient, err);
}

static const struct sa_object *ask(struct sa_json_obj *question, struct sa_error *err)
{
    bool lenient = false;
    sa_json_opt_bool(question, "lenient", &lenient, NULL, NULL);
    struct sa_object *object = decode(question, "object", lenient, err);
    if (!object || sa_json_type(question, "before") == SA_JSON_MISSING)
        return object;
    sa_autounref const struct sa_object *next = object;
    sa_autounref const struct sa_object *before = decode(question, "before", lenient, err);
    if (!before || sa_object_kind(next)->check_update(before, sa_object_spec(next), err) < 0)
        return NULL;
    return sa_object_ref(next);
}

static void answer(struct sa_json_obj *question)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&out);
    struct sa_error err = {.code = SA_OK};
    sa_autounref const struct sa_object *object = ask(question, &err);
    sa_json_w_begin_object(&w);
    if (object) {
        sa_json_w_key(&w, "object");
        sa_object_print(object, &w);
    } else {
        sa_json_put_string(&w, "path", err.path);
        sa_json_put_string(&w, "message", err.message);
    }
    sa_json_w_end_object(&w);
    puts(out.data);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;
    if (argc > 1 && strcmp(argv[1], "crds") == 0) {
        print_crds();
        return 0;
    }
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) {
        const struct sa_json_limits limits = {.max_bytes = (size_t)n};
        struct sa_arena *arena = sa_arena_new();
        struct sa_error err;
        struct sa_json_doc *doc = sa_json_parse(line, (size_t)n, &limits, &err);
        struct sa_json_obj root;
        if (!doc || sa_json_root(doc, arena, &root, &err) < 0) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        answer(&root);
        sa_json_free(doc);
        sa_arena_free(arena);
    }
    free(line);
    return 0;
}
