/* Deletion: preconditions and finalizers. */
#include "fixture.h"

#include <string.h>

static const struct sa_object *make(struct world *w, const char *finalizers)
{
    return ok(
        create_(w, &thing_kind, false, "{'metadata':{'name':'a','finalizers':[%s]}}", finalizers));
}

static void test_delete(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "");
    const struct sa_object *last = ok(delete_(w, &thing_kind, "a", NULL));
    assert_string_equal(sa_object_meta(last)->uid, sa_object_meta(a)->uid);
    refused(get_(w, &thing_kind, "a"), SA_ENOTFOUND, NULL);
    refused(delete_(w, &thing_kind, "a", NULL), SA_ENOTFOUND, NULL);
    const struct sa_object *again = make(w, "");
    assert_string_not_equal(sa_object_meta(again)->uid, sa_object_meta(a)->uid);
    assert_string_not_equal(version_of(again), version_of(a));
}

static void test_preconditions(void **state)
{
    struct world *w = *state;
    const struct sa_object *old = make(w, "");
    ok(delete_(w, &thing_kind, "a", NULL));
    const struct sa_object *a = make(w, "");
    refused(
        delete_(w, &thing_kind, "a", &(struct sa_objects_delete){.uid = sa_object_meta(old)->uid}),
        SA_ECONFLICT, NULL);
    refused(delete_(w, &thing_kind, "a",
                    &(struct sa_objects_delete){.resource_version = version_of(old)}),
            SA_ECONFLICT, NULL);
    ok(get_(w, &thing_kind, "a"));
    ok(delete_(w, &thing_kind, "a",
               &(struct sa_objects_delete){.uid = sa_object_meta(a)->uid,
                                           .resource_version = version_of(a)}));
    refused(get_(w, &thing_kind, "a"), SA_ENOTFOUND, NULL);
}

/* Marked, then held until the last finalizer is off; spec and status may still be written. */
static void test_finalizers(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "'t.dev/one','t.dev/two'");
    struct watcher *watcher = watch_(w, &thing_kind, NULL, version_of(a));
    const struct sa_object *marked = ok(delete_(w, &thing_kind, "a", NULL));
    assert_true(sa_object_meta(marked)->deleted_ms > 0);
    assert_true(sa_object_meta(marked)->generation > sa_object_meta(a)->generation);
    assert_string_not_equal(version_of(marked), version_of(a));
    const struct sa_object *again = ok(delete_(w, &thing_kind, "a", NULL));
    assert_int_equal(sa_object_meta(again)->deleted_ms, sa_object_meta(marked)->deleted_ms);
    assert_string_equal(version_of(again), version_of(marked));
    refused(create_(w, &thing_kind, false, "{'metadata':{'name':'a'}}"), SA_EEXISTS, NULL);
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'phase':'Ending'}}"));
    const struct sa_object *less = ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                                             "{'metadata':{'finalizers':['t.dev/two']}}"));
    assert_int_equal(sa_object_meta(less)->finalizers.count, 1);
    refused(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                   "{'metadata':{'finalizers':['t.dev/two','t.dev/three']}}"),
            SA_EINVALID, "metadata.finalizers");
    ok(get_(w, &thing_kind, "a"));
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'metadata':{'finalizers':null}}"));
    refused(get_(w, &thing_kind, "a"), SA_ENOTFOUND, NULL);
    wait_events(watcher, 4);
    assert_string_equal(story(watcher), "~a ~a ~a -a");
}

/* Nobody takes the mark off again. */
static void test_deletion_is_final(void **state)
{
    struct world *w = *state;
    make(w, "'t.dev/one'");
    const struct sa_object *marked = ok(delete_(w, &thing_kind, "a", NULL));
    const struct sa_object *o =
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                  "{'metadata':{'deletionTimestamp':null},'spec':{'size':7}}"));
    assert_int_equal(sa_object_meta(o)->deleted_ms, sa_object_meta(marked)->deleted_ms);
    o = ok(update_(w, &thing_kind, false, "{'metadata':{'name':'a','finalizers':['t.dev/one']}}"));
    assert_int_equal(sa_object_meta(o)->deleted_ms, sa_object_meta(marked)->deleted_ms);
    refused(delete_(w, &thing_kind, "a",
                    &(struct sa_objects_delete){.resource_version = version_of(marked)}),
            SA_ECONFLICT, NULL);
}

static void test_finalizers_without_deletion(void **state)
{
    struct world *w = *state;
    make(w, "'t.dev/one'");
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'finalizers':['t.dev/two','t.dev/three']}}"));
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'metadata':{'finalizers':[]}}"));
    ok(get_(w, &thing_kind, "a"));
}

const struct CMUnitTest delete_tests[] = {TEST(test_delete),
                                          TEST(test_preconditions),
                                          TEST(test_finalizers),
                                          TEST(test_deletion_is_final),
                                          TEST(test_finalizers_without_deletion),
                                          NO_MORE_TESTS};
