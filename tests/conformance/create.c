/* What is made: names, what the server sets, what is refused and where. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static void test_create_and_get(void **state)
{
    struct world *w = *state;
    const struct sa_object *made =
        ok(create_(w, &thing_kind, false,
                   "{'apiVersion':'test.secureagent.dev/v1','kind':'Thing','metadata':{'name':'a',"
                   "'labels':{'x':'1'},'annotations':{'note':'hé \\n'},'finalizers':['t.dev/f']},"
                   "'spec':{'size':3}}"));
    const struct sa_object_meta *meta = sa_object_meta(made);
    assert_string_equal(meta->namespace_, "default");
    assert_int_equal(strlen(meta->uid), 36);
    assert_true(meta->resource_version[0] != '\0');
    assert_int_equal(meta->generation, 1);
    assert_true(meta->created_ms > 0);
    assert_int_equal(meta->deleted_ms, 0);
    assert_int_equal(spec_of(made)->size, 3);
    assert_string_equal(status_of(made)->phase, "");
    const struct sa_object *got = ok(get_(w, &thing_kind, "a"));
    assert_string_equal(version_of(got), version_of(made));
    assert_string_equal(sa_object_meta(got)->uid, meta->uid);
    assert_string_equal(sa_object_meta(got)->labels.items[0].value, "1");
    assert_string_equal(sa_object_meta(got)->annotations.items[0].value, "hé \n");
    assert_true(sa_object_has_finalizer(got, "t.dev/f"));
}

static void test_defaults(void **state)
{
    struct world *w = *state;
    assert_int_equal(spec_of(ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a'}}")))->size,
                     1);
    assert_int_equal(
        spec_of(ok(create_(w, &thing_kind, false, "{'metadata':{'name':'b'},'spec':null}")))->size,
        1);
    const struct sa_object *wide =
        ok(create_(w, &cluster_kind, false, "{'metadata':{'name':'a'}}"));
    assert_string_equal(sa_object_meta(wide)->namespace_, "");
    assert_string_equal(sa_object_key(wide), "a");
    assert_string_equal(version_of(ok(get_(w, &cluster_kind, "a"))), version_of(wide));
}

static void test_exists(void **state)
{
    struct world *w = *state;
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a'}}"));
    refused(create_(w, &thing_kind, false, "{'metadata':{'name':'a'}}"), SA_EEXISTS, NULL);
    ok(create_(w, &other_kind, false, "{'metadata':{'name':'a'}}"));
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a','namespace':'other'}}"));
    ok(delete_(w, &thing_kind, "a", NULL));
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a'}}"));
}

static void test_not_found(void **state)
{
    struct world *w = *state;
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a'}}"));
    refused(get_(w, &thing_kind, "b"), SA_ENOTFOUND, NULL);
    refused(get_(w, &thing_kind, "other/a"), SA_ENOTFOUND, NULL);
    refused(get_(w, &other_kind, "a"), SA_ENOTFOUND, NULL);
    refused(update_(w, &thing_kind, false, "{'metadata':{'name':'b'}}"), SA_ENOTFOUND, NULL);
    refused(patch_(w, &thing_kind, "b", SA_SUBRESOURCE_NONE, NULL, "{}"), SA_ENOTFOUND, NULL);
    refused(patch_(w, &thing_kind, "b", SA_SUBRESOURCE_STATUS, NULL, "{}"), SA_ENOTFOUND, NULL);
    refused(delete_(w, &thing_kind, "b", NULL), SA_ENOTFOUND, NULL);
}

static void test_generate_name(void **state)
{
    struct world *w = *state;
    const struct sa_object *first =
        ok(create_(w, &thing_kind, false, "{'metadata':{'generateName':'pool-'}}"));
    const struct sa_object *second =
        ok(create_(w, &thing_kind, false, "{'metadata':{'generateName':'pool-'}}"));
    assert_memory_equal(name_of(first), "pool-", 5);
    assert_true(strlen(name_of(first)) > 8);
    assert_string_not_equal(name_of(first), name_of(second));
    assert_string_equal(sa_object_meta(first)->generate_name, "pool-");
    ok(get_(w, &thing_kind, name_of(first)));
}

/* Only the server says these, whoever claims otherwise. */
static void test_server_set(void **state)
{
    struct world *w = *state;
    const struct sa_object *made = ok(create_(
        w, &thing_kind, false,
        "{'metadata':{'name':'a','uid':'11111111-2222-4333-8444-555555555555','generation':9,"
        "'creationTimestamp':'2001-01-01T00:00:00Z','deletionTimestamp':'2001-01-01T00:00:00Z'},"
        "'status':{'phase':'Ready','seen':4}}"));
    const struct sa_object_meta *meta = sa_object_meta(made);
    assert_string_not_equal(meta->uid, "11111111-2222-4333-8444-555555555555");
    assert_int_equal(meta->generation, 1);
    assert_true(meta->created_ms > INT64_C(1000000000000));
    assert_int_equal(meta->deleted_ms, 0);
    assert_string_equal(status_of(made)->phase, "");
    assert_int_equal(status_of(made)->seen, 0);
    refused(create_(w, &thing_kind, false, "{'metadata':{'name':'b','resourceVersion':'1'}}"),
            SA_EINVALID, "metadata.resourceVersion");
}

static void test_bad_objects(void **state)
{
    static const struct {
        const char *json, *path;
    } cases[] = {
        {"{", NULL},
        {"[]", NULL},
        {"{'metadata':{}}", "metadata.name"},
        {"{}", "metadata.name"},
        {"{'metadata':{'name':'A'}}", "metadata.name"},
        {"{'metadata':{'name':'a_b'}}", "metadata.name"},
        {"{'metadata':{'name':'-a'}}", "metadata.name"},
        {"{'metadata':{'name':'a..b'}}", "metadata.name"},
        {"{'metadata':{'name':'a/b'}}", "metadata.name"},
        {"{'metadata':{'name':7}}", "metadata.name"},
        {"{'metadata':{'generateName':'A'}}", "metadata.generateName"},
        {"{'metadata':{'name':'a','namespace':'x.y'}}", "metadata.namespace"},
        {"{'metadata':{'name':'a','namespace':'../x'}}", "metadata.namespace"},
        {"{'metadata':{'name':'a','labels':{'-x':'1'}}}", "metadata.labels"},
        {"{'metadata':{'name':'a','labels':{'x':'a b'}}}", "metadata.labels"},
        {"{'metadata':{'name':'a','labels':{'a/b/c':'1'}}}", "metadata.labels"},
        {"{'metadata':{'name':'a','labels':{'x':1}}}", "metadata.labels.x"},
        {"{'metadata':{'name':'a','annotations':{' ':'1'}}}", "metadata.annotations"},
        {"{'metadata':{'name':'a','finalizers':['a b']}}", "metadata.finalizers"},
        {"{'metadata':{'name':'a','ownerReferences':[{'kind':'Thing'}]}}",
         "metadata.ownerReferences[0].apiVersion"},
        {"{'metadata':{'name':'a','nam':'x'}}", "metadata.nam"},
        {"{'apiVersion':'v2','metadata':{'name':'a'}}", "apiVersion"},
        {"{'kind':'Other','metadata':{'name':'a'}}", "kind"},
        {"{'metadata':{'name':'a'},'spec':[]}", "spec"},
        {"{'metadata':{'name':'a'},'spec':{'size':101}}", "spec.size"},
        {"{'metadata':{'name':'a'},'spec':{'size':-1}}", "spec.size"},
        {"{'metadata':{'name':'a'},'spec':{'size':1.5}}", "spec.size"},
        {"{'metadata':{'name':'a'},'spec':{'size':'big'}}", "spec.size"},
        {"{'metadata':{'name':'a'},'spec':{'sise':1}}", "spec.sise"},
        {"{'metadata':{'name':'a'},'spek':{}}", "spek"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(create_(w, &thing_kind, false, "%s", cases[i].json), SA_EINVALID, cases[i].path);
    refused(create_(w, &cluster_kind, false, "{'metadata':{'name':'a','namespace':'x'}}"),
            SA_EINVALID, "metadata.namespace");
    assert_int_equal(list_(w, &thing_kind, NULL, 0, NULL).count, 0);
}

/* Unknown fields are dropped when lenient, and what is known is still checked. */
static void test_lenient(void **state)
{
    struct world *w = *state;
    const struct sa_object *made = ok(create_(w, &thing_kind, true,
                                              "{'metadata':{'name':'a','nam':'x'},'spec':{'sise':1,"
                                              "'size':2},'spek':{},'status':{'x':1}}"));
    size_t length;
    assert_string_equal(sa_object_spec_json(made, &length), "{\"size\":2}");
    refused(create_(w, &thing_kind, true, "{'metadata':{'name':'b'},'spec':{'size':101}}"),
            SA_EINVALID, "spec.size");
    refused(update_(w, &thing_kind, false, "{'metadata':{'name':'a'},'spec':{'sise':1}}"),
            SA_EINVALID, "spec.sise");
    ok(update_(w, &thing_kind, true, "{'metadata':{'name':'a'},'spec':{'sise':1,'size':3}}"));
    assert_int_equal(spec_of(ok(get_(w, &thing_kind, "a")))->size, 3);
}

static void test_too_large(void **state)
{
    struct world *w = *state;
    size_t length = (size_t)SA_OBJECT_MAX + 1;
    char *big = sa_arena_alloc(w->arena, length + 1);
    memset(big, ' ', length);
    memcpy(big, "{}", 2);
    refused(create_(w, &thing_kind, true, "%s", big), SA_ETOOLARGE, NULL);
}

/* Of an object that was read from JSON before: it is what a create of that JSON makes. */
static void test_make(void **state)
{
    struct world *w = *state;
    static const char json[] = "{\"metadata\":{\"name\":\"like\",\"labels\":{\"x\":\"1\"},"
                               "\"annotations\":{\"a\":\"1\"}},\"spec\":{\"size\":5},"
                               "\"status\":{\"phase\":\"Forged\"}}";
    struct sa_error err;
    const struct sa_object *like = sa_object_decode(&thing_kind, json, strlen(json), false, &err);
    struct sa_json_pair pair = {"b", "2"};
    const char *finalizer = "t.dev/f";
    struct sa_objects_make what = {.like = like,
                                   .namespace_ = "default",
                                   .name = "made",
                                   .annotations = {&pair, 1},
                                   .finalizers = {&finalizer, 1}};
    struct result made = {.object = NULL}, twice = {.object = NULL}, bad = {.object = NULL};
    sa_objects_make(w->objects, &what, on_result, &made);
    assert_false(made.done);
    settle(w, &made);
    const struct sa_object *object = ok(made);
    const struct sa_object_meta *meta = sa_object_meta(object);
    assert_string_equal(meta->name, "made");
    assert_int_equal(meta->generation, 1);
    assert_int_equal(meta->labels.count, 1);
    assert_int_equal(meta->annotations.count, 1);
    assert_string_equal(meta->annotations.items[0].key, "b");
    assert_true(sa_object_has_finalizer(object, "t.dev/f"));
    assert_int_equal(spec_of(object)->size, 5);
    assert_string_equal(status_of(object)->phase, "");
    sa_objects_make(w->objects, &what, on_result, &twice);
    settle(w, &twice);
    refused(twice, SA_EEXISTS, "metadata.name");
    pair.key = "no name";
    what.name = "other";
    sa_objects_make(w->objects, &what, on_result, &bad);
    settle(w, &bad);
    refused(bad, SA_EINVALID, "metadata.annotations");
    sa_object_unref(like);
}

const struct CMUnitTest create_tests[] = {
    TEST(test_create_and_get), TEST(test_defaults),   TEST(test_exists),      TEST(test_not_found),
    TEST(test_generate_name),  TEST(test_server_set), TEST(test_bad_objects), TEST(test_lenient),
    TEST(test_too_large),      TEST(test_make),       NO_MORE_TESTS};
