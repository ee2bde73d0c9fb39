/* core/json, reading: what is refused, and what the checked getters say. */
#include "json/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int accepts(const char *text, size_t length, struct sa_error *err)
{
    char *copy = malloc(length + 1); /* no NUL behind it: the sanitizer sees a read too far */
    memcpy(copy + 1, text, length);
    struct sa_json_doc *doc = sa_json_parse(copy + 1, length, NULL, err);
    free(copy);
    sa_json_free(doc);
    return doc != NULL;
}

static void valid_texts_are_taken(void **state)
{
    (void)state;
    static const char *const good[] = {"null",
                                       "true",
                                       " false ",
                                       "0",
                                       "-0",
                                       "-1.5e+3",
                                       "1E5",
                                       "\"\"",
                                       "\"a\\u00e9b\"",
                                       "[]",
                                       "{}",
                                       "[1,[2,[3]]]",
                                       "{\"a\":1,\"b\":{\"a\":2}}",
                                       "\"\\ud83d\\ude00\"",
                                       "\"\xF0\x9F\x98\x80\"",
                                       "1e-999",
                                       "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                       "\t\r\n [ 1 , 2 ] \n",
                                       "{\"\":\"\"}",
                                       "\"\x7F\"",
                                       "\"0123456789abcdef0123456789abcdef\"",
                                       "1.7976931348623157e308"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct sa_error err = {0};
        if (!accepts(good[i], strlen(good[i]), &err))
            fail_msg("%s: %s", good[i], err.message);
    }
}

static void broken_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "True",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1e+",
        "0x10",
        "NaN",
        "Infinity",
        "1e999",
        "-1e999",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u0000\"",
        "\"a\nb\"",
        "\"\t\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:2}",
        "{\"a\":1",
        "1 2",
        "{}x",
        "[]]",
        "\xEF\xBB\xBF{}",
        "\"\xFF\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "// x\n1",
        "[1]/**/",
        "\v1",
        "\"\\",
        "\"\\u",
        "1,",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"x\":[{\"b\":1,\"b\":1}]}",
        "123456789012345678901234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sa_error err = {0};
        if (accepts(bad[i], strlen(bad[i]), &err))
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(err.code, SA_EINVALID);
        assert_true(err.message[0]);
    }
    struct sa_error err = {0};
    assert_false(accepts("\"a\0b\"", 5, &err));
    assert_false(accepts("1\0", 2, &err));
}

static void errors_say_where(void **state)
{
    (void)state;
    struct sa_error err = {0};
    assert_false(accepts("{\n  \"a\": tru\n}", 14, &err));
    assert_string_equal(err.message, "JSON, line 2, column 8: expected a value");
    assert_false(accepts("{\"x\":[0,{\"b\":1,\"b\":1}]}", 23, &err));
    assert_string_equal(err.path, "x[1].b");
    assert_string_equal(err.message, "x[1].b: the key \"b\" is there twice");
}

static void limits_hold(void **state)
{
    (void)state;
    struct sa_error err = {0};
    struct sa_json_limits limits = {.max_bytes = 64, .max_depth = 3, .max_values = 5};
    struct sa_json_doc *doc = sa_json_parse("[[[1]]]", 7, &limits, &err);
    assert_non_null(doc);
    sa_json_free(doc);
    assert_null(sa_json_parse("[[[[]]]]", 8, &limits, &err));
    assert_non_null(strstr(err.message, "nested too deeply"));
    assert_null(sa_json_parse("[1,2,3,4,5]", 11, &limits, &err));
    assert_non_null(strstr(err.message, "too many values"));
    char *large = malloc(1 << 20);
    memset(large, '[', 1 << 20);
    assert_null(sa_json_parse(large, 65, &limits, &err));
    assert_int_equal(err.code, SA_ETOOLARGE);
    limits = (struct sa_json_limits){.max_depth = SIZE_MAX};
    assert_null(sa_json_parse(large, 1 << 20, &limits, &err)); /* and the stack is still there */
    assert_int_equal(err.code, SA_EINVALID);
    free(large);
}

static void many_keys_are_checked_for_duplicates(void **state)
{
    (void)state;
    sa_autobuf text = SA_BUF_INIT;
    struct sa_error err = {0};
    sa_buf_addc(&text, '{');
    for (int i = 0; i < 20000; i++)
        sa_buf_printf(&text, "\"k%d\":1,", (i * 7919) % 20000);
    size_t end = text.length;
    sa_buf_adds(&text, "\"last\":1}");
    assert_true(accepts(text.data, text.length, &err));
    text.length = end;
    sa_buf_adds(&text, "\"k777\":1}");
    assert_false(accepts(text.data, text.length, &err));
    assert_string_equal(err.path, "k777");
}

/* --- getters ------------------------------------------------------------------------------- */

struct fixture {
    struct sa_arena *arena;
    struct sa_json_doc *doc;
    struct sa_json_obj root;
    struct sa_error err;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    ((struct fixture *)*state)->arena = sa_arena_new();
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sa_json_free(f->doc);
    sa_arena_free(f->arena);
    free(f);
    return 0;
}

static void load(struct fixture *f, const char *text)
{
    sa_json_free(f->doc);
    f->err = (struct sa_error){0};
    f->doc = sa_json_parse(text, strlen(text), NULL, &f->err);
    if (!f->doc || sa_json_root(f->doc, f->arena, &f->root, &f->err) < 0)
        fail_msg("%s", f->err.message);
}

#define assert_error(f, p, m)                                                                      \
    do {                                                                                           \
        assert_int_equal((f)->err.code, SA_EINVALID);                                              \
        assert_string_equal((f)->err.path, p);                                                     \
        assert_string_equal((f)->err.message, m);                                                  \
    } while (0)

static void a_request_is_decoded(void **state)
{
    struct fixture *f = *state;
    const char *runtime = NULL;
    int64_t timeout = 60, memory = 0, cpu = 0;
    bool given, wait = true;
    struct sa_json_obj resources;
    struct sa_json_map env;
    struct sa_json_strings command;
    load(f, "{\"runtime\":\"python\",\"timeout\":300,\"wait\":false,\"note\":null,"
            "\"resources\":{\"memory\":\"512Mi\",\"cpu\":1.5},"
            "\"env\":{\"B\":\"2\",\"A\":\"\"},\"command\":[\"ls\",\"-la\"]}");
    assert_int_equal(sa_json_get_string(&f->root, "runtime", 32, &runtime, &f->err), 0);
    assert_int_equal(sa_json_opt_int(&f->root, "timeout", 1, 3600, &timeout, &given, &f->err), 0);
    assert_true(given);
    assert_int_equal(sa_json_opt_bool(&f->root, "wait", &wait, NULL, &f->err), 0);
    const char *note = "default";
    assert_int_equal(sa_json_opt_string(&f->root, "note", 5, &note, &given, &f->err), 0);
    assert_false(given);
    assert_string_equal(note, "default");
    assert_int_equal(sa_json_opt_obj(&f->root, "resources", &resources, &given, &f->err), 0);
    assert_int_equal(sa_json_opt_bytes(&resources, "memory", 0, INT64_MAX, &memory, NULL, &f->err),
                     0);
    assert_int_equal(sa_json_opt_cpu(&resources, "cpu", 1, 64000, &cpu, NULL, &f->err), 0);
    assert_int_equal(sa_json_finish(&resources, &f->err), 0);
    assert_int_equal(sa_json_opt_map(&f->root, "env", 2, 10, &env, NULL, &f->err), 0);
    assert_int_equal(sa_json_get_strings(&f->root, "command", 2, 10, &command, &f->err), 0);
    assert_int_equal(sa_json_finish(&f->root, &f->err), 0);
    sa_json_free(f->doc); /* what was decoded outlives it */
    f->doc = NULL;
    assert_string_equal(runtime, "python");
    assert_int_equal(timeout, 300);
    assert_false(wait);
    assert_int_equal(memory, 512 << 20);
    assert_int_equal(cpu, 1500);
    assert_int_equal(env.count, 2);
    assert_string_equal(env.items[0].key, "B");
    assert_string_equal(env.items[1].value, "");
    assert_int_equal(command.count, 2);
    assert_string_equal(command.items[1], "-la");
    assert_null(command.items[2]);
}

static void wrong_types_name_the_path(void **state)
{
    struct fixture *f = *state;
    int64_t n = 7;
    const char *s = "kept";
    bool b;
    struct sa_json_obj spec;
    load(
        f,
        "{\"spec\":{\"timeout\":\"x\",\"f\":1.5,\"s\":[],\"b\":1,\"z\":null,\"o\":5,\"lable\":1}}");
    assert_int_equal(sa_json_get_obj(&f->root, "spec", &spec, &f->err), 0);
    assert_int_equal(sa_json_get_int(&spec, "timeout", 1, 3600, &n, &f->err), -1);
    assert_error(f, "spec.timeout", "spec.timeout: expected integer in 1..3600, got \"x\"");
    assert_int_equal(sa_json_opt_int(&spec, "f", 1, 3600, &n, NULL, &f->err), -1);
    assert_error(f, "spec.f", "spec.f: expected integer in 1..3600, got 1.5");
    assert_int_equal(sa_json_opt_int(&spec, "o", 1, 4, &n, NULL, &f->err), -1);
    assert_error(f, "spec.o", "spec.o: expected integer in 1..4, got 5");
    assert_int_equal(n, 7);
    assert_int_equal(sa_json_get_string(&spec, "s", 9, &s, &f->err), -1);
    assert_error(f, "spec.s", "spec.s: expected a string, got an array");
    assert_int_equal(sa_json_get_string(&spec, "timeout", 0, &s, &f->err), -1);
    assert_error(f, "spec.timeout", "spec.timeout: expected at most 0 bytes, got 1");
    assert_string_equal(s, "kept");
    assert_int_equal(sa_json_get_bool(&spec, "b", &b, &f->err), -1);
    assert_error(f, "spec.b", "spec.b: expected true or false, got 1");
    assert_int_equal(sa_json_get_string(&spec, "z", 9, &s, &f->err), -1);
    assert_error(f, "spec.z", "spec.z: must not be null");
    assert_int_equal(sa_json_get_string(&spec, "gone", 9, &s, &f->err), -1);
    assert_error(f, "spec.gone", "spec.gone: is required");
    assert_int_equal(sa_json_get_string(&spec, "timeouts", 9, &s, &f->err), -1);
    assert_error(f, "spec.timeouts", "spec.timeouts: is required"); /* timeout was asked for */
    assert_int_equal(sa_json_get_string(&spec, "label", 9, &s, &f->err), -1);
    assert_error(f, "spec.label",
                 "spec.label: is required; there is \"lable\", did you mean \"label\"?");
    assert_int_equal(sa_json_get_obj(&spec, "o", &spec, &f->err), -1);
    assert_error(f, "spec.o", "spec.o: expected an object, got 5");
    assert_int_equal(sa_json_fail(&spec, "o", &f->err, "is %s", "odd"), -1);
    assert_error(f, "spec.o", "spec.o: is odd");
    assert_int_equal(sa_json_get_int(&spec, "timeout", 1, 2, &n, NULL), -1);
}

static void unknown_fields_are_named(void **state)
{
    struct fixture *f = *state;
    int64_t n;
    struct sa_json_obj inner;
    load(f, "{\"timout\":5,\"inner\":{\"q\\u000a\":1}}");
    assert_int_equal(sa_json_opt_int(&f->root, "timeout", 1, 9, &n, NULL, &f->err), 0);
    assert_int_equal(sa_json_get_obj(&f->root, "inner", &inner, &f->err), 0);
    assert_int_equal(sa_json_finish(&f->root, &f->err), -1);
    assert_error(f, "timout", "timout: unknown field \"timout\", did you mean \"timeout\"?");
    assert_int_equal(sa_json_finish(&inner, &f->err), -1);
    assert_error(f, "inner.q?", "inner.q?: unknown field \"q?\"");
}

static void large_integers_are_exact_or_refused(void **state)
{
    struct fixture *f = *state;
    int64_t n;
    load(f, "{\"a\":9007199254740991,\"b\":9007199254740993,\"c\":\"9223372036854775807\","
            "\"d\":\"9223372036854775808\",\"e\":\" 1\",\"f\":\"1x\",\"g\":\"-5\",\"h\":1e3}");
    assert_int_equal(sa_json_get_int(&f->root, "a", 0, INT64_MAX, &n, &f->err), 0);
    assert_true(n == INT64_C(9007199254740991));
    assert_int_equal(sa_json_get_int(&f->root, "b", 0, INT64_MAX, &n, &f->err), -1);
    assert_int_equal(sa_json_get_int(&f->root, "c", 0, INT64_MAX, &n, &f->err), 0);
    assert_true(n == INT64_MAX);
    assert_int_equal(sa_json_get_int(&f->root, "c", 0, 1000, &n, &f->err), -1);
    assert_int_equal(sa_json_get_int(&f->root, "d", 0, INT64_MAX, &n, &f->err), -1);
    assert_int_equal(sa_json_get_int(&f->root, "e", 0, INT64_MAX, &n, &f->err), -1);
    assert_int_equal(sa_json_get_int(&f->root, "f", 0, INT64_MAX, &n, &f->err), -1);
    assert_int_equal(sa_json_get_int(&f->root, "g", 0, INT64_MAX, &n, &f->err), -1);
    assert_int_equal(sa_json_get_int(&f->root, "g", INT64_MIN, INT64_MAX, &n, &f->err), 0);
    assert_int_equal(n, -5);
    assert_int_equal(sa_json_get_int(&f->root, "h", 0, 1000, &n, &f->err), 0);
    assert_int_equal(n, 1000);
}

static void lists_and_maps_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct sa_json_strings list = {0};
    struct sa_json_map map = {0};
    struct sa_json_arr arr;
    struct sa_json_obj item;
    const char *s;
    int64_t n;
    load(f, "{\"l\":[\"a\",5],\"m\":{\"k\":1},\"e\":{\"\":\"x\"},\"a\":[{\"x\":1},{\"x\":2}]}");
    assert_int_equal(sa_json_get_strings(&f->root, "l", 5, 5, &list, &f->err), -1);
    assert_error(f, "l[1]", "l[1]: expected a string, got 5");
    assert_int_equal(sa_json_get_strings(&f->root, "l", 1, 5, &list, &f->err), -1);
    assert_error(f, "l", "l: expected at most 1 elements, got 2");
    assert_int_equal(sa_json_opt_map(&f->root, "m", 5, 5, &map, NULL, &f->err), -1);
    assert_error(f, "m.k", "m.k: expected a string, got 1");
    assert_int_equal(sa_json_opt_map(&f->root, "m", 0, 5, &map, NULL, &f->err), -1);
    assert_int_equal(sa_json_opt_map(&f->root, "e", 5, 5, &map, NULL, &f->err), -1);
    assert_null(map.items);
    assert_int_equal(sa_json_get_arr(&f->root, "a", 2, &arr, &f->err), 0);
    assert_int_equal(arr.count, 2);
    for (size_t round = 0; round < 2; round++) /* forth, and back to the start */
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(sa_json_arr_obj(&arr, i, &item, &f->err), 0);
            assert_int_equal(sa_json_get_int(&item, "x", 0, 9, &n, &f->err), 0);
            assert_int_equal(n, (int64_t)i + 1);
        }
    assert_int_equal(sa_json_get_string(&item, "x", 9, &s, &f->err), -1);
    assert_error(f, "a[1].x", "a[1].x: expected a string, got 2");
    assert_int_equal(sa_json_arr_int(&arr, 0, 0, 1, &n, &f->err), -1);
    assert_error(f, "a[0]", "a[0]: expected integer in 0..1, got an object");
}

static void enums_quantities_doubles_and_raw(void **state)
{
    struct fixture *f = *state;
    static const char *const modes[] = {"prefer", "require", "never", NULL};
    int mode = -1;
    int64_t n;
    double d;
    const char *raw;
    size_t length;
    load(f, "{\"warm\":\"require\",\"bad\":\"maybe\",\"mem\":\"12 apples\",\"d\":0.25,"
            "\"r\": {\"a\" : [1, 2.5, \"\\u00e9\\n\", null, true, 1e300] } }");
    assert_int_equal(sa_json_get_enum(&f->root, "warm", modes, &mode, &f->err), 0);
    assert_int_equal(mode, 1);
    assert_int_equal(sa_json_opt_enum(&f->root, "bad", modes, &mode, NULL, &f->err), -1);
    assert_error(f, "bad",
                 "bad: expected one of \"prefer\", \"require\", \"never\", got \"maybe\"");
    assert_int_equal(sa_json_opt_bytes(&f->root, "mem", 1 << 20, 1 << 30, &n, NULL, &f->err), -1);
    assert_error(f, "mem",
                 "mem: expected a size such as \"512Mi\" from 1Mi to 1Gi, got \"12 apples\"");
    assert_int_equal(sa_json_get_double(&f->root, "d", 0, 1, &d, &f->err), 0);
    assert_true(d == 0.25);
    assert_int_equal(sa_json_get_double(&f->root, "d", 1, 2, &d, &f->err), -1);
    assert_error(f, "d", "d: expected number in 1..2, got 0.25");
    assert_int_equal(sa_json_get_raw(&f->root, "r", &raw, &length, &f->err), 0);
    assert_string_equal(raw, "{\"a\":[1,2.5,\"\xC3\xA9\\n\",null,true,1e+300]}");
    assert_int_equal(length, strlen(raw));
    assert_int_equal(sa_json_type(&f->root, "r"), SA_JSON_OBJECT);
    assert_int_equal(sa_json_type(&f->root, "nothing"), SA_JSON_MISSING);
}

static void outside_text_in_messages_is_tamed(void **state)
{
    struct fixture *f = *state;
    int64_t n;
    load(f, "{\"t\":\"line\\nfeed "
            "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
            "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"
            "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"}");
    assert_int_equal(sa_json_get_int(&f->root, "t", 0, 1, &n, &f->err), -1);
    assert_null(strchr(f->err.message, '\n'));
    assert_non_null(strstr(f->err.message, "line?feed"));
    assert_non_null(strstr(f->err.message, "\xC3\xA9...\""));
    assert_true(strlen(f->err.message) < 128);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_taken),
        cmocka_unit_test(broken_texts_are_refused),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(many_keys_are_checked_for_duplicates),
        WITH(a_request_is_decoded),
        WITH(wrong_types_name_the_path),
        WITH(unknown_fields_are_named),
        WITH(large_integers_are_exact_or_refused),
        WITH(lists_and_maps_are_bounded),
        WITH(enums_quantities_doubles_and_raw),
        WITH(outside_text_in_messages_is_tamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
