#include "fixture.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sa_object *decode(const struct sa_kind *kind, const char *spec, const char *status,
                                bool lenient, struct sa_error *err)
{
    sa_autofree char *json = sa_printf("{\"metadata\":{\"name\":\"x\"},\"spec\":%s,\"status\":%s}",
                                       spec, status ? status : "{}");
    return sa_object_decode(kind, json, strlen(json), lenient, err);
}

static void same_again(const struct sa_object *object)
{
    sa_autobuf once = SA_BUF_INIT, twice = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&once), v = sa_json_w_start(&twice);
    struct sa_error err;
    sa_object_print(object, &w);
    sa_autounref const struct sa_object *again =
        sa_object_decode(sa_object_kind(object), once.data, once.length, false, &err);
    if (!again)
        fail_msg("%s: refused when read again: %s", once.data, err.message);
    sa_object_print(again, &v);
    assert_string_equal(once.data, twice.data);
}

const struct sa_object *of_status(const struct sa_kind *kind, const char *spec, const char *status)
{
    struct sa_error err;
    const struct sa_object *object = decode(kind, spec, status, false, &err);
    if (!object)
        fail_msg("%s %s: refused: %s", spec, status ? status : "", err.message);
    same_again(object);
    return object;
}

const struct sa_object *of_spec(const struct sa_kind *kind, const char *spec)
{
    return of_status(kind, spec, NULL);
}

static void refused_one(const struct sa_kind *kind, const char *spec, const struct refusal *r)
{
    struct sa_error err = {.code = SA_OK};
    const char *shown = r->json;
    sa_autounref const struct sa_object *object =
        decode(kind, spec ? spec : r->json, spec ? r->json : NULL, false, &err);
    if (object)
        fail_msg("%s: accepted", shown);
    if (err.code != SA_EINVALID)
        fail_msg("%s: %s: %s", shown, sa_code_name(err.code), err.message);
    if (strcmp(err.path, r->path) != 0)
        fail_msg("%s: path \"%s\", expected \"%s\": %s", shown, err.path, r->path, err.message);
    if (strncmp(err.message, r->path, strlen(r->path)) != 0 || !strstr(err.message, r->words))
        fail_msg("%s: \"%s\" does not say \"%s\"", shown, err.message, r->words);
}

void refused(const struct sa_kind *kind, const char *spec, const struct refusal *refusals)
{
    for (; refusals->json; refusals++)
        refused_one(kind, spec, refusals);
}

const char *change(const struct sa_kind *kind, const char *before, const char *next)
{
    static struct sa_error err;
    sa_autounref const struct sa_object *was = of_spec(kind, before), *is = of_spec(kind, next);
    err = (struct sa_error){.code = SA_OK};
    if (kind->check_update(was, sa_object_spec(is), &err) == 0)
        return "";
    assert_int_equal(err.code, SA_EINVALID);
    assert_true(strncmp(err.message, err.path, strlen(err.path)) == 0);
    return err.path;
}

void empty_status_is_right(const struct sa_resource *resource)
{
    sa_autobuf empty = SA_BUF_INIT, decoded = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&empty), v = sa_json_w_start(&decoded);
    struct sa_json_doc *doc = sa_json_parse("{}", 2, NULL, NULL);
    struct sa_arena *arena = sa_arena_new();
    struct sa_json_obj root;
    const void *status;
    assert_int_equal(sa_json_root(doc, arena, &root, NULL), 0);
    assert_int_equal(resource->kind->decode_status(&root, false, arena, &status, NULL), 0);
    sa_json_w_begin_object(&w);
    resource->kind->print_status(resource->kind->empty_status, &w);
    sa_json_w_end_object(&w);
    sa_json_w_begin_object(&v);
    resource->kind->print_status(status, &v);
    sa_json_w_end_object(&v);
    assert_string_equal(empty.data, decoded.data);
    sa_arena_free(arena);
    sa_json_free(doc);
}
