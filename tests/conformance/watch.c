/* Watches: order, nothing missing and nothing twice, selections, bookmarks, expiry. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct sa_object *make(struct world *w, const char *name)
{
    return ok(create_(w, &thing_kind, false, "{'metadata':{'name':'%s'}}", name));
}

static const char *now(struct world *w)
{
    return list_(w, &thing_kind, NULL, 0, NULL).version;
}

static void test_order(void **state)
{
    struct world *w = *state;
    make(w, "before");
    struct watcher *watcher = watch_(w, &thing_kind, NULL, now(w));
    const struct sa_object *a = make(w, "a");
    const struct sa_object *changed =
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':2}}"));
    make(w, "b");
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'seen':1}}"));
    ok(delete_(w, &thing_kind, "a", NULL));
    const struct sa_object *again = make(w, "a");
    wait_events(watcher, 6);
    assert_string_equal(story(watcher), "+a ~a +b ~a -a +a");
    assert_string_equal(watcher->events[0].version, version_of(a));
    assert_string_equal(watcher->events[1].version, version_of(changed));
    assert_int_equal(spec_of(watcher->events[1].object)->size, 2);
    assert_string_equal(sa_object_meta(watcher->events[4].object)->uid, sa_object_meta(a)->uid);
    assert_string_equal(watcher->events[5].version, version_of(again));
}

static void test_from_the_past(void **state)
{
    struct world *w = *state;
    const char *begin = now(w);
    const struct sa_object *a = make(w, "a");
    make(w, "b");
    ok(delete_(w, &thing_kind, "a", NULL));
    struct watcher *all = watch_(w, &thing_kind, NULL, begin);
    struct watcher *some = watch_(w, &thing_kind, NULL, version_of(a));
    wait_events(all, 3);
    wait_events(some, 2);
    assert_string_equal(story(all), "+a +b -a");
    assert_string_equal(story(some), "+b -a");
    struct watcher *rest = watch_(w, &thing_kind, NULL, all->events[1].version);
    wait_events(rest, 1);
    assert_string_equal(story(rest), "-a");
}

static void test_only_its_kind_and_namespace(void **state)
{
    struct world *w = *state;
    struct watcher *all = watch_(w, &thing_kind, NULL, now(w));
    struct watcher *one =
        watch_(w, &thing_kind, &(struct sa_objects_select){.namespace_ = "two"}, now(w));
    ok(create_(w, &other_kind, false, "{'metadata':{'name':'x'}}"));
    make(w, "a");
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'b','namespace':'two'}}"));
    make(w, "c");
    wait_events(all, 3);
    wait_events(one, 1);
    turns(w, 3);
    assert_string_equal(story(all), "+a +b +c");
    assert_string_equal(story(one), "+b");
}

/* What begins to match is added, what ceases to is deleted, what never did is not told. */
static void test_selected(void **state)
{
    struct world *w = *state;
    struct watcher *labels =
        watch_(w, &thing_kind, &(struct sa_objects_select){.label_selector = "on=1"}, now(w));
    struct watcher *fields =
        watch_(w, &thing_kind, &(struct sa_objects_select){.field_selector = "status.phase=Ready"},
               now(w));
    make(w, "a");
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'labels':{'on':'1'}}}"));
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'phase':'Ready'}}"));
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'labels':{'on':'2'}}}"));
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'phase':'Gone'}}"));
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'labels':{'on':'1'}}}"));
    ok(delete_(w, &thing_kind, "a", NULL));
    make(w, "b");
    wait_events(labels, 5);
    wait_events(fields, 3);
    turns(w, 3);
    assert_string_equal(story(labels), "+a ~a -a +a -a");
    assert_string_equal(story(fields), "+a ~a -a");
}

/* ---- list, then watch, while others write ---- */

enum { NAMES = 5, ROUNDS = 300, CHAINS = 10 };
struct chain { /* creates, changes and deletes objects, one after the other */
    struct world *w;
    unsigned seed;
    int left;
    bool done;
};

static void write_next(struct chain *chain);

static void on_written(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)err; /* there already, or not there */
    (void)object;
    write_next(user);
}

static void write_next(struct chain *chain)
{
    char json[96], name[8];
    if (chain->left-- == 0) {
        chain->done = true;
        return;
    }
    snprintf(name, sizeof name, "n%d", rand_r(&chain->seed) % NAMES);
    int what = rand_r(&chain->seed) % 4;
    if (what == 0) {
        int n = snprintf(json, sizeof json, "{\"metadata\":{\"name\":\"%s\"}}", name);
        sa_objects_create(chain->w->objects, &thing_kind, json, (size_t)n, false, on_written,
                          chain);
    } else if (what == 1) {
        sa_objects_delete(chain->w->objects, &thing_kind,
                          &(struct sa_objects_delete){.namespace_ = "default", .name = name},
                          on_written, chain);
    } else {
        int n =
            snprintf(json, sizeof json, "{\"status\":{\"seen\":%d}}", rand_r(&chain->seed) % 1000);
        sa_objects_patch(chain->w->objects, &thing_kind,
                         &(struct sa_objects_patch){.namespace_ = "default",
                                                    .name = name,
                                                    .subresource = SA_SUBRESOURCE_STATUS,
                                                    .json = json,
                                                    .length = (size_t)n},
                         on_written, chain);
    }
}

/* A cache of the versions, as the events tell it. */
struct cache {
    char versions[NAMES][SA_RESOURCE_VERSION_BYTES]; /* "": not there */
};

static int number_of(const struct sa_object *object)
{
    return name_of(object)[1] - '0';
}

/* ADDED only what is not there, MODIFIED and DELETED only what is; no version twice. */
static void follow(struct cache *cache, const struct watcher *watcher)
{
    for (size_t i = 0; i < watcher->count; i++) {
        const struct event *e = &watcher->events[i];
        char *version = cache->versions[number_of(e->object)];
        assert_true((e->type == SA_WATCH_ADDED) == (version[0] == '\0'));
        assert_string_not_equal(version, e->version);
        snprintf(version, SA_RESOURCE_VERSION_BYTES, "%s",
                 e->type == SA_WATCH_DELETED ? "" : e->version);
    }
}

static void test_list_then_watch(void **state)
{
    struct world *w = *state;
    struct chain chains[CHAINS];
    struct watcher *watchers[CHAINS];
    struct cache caches[CHAINS] = {{{""}}};
    for (int i = 0; i < CHAINS; i++) {
        chains[i] = (struct chain){.w = w, .seed = (unsigned)i + 1, .left = ROUNDS};
        write_next(&chains[i]);
    }
    for (int i = 0; i < CHAINS; i++) {
        turns(w, 1 + i);
        struct listing l = list_(w, &thing_kind, NULL, 0, NULL);
        for (size_t k = 0; k < l.count; k++)
            snprintf(caches[i].versions[number_of(l.items[k])], SA_RESOURCE_VERSION_BYTES, "%s",
                     version_of(l.items[k]));
        watchers[i] = watch_(w, &thing_kind, NULL, l.version);
    }
    for (int i = 0; i < CHAINS; i++)
        wait_for(w, &chains[i].done, "the writers");
    const struct sa_object *last = make(w, "last");
    for (int i = 0; i < CHAINS; i++) {
        struct watcher *watcher = watchers[i];
        while (!watcher->ended &&
               (!watcher->count ||
                strcmp(watcher->events[watcher->count - 1].version, version_of(last)) != 0))
            uv_run(w->loop, UV_RUN_ONCE);
        assert_false(watcher->ended);
        watcher->count--; /* "last" */
        follow(&caches[i], watcher);
        for (int n = 0; n < NAMES; n++) {
            char name[8];
            snprintf(name, sizeof name, "n%d", n);
            struct result r = get_(w, &thing_kind, name);
            assert_string_equal(caches[i].versions[n], r.object ? version_of(r.object) : "");
        }
    }
}

/* Each event is of what was answered, and watchers agree on the order. */
static void test_watchers_agree(void **state)
{
    struct world *w = *state;
    struct chain chains[CHAINS];
    struct watcher *one = watch_(w, &thing_kind, NULL, now(w));
    struct watcher *two = watch_(w, &thing_kind, NULL, now(w));
    for (int i = 0; i < CHAINS; i++) {
        chains[i] = (struct chain){.w = w, .seed = (unsigned)i + 100, .left = 30};
        write_next(&chains[i]);
    }
    for (int i = 0; i < CHAINS; i++)
        wait_for(w, &chains[i].done, "the writers");
    make(w, "last");
    while (!one->count || strcmp(name_of(one->events[one->count - 1].object), "last") != 0)
        uv_run(w->loop, UV_RUN_ONCE);
    wait_events(two, one->count);
    assert_int_equal(two->count, one->count);
    for (size_t i = 0; i < one->count; i++)
        assert_string_equal(one->events[i].version, two->events[i].version);
}

static void test_unwatched(void **state)
{
    struct world *w = *state;
    struct watcher *watcher = watch_(w, &thing_kind, NULL, now(w));
    struct watcher *other = watch_(w, &thing_kind, NULL, now(w));
    make(w, "a");
    wait_events(watcher, 1);
    unwatch_(watcher);
    make(w, "b");
    wait_events(other, 2);
    turns(w, 3);
    assert_int_equal(watcher->count, 1);
}

static void test_bookmarks(void **state)
{
    struct world *w = *state;
    struct watcher *watcher =
        watch_(w, &thing_kind, &(struct sa_objects_select){.namespace_ = "quiet"}, now(w));
    make(w, "a");
    for (int i = 1; !watcher->bookmarks; i++)
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'seen':%d}}", i));
    assert_int_equal(watcher->count, 0);
    unwatch_(watcher);
    struct watcher *on = watch_(w, &thing_kind, NULL, watcher->bookmark);
    const struct sa_object *b = make(w, "b"); /* a bookmark is a version to go on from */
    wait_events(on, 1);
    assert_string_equal(on->events[on->count - 1].version, version_of(b));
}

static void test_expires(void **state)
{
    struct world *w = *state;
    const char *begin = now(w);
    make(w, "a");
    struct watcher *follows = watch_(w, &thing_kind, NULL, begin);
    for (size_t i = 0; i <= w->target->history; i++)
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'seen':%zu}}",
                  i + 1));
    wait_events(follows, w->target->history + 2);
    assert_false(follows->ended); /* it has kept up */
    if (!w->target->history)
        return;
    struct watcher *late = watch_(w, &thing_kind, NULL, begin);
    wait_for(w, &late->ended, "the watch to end");
    assert_int_equal(late->err.code, SA_EEXPIRED);
    assert_int_equal(late->count, 0);
    struct watcher *anew = watch_(w, &thing_kind, NULL, now(w));
    make(w, "b");
    wait_events(anew, 1);
    assert_string_equal(story(anew), "+b");
}

static void test_no_such_version(void **state)
{
    static const char *const cases[] = {"never", "99999999999999999999999", "1x"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct watcher *watcher = watch_(w, &thing_kind, NULL, cases[i]);
        wait_for(w, &watcher->ended, "the watch to end");
        assert_true(watcher->err.code == SA_EEXPIRED || watcher->err.code == SA_EINVALID);
    }
    struct watcher *watcher =
        watch_(w, &thing_kind, &(struct sa_objects_select){.label_selector = "a in"}, now(w));
    wait_for(w, &watcher->ended, "the watch to end");
    assert_int_equal(watcher->err.code, SA_EINVALID);
}

const struct CMUnitTest watch_tests[] = {TEST(test_order),
                                         TEST(test_from_the_past),
                                         TEST(test_only_its_kind_and_namespace),
                                         TEST(test_selected),
                                         TEST(test_list_then_watch),
                                         TEST(test_watchers_agree),
                                         TEST(test_unwatched),
                                         TEST(test_bookmarks),
                                         TEST(test_expires),
                                         TEST(test_no_such_version),
                                         NO_MORE_TESTS};
