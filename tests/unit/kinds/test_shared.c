/* What objects have in common is there once, and stays when any of them goes. */
#include "kinds/pod.h"
#include "kinds/sandbox.h"
#include "kinds/warm_pod.h"
#include "kinds/warm_pool.h"
#include "objects/object_private.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct sa_object *object(const struct sa_kind *kind, const char *json)
{
    struct sa_error err;
    const struct sa_object *made = sa_object_decode(kind, json, strlen(json), false, &err);
    if (!made)
        fail_msg("%s", err.message);
    return made;
}

static const struct sa_object *sandbox(const char *name, int timeout_s)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"runtime\":\"python\",\"timeout\":%d,"
             "\"imports\":[\"json\"],\"env\":{\"A\":\"b\"}}}",
             name, timeout_s);
    return object(&sa_kind_sandbox, json);
}

static void test_equal_specs_are_one(void **state)
{
    sa_autounref const struct sa_object *a = sandbox("a", 10), *other = sandbox("c", 11);
    const struct sa_object *b = sandbox("b", 10);
    size_t length;
    (void)state;
    assert_ptr_equal(sa_object_spec(a), sa_object_spec(b));
    assert_ptr_not_equal(sa_object_spec(a), sa_object_spec(other));
    sa_object_unref(b);
    const struct sa_sandbox_wanted *spec = sa_object_spec(a);
    assert_string_equal(spec->imports.items[0], "json");
    assert_string_equal(spec->env.items[0].value, "b");
    assert_non_null(strstr(sa_object_spec_json(a, &length), "\"timeout\":10"));
}

/* Also where the texts are alike, a spec is that of its kind. */
static void test_kinds_are_apart(void **state)
{
    static const char json[] = "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"x\"}}";
    struct sa_kind like = sa_kind_sandbox;
    (void)state;
    sa_autounref const struct sa_object *a = object(&sa_kind_sandbox, json);
    sa_autounref const struct sa_object *b = object(&like, json);
    assert_ptr_not_equal(sa_object_spec(a), sa_object_spec(b));
}

/* A version of `before` with another status and version. */
static const struct sa_object *next_of(const struct sa_object *before, const char *status,
                                       const char *finalizer)
{
    struct sa_object_draft draft;
    struct sa_error err;
    struct sa_arena *arena = sa_arena_new();
    assert_int_equal(0, sa_object_draft_decode(&sa_kind_pod, status, strlen(status), SA_WANT_STATUS,
                                               false, arena, &draft, &err));
    draft.meta = *sa_object_meta(before);
    draft.meta.resource_version = "8";
    if (finalizer)
        draft.meta.finalizers = (struct sa_json_strings){&finalizer, 1};
    draft.before = before;
    draft.spec = sa_object_part_ref(sa_object_spec_part(before));
    const struct sa_object *made = sa_object_make(&draft);
    sa_object_draft_deinit(&draft);
    sa_arena_free(arena);
    return made;
}

static const char pod[] =
    "{\"metadata\":{\"name\":\"p\",\"uid\":\"u-1\",\"resourceVersion\":\"7\",\"labels\":{\"a\":"
    "\"b\"},"
    "\"annotations\":{\"c\":\"d\"},\"finalizers\":[\"x.dev/y\"]},\"spec\":{\"restartPolicy\":"
    "\"Never\",\"containers\":[{\"name\":\"one\",\"env\":[{\"name\":\"K\",\"value\":\"v\"}],"
    "\"command\":[\"a\",\"b\"],\"ports\":[{\"containerPort\":80}]}],\"nodeSelector\":{\"k\":\"v\"},"
    "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{\"medium\":\"Memory\"}}]}}";

static void test_versions_share_what_is_the_same(void **state)
{
    const struct sa_object *first = object(&sa_kind_pod, pod);
    (void)state;
    sa_autounref const struct sa_object *second =
        next_of(first, "{\"status\":{\"phase\":\"Running\"}}", NULL);
    sa_autounref const struct sa_object *third = next_of(second, "{\"status\":{}}", "z.dev/z");
    const struct sa_object_meta *meta = sa_object_meta(second);
    assert_ptr_equal(meta->uid, sa_object_meta(first)->uid);
    assert_ptr_not_equal(meta->uid, sa_object_meta(third)->uid);
    assert_true(sa_object_memory(second, first) < sa_object_memory(second, NULL));
    sa_object_unref(first);
    assert_string_equal(meta->name, "p");
    assert_string_equal(meta->resource_version, "8");
    assert_string_equal(meta->annotations.items[0].value, "d");
    assert_string_equal(sa_object_key(second), "default/p");
    assert_string_equal(sa_object_meta(third)->finalizers.items[0], "z.dev/z");
}

static void test_statuses_are_equal_by_what_they_say(void **state)
{
    sa_autounref const struct sa_object *p = object(&sa_kind_pod, pod);
    sa_autounref const struct sa_object *a = next_of(p, "{\"status\":{\"podIP\":\"::1\"}}", NULL);
    sa_autounref const struct sa_object *b = next_of(p, "{\"status\":{\"podIP\":\"::1\"}}", NULL);
    sa_autounref const struct sa_object *c = next_of(p, "{\"status\":{\"podIP\":\"::2\"}}", NULL);
    (void)state;
    assert_true(sa_object_part_equal(sa_object_status_part(a), sa_object_status_part(b)));
    assert_false(sa_object_part_equal(sa_object_status_part(a), sa_object_status_part(c)));
}

/* A copy stands on its own. */
static void check_copy(const struct sa_kind *kind, const char *json)
{
    const struct sa_object *from = object(kind, json);
    struct sa_arena *arena = sa_arena_new();
    sa_autobuf before = SA_BUF_INIT, after = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&before), v = sa_json_w_start(&after);
    const void *spec = kind->copy_spec(sa_object_spec(from), arena);
    const void *status = kind->copy_status(sa_object_status(from), arena);
    sa_json_w_begin_object(&w);
    kind->print_spec(sa_object_spec(from), &w);
    kind->print_status(sa_object_status(from), &w);
    sa_json_w_end_object(&w);
    sa_object_unref(from);
    sa_json_w_begin_object(&v);
    kind->print_spec(spec, &v);
    kind->print_status(status, &v);
    sa_json_w_end_object(&v);
    assert_string_equal(before.data, after.data);
    sa_arena_free(arena);
}

static void test_copies(void **state)
{
    (void)state;
    check_copy(&sa_kind_pod, pod);
    check_copy(
        &sa_kind_sandbox,
        "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"python\",\"securityLevel\":"
        "\"custom\",\"securityContext\":{\"a\":1},\"secretsRef\":[\"s\"],\"networkAccess\":{"
        "\"egress\":[{\"domain\":\"a.org\",\"ports\":[1,2]}]}},\"status\":{\"phase\":\"Running\","
        "\"controls\":[\"x\",\"y\"],\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}");
    check_copy(&sa_kind_warm_pool,
               "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"python\",\"minSize\":1,"
               "\"maxSize\":2,\"imports\":[\"json\"]}}");
}

/* What code fills in is held to what is decoded: else it could not be read from disk again. */
static void refused_at(int rc, const struct sa_error *err, const char *path)
{
    assert_int_equal(rc, -1);
    assert_int_equal(err->code, SA_EINVALID);
    assert_string_equal(err->path, path);
}

static void test_structs_are_checked(void **state)
{
    (void)state;
    char longest[SA_OBJECT_NAME_MAX + 2];
    struct sa_error err;
    struct sa_warm_pod_status s = *(const struct sa_warm_pod_status *)sa_kind_warm_pod.empty_status;
    struct sa_condition conditions[2] = {{.type = "Ready", .status = SA_TRUE}, {.type = "Able"}};
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(sa_kind_warm_pod.verify_status(&s, &err), 0);
    s.last_tenant = longest;
    refused_at(sa_kind_warm_pod.verify_status(&s, &err), &err, "status.lastTenant");
    s.last_tenant = "\xff";
    refused_at(sa_kind_warm_pod.verify_status(&s, &err), &err, "status.lastTenant");
    s.last_tenant = "";
    s.uses = -1;
    refused_at(sa_kind_warm_pod.verify_status(&s, &err), &err, "status.uses");
    s.uses = 1;
    s.phase = SA_WARM_POD_PHASE_COUNT;
    refused_at(sa_kind_warm_pod.verify_status(&s, &err), &err, "status.phase");
    s.phase = SA_WARM_POD_READY;
    s.conditions = (struct sa_conditions){conditions, 1};
    assert_int_equal(sa_kind_warm_pod.verify_status(&s, &err), 0);
    s.conditions.count = 2; /* not in order */
    refused_at(sa_kind_warm_pod.verify_status(&s, &err), &err, "status.conditions[1]");
    struct sa_warm_pod_spec p = {.pool = "p",
                                 .pool_uid = "",
                                 .key = "",
                                 .runtime = "bash",
                                 .profile = "",
                                 .claim = {.sandbox = "", .uid = "", .tenant = ""}};
    const struct sa_object *made =
        object(&sa_kind_warm_pod, "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"pool\":\"p\","
                                  "\"runtime\":\"bash\"}}");
    p.resources = ((const struct sa_warm_pod_spec *)sa_object_spec(made))->resources;
    assert_int_equal(sa_kind_warm_pod.verify_spec(&p, &err), 0);
    p.claim.given = true;
    refused_at(sa_kind_warm_pod.verify_spec(&p, &err), &err, "spec.claim.sandbox");
    p.claim.sandbox = "No Name";
    refused_at(sa_kind_warm_pod.verify_spec(&p, &err), &err, "spec.claim.sandbox");
    p.claim.sandbox = "sb-1";
    assert_int_equal(sa_kind_warm_pod.verify_spec(&p, &err), 0);
    sa_object_unref(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal_specs_are_one),
                                       cmocka_unit_test(test_kinds_are_apart),
                                       cmocka_unit_test(test_versions_share_what_is_the_same),
                                       cmocka_unit_test(test_statuses_are_equal_by_what_they_say),
                                       cmocka_unit_test(test_copies),
                                       cmocka_unit_test(test_structs_are_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
