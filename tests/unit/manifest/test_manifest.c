/* Manifests: YAML to JSON, documents, and where things stand. */
#include "manifest/manifest.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct sa_manifests *read_text(const char *text)
{
    struct sa_error error;
    struct sa_manifests *m = sa_manifests_read(text, strlen(text), &error);
    if (!m)
        fail_msg("%s: %s", text, error.message);
    return m;
}

static void becomes(const char *text, const char *json)
{
    size_t length;
    struct sa_manifests *m = read_text(text);
    assert_int_equal(sa_manifests_count(m), 1);
    assert_string_equal(sa_manifest_json(m, 0, &length), json);
    assert_int_equal(length, strlen(json));
    sa_manifests_free(m);
}

static void refused(const char *text, const char *why)
{
    struct sa_error error = {0};
    struct sa_manifests *m = sa_manifests_read(text, strlen(text), &error);
    assert_null(m);
    assert_int_equal(error.code, SA_EINVALID);
    if (!strstr(error.message, why))
        fail_msg("%s: expected \"%s\" in \"%s\"", text, why, error.message);
}

static void test_scalars_are_what_json_calls_so(void **state)
{
    (void)state;
    becomes("a: 1\nb: -2.5e3\nc: true\nd: False\ne: null\nf: ~\ng:\n",
            "{\"a\":1,\"b\":-2.5e3,\"c\":true,\"d\":false,\"e\":null,\"f\":null,\"g\":null}");
    becomes("a: 0755\nb: 1.2.3\nc: no\nd: .5\ne: 0x1F\nf: +1\ng: 2023-01-01\nh: 1.\ni: 1e\nj: -x\n",
            "{\"a\":\"0755\",\"b\":\"1.2.3\",\"c\":\"no\",\"d\":\".5\",\"e\":\"0x1F\",\"f\":\"+1\","
            "\"g\":\"2023-01-01\",\"h\":\"1.\",\"i\":\"1e\",\"j\":\"-x\"}");
    becomes("a: \"1\"\nb: 'true'\nc: |\n  x\n  y\ne: \"\"\n",
            "{\"a\":\"1\",\"b\":\"true\",\"c\":\"x\\ny\\n\",\"e\":\"\"}");
}

static void test_shapes(void **state)
{
    (void)state;
    becomes("a:\n  - 1\n  - {b: [x, y]}\nc: {}\n", "{\"a\":[1,{\"b\":[\"x\",\"y\"]}],\"c\":{}}");
    becomes("one: &it {a: 1}\ntwo: *it\n", "{\"one\":{\"a\":1},\"two\":{\"a\":1}}");
    becomes("\n  {\"a\":\"\\ud83d\\ude00\\\\ud83d\\n\",\"b\":[1,2],\t\"c\":\"\\/\"}\n",
            "{\"a\":\"\xF0\x9F\x98\x80\\\\ud83d\\n\",\"b\":[1,2],\"c\":\"/\"}");
}

static void test_documents(void **state)
{
    (void)state;
    size_t length;
    struct sa_manifests *m = read_text("# nothing\n---\n---\na: 1\n---\nb:\n  c: "
                                       "2\n...\n---\nkind: List\nitems:\n- d: 3\n- e: 4\n");
    assert_int_equal(sa_manifests_count(m), 4);
    assert_string_equal(sa_manifest_json(m, 0, &length), "{\"a\":1}");
    assert_string_equal(sa_manifest_json(m, 1, &length), "{\"b\":{\"c\":2}}");
    assert_string_equal(sa_manifest_json(m, 3, &length), "{\"e\":4}");
    assert_int_equal(sa_manifest_document(m, 1), sa_manifest_document(m, 0) + 1);
    assert_int_equal(sa_manifest_document(m, 2), sa_manifest_document(m, 3));
    assert_int_equal(sa_manifest_line(m, 0, "a"), 4);
    assert_int_equal(sa_manifest_line(m, 1, "b.c"), 7);
    assert_int_equal(sa_manifest_line(m, 3, "e"), 13);
    sa_manifests_free(m);
    m = read_text("");
    assert_int_equal(sa_manifests_count(m), 0);
    sa_manifests_free(m);
    becomes("kind: WarmPool\nitems: []\n", "{\"kind\":\"WarmPool\",\"items\":[]}");
}

static void test_lines(void **state)
{
    (void)state;
    struct sa_manifests *m = read_text("kind: X\nmetadata:\n  labels:\n    a.b/c: d\nspec:\n"
                                       "  list:\n  - name: a\n  - name: b\n    port: 1\n");
    assert_int_equal(sa_manifest_line(m, 0, ""), 1);
    assert_int_equal(sa_manifest_line(m, 0, "kind"), 1);
    assert_int_equal(sa_manifest_line(m, 0, "metadata.labels.a.b/c"), 4);
    assert_int_equal(sa_manifest_line(m, 0, "spec.list[1].port"), 9);
    assert_int_equal(sa_manifest_line(m, 0, "spec.list[1].host"), 8);
    assert_int_equal(sa_manifest_line(m, 0, "spec.list[9].host"), 7);
    assert_int_equal(sa_manifest_line(m, 0, "status"), 1);
    assert_int_equal(sa_manifest_line(m, 0, "spec.list[x"), 7);
    sa_manifests_free(m);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    refused("a: 1\nb: 2\na: 3\n", "line 3: \"a\" is there twice, first in line 1");
    refused("a: [1\n", "line 2: this is no YAML");
    refused("- 1\n", "line 1: expected an object");
    refused("x\n", "expected an object");
    refused("a: !!binary aGk=\n", "line 1: tags");
    refused("a: !mine 1\n", "tags");
    refused("? [1]\n: 2\n", "a key must be a text");
    refused("a: &x [*x]\n", "levels");
    refused("a: *nothing\n", "no YAML");
    sa_autobuf bomb = SA_BUF_INIT;
    sa_buf_adds(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        sa_buf_printf(&bomb, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            sa_buf_printf(&bomb, "%s*a%d", k ? ", " : "", i - 1);
        sa_buf_adds(&bomb, "]\n");
    }
    refused(bomb.data, "too large");
    sa_autobuf wide = SA_BUF_INIT;
    for (int i = 0; i < 1025; i++)
        sa_buf_printf(&wide, "k%d: 1\n", i);
    refused(wide.data, "too many members");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars_are_what_json_calls_so),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
