/* What a profile adds to those who refer to it, and what it refuses. */
#include "claim/posture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *control_items[] = {"seccomp", "landlock"};

static const struct sa_profile_spec strict = {.level = SA_LEVEL_HIGH,
                                              .security_context = "",
                                              .runtime_class = "native",
                                              .required_controls = {control_items, 2},
                                              .timeout_max_s = 60};
static const struct sa_profile_spec special = {
    .level = SA_LEVEL_CUSTOM, .security_context = "{}", .runtime_class = ""};

static void test_none(void **state)
{
    struct sa_arena *arena = sa_arena_new();
    const struct sa_sandbox_wanted sandbox = {.security_context = "", .timeout_s = 9999};
    struct sa_posture posture;
    (void)state;
    assert_int_equal(0, sa_posture_of_sandbox(&sandbox, NULL, arena, &posture, NULL));
    assert_int_equal(posture.level, SA_LEVEL_STANDARD);
    assert_string_equal(posture.runtime_class, "");
    sa_arena_free(arena);
}

static void test_added(void **state)
{
    struct sa_arena *arena = sa_arena_new();
    const struct sa_sandbox_wanted sandbox = {
        .security_context = "", .timeout_s = 60, .required_controls = {control_items, 1}};
    struct sa_posture posture;
    (void)state;
    assert_int_equal(0, sa_posture_of_sandbox(&sandbox, &strict, arena, &posture, NULL));
    assert_int_equal(posture.level, SA_LEVEL_HIGH);
    assert_string_equal(posture.runtime_class, "native");
    assert_int_equal(posture.required_controls.count, 2); /* each once */
    assert_int_equal(0, sa_posture_of_sandbox(&sandbox, &special, arena, &posture, NULL));
    assert_int_equal(posture.level, SA_LEVEL_CUSTOM);
    assert_string_equal(posture.security_context, "{}");
    sa_arena_free(arena);
}

static void refused(const struct sa_sandbox_wanted *sandbox, const struct sa_profile_spec *profile,
                    const char *path)
{
    struct sa_arena *arena = sa_arena_new();
    struct sa_posture posture;
    struct sa_error err;
    assert_int_equal(-1, sa_posture_of_sandbox(sandbox, profile, arena, &posture, &err));
    assert_int_equal(err.code, SA_ECONFLICT);
    assert_string_equal(err.path, path);
    sa_arena_free(arena);
}

static void test_refused(void **state)
{
    (void)state;
    refused(&(struct sa_sandbox_wanted){.security_context = "", .timeout_s = 61}, &strict,
            "spec.timeout");
    refused(&(struct sa_sandbox_wanted){.level = SA_LEVEL_CUSTOM, .security_context = ""}, &strict,
            "spec.securityLevel");
    refused(&(struct sa_sandbox_wanted){.level = SA_LEVEL_CUSTOM, .security_context = "{}"},
            &special, "spec.securityContext");
}

static void test_runtime_class(void **state)
{
    struct sa_arena *arena = sa_arena_new();
    const struct sa_posture own = {.security_context = "", .runtime_class = "gvisor"};
    struct sa_posture posture;
    struct sa_error err;
    (void)state;
    assert_int_equal(-1, sa_posture_join(&own, &strict, arena, &posture, &err));
    assert_string_equal(err.path, "spec.placement.runtimeClass");
    sa_arena_free(arena);
}

static void test_controls_join(void **state)
{
    struct sa_arena *arena = sa_arena_new();
    const struct sa_json_strings list = {control_items, 2};
    struct sa_json_strings joined = sa_controls_join(&list, "landlock,,netns", arena);
    (void)state;
    assert_int_equal(joined.count, 3);
    assert_string_equal(joined.items[2], "netns");
    assert_int_equal(sa_controls_join(&list, NULL, arena).count, 2);
    sa_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),          cmocka_unit_test(test_added),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_runtime_class),
        cmocka_unit_test(test_controls_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
