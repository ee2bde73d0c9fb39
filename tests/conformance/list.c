/* Lists: order, selectors, pages, and what they say while others write. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static void make(struct world *w, const char *namespace_, const char *name, const char *labels,
                 const char *spec)
{
    ok(create_(w, &thing_kind, false,
               "{'metadata':{'namespace':'%s','name':'%s','labels':{%s}},'spec':{%s}}", namespace_,
               name, labels, spec));
}

static const char *listed(struct world *w, const struct sa_objects_select *select)
{
    struct listing l = list_(w, &thing_kind, select, 0, NULL);
    if (l.err.code)
        fail_msg("%s", l.err.message);
    return keys_of(&l);
}

static void test_order_and_namespaces(void **state)
{
    struct world *w = *state;
    assert_string_equal(listed(w, NULL), "");
    make(w, "default", "b", "", "");
    make(w, "default", "a", "", "");
    make(w, "zone", "a", "", "");
    make(w, "default-two", "a", "", "");
    ok(create_(w, &other_kind, false, "{'metadata':{'name':'x'}}"));
    assert_string_equal(listed(w, &(struct sa_objects_select){.namespace_ = "default"}),
                        "default/a default/b");
    assert_string_equal(listed(w, &(struct sa_objects_select){.namespace_ = "zone"}), "zone/a");
    assert_string_equal(listed(w, &(struct sa_objects_select){.namespace_ = "none"}), "");
    assert_int_equal(list_(w, &thing_kind, NULL, 0, NULL).count, 4);
}

static void test_selectors(void **state)
{
    static const struct {
        struct sa_objects_select select;
        const char *keys;
    } cases[] = {
        {{.label_selector = "app=x"}, "default/a default/b"},
        {{.label_selector = "app!=x"}, "default/c"},
        {{.label_selector = "app,tier in (one,two)"}, "default/a default/c"},
        {{.label_selector = "!tier"}, "default/b"},
        {{.field_selector = "metadata.name=b"}, "default/b"},
        {{.field_selector = "metadata.name!=b"}, "default/a default/c"},
        {{.field_selector = "spec.node=n1"}, "default/a"},
        {{.field_selector = "spec.node="}, "default/c"},
        {{.field_selector = "spec.node!=,metadata.name!=a"}, "default/b"},
        {{.field_selector = "status.phase=Ready"}, "default/c"},
        {{.label_selector = "app=x", .field_selector = "spec.node==n2"}, "default/b"},
        {{.label_selector = "", .field_selector = ""}, "default/a default/b default/c"},
    };
    struct world *w = *state;
    make(w, "default", "a", "'app':'x','tier':'one'", "'node':'n1'");
    make(w, "default", "b", "'app':'x'", "'node':'n2'");
    make(w, "default", "c", "'app':'y','tier':'two'", "");
    ok(patch_(w, &thing_kind, "c", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'phase':'Ready'}}"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(listed(w, &cases[i].select), cases[i].keys);
}

static void test_bad_selectors(void **state)
{
    struct world *w = *state;
    struct listing l =
        list_(w, &thing_kind, &(struct sa_objects_select){.label_selector = "a in"}, 0, NULL);
    assert_int_equal(l.err.code, SA_EINVALID);
    l = list_(w, &thing_kind, &(struct sa_objects_select){.field_selector = "spec.size=1"}, 0,
              NULL);
    assert_int_equal(l.err.code, SA_EINVALID);
    l = list_(w, &thing_kind, &(struct sa_objects_select){.field_selector = "spec.node"}, 0, NULL);
    assert_int_equal(l.err.code, SA_EINVALID);
}

static void make_many(struct world *w, int count)
{
    char name[32];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "t%02d", i);
        make(w, "default", name, i % 2 ? "'odd':'1'" : "", "");
    }
}

static void test_pages(void **state)
{
    struct world *w = *state;
    make_many(w, 25);
    struct listing page = list_(w, &thing_kind, NULL, 10, NULL);
    assert_int_equal(page.count, 10);
    assert_true(page.remaining == 15 || page.remaining == -1);
    assert_string_equal(name_of(page.items[0]), "t00");
    const char *version = page.version;
    page = list_(w, &thing_kind, NULL, 10, page.continue_);
    assert_int_equal(page.count, 10);
    assert_string_equal(name_of(page.items[0]), "t10");
    assert_string_equal(page.version, version);
    page = list_(w, &thing_kind, NULL, 10, page.continue_);
    assert_int_equal(page.count, 5);
    assert_null(page.continue_);
    assert_string_equal(page.version, version);
    assert_null(list_(w, &thing_kind, NULL, 25, NULL).continue_);
}

static void test_pages_of_a_selection(void **state)
{
    struct world *w = *state;
    const struct sa_objects_select odd = {.namespace_ = "default", .label_selector = "odd"};
    size_t count = 0;
    make_many(w, 25);
    struct listing page = {.continue_ = NULL};
    do {
        page = list_(w, &thing_kind, &odd, 5, page.continue_);
        assert_int_equal(page.err.code, SA_OK);
        count += page.count;
        for (size_t i = 0; i < page.count; i++)
            assert_int_equal(sa_object_meta(page.items[i])->labels.count, 1);
    } while (page.continue_);
    assert_int_equal(count, 12);
}

/* Pages are how it was at the first, whatever happens in between. */
static void test_pages_while_written(void **state)
{
    struct world *w = *state;
    make_many(w, 20);
    struct listing page = list_(w, &thing_kind, NULL, 5, NULL);
    const char *version = page.version;
    ok(delete_(w, &thing_kind, "t10", NULL));
    ok(delete_(w, &thing_kind, "t02", NULL));
    ok(patch_(w, &thing_kind, "t11", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':9}}"));
    ok(patch_(w, &thing_kind, "t11", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':10}}"));
    make(w, "default", "t055", "", "");
    make(w, "default", "t99", "", "");
    ok(delete_(w, &thing_kind, "t99", NULL));
    size_t count = page.count;
    while (page.continue_) {
        page = list_(w, &thing_kind, NULL, 5, page.continue_);
        assert_int_equal(page.err.code, SA_OK);
        assert_string_equal(page.version, version);
        for (size_t i = 0; i < page.count; i++, count++) {
            char name[32];
            snprintf(name, sizeof name, "t%02zu", count);
            assert_string_equal(name_of(page.items[i]), name);
            assert_int_equal(spec_of(page.items[i])->size, 1);
        }
    }
    assert_int_equal(count, 20);
    assert_int_equal(list_(w, &thing_kind, NULL, 0, NULL).count, 19);
}

static void test_bad_continue(void **state)
{
    static const char *const cases[] = {"x", ".", "1", "1.", "-1.x", "%", "{}"};
    struct world *w = *state;
    make_many(w, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(list_(w, &thing_kind, NULL, 1, cases[i]).err.code, SA_EINVALID);
}

static void test_continue_expires(void **state)
{
    struct world *w = *state;
    make_many(w, 3);
    struct listing page = list_(w, &thing_kind, NULL, 1, NULL);
    for (size_t i = 0; i <= w->target->history; i++)
        ok(patch_(w, &thing_kind, "t00", SA_SUBRESOURCE_STATUS, NULL, "{'status':{'seen':%zu}}",
                  i + 1));
    page = list_(w, &thing_kind, NULL, 1, page.continue_);
    if (w->target->history)
        assert_int_equal(page.err.code, SA_EEXPIRED);
    else
        assert_true(page.err.code == SA_EEXPIRED || page.count == 1);
}

/* A list made while creates are under way shows a beginning of them, in the order they were made:
 * no write is seen without those before it. */
static void test_consistent_while_written(void **state)
{
    struct world *w = *state;
    static struct result results[60];
    size_t before = 0;
    for (int i = 0; i < 60; i++) {
        start_create(w, &thing_kind, &results[i], "{'metadata':{'name':'w%02d'}}", i);
        if (i % 10 != 9)
            continue;
        struct listing l = list_(w, &thing_kind, NULL, 0, NULL);
        assert_true(l.count >= before);
        before = l.count;
        for (size_t k = 0; k < l.count; k++) {
            char name[32];
            snprintf(name, sizeof name, "w%02zu", k);
            assert_string_equal(name_of(l.items[k]), name);
        }
    }
    for (int i = 0; i < 60; i++) {
        wait_for(w, &results[i].done, "creates");
        sa_object_unref(results[i].object);
    }
    assert_int_equal(list_(w, &thing_kind, NULL, 0, NULL).count, 60);
}

/* Nobody sees less than what was answered. */
static void test_reads_own_writes(void **state)
{
    struct world *w = *state;
    make(w, "default", "a", "", "");
    for (int i = 1; i <= 20; i++) {
        ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'spec':{'size':%d}}", i));
        assert_int_equal(spec_of(ok(get_(w, &thing_kind, "a")))->size, i);
        struct listing l = list_(w, &thing_kind, NULL, 0, NULL);
        assert_int_equal(spec_of(l.items[0])->size, i);
    }
}

const struct CMUnitTest list_tests[] = {TEST(test_order_and_namespaces),
                                        TEST(test_selectors),
                                        TEST(test_bad_selectors),
                                        TEST(test_pages),
                                        TEST(test_pages_of_a_selection),
                                        TEST(test_pages_while_written),
                                        TEST(test_bad_continue),
                                        TEST(test_continue_expires),
                                        TEST(test_consistent_while_written),
                                        TEST(test_reads_own_writes),
                                        NO_MORE_TESTS};
