/* From a Pod to what the node is told. */
#include "agent/private.h"

#include "kinds/pod.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define POD(NAME, MORE)                                                                            \
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" NAME                       \
    "\",\"annotations\":{" MORE "}},"                                                              \
    "\"spec\":{\"nodeName\":\"local\",\"hostname\":\"box\",\"containers\":[{\"name\":\"sandbox\"," \
    "\"env\":[{\"name\":\"A\",\"value\":\"b=c\"}],\"resources\":{\"limits\":{\"cpu\":\"250m\","    \
    "\"memory\":\"64Mi\",\"ephemeral-storage\":\"16Mi\"}}}]}}"
#define OURS                                                                                       \
    "\"secureagent.dev/language\":\"bash\",\"secureagent.dev/pids\":\"48\","                       \
    "\"secureagent.dev/inodes\":\"1000\",\"secureagent.dev/required-controls\":"                   \
    "\"landlock,cgroup.memory\""
#define PROFILE ",\"secureagent.dev/security-profile\":\"0123456789abcdef\""

static int spec_of(const char *json, struct sa_buf *body, struct sa_error *err)
{
    struct sa_error why;
    struct sa_object *pod = sa_object_decode(&sa_kind_pod, json, strlen(json), false, &why);
    if (!pod)
        fail_msg("%s", why.message);
    int rc = sa_agent_spec(pod, body, err);
    sa_object_unref(pod);
    return rc;
}

static void test_whole(void **state)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_node_spec spec;
    struct sa_error err;
    (void)state;
    assert_int_equal(spec_of(POD("wp-aaaaaaaaaaaaaaaaaaaa", OURS PROFILE), &body, &err), 0);
    assert_int_equal(sa_node_spec_decode(body.data, body.length, &spec, &err), 0);
    assert_string_equal(spec.id, "wp-aaaaaaaaaaaaaaaaaaaa");
    assert_string_equal(spec.runtime, "bash");
    assert_string_equal(spec.profile, "0123456789abcdef");
    assert_string_equal(spec.hostname, "box");
    assert_int_equal(spec.cpu_millicores, 250);
    assert_int_equal(spec.memory_bytes, 64 << 20);
    assert_int_equal(spec.storage_bytes, 16 << 20);
    assert_int_equal(spec.pids, 48);
    assert_int_equal(spec.inodes, 1000);
    assert_int_equal(spec.env_count, 1);
    assert_string_equal(spec.env[0], "A=b=c");
    assert_int_equal(spec.require_count, 2);
    assert_string_equal(spec.require[0], "landlock");
    assert_string_equal(spec.require[1], "cgroup.memory");
    sa_node_spec_deinit(&spec);
}

static void refused(const char *json, const char *path)
{
    sa_autobuf body = SA_BUF_INIT;
    struct sa_error err = {.code = SA_OK};
    assert_int_equal(spec_of(json, &body, &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, path);
}

static void test_not_ours(void **state)
{
    (void)state;
    refused(POD("a", OURS), "metadata.annotations");
    refused(POD("a", "\"x\":\"y\"" PROFILE), "metadata.annotations");
    refused(POD("abcdefghijabcdefghijabcdefghijab", OURS PROFILE), "metadata.name");
    refused(POD("spare-0", OURS PROFILE), "metadata.name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole),
                                       cmocka_unit_test(test_not_ours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
