/* Informers: what handlers hear, indexes, and that the cache becomes what the store has, however
 * badly the watch behaves. */
#include "objects/informer.h"

#include "conformance/fixture.h"
#include "embedded_target.h"
#include "faulty.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct listener {
    struct sa_informer_handler handler;
    struct sa_buf story; /* "+a ~a -a " */
    struct sa_informer *informer;
    bool remove_itself, stop;
};

static void on_changed(struct sa_informer_handler *handler, const struct sa_object *before,
                       const struct sa_object *now)
{
    struct listener *l = (struct listener *)handler;
    sa_buf_printf(&l->story, "%c%s ",
                  !before ? '+'
                  : !now  ? '-'
                          : '~',
                  name_of(now ? now : before));
    if (l->remove_itself)
        sa_informer_remove_handler(l->informer, handler);
    if (l->stop)
        sa_informer_stop(l->informer);
}

static size_t by_node(const struct sa_object *object, struct sa_arena *arena, const char *values[8])
{
    values[0] = spec_of(object)->node;
    values[1] = sa_arena_printf(arena, "size-%d", (int)spec_of(object)->size);
    return 2;
}

static const struct sa_informer_index indexes[] = {{"byNode", by_node}, {NULL, NULL}};

static struct sa_informer *start(struct world *w, struct sa_objects *objects)
{
    return sa_informer_start(&(struct sa_informer_options){
        .loop = w->loop, .objects = objects, .kind = &thing_kind, .indexes = indexes});
}

static struct listener *hear(struct world *w, struct sa_informer *informer)
{
    struct listener *l = sa_arena_alloc(w->arena, sizeof *l);
    l->handler.changed = on_changed;
    l->informer = informer;
    sa_informer_add_handler(informer, &l->handler);
    return l;
}

static void wait_story(struct world *w, const struct listener *l, const char *story)
{
    for (int i = 0; i < 2000 && (!l->story.data || strcmp(l->story.data, story) != 0); i++)
        turns(w, 1);
    assert_string_equal(l->story.data, story);
}

static void make(struct world *w, const char *name, const char *node)
{
    ok(create_(w, &thing_kind, false, "{'metadata':{'name':'%s'},'spec':{'node':'%s'}}", name,
               node));
}

static void test_hears(void **state)
{
    struct world *w = *state;
    make(w, "a", "n");
    struct sa_informer *informer = start(w, w->objects);
    struct listener *first = hear(w, informer);
    assert_false(sa_informer_synced(informer));
    wait_story(w, first, "+a ");
    assert_true(sa_informer_synced(informer));
    make(w, "b", "n");
    wait_story(w, first, "+a +b ");
    struct listener *late = hear(w, informer);
    wait_story(w, late, "+a +b ");
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':2}}"));
    ok(delete_(w, &thing_kind, "b", NULL));
    wait_story(w, first, "+a +b ~a -b ");
    wait_story(w, late, "+a +b ~a -b ");
    sa_informer_remove_handler(informer, &late->handler);
    make(w, "c", "n");
    wait_story(w, first, "+a +b ~a -b +c ");
    wait_story(w, late, "+a +b ~a -b ");
    assert_int_equal(sa_informer_count(informer), 2);
    sa_informer_stop(informer);
    sa_buf_deinit(&first->story);
    sa_buf_deinit(&late->story);
}

static void test_handlers_that_go(void **state)
{
    struct world *w = *state;
    make(w, "a", "");
    make(w, "b", "");
    struct sa_informer *informer = start(w, w->objects);
    struct listener *early = hear(w, informer);
    early->remove_itself = true;
    wait_story(w, early, "+a ");
    struct listener *greeted = hear(w, informer);
    greeted->remove_itself = true;
    wait_story(w, greeted, "+a ");
    struct listener *stops = hear(w, informer);
    stops->stop = true;
    wait_story(w, stops, "+a ");
    turns(w, 5);
    assert_string_equal(stops->story.data, "+a ");
    sa_buf_deinit(&early->story);
    sa_buf_deinit(&greeted->story);
    sa_buf_deinit(&stops->story);
}

static size_t found(const struct sa_informer *informer, const char *value)
{
    return sa_informer_find(informer, "byNode", value).count;
}

static void test_indexes(void **state)
{
    struct world *w = *state;
    make(w, "a", "one");
    make(w, "b", "one");
    make(w, "c", "two");
    struct sa_informer *informer = start(w, w->objects);
    struct listener *l = hear(w, informer);
    wait_story(w, l, "+a +b +c ");
    assert_int_equal(found(informer, "one"), 2);
    assert_int_equal(found(informer, "size-1"), 3);
    assert_int_equal(found(informer, "none"), 0);
    assert_int_equal(sa_informer_find(informer, "byNothing", "one").count, 0);
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'node':'two','size':2}}"));
    ok(delete_(w, &thing_kind, "b", NULL));
    wait_story(w, l, "+a +b +c ~a -b ");
    assert_int_equal(found(informer, "one"), 0);
    assert_int_equal(found(informer, "two"), 2);
    assert_int_equal(found(informer, "size-1"), 1);
    assert_string_equal(name_of(sa_informer_find(informer, "byNode", "size-2").items[0]), "a");
    size_t walked = 0;
    for (const struct sa_object *o = NULL; (o = sa_informer_next(informer, o));)
        walked++;
    assert_int_equal(walked, 2);
    assert_non_null(sa_informer_get(informer, "default/a"));
    assert_null(sa_informer_get(informer, "default/b"));
    sa_informer_stop(informer);
    sa_buf_deinit(&l->story);
}

static void test_resync(void **state)
{
    struct world *w = *state;
    make(w, "a", "");
    struct sa_informer *informer = sa_informer_start(&(struct sa_informer_options){
        .loop = w->loop, .objects = w->objects, .kind = &thing_kind, .resync_ms = 20});
    struct listener *l = hear(w, informer);
    wait_story(w, l, "+a ~a ");
    sa_informer_stop(informer);
    sa_buf_deinit(&l->story);
}

/* ---- against a faulty watch ---- */

enum { NAMES = 8, WRITES = 800 };

/* What a handler believes, from what it was told alone. */
struct mirror {
    struct sa_informer_handler handler;
    char uids[NAMES][SA_UID_BYTES]; /* "": not there */
    char versions[NAMES][SA_RESOURCE_VERSION_BYTES];
};

static void on_mirrored(struct sa_informer_handler *handler, const struct sa_object *before,
                        const struct sa_object *now)
{
    struct mirror *m = (struct mirror *)handler;
    int i = name_of(before ? before : now)[1] - '0';
    assert_string_equal(m->uids[i], before ? sa_object_meta(before)->uid : "");
    if (before && now)
        assert_string_equal(sa_object_meta(before)->uid, sa_object_meta(now)->uid);
    snprintf(m->uids[i], SA_UID_BYTES, "%s", now ? sa_object_meta(now)->uid : "");
    snprintf(m->versions[i], SA_RESOURCE_VERSION_BYTES, "%s", now ? version_of(now) : "");
}

static void write_at_random(struct world *w, unsigned *seed)
{
    char name[8];
    snprintf(name, sizeof name, "n%d", rand_r(seed) % NAMES);
    int what = rand_r(seed) % 4;
    if (what == 0)
        create_(w, &thing_kind, false, "{'metadata':{'name':'%s'}}", name);
    else if (what == 1)
        delete_(w, &thing_kind, name, NULL);
    else
        patch_(w, &thing_kind, name, SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':%d}}",
               rand_r(seed) % 100);
}

static bool agrees(struct world *w, const struct sa_informer *informer, const struct mirror *m)
{
    struct listing l = list_(w, &thing_kind, NULL, 0, NULL);
    size_t believed = 0, indexed = 0;
    for (size_t i = 0; i < l.count; i++) {
        const struct sa_object *cached = sa_informer_get(informer, sa_object_key(l.items[i]));
        if (!cached || strcmp(version_of(cached), version_of(l.items[i])) != 0 ||
            strcmp(m->versions[name_of(cached)[1] - '0'], version_of(cached)) != 0)
            return false;
    }
    for (int i = 0; i < NAMES; i++)
        believed += m->uids[i][0] != '\0';
    for (int i = 0; i <= 100; i++) {
        char value[16];
        snprintf(value, sizeof value, "size-%d", i);
        indexed += found(informer, value);
    }
    return sa_informer_count(informer) == l.count && believed == l.count && indexed == l.count;
}

static void test_converges(void **state)
{
    struct world *w = *state;
    struct faulty faulty;
    struct mirror mirror = {.handler = {.changed = on_mirrored}};
    const char *given = getenv("SA_TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("SA_TEST_SEED=%u\n", seed);
    faulty_init(&faulty, w->objects, w->loop, seed);
    struct sa_informer *informer = start(w, &faulty.base);
    sa_informer_add_handler(informer, &mirror.handler);
    for (int i = 0; i < WRITES || !(faulty.lost && faulty.doubled && faulty.late && faulty.ended);
         i++) {
        write_at_random(w, &seed);
        if (i % 10 == 0) /* lest all is late, or comes as one list */
            turns(w, 2);
    }
    faulty.kind = true;
    int tries = 0;
    while (!agrees(w, informer, &mirror) && tries++ < 5000)
        turns(w, 1);
    assert_true(agrees(w, informer, &mirror));
    sa_informer_stop(informer);
    turns(w, 3);
}

#define INFORMER_TEST(f) cmocka_unit_test_setup_teardown(f, memory_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INFORMER_TEST(test_hears), INFORMER_TEST(test_handlers_that_go),
        INFORMER_TEST(test_indexes), INFORMER_TEST(test_resync), INFORMER_TEST(test_converges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
