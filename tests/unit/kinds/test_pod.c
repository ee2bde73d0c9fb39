/* Pod: what we write, what an API server answers, refusals, what may change. */
#include "fixture.h"

#include "kinds/pod.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KIND &sa_kind_pod
#define BOX "\"containers\":[{\"name\":\"box\"}]"
#define SPEC(MORE) "{" BOX MORE "}"
#define IN(MORE) "{\"containers\":[{\"name\":\"box\"" MORE "}]}"

static void test_defaults(void **state)
{
    (void)state;
    sa_autounref const struct sa_object *object = of_spec(KIND, SPEC(""));
    const struct sa_pod_spec *s = sa_object_spec(object);
    assert_string_equal(s->node, "");
    assert_int_equal(s->restart, SA_POD_RESTART_ALWAYS);
    assert_int_equal(s->grace_s, 30);
    assert_true(s->mount_token && s->service_links);
    assert_int_equal(s->containers.count, 1);
    const struct sa_pod_container *c = &s->containers.items[0];
    assert_string_equal(c->name, "box");
    assert_int_equal(c->resources.limits.cpu_millicores, 0);
    assert_int_equal(c->security.run_as_user, -1);
    assert_true(c->security.privilege_escalation);
    assert_int_equal(((const struct sa_pod_status *)sa_object_status(object))->phase,
                     SA_POD_PENDING);
    size_t length;
    const char *json = sa_object_spec_json(object, &length);
    assert_null(strstr(json, "runAs"));
    assert_null(strstr(json, "fsGroup"));
    empty_status_is_right(&sa_resource_pod);
}

static const char full[] =
    "{\"nodeName\":\"n1\",\"runtimeClassName\":\"gvisor\",\"serviceAccountName\":\"sa\","
    "\"hostname\":"
    "\"h\",\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":0,"
    "\"activeDeadlineSeconds\":"
    "9,\"automountServiceAccountToken\":false,\"enableServiceLinks\":false,\"nodeSelector\":{\"a\":"
    "\"b\"},\"securityContext\":{\"runAsUser\":0,\"runAsGroup\":5,\"fsGroup\":6,\"runAsNonRoot\":"
    "true,\"seccompProfile\":{\"type\":\"Localhost\",\"localhostProfile\":\"x.json\"}},"
    "\"initContainers\":[{\"name\":\"init\",\"image\":\"i\"}],\"containers\":[{\"name\":\"box\","
    "\"image\":\"python:3\",\"imagePullPolicy\":\"Never\",\"command\":[\"/r\"],\"args\":[\"-x\"],"
    "\"workingDir\":\"/w\",\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\"}],\"ports\":[{"
    "\"name\":\"link\",\"containerPort\":7000}],\"resources\":{\"limits\":{\"cpu\":\"500m\","
    "\"memory\":"
    "\"512Mi\",\"ephemeral-storage\":\"1Gi\"},\"requests\":{\"cpu\":\"100m\"}},\"securityContext\":"
    "{"
    "\"readOnlyRootFilesystem\":true,\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":"
    "["
    "\"ALL\"]}},\"volumeMounts\":[{\"name\":\"tmp\",\"mountPath\":\"/tmp\",\"readOnly\":true}]}],"
    "\"volumes\":[{\"name\":\"tmp\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"64Mi\"}},{"
    "\"name\":\"e\",\"emptyDir\":{}},{\"name\":\"d\",\"persistentVolumeClaim\":{\"claimName\":"
    "\"c\"}}]}";

static void test_everything(void **state)
{
    (void)state;
    sa_autounref const struct sa_object *object = of_status(
        KIND, full,
        "{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\",\"startTime\":\"2026-01-31T09:05:00Z\","
        "\"containerStatuses\":[{\"name\":\"box\",\"ready\":true,\"restartCount\":1,\"state\":{"
        "\"running\":{\"startedAt\":\"2026-01-31T09:05:01Z\"}},\"lastState\":{\"terminated\":{"
        "\"exitCode\":137,\"signal\":9,\"reason\":\"OOMKilled\"}}}]}");
    const struct sa_pod_spec *s = sa_object_spec(object);
    const struct sa_pod_container *c = &s->containers.items[0];
    assert_int_equal(s->security.run_as_user, 0);
    assert_string_equal(s->security.seccomp.localhost_profile, "x.json");
    assert_int_equal(c->resources.limits.cpu_millicores, 500);
    assert_int_equal(c->resources.requests.cpu_millicores, 100);
    assert_false(c->security.privilege_escalation);
    assert_string_equal(c->security.capabilities.drop.items[0], "ALL");
    assert_string_equal(c->ports.items[0].protocol, "TCP");
    assert_string_equal(c->env.items[1].value, "");
    assert_true(s->volumes.items[1].empty_dir.given);
    assert_false(s->volumes.items[2].empty_dir.given);
    assert_string_equal(s->volumes.items[2].claim.claim, "c");
    const struct sa_pod_status *is = sa_object_status(object);
    assert_true(is->containers.items[0].state.running.given);
    assert_false(is->containers.items[0].state.terminated.given);
    assert_int_equal(is->containers.items[0].last_state.terminated.exit_code, 137);
    const char *wanted[] = {"n1", "Running", "10.0.0.1"};
    for (size_t i = 0; sa_kind_pod.fields[i].path; i++)
        assert_string_equal(sa_kind_pod.fields[i].of(object), wanted[i]);
}

static const struct refusal specs[] = {
    {"{}", "spec.containers", "is required"},
    {"{\"containers\":[]}", "spec.containers", "expected at least one"},
    {"{\"containers\":[{}]}", "spec.containers[0].name", "is required"},
    {SPEC(",\"nodeName\":\"N\""), "spec.nodeName", "a DNS name"},
    {SPEC(",\"restartPolicy\":\"never\""), "spec.restartPolicy", "one of \"Always\""},
    {SPEC(",\"hostNetwork\":true"), "spec.hostNetwork", "unknown field"},
    {SPEC(",\"hostPID\":true"), "spec.hostPID", "unknown field"},
    {SPEC(",\"terminationGracePeriodSeconds\":-1"), "spec.terminationGracePeriodSeconds",
     "integer in 0.."},
    {SPEC(",\"securityContext\":{\"runAsUser\":\"root\"}"), "spec.securityContext.runAsUser",
     "integer"},
    {SPEC(",\"securityContext\":{\"privileged\":true}"), "spec.securityContext.privileged",
     "unknown field"},
    {IN(",\"securityContext\":{\"fsGroup\":1}"), "spec.containers[0].securityContext.fsGroup",
     "unknown field"},
    {IN(",\"securityContext\":{\"runAsUser\":-1}"), "spec.containers[0].securityContext.runAsUser",
     "integer in 0.."},
    {SPEC(",\"volumes\":[{\"name\":\"a\",\"hostPath\":{\"path\":\"/\"}}]"),
     "spec.volumes[0].hostPath", "unknown field"},
    {SPEC(",\"volumes\":[{\"name\":\"a\",\"emptyDir\":{\"sizeLimit\":\"x\"}}]"),
     "spec.volumes[0].emptyDir.sizeLimit", "a size"},
    {IN(",\"env\":[{\"value\":\"x\"}]"), "spec.containers[0].env[0].name", "is required"},
    {IN(",\"env\":[{\"name\":\"A=B\"}]"), "spec.containers[0].env[0].name", "without '='"},
    {IN(",\"ports\":[{\"containerPort\":0}]"), "spec.containers[0].ports[0].containerPort",
     "1..65535"},
    {IN(",\"resources\":{\"limits\":{\"cpu\":\"-1\"}}"), "spec.containers[0].resources.limits.cpu",
     "processors"},
    {IN(",\"resources\":{\"limits\":{\"gpu\":\"1\"}}"), "spec.containers[0].resources.limits.gpu",
     "unknown field"},
    {IN(",\"volumeMounts\":[{\"name\":\"a\",\"mountPath\":\"x\"}]"),
     "spec.containers[0].volumeMounts[0].mountPath", "an absolute path"},
    {IN(",\"command\":\"/bin/sh\""), "spec.containers[0].command", "an array"},
    {NULL, NULL, NULL}};
static const struct refusal statuses[] = {
    {"{\"phase\":\"Ready\"}", "status.phase", "one of"},
    {"{\"startTime\":\"now\"}", "status.startTime", "a time"},
    {"{\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"terminated\":{}}}]}",
     "status.containerStatuses[0].state.terminated.exitCode", "is required"},
    {NULL, NULL, NULL}};

static void test_refusals(void **state)
{
    (void)state;
    refused(KIND, NULL, specs);
    refused(KIND, SPEC(""), statuses);
}

/* Of an API server comes much that is nobody's business here. */
static void test_lenient(void **state)
{
    static const char json[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"},\"spec\":{"
        "\"dnsPolicy\":"
        "\"ClusterFirst\"," BOX ",\"tolerations\":[{\"key\":\"a\"}],\"volumes\":[{\"name\":\"t\","
        "\"projected\":{}}]},\"status\":{\"qosClass\":\"Burstable\",\"podIPs\":[{\"ip\":\"10.0.0."
        "1\"}]"
        "}}";
    struct sa_error err;
    (void)state;
    assert_null(sa_object_decode(KIND, json, sizeof json - 1, false, &err));
    sa_autounref const struct sa_object *object =
        sa_object_decode(KIND, json, sizeof json - 1, true, &err);
    assert_non_null(object);
    assert_int_equal(((const struct sa_pod_spec *)sa_object_spec(object))->volumes.count, 1);
}

static void test_changes(void **state)
{
    (void)state;
    assert_string_equal(change(KIND, SPEC(""), SPEC(",\"nodeName\":\"a\"")), "");
    assert_string_equal(change(KIND, SPEC(",\"nodeName\":\"a\""), SPEC(",\"nodeName\":\"b\"")),
                        "spec.nodeName");
    assert_string_equal(change(KIND, SPEC(",\"nodeName\":\"a\""), SPEC("")), "spec.nodeName");
    assert_string_equal(change(KIND, SPEC(""), IN(",\"image\":\"b\"")), "spec.containers");
    assert_string_equal(change(KIND, SPEC(""), SPEC(",\"activeDeadlineSeconds\":5")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_everything),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_lenient),
        cmocka_unit_test(test_changes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
