/* core/policy/encode.c, decode.c: structs as values and back, and what is refused on the way. */
#include "policy/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sa_value value_of(const char *json, struct sa_buf *out)
{
    struct sa_error err = {0};
    if (sa_value_from_json(json, strlen(json), out, &err) < 0)
        fail_msg("%s: %s", json, err.message);
    return sa_value_of(out->data, out->length);
}

static char *json_of(const struct sa_buf *value)
{
    sa_autobuf json = SA_BUF_INIT;
    struct sa_error err = {0};
    if (sa_value_check(value->data, value->length, &err) < 0)
        fail_msg("%s", err.message);
    const struct sa_value top = sa_value_of(value->data, value->length);
    sa_value_to_json(&top, &json);
    return sa_buf_steal(&json);
}

/* An example of a field: what is in range, different from zero. */
static void example(const struct sa_policy_field *fields, struct sa_buf *out);

static void example_member(const struct sa_policy_field *field, struct sa_buf *out)
{
    const char *text = field->values ? field->values[0] : field->name;
    switch (field->type) {
    case SA_FIELD_BOOL:
        sa_value_bool(out, true);
        break;
    case SA_FIELD_INT:
        sa_value_int(out, field->low > 0 ? field->low : 1);
        break;
    case SA_FIELD_NUMBER:
        sa_value_number(out, 1.5);
        break;
    case SA_FIELD_TEXT:
        sa_value_text(out, text);
        break;
    case SA_FIELD_TEXTS:
        sa_value_list(out);
        sa_value_text(out, text);
        sa_value_text(out, text);
        sa_value_end(out);
        break;
    case SA_FIELD_MAP:
        sa_value_map(out);
        sa_value_put_text(out, "key", "value");
        sa_value_end(out);
        break;
    case SA_FIELD_OBJECT:
        example(field->fields, out);
        break;
    case SA_FIELD_OBJECTS:
        sa_value_list(out);
        example(field->fields, out);
        example(field->fields, out);
        sa_value_end(out);
        break;
    case SA_FIELD_ANY:
        sa_value_map(out);
        sa_value_put_int(out, "any", 7);
        sa_value_end(out);
        break;
    }
}

static void example(const struct sa_policy_field *fields, struct sa_buf *out)
{
    sa_value_map(out);
    for (; fields->name; fields++) {
        sa_value_key(out, fields->name);
        example_member(fields, out);
    }
    sa_value_end(out);
}

static void round_trip(const struct sa_policy_field *fields, size_t size)
{
    sa_autobuf from = SA_BUF_INIT, to = SA_BUF_INIT;
    struct sa_arena *arena = sa_arena_new();
    struct sa_error err = {0};
    void *into = sa_arena_alloc(arena, size);
    memset(into, 0x5a, size);
    example(fields, &from);
    const struct sa_value map = sa_value_of(from.data, from.length);
    if (sa_policy_decode(fields, &map, "x", arena, into, &err) < 0 ||
        sa_policy_encode(fields, into, &to, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(from.length, to.length);
    assert_memory_equal(from.data, to.data, to.length);
    sa_arena_free(arena);
}

static void all_members_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < SA_POINT_COUNT; i++)
        round_trip(sa_policy_points[i].input, sa_policy_points[i].input_size);
    round_trip(sa_fields_scaling_returns, sizeof(struct sa_scaling_returns));
    round_trip(sa_fields_anomaly_returns, sizeof(struct sa_anomaly_returns));
}

/* What rules see of an input that says little: numbers, lists and maps are there, so that a rule
 * may compare and look into them; what is open in a context is not. */
static void what_an_empty_input_shows(void **state)
{
    (void)state;
    sa_autobuf files = SA_BUF_INIT, profile = SA_BUF_INIT;
    const struct sa_policy_files_input file = {.operation = "read", .path = "/workspace/a"};
    const struct sa_policy_profile_input level = {.level = "high", .overrides = "{\"uid\":5}"};
    assert_int_equal(sa_policy_encode(sa_fields_files, &file, &files, NULL), 0);
    assert_int_equal(sa_policy_encode(sa_fields_profile, &level, &profile, NULL), 0);
    char *text = json_of(&files);
    assert_string_equal(text, "{\"now\":0,\"scope\":{},\"user\":{},\"sandbox\":{\"labels\":{},"
                              "\"ageSeconds\":0},\"operation\":\"read\",\"path\":\"/workspace/a\","
                              "\"bytes\":0,\"recursive\":false}");
    free(text);
    text = json_of(&profile);
    assert_string_equal(text, "{\"now\":0,\"scope\":{},\"user\":{},\"level\":\"high\","
                              "\"overrides\":{\"uid\":5},\"context\":{}}");
    free(text);
}

static void refused_to_encode(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_error err = {0};
    const struct sa_policy_profile_input broken = {.overrides = "{\"uid\":"};
    const struct sa_policy_files_input endless = {.who = {.now = INFINITY}};
    assert_int_equal(sa_policy_encode(sa_fields_profile, &broken, &out, &err), -1);
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, "overrides");
    assert_int_equal(sa_policy_encode(sa_fields_files, &endless, &out, &err), -1);
    assert_string_equal(err.message, "now: not a finite number");
}

/* ---- what a rule must not return ---- */

static void expect_refusal(const struct sa_policy_field *fields, const char *json, const char *path,
                           const char *message)
{
    sa_autobuf out = SA_BUF_INIT;
    struct sa_arena *arena = sa_arena_new();
    struct sa_error err = {0};
    char room[1024];
    const struct sa_value map = value_of(json, &out);
    if (sa_policy_decode(fields, &map, "result", arena, room, &err) == 0)
        fail_msg("%s was taken", json);
    assert_int_equal(err.code, SA_EINVALID);
    assert_string_equal(err.path, path);
    assert_string_equal(err.message, message);
    sa_arena_free(arena);
}

#define RUN_BUT(MEMBERS) "{\"memoryBytes\":0,\"cpuSeconds\":0,\"fileSizeBytes\":0," MEMBERS "}"

static void wrong_values_are_refused(void **state)
{
    (void)state;
    expect_refusal(sa_fields_run, "7", "result", "result: expected map, got integer");
    expect_refusal(sa_fields_run, "[1]", "result", "result: expected map, got list");
    expect_refusal(sa_fields_run, "{}", "result.timeoutMs", "result.timeoutMs: missing");
    expect_refusal(sa_fields_run, RUN_BUT("\"timeoutMs\":1"), "result.openFiles",
                   "result.openFiles: missing");
    expect_refusal(sa_fields_run, RUN_BUT("\"timeoutMs\":\"60\",\"openFiles\":0"),
                   "result.timeoutMs", "result.timeoutMs: expected integer, got string");
    expect_refusal(sa_fields_run, RUN_BUT("\"timeoutMs\":true,\"openFiles\":0"), "result.timeoutMs",
                   "result.timeoutMs: expected integer, got boolean");
    expect_refusal(sa_fields_run, RUN_BUT("\"timeoutMs\":1.5,\"openFiles\":0"), "result.timeoutMs",
                   "result.timeoutMs: expected integer, got number");
    expect_refusal(sa_fields_run, RUN_BUT("\"timeoutMs\":1e300,\"openFiles\":0"),
                   "result.timeoutMs", "result.timeoutMs: expected integer, got number");
    expect_refusal(sa_fields_run, RUN_BUT("\"timeoutMs\":-1,\"openFiles\":0"), "result.timeoutMs",
                   "result.timeoutMs: -1 is not in 0 to 86400000");
    expect_refusal(sa_fields_run, RUN_BUT("\"timeoutMs\":1,\"openFiles\":0,\"nice\":1"),
                   "result.nice", "result.nice: there is no such member");
    expect_refusal(sa_fields_filter, "{\"allow\":[\"read\",7],\"telling\":[]}", "result.allow[2]",
                   "result.allow[2]: expected string, got integer");
    expect_refusal(sa_fields_filter, "{\"allow\":\"read\",\"telling\":[]}", "result.allow",
                   "result.allow: expected list, got string");
    expect_refusal(sa_fields_end, "{\"action\":\"stay\",\"extendSeconds\":0}", "result.action",
                   "result.action: \"stay\" is none of what there is");
    expect_refusal(sa_fields_anomaly_returns, "{\"score\":101,\"action\":\"none\"}", "result.score",
                   "result.score: 101 is not in 0 to 100");
    expect_refusal(sa_fields_anomaly_returns, "{\"score\":\"1\",\"action\":\"none\"}",
                   "result.score", "result.score: expected number, got string");
    expect_refusal(sa_fields_sandbox, "{\"labels\":{\"a\":1}}", "result.labels.a",
                   "result.labels.a: expected string, got integer");
    expect_refusal(sa_fields_sandbox, "{\"labels\":[\"a\"]}", "result.labels",
                   "result.labels: expected map, got list");
    expect_refusal(sa_fields_context, "{\"runtimeClass\":\"native\",\"uid\":0}", "result.uid",
                   "result.uid: 0 is not in 1 to 65534");
    expect_refusal(sa_fields_context,
                   "{\"runtimeClass\":\"native\",\"uid\":1,\"gid\":1,\"capabilities\":[],"
                   "\"noNewPrivs\":1}",
                   "result.noNewPrivs", "result.noNewPrivs: expected boolean, got integer");
}

static void a_nul_is_refused(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_arena *arena = sa_arena_new();
    struct sa_error err = {0};
    struct sa_policy_filter filter;
    sa_value_map(&out);
    sa_value_key(&out, "allow");
    sa_value_list(&out);
    sa_value_string(&out, "read\0x", 6);
    sa_value_end(&out);
    sa_value_key(&out, "telling");
    sa_value_list(&out);
    sa_value_end(&out);
    sa_value_end(&out);
    const struct sa_value map = sa_value_of(out.data, out.length);
    assert_int_equal(sa_policy_decode(sa_fields_filter, &map, "result", arena, &filter, &err), -1);
    assert_string_equal(err.message, "result.allow[1]: a NUL byte in a string");
    sa_arena_free(arena);
}

static void lists_are_bounded(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_arena *arena = sa_arena_new();
    struct sa_error err = {0};
    struct sa_policy_filter filter;
    sa_value_map(&out);
    sa_value_key(&out, "allow");
    sa_value_list(&out);
    for (int i = 0; i < 4097; i++)
        sa_value_text(&out, "x");
    sa_value_end(&out);
    sa_value_end(&out);
    const struct sa_value map = sa_value_of(out.data, out.length);
    assert_int_equal(sa_policy_decode(sa_fields_filter, &map, "result", arena, &filter, &err), -1);
    assert_string_equal(err.message, "result.allow: more than 4096 elements");
    sa_arena_free(arena);
}

/* Lua has one empty table, and one kind of number. */
static void what_lua_cannot_say_otherwise(void **state)
{
    (void)state;
    sa_autobuf a = SA_BUF_INIT, b = SA_BUF_INIT, c = SA_BUF_INIT;
    struct sa_arena *arena = sa_arena_new();
    struct sa_error err = {0};
    struct sa_policy_filter filter;
    struct sa_policy_sandbox sandbox;
    struct sa_policy_end end;
    struct sa_value map = value_of("{\"allow\":{},\"telling\":[]}", &a);
    assert_int_equal(sa_policy_decode(sa_fields_filter, &map, "r", arena, &filter, &err), 0);
    assert_int_equal(filter.allow.count, 0);
    map = value_of("{\"labels\":[]}", &b);
    assert_int_equal(sa_policy_decode(sa_fields_sandbox, &map, "r", arena, &sandbox, &err), 0);
    assert_int_equal(sandbox.labels.count, 0);
    sa_value_map(&c);
    sa_value_put_text(&c, "action", "extend");
    sa_value_put_number(&c, "extendSeconds", 60.0);
    sa_value_end(&c);
    map = sa_value_of(c.data, c.length);
    assert_int_equal(sa_policy_decode(sa_fields_end, &map, "r", arena, &end, &err), 0);
    assert_int_equal(end.extend_s, 60);
    sa_arena_free(arena);
}

static void an_input_may_be_partial(void **state)
{
    (void)state;
    sa_autobuf out = SA_BUF_INIT;
    struct sa_arena *arena = sa_arena_new();
    struct sa_error err = {0};
    struct sa_policy_profile_input input;
    const struct sa_value map = value_of("{\"level\":\"high\",\"context\":{\"uid\":7}}", &out);
    if (sa_policy_decode_input(sa_fields_profile, &map, "input", arena, &input, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(input.level, "high");
    assert_int_equal(input.context.uid, 7);
    assert_null(input.runtime);
    sa_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_there_and_back),
        cmocka_unit_test(what_an_empty_input_shows),
        cmocka_unit_test(refused_to_encode),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(a_nul_is_refused),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(what_lua_cannot_say_otherwise),
        cmocka_unit_test(an_input_may_be_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
