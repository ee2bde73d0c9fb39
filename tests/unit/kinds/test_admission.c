/* Sandboxes as admission rules see them, there and back. */
#include "kinds/admission.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char body[] =
    "{\"runtime\":\"python\",\"name\":\"a\",\"labels\":{\"l\":\"1\"},\"timeout\":9,"
    "\"env\":{\"SECRET\":\"s3cret\",\"STARS\":\"***\"},\"annotations\":{}}";

static void decode_body(const char *text, struct sa_arena *arena, struct sa_sandbox_spec *spec)
{
    struct sa_error error;
    if (sa_sandbox_spec_decode(text, strlen(text), arena, NULL, spec, &error) < 0)
        fail_msg("%s", error.message);
}

static void test_of_body(void **state)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error error;
    (void)state;
    assert_int_equal(sa_admission_of_body(body, sizeof body - 1, &out, &error), 0);
    assert_string_equal(out.data, "{\"metadata\":{\"name\":\"a\",\"labels\":{\"l\":\"1\"}},"
                                  "\"spec\":{\"runtime\":\"python\",\"timeout\":9,"
                                  "\"env\":{\"SECRET\":\"***\",\"STARS\":\"***\"}}}");
}

static void test_back(void **state)
{
    static const char object[] =
        "{\"metadata\":{\"name\":\"a\",\"uid\":\"sb-x\"},\"status\":{\"phase\":\"Failed\"},"
        "\"spec\":{\"runtime\":\"bash\",\"env\":{\"SECRET\":\"***\",\"STARS\":\"***\",\"NEW\":\"***"
        "\"}}}";
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_spec spec;
    struct sa_error error;
    (void)state;
    decode_body(body, arena, &spec);
    assert_int_equal(sa_admission_decode(object, sizeof object - 1, arena, &spec, &error), 0);
    assert_string_equal(spec.runtime, "bash");
    assert_string_equal(spec.name, "a");
    assert_int_equal(spec.timeout_s, SA_TIMEOUT_DEFAULT_S);
    assert_int_equal(spec.env.count, 3);
    assert_string_equal(spec.env.items[0].value, "s3cret");
    assert_string_equal(spec.env.items[1].value, "***");
    assert_string_equal(spec.env.items[2].value, "***");
    sa_arena_free(arena);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"metadata\":{},\"spec\":[]}",
        "{\"metadata\":{},\"spec\":{}}",
        "{\"metadata\":{\"owner\":\"x\"},\"spec\":{\"runtime\":\"bash\"}}",
        "{\"metadata\":{},\"spec\":{\"runtime\":\"bash\",\"timeout\":\"soon\"}}",
        "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"bash\",\"name\":\"b\"}}",
        "{\"metadata\":{},\"spec\":{\"runtime\":\"bash\",\"privileged\":true}}"};
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_spec spec;
    (void)state;
    for (size_t i = 0; i < SA_COUNT(bad); i++) {
        struct sa_error error;
        decode_body(body, arena, &spec);
        if (sa_admission_decode(bad[i], strlen(bad[i]), arena, &spec, &error) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(spec.runtime, "python"); /* as it was */
    }
    sa_arena_free(arena);
}

/* What lives is described so that a create would make the same of it. */
static void test_of_spec(void **state)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_spec spec, again;
    struct sa_error error;
    sa_autobuf first = SA_BUF_INIT, second = SA_BUF_INIT;
    (void)state;
    decode_body("{\"runtime\":\"go\",\"resources\":{\"cpu\":\"250m\",\"memory\":\"100000001\","
                "\"pids\":77},\"lifecycle\":{\"idleTimeout\":5,\"onIdle\":\"delete\"},"
                "\"imports\":[\"a.b\"],\"annotations\":{\"k\":\"v\"}}",
                arena, &spec);
    sa_admission_of_spec(&spec, "sb-x", &first);
    again = spec;
    assert_int_equal(sa_admission_decode(first.data, first.length, arena, &again, &error), 0);
    sa_admission_of_spec(&again, "sb-x", &second);
    assert_string_equal(first.data, second.data);
    assert_int_equal(again.resources.memory_bytes, 100000001);
    assert_non_null(strstr(first.data, "\"uid\":\"sb-x\""));
    sa_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_of_body), cmocka_unit_test(test_back),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_of_spec)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
