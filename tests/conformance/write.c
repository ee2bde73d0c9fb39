/* Writes: versions, generation, status by itself, patches, and many writers on one object. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static const struct sa_object *make(struct world *w, const char *name)
{
    return ok(create_(w, &thing_kind, false, "{'metadata':{'name':'%s'},'spec':{'size':1}}", name));
}

static void test_update(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = ok(create_(
        w, &thing_kind, false,
        "{'metadata':{'name':'a','labels':{'x':'1'},'annotations':{'n':'1'}},'spec':{'size':2}}"));
    const struct sa_object *b =
        ok(update_(w, &thing_kind, false, "{'metadata':{'name':'a','labels':{'y':'1'}}}"));
    assert_string_equal(sa_object_meta(b)->uid, sa_object_meta(a)->uid);
    assert_int_equal(sa_object_meta(b)->created_ms, sa_object_meta(a)->created_ms);
    assert_string_not_equal(version_of(b), version_of(a));
    assert_int_equal(sa_object_meta(b)->labels.count, 1);
    assert_string_equal(sa_object_meta(b)->labels.items[0].key, "y");
    assert_int_equal(sa_object_meta(b)->annotations.count, 0);
    assert_int_equal(spec_of(b)->size, 1); /* the default again */
}

static void test_version_conflict(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    ok(update_(w, &thing_kind, false,
               "{'metadata':{'name':'a','resourceVersion':'%s'},'spec':{'size':2}}",
               version_of(a)));
    refused(update_(w, &thing_kind, false,
                    "{'metadata':{'name':'a','resourceVersion':'%s'},'spec':{'size':3}}",
                    version_of(a)),
            SA_ECONFLICT, NULL);
    refused(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, version_of(a), "{'spec':{'size':3}}"),
            SA_ECONFLICT, NULL);
    refused(
        patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, version_of(a), "{'status':{'seen':3}}"),
        SA_ECONFLICT, NULL);
    refused(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                   "{'metadata':{'resourceVersion':'%s'},'spec':{'size':3}}", version_of(a)),
            SA_ECONFLICT, NULL);
    refused(update_(w, &thing_kind, false,
                    "{'metadata':{'name':'a','uid':'11111111-2222-4333-8444-555555555555'}}"),
            SA_ECONFLICT, NULL);
    assert_int_equal(spec_of(ok(get_(w, &thing_kind, "a")))->size, 2);
    ok(update_(w, &thing_kind, false, "{'metadata':{'name':'a'},'spec':{'size':4}}"));
}

/* Generation counts what is wanted, and nothing else. */
static void test_generation(void **state)
{
    struct world *w = *state;
    make(w, "a");
    const struct sa_object *o =
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':2}}"));
    assert_int_equal(sa_object_meta(o)->generation, 2);
    o = ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                  "{'metadata':{'labels':{'x':'1'},'generation':77}}"));
    assert_int_equal(sa_object_meta(o)->generation, 2);
    o = ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'seen':1}}"));
    assert_int_equal(sa_object_meta(o)->generation, 2);
    o = ok(update_(w, &thing_kind, false, "{'metadata':{'name':'a'},'spec':{'size':3}}"));
    assert_int_equal(sa_object_meta(o)->generation, 3);
}

static void test_status_is_its_own(void **state)
{
    struct world *w = *state;
    make(w, "a");
    const struct sa_object *o = ok(
        patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL,
               "{'metadata':{'labels':{'x':'1'}},'spec':{'size':50},'status':{'phase':'Ready'}}"));
    assert_string_equal(status_of(o)->phase, "Ready");
    assert_int_equal(spec_of(o)->size, 1);
    assert_int_equal(sa_object_meta(o)->labels.count, 0);
    o = ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                  "{'spec':{'size':2},'status':{'phase':'Forged'}}"));
    assert_string_equal(status_of(o)->phase, "Ready");
    assert_int_equal(spec_of(o)->size, 2);
    o = ok(update_(w, &thing_kind, false,
                   "{'metadata':{'name':'a'},'spec':{'size':3},'status':{'phase':'Forged'}}"));
    assert_string_equal(status_of(o)->phase, "Ready");
    refused(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'seen':-1}}"),
            SA_EINVALID, "status.seen");
    refused(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'sen':1}}"),
            SA_EINVALID, "status.sen");
}

/* What changes nothing makes no version, and nobody hears of it. */
static void test_nothing_changes(void **state)
{
    struct world *w = *state;
    const struct sa_object *a =
        ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a','labels':{'x':'1','y':'2'}}}"));
    struct watcher *watcher = watch_(w, &thing_kind, NULL, version_of(a));
    const struct sa_object *o = ok(update_(
        w, &thing_kind, false, "{'metadata':{'name':'a','labels':{'y':'2','x':'1'}},'spec':{}}"));
    assert_string_equal(version_of(o), version_of(a));
    o = ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':1}}"));
    assert_string_equal(version_of(o), version_of(a));
    o = ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{}}"));
    assert_string_equal(version_of(o), version_of(a));
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':2}}"));
    wait_events(watcher, 1);
    assert_string_equal(story(watcher), "~a");
}

static void test_merge_patch(void **state)
{
    struct world *w = *state;
    ok(create_(w, &thing_kind, false,
               "{'metadata':{'name':'a','labels':{'x':'1','y':'2'},'finalizers':['t.dev/f']},"
               "'spec':{'size':5,'node':'n'}}"));
    const struct sa_object *o =
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                  "{'metadata':{'labels':{'x':null,'z':'3'}},'spec':{'node':null}}"));
    const struct sa_json_map *labels = &sa_object_meta(o)->labels;
    assert_int_equal(labels->count, 2);
    assert_string_equal(labels->items[0].key, "y");
    assert_string_equal(labels->items[1].key, "z");
    assert_int_equal(spec_of(o)->size, 5);
    assert_string_equal(spec_of(o)->node, "");
    assert_true(sa_object_has_finalizer(o, "t.dev/f"));
    o = ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
                  "{'metadata':{'finalizers':['t.dev/g']}}")); /* lists are replaced */
    assert_false(sa_object_has_finalizer(o, "t.dev/f"));
    assert_true(sa_object_has_finalizer(o, "t.dev/g"));
}

static void test_bad_patches(void **state)
{
    static const struct {
        const char *json, *path;
    } cases[] = {
        {"[]", NULL},
        {"{", NULL},
        {"{'metadata':{'name':'b'}}", "metadata.name"},
        {"{'metadata':{'namespace':'b'}}", "metadata.namespace"},
        {"{'metadata':{'labels':{'x':'a b'}}}", "metadata.labels"},
        {"{'spec':{'size':101}}", "spec.size"},
        {"{'spec':{'sise':1}}", "spec.sise"},
        {"{'spec':7}", "spec"},
    };
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "%s", cases[i].json),
                SA_EINVALID, cases[i].path);
    assert_string_equal(version_of(ok(get_(w, &thing_kind, "a"))), version_of(a));
}

static void test_immutable(void **state)
{
    struct world *w = *state;
    make(w, "a");
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'fixed':'x'}}"));
    refused(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'fixed':'y'}}"),
            SA_EINVALID, "spec.fixed");
    refused(update_(w, &thing_kind, false, "{'metadata':{'name':'a'}}"), SA_EINVALID, "spec.fixed");
    ok(update_(w, &thing_kind, false, "{'metadata':{'name':'a'},'spec':{'fixed':'x','size':9}}"));
}

/* ---- contention ---- */

enum { WRITERS = 12, INCREMENTS = 20 };
struct writer {
    struct world *w;
    int left, conflicts;
    bool done;
};

static void count_up(struct writer *writer);

static void on_counted(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct writer *writer = user;
    (void)object;
    if (err) {
        assert_int_equal(err->code, SA_ECONFLICT);
        writer->conflicts++;
    } else {
        writer->left--;
    }
    if (writer->left)
        count_up(writer);
    else
        writer->done = true;
}

static void on_read(void *user, const struct sa_error *err, const struct sa_object *object)
{
    struct writer *writer = user;
    char json[64];
    assert_null(err);
    int length = snprintf(json, sizeof json, "{\"status\":{\"seen\":%lld}}",
                          (long long)status_of(object)->seen + 1);
    sa_objects_patch(writer->w->objects, &thing_kind,
                     &(struct sa_objects_patch){.namespace_ = "default",
                                                .name = "a",
                                                .subresource = SA_SUBRESOURCE_STATUS,
                                                .resource_version = version_of(object),
                                                .json = json,
                                                .length = (size_t)length},
                     on_counted, writer);
}

static void count_up(struct writer *writer)
{
    sa_objects_get(writer->w->objects, &thing_kind, "default", "a", on_read, writer);
}

/* Read, add one, write back if nobody else has: no increment is lost. */
static void test_contention(void **state)
{
    struct world *w = *state;
    struct writer writers[WRITERS];
    int conflicts = 0;
    make(w, "a");
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.w = w, .left = INCREMENTS};
        count_up(&writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        wait_for(w, &writers[i].done, "the writers");
        conflicts += writers[i].conflicts;
    }
    const struct sa_object *o = ok(get_(w, &thing_kind, "a"));
    assert_int_equal(status_of(o)->seen, WRITERS * INCREMENTS);
    assert_true(conflicts > 0);
}

static struct result replace_(struct world *w, const struct sa_object *now,
                              const struct sa_objects_patch *what)
{
    struct result result = {.object = NULL};
    struct sa_objects_patch patch = *what;
    patch.namespace_ = sa_object_meta(now)->namespace_;
    patch.name = sa_object_meta(now)->name;
    patch.resource_version = version_of(now);
    sa_objects_patch(w->objects, &thing_kind, &patch, on_result, &result);
    assert_false(result.done);
    settle(w, &result);
    return result;
}

/* Structs take the place of what is there: each of them alone, and of the version that was read. */
static void test_replace(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    const struct thing_status told = {.phase = "Told", .seen = 7};
    const struct thing_spec bigger = {.size = 9, .node = "n", .fixed = ""};
    const struct thing_spec bad = {.size = 1000, .node = "", .fixed = ""};
    const char *names[] = {"t.dev/f"};
    const struct sa_json_strings held = {names, 1}, none = {NULL, 0};
    const struct sa_object *b = ok(replace_(
        w, a, &(struct sa_objects_patch){.subresource = SA_SUBRESOURCE_STATUS, .value = &told}));
    assert_string_equal(status_of(b)->phase, "Told");
    assert_int_equal(status_of(b)->seen, 7);
    assert_int_equal(sa_object_meta(b)->generation, 1);
    refused(replace_(w, a, &(struct sa_objects_patch){.value = &bigger}), SA_ECONFLICT, NULL);
    refused(replace_(w, b, &(struct sa_objects_patch){.value = &bad}), SA_EINVALID, NULL);
    const struct sa_object *c =
        ok(replace_(w, b, &(struct sa_objects_patch){.value = &bigger, .finalizers = &held}));
    assert_int_equal(spec_of(c)->size, 9);
    assert_string_equal(status_of(c)->phase, "Told");
    assert_int_equal(sa_object_meta(c)->generation, 2);
    assert_true(sa_object_has_finalizer(c, "t.dev/f"));
    const struct sa_object *same = ok(replace_(w, c, &(struct sa_objects_patch){.value = &bigger}));
    assert_string_equal(version_of(same), version_of(c));
    const struct sa_object *d = ok(delete_(w, &thing_kind, "a", NULL));
    ok(replace_(w, d, &(struct sa_objects_patch){.finalizers = &none}));
    refused(get_(w, &thing_kind, "a"), SA_ENOTFOUND, NULL);
}

/* Two creates of a name at once: one. */
static void test_one_create_wins(void **state)
{
    struct world *w = *state;
    struct result results[8];
    int made = 0;
    for (int i = 0; i < 8; i++)
        start_create(w, &thing_kind, &results[i], "{'metadata':{'name':'a'},'spec':{'size':%d}}",
                     i);
    for (int i = 0; i < 8; i++) {
        settle(w, &results[i]);
        made += results[i].object != NULL;
        if (!results[i].object)
            assert_int_equal(results[i].err.code, SA_EEXISTS);
    }
    assert_int_equal(made, 1);
}

static void test_forgotten(void **state)
{
    struct world *w = *state;
    struct result result = {.object = NULL};
    static const char json[] = "{\"metadata\":{\"name\":\"a\"}}";
    struct sa_objects_call *call =
        sa_objects_create(w->objects, &thing_kind, json, strlen(json), false, on_result, &result);
    sa_objects_forget(w->objects, call);
    turns(w, 5);
    make(w, "b"); /* answered after */
    assert_false(result.done);
}

const struct CMUnitTest write_tests[] = {TEST(test_update),
                                         TEST(test_version_conflict),
                                         TEST(test_generation),
                                         TEST(test_status_is_its_own),
                                         TEST(test_nothing_changes),
                                         TEST(test_merge_patch),
                                         TEST(test_bad_patches),
                                         TEST(test_immutable),
                                         TEST(test_contention),
                                         TEST(test_one_create_wins),
                                         TEST(test_forgotten),
                                         TEST(test_replace),
                                         NO_MORE_TESTS};
