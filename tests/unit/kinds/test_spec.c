/* Decoding the body of a create: defaults, every field at and beyond its limits, and the path
 * and words of each refusal. */
#include "decoding.h"

#include "kinds/sandbox.h"
#include "json/notes.h"

#include <stdio.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

static struct sa_sandbox_spec good(const char *body)
{
    struct sa_sandbox_spec spec;
    struct sa_error err = {0};
    if (sa_sandbox_spec_decode(body, strlen(body), arena, NULL, &spec, &err) < 0)
        fail_msg("%s: refused: %s (%s)", body, err.message, err.path);
    return spec;
}

static void bad(const char *body, enum sa_code code, const char *path, const char *words)
{
    struct sa_sandbox_spec spec;
    struct sa_error err = {0};
    const int rc = sa_sandbox_spec_decode(body, strlen(body), arena, NULL, &spec, &err);
    check_refusal(body, rc, &err, code, path, words);
}

static void test_defaults(void **state)
{
    (void)state;
    struct sa_sandbox_spec s = good("{\"runtime\":\"python\"}");
    assert_string_equal(s.runtime, "python");
    assert_null(s.name);
    assert_int_equal(s.level, SA_LEVEL_STANDARD);
    assert_int_equal(s.warm, SA_WARM_PREFER);
    assert_int_equal(s.timeout_s, 300);
    assert_int_equal(s.resources.cpu_millicores, 1000);
    assert_true(s.resources.memory_bytes == 512 * MIB);
    assert_true(s.resources.storage_bytes == 256 * MIB);
    assert_int_equal(s.resources.inodes, 256 * MIB / 8192);
    assert_int_equal(s.resources.pids, 256);
    assert_int_equal(s.env.count, 0);
    assert_int_equal(s.labels.count, 0);
    assert_int_equal(s.required_controls.count, 0);
    /* null means: not given (json.h). */
    s = good("{\"runtime\":\"python\",\"timeout\":null,\"resources\":null,\"env\":null}");
    assert_int_equal(s.timeout_s, 300);
    assert_int_equal(s.resources.pids, 256);
}

static void test_everything(void **state)
{
    (void)state;
    struct sa_sandbox_spec s =
        good("{\"runtime\":\"node\",\"name\":\"a-1\",\"securityLevel\":\"high\",\"timeout\":7,"
             "\"resources\":{\"cpu\":\"250m\",\"memory\":\"1Gi\",\"ephemeralStorage\":\"64Mi\","
             "\"pids\":64},\"env\":{\"A\":\"1\",\"EMPTY\":\"\",\"B\":\"x=y\"},"
             "\"labels\":{\"team\":\"blue\"},\"warm\":\"never\","
             "\"requiredControls\":[\"landlock\",\"cgroup.memory\"]}");
    assert_string_equal(s.runtime, "node");
    assert_string_equal(s.name, "a-1");
    assert_int_equal(s.level, SA_LEVEL_HIGH);
    assert_int_equal(s.warm, SA_WARM_NEVER);
    assert_int_equal(s.timeout_s, 7);
    assert_int_equal(s.resources.cpu_millicores, 250);
    assert_true(s.resources.memory_bytes == GIB);
    assert_true(s.resources.storage_bytes == 64 * MIB);
    assert_int_equal(s.resources.pids, 64);
    assert_int_equal(s.env.count, 3);
    assert_string_equal(s.env.items[2].key, "B");
    assert_string_equal(s.env.items[2].value, "x=y");
    assert_string_equal(s.env.items[1].value, "");
    assert_string_equal(s.labels.items[0].value, "blue");
    assert_int_equal(s.required_controls.count, 2);
    assert_string_equal(s.required_controls.items[1], "cgroup.memory");
}

static void test_limits_are_inclusive(void **state)
{
    (void)state;
    assert_int_equal(good("{\"runtime\":\"bash\",\"timeout\":1}").timeout_s, 1);
    assert_int_equal(good("{\"runtime\":\"bash\",\"timeout\":86400}").timeout_s, 86400);
    assert_int_equal(
        good("{\"runtime\":\"bash\",\"resources\":{\"cpu\":2}}").resources.cpu_millicores, 2000);
    assert_int_equal(
        good("{\"runtime\":\"bash\",\"resources\":{\"cpu\":\"0.01\"}}").resources.cpu_millicores,
        10);
    assert_int_equal(good("{\"runtime\":\"bash\",\"resources\":{\"pids\":8}}").resources.pids, 8);
    assert_int_equal(good("{\"runtime\":\"bash\",\"resources\":{\"pids\":32768}}").resources.pids,
                     32768);
    struct sa_resources small =
        good("{\"runtime\":\"bash\",\"resources\":{\"memory\":\"16Mi\"}}").resources;
    assert_true(small.memory_bytes == 16 * MIB);
    assert_true(small.storage_bytes == 8 * MIB);
    assert_int_equal(small.inodes, 1024); /* not fewer */
    struct sa_resources large =
        good("{\"runtime\":\"bash\",\"resources\":{\"memory\":\"64Gi\"}}").resources;
    assert_int_equal(large.inodes, 1000000); /* not more */
    /* Half of the memory, to the byte. */
    good(
        "{\"runtime\":\"bash\",\"resources\":{\"memory\":\"32Mi\",\"ephemeralStorage\":16777216}}");
    bad("{\"runtime\":\"bash\",\"resources\":{\"memory\":\"32Mi\",\"ephemeralStorage\":16777217}}",
        SA_EINVALID, "resources.ephemeralStorage", "16Mi");
}

static void test_refused(void **state)
{
    static const struct {
        const char *members, *path, *words;
    } cases[] = {
        {"\"timeout\":0", "timeout", "1..86400"},
        {"\"timeout\":86401", "timeout", "1..86400"},
        {"\"timeout\":-1", "timeout", "1..86400"},
        {"\"timeout\":1.5", "timeout", "integer"},
        {"\"timeout\":\"60\"", "timeout", "integer"},
        {"\"timeout\":true", "timeout", "integer"},
        {"\"timeout\":1e300", "timeout", ""},
        {"\"timout\":5", "timout", "did you mean \"timeout\""},
        {"\"phase\":\"Running\"", "phase", "unknown field"},
        {"\"name\":\"\"", "name", "1-63"},
        {"\"name\":\"-a\"", "name", "1-63"},
        {"\"name\":\"a-\"", "name", "1-63"},
        {"\"name\":\"A\"", "name", "1-63"},
        {"\"name\":\"a.b\"", "name", "1-63"},
        {"\"name\":\"a\\nb\"", "name", "1-63"},
        {"\"name\":5", "name", "string"},
        {"\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "name",
         "63"},
        {"\"securityLevel\":\"none\"", "securityLevel", "standard"},
        {"\"securityLevel\":0", "securityLevel", ""},
        {"\"warm\":\"yes\"", "warm", "prefer"},
        {"\"env\":[]", "env", "object"},
        {"\"env\":{\"A\":1}", "env.A", "string"},
        {"\"env\":{\"\":\"1\"}", "env.", "name"},
        {"\"env\":{\"A=B\":\"1\"}", "env.A=B", "'='"},
        {"\"labels\":{\"a=b\":\"1\"}", "labels", "selectors"},
        {"\"labels\":{\"a b\":\"1\"}", "labels", "selectors"},
        {"\"labels\":{\"a\":{}}", "labels.a", "string"},
        {"\"labels\":\"a\"", "labels", "object"},
        {"\"resources\":5", "resources", "object"},
        {"\"resources\":{\"cpus\":1}", "resources.cpus", "did you mean \"cpu\""},
        {"\"resources\":{\"cpu\":\"fast\"}", "resources.cpu", ""},
        {"\"resources\":{\"cpu\":0}", "resources.cpu", ""},
        {"\"resources\":{\"cpu\":-1}", "resources.cpu", ""},
        {"\"resources\":{\"cpu\":\"9m\"}", "resources.cpu", ""},
        {"\"resources\":{\"cpu\":1025}", "resources.cpu", ""},
        {"\"resources\":{\"memory\":\"15Mi\"}", "resources.memory", ""},
        {"\"resources\":{\"memory\":\"5Ti\"}", "resources.memory", ""},
        {"\"resources\":{\"memory\":\"99999999999999999999Ei\"}", "resources.memory", ""},
        {"\"resources\":{\"memory\":[]}", "resources.memory", ""},
        {"\"resources\":{\"pids\":7}", "resources.pids", "8..32768"},
        {"\"resources\":{\"pids\":32769}", "resources.pids", "8..32768"},
        {"\"resources\":{\"ephemeralStorage\":\"300Mi\"}", "resources.ephemeralStorage", "256Mi"},
        {"\"resources\":{\"ephemeralStorage\":\"1\"}", "resources.ephemeralStorage", ""},
        {"\"requiredControls\":\"landlock\"", "requiredControls", "array"},
        {"\"requiredControls\":[1]", "requiredControls[0]", "string"},
        {"\"requiredControls\":[\"a\",null]", "requiredControls[1]", "string"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"runtime\":\"python\",%s}", cases[i].members);
        bad(body, SA_EINVALID, cases[i].path, cases[i].words);
    }
}

static void test_runtime(void **state)
{
    (void)state;
    bad("{}", SA_EINVALID, "runtime", "required");
    assert_string_equal(good("{\"runtime\":\"cobol\"}").language, "cobol"); /* it may be there */
    bad("{\"runtime\":\"Python\"}", SA_EINVALID, "runtime", "a-z");
    bad("{\"runtime\":3}", SA_EINVALID, "runtime", "");
    bad("{\"runtime\":null}", SA_EINVALID, "runtime", "");
}

static void test_not_an_object(void **state)
{
    (void)state;
    bad("", SA_EINVALID, "", "");
    bad("[]", SA_EINVALID, "", "object");
    bad("\"python\"", SA_EINVALID, "", "object");
    bad("{\"runtime\":\"python\"", SA_EINVALID, "", "line 1");
    bad("{\"runtime\":\"python\"}x", SA_EINVALID, "", "line 1");
    bad("{\"runtime\":\"python\",\"runtime\":\"node\"}", SA_EINVALID, "runtime", "runtime");
    bad("{\"runtime\":\"pyth\xffon\"}", SA_EINVALID, "", "UTF-8");
    bad("{\"runtime\":\"python\",\"env\":{\"A\":\"\\u0000\"}}", SA_EINVALID, "", "");
}

static void add_members(struct sa_buf *body, const char *field, int count, size_t value_bytes)
{
    sa_buf_printf(body, "{\"runtime\":\"python\",\"%s\":{", field);
    for (int i = 0; i < count; i++) {
        sa_buf_printf(body, "%s\"k%d\":\"", i ? "," : "", i);
        for (size_t n = 0; n < value_bytes; n++)
            sa_buf_addc(body, 'v');
        sa_buf_addc(body, '"');
    }
    sa_buf_adds(body, "}}");
}

static void test_counts(void **state)
{
    static const struct {
        const char *field;
        int most;
    } maps[] = {{"env", SA_ENV_MAX}, {"labels", SA_LABELS_MAX_COUNT}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        sa_autobuf full = SA_BUF_INIT, over = SA_BUF_INIT;
        add_members(&full, maps[i].field, maps[i].most, 1);
        good(full.data);
        add_members(&over, maps[i].field, maps[i].most + 1, 1);
        bad(over.data, SA_EINVALID, maps[i].field, "at most");
    }
    sa_autobuf longest = SA_BUF_INIT, longer = SA_BUF_INIT;
    add_members(&longest, "labels", 1, 63);
    good(longest.data);
    add_members(&longer, "labels", 1, 64);
    bad(longer.data, SA_EINVALID, "labels", "63");
}

/* ---- several mistakes at once ---- */

/* Their paths, with a blank behind each; the first is the one that is told without notes. */
static void paths_of(const char *body, struct sa_buf *paths)
{
    struct sa_json_notes notes = {.arena = arena};
    struct sa_sandbox_spec spec;
    struct sa_error err = {0}, alone = {0};
    if (sa_sandbox_spec_decode(body, strlen(body), arena, &notes, &spec, &err) == 0)
        fail_msg("%s: accepted", body);
    assert_int_equal(sa_sandbox_spec_decode(body, strlen(body), arena, NULL, &spec, &alone), -1);
    assert_string_equal(err.message, alone.message);
    assert_string_equal(err.path, alone.path);
    for (size_t i = 0; i < notes.mistake_count; i++) {
        const struct sa_error *e = &notes.mistakes[i];
        assert_int_equal(e->code, SA_EINVALID);
        assert_int_equal(strncmp(e->message, e->path, strlen(e->path)), 0);
        sa_buf_printf(paths, "%s ", e->path);
    }
}

static void test_all_mistakes(void **state)
{
    static const struct {
        const char *members, *paths;
    } cases[] = {
        {"\"timeout\":0", "timeout "},
        {"\"name\":\"A\",\"labels\":{\"a b\":\"1\",\"c\":\"1\",\"d\":\"?\"},\"timeout\":0,"
         "\"annotations\":{\"a b\":\"1\",\"secureagent.dev/x\":\"1\"},\"timout\":5,\"x\":1",
         "name labels labels annotations annotations timeout timout x "},
        {"\"env\":{\"A\":1,\"B\":\"\",\"C\":[]},\"imports\":[1,\"json\",2],"
         "\"requiredControls\":[null,{}]",
         "env.A env.C imports[0] imports[2] requiredControls[0] requiredControls[1] "},
        {"\"env\":{\"A=B\":\"1\",\"C\":\"1\",\"=\":\"\"},\"imports\":[\"a-b\",\"json\",\"\"]",
         "env.A=B env.= imports[0] imports[2] "},
        {"\"networkAccess\":{\"egress\":[{\"domain\":\"a b\",\"ports\":[0,443,65536]},5,{}],"
         "\"ingress\":{\"on\":true}},\"filesystem\":{\"readOnlyRoot\":1,\"writablePaths\":[\"/\"]}",
         "networkAccess.egress[0].domain networkAccess.egress[0].ports[0] "
         "networkAccess.egress[0].ports[2] networkAccess.egress[1] networkAccess.egress[2].domain "
         "networkAccess.ingress.on filesystem.readOnlyRoot filesystem.writablePaths[0] "},
        /* What cannot be together, beside what is wrong. */
        {"\"timeout\":0,\"warm\":\"never\",\"warmPool\":\"p\",\"securityContext\":{\"a\":1}",
         "timeout warmPool securityContext "},
        {"\"timeout\":0,\"resources\":{\"cpu\":\"1500m\",\"cpuPinning\":true,\"pids\":1}",
         "timeout resources.pids resources.cpu "},
        {"\"timeout\":0,\"resources\":{\"ephemeralStorage\":\"300Mi\"}",
         "timeout resources.ephemeralStorage "},
        /* What is wrong itself is compared with nothing. */
        {"\"securityLevel\":\"hard\",\"securityContext\":{\"a\":1}", "securityLevel "},
        {"\"warm\":\"no\",\"warmPool\":\"p\"", "warm "},
        {"\"warm\":\"never\",\"warmPool\":\"P\"", "warmPool "},
        {"\"resources\":{\"memory\":\"1\",\"ephemeralStorage\":\"300Mi\"}", "resources.memory "},
        {"\"resources\":{\"cpu\":\"1e9\",\"cpuPinning\":true}", "resources.cpu "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[512];
        sa_autobuf paths = SA_BUF_INIT;
        snprintf(body, sizeof body, "{\"runtime\":\"python\",%s}", cases[i].members);
        paths_of(body, &paths);
        assert_string_equal(paths.data, cases[i].paths);
    }
}

/* What could be read is there, and what was not is as if nobody had named it. */
static void test_what_is_read_beside_mistakes(void **state)
{
    struct sa_json_notes notes = {.arena = arena};
    struct sa_sandbox_spec spec;
    struct sa_error err;
    const char *body = "{\"timeout\":0,\"storage\":{\"persistent\":true},\"profileRef\":\"A B\","
                       "\"networkAccess\":{\"egress\":[{\"domain\":\"a.org\"},{}]},"
                       "\"secretsRef\":[\"A\"],\"env\":{\"A\":1},\"securityContext\":[]}";
    (void)state;
    assert_int_equal(sa_sandbox_spec_decode(body, strlen(body), arena, &notes, &spec, &err), -1);
    assert_true(spec.storage.persistent && spec.filesystem.read_only_root);
    assert_string_equal(spec.runtime, "");
    assert_string_equal(spec.profile, "");
    assert_null(spec.security_context);
    assert_int_equal(spec.timeout_s, SA_TIMEOUT_DEFAULT_S);
    assert_int_equal(spec.network.egress.count + spec.secrets.count + spec.env.count, 0);
}

static void test_mistakes_are_counted_to_a_limit(void **state)
{
    static const char *const begins[] = {"{\"a\":1", "{\"labels\":{\"-\":\"\"",
                                         "{\"env\":{\"=\":\"\""};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct sa_json_notes notes = {.arena = arena};
        struct sa_sandbox_spec spec;
        struct sa_error err;
        sa_autobuf body = SA_BUF_INIT;
        sa_buf_adds(&body, begins[i]);
        for (int n = 0; n < 40; n++)
            sa_buf_printf(&body, ",\"=%d\":\"\"", n);
        sa_buf_adds(&body, i ? "}}" : "}");
        assert_int_equal(sa_sandbox_spec_decode(body.data, body.length, arena, &notes, &spec, &err),
                         -1);
        assert_int_equal(notes.mistake_count, SA_JSON_NOTES_MAX);
        assert_string_equal(err.message, notes.mistakes[0].message);
    }
}

/* The error is untouched on success, and may be left out on failure. */
static void test_error_is_optional(void **state)
{
    struct sa_sandbox_spec spec;
    struct sa_error err = {.code = SA_EQUOTA, .message = "mine"};
    (void)state;
    assert_int_equal(sa_sandbox_spec_decode("{}", 2, arena, NULL, &spec, NULL), -1);
    const char *body = "{\"runtime\":\"bash\"}";
    assert_int_equal(sa_sandbox_spec_decode(body, strlen(body), arena, NULL, &spec, &err), 0);
    assert_int_equal(err.code, SA_EQUOTA);
    assert_string_equal(err.message, "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_limits_are_inclusive),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_runtime),
        cmocka_unit_test(test_not_an_object),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_all_mistakes),
        cmocka_unit_test(test_what_is_read_beside_mistakes),
        cmocka_unit_test(test_mistakes_are_counted_to_a_limit),
        cmocka_unit_test(test_error_is_optional),
    };
    return cmocka_run_group_tests(tests, arena_setup, arena_teardown);
}
