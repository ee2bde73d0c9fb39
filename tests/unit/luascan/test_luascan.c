/* The reader of Lua for the linter. */
#include "luascan/luascan.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct sa_arena *arena;
static struct sa_lua_chunk chunk;

static int start(void **state)
{
    (void)state;
    arena = sa_arena_new();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    sa_arena_free(arena);
    return 0;
}

static void scan(const char *text)
{
    struct sa_error error;
    if (sa_luascan(text, strlen(text), arena, &chunk, &error) < 0)
        fail_msg("%s: %s", text, error.message);
}

static void refused(const char *text, const char *why)
{
    struct sa_error error;
    assert_int_equal(sa_luascan(text, strlen(text), arena, &chunk, &error), -1);
    assert_int_equal(error.code, SA_EINVALID);
    if (!strstr(error.message, why))
        fail_msg("%s: \"%s\", not \"%s\"", text, error.message, why);
}

/* All of the language is taken, also what a linter looks past. */
static void lua_is_read(void **state)
{
    static const char *const texts[] = {
        "local function f(x, ...) return f(x, ...) end",
        "x = 1; y.z = 2\nfunction g() end function t.u:v() return self end",
        "f(x)[1], y = 2, 3 a, b = b, a",
        "for i, v in ipairs(list) do use(i, v) end for i = i, 3, -1 do break end",
        "repeat local x = 1 until x > 0 x()",
        "if a then local b = 1 elseif b then elseif c then else b() end",
        "while x do local x = 1 y = x end do local z end z'a' {}:b[[c]].d = 1",
        "local t = { a = b, [c] = d, e; f, }",
        "goto done\n::done::\nlocal s = ('x'):upper() .. #n .. -m ^ 2 == not 1",
        "",
        "-- only a comment",
        "return",
        "return;",
        "return function(...) return ... end",
    };
    (void)state;
    for (size_t i = 0; i < SA_COUNT(texts); i++)
        scan(texts[i]);
}

static void text_that_is_no_lua_is_refused(void **state)
{
    (void)state;
    refused("local = 1", "line 1: expected a name");
    refused("x", "a name alone");
    refused("return 1\nreturn 2", "ends a block");
    refused("if a then\n", "line 2: expected end");
    refused("f(\n'a", "line 2: this string does not end");
    refused("s = [==[ ]=]", "this string does not end");
    refused("--[[ a", "a comment does not end");
    refused("x = 1 @", "a character that Lua does not know");
    refused("end", "never began");
    refused("t = { a = }", "line 1");
    refused("x = 'a\nb'", "does not end");
    refused("f(1", "expected )");
    refused("x = \"\\", "does not end");
}

static void nesting_is_capped(void **state)
{
    static const char *const openings[] = {"(",   "{",  "not ", "- ",
                                           "a..", "2^", "f{",   "function() "};
    (void)state;
    for (size_t i = 0; i < SA_COUNT(openings); i++) {
        sa_autobuf text = SA_BUF_INIT;
        struct sa_error error;
        sa_buf_adds(&text, "x = ");
        for (size_t n = 0; n < 100000; n++)
            sa_buf_adds(&text, openings[i]);
        assert_int_equal(sa_luascan(text.data, text.length, arena, &chunk, &error), -1);
    }
    refused("do do do", "expected end");
}

static void what_a_rule_returns_is_seen(void **state)
{
    (void)state;
    scan("local function helper() return 1, {} end\n"
         "return {\n"
         "  name = \"x\", [\"point\"] = 'execute', [1 + 1] = 3, 4,\n"
         "  decide = function(input, params)\n"
         "    local inner = function() return { no = 1 } end\n"
         "    if input.a then return end\n"
         "    if input.b then return { verdict = [[deny]], changes = { run = -5 } } end\n"
         "    return input.c and deny('id', 'why') or { verdict = \"allow\" } or nil\n"
         "  end,\n"
         "}\n");
    const struct sa_lua_expr *decide = sa_lua_field(chunk.returned, "decide"), *one;
    assert_string_equal(sa_lua_field(chunk.returned, "point")->text, "execute");
    assert_null(sa_lua_field(chunk.returned, "nothing"));
    assert_int_equal(decide->kind, SA_LUA_FUNCTION);
    one = decide->first;
    assert_int_equal(one->kind, SA_LUA_NIL);
    assert_int_equal(one->line, 6);
    one = one->next;
    assert_string_equal(sa_lua_field(one, "verdict")->text, "deny");
    assert_int_equal(sa_lua_field(one, "verdict")->line, 7);
    assert_true(sa_lua_field(sa_lua_field(one, "changes"), "run")->number == -5);
    one = one->next;
    assert_int_equal(one->kind, SA_LUA_EITHER);
    one = one->first;
    assert_int_equal(one->kind, SA_LUA_CALL);
    assert_string_equal(one->text, "deny");
    assert_string_equal(one->first->next->text, "why");
    assert_string_equal(sa_lua_field(one->next, "verdict")->text, "allow");
    assert_int_equal(one->next->next->kind, SA_LUA_NIL);
    assert_null(one->next->next->next);
    assert_string_equal(chunk.functions->name, "helper");
    assert_true(chunk.functions->expr->first->number == 1);
    assert_string_equal(chunk.functions->next->name, "inner");
    assert_null(chunk.functions->next->next->name);
}

static void names_of_locals_are_resolved(void **state)
{
    (void)state;
    scan("local function decide() return 1 end\nlocal rule = { decide = decide, x = y }\nreturn "
         "rule");
    const struct sa_lua_expr *rule = sa_lua_resolve(&chunk, chunk.returned);
    assert_int_equal(rule->kind, SA_LUA_TABLE);
    assert_int_equal(sa_lua_resolve(&chunk, sa_lua_field(rule, "decide"))->kind, SA_LUA_FUNCTION);
    assert_int_equal(sa_lua_resolve(&chunk, sa_lua_field(rule, "x"))->kind, SA_LUA_NAME);
    assert_null(sa_lua_resolve(&chunk, NULL));
}

static void numbers_and_strings_have_their_values(void **state)
{
    (void)state;
    scan("return { 0x10, 1e3, .5, 3, 'a\\n\\065\\x42\\\\', [==[a]]b]==], 1e-2 --[[ c ]] , \"\\z\" "
         "}");
    const struct sa_lua_expr *e = chunk.returned->first;
    static const double numbers[] = {16, 1000, 0.5, 3};
    for (size_t i = 0; i < SA_COUNT(numbers); i++, e = e->next)
        assert_true(e->number == numbers[i]);
    assert_string_equal(e->text, "a\nAB\\");
    assert_string_equal(e->next->text, "a]]b");
    assert_true(e->next->next->number == 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lua_is_read),
        cmocka_unit_test(text_that_is_no_lua_is_refused),
        cmocka_unit_test(nesting_is_capped),
        cmocka_unit_test(what_a_rule_returns_is_seen),
        cmocka_unit_test(names_of_locals_are_resolved),
        cmocka_unit_test(numbers_and_strings_have_their_values),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
