/* SandboxProfile and RuntimeEnvironment, and finding kinds by name. */
#include "fixture.h"

#include "kinds/runtime_environment.h"
#include "kinds/sandbox_profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define RUNTIME(MORE) "{\"language\":\"python\"" MORE "}"

static void test_profile(void **state)
{
    (void)state;
    const struct sa_kind *kind = &sa_kind_sandbox_profile;
    sa_autounref const struct sa_object *nothing = of_spec(kind, "{}");
    const struct sa_profile_spec *s = sa_object_spec(nothing);
    assert_int_equal(s->level, SA_LEVEL_STANDARD);
    assert_true(s->filesystem.read_only_root);
    assert_int_equal(s->timeout_max_s, 0);
    assert_false(kind->namespaced);
    sa_autounref const struct sa_object *object =
        of_spec(kind, "{\"description\":\"d\",\"securityLevel\":\"custom\",\"securityContext\":{"
                      "\"uid\":1},\"runtimeClass\":\"gvisor\",\"networkAccess\":{\"egress\":[{"
                      "\"domain\":\"pypi.org\"}]},\"requiredControls\":[\"seccomp\"],"
                      "\"maxTimeout\":60}");
    s = sa_object_spec(object);
    assert_string_equal(s->runtime_class, "gvisor");
    assert_int_equal(s->timeout_max_s, 60);
    assert_string_equal(kind->fields[0].of(object), "custom");
    empty_status_is_right(&sa_resource_sandbox_profile);
}

static void test_runtime(void **state)
{
    (void)state;
    const struct sa_kind *kind = &sa_kind_runtime_environment;
    sa_autounref const struct sa_object *least = of_spec(kind, RUNTIME(""));
    const struct sa_runtime_spec *s = sa_object_spec(least);
    assert_int_equal(s->language, SA_LANGUAGE_PYTHON);
    assert_int_equal(s->manager, SA_MANAGER_NONE);
    assert_string_equal(s->image, "");
    sa_autounref const struct sa_object *object = of_status(
        kind,
        "{\"language\":\"node\",\"image\":\"registry.example.com:5000/a/"
        "b:1@sha256:00\",\"version\":"
        "\"22\",\"description\":\"d\",\"tags\":[\"lts\"],\"preInstalledPackages\":[\"npm\"],"
        "\"packageManager\":\"npm\",\"securityFeatures\":[\"seccomp\"],\"requirements\":{\"cpu\":"
        "\"100m\",\"memory\":\"64Mi\",\"ephemeralStorage\":\"1Gi\",\"architectures\":[\"amd64\"],"
        "\"controls\":[\"landlock\"]}}",
        "{\"imageDigest\":\"sha256:00\",\"sizeBytes\":5,\"nodes\":[\"a\"]}");
    s = sa_object_spec(object);
    assert_int_equal(s->language, SA_LANGUAGE_NODE);
    assert_int_equal(s->requirements.cpu_millicores, 100);
    assert_string_equal(kind->fields[0].of(object), "node");
    empty_status_is_right(&sa_resource_runtime_environment);
}

static const struct refusal profiles[] = {
    {"{\"description\":1}", "spec.description", "a string"},
    {"{\"securityLevel\":\"none\"}", "spec.securityLevel", "one of"},
    {"{\"securityContext\":{\"uid\":1}}", "spec.securityContext", "only with securityLevel"},
    {"{\"runtimeClass\":\"G V\"}", "spec.runtimeClass", "1-63 of"},
    {"{\"networkAccess\":1}", "spec.networkAccess", "an object"},
    {"{\"filesystem\":{\"writablePaths\":[1]}}", "spec.filesystem.writablePaths[0]", "a string"},
    {"{\"requiredControls\":{}}", "spec.requiredControls", "an array"},
    {"{\"maxTimeout\":0}", "spec.maxTimeout", "1..86400"},
    {"{\"runtime\":\"x\"}", "spec.runtime", "unknown field"},
    {NULL, NULL, NULL}};
static const struct refusal runtimes[] = {
    {"{}", "spec.language", "is required"},
    {"{\"language\":\"cobol\"}", "spec.language", "one of \"python\""},
    {RUNTIME(",\"image\":\"a b\""), "spec.image", "an image such as"},
    {RUNTIME(",\"rootfs\":\"srv/x\""), "spec.rootfs", "an absolute path"},
    {RUNTIME(",\"image\":\"a\",\"rootfs\":\"/x\""), "spec.rootfs", "together with image"},
    {RUNTIME(",\"version\":\"3 12\""), "spec.version", "a word"},
    {RUNTIME(",\"description\":[]"), "spec.description", "a string"},
    {RUNTIME(",\"tags\":[\"-\"]"), "spec.tags[0]", "a word"},
    {RUNTIME(",\"preInstalledPackages\":1"), "spec.preInstalledPackages", "an array"},
    {RUNTIME(",\"packageManager\":\"apt\""), "spec.packageManager", "one of"},
    {RUNTIME(",\"securityFeatures\":[1]"), "spec.securityFeatures[0]", "a string"},
    {RUNTIME(",\"requirements\":{\"cpu\":\"0\"}"), "spec.requirements.cpu", "from 10m"},
    {RUNTIME(",\"requirements\":{\"memory\":\"0\"}"), "spec.requirements.memory", "from 16Mi"},
    {RUNTIME(",\"requirements\":{\"ephemeralStorage\":0}"), "spec.requirements.ephemeralStorage",
     "from 1Mi"},
    {RUNTIME(",\"requirements\":{\"architectures\":[\"\"]}"), "spec.requirements.architectures[0]",
     "a word"},
    {RUNTIME(",\"requirements\":{\"controls\":\"x\"}"), "spec.requirements.controls", "an array"},
    {NULL, NULL, NULL}};
static const struct refusal runtime_statuses[] = {
    {"{\"sizeBytes\":-1}", "status.sizeBytes", "integer"},
    {"{\"nodes\":\"a\"}", "status.nodes", "an array"},
    {"{\"imageDigest\":1}", "status.imageDigest", "a string"},
    {NULL, NULL, NULL}};

static void test_refusals(void **state)
{
    (void)state;
    refused(&sa_kind_sandbox_profile, NULL, profiles);
    refused(&sa_kind_runtime_environment, NULL, runtimes);
    refused(&sa_kind_runtime_environment, RUNTIME(""), runtime_statuses);
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const struct sa_resource *resource;
    } names[] = {{"Sandbox", &sa_resource_sandbox},
                 {"sandboxes", &sa_resource_sandbox},
                 {"SB", &sa_resource_sandbox},
                 {"warmpools", &sa_resource_warm_pool},
                 {"pool", &sa_resource_warm_pool},
                 {"wpod", &sa_resource_warm_pod},
                 {"runtimes", &sa_resource_runtime_environment},
                 {"profile", &sa_resource_sandbox_profile},
                 {"pods", &sa_resource_pod},
                 {"lease", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_ptr_equal(sa_resource_find(names[i].name), names[i].resource);
    assert_ptr_equal(sa_resource_of("v1", "Pod"), &sa_resource_pod);
    assert_ptr_equal(sa_resource_of("secureagent.dev/v1", "WarmPod"), &sa_resource_warm_pod);
    assert_null(sa_resource_of("v1", "WarmPod"));
    assert_null(sa_resource_of("secureagent.dev/v1", "warmpods"));
}

/* No two kinds answer to one name; what a kind needs is there. */
static void test_names_are_unique(void **state)
{
    (void)state;
    for (const struct sa_resource *const *r = sa_resources; *r; r++) {
        assert_ptr_equal(sa_resource_find((*r)->kind->name), *r);
        assert_ptr_equal(sa_resource_find((*r)->kind->plural), *r);
        assert_ptr_equal(sa_resource_find((*r)->singular), *r);
        for (const char *const *name = (*r)->short_names; *name; name++)
            assert_ptr_equal(sa_resource_find(*name), *r);
        assert_non_null((*r)->columns);
        assert_non_null((*r)->kind->empty_status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_profile),
                                       cmocka_unit_test(test_runtime),
                                       cmocka_unit_test(test_refusals), cmocka_unit_test(test_find),
                                       cmocka_unit_test(test_names_are_unique)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
