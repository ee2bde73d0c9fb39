/* Sandbox: defaults, every field's refusals, what may change. */
#include "fixture.h"

#include "kinds/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KIND &sa_kind_sandbox
#define SPEC(MORE) "{\"runtime\":\"python\"" MORE "}"
#define GIB (INT64_C(1) << 30)

static void test_defaults(void **state)
{
    (void)state;
    sa_autounref const struct sa_object *object = of_spec(KIND, SPEC(""));
    const struct sa_sandbox_wanted *s = sa_object_spec(object);
    assert_string_equal(s->runtime, "python");
    assert_int_equal(s->level, SA_LEVEL_STANDARD);
    assert_string_equal(s->profile, "");
    assert_string_equal(s->security_context, "");
    assert_int_equal(s->timeout_s, 300);
    assert_int_equal(s->resources.cpu_millicores, SA_CPU_DEFAULT_MILLICORES);
    assert_int_equal(s->resources.memory_bytes, GIB / 2);
    assert_int_equal(s->resources.storage_bytes, GIB / 4);
    assert_int_equal(s->resources.inodes, GIB / 4 / 8192);
    assert_int_equal(s->resources.pids, 256);
    assert_false(s->resources.cpu_pinning);
    assert_int_equal(s->network.egress.count, 0);
    assert_true(s->network.ingress.enabled);
    assert_true(s->filesystem.read_only_root);
    assert_int_equal(s->filesystem.writable_paths.count, 2);
    assert_string_equal(s->filesystem.writable_paths.items[1], "/workspace");
    assert_false(s->storage.persistent);
    assert_int_equal(s->storage.volume_bytes, GIB);
    assert_int_equal(s->warm, SA_WARM_PREFER);
    assert_int_equal(s->lifecycle.on_timeout, SA_END_DELETE);
    assert_int_equal(s->lifecycle.on_idle, SA_END_PAUSE);
    assert_int_equal(s->lifecycle.idle_timeout_s, 0);
    const struct sa_sandbox_status *status = sa_object_status(object);
    assert_int_equal(status->phase, SA_PHASE_PENDING);
    assert_int_equal(status->start, SA_START_UNKNOWN);
    empty_status_is_right(&sa_resource_sandbox);
}

static void test_everything(void **state)
{
    (void)state;
    sa_autounref const struct sa_object *object = of_spec(
        KIND,
        "{\"runtime\":\"node\",\"securityLevel\":\"custom\",\"profileRef\":\"strict\","
        "\"securityContext\":{\"uid\":4242},\"timeout\":60,\"resources\":{\"cpu\":2,\"memory\":"
        "\"1Gi\",\"ephemeralStorage\":\"2Gi\",\"pids\":32,\"cpuPinning\":true},\"networkAccess\":{"
        "\"egress\":[{\"domain\":\"*.example.com\",\"ports\":[443,8443]},{\"domain\":\"*\"}],"
        "\"ingress\":{\"enabled\":false,\"ports\":[8080]}},\"filesystem\":{\"readOnlyRoot\":false,"
        "\"writablePaths\":[]},\"storage\":{\"persistent\":true,\"volumeSize\":\"5Gi\",\"name\":"
        "\"data\"},\"env\":{\"A\":\"1\"},\"secretsRef\":[\"db\"],\"warm\":\"require\",\"warmPool\":"
        "\"fast\",\"lifecycle\":{\"onTimeout\":\"pause\",\"idleTimeout\":9,\"onIdle\":\"delete\","
        "\"resumeOnUse\":true},\"imports\":[\"numpy.linalg\"],\"requiredControls\":[\"seccomp\"]}");
    const struct sa_sandbox_wanted *s = sa_object_spec(object);
    assert_string_equal(s->security_context, "{\"uid\":4242}");
    assert_int_equal(s->resources.cpu_millicores, 2000);
    assert_int_equal(s->resources.storage_bytes, 2 * GIB);
    assert_true(s->resources.cpu_pinning);
    assert_int_equal(s->network.egress.count, 2);
    assert_string_equal(s->network.egress.items[0].domain, "*.example.com");
    assert_int_equal(s->network.egress.items[0].ports.items[1], 8443);
    assert_int_equal(s->network.egress.items[1].ports.count, 0);
    assert_false(s->network.ingress.enabled);
    assert_int_equal(s->network.ingress.ports.items[0], 8080);
    assert_int_equal(s->filesystem.writable_paths.count, 0);
    assert_string_equal(s->storage.name, "data");
    assert_string_equal(s->env.items[0].value, "1");
    assert_string_equal(s->secrets.items[0], "db");
    assert_int_equal(s->warm, SA_WARM_REQUIRE);
    assert_string_equal(s->warm_pool, "fast");
    assert_true(s->lifecycle.resume_on_use);
    assert_string_equal(s->imports.items[0], "numpy.linalg");
}

static const struct refusal specs[] = {
    {"{}", "spec.runtime", "is required"},
    {"{\"runtim\":\"python\"}", "spec.runtime", "did you mean \"runtime\"?"},
    {"{\"runtime\":null}", "spec.runtime", "must not be null"},
    {"{\"runtime\":\"\"}", "spec.runtime", "expected 1-63 of"},
    {"{\"runtime\":\"Py\"}", "spec.runtime", "expected 1-63 of"},
    {"{\"runtime\":7}", "spec.runtime", "expected a string, got 7"},
    {SPEC(",\"securityLevel\":\"low\""), "spec.securityLevel", "expected one of \"standard\""},
    {SPEC(",\"profileRef\":\"a b\""), "spec.profileRef", "expected a DNS name"},
    {SPEC(",\"securityContext\":[]"), "spec.securityContext", "expected an object"},
    {SPEC(",\"securityContext\":{\"uid\":1}"), "spec.securityContext", "only with securityLevel"},
    {SPEC(",\"timeout\":0"), "spec.timeout", "expected integer in 1..86400, got 0"},
    {SPEC(",\"timeout\":86401"), "spec.timeout", "expected integer in 1..86400"},
    {SPEC(",\"timeout\":\"5m\""), "spec.timeout", "expected integer in 1..86400, got \"5m\""},
    {SPEC(",\"timout\":5"), "spec.timout", "did you mean \"timeout\"?"},
    {SPEC(",\"resources\":[]"), "spec.resources", "expected an object, got an array"},
    {SPEC(",\"resources\":{\"cpu\":\"1m\"}"), "spec.resources.cpu", "from 10m to 1024"},
    {SPEC(",\"resources\":{\"cpu\":\"fast\"}"), "spec.resources.cpu", "expected processors"},
    {SPEC(",\"resources\":{\"memory\":\"1Mi\"}"), "spec.resources.memory", "from 16Mi to 4Ti"},
    {SPEC(",\"resources\":{\"memory\":true}"), "spec.resources.memory", "expected a size"},
    {SPEC(",\"resources\":{\"ephemeralStorage\":1}"), "spec.resources.ephemeralStorage",
     "from 1Mi to 4Ti"},
    {SPEC(",\"resources\":{\"pids\":7}"), "spec.resources.pids", "integer in 8..32768"},
    {SPEC(",\"resources\":{\"cpuPinning\":1}"), "spec.resources.cpuPinning", "true or false"},
    {SPEC(",\"resources\":{\"cpu\":\"1500m\",\"cpuPinning\":true}"), "spec.resources.cpu",
     "whole number of processors"},
    {SPEC(",\"resources\":{\"gpu\":1}"), "spec.resources.gpu", "unknown field"},
    {SPEC(",\"networkAccess\":{\"egress\":{}}"), "spec.networkAccess.egress", "expected an array"},
    {SPEC(",\"networkAccess\":{\"egress\":[7]}"), "spec.networkAccess.egress[0]", "an object"},
    {SPEC(",\"networkAccess\":{\"egress\":[{}]}"), "spec.networkAccess.egress[0].domain",
     "is required"},
    {SPEC(",\"networkAccess\":{\"egress\":[{\"domain\":\"a\"},{\"domain\":\"a.*\"}]}"),
     "spec.networkAccess.egress[1].domain", "expected a domain such as"},
    {SPEC(",\"networkAccess\":{\"egress\":[{\"domain\":\"a\",\"ports\":[0]}]}"),
     "spec.networkAccess.egress[0].ports[0]", "integer in 1..65535"},
    {SPEC(",\"networkAccess\":{\"ingress\":{\"enabled\":\"no\"}}"),
     "spec.networkAccess.ingress.enabled", "true or false"},
    {SPEC(",\"networkAccess\":{\"ingress\":{\"ports\":[70000]}}"),
     "spec.networkAccess.ingress.ports[0]", "integer in 1..65535"},
    {SPEC(",\"filesystem\":{\"readOnlyRoot\":0}"), "spec.filesystem.readOnlyRoot", "true or false"},
    {SPEC(",\"filesystem\":{\"writablePaths\":[\"/a\",\"b\"]}"), "spec.filesystem.writablePaths[1]",
     "expected an absolute path"},
    {SPEC(",\"filesystem\":{\"writablePaths\":[\"/a/../etc\"]}"),
     "spec.filesystem.writablePaths[0]", "expected an absolute path"},
    {SPEC(",\"filesystem\":{\"writablePaths\":[\"/\"]}"), "spec.filesystem.writablePaths[0]",
     "expected an absolute path"},
    {SPEC(",\"storage\":{\"persistent\":\"yes\"}"), "spec.storage.persistent", "true or false"},
    {SPEC(",\"storage\":{\"volumeSize\":\"lots\"}"), "spec.storage.volumeSize", "expected a size"},
    {SPEC(",\"storage\":{\"name\":\"-\"}"), "spec.storage.name", "expected 1-63 of"},
    {SPEC(",\"env\":{\"A\":1}"), "spec.env.A", "expected a string"},
    {SPEC(",\"env\":{\"A=B\":\"\"}"), "spec.env.A=B", "expected a name without '='"},
    {SPEC(",\"env\":[]"), "spec.env", "expected an object of strings"},
    {SPEC(",\"secretsRef\":\"db\""), "spec.secretsRef", "expected an array"},
    {SPEC(",\"secretsRef\":[\"D\"]"), "spec.secretsRef[0]", "expected a DNS name"},
    {SPEC(",\"warm\":\"maybe\""), "spec.warm", "expected one of \"prefer\""},
    {SPEC(",\"warmPool\":\"a b\""), "spec.warmPool", "expected a DNS name"},
    {SPEC(",\"warm\":\"never\",\"warmPool\":\"a\""), "spec.warmPool", "together with warm never"},
    {SPEC(",\"lifecycle\":{\"onTimeout\":\"stop\"}"), "spec.lifecycle.onTimeout", "one of"},
    {SPEC(",\"lifecycle\":{\"idleTimeout\":0}"), "spec.lifecycle.idleTimeout", "1..86400"},
    {SPEC(",\"lifecycle\":{\"onIdle\":1}"), "spec.lifecycle.onIdle", "one of"},
    {SPEC(",\"lifecycle\":{\"resumeOnUse\":null,\"x\":1}"), "spec.lifecycle.x", "unknown field"},
    {SPEC(",\"imports\":[\"os;x\"]"), "spec.imports[0]", "expected the name of a module"},
    {SPEC(",\"requiredControls\":[1]"), "spec.requiredControls[0]", "expected a string"},
    {NULL, NULL, NULL}};

static const struct refusal statuses[] = {
    {"{\"phase\":\"Dead\"}", "status.phase", "expected one of \"Pending\""},
    {"{\"start\":\"\"}", "status.start", "expected one of \"warm\", \"cold\""},
    {"{\"podName\":1}", "status.podName", "expected a string"},
    {"{\"controls\":\"x\"}", "status.controls", "expected an array"},
    {"{\"expiresAt\":\"soon\"}", "status.expiresAt", "expected a time (RFC 3339)"},
    {"{\"securityProfile\":{\"generation\":-1}}", "status.securityProfile.generation", "integer"},
    {"{\"conditions\":[{\"type\":\"Ready\"}]}", "status.conditions[0].status", "is required"},
    {"{\"observedGeneration\":1.5}", "status.observedGeneration", "expected integer"},
    {"{\"phases\":\"Running\"}", "status.phases", "did you mean \"phase\"?"},
    {NULL, NULL, NULL}};

static void test_refusals(void **state)
{
    (void)state;
    refused(KIND, NULL, specs);
    refused(KIND, SPEC(""), statuses);
}

static void too_much(const struct sa_buf *json, const char *message)
{
    struct sa_error err;
    assert_null(sa_object_decode(KIND, json->data, json->length, false, &err));
    assert_string_equal(err.message, message);
}

static void test_limits(void **state)
{
    (void)state;
    sa_autobuf many = SA_BUF_INIT, large = SA_BUF_INIT;
    sa_buf_adds(&many, "{\"spec\":{\"runtime\":\"python\",\"imports\":[\"a\"");
    for (int i = 0; i < SA_IMPORTS_MAX; i++)
        sa_buf_adds(&many, ",\"a\"");
    sa_buf_adds(&many, "]}}");
    too_much(&many, "spec.imports: expected at most 64 elements, got 65");
    sa_buf_adds(&large, "{\"spec\":{\"runtime\":\"python\",\"securityLevel\":\"custom\","
                        "\"securityContext\":{\"a\":\"");
    for (int i = 0; i < SA_SECURITY_CONTEXT_MAX_BYTES; i++)
        sa_buf_addc(&large, 'x');
    sa_buf_adds(&large, "\"}}}");
    too_much(&large, "spec.securityContext: expected at most 16384 bytes, got 16392");
}

static void test_lenient(void **state)
{
    static const char json[] =
        "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"runtime\":\"python\","
        "\"gpu\":1,\"resources\":{\"gpu\":1,\"pids\":9}},\"status\":{\"a\":1}}";
    struct sa_error err;
    (void)state;
    sa_autounref const struct sa_object *object =
        sa_object_decode(KIND, json, sizeof json - 1, true, &err);
    assert_non_null(object);
    assert_int_equal(((const struct sa_sandbox_wanted *)sa_object_spec(object))->resources.pids, 9);
    size_t length;
    assert_null(strstr(sa_object_spec_json(object, &length), "gpu"));
}

static void test_status(void **state)
{
    (void)state;
    sa_autounref const struct sa_object *object = of_status(
        KIND, SPEC(""),
        "{\"phase\":\"Running\",\"start\":\"warm\",\"podName\":\"p\",\"nodeName\":\"n\","
        "\"controls\":[\"seccomp\"],\"securityProfile\":{\"digest\":\"ab\",\"generation\":3},"
        "\"expiresAt\":\"2026-01-31T09:05:00.123Z\",\"observedGeneration\":2,\"conditions\":[{"
        "\"type\":\"Ready\",\"status\":\"True\"}]}");
    const struct sa_sandbox_status *s = sa_object_status(object);
    assert_int_equal(s->phase, SA_PHASE_RUNNING);
    assert_int_equal(s->start, SA_START_WARM);
    assert_int_equal(s->expires_ms % 1000, 123);
    assert_int_equal(s->security_profile.generation, 3);
    assert_true(sa_conditions_is(&s->conditions, "Ready", SA_TRUE));
    assert_string_equal(sa_selectable_sandbox[0].of(object), "python");
    assert_string_equal(sa_selectable_sandbox[1].of(object), "Running");
    assert_string_equal(sa_selectable_sandbox[2].of(object), "n");
}

static void test_changes(void **state)
{
    (void)state;
    static const char *const fixed[][2] = {
        {"{\"runtime\":\"node\"}", "spec.runtime"},
        {SPEC(",\"securityLevel\":\"high\""), "spec.securityLevel"},
        {SPEC(",\"profileRef\":\"a\""), "spec.profileRef"},
        {SPEC(",\"resources\":{\"cpu\":\"10m\"}"), "spec.resources"},
        {SPEC(",\"filesystem\":{\"readOnlyRoot\":false}"), "spec.filesystem"},
        {SPEC(",\"storage\":{\"persistent\":true}"), "spec.storage"},
        {SPEC(",\"networkAccess\":{\"ingress\":{\"enabled\":false}}"), "spec.networkAccess"},
        {SPEC(",\"env\":{\"A\":\"1\"}"), "spec.env"},
        {SPEC(",\"secretsRef\":[\"a\"]"), "spec.secretsRef"},
        {SPEC(",\"warm\":\"never\""), "spec.warm"},
        {SPEC(",\"warmPool\":\"a\""), "spec.warmPool"},
        {SPEC(",\"imports\":[\"a\"]"), "spec.imports"},
        {SPEC(",\"requiredControls\":[\"a\"]"), "spec.requiredControls"}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        assert_string_equal(change(KIND, SPEC(""), fixed[i][0]), fixed[i][1]);
    assert_string_equal(change(KIND, SPEC(""), SPEC(",\"timeout\":9")), "");
    assert_string_equal(change(KIND, SPEC(""), SPEC(",\"lifecycle\":{\"idleTimeout\":9}")), "");
    /* The same amount, otherwise written. */
    assert_string_equal(change(KIND, SPEC(""), SPEC(",\"resources\":{\"cpu\":\"1000m\"}")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_everything),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lenient),  cmocka_unit_test(test_status),
        cmocka_unit_test(test_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
