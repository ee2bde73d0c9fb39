/* The Pod of a Sandbox: it is a valid Pod, a node reads in it what was asked for, and what lacks
 * something is not run. */
#include "claim/pod_manifest.h"

#include "kinds/names.h"
#include "kinds/pod.h"
#include "kinds/warm_pod.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sa_object *decode(const struct sa_kind *kind, const char *json)
{
    struct sa_error err = {.message = ""};
    char *text = sa_strdup(json);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    const struct sa_object *object = sa_object_decode(kind, text, strlen(text), false, &err);
    if (!object)
        fail_msg("%s", err.message);
    free(text);
    return object;
}

static const char sandbox_json[] =
    "{'apiVersion':'secureagent.dev/v1','kind':'Sandbox','metadata':{'name':'sb-a',"
    "'namespace':'team','uid':'01234567-89ab-cdef-0123-456789abcdef'},"
    "'spec':{'runtime':'python','env':{'A':'1'},'requiredControls':['seccomp'],"
    "'resources':{'cpu':'500m','memory':'64Mi','cpuPinning':false}}}";

static const struct sa_object *pod_of(const struct sa_object *sandbox, const char *hostname)
{
    const struct sa_sandbox_wanted *spec = sa_object_spec(sandbox);
    const struct sa_posture posture = {.level = SA_LEVEL_HIGH,
                                       .security_context = "",
                                       .runtime_class = "",
                                       .required_controls = spec->required_controls};
    sa_autobuf manifest = SA_BUF_INIT;
    struct sa_error err = {.message = ""};
    sa_pod_of(&(struct sa_pod_wanted){.owner = sandbox,
                                      .node = "local",
                                      .runtime = "python",
                                      .language = SA_LANGUAGE_PYTHON,
                                      .image = "",
                                      .digest = "00112233445566778899",
                                      .hostname = hostname,
                                      .posture = &posture,
                                      .resources = &spec->resources,
                                      .env = &spec->env,
                                      .pausable = true},
              &manifest);
    const struct sa_object *pod =
        sa_object_decode(&sa_kind_pod, manifest.data, manifest.length, false, &err);
    if (!pod)
        fail_msg("%s", err.message);
    return pod;
}

static bool has(const struct sa_json_strings *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

static void test_there_and_back(void **state)
{
    struct sa_arena *arena = sa_arena_new();
    const struct sa_object *sandbox sa_autounref = decode(&sa_kind_sandbox, sandbox_json);
    const struct sa_object *pod sa_autounref = pod_of(sandbox, "notebook");
    const struct sa_object_meta *meta = sa_object_meta(pod);
    struct sa_pod_box box;
    (void)state;
    assert_int_equal(0, sa_pod_box_of(pod, arena, &box, NULL));
    assert_string_equal(meta->namespace_, "team");
    assert_string_equal(box.id, "sb-a");
    assert_string_equal(box.hostname, "notebook");
    assert_string_equal(box.runtime, "python");
    assert_string_equal(box.profile, "00112233445566778899");
    assert_int_equal(box.cpu_millicores, 500);
    assert_int_equal(box.memory_bytes, 64 << 20);
    assert_int_equal(box.storage_bytes, 32 << 20);
    assert_int_equal(box.pids, SA_PIDS_DEFAULT);
    assert_true(box.inodes > 0);
    assert_false(box.cpu_pinning);
    assert_int_equal(box.required_controls.count, 2);
    assert_true(has(&box.required_controls, "seccomp"));
    assert_true(has(&box.required_controls, "cgroup.freezer"));
    assert_true(has(&box.env, "A=1") && has(&box.env, "HOME=/home/user"));
    assert_true(sa_object_has_finalizer(pod, SA_FINALIZER_NODE));
    const struct sa_owner_reference *owner = sa_object_controller(pod);
    assert_string_equal(owner->kind, "Sandbox");
    assert_string_equal(owner->name, "sb-a");
    assert_true(owner->block_owner_deletion);
    assert_string_equal(sa_map_get(&meta->labels, SA_POD_SANDBOX), "sb-a");
    assert_null(sa_map_get(&meta->labels, SA_POD_WARM_POD));
    assert_string_equal(sa_map_get(&meta->annotations, SA_POD_SECURITY_LEVEL), "high");
    assert_string_equal(((const struct sa_pod_spec *)sa_object_spec(pod))->node, "local");
    sa_arena_free(arena);
}

static void test_hostname(void **state)
{
    struct sa_arena *arena = sa_arena_new();
    const struct sa_object *sandbox sa_autounref = decode(&sa_kind_sandbox, sandbox_json);
    const struct sa_object *pod sa_autounref = pod_of(sandbox, "no label!");
    struct sa_pod_box box;
    (void)state;
    assert_int_equal(0, sa_pod_box_of(pod, arena, &box, NULL));
    assert_string_equal(box.hostname, "sb-a");
    sa_arena_free(arena);
}

static void test_foreign_pods(void **state)
{
    static const char *const pods[] = {
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'x'},"
        "'spec':{'containers':[{'name':'c'}]}}",
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'x','annotations':{"
        "'secureagent.dev/language':'python','secureagent.dev/security-profile':'00',"
        "'secureagent.dev/pids':'many','secureagent.dev/inodes':'1'}},"
        "'spec':{'containers':[{'name':'c'}]}}",
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'x','annotations':{"
        "'secureagent.dev/language':'python','secureagent.dev/security-profile':'00',"
        "'secureagent.dev/pids':'10','secureagent.dev/inodes':'1'}},"
        "'spec':{'containers':[{'name':'c','resources':{'limits':{'cpu':'1'}}}]}}"};
    (void)state;
    for (size_t i = 0; i < sizeof pods / sizeof *pods; i++) {
        struct sa_arena *arena = sa_arena_new();
        const struct sa_object *pod sa_autounref = decode(&sa_kind_pod, pods[i]);
        struct sa_pod_box box;
        struct sa_error err;
        assert_int_equal(-1, sa_pod_box_of(pod, arena, &box, &err));
        assert_int_equal(err.code, SA_EINVALID);
        sa_arena_free(arena);
    }
}

static void test_of_a_warm_pod(void **state)
{
    const struct sa_object *warm sa_autounref =
        decode(&sa_kind_warm_pod, "{'apiVersion':'secureagent.dev/v1','kind':'WarmPod','metadata':{"
                                  "'name':'wp-a','uid':'01234567-89ab-cdef-0123-456789abcdef'},"
                                  "'spec':{'pool':'p','key':'k','runtime':'python'}}");
    const struct sa_warm_pod_spec *spec = sa_object_spec(warm);
    const struct sa_posture posture = {.security_context = "", .runtime_class = "native"};
    sa_autobuf manifest = SA_BUF_INIT;
    (void)state;
    sa_pod_of(&(struct sa_pod_wanted){.owner = warm,
                                      .pool = spec->pool,
                                      .node = "local",
                                      .runtime = spec->runtime,
                                      .language = SA_LANGUAGE_PYTHON,
                                      .image = "",
                                      .digest = "00",
                                      .posture = &posture,
                                      .resources = &spec->resources},
              &manifest);
    const struct sa_object *pod sa_autounref =
        sa_object_decode(&sa_kind_pod, manifest.data, manifest.length, false, NULL);
    assert_non_null(pod);
    const struct sa_json_map *labels = &sa_object_meta(pod)->labels;
    assert_string_equal(sa_map_get(labels, SA_POD_WARM_POD), "wp-a");
    assert_string_equal(sa_map_get(labels, SA_POD_POOL), "p");
    assert_null(sa_map_get(labels, SA_POD_SANDBOX));
    assert_string_equal(((const struct sa_pod_spec *)sa_object_spec(pod))->runtime_class, "native");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_hostname),
        cmocka_unit_test(test_foreign_pods),
        cmocka_unit_test(test_of_a_warm_pod),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
