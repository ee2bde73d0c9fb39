/* api/resource_body.c: what clients send about resources, and what rules see of it. */
#include "api/resources.h"

#include "kinds/warm_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define POOL "\"spec\":{\"runtime\":\"python\"}"
#define MARK "\"secureagent.dev/x\""

static const struct sa_resource_ask ask = {.kind = &sa_kind_warm_pool};

static struct sa_object *stored(void)
{
    static const char json[] =
        "{\"metadata\":{\"namespace\":\"default\",\"name\":\"p\",\"uid\":\"u\","
        "\"resourceVersion\":\"7\",\"labels\":{\"a\":\"b\"},"
        "\"annotations\":{" MARK ":\"1\"},\"finalizers\":[" MARK "]}," POOL
        ",\"status\":{\"size\":3}}";
    struct sa_error err;
    struct sa_object *object =
        sa_object_decode(&sa_kind_warm_pool, json, sizeof json - 1, false, &err);
    assert_non_null(object);
    return object;
}

/* NULL, or the path of what is wrong. */
static const char *check(const char *json, const struct sa_object *old, bool whole,
                         struct sa_buf *out)
{
    static struct sa_error err;
    if (sa_resource_body_check(&ask, json, strlen(json), old, whole, false, NULL, out, &err) == 0)
        return NULL;
    assert_int_equal(err.code, SA_EINVALID);
    return err.path;
}

static void test_status_goes(void **state)
{
    sa_autobuf out = SA_BUF_INIT;
    (void)state;
    assert_null(check("{\"metadata\":{\"name\":\"p\"}," POOL ",\"status\":{\"forged\":1}}", NULL,
                      true, &out));
    assert_string_equal(out.data, "{\"metadata\":{\"name\":\"p\"}," POOL "}");
}

static void test_reserved_names(void **state)
{
    static const char *const cases[] = {"{\"metadata\":{\"labels\":{" MARK ":\"1\"}}," POOL "}",
                                        "{\"metadata\":{\"annotations\":{" MARK ":\"2\"}}," POOL
                                        "}",
                                        "{\"metadata\":{\"finalizers\":[" MARK "]}," POOL "}"};
    static const char *const paths[] = {"metadata.labels", "metadata.annotations",
                                        "metadata.finalizers"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        sa_autobuf out = SA_BUF_INIT;
        assert_string_equal(check(cases[i], NULL, true, &out), paths[i]);
    }
}

/* Whoever replaces an object need not repeat what is the server's, and may. */
static void test_replaced(void **state)
{
    sa_autobuf out = SA_BUF_INIT, again = SA_BUF_INIT, other = SA_BUF_INIT;
    struct sa_object *old = stored();
    (void)state;
    assert_null(check("{" POOL "}", old, true, &out));
    assert_non_null(strstr(out.data, "\"name\":\"p\""));
    assert_non_null(strstr(out.data, "\"resourceVersion\":\"7\""));
    assert_non_null(strstr(out.data, "\"annotations\":{" MARK ":\"1\"}"));
    assert_non_null(strstr(out.data, "\"finalizers\":[" MARK "]"));
    assert_null(strstr(out.data, "\"a\":\"b\""));
    assert_null(check(out.data, old, true, &again));
    assert_string_equal(again.data, out.data);
    assert_string_equal(
        check("{\"metadata\":{\"annotations\":{" MARK ":\"2\"}}," POOL "}", old, true, &other),
        "metadata.annotations");
    sa_object_unref(old);
}

/* A patch that leaves them out has removed them. */
static void test_patched(void **state)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_object *old = stored();
    (void)state;
    assert_string_equal(
        check("{\"metadata\":{\"finalizers\":[" MARK "]}," POOL "}", old, false, &out),
        "metadata.annotations");
    assert_string_equal(
        check("{\"metadata\":{\"annotations\":{" MARK ":\"1\"}}," POOL "}", old, false, &out),
        "metadata.finalizers");
    sa_object_unref(old);
}

static void test_review_and_back(void **state)
{
    static const char json[] = "{\"metadata\":{\"name\":\"p\",\"finalizers\":[\"a/b\"],"
                               "\"labels\":{\"a\":\"b\"}},\"spec\":{\"runtime\":\"python\","
                               "\"imports\":[],\"scaling\":{\"params\":{}}}}";
    static const char made[] = "{\"metadata\":{\"name\":\"q\",\"labels\":{\"c\":\"d\"}},\"spec\":"
                               "{\"runtime\":\"node\",\"ttl\":77},\"status\":{\"size\":1}}";
    sa_autobuf review = SA_BUF_INIT, out = SA_BUF_INIT;
    const struct sa_buf given = {.data = (char *)(uintptr_t)made, .length = sizeof made - 1};
    struct sa_error err;
    (void)state;
    assert_int_equal(sa_resource_review(json, sizeof json - 1, &review, &err), 0);
    assert_string_equal(review.data, "{\"metadata\":{\"name\":\"p\",\"labels\":{\"a\":\"b\"}},"
                                     "\"spec\":{\"runtime\":\"python\"}}");
    assert_int_equal(sa_resource_reviewed(json, sizeof json - 1, &given, &out, &err), 0);
    assert_string_equal(out.data, "{\"metadata\":{\"name\":\"p\",\"finalizers\":[\"a/b\"],"
                                  "\"labels\":{\"c\":\"d\"}},\"spec\":{\"runtime\":\"node\","
                                  "\"ttl\":77}}");
}

static void test_versions(void **state)
{
    (void)state;
    assert_true(sa_resource_is_newer("10", "9"));
    assert_true(sa_resource_is_newer("12", "11"));
    assert_false(sa_resource_is_newer("9", "10"));
    assert_false(sa_resource_is_newer("10", "10"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_goes),     cmocka_unit_test(test_reserved_names),
        cmocka_unit_test(test_replaced),        cmocka_unit_test(test_patched),
        cmocka_unit_test(test_review_and_back), cmocka_unit_test(test_versions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
