/* Merge patches of a sandbox's settings. */
#include "../kinds/decoding.h"

#include "kinds/sandbox.h"

#include "base/arena.h"

#include <stdio.h>
#include <string.h>

static struct sa_sandbox_spec base(void)
{
    struct sa_sandbox_spec spec;
    const char *body = "{\"runtime\":\"bash\",\"timeout\":7,\"labels\":{\"a\":\"1\",\"b\":\"2\"},"
                       "\"annotations\":{\"n\":\"x\"},\"lifecycle\":{\"idleTimeout\":9,"
                       "\"onTimeout\":\"pause\",\"resumeOnUse\":true}}";
    struct sa_error err = {0};
    assert_int_equal(sa_sandbox_spec_decode(body, strlen(body), arena, NULL, &spec, &err), 0);
    return spec;
}

static struct sa_sandbox_spec patched(const char *patch, bool *timeout)
{
    struct sa_sandbox_spec now = base(), next;
    struct sa_error err = {0};
    bool given;
    if (sa_sandbox_patch_decode(patch, strlen(patch), &now, arena, &next, &given, &err) < 0)
        fail_msg("%s: %s", patch, err.message);
    if (timeout)
        *timeout = given;
    return next;
}

static const char *label(const struct sa_json_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

static void test_nothing_changes(void **state)
{
    bool timeout;
    (void)state;
    struct sa_sandbox_spec s = patched("{}", &timeout);
    assert_false(timeout);
    assert_int_equal(s.timeout_s, 7);
    assert_int_equal(s.labels.count, 2);
    assert_string_equal(label(&s.annotations, "n"), "x");
    assert_int_equal(s.lifecycle.idle_timeout_s, 9);
    assert_int_equal(s.lifecycle.on_timeout, SA_END_PAUSE);
    assert_true(s.lifecycle.resume_on_use);
}

static void test_maps(void **state)
{
    (void)state;
    struct sa_sandbox_spec s =
        patched("{\"labels\":{\"a\":null,\"b\":\"3\",\"c\":\"\",\"d\":null}}", NULL);
    assert_int_equal(s.labels.count, 2);
    assert_null(label(&s.labels, "a"));
    assert_string_equal(label(&s.labels, "b"), "3");
    assert_string_equal(label(&s.labels, "c"), "");
    assert_int_equal(patched("{\"labels\":null}", NULL).labels.count, 0);
    assert_int_equal(patched("{\"labels\":{}}", NULL).labels.count, 2);
    assert_int_equal(patched("{\"annotations\":null}", NULL).annotations.count, 0);
}

static void test_null_is_the_default(void **state)
{
    bool timeout;
    (void)state;
    struct sa_sandbox_spec s = patched("{\"timeout\":null,\"lifecycle\":{\"onTimeout\":null,"
                                       "\"idleTimeout\":null,\"resumeOnUse\":null}}",
                                       &timeout);
    assert_true(timeout);
    assert_int_equal(s.timeout_s, SA_TIMEOUT_DEFAULT_S);
    assert_int_equal(s.lifecycle.on_timeout, SA_END_DELETE);
    assert_int_equal(s.lifecycle.on_idle, SA_END_PAUSE);
    assert_int_equal(s.lifecycle.idle_timeout_s, 0);
    assert_false(s.lifecycle.resume_on_use);
    s = patched("{\"lifecycle\":null}", NULL);
    assert_int_equal(s.lifecycle.idle_timeout_s, 0);
    s = patched("{\"timeout\":8,\"lifecycle\":{\"onIdle\":\"delete\"}}", &timeout);
    assert_true(timeout);
    assert_int_equal(s.lifecycle.on_idle, SA_END_DELETE);
    assert_int_equal(s.lifecycle.idle_timeout_s, 9); /* what is not named stays */
}

static void test_refused(void **state)
{
    static const struct {
        const char *body, *path;
    } cases[] = {
        {"[]", ""},
        {"{\"name\":\"x\"}", "name"},
        {"{\"env\":{}}", "env"},
        {"{\"labels\":{\"a\":1}}", "labels.a"},
        {"{\"labels\":{\"a(\":\"1\"}}", "labels"},
        {"{\"labels\":{\"a\":\"-\"}}", "labels"},
        {"{\"labels\":{\"a/b/c\":\"1\"}}", "labels"},
        {"{\"annotations\":{\"a b\":\"1\"}}", "annotations"},
        {"{\"timeout\":86401}", "timeout"},
        {"{\"lifecycle\":{\"onIdle\":\"x\"}}", "lifecycle.onIdle"},
        {"{\"lifecycle\":[]}", "lifecycle"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sa_sandbox_spec now = base(), next;
        struct sa_error err = {0};
        bool given;
        if (sa_sandbox_patch_decode(cases[i].body, strlen(cases[i].body), &now, arena, &next,
                                    &given, &err) == 0)
            fail_msg("%s: accepted", cases[i].body);
        assert_int_equal(err.code, SA_EINVALID);
        assert_string_equal(err.path, cases[i].path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_changes), cmocka_unit_test(test_maps),
        cmocka_unit_test(test_null_is_the_default), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, arena_setup, arena_teardown);
}
