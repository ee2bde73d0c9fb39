/* The body of a create and the Sandbox: there, and back, and as admission rules see it. */
#include "decoding.h"

#include "kinds/admission.h"
#include "kinds/sandbox.h"

#include "base/cleanup.h"

#include <string.h>

static struct sa_sandbox_spec flat_of(const char *body)
{
    struct sa_sandbox_spec flat;
    struct sa_error err;
    if (sa_sandbox_spec_decode(body, strlen(body), arena, NULL, &flat, &err) < 0)
        fail_msg("%s: %s", body, err.message);
    return flat;
}

static const struct sa_object *object_of(const struct sa_sandbox_spec *flat)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_json_w w = sa_json_w_start(&json);
    struct sa_error err;
    sa_sandbox_manifest(flat, "team", "sb-1", &w);
    const struct sa_object *object =
        sa_object_decode(&sa_kind_sandbox, json.data, json.length, false, &err);
    if (!object)
        fail_msg("%s: %s", json.data, err.message);
    assert_string_equal(sa_object_meta(object)->namespace_, "team");
    return object;
}

static void print_all(const struct sa_sandbox_spec *flat, struct sa_buf *out)
{
    sa_admission_of_spec(flat, "sb-1", out);
    sa_buf_printf(out, " env %zu warm %d controls %zu context %s inodes %lld", flat->env.count,
                  (int)flat->warm, flat->required_controls.count,
                  flat->security_context ? flat->security_context : "none",
                  (long long)flat->resources.inodes);
}

static const char everything[] =
    "{\"runtime\":\"node\",\"name\":\"n\",\"securityLevel\":\"custom\",\"securityContext\":{"
    "\"uid\":"
    "4242},\"timeout\":60,\"resources\":{\"cpu\":\"250m\",\"memory\":\"1Gi\",\"ephemeralStorage\":"
    "\"16Mi\",\"pids\":32},\"env\":{\"A\":\"1\",\"B\":\"\"},\"labels\":{\"team\":\"blue\"},"
    "\"annotations\":{\"note\":\"x y\"},\"lifecycle\":{\"onTimeout\":\"pause\",\"idleTimeout\":9,"
    "\"onIdle\":\"delete\",\"resumeOnUse\":true},\"imports\":[\"a.b\"],\"warm\":\"never\","
    "\"requiredControls\":[\"seccomp\"]}";
static const char least[] = "{\"runtime\":\"python\"}";

static void test_there_and_back(void **state)
{
    const char *const bodies[] = {everything, least};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(bodies); i++) {
        struct sa_sandbox_spec flat = flat_of(bodies[i]), back;
        sa_autounref const struct sa_object *object = object_of(&flat);
        sa_autobuf was = SA_BUF_INIT, is = SA_BUF_INIT;
        struct sa_error err;
        assert_int_equal(
            sa_sandbox_to_flat(sa_object_meta(object), sa_object_spec(object), &back, &err), 0);
        if (!flat.name)
            flat.name = "sb-1"; /* named by its id */
        print_all(&flat, &was);
        print_all(&back, &is);
        assert_string_equal(was.data, is.data);
    }
}

/* Who names nothing gets the same from a manifest as from the API. */
static void test_defaults_agree(void **state)
{
    static const char manifest[] = "{\"metadata\":{\"name\":\"sb-1\",\"namespace\":\"team\"},"
                                   "\"spec\":{\"runtime\":\"python\"}}";
    struct sa_sandbox_spec flat = flat_of(least);
    size_t n, m;
    (void)state;
    sa_autounref const struct sa_object *made = object_of(&flat);
    sa_autounref const struct sa_object *written =
        sa_object_decode(&sa_kind_sandbox, manifest, sizeof manifest - 1, false, NULL);
    assert_string_equal(sa_object_spec_json(made, &n), sa_object_spec_json(written, &m));
}

/* What rules are shown of a sandbox is a Sandbox; what they give back is one, too. */
static void test_admission_agrees(void **state)
{
    const char *const bodies[] = {everything, least};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(bodies); i++) {
        sa_autobuf given = SA_BUF_INIT, lives = SA_BUF_INIT;
        struct sa_sandbox_spec flat = flat_of(bodies[i]);
        struct sa_error err;
        assert_int_equal(sa_admission_of_body(bodies[i], strlen(bodies[i]), &given, &err), 0);
        sa_admission_of_spec(&flat, "sb-1", &lives);
        sa_autounref const struct sa_object *a =
            sa_object_decode(&sa_kind_sandbox, given.data, given.length, false, &err);
        sa_autounref const struct sa_object *b =
            sa_object_decode(&sa_kind_sandbox, lives.data, lives.length, false, &err);
        if (!a || !b)
            fail_msg("%s: %s", bodies[i], err.message);
    }
}

static void test_too_many_files(void **state)
{
    static const char manifest[] =
        "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":\"python\",\"resources\":{\"memory\":"
        "\"64Mi\",\"ephemeralStorage\":\"1Gi\"}}}";
    struct sa_sandbox_spec flat;
    struct sa_error err;
    (void)state;
    sa_autounref const struct sa_object *object =
        sa_object_decode(&sa_kind_sandbox, manifest, sizeof manifest - 1, false, &err);
    assert_int_equal(
        sa_sandbox_to_flat(sa_object_meta(object), sa_object_spec(object), &flat, &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, "spec.resources.ephemeralStorage");
    assert_non_null(strstr(err.message, "at most 32Mi, half of the memory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, arena_setup, arena_teardown),
        cmocka_unit_test_setup_teardown(test_defaults_agree, arena_setup, arena_teardown),
        cmocka_unit_test_setup_teardown(test_admission_agrees, arena_setup, arena_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_files, arena_setup, arena_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
