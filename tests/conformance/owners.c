/* Owners: what they own follows them, unless it has another owner, or is to stay. */
#include "fixture.h"

#include "base/buf.h"

#include <string.h>

#define NOBODY "11111111-2222-4333-8444-555555555555"

static const struct sa_object *make(struct world *w, const char *name)
{
    return ok(create_(w, &thing_kind, false, "{'metadata':{'name':'%s'}}", name));
}

static const char *reference(struct world *w, const char *name, const char *uid)
{
    return sa_arena_printf(w->arena,
                           "{'apiVersion':'test.secureagent.dev/v1','kind':'Thing','name':'%s',"
                           "'uid':'%s'}",
                           name, uid);
}

static const char *owned_by(struct world *w, const struct sa_object *owner)
{
    return reference(w, name_of(owner), sa_object_meta(owner)->uid);
}

static const struct sa_object *make_owned(struct world *w, const char *name, const char *owners)
{
    return ok(create_(w, &other_kind, false, "{'metadata':{'name':'%s','ownerReferences':[%s]}}",
                      name, owners));
}

static void test_dependents_follow(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    const struct sa_object *b = make(w, "b");
    const struct sa_object *x = make_owned(w, "x", owned_by(w, a));
    make_owned(w, "y", owned_by(w, b));
    ok(create_(w, &thing_kind, false,
               "{'metadata':{'name':'z','ownerReferences':[{'apiVersion':'test.secureagent.dev/v1',"
               "'kind':'Other','name':'x','uid':'%s','controller':true}]}}",
               sa_object_meta(x)->uid));
    turns(w, 20);
    ok(get_(w, &other_kind, "x"));
    ok(delete_(w, &thing_kind, "a", NULL));
    wait_gone(w, &other_kind, "x");
    wait_gone(w, &thing_kind, "z"); /* the owner's owner */
    ok(get_(w, &other_kind, "y"));
    ok(get_(w, &thing_kind, "b"));
}

static void test_several_owners(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    const struct sa_object *b = make(w, "b");
    make_owned(w, "x", sa_arena_printf(w->arena, "%s,%s", owned_by(w, a), owned_by(w, b)));
    ok(delete_(w, &thing_kind, "a", NULL));
    while (sa_object_meta(ok(get_(w, &other_kind, "x")))->owner_count != 1)
        turns(w, 1);
    const struct sa_object *x = ok(get_(w, &other_kind, "x"));
    assert_true(sa_object_is_owned_by(x, sa_object_meta(b)->uid));
    assert_int_equal(sa_object_meta(x)->deleted_ms, 0);
    ok(delete_(w, &thing_kind, "b", NULL));
    wait_gone(w, &other_kind, "x");
}

static void test_orphans(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    make_owned(w, "x", owned_by(w, a));
    make_owned(w, "y", owned_by(w, a));
    ok(delete_(w, &thing_kind, "a", &(struct sa_objects_delete){.orphan = true}));
    wait_gone(w, &thing_kind, "a");
    turns(w, 20);
    assert_int_equal(sa_object_meta(ok(get_(w, &other_kind, "x")))->owner_count, 0);
    assert_int_equal(sa_object_meta(ok(get_(w, &other_kind, "y")))->owner_count, 0);
}

/* An owner that is not there, or that another one of its name has followed. */
static void test_absent_owner(void **state)
{
    struct world *w = *state;
    make_owned(w, "x", reference(w, "never", NOBODY));
    wait_gone(w, &other_kind, "x");
    const struct sa_object *a = make(w, "a");
    ok(delete_(w, &thing_kind, "a", NULL));
    make(w, "a");
    make_owned(w, "y", owned_by(w, a));
    wait_gone(w, &other_kind, "y");
    make_owned(w, "z", "");
    ok(patch_(w, &other_kind, "z", SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'ownerReferences':[%s]}}", reference(w, "never", NOBODY)));
    wait_gone(w, &other_kind, "z");
}

/* Marked, and held by their own finalizers; an owner that is held still lives. */
static void test_finalizers(void **state)
{
    struct world *w = *state;
    const struct sa_object *a =
        ok(create_(w, &thing_kind, false, "{'metadata':{'name':'a','finalizers':['t.dev/f']}}"));
    ok(create_(w, &other_kind, false,
               "{'metadata':{'name':'x','finalizers':['t.dev/f'],'ownerReferences':[%s]}}",
               owned_by(w, a)));
    ok(delete_(w, &thing_kind, "a", NULL));
    turns(w, 20);
    assert_int_equal(sa_object_meta(ok(get_(w, &other_kind, "x")))->deleted_ms, 0);
    ok(patch_(w, &thing_kind, "a", SA_SUBRESOURCE_NONE, NULL, "{'metadata':{'finalizers':[]}}"));
    while (!sa_object_meta(ok(get_(w, &other_kind, "x")))->deleted_ms)
        turns(w, 1);
    ok(patch_(w, &other_kind, "x", SA_SUBRESOURCE_NONE, NULL, "{'metadata':{'finalizers':[]}}"));
    refused(get_(w, &other_kind, "x"), SA_ENOTFOUND, NULL);
}

static void test_many_dependents(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    const char *owner = owned_by(w, a);
    for (int i = 0; i < 300; i++)
        make_owned(w, sa_arena_printf(w->arena, "x%d", i), owner);
    make_owned(w, "free", "");
    ok(delete_(w, &thing_kind, "a", NULL));
    while (list_(w, &other_kind, NULL, 0, NULL).count != 1)
        turns(w, 1);
    ok(get_(w, &other_kind, "free"));
}

static void test_released(void **state)
{
    struct world *w = *state;
    const struct sa_object *a = make(w, "a");
    make_owned(w, "x", owned_by(w, a));
    ok(patch_(w, &other_kind, "x", SA_SUBRESOURCE_NONE, NULL,
              "{'metadata':{'ownerReferences':null}}"));
    ok(delete_(w, &thing_kind, "a", NULL));
    turns(w, 20);
    ok(get_(w, &other_kind, "x"));
}

static void test_two_controllers(void **state)
{
    struct world *w = *state;
    refused(create_(w, &other_kind, false,
                    "{'metadata':{'name':'x','ownerReferences':["
                    "{'apiVersion':'v1','kind':'A','name':'a','uid':'1','controller':true},"
                    "{'apiVersion':'v1','kind':'A','name':'b','uid':'2','controller':true}]}}"),
            SA_EINVALID, "metadata.ownerReferences");
}

const struct CMUnitTest owner_tests[] = {
    TEST(test_dependents_follow), TEST(test_several_owners),  TEST(test_orphans),
    TEST(test_absent_owner),      TEST(test_finalizers),      TEST(test_many_dependents),
    TEST(test_released),          TEST(test_two_controllers), NO_MORE_TESTS};
