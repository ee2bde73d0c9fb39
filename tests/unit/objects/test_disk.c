/* The embedded store on a disk that fails or is full: what was answered is there, what was not is
 * not, and it goes on when the disk does. */
#include "objects/embedded.h"
#include "scratch_target.h"

#include "base/cleanup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* No file of this process may grow, or be written, beyond so many bytes. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes;
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
}

static int lift_limit(void **state)
{
    limit_files(RLIM_INFINITY);
    return scratch_teardown(state);
}

static void test_survives_a_restart(void **state)
{
    struct world *w = *state;
    ok(create_(
        w, &thing_kind, false,
        "{'metadata':{'name':'a','labels':{'x':'1'},'annotations':{'n':'a \\u0001 b'},'finalizers':"
        "['t.dev/f'],'ownerReferences':[{'apiVersion':'v1','kind':'A','name':'b','uid':'1',"
        "'controller':true}]},'spec':{'size':3}}"));
    ok(create_(w, &cluster_kind, false, "{'metadata':{'name':'wide'}}"));
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'gone'}}"));
    ok(delete_(w, &thing_kind, "gone", NULL));
    const struct sa_object *made =
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'seen':2}}"));
    struct listing before = list_(w, &thing_kind, NULL, 0, NULL);
    world_reopen(w);
    const struct sa_object *again = ok(get_(w, &thing_kind, "a"));
    sa_autobuf one = SA_BUF_INIT;
    sa_autobuf two = SA_BUF_INIT;
    struct sa_json_w writer = sa_json_w_start(&one);
    sa_object_print(made, &writer);
    writer = sa_json_w_start(&two);
    sa_object_print(again, &writer);
    assert_string_equal(one.data, two.data);
    ok(get_(w, &cluster_kind, "wide"));
    refused(get_(w, &thing_kind, "gone"), SA_ENOTFOUND, NULL);
    struct watcher *watcher = watch_(w, &thing_kind, NULL, before.version);
    const struct sa_object *b = ok(create_(w, &thing_kind, false, "{'metadata':{'name':'b'}}"));
    wait_events(watcher, 1);
    assert_true(strtoull(version_of(b), NULL, 10) > strtoull(before.version, NULL, 10));
}

static void test_locked(void **state)
{
    struct world *w = *state;
    struct sa_error err;
    assert_null(sa_embedded_open(&(struct sa_embedded_options){.loop = w->loop,
                                                               .data_dir = scratch_folder,
                                                               .kinds = world_kinds},
                                 &err));
    assert_int_equal(err.code, SA_ECONFLICT);
}

static void test_failed_commit(void **state)
{
    struct world *w = *state;
    struct result created, patched, got = {.object = NULL}, gone = {.object = NULL};
    const struct sa_object *a =
        ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a'},'spec':{'size':1}}"));
    struct watcher *watcher = watch_(w, &thing_kind, NULL, version_of(a));
    limit_files(0);
    start_create(w, &thing_kind, &created, "{'metadata':{'name':'b'}}");
    start_patch(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, &patched, "{'spec':{'size':2}}");
    sa_objects_get(w->objects, &thing_kind, "default", "b", on_result, &got);
    sa_objects_delete(w->objects, &thing_kind,
                      &(struct sa_objects_delete){.namespace_ = "default", .name = "a"}, on_result,
                      &gone);
    settle(w, &created);
    settle(w, &patched);
    settle(w, &got);
    settle(w, &gone);
    refused(created, SA_EUNAVAILABLE, NULL);
    refused(patched, SA_EUNAVAILABLE, NULL);
    refused(got, SA_EUNAVAILABLE, NULL); /* it had seen what came to nothing */
    refused(gone, SA_EUNAVAILABLE, NULL);
    const struct sa_object *still = ok(get_(w, &thing_kind, "a")); /* reads go on */
    assert_string_equal(version_of(still), version_of(a));
    assert_int_equal(list_(w, &thing_kind, NULL, 0, NULL).count, 1);
    refused(create_(w, &thing_kind, false, "{'metadata':{'name':'b'}}"), SA_EUNAVAILABLE, NULL);
    limit_files(RLIM_INFINITY);
    const struct sa_object *b = ok(create_(w, &thing_kind, false, "{'metadata':{'name':'b'}}"));
    wait_events(watcher, 1);
    assert_string_equal(story(watcher), "+b");
    assert_true(strtoull(version_of(b), NULL, 10) > strtoull(version_of(a), NULL, 10));
    world_reopen(w);
    assert_string_equal(version_of(ok(get_(w, &thing_kind, "a"))), version_of(a));
    assert_string_equal(version_of(ok(get_(w, &thing_kind, "b"))), version_of(b));
}

/* ---- collecting goes on once it can ---- */

static void on_deleted(void *user, const struct sa_error *err, const struct sa_object *object)
{
    (void)object;
    assert_null(err);
    limit_files(0); /* before what it owned can follow */
    *(bool *)user = true;
}

static void test_collects_later(void **state)
{
    struct world *w = *state;
    bool deleted = false;
    const struct sa_object *a = ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a'}}"));
    for (int i = 0; i < 10; i++)
        ok(create_(w, &other_kind, false,
                   "{'metadata':{'name':'x%d','ownerReferences':[{'apiVersion':'v1','kind':'Thing',"
                   "'name':'a','uid':'%s'}]}}",
                   i, sa_object_meta(a)->uid));
    sa_objects_delete(w->objects, &thing_kind,
                      &(struct sa_objects_delete){.namespace_ = "default", .name = "a"}, on_deleted,
                      &deleted);
    wait_for(w, &deleted, "the deletion");
    refused(create_(w, &thing_kind, false, "{'metadata':{'name':'b'}}"), SA_EUNAVAILABLE, NULL);
    struct listing l = list_(w, &other_kind, NULL, 0, NULL);
    assert_true(l.err.code == SA_EUNAVAILABLE || l.count == 10);
    limit_files(RLIM_INFINITY);
    wait_gone(w, &other_kind, "x9");
    while (list_(w, &other_kind, NULL, 0, NULL).count)
        turns(w, 1);
}

/* ---- a disk that fills up ---- */

static rlim_t size_of(const char *name)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", scratch_folder, name);
    return stat(path, &st) == 0 ? (rlim_t)st.st_size : 0;
}

static void compare(struct world *w, const char *const versions[], int count)
{
    int there = 0;
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        struct result r = get_(w, &thing_kind, name);
        if (versions[i])
            assert_string_equal(version_of(ok(r)), versions[i]);
        else
            refused(r, SA_ENOTFOUND, NULL);
        there += versions[i] != NULL;
    }
    assert_int_equal(list_(w, &thing_kind, NULL, 0, NULL).count, there);
}

static void test_fills_up(void **state)
{
    enum { COUNT = 200 };
    static struct result results[COUNT];
    const char *versions[COUNT] = {NULL};
    struct world *w = *state;
    int failed = 0;
    char *filling = sa_arena_alloc(w->arena, 8001);
    memset(filling, 'x', 8000);
    ok(create_(w, &other_kind, false, "{'metadata':{'name':'a'}}"));
    limit_files(size_of("objects.db-wal") + 500 * 1024);
    for (int i = 0; i < COUNT; i++) {
        start_create(w, &thing_kind, &results[i],
                     "{'metadata':{'name':'t%d','annotations':{'n':'%s'}}}", i, filling);
        if (i % 7 == 0)
            turns(w, 1);
    }
    for (int i = 0; i < COUNT; i++) {
        if (!results[i].done)
            wait_for(w, &results[i].done, "the writes");
        if (results[i].object) {
            versions[i] = sa_arena_strdup(w->arena, version_of(results[i].object));
            sa_object_unref(results[i].object);
        } else {
            refused(results[i], SA_EUNAVAILABLE, NULL);
            failed++;
        }
    }
    assert_true(failed > 0 && failed < COUNT);
    compare(w, versions, COUNT);
    limit_files(RLIM_INFINITY);
    world_reopen(w);
    compare(w, versions, COUNT);
}

/* ---- what is kept for a time only ---- */

static int64_t clock_ms = 1000000;

static int64_t now_ms(void)
{
    return clock_ms;
}

static void on_closed(void *user)
{
    *(bool *)user = true;
}

static void test_full_store(void **state)
{
    struct world *w = *state;
    struct result result[2];
    bool closed = false;
    struct sa_objects *own = w->objects;
    w->objects = sa_embedded_open(
        &(struct sa_embedded_options){
            .loop = w->loop, .kinds = world_kinds, .objects_max = 1, .wall_ms = now_ms},
        NULL);
    start_create(w, &thing_kind, &result[0], "{'metadata':{'name':'a'}}");
    start_create(w, &thing_kind, &result[1], "{'metadata':{'name':'b'}}");
    settle(w, &result[0]);
    settle(w, &result[1]);
    assert_int_equal(sa_object_meta(ok(result[0]))->created_ms, clock_ms);
    refused(result[1], SA_EQUOTA, NULL);
    ok(delete_(w, &thing_kind, "a", NULL));
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'b'}}"));
    struct sa_embedded_stats stats;
    sa_embedded_stats(w->objects, &stats);
    assert_int_equal(stats.objects, 1);
    assert_int_equal(stats.writes, 3);
    assert_int_equal(stats.uncommitted, 0);
    sa_embedded_close(w->objects, on_closed, &closed);
    wait_for(w, &closed, "the store to close");
    w->objects = own;
}

/* What is asked for at the very end is answered, too. */
static void test_closing_answers(void **state)
{
    struct world *w = *state;
    struct result created, got = {.object = NULL};
    start_create(w, &thing_kind, &created, "{'metadata':{'name':'a'}}");
    sa_objects_get(w->objects, &thing_kind, "default", "a", on_result, &got);
    world_reopen(w);
    assert_true(created.done && got.done);
    assert_non_null(created.object);
    sa_object_unref(created.object);
    sa_object_unref(got.object);
    ok(get_(w, &thing_kind, "a"));
}

#define DISK_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, lift_limit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(test_survives_a_restart), DISK_TEST(test_locked),   DISK_TEST(test_failed_commit),
        DISK_TEST(test_collects_later),     DISK_TEST(test_fills_up), DISK_TEST(test_full_store),
        DISK_TEST(test_closing_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
