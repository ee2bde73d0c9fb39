/* What a Sandbox looks like as JSON: while it lives, and from its record. The text is parsed back
 * with core/json, so that it is known to be JSON. */
#include "kinds/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const controls[] = {"userns", "seccomp"};
static const char *const weaker[] = {"cgroup.memory: \"none\" here"};

struct printed {
    struct sa_arena *arena;
    struct sa_buf text;
    struct sa_json_doc *doc;
    struct sa_json_obj root;
};

static char *fixed_of(const struct sa_sandbox_spec *spec, size_t count)
{
    struct sa_buf out = SA_BUF_INIT;
    sa_sandbox_fixed_print(&(struct sa_sandbox_fixed){.id = "sb-x",
                                                      .spec = spec,
                                                      .controls = controls,
                                                      .control_count = count,
                                                      .weaker = weaker,
                                                      .weaker_count = count ? 1 : 0},
                           &out);
    return sa_buf_steal(&out);
}

static struct sa_sandbox_spec spec_of(struct sa_arena *arena, const char *body)
{
    struct sa_sandbox_spec spec;
    struct sa_error err;
    if (sa_sandbox_spec_decode(body, strlen(body), arena, NULL, &spec, &err) < 0)
        fail_msg("%s", err.message);
    return spec;
}

static struct printed print(const struct sa_sandbox_view *view)
{
    struct printed p = {.arena = sa_arena_new(), .text = SA_BUF_INIT};
    struct sa_error err;
    struct sa_json_w w = sa_json_w_start(&p.text);
    sa_sandbox_print(view, &w);
    p.doc = sa_json_parse(p.text.data, p.text.length, NULL, &err);
    if (!p.doc)
        fail_msg("not JSON: %s: %s", err.message, p.text.data);
    return p;
}

static void done(struct printed *p)
{
    sa_json_free(p->doc);
    sa_buf_deinit(&p->text);
    sa_arena_free(p->arena);
}

static void has(const struct printed *p, const char *part)
{
    if (!strstr(p->text.data, part))
        fail_msg("no %s in %s", part, p->text.data);
}

static void has_not(const struct printed *p, const char *part)
{
    if (strstr(p->text.data, part))
        fail_msg("%s in %s", part, p->text.data);
}

static void test_running(void **state)
{
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_spec spec = spec_of(
        arena, "{\"runtime\":\"python\",\"resources\":{\"cpu\":\"1500m\",\"memory\":\"1Gi\"}}");
    char *fixed = fixed_of(&spec, 1);
    struct printed p = print(&(struct sa_sandbox_view){.id = "sb-x",
                                                       .runtime = "python",
                                                       .phase = "Running",
                                                       .reason = "",
                                                       .message = "",
                                                       .fixed_json = fixed,
                                                       .labels_json = "{\"a\":\"b\"}",
                                                       .created_ms = 1000,
                                                       .ready_ms = 1005,
                                                       .expires_ms = 301005});
    has(&p, "\"id\":\"sb-x\"");
    has(&p, "\"name\":\"sb-x\"");
    has(&p, "\"namespace\":\"default\"");
    has(&p, "\"phase\":\"Running\"");
    has(&p, "\"start\":\"cold\"");
    has(&p, "\"securityLevel\":\"standard\"");
    has(&p, "\"labels\":{\"a\":\"b\"}");
    has(&p, "\"createdAt\":\"1970-01-01T00:00:01.000Z\"");
    has(&p, "\"expiresAt\":\"1970-01-01T00:05:01.005Z\"");
    has(&p, "\"status\":\"True\"");
    has(&p, "\"lastTransitionTime\":\"1970-01-01T00:00:01.005Z\"");
    has(&p, "\"cpu\":\"1500m\"");
    has(&p, "\"memory\":\"1Gi\"");
    has(&p, "\"ephemeralStorage\":\"512Mi\"");
    has(&p, "\"controls\":[\"userns\"]");
    has(&p, "\"weaker\":[\"cgroup.memory: \\\"none\\\" here\"]");
    has_not(&p, "endedAt");
    has_not(&p, "\"reason\":\"\"");
    done(&p);
    free(fixed);
    sa_arena_free(arena);
}

static void test_failed(void **state)
{
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_spec spec =
        spec_of(arena, "{\"runtime\":\"bash\",\"name\":\"box\",\"timeout\":5}");
    char *fixed = fixed_of(&spec, 0);
    sa_autobuf settings = SA_BUF_INIT;
    sa_sandbox_settings_print(&spec, &settings);
    struct printed p = print(&(struct sa_sandbox_view){.id = "sb-y",
                                                       .runtime = "bash",
                                                       .phase = "Failed",
                                                       .reason = "Exited",
                                                       .message = "the \"runtime\"\nended",
                                                       .fixed_json = fixed,
                                                       .settings_json = settings.data,
                                                       .labels_json = "",
                                                       .created_ms = 1000,
                                                       .ended_ms = 2000});
    has(&p, "\"name\":\"box\"");
    has(&p, "\"labels\":{}");
    has(&p, "\"status\":\"False\",\"reason\":\"Exited\"");
    has(&p, "\"message\":\"the \\\"runtime\\\"\\nended\"");
    has(&p, "\"endedAt\":\"1970-01-01T00:00:02.000Z\"");
    has(&p, "\"lastTransitionTime\":\"1970-01-01T00:00:02.000Z\"");
    has(&p, "\"controls\":[]");
    has(&p, "\"timeout\":5,\"lifecycle\":{\"onTimeout\":\"delete\",\"onIdle\":\"pause\","
            "\"resumeOnUse\":false},\"annotations\":{},\"imports\":[]");
    has_not(&p, "expiresAt");
    done(&p);
    free(fixed);
    sa_arena_free(arena);
}

/* A phase without a reason of its own is its own reason: conditions must have one. */
static void test_pending(void **state)
{
    (void)state;
    struct sa_arena *arena = sa_arena_new();
    struct sa_sandbox_spec spec = spec_of(arena, "{\"runtime\":\"node\"}");
    char *fixed = fixed_of(&spec, 0);
    struct printed p = print(&(struct sa_sandbox_view){.id = "sb-z",
                                                       .runtime = "node",
                                                       .phase = "Pending",
                                                       .reason = "",
                                                       .message = "",
                                                       .fixed_json = fixed,
                                                       .labels_json = "{}",
                                                       .created_ms = 1000});
    has(&p, "\"status\":\"False\",\"reason\":\"Pending\"");
    done(&p);
    free(fixed);
    sa_arena_free(arena);
}

static void test_labels(void **state)
{
    (void)state;
    struct sa_json_pair pairs[] = {{"a", "\"quoted\""}, {"b", "\x80"}};
    struct sa_json_map labels = {pairs, 2};
    sa_autobuf out = SA_BUF_INIT;
    sa_labels_print(&labels, &out);
    assert_string_equal(out.data, "{\"a\":\"\\\"quoted\\\"\",\"b\":\"\xef\xbf\xbd\"}");
    sa_buf_consume(&out, out.length);
    sa_labels_print(&(struct sa_json_map){0}, &out);
    assert_string_equal(out.data, "{}");
}

static void test_names(void **state)
{
    char name[65];
    (void)state;
    memset(name, 'a', 64);
    name[64] = '\0';
    assert_false(sa_name_valid(name));
    name[63] = '\0';
    assert_true(sa_name_valid(name));
    assert_true(sa_name_valid("0"));
    assert_true(sa_name_valid("a--b"));
    assert_false(sa_name_valid(""));
    assert_false(sa_name_valid("-"));
    assert_false(sa_name_valid("a_b"));
    assert_false(sa_name_valid("\xc3\xa4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running), cmocka_unit_test(test_failed),
        cmocka_unit_test(test_pending), cmocka_unit_test(test_labels),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
