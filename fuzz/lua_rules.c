/*
 * Lua programs made from bytes, in the machine that runs rules: each byte chooses how a rule goes
 * on, among what the language and the environment offer, so that nearly every input compiles and
 * calls functions with arguments they do not expect. The machine must answer or fail, within its
 * memory and its deadline, and the next call must be as good as the first.
 */
#include "luavm/rules.h"
#include "luavm/vm.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 16 * 1024, DEPTH_MAX = 12 };

struct source {
    const uint8_t *next, *end;
    struct sa_buf text;
    int depth;
};

static unsigned pick(struct source *s, size_t count)
{
    return s->next < s->end ? *s->next++ % (unsigned)count : 0;
}

static void put(struct source *s, const char *text)
{
    if (s->text.length < TEXT_MAX)
        sa_buf_adds(&s->text, text);
}

#define CHOOSE(S, NAMES) ((NAMES)[pick((S), sizeof(NAMES) / sizeof(NAMES)[0])])

static void expression(struct source *s);
static void block(struct source *s);

static void arguments(struct source *s)
{
    put(s, "(");
    for (unsigned i = 0, count = pick(s, 5); i < count; i++) {
        put(s, i ? ", " : "");
        expression(s);
    }
    put(s, ")");
}

static void constant(struct source *s)
{
    static const char *const constants[] = {"nil",
                                            "0",
                                            "1",
                                            "-1",
                                            "2^31",
                                            "-2^31",
                                            "2^53",
                                            "0/0",
                                            "1/0",
                                            "-1/0",
                                            "1e308",
                                            "0.5",
                                            "true",
                                            "false",
                                            "''",
                                            "'a'",
                                            "'a,b,c'",
                                            "'%s%d%5.2f%q%%'",
                                            "'%99.99f'",
                                            "'%'",
                                            "'10.0.0.0/8'",
                                            "'::ffff:1.2.3.4'",
                                            "'/a/../b//c'",
                                            "'*.example.org'",
                                            "'a*?*b'",
                                            "'512Mi'",
                                            "'1h30m'",
                                            "'echo \"a b\" | c'",
                                            "'\\0'",
                                            "{}",
                                            "{ 1, 2, 3 }",
                                            "{ a = 1, b = { 2 } }",
                                            "input.text",
                                            "input.list",
                                            "input.map",
                                            "input.list[1]",
                                            "params",
                                            "input",
                                            "type",
                                            "...",
                                            "0x7fffffff",
                                            "-0",
                                            "1e15",
                                            "255",
                                            "65536"};
    put(s, CHOOSE(s, constants));
}

static void call(struct source *s)
{
    static const char *const functions[] = {"type",
                                            "tostring",
                                            "tonumber",
                                            "pairs",
                                            "ipairs",
                                            "next",
                                            "select",
                                            "unpack",
                                            "assert",
                                            "error",
                                            "has",
                                            "starts_with",
                                            "ends_with",
                                            "contains",
                                            "find",
                                            "glob",
                                            "split",
                                            "trim",
                                            "lines",
                                            "words",
                                            "sort",
                                            "keys",
                                            "merge",
                                            "copy",
                                            "clamp",
                                            "round",
                                            "quantity",
                                            "millicores",
                                            "duration",
                                            "utc",
                                            "domain_matches",
                                            "ip_in",
                                            "path_under",
                                            "path_clean",
                                            "mentions",
                                            "mentions_word",
                                            "allow",
                                            "deny",
                                            "table.insert",
                                            "table.remove",
                                            "table.concat",
                                            "string.format",
                                            "string.sub",
                                            "string.byte",
                                            "string.char",
                                            "string.upper",
                                            "string.reverse",
                                            "string.len",
                                            "math.floor",
                                            "math.max",
                                            "math.fmod",
                                            "math.ldexp",
                                            "math.frexp",
                                            "a",
                                            "b",
                                            "c"};
    put(s, CHOOSE(s, functions));
    arguments(s);
}

static void operation(struct source *s)
{
    static const char *const operators[] = {" + ",  " - ", " * ",  " / ",  " % ",   " ^ ", " .. ",
                                            " == ", " < ", " <= ", " ~= ", " and ", " or "};
    put(s, "(");
    expression(s);
    put(s, CHOOSE(s, operators));
    expression(s);
    put(s, ")");
}

static void expression(struct source *s)
{
    static const char *const names[] = {"a", "b", "c", "t", "input", "params", "kept"};
    static const char *const prefixes[] = {"#", "-", "not "};
    static const char *const members[] = {".a", ".text", "[1]", "[#t]", ".x.y", "[a]", ".__index"};
    static const char *const methods[] = {":sub",  ":upper",  ":split",    ":words", ":find",
                                          ":byte", ":format", ":contains", ":lines", ":rep"};
    if (++s->depth > DEPTH_MAX) {
        constant(s);
        s->depth--;
        return;
    }
    switch (pick(s, 9)) {
    case 0:
        constant(s);
        break;
    case 1:
        put(s, CHOOSE(s, names));
        break;
    case 2:
    case 3:
        call(s);
        break;
    case 4:
        operation(s);
        break;
    case 5:
        put(s, CHOOSE(s, prefixes));
        put(s, "(");
        expression(s);
        put(s, ")");
        break;
    case 6:
        put(s, CHOOSE(s, names));
        put(s, CHOOSE(s, members));
        break;
    case 7:
        put(s, "(");
        expression(s);
        put(s, ")");
        put(s, CHOOSE(s, methods));
        arguments(s);
        break;
    default:
        put(s, "function(a, ...) ");
        block(s);
        put(s, " end");
    }
    s->depth--;
}

static void loop(struct source *s)
{
    static const char *const heads[] = {
        "for i = 1, 30 do ",        "while a do ",
        "for a, b in pairs(t) do ", "for a, b in ipairs(input.list) do ",
        "for i = 1, 1e9 do ",       "for a, b in pairs(input) do "};
    put(s, CHOOSE(s, heads));
    block(s);
    put(s, " end ");
}

static void statement(struct source *s)
{
    static const char *const targets[] = {"a",    "b",       "c",        "t.a",    "t[#t + 1]",
                                          "t[a]", "input.a", "params.a", "kept.a", "t"};
    switch (pick(s, 7)) {
    case 0:
    case 1:
        put(s, CHOOSE(s, targets));
        put(s, " = ");
        expression(s);
        put(s, " ");
        break;
    case 2:
        call(s);
        put(s, "; ");
        break;
    case 3:
        put(s, "if ");
        expression(s);
        put(s, " then ");
        block(s);
        put(s, " else ");
        block(s);
        put(s, " end ");
        break;
    case 4:
        loop(s);
        break;
    case 5:
        put(s, "local a, b = ");
        expression(s);
        put(s, " ");
        break;
    default:
        put(s, "do return ");
        expression(s);
        put(s, " end ");
    }
}

static void block(struct source *s)
{
    if (++s->depth <= DEPTH_MAX)
        for (unsigned count = pick(s, 4); count; count--)
            statement(s);
    s->depth--;
}

static void write_rule(struct source *s)
{
    put(s, "local kept = { a = {}, 1 }\nreturn { name = \"x\", version = 1, point = \"p\",\n"
           "decide = function(input, params, ...)\nlocal a, b, c, t = 1, 'b', input.a, {}\n");
    while (s->next < s->end && s->text.length < TEXT_MAX)
        statement(s);
    put(s, "\nreturn deny('x', tostring(a)) end }\n");
}

/* ---- the machine ---- */

static void put_file(struct sa_buf *out, const char *name, const struct sa_buf *text)
{
    out->length = 0;
    sa_value_map(out);
    sa_value_put_text(out, "name", name);
    sa_value_key(out, "text");
    sa_value_string(out, text->data, text->length);
    sa_value_end(out);
}

static void put_points(struct sa_buf *out)
{
    sa_value_list(out);
    sa_value_map(out);
    sa_value_put_text(out, "name", "p");
    sa_value_key(out, "verdicts");
    sa_value_list(out);
    sa_value_text(out, "allow");
    sa_value_text(out, "deny");
    sa_value_end(out);
    sa_value_key(out, "final");
    sa_value_list(out);
    sa_value_text(out, "deny");
    sa_value_end(out);
    sa_value_put_text(out, "combine", "firstFinal");
    sa_value_put_text(out, "target", "map");
    sa_value_end(out);
    sa_value_end(out);
}

static void put_input(struct sa_buf *out)
{
    sa_value_map(out);
    sa_value_put_text(out, "text", "some text, a b c");
    sa_value_put_int(out, "a", 7);
    sa_value_key(out, "list");
    sa_value_list(out);
    sa_value_text(out, "one");
    sa_value_int(out, 2);
    sa_value_list(out);
    sa_value_end(out);
    sa_value_end(out);
    sa_value_key(out, "map");
    sa_value_map(out);
    sa_value_put_bool(out, "x", true);
    sa_value_end(out);
    sa_value_end(out);
}

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void run(const struct sa_buf *text)
{
    struct sa_buf bytes = SA_BUF_INIT, input = SA_BUF_INIT, out = SA_BUF_INIT;
    struct sa_vm *vm = sa_vm_new(4 * 1024 * 1024);
    must(vm && sa_vm_start_clock(vm) == 0);
    vm->limits.cpu_ms = vm->limits.test_cpu_ms = 20;
    put_points(&bytes);
    struct sa_value value = sa_value_of(bytes.data, bytes.length);
    must(sa_points_read(vm, &value, NULL) == 0);
    put_file(&bytes, "policies/x.lua", text);
    value = sa_value_of(bytes.data, bytes.length);
    must(sa_load_file(vm, &value, NULL) == 0);
    sa_load_compile(vm, &out);
    must(sa_value_check(out.data, out.length, NULL) == 0);
    put_input(&input);
    for (int i = 0; vm->compiled && i < 2; i++) {
        out.length = 0;
        if (sa_decide_call(vm, &vm->points[0], input.data, i, &out) == 0 &&
            out.length <= SA_VALUE_MAX)
            must(sa_value_check(out.data, out.length, NULL) == 0);
        must(vm->heap_bytes <= vm->heap_max + 64 * 1024);
    }
    sa_vm_free(vm);
    sa_buf_deinit(&bytes);
    sa_buf_deinit(&input);
    sa_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source s = {.next = data, .end = data + size};
    if (size && data[0] == 0xff) /* text as it is: the parser, and what declarations may be */
        sa_buf_add(&s.text, data + 1, size - 1 < TEXT_MAX ? size - 1 : TEXT_MAX);
    else
        write_rule(&s);
    if (s.text.length)
        run(&s.text);
    sa_buf_deinit(&s.text);
    return 0;
}
